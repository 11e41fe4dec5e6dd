/* bulk.c - CreateMultiple, UpdateMultiple, UpsertMultiple.
 *
 * Facts: "Use bulk operation messages", "Optimize performance for bulk operations".  On standard
 * tables a call is one transaction: any error undoes all of it.
 */
#include "write.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum message { CREATE, UPDATE, UPSERT };

bool bulk_has(const struct table *t, const char *name)
{
	static const char *const closed[] = {"isIntersect", "writtenByTheProduct"};

	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->json, closed[i])))
			return false;
	if (!strcmp(name, "DeleteMultiple")) /* elastic tables only */
		return false;
	return !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(t->json, "bulk"));
}

/* Was this row among the targets already?  Remembers it. */
static bool seen(struct write *w, const char *id)
{
	sqlite3_stmt *st =
	    store_statement(&w->d->store, "INSERT OR IGNORE INTO temp._seen VALUES (?)");

	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_step(st);
	store_release(st);
	return !sqlite3_changes(w->d->store.db);
}

/* The target's "@odata.id": sets(key), of the same table. False after answering. */
static bool take_address(struct write *w, struct table *t, const cJSON *target, struct key *k,
			 bool *has)
{
	const cJSON *address = cJSON_GetObjectItemCaseSensitive(target, "@odata.id");
	const char *s = cJSON_GetStringValue(address), *open = s ? strchr(s, '(') : NULL;
	size_t n = strlen(t->set);

	*has = address != NULL;
	if (!address)
		return true;
	size_t len = open ? key_length(open + 1) : SIZE_MAX;
	if (len == SIZE_MAX || open[len + 2] || (size_t)(open - s) < n ||
	    strncmp(open - n, t->set, n) || ((size_t)(open - s) > n && open[-(long)n - 1] != '/')) {
		api_error(w->rep, 400, E_PAYLOAD,
			  "The @odata.id of a target is not the URL of a row of '%s'.", t->set);
		return false;
	}
	return key_parse(w->d, t, open + 1, len, false, k, w->rep);
}

/* The row's id; *exists says whether there is such a row; k holds the key values of a new one. */
static bool identify(struct write *w, struct table *t, const cJSON *target, struct key *k,
		     bool *exists)
{
	const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(target, t->id));
	bool by_address;

	if (!take_address(w, t, target, k, &by_address))
		return false;
	if (!by_address && id && is_guid(id)) {
		k->primary = true;
		snprintf(k->id, sizeof k->id, "%s", id);
		for (char *c = k->id; *c; c++)
			*c = *c >= 'A' && *c <= 'F' ? (char)(*c + 32) : *c;
	} else if (!by_address) {
		api_error(w->rep, 400, E_PAYLOAD,
			  "A target has neither the primary key '%s' nor an @odata.id.", t->id);
		return false;
	}
	*exists = key_find(w->d, t, k);
	return true;
}

static bool change_one(struct write *w, struct table *t, enum message message, const cJSON *target)
{
	struct key k = {0};
	bool exists;
	char id[37] = "";

	if (!identify(w, t, target, &k, &exists))
		return false;
	if (!exists && message == UPDATE) {
		if (k.primary)
			payload_exists(w, t, k.id);
		else
			key_absent(t, &k, w->rep);
		key_free(&k);
		return false;
	}
	if (!*k.id)
		payload_new_id(w->d, k.id);
	bool again = seen(w, k.id), good = true;
	if (again && message == UPSERT) {
		api_error(w->rep, 400, E_PAYLOAD, "Duplicate keys in the targets of one call.");
		good = false;
	}
	if (good && !again) { /* UpdateMultiple applies the first and says nothing */
		struct row r = row_new(t);
		good = privilege(w->d, t, exists ? "Write" : "Create", w->rep) &&
		       payload_row(w, t, target, !exists, &r, id);
		if (good && exists) {
			for (int i = 0; i < k.count; i++)
				r.given[k.parts[i].column] = false;
			int n = (int)(table_column(t, t->id) - t->columns);
			r.given[n] = false;
		} else if (good) {
			write_key_values(t, &k, &r);
		}
		good = good && write_row(w, t, !exists && *id ? id : k.id, &r, !exists);
		row_free(t, &r);
	}
	key_free(&k);
	return good;
}

static bool create_one(struct write *w, struct table *t, const cJSON *target, cJSON *ids)
{
	struct row r = row_new(t);
	char id[37] = "";
	bool good = !cJSON_GetObjectItemCaseSensitive(target, "@odata.id");

	if (!good)
		api_error(w->rep, 400, E_PAYLOAD, "A target of CreateMultiple has an @odata.id.");
	good = good && payload_row(w, t, target, true, &r, id);
	if (good && !*id)
		payload_new_id(w->d, id);
	good = good && write_row(w, t, id, &r, true);
	if (good)
		cJSON_AddItemToArray(ids, cJSON_CreateString(id));
	row_free(t, &r);
	return good;
}

static bool all(struct write *w, struct table *t, enum message message, const cJSON *targets,
		cJSON *ids)
{
	const cJSON *target;

	store_exec(&w->d->store, "CREATE TEMP TABLE IF NOT EXISTS _seen (id TEXT PRIMARY KEY) "
				 "WITHOUT ROWID; DELETE FROM temp._seen");
	cJSON_ArrayForEach(target, targets)
	{
		if (!cJSON_IsObject(target) ||
		    !cJSON_GetObjectItemCaseSensitive(target, "@odata.type")) {
			api_error(w->rep, 400, E_PAYLOAD, "Each target needs an @odata.type.");
			return false;
		}
		if (!(message == CREATE ? create_one(w, t, target, ids)
					: change_one(w, t, message, target)))
			return false;
	}
	return true;
}

static void answer(struct write *w, enum message message, cJSON *ids)
{
	char root[400], context[500];

	if (message != CREATE) { /* created or updated? the product does not say */
		reply_header(w->rep, "OData-Version", "4.0");
		w->rep->status = 204;
		return;
	}
	cJSON *out = cJSON_CreateObject();
	api_root(w->req, root, sizeof root);
	snprintf(context, sizeof context,
		 "%s/$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse", root);
	cJSON_AddStringToObject(out, "@odata.context", context);
	cJSON_AddItemToObject(out, "Ids", cJSON_Duplicate(ids, true));
	api_headers(w->rep);
	reply_json(w->rep, 200, out);
}

void bulk(struct write *w, struct table *t, const char *name)
{
	enum message message = !strcmp(name, "CreateMultiple")	 ? CREATE
			       : !strcmp(name, "UpdateMultiple") ? UPDATE
								 : UPSERT;

	w->bulk = true;
	if (!strcmp(name, "DeleteMultiple")) {
		api_error(w->rep, 400, E_NO_MESSAGE,
			  "DeleteMultiple has not yet been implemented.");
		return;
	}
	if (strcmp(name, "CreateMultiple") && strcmp(name, "UpdateMultiple") &&
	    strcmp(name, "UpsertMultiple")) {
		api_not_implemented(w->rep, name);
		return;
	}
	if (!bulk_has(t, name)) {
		api_error(w->rep, 400, E_NO_MESSAGE,
			  "The method being invoked does not support provided entity type.");
		return;
	}
	if (message == CREATE && !privilege(w->d, t, "Create", w->rep))
		return;
	cJSON *json = payload_body(w), *ids = cJSON_CreateArray();
	const cJSON *targets = cJSON_GetObjectItemCaseSensitive(json, "Targets"), *m = NULL;
	bool good = json != NULL;
	cJSON_ArrayForEach(m, json) if (m != targets) break;
	if (good && (m || !cJSON_IsArray(targets) || !targets->child)) {
		api_error(w->rep, 400, E_PAYLOAD,
			  m ? "The parameter '%.100s' in the request payload is not a valid "
			      "parameter for the operation '%.100s'."
			    : "The parameter Targets of '%.0s%.100s' is missing or empty.",
			  m ? m->string : "", name);
		good = false;
	}
	if (good) {
		store_begin(&w->d->store);
		good = all(w, t, message, targets, ids);
		store_end(&w->d->store, good);
	}
	if (good)
		answer(w, message, ids);
	cJSON_Delete(ids);
	cJSON_Delete(json);
}
