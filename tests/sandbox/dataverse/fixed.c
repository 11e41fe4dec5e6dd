/* fixed.c - rows that the product has about itself: its users, and the messages of each table.
 *
 * Facts: "Use bulk operation messages" (Limitations: how to see whether a table supports them).
 * UpsertMultiple is never listed; it is there when both others are.
 */
#include "write.h"

#include <stdio.h>
#include <stdlib.h>
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

static void insert(struct store *s, struct table *t, const char *id, struct row *r)
{
	if (!store_exists(s, t, id))
		store_write(s, t, id, r, true, NULL);
	row_free(t, r);
}

static struct table *with(struct store *s, const char *member)
{
	for (int i = 0; i < s->count; i++)
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(s->tables[i].json, member)))
			return &s->tables[i];
	return NULL;
}

void fixed_messages(struct store *s, const struct table *t)
{
	static const char *const names[] = {"Create",	"Update",	  "Delete",
					    "Retrieve", "CreateMultiple", "UpdateMultiple"};
	struct table *filters = with(s, "listsMessages");
	struct column *message_of = filters ? table_column(filters, "sdkmessageid") : NULL;
	struct table *all = message_of && message_of->targets && message_of->targets->child
				? store_table(s, message_of->targets->child->string)
				: NULL;

	for (size_t i = 0; all && i < sizeof names / sizeof *names; i++) {
		struct row r = row_new(all);
		char message[37], id[37];
		id_of(names[i], "", message);
		give(all, &r, "name", names[i], NULL);
		insert(s, all, message, &r);
		if (strstr(names[i], "Multiple") && !bulk_has(t, names[i]))
			continue;
		r = row_new(filters);
		id_of(names[i], t->name, id);
		give(filters, &r, "primaryobjecttypecode", t->name, NULL);
		give(filters, &r, "sdkmessageid", message, all->name);
		insert(s, filters, id, &r);
	}
}

/* The application users that token.c knows. */
static void users(struct dataverse *d, struct table *t)
{
	for (int i = 0; i < USERS; i++) {
		struct row r = row_new(t);
		char name[40], application[37];
		snprintf(name, sizeof name, i ? "# sandbox%d" : "# sandbox", i);
		id_of(name, "application", application);
		give(t, &r, "fullname", name, NULL);
		give(t, &r, "applicationid", application, NULL);
		insert(&d->store, t, d->users[i], &r);
	}
}

void fixed_make(struct dataverse *d)
{
	struct store *s = &d->store;
	struct table *people = with(s, "listsUsers");
	bool none = !with(s, "listsMessages") || !store_count(s, with(s, "listsMessages"));

	store_begin(s);
	for (int i = 0; none && i < s->count; i++)
		fixed_messages(s, &s->tables[i]);
	if (people && !store_count(s, people))
		users(d, people);
	store_end(s, true);
}
