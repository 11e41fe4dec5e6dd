/* merge.c - the Merge action: two rows of one table become one.
 *
 * Facts: "Merge two or more records", "Merge action".  The subordinate is not deleted: it becomes
 * inactive and points to the row that won; what hung on it hangs on the winner then.  Which tables
 * have the message is the member "mergeable" of the data file: the columns to mark the loser with.
 */
#include "write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Target or Subordinate: {"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": ".."} */
static bool take_side(struct write *w, const cJSON *json, const char *name, struct table **t,
		      char id[37])
{
	const cJSON *side = cJSON_GetObjectItemCaseSensitive(json, name), *m;
	const char *type =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(side, "@odata.type"));

	type = type && *type == '#' ? type + 1 : type;
	*t = type && !strncmp(type, "Microsoft.Dynamics.CRM.", 23)
		 ? store_table(&w->d->store, type + 23)
		 : NULL;
	const char *guid =
	    *t ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(side, (*t)->id)) : NULL;
	if (!guid || !is_guid(guid)) {
		api_error(w->rep, 400, E_PAYLOAD,
			  "The parameter '%s' of Merge is not a row: it needs an @odata.type and a "
			  "primary key.",
			  name);
		return false;
	}
	cJSON_ArrayForEach(m, side) if (strcmp(m->string, "@odata.type") &&
					strcmp(m->string, (*t)->id))
	{
		api_error(w->rep, 400, E_PAYLOAD,
			  "'%.100s' in '%s' of Merge: what to change goes into UpdateContent.",
			  m->string, name);
		return false;
	}
	snprintf(id, 37, "%s", guid);
	for (char *c = id; *c; c++)
		*c = *c >= 'A' && *c <= 'F' ? (char)(*c + 32) : *c;
	return payload_exists(w, *t, id);
}

static char **rows_of(struct store *s, const struct table *u, const struct column *c,
		      const struct table *t, const char *id, size_t *count)
{
	char sql[500], **ids = NULL;
	sqlite3_stmt *st;

	*count = 0;
	snprintf(sql, sizeof sql, "SELECT \"%s\" FROM \"%s\" WHERE \"%s\"=? AND \"%s__table\"=?",
		 u->id, u->name, c->name, c->name);
	st = store_prepare(s, sql);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, t->name, -1, SQLITE_STATIC);
	while (sqlite3_step(st) == SQLITE_ROW) {
		char **more = realloc(ids, (*count + 1) * sizeof *ids);
		if (!more)
			abort();
		ids = more;
		ids[(*count)++] = strdup((const char *)sqlite3_column_text(st, 0));
	}
	sqlite3_finalize(st);
	return ids;
}

/* Rows that point to the loser point to the winner; an N:N link that the winner has already goes. */
static void reparent(struct write *w, struct table *t, const char *loser, const char *winner)
{
	struct store *s = &w->d->store;

	for (int i = 0; i < s->count; i++)
		for (int k = 0; k < s->tables[i].count; k++) {
			struct table *u = &s->tables[i];
			struct column *c = &u->columns[k];
			const char *rule = cJSON_GetStringValue(
			    cJSON_GetObjectItemCaseSensitive(c->json, "onMerge"));
			size_t n;
			if (!cJSON_GetObjectItemCaseSensitive(c->targets, t->name) ||
			    (rule && !strcmp(rule, "NoCascade")) ||
			    cJSON_IsTrue(
				cJSON_GetObjectItemCaseSensitive(u->json, "writtenByTheProduct")))
				continue;
			char **ids = rows_of(s, u, c, t, loser, &n);
			for (size_t at = 0; at < n; at++) {
				struct row r = row_new(u);
				r.given[k] = true;
				r.values[k] = strdup(winner);
				r.targets[k] = strdup(t->name);
				store_write(s, u, ids[at], &r, false, "UPDATE");
				row_free(u, &r);
				free(ids[at]);
			}
			free(ids);
		}
}

static bool give(struct table *t, struct row *r, const cJSON *mergeable, const char *member,
		 const char *value, const char *target)
{
	const char *name =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(mergeable, member));
	struct column *c = name ? table_column(t, name) : NULL;

	if (!c)
		return false;
	int i = (int)(c - t->columns);
	r->given[i] = true;
	r->values[i] = strdup(value);
	r->targets[i] = target ? strdup(target) : NULL;
	return true;
}

static bool perform(struct write *w, struct table *t, const char *winner, const char *loser,
		    const cJSON *content)
{
	const cJSON *mergeable = cJSON_GetObjectItemCaseSensitive(t->json, "mergeable");
	struct row r = row_new(t);
	char id[37] = "";
	bool good = true;

	if (content) {
		good = payload_row(w, t, content, false, &r, id);
		r.given[table_column(t, t->id) - t->columns] = false;
		good = good && write_row(w, t, winner, &r, false);
		row_free(t, &r);
		r = row_new(t);
	}
	if (good) {
		reparent(w, t, loser, winner);
		give(t, &r, mergeable, "flag", "true", NULL);
		give(t, &r, mergeable, "winner", winner, t->name);
		give(t, &r, mergeable, "state", "1", NULL);
		good = write_row(w, t, loser, &r, false);
	}
	row_free(t, &r);
	return good;
}

/* Parameters beside the two rows. */
static bool known(struct write *w, const cJSON *json)
{
	static const char *const names[] = {"Target", "Subordinate", "UpdateContent",
					    "PerformParentingChecks"};
	const cJSON *m;

	cJSON_ArrayForEach(m, json)
	{
		bool found = false;
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			found |= !strcmp(names[i], m->string);
		if (!found) {
			api_error(w->rep, 400, E_PAYLOAD,
				  "The parameter '%.100s' in the request payload is not a valid "
				  "parameter for the operation 'Merge'.",
				  m->string);
			return false;
		}
	}
	m = cJSON_GetObjectItemCaseSensitive(json, "PerformParentingChecks");
	if (cJSON_IsTrue(m))
		api_not_implemented(w->rep, "PerformParentingChecks");
	return !cJSON_IsTrue(m);
}

void merge(struct write *w)
{
	cJSON *json = payload_body(w);
	struct table *t, *other;
	char winner[37], loser[37];
	const cJSON *content = cJSON_GetObjectItemCaseSensitive(json, "UpdateContent");

	snprintf(w->rep->route, sizeof w->rep->route, "Merge");
	if (!json || !known(w, json) || !take_side(w, json, "Target", &t, winner) ||
	    !take_side(w, json, "Subordinate", &other, loser)) {
		/* said */
	} else if (t != other || !cJSON_GetObjectItemCaseSensitive(t->json, "mergeable")) {
		api_error(w->rep, 400, E_NO_MESSAGE,
			  "The method being invoked does not support provided entity type.");
	} else if (!strcmp(winner, loser)) {
		api_error(w->rep, 400, E_ARGUMENT, "A row cannot be merged with itself.");
	} else if (content && !cJSON_IsObject(content)) {
		api_error(w->rep, 400, E_PAYLOAD, "UpdateContent is no row.");
	} else if (privilege(w->d, t, "Write", w->rep)) {
		store_begin(&w->d->store);
		bool good = perform(w, t, winner, loser, content);
		store_end(&w->d->store, good);
		if (good) {
			reply_header(w->rep, "OData-Version", "4.0");
			w->rep->status = 204;
		}
	}
	cJSON_Delete(json);
}
