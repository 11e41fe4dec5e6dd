/* nav.h - navigation properties, as the table files' lookups make them.
 *
 * A lookup column's "targets" gives, for each table it may point to, the single-valued property on
 * its own table; "reverse" (optional) the collection-valued one on the target and "relationship"
 * (optional) the schema name, both by target. Without them both are <target>_<table>_<column>.
 * An intersect table ("isIntersect": true) has two lookups that are one N:N relationship:
 * "manyToMany": {"schemaName": .., "entity1": {"column": .., "navigation": ..}, "entity2": {..}},
 * where navigation is the property on the table that the column points to.
 *
 * Facts: "Web API navigation properties".  Names are case-sensitive.
 */
#ifndef SANDBOX_DATAVERSE_NAV_H
#define SANDBOX_DATAVERSE_NAV_H

#include "api.h"

enum nav_kind { NAV_ONE, NAV_MANY, NAV_MANY_TO_MANY };

struct nav {
	enum nav_kind kind;
	struct table *table;	 /* the one that has the property */
	struct table *target;	 /* what it leads to */
	struct column *column;	 /* the lookup: of table (NAV_ONE), of target (NAV_MANY), of the
				* intersect table, pointing to table (NAV_MANY_TO_MANY) */
	struct table *intersect; /* NAV_MANY_TO_MANY only, with the other lookup */
	struct column *other;
	char name[160], partner[160], schema[160];
};

/* The property by its name; false when the table has none. */
bool nav_find(struct store *s, struct table *t, const char *name, size_t len, struct nav *out);
/* All of a table's, i counting up from 0 until false. */
bool nav_at(struct store *s, struct table *t, int i, struct nav *out);

#endif
