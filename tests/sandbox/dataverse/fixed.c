/* fixed.c - rows that are there from the beginning: those of "rows" in the table files, and what
 * the product knows about itself, the messages that each table has.
 *
 * Facts: "Use bulk operation messages" (Limitations: how to see whether a table supports them).
 * UpsertMultiple is never listed; it is there when both others are.
 */
#include "write.h"

#include <string.h>

static void give(struct table *t, struct row *r, const char *name, const char *value,
		 const char *target)
{
	struct column *c = table_column(t, name);

	if (!c || !value)
		return;
	int i = (int)(c - t->columns);
	r->given[i] = true;
	r->values[i] = strdup(value);
	r->targets[i] = target ? strdup(target) : NULL;
}

static void fixed_rows(struct store *s, struct table *t)
{
	const cJSON *row, *m;

	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(t->json, "rows"))
	{
		const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, t->id));
		struct row r = row_new(t);
		cJSON_ArrayForEach(m, row) give(t, &r, m->string, cJSON_GetStringValue(m), NULL);
		if (id)
			store_write(s, t, id, &r, true, NULL);
		row_free(t, &r);
	}
}

/* The same name has the same id in every world. */
static void id_of(const char *a, const char *b, char id[37])
{
	struct rng r = {0x5d1};

	for (; *a; a++)
		r.state = r.state * 131 + (unsigned char)*a;
	for (; *b; b++)
		r.state = r.state * 137 + (unsigned char)*b;
	rng_guid(&r, id);
}

static void messages(struct store *s, struct table *filters)
{
	static const char *const names[] = {"Create",	"Update",	  "Delete",
					    "Retrieve", "CreateMultiple", "UpdateMultiple"};
	struct table *all = store_table(s, "sdkmessage");

	for (size_t i = 0; all && i < sizeof names / sizeof *names; i++) {
		struct row r = row_new(all);
		char message[37], id[37];
		id_of(names[i], "", message);
		give(all, &r, "name", names[i], NULL);
		store_write(s, all, message, &r, true, NULL);
		row_free(all, &r);
		for (int k = 0; k < s->count; k++) {
			struct table *t = &s->tables[k];
			if (strstr(names[i], "Multiple") && !bulk_has(t, names[i]))
				continue;
			r = row_new(filters);
			id_of(names[i], t->name, id);
			give(filters, &r, "primaryobjecttypecode", t->name, NULL);
			give(filters, &r, "sdkmessageid", message, all->name);
			store_write(s, filters, id, &r, true, NULL);
			row_free(filters, &r);
		}
	}
}

void fixed_make(struct store *s)
{
	store_begin(s);
	for (int i = 0; i < s->count; i++) {
		struct table *t = &s->tables[i];
		if (store_count(s, t))
			continue;
		fixed_rows(s, t);
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->json, "listsMessages")))
			messages(s, t);
	}
	store_end(s, true);
}
