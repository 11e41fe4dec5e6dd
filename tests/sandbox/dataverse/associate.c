/* associate.c - links between rows that exist: POST, PUT and DELETE of a navigation property's $ref.
 *
 * Facts: "Associate and disassociate table rows using the Web API", "Web API navigation
 * properties".  An N:N link is a row of the intersect table, which nothing else can write.
 */
#include "write.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The row of the intersect table that links both, "" when there is none. */
static void find_link(struct write *w, const struct nav *nav, const char *id, const char *target,
		      char link[37])
{
	char sql[500];

	snprintf(sql, sizeof sql, "SELECT \"%s\" FROM \"%s\" WHERE \"%s\"=? AND \"%s\"=?",
		 nav->intersect->id, nav->intersect->name, nav->column->name, nav->other->name);
	sqlite3_stmt *st = store_statement(&w->d->store, sql);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, target, -1, SQLITE_STATIC);
	bool found = sqlite3_step(st) == SQLITE_ROW;
	snprintf(link, 37, "%s", found ? (const char *)sqlite3_column_text(st, 0) : "");
	store_release(st);
}

static void set(struct table *t, struct row *r, const struct column *c, const char *id,
		const struct table *target)
{
	int i = (int)(c - t->columns);

	r->given[i] = true;
	r->values[i] = id ? strdup(id) : NULL;
	r->targets[i] = id ? strdup(target->name) : NULL;
}

/* The lookup of a row is set, or cleared with target NULL. */
static bool point(struct write *w, struct table *t, const char *row, const struct column *c,
		  const char *id, const struct table *target)
{
	struct row r = row_new(t);
	bool good = !c->read_only;

	if (!good)
		api_error(w->rep, 400, E_PAYLOAD, "The property '%s' of '%s' cannot be written.",
			  c->property, t->name);
	set(t, &r, c, id, target);
	good = good && write_row(w, t, row, &r, false);
	row_free(t, &r);
	return good;
}

bool associate_link(struct write *w, const struct nav *nav, const char *id, const char *target)
{
	char link[37];

	if (nav->kind == NAV_MANY)
		return point(w, nav->target, target, nav->column, id, nav->table);
	if (nav->kind == NAV_ONE)
		return point(w, nav->table, id, nav->column, target, nav->target);
	find_link(w, nav, id, target, link);
	if (*link) {
		api_error(w->rep, 412, E_DUPLICATE, "Cannot insert duplicate key.");
		return false;
	}
	struct row r = row_new(nav->intersect);
	set(nav->intersect, &r, nav->column, id, nav->table);
	set(nav->intersect, &r, nav->other, target, nav->target);
	payload_new_id(w->d, link);
	store_write(&w->d->store, nav->intersect, link, &r, true, "ASSOCIATE");
	row_free(nav->intersect, &r);
	return true;
}

static bool unlink_(struct write *w, const struct nav *nav, const char *id, const char *target)
{
	char link[37] = "";

	if (nav->kind == NAV_MANY_TO_MANY) {
		find_link(w, nav, id, target, link);
	} else {
		char sql[400];
		snprintf(sql, sizeof sql, "SELECT 1 FROM \"%s\" WHERE \"%s\"=? AND \"%s\"=?",
			 nav->target->name, nav->target->id, nav->column->name);
		sqlite3_stmt *st = store_statement(&w->d->store, sql);
		sqlite3_bind_text(st, 1, target, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, id, -1, SQLITE_STATIC);
		if (sqlite3_step(st) == SQLITE_ROW)
			snprintf(link, sizeof link, "%s", target);
		store_release(st);
	}
	if (!*link) { /* what the product says to rows that are not linked is not documented */
		api_error(w->rep, 404, E_NOT_FOUND, "%s With Id = %s Does Not Exist",
			  nav->target->name, target);
		return false;
	}
	if (nav->kind == NAV_MANY)
		return point(w, nav->target, target, nav->column, NULL, NULL);
	store_delete(&w->d->store, nav->intersect, link);
	return true;
}

/* The other row's address: "@odata.id" of the body. */
static bool from_body(struct write *w, const struct nav *nav, char target[37])
{
	cJSON *json = payload_body(w);
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(json, "@odata.id");
	struct table *t = NULL;
	bool good = json != NULL;

	if (good && (!cJSON_IsString(id) || cJSON_GetArraySize(json) != 1)) {
		const cJSON *odd = json->child;
		while (odd && (odd == id || !strcmp(odd->string, "@odata.context")))
			odd = odd->next;
		if (odd || !cJSON_IsString(id)) {
			api_error(w->rep, 400, E_PAYLOAD,
				  "The body of a reference is {\"@odata.id\": \"URL of a row\"}.");
			good = false;
		}
	}
	good = good && payload_address(w, id->valuestring, "@odata.id", &t, target);
	if (good && t != nav->target) {
		api_error(w->rep, 400, E_PAYLOAD, "'%s' leads to '%s', not to '%s'.", nav->name,
			  nav->target->name, t->name);
		good = false;
	}
	cJSON_Delete(json);
	return good;
}

/* Which row to unlink: in parentheses, or ?$id= of a URL. */
static bool from_url(struct write *w, const struct nav *nav, const char *key, char target[37])
{
	struct table *t = NULL;

	if (key) {
		struct key k;
		if (!key_parse(w->d, nav->target, key, key_length(key), true, &k, w->rep))
			return false;
		bool found = key_find(w->d, nav->target, &k);
		if (!found)
			key_absent(nav->target, &k, w->rep);
		snprintf(target, 37, "%s", k.id);
		key_free(&k);
		return found;
	}
	char *id = query_get(w->req, "$id");
	bool good = id != NULL;
	if (!good)
		api_error(w->rep, 400, E_QUERY,
			  "Which row to disassociate from the collection '%s' is not said: use "
			  "%s(key)/$ref or %s/$ref?$id=URL.",
			  nav->name, nav->name, nav->name);
	good = good && payload_address(w, id, "$id", &t, target);
	free(id);
	if (good && t != nav->target) {
		api_error(w->rep, 400, E_QUERY, "'%s' leads to '%s', not to '%s'.", nav->name,
			  nav->target->name, t->name);
		good = false;
	}
	return good;
}

/* A property whose name several targets share is that of the row that is named. */
static void choose_target(struct write *w, struct nav *nav, const char *name, size_t len)
{
	cJSON *json = value_parse(w->req->body, w->req->body_len);
	const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "@odata.id"));
	struct nav other;

	for (int i = 0; id && nav_at(&w->d->store, nav->table, i, &other); i++) {
		char set[170];
		snprintf(set, sizeof set, "%s(", other.target->set);
		if (other.kind == NAV_ONE && other.column == nav->column &&
		    strlen(other.name) == len && !strncmp(other.name, name, len) &&
		    strstr(id, set)) {
			*nav = other;
			break;
		}
	}
	cJSON_Delete(json);
}

static bool change(struct write *w, struct nav *nav, struct key *k, const char *key)
{
	bool delete = !strcmp(w->req->method, "DELETE");
	char target[37];

	if (!delete)
		return from_body(w, nav, target) && associate_link(w, nav, k->id, target);
	if (nav->kind == NAV_ONE)
		return point(w, nav->table, k->id, nav->column, NULL, NULL);
	return from_url(w, nav, key, target) && unlink_(w, nav, k->id, target);
}

void associate(struct write *w, struct table *t, struct key *k, const char *rest)
{
	size_t n = strcspn(rest, "(/");
	const char *key = rest[n] == '(' ? rest + n + 1 : NULL;
	size_t len = key ? key_length(key) : 0;
	const char *end = !key ? rest + n : len == SIZE_MAX ? "" : key + len + 1;
	const char *method = w->req->method;
	struct nav nav;

	if (!nav_find(&w->d->store, t, rest, n, &nav) || strcmp(end, "/$ref")) {
		api_error(w->rep, 404, E_QUERY, "Resource not found for the segment '%.*s'.",
			  n < 100 ? (int)n : 100, rest);
		return;
	}
	bool one = nav.kind == NAV_ONE;
	if (!strcmp(method, "DELETE") ? one && key : key || strcmp(method, one ? "PUT" : "POST")) {
		if (!one && !key && !strcmp(method, "PUT"))
			api_not_implemented(w->rep, "replacing a whole collection with PUT");
		else
			api_error(w->rep, 405, E_QUERY,
				  "The requested resource does not support http method '%s'.",
				  method);
		return;
	}
	if (!key_find(w->d, t, k)) {
		key_absent(t, k, w->rep);
		return;
	}
	if (!privilege(w->d, t, "Append", w->rep) ||
	    !privilege(w->d, nav.target, "AppendTo", w->rep))
		return;
	if (one && strcmp(method, "DELETE"))
		choose_target(w, &nav, rest, n);
	store_begin(&w->d->store);
	bool good = change(w, &nav, k, key);
	store_end(&w->d->store, good);
	if (good) {
		reply_header(w->rep, "OData-Version", "4.0");
		w->rep->status = 204;
	}
}
