/* history.c - the marketing history of a profile: what was sent to it, and the mirror pages.
 *
 * "Interacting with marketing history"; byEmail and the counts are seen in clients only.  v8 has
 * none of this ("Available APIs" of the migration's limitations).
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char messages[] = "SELECT m.id, m.event_ms, d.label, d.name FROM _message m JOIN "
			       "_delivery d ON d.id=m.delivery WHERE m.profile=?1";

static long message_count(struct store *s, int64_t profile)
{
	sqlite3_stmt *st = store_cached(s, "SELECT count(*) FROM _message WHERE profile=?1");
	sqlite3_bind_int64(st, 1, profile);
	long n = sqlite3_step(st) == SQLITE_ROW ? (long)sqlite3_column_int64(st, 0) : 0;
	sqlite3_reset(st);
	return n;
}

static void show(const struct call *call, struct resource *r, const struct record *rec)
{
	static const char *const names[] = {"birthDate", "email", "firstName", "lastName"};
	cJSON *o = cJSON_CreateObject();
	char base[400], pkey[100], text[700];

	acs_base(call->req, base, sizeof base);
	store_pkey(&call->c->store, resource_kind(&call->c->store, r), rec->id, pkey);
	cJSON_AddStringToObject(o, "PKey", pkey);
	for (int i = 0; i < 4; i++)
		cJSON_AddStringToObject(o, names[i], rec->values[resource_field(r, names[i])]);
	cJSON_AddNumberToObject(o, "countBroadLogEvents",
				(double)message_count(&call->c->store, rec->id));
	cJSON *events = cJSON_AddObjectToObject(o, "events");
	snprintf(text, sizeof text, "%s/profileAndServices/history/%s/events/", base, pkey);
	cJSON_AddStringToObject(events, "href", text);
	cJSON_AddStringToObject(events, "metadata", "subHisto");
	acs_reply(call->rep, 200, o);
}

static cJSON *event_json(const struct call *call, struct resource *r, int64_t profile,
			 sqlite3_stmt *st)
{
	cJSON *o = cJSON_CreateObject();
	char base[400], pkey[100], event[100], href[800], text[900], when[32];

	acs_base(call->req, base, sizeof base);
	store_pkey(&call->c->store, resource_kind(&call->c->store, r), profile, pkey);
	store_pkey(&call->c->store, PKEY_EVENT, sqlite3_column_int64(st, 0), event);
	snprintf(href, sizeof href, "%s/profileAndServices/history/%s/events/%s", base, pkey,
		 event);
	cJSON_AddStringToObject(o, "PKey", event);
	cJSON_AddStringToObject(o, "category", "email");
	time_text(sqlite3_column_int64(st, 1), when);
	cJSON_AddStringToObject(o, "date", when);
	cJSON_AddStringToObject(o, "href", href);
	cJSON_AddStringToObject(o, "label", (const char *)sqlite3_column_text(st, 2));
	cJSON_AddStringToObject(o, "metadata", "broadLog");
	snprintf(text, sizeof text, "%s/mirrorPage/", href);
	cJSON_AddStringToObject(cJSON_AddObjectToObject(o, "mirrorPage"), "href", text);
	cJSON_AddStringToObject(o, "type", "outbound");
	return o;
}

static void events(const struct call *call, struct resource *r, const struct record *rec)
{
	cJSON *o = cJSON_CreateObject(), *content = cJSON_AddArrayToObject(o, "content");
	char sql[400];

	snprintf(sql, sizeof sql, "%s ORDER BY m.id LIMIT 1000", messages);
	sqlite3_stmt *st = store_cached(&call->c->store, sql);
	sqlite3_bind_int64(st, 1, rec->id);
	while (sqlite3_step(st) == SQLITE_ROW)
		cJSON_AddItemToArray(content, event_json(call, r, rec->id, st));
	sqlite3_reset(st);
	acs_reply(call->rep, 200, o);
}

static void event(const struct call *call, struct resource *r, const struct record *rec,
		  const char *pkey, bool mirror)
{
	char sql[400];
	struct resource log = {
	    .name = "events", .schema = "nms:broadLogRcp", .label = "Delivery logs"};

	snprintf(sql, sizeof sql, "%s AND m.id=?2", messages);
	sqlite3_stmt *st = store_cached(&call->c->store, sql);
	sqlite3_bind_int64(st, 1, rec->id);
	sqlite3_bind_int64(st, 2, store_pkey_id(&call->c->store, PKEY_EVENT, pkey));
	if (sqlite3_step(st) != SQLITE_ROW) {
		fail_pkey(call, &log, pkey, false);
	} else if (mirror) {
		reply_header(call->rep, "Content-Type", "text/html; charset=utf-8");
		reply_text(call->rep, 200,
			   "<html><body><p>Mirror page of delivery %s</p></body></html>",
			   (const char *)sqlite3_column_text(st, 3));
	} else {
		acs_reply(call->rep, 200, event_json(call, r, rec->id, st));
	}
	sqlite3_reset(st);
}

/* rest: <PKey>[/events[/<PKey>[/mirrorPage]]] or byEmail */
void history_answer(const struct call *call, const char *rest)
{
	struct resource *r = store_resource(&call->c->store, "profile", 7);
	struct record rec = record_new(r);
	char part[4][400] = {""};
	int n = 0;

	snprintf(call->rep->route, sizeof call->rep->route, "history");
	for (rest += strspn(rest, "/"); *rest && n < 4; rest += strspn(rest, "/")) {
		size_t len = strcspn(rest, "/");
		snprintf(part[n++], sizeof part[0], "%.*s", (int)(len < 399 ? len : 399), rest);
		rest += len;
	}
	if (call->c->store.v8 || !n || *rest || (n >= 2 && strcmp(part[1], "events")) ||
	    (n == 4 && strcmp(part[3], "mirrorPage"))) {
		fail_url(call);
	} else if (!is_method(call, "GET")) {
		fail_method(call);
	} else if (n == 1 && !strcmp(part[0], "byEmail")) {
		struct query q = {.where = ""};
		if (filter_apply(call, r, "byEmail", &q) == 1) {
			sqlite3_stmt *st = store_cached(
			    &call->c->store, "SELECT _id FROM profile WHERE email=?1 LIMIT 1");
			sqlite3_bind_text(st, 1, q.bound[0], -1, SQLITE_STATIC);
			int64_t id =
			    sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
			sqlite3_reset(st);
			sqlite3_clear_bindings(st);
			if (id && store_by_id(r, id, &rec))
				show(call, r, &rec);
			else
				fail_key(call, r, q.bound[0], false);
		}
		query_free(&q);
	} else if (record_find(call, r, part[0], &rec)) {
		if (n == 1)
			show(call, r, &rec);
		else if (n == 2)
			events(call, r, &rec);
		else
			event(call, r, &rec, part[2], n == 4);
	}
	record_free(r, &rec);
}
