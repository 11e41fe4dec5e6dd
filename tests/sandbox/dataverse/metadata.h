/* metadata.h - what the table files say, as the trees of the metadata API: EntityMetadata,
 * AttributeMetadata with its casts, option sets, keys, relationships.
 *
 * A MetadataId is made from the name, so that it is the same in every run.
 */
#ifndef SANDBOX_DATAVERSE_METADATA_H
#define SANDBOX_DATAVERSE_METADATA_H

#include "nav.h"

void metadata_id(const char *kind, const char *name, char out[37]);

cJSON *metadata_entity(const struct table *t);
/* The name of the attribute's derived type: "Picklist" for PicklistAttributeMetadata; "" has none. */
const char *metadata_cast(const struct column *c);
/* derived: with the members of that type. */
cJSON *metadata_attribute(const struct table *t, const struct column *c, bool derived);
cJSON *metadata_option_set(const struct table *t, const struct column *c);
cJSON *metadata_global_option_set(const struct store *s, const char *name);
cJSON *metadata_key(struct table *t, const cJSON *key);
cJSON *metadata_relationship(const struct nav *n);

/* A navigation property of one of these objects, as shape.h wants it; user is the dataverse. */
cJSON *metadata_nav(void *user, const cJSON *object, const char *name);

/* privilege.c: what the table's privileges are called. */
cJSON *privilege_metadata(const struct table *t);

#endif
