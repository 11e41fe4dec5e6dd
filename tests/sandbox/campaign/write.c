/* write.c - POST, PATCH and DELETE of records.
 *
 * "Creating profiles", "Updating profiles", "Verbs", "Must-read" (a custom key cannot be changed),
 * and "PATCH operations" and the errors of the migration's limitations.  POST answers 201 with the
 * whole record, PATCH 200 with PKey and href alone, DELETE 200; v8 answers 204 to a PATCH without a
 * body and refuses items of location.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a body changes. */
struct change {
	struct record *rec;
	bool *given;
	bool creating;
	const char *pkey; /* the body's own PKey */
};

static bool is_group(const struct resource *r, const char *path)
{
	size_t n = strlen(path);
	for (int k = 0; k < r->count; k++)
		if (!strncmp(r->fields[k].path, path, n) && r->fields[k].path[n] == '.')
			return true;
	return false;
}

static bool take(const struct call *call, struct resource *r, const cJSON *json, const char *prefix,
		 struct change *x);

static bool take_member(const struct call *call, struct resource *r, const cJSON *m,
			const char *prefix, struct change *x)
{
	char path[220];

	if (!*prefix && !strcmp(m->string, "PKey") && cJSON_IsString(m)) {
		x->pkey = m->valuestring;
		return true;
	}
	snprintf(path, sizeof path, "%s%s%.99s", prefix, *prefix ? "." : "", m->string);
	int i = resource_field(r, path);
	if (i < 0 && cJSON_IsObject(m) && !*prefix && is_group(r, path)) {
		if (call->c->store.v8 && !x->creating)
			return fail_property(call, r, m->child ? m->child->string : path);
		return take(call, r, m, path, x);
	}
	if (i < 0 || !field_shown(call, &r->fields[i]))
		return fail_property(call, r, path);
	struct field *f = &r->fields[i];
	if (f->read_only || f->kind == K_COLLECTION)
		return fail_read_only(call, r, path);
	x->given[i] = true;
	if (f->kind == K_LINK)
		return link_accept(call, r, f, m, x->creating, x->rec);
	char *v = value_accept(call, r, f, m);
	if (!v)
		return false;
	free(x->rec->values[i]);
	x->rec->values[i] = v;
	return true;
}

static bool take(const struct call *call, struct resource *r, const cJSON *json, const char *prefix,
		 struct change *x)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, json) if (!take_member(call, r, m, prefix, x))
	{
		return false;
	}
	return true;
}

/* created, lastModified, and the stamp of each flag that really changed. */
static void stamp(const struct call *call, const struct resource *r, struct record *rec,
		  const struct record *before, const bool *given)
{
	char now[32];
	time_text(store_now_ms(&call->c->store), now);
	if (!before)
		record_set(r, rec, resource_field(r, "created"), now);
	record_set(r, rec, resource_field(r, "lastModified"), now);
	for (int i = 0; i < r->count; i++)
		if (r->fields[i].stamp && given[i] &&
		    strcmp(rec->values[i], before ? before->values[i] : "false"))
			record_set(r, rec, resource_field(r, r->fields[i].stamp), now);
}

/* ---- POST --------------------------------------------------------------------------------------- */

static void defaults(struct resource *r, struct record *rec)
{
	for (int i = 0; i < r->count; i++) {
		const char *value = json_text(r->fields[i].json, "default");
		if (value)
			record_set(r, rec, i, value);
	}
}

/* Fields that show a value of the target at the time: "copies": {link: field there}. */
static void copies(struct resource *r, struct record *rec)
{
	for (int i = 0; i < r->count; i++) {
		const cJSON *from = cJSON_GetObjectItemCaseSensitive(r->fields[i].json, "copies");
		int link = from && from->child ? resource_field(r, from->child->string) : -1;
		if (link < 0 || r->fields[link].kind != K_LINK || r->fields[link].column >= 0)
			continue;
		struct field *f = &r->fields[link];
		struct record target = record_new(f->target);
		int there = resource_field(f->target, from->child->valuestring);
		if (there >= 0 &&
		    store_by_id(f->target, strtoll(rec->values[link], NULL, 10), &target))
			record_set(r, rec, i, target.values[there]);
		record_free(f->target, &target);
	}
}

/* "unique": fields that no two records share, beside the key. */
static bool is_twin(struct store *s, struct resource *r, const struct record *rec)
{
	const cJSON *unique = cJSON_GetObjectItemCaseSensitive(r->json, "unique"), *one;
	char sql[600];
	int n = snprintf(sql, sizeof sql, "SELECT 1 FROM \"%s\" WHERE 1", r->name), k = 0;

	if (!unique)
		return false;
	cJSON_ArrayForEach(one, unique) n +=
	    snprintf(sql + n, sizeof sql - (size_t)n, " AND \"%s\"=?", one->valuestring);
	sqlite3_stmt *st = store_cached(s, sql);
	cJSON_ArrayForEach(one, unique)
	{
		int i = resource_field(r, one->valuestring);
		sqlite3_bind_text(st, ++k, i < 0 ? "" : rec->values[i], -1, SQLITE_STATIC);
	}
	bool found = sqlite3_step(st) == SQLITE_ROW;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return found;
}

static bool all_there(const struct call *call, struct resource *r, const struct record *rec)
{
	for (int i = 0; i < r->count; i++)
		if (json_flag(r->fields[i].json, "mandatory") && !*rec->values[i])
			return fail_detail(call,
					   "XTK-170006 The '%s' attribute of '%s' is mandatory.",
					   r->fields[i].path, r->name);
	return true;
}

static void insert(const struct call *call, struct resource *r, struct record *rec,
		   const bool *given)
{
	struct store *s = &call->c->store;
	char key[300];

	snprintf(key, sizeof key, "%s", rec->values[r->key_field]);
	if (!*key && r->generated_key) {
		snprintf(key, sizeof key, "%s%ld", r->generated_key, r->rows + 1);
		for (long n = r->rows + 2; store_key_taken(r, key); n++)
			snprintf(key, sizeof key, "%s%ld", r->generated_key, n);
		record_set(r, rec, r->key_field, key);
	}
	if ((!r->nested && has_key(call->c, r) && *key && store_key_taken(r, key)) ||
	    is_twin(s, r, rec)) {
		fail_duplicate(call, r, key);
		return;
	}
	stamp(call, r, rec, NULL, given);
	store_insert(s, r, rec);
	store_history(s, key, "POST", r->name, call->req->body);
	acs_reply(call->rep, 201, record_json(call, r, rec, true));
}

void write_create(const struct call *call, struct resource *r, int preset_field, const char *preset)
{
	cJSON *json = acs_body(call, NULL);
	struct record rec = record_new(r);
	bool *given = calloc((size_t)r->count, sizeof *given);
	struct change x = {.rec = &rec, .given = given, .creating = true};

	defaults(r, &rec);
	if (json && take(call, r, json, "", &x)) {
		if (preset_field >= 0)
			record_set(r, &rec, preset_field, preset);
		if (x.pkey && *x.pkey == '@')
			fail_pkey(call, r, x.pkey, true);
		else if (x.pkey)
			fail_key(call, r, x.pkey, true);
		else if (all_there(call, r, &rec)) {
			copies(r, &rec);
			insert(call, r, &rec, given);
		}
	}
	record_free(r, &rec);
	free(given);
	cJSON_Delete(json);
}

/* ---- PATCH -------------------------------------------------------------------------------------- */

/* The key may not change; by which error that is told depends on how the record was addressed. */
static bool same_key(const struct call *call, struct resource *r, const char *id, const char *from,
		     const char *to)
{
	if (!strcmp(from, to) || !has_key(call->c, r))
		return true;
	if (*id != '@')
		return fail_key_change(call, r, from, to);
	if (*to && store_key_taken(r, to))
		return fail_duplicate(call, r, to);
	return !*from || fail_key_change(call, r, from, to);
}

/* The body's PKey must name the same record. */
static bool same_record(const struct call *call, struct resource *r, const char *id,
			const struct record *rec, const char *pkey)
{
	struct store *s = &call->c->store;

	if (!pkey)
		return true;
	if (*pkey != '@')
		return same_key(call, r, id, rec->values[r->key_field], pkey);
	int64_t other = store_pkey_id(s, resource_kind(s, r), pkey);
	if (!other)
		return fail_pkey(call, r, pkey, true);
	return other == rec->id || fail_key_change(call, r, id, pkey);
}

static void answer_patch(const struct call *call, struct resource *r, const struct record *rec)
{
	char pkey[100], href[600];
	cJSON *o = cJSON_CreateObject();

	acs_href(call, r, rec->id, pkey, href, sizeof href);
	cJSON_AddStringToObject(o, "PKey", pkey);
	cJSON_AddStringToObject(o, "href", href);
	acs_reply(call->rep, 200, o);
}

static void change(const struct call *call, struct resource *r, const char *id, struct record *rec,
		   const cJSON *json)
{
	struct record before = record_new(r);
	bool *given = calloc((size_t)r->count, sizeof *given);
	struct change x = {.rec = rec, .given = given};
	int key = r->key_field;

	for (int i = 0; i < r->count; i++)
		record_set(r, &before, i, rec->values[i]);
	before.id = rec->id;
	if (take(call, r, json, "", &x) && same_record(call, r, id, &before, x.pkey) &&
	    same_key(call, r, id, before.values[key], rec->values[key])) {
		stamp(call, r, rec, &before, given);
		store_update(r, rec);
		store_history(&call->c->store, rec->values[key], "PATCH", r->name, call->req->body);
		answer_patch(call, r, rec);
	}
	record_free(r, &before);
	free(given);
}

void write_patch(const struct call *call, struct resource *r, const char *id)
{
	struct record rec = record_new(r);
	bool empty = false;
	cJSON *json = NULL;

	if (record_find(call, r, id, &rec)) {
		json = acs_body(call, &empty);
		empty |= json && !json->child;
		if (empty && call->c->store.v8)
			call->rep->status = 204;
		else if (empty)
			answer_patch(call, r, &rec);
		else if (json)
			change(call, r, id, &rec, json);
	}
	record_free(r, &rec);
	cJSON_Delete(json);
}

void write_delete(const struct call *call, struct resource *r, const char *id)
{
	struct record rec = record_new(r);

	if (record_find(call, r, id, &rec)) {
		if (!link_delete(call->c, r, &rec)) {
			fail_detail(call,
				    "PGS-220000 The record of '%s' is still referenced and cannot "
				    "be deleted.",
				    r->name);
		} else if (r->nested) {
			call->rep->status = 204;
		} else {
			reply_header(call->rep, "Content-Type", "application/json");
			reply_text(call->rep, 200, "%s", "");
		}
	}
	record_free(r, &rec);
}
