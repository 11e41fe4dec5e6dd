/* compare.h - what would be written against what Campaign has, field by field. */
#ifndef TIDEWAY_COMPARE_H
#define TIDEWAY_COMPARE_H

#include <cjson/cJSON.h>

#include "mapping.h"

/* Calls back for each attribute of body that differs from the record (NULL: there is none, all do).
 * was and now are texts to show; was is NULL without a record.  Returns how many. */
typedef void (*difference_fn)(void *arg, const char *path, const char *was, const char *now);
size_t compare_body(const struct mapping *m, const cJSON *body, const cJSON *record,
		    difference_fn fn, void *arg);

/* A value of a body or a record as a text, malloc'ed; nothing is "". */
char *compare_text(const cJSON *value);
/* Do two such texts say the same of the attribute? */
bool compare_same(const struct attribute *a, const char *was, const char *now);

#endif
