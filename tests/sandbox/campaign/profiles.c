/* profiles.c - the simulator's tables, and profiles that never came from Dynamics. */
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
