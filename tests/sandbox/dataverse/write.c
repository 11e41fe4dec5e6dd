/* write.c - create, update, upsert and delete of one row, and of one of its properties.
 *
 * Facts: "Create a table row", "Update and delete table rows", "Upsert a table row", "Perform
 * conditional operations using the Web API", "Use upsert to create or update a record".
 */
#include "write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_MAX = 8 }; /* of related rows in one create */

/* ---- what no single value shows ---------------------------------------------------------------------- */

static struct column *column_of_type(struct table *t, enum type type)
{
	for (int i = 0; i < t->count; i++)
		if (t->columns[i].type == type)
			return &t->columns[i];
	return NULL;
}

/* The state that a status belongs to, by the data file's {"status": state}; -1 if it does not say. */
static int state_of(const struct column *status, const char *value)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(status->json, "states"), value);
	return cJSON_IsNumber(n) ? n->valueint : -1;
}

/* A status without its state has to fit the state there is; a state without a status brings the
 * first of its own. */
static bool settle_status(struct write *w, struct table *t, const char *id, struct row *r,
			  bool insert)
{
	struct column *state = column_of_type(t, T_STATE), *status = column_of_type(t, T_STATUS);
	const cJSON *states =
	    status ? cJSON_GetObjectItemCaseSensitive(status->json, "states") : NULL;

	if (!state || !states)
		return true;
	int a = (int)(state - t->columns), u = (int)(status - t->columns);
	if (!r->given[a] && !(r->given[u] && r->values[u]))
		return true;
	char *have = r->given[a] ? strdup(r->values[a])
		     : insert	 ? strdup("0")
				 : store_value(&w->d->store, t, id, state->name);
	int wanted = have ? (int)strtol(have, NULL, 10) : 0;
	free(have);
	if (r->given[u] && r->values[u]) {
		if (state_of(status, r->values[u]) == wanted)
			return true;
		api_error(w->rep, 400, E_STATUS,
			  "%s is not a valid status code for state code %d on %s with Id %s.",
			  r->values[u], wanted, t->name, id);
		return false;
	}
	for (const cJSON *s = states->child; s; s = s->next)
		if (s->valueint == wanted) {
			r->values[u] = strdup(s->string);
			r->given[u] = true;
			break;
		}
	return true;
}

/* No other row may have the values of an alternate key. */
static bool settle_keys(struct write *w, struct table *t, const char *id, struct row *r,
			bool insert)
{
	const cJSON *keys = cJSON_GetObjectItemCaseSensitive(t->json, "keys"), *key;
	struct row all = {0};
	bool touched = false;

	cJSON_ArrayForEach(key, keys)
	{
		int columns[KEY_COLUMNS_MAX], n = key_columns(t, key, columns);
		for (int i = 0; i < n; i++)
			touched |= r->given[columns[i]] && r->values[columns[i]];
	}
	if (!touched)
		return true;
	all = row_new(t);
	cJSON_ArrayForEach(key, keys)
	{
		int columns[KEY_COLUMNS_MAX], n = key_columns(t, key, columns);
		for (int i = 0; i < n; i++) {
			int c = columns[i];
			if (all.values[c])
				continue;
			if (r->given[c])
				all.values[c] = r->values[c] ? strdup(r->values[c]) : NULL;
			else if (!insert)
				all.values[c] =
				    store_value(&w->d->store, t, id, t->columns[c].name);
		}
	}
	const char *violated = key_collision(w->d, t, &all, id);
	row_free(t, &all);
	if (!violated)
		return true;
	char names[600] = "";
	int columns[KEY_COLUMNS_MAX],
	    n = key_columns(t, cJSON_GetObjectItemCaseSensitive(keys, violated), columns);
	for (int i = 0; i < n; i++)
		snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
			 t->columns[columns[i]].name);
	api_error(w->rep, 412, E_DUPLICATE_KEY,
		  "Entity Key %s violated. A record with the same value for %s already exists. A "
		  "duplicate record cannot be created. Select one or more unique values and try "
		  "again.",
		  violated, names);
	return false;
}

bool write_row(struct write *w, struct table *t, const char *id, struct row *r, bool insert)
{
	if (insert && store_exists(&w->d->store, t, id)) {
		api_error(w->rep, 412, E_DUPLICATE, "Cannot insert duplicate key.");
		return false;
	}
	if (!settle_status(w, t, id, r, insert) || !settle_keys(w, t, id, r, insert))
		return false;
	store_write(&w->d->store, t, id, r, insert, insert ? "CREATE" : "UPDATE");
	return true;
}

bool write_allowed(struct write *w, const struct table *t)
{
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->json, "isIntersect")))
		api_error(w->rep, 400, E_INTERSECT, "The specified entity is intersect entity");
	else if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->json, "writtenByTheProduct")))
		api_error(w->rep, 400, E_NO_MESSAGE,
			  "The method being invoked does not support provided entity type.");
	else
		return true;
	return false;
}

bool write_insert(struct write *w, struct table *t, const cJSON *json, struct row *given,
		  char id[37])
{
	struct row own = {0}, *r = given ? given : &own;
	bool good = w->d->depth < DEPTH_MAX;

	if (!given)
		own = row_new(t);
	w->d->depth++;
	if (!good)
		api_not_implemented(w->rep, "related rows of more than 8 levels");
	good = good && payload_row(w, t, json, true, r, id);
	if (good && !*id)
		payload_new_id(w->d, id);
	good = good && write_row(w, t, id, r, true) && payload_children(w, t, json, id);
	w->d->depth--;
	row_free(t, &own);
	return good;
}

/* ---- answers ------------------------------------------------------------------------------------------ */

static bool wants_row(const struct write *w)
{
	char value[64];
	return api_prefers(w->req, "return", value, sizeof value) &&
	       !strcmp(value, "representation");
}

/* "Update and delete table rows": $expand of an update is passed over. Options are kept apart by &
 * alone, since a literal & is escaped. */
static char *without_expand(const char *query)
{
	char *out = strdup(query), *to = out;

	while (*query) {
		size_t n = strcspn(query, "&");
		if (strncmp(query, "$expand=", 8) && strncasecmp(query, "%24expand=", 10)) {
			if (to > out)
				*to++ = '&';
			memcpy(to, query, n);
			to += n;
		}
		query += n + (query[n] == '&');
	}
	*to = 0;
	return out;
}

/* A key as a header can hold it: nothing but printable ASCII, escaped as in a URL. */
static char *escaped(char *key)
{
	char *out = malloc(strlen(key) * 3 + 1), *to = out;

	for (const char *s = key; *s; s++)
		if (*s > 0x20 && *s < 0x7f && *s != '%')
			*to++ = *s;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*s);
	*to = 0;
	free(key);
	return out;
}

/* 204 and the address of the row, by the key that the request used; or the row itself. */
static void answer(struct write *w, struct table *t, const char *id, const struct key *k,
		   bool created)
{
	char root[400], *key = k ? escaped(key_text(t, k)) : NULL;

	if (!wants_row(w)) {
		api_root(w->req, root, sizeof root);
		reply_header(w->rep, "OData-Version", "4.0");
		if (key)
			reply_header(w->rep, "OData-EntityId", "%s/%s%s", root, t->set, key);
		else
			reply_header(w->rep, "OData-EntityId", "%s/%s(%s)", root, t->set, id);
		w->rep->status = 204;
	} else {
		struct request req = *w->req;
		char *query = k ? without_expand(req.query) : NULL;
		if (query)
			req.query = query;
		api_read_row(w->d, t, id, &req, w->rep);
		free(query);
		reply_header(w->rep, "Preference-Applied", "return=representation");
		if (w->rep->status == 200 && created)
			w->rep->status = 201;
	}
	free(key);
}

/* ---- operations --------------------------------------------------------------------------------------- */

static void end(struct write *w, bool good)
{
	store_end(&w->d->store, good);
}

void write_create(struct write *w, struct table *t)
{
	cJSON *json = payload_body(w);
	char id[37] = "";

	if (!json)
		return;
	store_begin(&w->d->store);
	bool good = write_insert(w, t, json, NULL, id);
	if (good)
		answer(w, t, id, NULL, true);
	end(w, good && w->rep->status < 300);
	cJSON_Delete(json);
}

/* Is the row as If-Match says?  True when it may be written. */
static bool matches(struct write *w, struct table *t, const char *id)
{
	const char *match = request_header(w->req, "If-Match");
	long long version;
	int n = 0;

	if (!match || !strcmp(match, "*"))
		return true;
	if (sscanf(match, "W/\"%lld\"%n", &version, &n) != 1 || !n || match[n]) {
		api_error(w->rep, 400, E_QUERY,
			  "The etag of If-Match is not of the form "
			  "W/\"number\".");
		return false;
	}
	if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(t->json, "optimisticConcurrency"))) {
		api_error(w->rep, 400, E_NO_CONCURRENCY,
			  "Optimistic concurrency isn't enabled for entity type %s. The "
			  "IfVersionMatches value of ConcurrencyBehavior can only be used if "
			  "optimistic concurrency is enabled.",
			  t->name);
		return false;
	}
	char *have = store_value(&w->d->store, t, id, "_version");
	bool same = have && strtoll(have, NULL, 10) == version;
	free(have);
	if (!same)
		api_error(
		    w->rep, 412, E_CONCURRENCY,
		    "The version of the existing record doesn't match the RowVersion property "
		    "provided.");
	return same;
}

/* If-None-Match of a write: "*" is "create only"; the literal null, which Microsoft tells everybody
 * to send, is nothing. */
static bool may_exist(struct write *w, bool exists)
{
	const char *none = request_header(w->req, "If-None-Match");

	if (!none || !strcmp(none, "null"))
		return true;
	if (strcmp(none, "*")) {
		api_not_implemented(w->rep, "If-None-Match with an etag in a write");
		return false;
	}
	if (exists)
		api_error(w->rep, 412, E_DUPLICATE,
			  "A record with matching key values already exists.");
	return !exists;
}

void write_key_values(struct table *t, const struct key *k, struct row *r)
{
	for (int i = 0; i < k->count; i++) {
		const struct column *c = &t->columns[k->parts[i].column];
		int n = k->parts[i].column;
		if (r->given[n])
			continue;
		r->values[n] = strdup(k->parts[i].value);
		r->given[n] = true;
		if (c->type == T_LOOKUP && c->targets && c->targets->child)
			r->targets[n] = strdup(c->targets->child->string);
	}
}

/* Of a row that exists, values of the key in the body are dropped. */
static void drop_key_values(struct table *t, const struct key *k, struct row *r)
{
	for (int i = 0; i < t->count; i++) {
		bool part = !strcmp(t->columns[i].name, t->id);
		for (int p = 0; p < k->count; p++)
			part |= k->parts[p].column == i;
		if (part)
			r->given[i] = false;
	}
}

static bool upsert(struct write *w, struct table *t, struct key *k, bool exists, const cJSON *json)
{
	struct row r = row_new(t);
	char id[37] = "";
	bool good = payload_row(w, t, json, !exists, &r, id);

	if (good && exists) {
		drop_key_values(t, k, &r);
		snprintf(id, sizeof id, "%s", k->id);
	} else if (good) {
		write_key_values(t, k, &r);
		if (!*id && k->primary)
			snprintf(id, sizeof id, "%s", k->id);
		else if (!*id)
			payload_new_id(w->d, id);
	}
	good = good && write_row(w, t, id, &r, !exists) &&
	       (exists || payload_children(w, t, json, id));
	if (good)
		answer(w, t, id, k, !exists);
	row_free(t, &r);
	return good && w->rep->status < 300;
}

void write_patch(struct write *w, struct table *t, struct key *k)
{
	bool exists = key_find(w->d, t, k);

	if (!may_exist(w, exists))
		return;
	if (request_header(w->req, "If-Match") && !exists) {
		key_absent(t, k, w->rep);
		return;
	}
	if ((exists && !matches(w, t, k->id)) ||
	    !privilege(w->d, t, exists ? "Write" : "Create", w->rep))
		return;
	cJSON *json = payload_body(w);
	if (!json)
		return;
	store_begin(&w->d->store);
	end(w, upsert(w, t, k, exists, json));
	cJSON_Delete(json);
}

void write_delete(struct write *w, struct table *t, struct key *k)
{
	if (!key_find(w->d, t, k)) {
		key_absent(t, k, w->rep);
		return;
	}
	if (!matches(w, t, k->id) || !privilege(w->d, t, "Delete", w->rep))
		return;
	store_begin(&w->d->store);
	store_delete(&w->d->store, t, k->id);
	end(w, true);
	reply_header(w->rep, "OData-Version", "4.0");
	w->rep->status = 204;
}

/* {"value": ..} as the only member of a row */
static cJSON *single(struct write *w, const char *name)
{
	cJSON *row = cJSON_CreateObject(), *json, *value;

	if (!strcmp(w->req->method, "DELETE")) {
		cJSON_AddNullToObject(row, name);
		return row;
	}
	json = payload_body(w);
	value = cJSON_DetachItemFromObjectCaseSensitive(json, "value");
	if (json && (!value || json->child)) {
		api_error(w->rep, 400, E_PAYLOAD, "The body of a property is {\"value\": ..}.");
	} else if (json) {
		cJSON_AddItemToObject(row, name, value);
		cJSON_Delete(json);
		return row;
	}
	cJSON_Delete(value);
	cJSON_Delete(json);
	cJSON_Delete(row);
	return NULL;
}

void write_property(struct write *w, struct table *t, struct key *k, const char *name)
{
	struct column *c = table_column(t, name);
	struct row r;
	char id[37] = "";

	if (c && c->type == T_IMAGE) {
		api_not_implemented(w->rep, "file and image columns");
		return;
	}
	if (!c || c->type == T_LOOKUP) {
		api_error(w->rep, 404, E_QUERY, "Resource not found for the segment '%.100s'.",
			  name);
		return;
	}
	if (strcmp(w->req->method, "PUT") && strcmp(w->req->method, "DELETE")) {
		api_error(w->rep, 405, E_QUERY,
			  "The requested resource does not support http method '%s'.",
			  w->req->method);
		return;
	}
	if (!key_find(w->d, t, k)) {
		key_absent(t, k, w->rep);
		return;
	}
	if (!matches(w, t, k->id) || !privilege(w->d, t, "Write", w->rep))
		return;
	cJSON *json = single(w, name);
	if (!json)
		return;
	r = row_new(t);
	store_begin(&w->d->store);
	bool good = payload_row(w, t, json, false, &r, id) && write_row(w, t, k->id, &r, false);
	end(w, good);
	if (good) {
		reply_header(w->rep, "OData-Version", "4.0");
		w->rep->status = 204;
	}
	row_free(t, &r);
	cJSON_Delete(json);
}
