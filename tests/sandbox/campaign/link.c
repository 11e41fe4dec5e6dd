/* link.c - links between records: how they are shown and written, and what a deletion does to them.
 *
 * In a body a link is {"PKey":..}, with a PKey or the raw key of the target ("raw-id in request
 * body"), or the raw key alone.  An object without PKey is ignored by the POST of Standard, which
 * makes the record without the link, and is an error in v8 ("POST with linked resources" of the
 * migration's limitations).  What a deletion does is each link's integrity, in the words of the
 * product's schemas.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool target_of(struct resource *r, const struct field *f, const struct record *rec,
		      struct record *target)
{
	const char *v = rec->values[f->column < 0 ? f - r->fields : f->column];

	if (!*v)
		return false;
	if (f->column < 0)
		return store_by_id(f->target, strtoll(v, NULL, 10), target);
	if (f->target_field == f->target->key_field)
		return store_by_key(f->target, v, target);
	return false;
}

cJSON *link_json(const struct call *call, struct resource *r, const struct field *f,
		 const struct record *rec)
{
	cJSON *o = cJSON_CreateObject();
	struct record target = record_new(f->target);

	if (target_of(r, f, rec, &target)) {
		char pkey[100], href[600], name[400];
		const cJSON *more;
		struct call there = *call;
		there.within = NULL;
		there.root = root_of(f->target, call->root);
		acs_href(&there, f->target, target.id, pkey, href, sizeof href);
		cJSON_AddStringToObject(o, "PKey", pkey);
		cJSON_AddStringToObject(o, "href", href);
		cJSON_ArrayForEach(more, cJSON_GetObjectItemCaseSensitive(f->json, "shows"))
		{
			int i = resource_field(f->target, more->valuestring);
			if (i >= 0)
				cJSON_AddItemToObject(
				    o, more->valuestring,
				    value_json(&f->target->fields[i], target.values[i]));
		}
		cJSON_AddStringToObject(o, "title",
					record_title(f->target, &target, name, sizeof name));
	}
	record_free(f->target, &target);
	return o;
}

void link_value(const struct field *f, const struct record *target, char *out, size_t size)
{
	if (f->column < 0)
		snprintf(out, size, "%lld", (long long)target->id);
	else
		snprintf(out, size, "%s", target->values[f->target_field]);
}

/* The record that a PKey or a raw key names; false after answering. */
static bool find_target(const struct call *call, const struct field *f, const char *id,
			struct record *target)
{
	struct store *s = &call->c->store;

	if (*id == '@') {
		int64_t number = store_pkey_id(s, resource_kind(s, f->target), id);
		return (number && store_by_id(f->target, number, target)) ||
		       fail_pkey(call, f->target, id, true);
	}
	if (!has_key(call->c, f->target))
		return fail_pkey(call, f->target, id, true);
	return store_by_key(f->target, id, target) || fail_key(call, f->target, id, true);
}

bool link_accept(const struct call *call, struct resource *r, const struct field *f, const cJSON *v,
		 bool creating, struct record *rec)
{
	const cJSON *pkey = cJSON_GetObjectItemCaseSensitive(v, "PKey");
	const char *id = cJSON_IsString(v) ? v->valuestring : cJSON_GetStringValue(pkey);
	int column = f->column < 0 ? (int)(f - r->fields) : f->column;
	char value[400];

	if (!id && cJSON_IsObject(v) && creating && !call->c->store.v8)
		return true; /* documented: the link is ignored */
	if (!id && cJSON_IsObject(v))
		return fail_property(call, r, v->child ? v->child->string : f->path);
	if (!id)
		return fail_detail(call, "XTK-170006 The link '%s' of '%s' wants a PKey.", f->path,
				   r->name);
	if (!*id) { /* the link is emptied */
		record_set(r, rec, column, "");
		return true;
	}
	struct record target = record_new(f->target);
	bool found = find_target(call, f, id, &target);
	if (found) {
		link_value(f, &target, value, sizeof value);
		record_set(r, rec, column, value);
	}
	record_free(f->target, &target);
	return found;
}

/* ---- deletions ------------------------------------------------------------------------------- */

/* A record that the link f of r leads from to target, or 0. */
static int64_t referrer(const struct field *f, const struct resource *target,
			const struct record *rec, const struct resource *r)
{
	char value[400];

	link_value(f, rec, value, sizeof value);
	if (!*value)
		return 0;
	sqlite3_bind_text(f->referrers, 1, value, -1, SQLITE_STATIC);
	sqlite3_bind_int64(f->referrers, 2, r == target ? rec->id : 0);
	int64_t id =
	    sqlite3_step(f->referrers) == SQLITE_ROW ? sqlite3_column_int64(f->referrers, 0) : 0;
	sqlite3_reset(f->referrers);
	sqlite3_clear_bindings(f->referrers);
	return id;
}

static bool read_any(struct store *s, struct resource *r, int64_t id, struct record *rec)
{
	char sql[32768], columns[24000];

	store_columns(r, columns, sizeof columns);
	snprintf(sql, sizeof sql, "SELECT %s FROM \"%s\" t WHERE _id=?1", columns, r->name);
	sqlite3_stmt *st = store_cached(s, sql); /* hidden ones, too */
	sqlite3_bind_int64(st, 1, id);
	bool found = sqlite3_step(st) == SQLITE_ROW;
	if (found)
		store_read(r, st, rec);
	sqlite3_reset(st);
	return found;
}

static void let_go(struct campaign *c, struct resource *r, const struct field *f, int64_t id)
{
	struct record rec = record_new(r);

	if (read_any(&c->store, r, id, &rec)) {
		if (f->integrity == I_OWN) {
			link_delete(c, r, &rec);
		} else {
			record_set(r, &rec, f->column < 0 ? (int)(f - r->fields) : f->column, "");
			store_update(r, &rec);
			store_history(&c->store, rec.values[r->key_field], "UNLINK", r->name, "{}");
		}
	}
	record_free(r, &rec);
}

bool link_delete(struct campaign *c, struct resource *target, const struct record *rec)
{
	struct store *s = &c->store;

	for (int i = 0; i < s->count; i++)
		for (int k = 0; k < s->resources[i].count; k++) {
			const struct field *f = &s->resources[i].fields[k];
			if (f->kind == K_LINK && f->target == target && f->integrity == I_DEFINE &&
			    referrer(f, target, rec, &s->resources[i]))
				return false;
		}
	store_delete(target, rec->id);
	store_history(s, rec->values[target->key_field], "DELETE", target->name, "{}");
	for (int i = 0; i < s->count; i++)
		for (int k = 0; k < s->resources[i].count; k++) {
			struct resource *r = &s->resources[i];
			const struct field *f = &r->fields[k];
			int64_t id;
			if (f->kind != K_LINK || f->target != target ||
			    (f->integrity != I_OWN && f->integrity != I_NORMAL))
				continue;
			while ((id = referrer(f, target, rec, r)))
				let_go(c, r, f, id);
		}
	return true;
}
