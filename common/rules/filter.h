/* filter.h - which rows of a table are wanted: a tree of comparisons.
 *
 *   filter:
 *     all:
 *       - {column: statecode, is: 0}
 *       - any:
 *           - {column: emailaddress1, exists: true}
 *           - {column: mobilephone, exists: true}
 *       - not: {column: address1_country, in: [US, CA]}
 *
 * On any column, mapped or not.  Two values of truth: null is not equal to anything, neither before
 * nor after anything, and contains nothing; so `is_not` and `not_in` are true of it.  Texts compare
 * byte by byte, large and small letters apart.
 */
#ifndef TIDEWAY_FILTER_H
#define TIDEWAY_FILTER_H

#include "document.h"
#include "scalar.h"

struct filter;

/* The columns that it reads are added to sources, to get their index. NULL after problems. */
struct filter *filter_compile(struct node node, const struct table *t, struct sources *sources,
			      struct problems *p);
void filter_free(struct filter *f);

bool filter_passes(const struct filter *f, const avro_value_t *row, struct arena *a);

#endif
