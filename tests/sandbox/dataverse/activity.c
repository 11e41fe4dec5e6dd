/* activity.c - the second row of every activity.
 *
 * Facts: "Activity tables", "Custom activities", "activitypointer table reference".  A row of a
 * table with "isActivity": true has a twin of the same activityid in the table that says
 * "twinOfActivities": true; columns of the same name are kept alike.  The twin is written with the
 * activity and by nothing else, and has no history of its own.
 */
#include "derived.h"

#include <string.h>

static struct table *pointers(struct store *s)
{
	for (int i = 0; i < s->count; i++)
		if (cJSON_IsTrue(
			cJSON_GetObjectItemCaseSensitive(s->tables[i].json, "twinOfActivities")))
			return &s->tables[i];
	return NULL;
}

struct table *activity_twin(struct store *s, const struct table *t)
{
	struct table *twin = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->json, "isActivity"))
				 ? pointers(s)
				 : NULL;
	return twin == t ? NULL : twin;
}

void activity_write(struct store *s, struct table *t, const char *id, const struct row *r,
		    bool insert)
{
	struct table *twin = activity_twin(s, t);

	if (!twin)
		return;
	struct row copy = row_new(twin);
	for (int i = 0; i < twin->count; i++) {
		const struct column *c = &twin->columns[i];
		const struct column *from = table_column(t, c->name);
		size_t k = from ? (size_t)(from - t->columns) : 0;
		if (c->system && !strcmp(c->system, "table") && insert) {
			copy.given[i] = true;
			copy.values[i] = strdup(t->name);
		} else if (from && r->given[k] && from->type == c->type &&
			   strcmp(c->name, twin->id) && !c->system) {
			copy.given[i] = true;
			copy.values[i] = r->values[k] ? strdup(r->values[k]) : NULL;
			copy.targets[i] = r->targets[k] ? strdup(r->targets[k]) : NULL;
		}
	}
	store_write(s, twin, id, &copy, insert, NULL);
	row_free(twin, &copy);
}
