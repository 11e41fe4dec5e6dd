/* advance.c - the clock moves, and what is due happens: late bounces, flips, late opens.
 *
 * POST /_sandbox/advance {"hours":n, "export":false|true|{..}}: the sandbox's clock, which stamps
 * records, messages and events, goes n hours ahead (it goes on by itself, too, unless --clock holds
 * it); what became due is in /_sandbox/events and, on demand, in an export.
 */
#include "simulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void change(struct campaign *c, int64_t id, int status, int failure, int reason, int64_t ms)
{
	/* Sent again: its date is the one it was sent at. */
	sqlite3_stmt *st = store_cached(
	    &c->store, "UPDATE _message SET status=?2, failure=?3, reason=?4, modified_ms=?5,"
		       " event_ms=CASE ?2 WHEN 1 THEN sent_ms ELSE ?5 END, dirty=1 WHERE id=?1");
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int(st, 2, status);
	sqlite3_bind_int(st, 3, failure);
	sqlite3_bind_int(st, 4, reason);
	sqlite3_bind_int64(st, 5, ms);
	store_run(st);
}

static void happen(struct campaign *c, int64_t message, enum due what, int64_t ms)
{
	struct rng r = {c->store.seed ^ (uint64_t)message};

	switch (what) {
	case DUE_HARD:
		change(c, message, FAILED, 2, 1, ms);
		event_add(c, BOUNCE, message, message, ms, "");
		break;
	case DUE_SOFT:
		change(c, message, FAILED, 1, 5, ms);
		break;
	case DUE_SENT:
		change(c, message, SENT, 0, 0, ms);
		break;
	case DUE_CLICK:
	case DUE_OPEN:
		tracking_add(c, message, ms, URL_OPEN, "");
		if (what == DUE_CLICK)
			tracking_add(c, message, ms + 4000, URL_CLICK, url_of(&r));
		break;
	}
}

void due_process(struct campaign *c, int64_t until)
{
	struct store *s = &c->store;

	for (;;) {
		sqlite3_stmt *st =
		    store_cached(s, "SELECT rowid, ms, message, what FROM _due WHERE "
				    "ms<=?1 ORDER BY ms, rowid LIMIT 1");
		sqlite3_bind_int64(st, 1, until);
		if (sqlite3_step(st) != SQLITE_ROW) {
			sqlite3_reset(st);
			return;
		}
		int64_t row = sqlite3_column_int64(st, 0), ms = sqlite3_column_int64(st, 1);
		int64_t message = sqlite3_column_int64(st, 2);
		enum due what = (enum due)sqlite3_column_int(st, 3);
		sqlite3_reset(st);
		happen(c, message, what, ms);
		st = store_cached(s, "DELETE FROM _due WHERE rowid=?1");
		sqlite3_bind_int64(st, 1, row);
		store_run(st);
	}
}

static void move_clock(struct campaign *c, double hours)
{
	struct store *s = &c->store;

	s->clock_offset_ms += (int64_t)(hours * 3600000);
	sqlite3_stmt *st =
	    store_cached(s, "INSERT OR REPLACE INTO _state(name, value) VALUES ('offset', ?1)");
	sqlite3_bind_int64(st, 1, s->clock_offset_ms);
	store_run(st);
}

static bool good(const cJSON *json, char *why, size_t size)
{
	const cJSON *m, *hours = cJSON_GetObjectItemCaseSensitive(json, "hours");

	snprintf(why, size, "the body is {\"hours\":0 to 100000, \"export\":false, true or {..}}");
	if (!cJSON_IsObject(json) || !cJSON_IsNumber(hours) || hours->valuedouble < 0 ||
	    hours->valuedouble > 100000)
		return false;
	cJSON_ArrayForEach(m, json) if (strcmp(m->string, "hours") && strcmp(m->string, "export"))
	{
		return false;
	}
	const cJSON *how = cJSON_GetObjectItemCaseSensitive(json, "export");
	return !how || cJSON_IsBool(how) || (cJSON_IsObject(how) && export_check(how, why, size));
}

void simulator_advance(struct campaign *c, const struct request *req, struct reply *rep)
{
	struct store *s = &c->store;
	cJSON *json = cJSON_Parse(req->body);
	char why[300], now[32];
	struct export_order order = {.files = cJSON_CreateArray()};
	bool ok = good(json, why, sizeof why);
	const cJSON *how = cJSON_GetObjectItemCaseSensitive(json, "export");
	bool export = cJSON_IsTrue(how) || cJSON_IsObject(how);

	if (ok && export && !c->exports) {
		snprintf(why, sizeof why, "there is no --exports DIR");
		ok = false;
	}
	if (ok) {
		int64_t before = store_number(s, "SELECT max(rowid) FROM _event");
		store_exec(s, "BEGIN");
		move_clock(c, cJSON_GetObjectItemCaseSensitive(json, "hours")->valuedouble);
		due_process(c, store_now_ms(s));
		privacy_process(c);
		order.json = cJSON_IsObject(how) ? how : NULL;
		if (export) {
			order.second = export_second(c);
			ok = export_write(c, &order, why, sizeof why);
		}
		store_exec(s, "COMMIT");
		if (ok) {
			cJSON *o = cJSON_CreateObject();
			time_text(store_now_ms(s), now);
			cJSON_AddStringToObject(o, "now", now);
			cJSON_AddItemToObject(o, "events", event_counts(c, before, false));
			cJSON_AddItemToObject(o, "of_contacts", event_counts(c, before, true));
			cJSON_AddNumberToObject(
			    o, "due", (double)store_number(s, "SELECT count(*) FROM _due"));
			cJSON_AddItemToObject(o, "files", order.files);
			acs_reply(rep, 200, o);
		}
	}
	if (!ok) {
		cJSON_Delete(order.files);
		reply_text(rep, 400, "%s", why);
	}
	cJSON_Delete(json);
}
