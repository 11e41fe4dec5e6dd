/* privacy.c - privacy requests, as far as a client that files them needs it.
 *
 * "Creating a privacy request", "Monitoring a privacy request", "Retrieving privacy data files".  A
 * request is new until the technical workflow has seen it: an hour later by the sandbox's clock (see
 * /_sandbox/advance) it is complete or errorDataNotFound, and a delete has then deleted the profiles
 * and what their links take along.  POST /_sandbox/privacy {"name":..,"status":..} sets any status.
 * The one namespace is defaultNamespace1, which is reconciled by email.  v8 has none of this.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000 };

static const struct resource privacy_tool = {.name = "privacyTool",
					     .schema = "nms:privacyTool",
					     .label = "Privacy requests",
					     .singular = "Privacy request",
					     .key = "name"};
static const char columns[] = "SELECT id, created, modified, name, label, type, regulation, "
			      "value, status FROM _privacy";

void privacy_open(struct campaign *c)
{
	store_exec(&c->store,
		   "CREATE TABLE IF NOT EXISTS _privacy (id INTEGER PRIMARY KEY, created INTEGER,"
		   " modified INTEGER, name TEXT UNIQUE, label TEXT, type TEXT, regulation TEXT,"
		   " value TEXT, status TEXT)");
}

static const char *col(sqlite3_stmt *st, int i)
{
	return (const char *)sqlite3_column_text(st, i);
}

static cJSON *request_json(const struct call *call, sqlite3_stmt *st)
{
	cJSON *o = cJSON_CreateObject(), *namespace;
	char base[400], pkey[100], text[600], when[32];

	acs_base(call->req, base, sizeof base);
	store_pkey(&call->c->store, PKEY_PRIVACY, sqlite3_column_int64(st, 0), pkey);
	cJSON_AddStringToObject(o, "PKey", pkey);
	cJSON_AddStringToObject(o, "audit", "");
	time_text(sqlite3_column_int64(st, 1), when);
	cJSON_AddStringToObject(o, "created", when);
	cJSON_AddStringToObject(o, "desc", "");
	snprintf(text, sizeof text, "%s/privacy/privacyTool/%s/gdprRequestData/", base, pkey);
	cJSON_AddStringToObject(cJSON_AddObjectToObject(o, "gdprRequestData"), "href", text);
	snprintf(text, sizeof text, "%s/privacy/privacyTool/%s", base, pkey);
	cJSON_AddStringToObject(o, "href", text);
	cJSON_AddStringToObject(o, "label", col(st, 4));
	time_text(sqlite3_column_int64(st, 2), when);
	cJSON_AddStringToObject(o, "lastModified", when);
	cJSON_AddStringToObject(o, "name", col(st, 3));
	namespace = cJSON_AddObjectToObject(o, "namespace");
	store_pkey(&call->c->store, PKEY_OTHER, 2, pkey);
	cJSON_AddStringToObject(namespace, "PKey", pkey);
	cJSON_AddStringToObject(namespace, "title", "Email (defaultNamespace1)");
	cJSON_AddStringToObject(o, "namespaceName", "defaultNamespace1");
	cJSON_AddStringToObject(o, "reconciliationValue", col(st, 7));
	cJSON_AddStringToObject(o, "regulation", col(st, 6));
	cJSON_AddNumberToObject(o, "retryCount", 0);
	cJSON_AddStringToObject(o, "status", col(st, 8));
	snprintf(text, sizeof text, "%.250s (%.250s)", col(st, 4), col(st, 3));
	cJSON_AddStringToObject(o, "title", text);
	cJSON_AddStringToObject(o, "type", col(st, 5));
	return o;
}

static sqlite3_stmt *by_name(struct store *s, const char *name)
{
	char sql[300];
	snprintf(sql, sizeof sql, "%s WHERE name=?1", columns);
	sqlite3_stmt *st = store_cached(s, sql);
	sqlite3_bind_text(st, 1, name, -1, SQLITE_TRANSIENT);
	return st;
}

static bool good_request(const struct call *call, const cJSON *json)
{
	static const char *const wanted[] = {"name",	   "namespaceName", "reconciliationValue",
					     "regulation", "label",	    "type"};
	const cJSON *m;

	for (int i = 0; i < 6; i++) {
		const char *v = json_text(json, wanted[i]);
		if (!v || !*v || strlen(v) > 200)
			return fail_detail(call, "XTK-170006 A privacy request wants '%s'.",
					   wanted[i]);
	}
	cJSON_ArrayForEach(m, json)
	{
		bool known = false;
		for (int i = 0; i < 6; i++)
			known |= !strcmp(m->string, wanted[i]);
		if (!known)
			return fail_property(call, &privacy_tool, m->string);
	}
	if (strcmp(json_text(json, "namespaceName"), "defaultNamespace1")) {
		struct resource r = {.name = "namespace", .singular = "Namespace"};
		return fail_key(call, &r, json_text(json, "namespaceName"), true);
	}
	const char *type = json_text(json, "type"), *law = json_text(json, "regulation");
	struct field f = {.path = "type"};
	if (strcmp(type, "access") && strcmp(type, "delete"))
		return fail_enumeration(call, &privacy_tool, &f, type);
	snprintf(f.path, sizeof f.path, "regulation");
	if (strcasecmp(law, "gdpr") && strcasecmp(law, "ccpa"))
		return fail_enumeration(call, &privacy_tool, &f, law);
	return true;
}

static void create(const struct call *call)
{
	struct store *s = &call->c->store;
	cJSON *json = acs_body(call, NULL);

	if (json && good_request(call, json)) {
		const char *name = json_text(json, "name");
		sqlite3_stmt *st = by_name(s, name);
		bool taken = sqlite3_step(st) == SQLITE_ROW;
		sqlite3_reset(st);
		if (taken) {
			fail_duplicate(call, &privacy_tool, name);
		} else {
			static const char *const texts[] = {"name", "label", "type", "regulation",
							    "reconciliationValue"};
			st = store_cached(
			    s, "INSERT INTO _privacy(created, modified, name, label, type,"
			       " regulation, value, status) VALUES (?1,?1,?2,?3,?4,?5,?6,'new')");
			sqlite3_bind_int64(st, 1, store_now_ms(s));
			for (int i = 0; i < 5; i++)
				sqlite3_bind_text(st, i + 2, json_text(json, texts[i]), -1,
						  SQLITE_TRANSIENT);
			store_run(st);
			st = by_name(s, name);
			if (sqlite3_step(st) == SQLITE_ROW)
				acs_reply(call->rep, 201, request_json(call, st));
			sqlite3_reset(st);
		}
	}
	cJSON_Delete(json);
}

static void list(const struct call *call)
{
	cJSON *o = cJSON_CreateObject(), *content = cJSON_AddArrayToObject(o, "content");
	sqlite3_stmt *st = store_cached(&call->c->store, columns);

	while (sqlite3_step(st) == SQLITE_ROW)
		cJSON_AddItemToArray(content, request_json(call, st));
	sqlite3_reset(st);
	acs_reply(call->rep, 200, o);
}

/* The profiles that the request is about; {"name":..} asks for the file of one. */
static void data_file(const struct call *call)
{
	struct store *s = &call->c->store;
	cJSON *json = acs_body(call, NULL);
	const char *name = json_text(json, "name");
	char text[16000] = "", value[300] = "", status[60] = "";

	if (!json)
		return;
	sqlite3_stmt *st = by_name(s, name ? name : "");
	if (sqlite3_step(st) == SQLITE_ROW && !strcmp(col(st, 5), "access")) {
		snprintf(value, sizeof value, "%s", col(st, 7));
		snprintf(status, sizeof status, "%s", col(st, 8));
	}
	sqlite3_reset(st);
	if (!*value) {
		fail_key(call, &privacy_tool, name ? name : "", true);
	} else if (strcmp(status, "complete")) {
		fail_detail(call, "The privacy request '%.80s' has no data file: %s.", name,
			    status);
	} else {
		struct resource *r = store_resource(s, "profile", 7);
		struct record rec = record_new(r);
		char sql[32768], all[24000];
		size_t n = (size_t)snprintf(
		    text, sizeof text, "<gdprRequestData>\n  <table name=\"nms:recipient\">\n");
		store_columns(r, all, sizeof all);
		snprintf(sql, sizeof sql, "SELECT %s FROM profile t WHERE email=?1", all);
		st = store_cached(s, sql);
		sqlite3_bind_text(st, 1, value, -1, SQLITE_TRANSIENT);
		while (sqlite3_step(st) == SQLITE_ROW && n < sizeof text - 4000) {
			store_read(r, st, &rec);
			n += (size_t)snprintf(text + n, sizeof text - n, "    <row>");
			for (int i = 0; i < r->count && n < sizeof text - 1000; i++)
				if (*rec.values[i])
					n += (size_t)snprintf(text + n, sizeof text - n,
							      "%s='%.300s'\n\t\t",
							      r->fields[i].path, rec.values[i]);
			n += (size_t)snprintf(text + n, sizeof text - n, "</row>\n");
		}
		sqlite3_reset(st);
		record_free(r, &rec);
		snprintf(text + n, sizeof text - n, "  </table>\n</gdprRequestData>");
		acs_reply(call->rep, 200, cJSON_CreateString(text));
	}
	cJSON_Delete(json);
}

static void one(const struct call *call, const char *pkey)
{
	struct store *s = &call->c->store;
	char sql[300];

	snprintf(sql, sizeof sql, "%s WHERE id=?1", columns);
	sqlite3_stmt *st = store_cached(s, sql);
	sqlite3_bind_int64(st, 1, store_pkey_id(s, PKEY_PRIVACY, pkey));
	if (*pkey == '@' && sqlite3_step(st) == SQLITE_ROW)
		acs_reply(call->rep, 200, request_json(call, st));
	else
		fail_pkey(call, &privacy_tool, pkey, false);
	sqlite3_reset(st);
}

void privacy_answer(const struct call *call, const char *rest)
{
	bool get = is_method(call, "GET"), post = is_method(call, "POST");
	char pkey[400];
	size_t n;

	snprintf(call->rep->route, sizeof call->rep->route, "privacy");
	if (call->c->store.v8 || strncmp(rest, "privacyTool", 11) || !strchr("/", rest[11])) {
		if (!strncmp(rest, "privacyRequestData", 18) && post && !call->c->store.v8)
			data_file(call);
		else
			fail_url(call);
		return;
	}
	rest += 11 + strspn(rest + 11, "/");
	n = strcspn(rest, "/");
	snprintf(pkey, sizeof pkey, "%.*s", (int)(n < 399 ? n : 399), rest);
	rest += n + strspn(rest + n, "/");
	if (!*pkey && (get || post))
		get ? list(call) : create(call);
	else if (*pkey && !*rest && get)
		one(call, pkey);
	else if (post && (!strcmp(rest, "gdprRequestData/") || !strcmp(rest, "gdprRequestData") ||
			  !strcmp(pkey, "privacyRequestData")))
		data_file(call);
	else if (!*rest)
		fail_method(call);
	else
		fail_url(call);
}

/* ---- the technical workflow --------------------------------------------------------------------- */

static long matching(struct campaign *c, const char *email, bool delete)
{
	struct resource *r = store_resource(&c->store, "profile", 7);
	struct record rec = record_new(r);
	sqlite3_stmt *st =
	    store_cached(&c->store, "SELECT _id FROM profile WHERE email=?1 AND _id>?2 LIMIT 1");
	int64_t id = 0;
	long n = 0;

	for (;;) {
		sqlite3_bind_text(st, 1, email, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(st, 2, id);
		bool found = sqlite3_step(st) == SQLITE_ROW;
		id = found ? sqlite3_column_int64(st, 0) : 0;
		sqlite3_reset(st);
		if (!found)
			break;
		n++;
		if (delete &&store_by_id(r, id, &rec))
			link_delete(c, r, &rec);
	}
	record_free(r, &rec);
	return n;
}

void privacy_process(struct campaign *c)
{
	struct store *s = &c->store;
	int64_t now = store_now_ms(s);

	for (;;) {
		sqlite3_stmt *st = store_cached(s, "SELECT id, type, value FROM _privacy WHERE "
						   "status='new' AND created<=?1 LIMIT 1");
		char value[300] = "";
		int64_t id = 0;
		bool delete = false;
		sqlite3_bind_int64(st, 1, now - HOUR_MS);
		if (sqlite3_step(st) == SQLITE_ROW) {
			id = sqlite3_column_int64(st, 0);
			delete = !strcmp(col(st, 1), "delete");
			snprintf(value, sizeof value, "%s", col(st, 2));
		}
		sqlite3_reset(st);
		if (!id)
			return;
		long n = matching(c, value, delete);
		st = store_cached(s, "UPDATE _privacy SET status=?2, modified=?3 WHERE id=?1");
		sqlite3_bind_int64(st, 1, id);
		sqlite3_bind_text(st, 2, n ? "complete" : "errorDataNotFound", -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 3, now);
		store_run(st);
	}
}

void privacy_set(struct campaign *c, const struct request *req, struct reply *rep)
{
	cJSON *json = cJSON_Parse(req->body);
	const char *name = json_text(json, "name"), *status = json_text(json, "status");

	if (name && status && cJSON_GetArraySize(json) == 2) {
		sqlite3_stmt *st =
		    store_cached(&c->store, "UPDATE _privacy SET status=?2 WHERE name=?1");
		sqlite3_bind_text(st, 1, name, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(st, 2, status, -1, SQLITE_TRANSIENT);
		store_run(st);
		rep->status = sqlite3_changes(c->store.db) ? 204 : 404;
	} else {
		reply_text(rep, 400, "%s", "the body is {\"name\":..,\"status\":..}");
	}
	cJSON_Delete(json);
}
