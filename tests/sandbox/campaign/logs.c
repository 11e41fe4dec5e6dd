/* logs.c - the simulator's tables: messages, reactions, what is due; and profiles that never came
 * from Dynamics.
 */
#include "simulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void simulator_open(struct campaign *c)
{
	store_exec(
	    &c->store,
	    "CREATE TABLE IF NOT EXISTS _delivery (id INTEGER PRIMARY KEY, name TEXT, label TEXT,"
	    " campaign TEXT, campaignLabel TEXT);"
	    /* contact: the external id is a GUID. dirty: 1 to be exported, 2 held back once.
	     * seen: what exports have shown, 1 Sent, 2 bounced. */
	    "CREATE TABLE IF NOT EXISTS _message (id INTEGER PRIMARY KEY, delivery INTEGER,"
	    " profile INTEGER, external TEXT, address TEXT, contact INTEGER, status INTEGER,"
	    " failure INTEGER, reason INTEGER, test INTEGER, sent_ms INTEGER, event_ms INTEGER,"
	    " modified_ms INTEGER, dirty INTEGER DEFAULT 1, seen INTEGER DEFAULT 0);"
	    "CREATE INDEX IF NOT EXISTS _message_profile ON _message(profile);"
	    "CREATE INDEX IF NOT EXISTS _message_delivery ON _message(delivery);"
	    "CREATE INDEX IF NOT EXISTS _message_dirty ON _message(dirty) WHERE dirty>0;"
	    "CREATE INDEX IF NOT EXISTS _message_modified ON _message(modified_ms);"
	    "CREATE TABLE IF NOT EXISTS _tracking (id INTEGER PRIMARY KEY, message INTEGER,"
	    " ms INTEGER, type INTEGER, url TEXT, dirty INTEGER DEFAULT 1,"
	    " seen INTEGER DEFAULT 0);"
	    "CREATE INDEX IF NOT EXISTS _tracking_dirty ON _tracking(dirty) WHERE dirty>0;"
	    "CREATE INDEX IF NOT EXISTS _tracking_ms ON _tracking(ms);"
	    "CREATE TABLE IF NOT EXISTS _event (kind INTEGER, log INTEGER, message INTEGER,"
	    " ms INTEGER, url TEXT);"
	    "CREATE TABLE IF NOT EXISTS _due (ms INTEGER, message INTEGER, what INTEGER);"
	    "CREATE INDEX IF NOT EXISTS _due_ms ON _due(ms)");
}

void message_add(struct campaign *c, const struct message *m)
{
	sqlite3_stmt *st = store_cached(
	    &c->store,
	    "INSERT INTO _message(id, delivery, profile, external, address, contact, status,"
	    " failure, reason, test, sent_ms, event_ms, modified_ms) VALUES "
	    "(?,?,?,?,?,?,?,?,?,?,?,?,?)");

	sqlite3_bind_int64(st, 1, m->id);
	sqlite3_bind_int64(st, 2, m->delivery);
	sqlite3_bind_int64(st, 3, m->profile);
	sqlite3_bind_text(st, 4, m->external, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 5, m->address, -1, SQLITE_STATIC);
	sqlite3_bind_int(st, 6, is_contact(m->external));
	sqlite3_bind_int(st, 7, m->status);
	sqlite3_bind_int(st, 8, m->failure);
	sqlite3_bind_int(st, 9, m->reason);
	sqlite3_bind_int(st, 10, m->test);
	for (int i = 11; i <= 13; i++)
		sqlite3_bind_int64(st, i, m->event_ms);
	store_run(st);
}

void tracking_add(struct campaign *c, int64_t message, int64_t ms, int type, const char *url)
{
	sqlite3_stmt *st = store_cached(
	    &c->store, "INSERT INTO _tracking(message, ms, type, url) VALUES (?,?,?,?)");

	sqlite3_bind_int64(st, 1, message);
	sqlite3_bind_int64(st, 2, ms);
	sqlite3_bind_int(st, 3, type);
	sqlite3_bind_text(st, 4, url, -1, SQLITE_STATIC);
	store_run(st);
	if (type == URL_OPEN || type == URL_CLICK)
		event_add(c, type == URL_OPEN ? OPEN : CLICK,
			  sqlite3_last_insert_rowid(c->store.db), message, ms, url);
}

void due_add(struct campaign *c, int64_t ms, int64_t message, enum due what)
{
	sqlite3_stmt *st =
	    store_cached(&c->store, "INSERT INTO _due(ms, message, what) VALUES (?,?,?)");

	sqlite3_bind_int64(st, 1, ms);
	sqlite3_bind_int64(st, 2, message);
	sqlite3_bind_int(st, 3, (int)what);
	store_run(st);
}

void simulator_profiles(struct campaign *c, long n)
{
	struct resource *r = store_resource(&c->store, "profile", 7);
	int email = resource_field(r, "email"), first = resource_field(r, "firstName");
	struct record rec = record_new(r);
	char now[32];

	time_text(store_now_ms(&c->store), now);
	record_set(r, &rec, first, "Visitor");
	record_set(r, &rec, resource_field(r, "created"), now);
	record_set(r, &rec, resource_field(r, "lastModified"), now);
	for (int i = 0; i < r->count; i++)
		if (json_text(r->fields[i].json, "default"))
			record_set(r, &rec, i, json_text(r->fields[i].json, "default"));
	store_exec(&c->store, "BEGIN");
	for (long i = 0; i < n; i++) {
		char address[60], id[40] = "";
		snprintf(address, sizeof address, "visitor%ld@example.org", i);
		if (i % 3 == 0) /* another system's number, no GUID */
			snprintf(id, sizeof id, "SHOP-%06ld", i);
		record_set(r, &rec, email, address);
		record_set(r, &rec, r->key_field, id);
		store_insert(&c->store, r, &rec);
	}
	store_exec(&c->store, "COMMIT");
	record_free(r, &rec);
}
