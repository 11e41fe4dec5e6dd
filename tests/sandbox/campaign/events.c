/* events.c - what really happened, for comparing: sends, opens, clicks, bounces.
 *
 * GET /_sandbox/events             all, in the order in which they happened to be simulated
 *     ?after=SEQ&limit=N           a part of them; SEQ is the "seq" of the last one had
 *     ?count=true                  {"send":n,"open":n,"click":n,"bounce":n} alone
 *     ?delivery=NAME               of one delivery
 * "exported" says whether an export has shown the event yet.
 */
#include "simulator.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const event_kinds[KINDS] = {"send", "open", "click", "bounce"};

bool is_contact(const char *s)
{
	if (strlen(s) != 36)
		return false;
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	}
	return true;
}

void event_add(struct campaign *c, int kind, int64_t log, int64_t message, int64_t ms,
	       const char *url)
{
	sqlite3_stmt *st = store_cached(
	    &c->store, "INSERT INTO _event(kind, log, message, ms, url) VALUES (?,?,?,?,?)");

	sqlite3_bind_int(st, 1, kind);
	sqlite3_bind_int64(st, 2, log);
	sqlite3_bind_int64(st, 3, message);
	sqlite3_bind_int64(st, 4, ms);
	sqlite3_bind_text(st, 5, url, -1, SQLITE_STATIC);
	store_run(st);
}

cJSON *event_counts(struct campaign *c, int64_t after, bool of_contacts)
{
	sqlite3_stmt *st = store_cached(
	    &c->store, "SELECT e.kind, count(*), sum(m.contact) FROM _event e JOIN _message m ON "
		       "m.id=e.message WHERE e.rowid>? GROUP BY e.kind");
	double n[KINDS] = {0};
	cJSON *o = cJSON_CreateObject();

	sqlite3_bind_int64(st, 1, after);
	while (sqlite3_step(st) == SQLITE_ROW)
		n[sqlite3_column_int(st, 0) % KINDS] =
		    sqlite3_column_double(st, of_contacts ? 2 : 1);
	sqlite3_reset(st);
	for (int i = 0; i < KINDS; i++)
		cJSON_AddNumberToObject(o, event_kinds[i], n[i]);
	return o;
}

static void put_text(FILE *f, const char *name, const char *s)
{
	fprintf(f, ",\"%s\":\"", name);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		if ((unsigned char)*s < ' ')
			fprintf(f, "\\u%04x", *s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

static int64_t number_of(const struct request *req, const char *name, int64_t otherwise)
{
	char *v = query_get(req, name), *end;
	int64_t n = v ? strtoll(v, &end, 10) : otherwise;

	if (v && (!*v || *end || n < 0))
		n = -1;
	free(v);
	return n;
}

void simulator_events(struct campaign *c, const struct request *req, struct reply *rep)
{
	char *count = query_get(req, "count"), *delivery = query_get(req, "delivery");
	int64_t after = number_of(req, "after", 0), limit = number_of(req, "limit", INT64_MAX);
	char *body = NULL, when[32];
	size_t len = 0;
	FILE *f;

	if (after < 0 || limit < 0) {
		reply_text(rep, 400, "%s", "after and limit are numbers");
	} else if (count) {
		acs_reply(rep, 200, event_counts(c, after, false));
	} else if ((f = open_memstream(&body, &len))) {
		/* Text by hand: a million events are no tree in memory. */
		sqlite3_stmt *st = store_cached(
		    &c->store,
		    "SELECT e.rowid, e.kind, e.log, m.external, e.ms, d.name, d.campaign, e.url,"
		    " CASE e.kind WHEN 0 THEN m.seen&1 WHEN 3 THEN m.seen&2 ELSE (SELECT seen FROM"
		    " _tracking t WHERE t.id=e.log) END FROM _event e JOIN _message m ON"
		    " m.id=e.message JOIN _delivery d ON d.id=m.delivery WHERE e.rowid>?1 AND"
		    " (?3 IS NULL OR d.name=?3) ORDER BY e.rowid LIMIT ?2");
		const char *comma = "[";
		sqlite3_bind_int64(st, 1, after);
		sqlite3_bind_int64(st, 2, limit);
		if (delivery)
			sqlite3_bind_text(st, 3, delivery, -1, SQLITE_STATIC);
		while (sqlite3_step(st) == SQLITE_ROW) {
			fprintf(f, "%s{\"seq\":%lld,\"kind\":\"%s\",\"log\":\"%lld\"", comma,
				sqlite3_column_int64(st, 0),
				event_kinds[sqlite3_column_int(st, 1) % KINDS],
				sqlite3_column_int64(st, 2));
			put_text(f, "externalId", (const char *)sqlite3_column_text(st, 3));
			time_text(sqlite3_column_int64(st, 4), when);
			put_text(f, "time", when);
			put_text(f, "delivery", (const char *)sqlite3_column_text(st, 5));
			put_text(f, "campaign", (const char *)sqlite3_column_text(st, 6));
			put_text(f, "url", (const char *)sqlite3_column_text(st, 7));
			fprintf(f, ",\"exported\":%s}",
				sqlite3_column_int(st, 8) ? "true" : "false");
			comma = ",";
		}
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
		fprintf(f, "%s]", *comma == '[' ? "[" : "");
		fclose(f);
		reply_header(rep, "Content-Type", "application/json");
		rep->body = body;
		rep->body_len = len;
		rep->status = 200;
	}
	free(count);
	free(delivery);
}
