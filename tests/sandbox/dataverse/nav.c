/* nav.c - see nav.h. */
#include "nav.h"

#include <stdio.h>
#include <string.h>

static const char *named(const struct column *c, const char *member, const char *target)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(c->json, member), target));
}

/* The two ends of a lookup to one of its targets. */
static void ends(const struct table *owner, struct column *c, const char *target,
		 const char *single, char forward[160], char reverse[160], char schema[160])
{
	const char *back = named(c, "reverse", target), *name = named(c, "relationship", target);

	snprintf(forward, 160, "%s", single);
	if (name)
		snprintf(schema, 160, "%s", name);
	else if (back)
		snprintf(schema, 160, "%s", back);
	else
		snprintf(schema, 160, "%s_%s_%s", target, owner->name, c->name);
	snprintf(reverse, 160, "%s", back ? back : schema);
}

static struct column *lookup_of(struct table *t, const cJSON *entity)
{
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entity, "column"));
	return name ? table_column(t, name) : NULL;
}

static bool many_to_many(struct store *s, struct table *t, struct table *intersect, bool first,
			 struct nav *out)
{
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(intersect->json, "manyToMany");
	const cJSON *here = cJSON_GetObjectItemCaseSensitive(all, first ? "entity1" : "entity2");
	const cJSON *there = cJSON_GetObjectItemCaseSensitive(all, first ? "entity2" : "entity1");
	struct column *c = lookup_of(intersect, here), *other = lookup_of(intersect, there);
	const char *name =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(here, "navigation"));
	const char *partner =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(there, "navigation"));
	const char *schema =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(all, "schemaName"));

	if (!c || !other || !name || !c->targets || !c->targets->child ||
	    strcmp(c->targets->child->string, t->name) || !other->targets || !other->targets->child)
		return false;
	struct table *target = store_table(s, other->targets->child->string);
	if (!target)
		return false;
	*out = (struct nav){.kind = NAV_MANY_TO_MANY,
			    .table = t,
			    .target = target,
			    .column = c,
			    .intersect = intersect,
			    .other = other};
	snprintf(out->name, sizeof out->name, "%s", name);
	snprintf(out->partner, sizeof out->partner, "%s", partner ? partner : "");
	snprintf(out->schema, sizeof out->schema, "%s", schema ? schema : name);
	return true;
}

/* Calls for each property until `wanted` of them were seen or the name fits. */
static bool walk(struct store *s, struct table *t, int wanted, const char *name, size_t len,
		 struct nav *out)
{
	int n = 0;

#define FITS() (name ? strlen(out->name) == len && !strncmp(out->name, name, len) : n++ == wanted)
	for (int i = 0; i < s->count; i++) {
		struct table *u = &s->tables[i];
		for (int k = 0; k < u->count; k++) {
			struct column *c = &u->columns[k];
			const cJSON *target;
			cJSON_ArrayForEach(target, c->targets)
			{
				struct table *to = store_table(s, target->string);
				if (!to || !cJSON_IsString(target))
					continue;
				*out = (struct nav){.column = c};
				if (u == t) {
					out->kind = NAV_ONE;
					out->table = t;
					out->target = to;
					ends(u, c, target->string, target->valuestring, out->name,
					     out->partner, out->schema);
					if (FITS())
						return true;
				}
				if (to == t) {
					*out = (struct nav){
					    .kind = NAV_MANY, .table = t, .target = u, .column = c};
					ends(u, c, target->string, target->valuestring,
					     out->partner, out->name, out->schema);
					if (FITS())
						return true;
				}
			}
		}
		for (int side = 0; side < 2; side++)
			if (many_to_many(s, t, u, !side, out) && FITS())
				return true;
	}
#undef FITS
	return false;
}

bool nav_find(struct store *s, struct table *t, const char *name, size_t len, struct nav *out)
{
	return walk(s, t, 0, name, len, out);
}

bool nav_at(struct store *s, struct table *t, int i, struct nav *out)
{
	return walk(s, t, i, NULL, 0, out);
}
