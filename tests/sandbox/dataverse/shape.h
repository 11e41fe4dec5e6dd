/* shape.h - $select, $filter and $expand on a tree of metadata.
 *
 * The metadata is small, so each answer is built whole as a tree and then cut to what was asked
 * for.  A member that the whole tree does not have is a property that does not exist.
 */
#ifndef SANDBOX_DATAVERSE_SHAPE_H
#define SANDBOX_DATAVERSE_SHAPE_H

#include "api.h"

/* Makes the value of a navigation property of the object, or NULL when there is none of that name:
 * "Attributes" of an EntityMetadata.  user is what shape_object() was given. */
typedef cJSON *(*shape_nav)(void *user, const cJSON *object, const char *name);

struct shape {
	char *select, *expand, *filter; /* as in the URL, decoded; NULL: not given */
};

/* Reads the options of the request; false after answering to one that is not known here. */
bool shape_read(struct shape *s, const struct request *req, struct reply *rep);
void shape_free(struct shape *s);

/* Does the object fit the filter?  1, 0, or -1 after answering. */
int shape_filter(const char *filter, const cJSON *object, const char *type, struct reply *rep);
/* Cuts the object to $select and adds $expand. False after answering. */
bool shape_object(cJSON *object, const char *select, const char *expand, const char *type,
		  shape_nav nav, void *user, struct reply *rep);
/* The same for a list, after its $filter. */
bool shape_list(cJSON *list, const struct shape *s, const char *type, shape_nav nav, void *user,
		struct reply *rep);

#endif
