/* simulator.c - deliveries: who gets one, what he does with it, and the export files about it.
 *
 * Files as in Adobe's page on exporting logs (sending and tracking logs, one row a message and a
 * row a reaction), with what makes them hard to read: rows repeated in the next file, Sent that
 * becomes Failed, test profiles, exclusions, opt-out and mirror page links, soft bounces,
 * reasons with commas, quotes and line breaks, a file that is compressed.  Everything but the
 * times comes from the seed.  What really happened stands in the table _event, for comparing.
 */
#include "api.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

static const char sending_header[] =
    "broadLogId,status,failureType,failureReason,reasonText,eventDate,lastModified,address,"
    "deliveryId,deliveryName,deliveryLabel,campaignName,campaignLabel,profileExternalId,"
    "messageType,testProfile\n";
static const char tracking_header[] =
    "trackingLogId,broadLogId,logDate,urlType,urlLabel,urlSource,deliveryName,deliveryLabel,"
    "campaignName,profileExternalId,trackedDevice\n";

static const char *const kinds[] = {"send", "open", "click", "bounce"};
enum { SEND, OPEN, CLICK, BOUNCE, KINDS };

struct text {
	char *data;
	size_t len, size;
};

struct delivery {
	struct campaign *c;
	struct rng rng;
	char name[64], label[128], campaign[64], campaign_label[128];
	int64_t id, broadlog, tracking, now;
	/* early: what the first files hold; late: what the second ones add */
	struct text sending[2], tracking_rows[2];
	long targeted, excluded, soft, test, repeated;
	long events[KINDS], contacts[KINDS];
	cJSON *files;
	sqlite3_stmt *event;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	for (;;) {
		va_start(ap, fmt);
		int n = vsnprintf(t->data + t->len, t->size - t->len, fmt, ap);
		va_end(ap);
		if (t->len + (size_t)n < t->size) {
			t->len += (size_t)n;
			return;
		}
		t->size = 2 * (t->len + (size_t)n) + 4096;
		t->data = realloc(t->data, t->size);
		if (!t->data)
			abort();
	}
}

/* A field in quotes where CSV wants them; the comma behind it. */
static void add_field(struct text *t, const char *s)
{
	if (!s[strcspn(s, ",\"\r\n")] && *s != ' ') {
		add(t, "%s,", s);
		return;
	}
	add(t, "\"");
	for (; *s; s++)
		add(t, *s == '"' ? "\"\"" : "%c", *s);
	add(t, "\",");
}

static bool is_contact(const char *s)
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

static void remember(struct delivery *d, int kind, int64_t log, const char *external, int64_t ms,
		     const char *url)
{
	char when[32];
	sqlite3_stmt *st = d->event;

	d->events[kind]++;
	d->contacts[kind] += is_contact(external);
	time_text(ms, when);
	sqlite3_bind_text(st, 1, kinds[kind], -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, log);
	sqlite3_bind_text(st, 3, external, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, when, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 5, d->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 6, d->campaign, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 7, url, -1, SQLITE_STATIC);
	if (sqlite3_step(st) != SQLITE_DONE)
		abort();
	sqlite3_reset(st);
}

/* ---- rows ------------------------------------------------------------------------------------- */

static void sending_row(struct delivery *d, struct text *t, int64_t id, int status, int failure,
			int reason, int64_t ms, int64_t modified, const char *address,
			const char *external, bool test)
{
	char when[32], changed[32];

	time_text(ms, when);
	time_text(modified, changed);
	add(t, "%lld,%d,%d,%d,", (long long)id, status, failure, reason);
	add_field(t, status == 1 ? "'*' sent" : "550 \"no such user\",\nsee the log");
	add(t, "%s,%s,", when, changed);
	add_field(t, address);
	add(t, "%lld,", (long long)d->id);
	add_field(t, d->name);
	add_field(t, d->label);
	add_field(t, d->campaign);
	add_field(t, d->campaign_label);
	add_field(t, external);
	add(t, "0,%d\n", test);
}

static void tracking_row(struct delivery *d, struct text *t, int64_t id, int64_t broadlog,
			 int64_t ms, int type, const char *url, const char *external)
{
	static const char *const labels[] = {"", "Email click", "Open", "Opt-out", "",
					     "", "Mirror page"};
	char when[32];

	time_text(ms, when);
	add(t, "%lld,%lld,%s,%d,", (long long)id, (long long)broadlog, when, type);
	add_field(t, labels[type]);
	add_field(t, url);
	add_field(t, d->name);
	add_field(t, d->label);
	add_field(t, d->campaign);
	add_field(t, external);
	add(t, "pc\n");
}

static void reactions(struct delivery *d, int64_t broadlog, int64_t sent, const char *external)
{
	static const char *const urls[] = {
	    "https://www.example.com/spring?a=1,2&b=\"x\"", "https://www.example.com/",
	    "https://www.example.com/söhne/%C3%A4?utm_source=mail#top"};
	struct rng *r = &d->rng;
	int64_t when = sent + 1000 + (int64_t)rng_below(r, 30000);
	struct text *t = &d->tracking_rows[rng_below(r, 3) == 0];

	if (rng_below(r, 100) >= 40)
		return;
	for (uint64_t i = 0, n = 1 + (rng_below(r, 4) == 0); i < n; i++, when += 7001) {
		tracking_row(d, t, ++d->tracking, broadlog, when, 2, "", external);
		remember(d, OPEN, d->tracking, external, when, "");
	}
	if (rng_below(r, 20) == 0)
		tracking_row(d, t, ++d->tracking, broadlog, when, rng_below(r, 2) ? 3 : 6,
			     "https://www.example.com/optout", external);
	if (rng_below(r, 100) >= 35)
		return;
	for (uint64_t i = 0, n = 1 + rng_below(r, 2); i < n; i++, when += 3001) {
		const char *url = urls[rng_below(r, 3)];
		tracking_row(d, t, ++d->tracking, broadlog, when, 1, url, external);
		remember(d, CLICK, d->tracking, external, when, url);
	}
}

static void mail(struct delivery *d, const char *address, const char *external, bool may)
{
	int64_t id = ++d->broadlog, sent = d->now + d->targeted++, later = d->now + 60000;
	struct text *early = &d->sending[0], *late = &d->sending[1];
	uint64_t luck = rng_below(&d->rng, 100);

	if (!may) {
		d->excluded++;
		sending_row(d, early, id, 2, 2, 8, sent, sent, address, external, false);
	} else if (luck < 3) {
		d->soft++;
		sending_row(d, early, id, 2, 1, 5, sent, sent, address, external, false);
	} else if (luck < 7) {
		sending_row(d, early, id, 2, 2, 1, sent, sent, address, external, false);
		remember(d, BOUNCE, id, external, sent, "");
	} else {
		sending_row(d, early, id, 1, 0, 0, sent, sent, address, external, false);
		remember(d, SEND, id, external, sent, "");
		if (luck < 10) {
			sending_row(d, late, id, 2, 2, 1, later, later, address, external, false);
			remember(d, BOUNCE, id, external, later, "");
			return;
		}
		if (luck < 30) { /* the overlap of two exports */
			d->repeated++;
			sending_row(d, late, id, 1, 0, 0, sent, sent, address, external, false);
		}
		reactions(d, id, sent, external);
	}
}

/* ---- files ------------------------------------------------------------------------------------ */

static bool export(struct delivery *d, const char *kind, const char *header,
		   const struct text *rows, int64_t second, bool gz)
{
	char stamp[24], name[80], path[4200], hidden[4300];
	time_t t = (time_t)second;
	struct tm tm;
	bool ok;

	strftime(stamp, sizeof stamp, "%Y%m%d_%H%M%S", gmtime_r(&t, &tm));
	snprintf(name, sizeof name, "acs_%s_%s.csv%s", kind, stamp, gz ? ".gz" : "");
	snprintf(path, sizeof path, "%s/%s", d->c->exports, name);
	snprintf(hidden, sizeof hidden, "%s/.%s", d->c->exports, name);
	gzFile f = gzopen(hidden, gz ? "wb6" : "wbT");
	ok = f && gzputs(f, header) >= 0 &&
	     (!rows->len || gzwrite(f, rows->data, (unsigned)rows->len) > 0);
	if (f)
		ok = gzclose(f) == Z_OK && ok;
	if (!ok || rename(hidden, path)) {
		unlink(hidden);
		return false;
	}
	cJSON_AddItemToArray(d->files, cJSON_CreateString(name));
	return true;
}

static const char *given(const cJSON *json, const char *name, const char *otherwise)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
	return s && strlen(s) < 60 ? s : otherwise;
}

static int64_t number(struct store *s, const char *sql)
{
	sqlite3_stmt *st = store_prepare(s, sql);
	int64_t n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return n;
}

static void prepare(struct delivery *d, const cJSON *wish)
{
	struct store *s = &d->c->store;
	char fallback[24];

	d->id = 1 + number(s, "SELECT max(id) FROM _delivery");
	d->rng.state = server_seed(d->c->server) ^ (uint64_t)d->id << 20;
	d->broadlog = 100000 * d->id;
	d->tracking = 100000 * d->id;
	d->now = now_ms();
	snprintf(fallback, sizeof fallback, "DM%lld", (long long)(100 + d->id));
	snprintf(d->name, sizeof d->name, "%s", given(wish, "name", fallback));
	snprintf(d->label, sizeof d->label, "%s",
		 given(wish, "label", "Spring, \"the\" newsletter ✿"));
	snprintf(d->campaign, sizeof d->campaign, "%s", given(wish, "campaign", "CAMP1"));
	snprintf(d->campaign_label, sizeof d->campaign_label, "%s",
		 given(wish, "campaignLabel", "Spring"));
	d->files = cJSON_CreateArray();
	d->event = store_prepare(s, "INSERT INTO _event(kind, log, externalId, time, delivery, "
				    "campaign, url) VALUES (?,?,?,?,?,?,?)");
}

static void send_all(struct delivery *d)
{
	struct campaign *c = d->c;
	struct resource *r = store_resource(&c->store, "profile", 7);
	int email = resource_field(r, "email"), external = resource_field(r, "externalId");
	int all = resource_field(r, "blackList"), mails = resource_field(r, "blackListEmail");
	struct record rec = record_new(r);
	sqlite3_stmt *st = store_list(&c->store, r, 0, -1);

	while (sqlite3_step(st) == SQLITE_ROW) {
		store_read(r, st, &rec);
		if (*rec.values[email])
			mail(d, rec.values[email], rec.values[external],
			     strcmp(rec.values[all], "true") && strcmp(rec.values[mails], "true"));
	}
	sqlite3_finalize(st);
	record_free(r, &rec);
	for (d->test = 0; d->test < 3; d->test++)
		sending_row(d, &d->sending[0], ++d->broadlog, 1, 0, 0, d->now, d->now,
			    "seed@example.com", "", true);
}

static void counts(cJSON *o, const char *name, const long of[KINDS])
{
	cJSON *list = cJSON_AddObjectToObject(o, name);
	for (int i = 0; i < KINDS; i++)
		cJSON_AddNumberToObject(list, kinds[i], (double)of[i]);
}

static bool export_all(struct delivery *d)
{
	int64_t second = d->now / 1000,
		last = number(&d->c->store, "SELECT max(file) FROM _delivery");

	if (second <= last + 1) /* two files a kind, never a name again */
		second = last + 2;
	char sql[120];
	snprintf(sql, sizeof sql, "INSERT INTO _delivery(id, file) VALUES (%lld, %lld)",
		 (long long)d->id, (long long)second + 1);
	store_exec(&d->c->store, sql);
	return export(d, "broadlog", sending_header, &d->sending[0], second, false) &&
	       export(d, "tracking", tracking_header, &d->tracking_rows[0], second, false) &&
	       export(d, "broadlog", sending_header, &d->sending[1], second + 1, false) &&
	       export(d, "tracking", tracking_header, &d->tracking_rows[1], second + 1, true);
}

void simulator_deliver(struct campaign *c, const struct request *req, struct reply *rep)
{
	struct delivery d = {.c = c};
	cJSON *wish = req->body_len ? cJSON_Parse(req->body) : NULL;

	if (!c->exports || (req->body_len && !cJSON_IsObject(wish))) {
		reply_text(rep, 400, "%s",
			   c->exports ? "the body is no JSON object" : "there is no --exports DIR");
		cJSON_Delete(wish);
		return;
	}
	prepare(&d, wish);
	store_exec(&c->store, "BEGIN");
	send_all(&d);
	bool ok = export_all(&d);
	store_exec(&c->store, ok ? "COMMIT" : "ROLLBACK");
	if (ok) {
		cJSON *o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "delivery", d.name);
		cJSON_AddNumberToObject(o, "targeted", (double)d.targeted);
		cJSON_AddNumberToObject(o, "excluded", (double)d.excluded);
		cJSON_AddNumberToObject(o, "soft", (double)d.soft);
		cJSON_AddNumberToObject(o, "test", (double)d.test);
		cJSON_AddNumberToObject(o, "repeated", (double)d.repeated);
		counts(o, "events", d.events);
		counts(o, "of_contacts", d.contacts);
		cJSON_AddItemToObject(o, "files", d.files);
		reply_header(rep, "Content-Type", "application/json");
		reply_json(rep, 200, o);
	} else {
		cJSON_Delete(d.files);
		reply_text(rep, 500, "%s", "the export files cannot be written");
	}
	sqlite3_finalize(d.event);
	for (int i = 0; i < 2; i++) {
		free(d.sending[i].data);
		free(d.tracking_rows[i].data);
	}
	cJSON_Delete(wish);
}

void simulator_events(struct campaign *c, struct reply *rep)
{
	static const char *const names[] = {"kind",	"log",	    "externalId", "time",
					    "delivery", "campaign", "url"};
	sqlite3_stmt *st =
	    store_prepare(&c->store, "SELECT kind, log, externalId, time, delivery, campaign, "
				     "url FROM _event ORDER BY rowid");
	cJSON *list = cJSON_CreateArray();

	while (sqlite3_step(st) == SQLITE_ROW) {
		cJSON *o = cJSON_CreateObject();
		for (int i = 0; i < 7; i++)
			cJSON_AddStringToObject(o, names[i],
						(const char *)sqlite3_column_text(st, i));
		cJSON_AddItemToArray(list, o);
	}
	sqlite3_finalize(st);
	reply_header(rep, "Content-Type", "application/json");
	reply_json(rep, 200, list);
}

void simulator_open(struct campaign *c)
{
	store_exec(&c->store, "CREATE TABLE IF NOT EXISTS _event (kind TEXT, log INTEGER, "
			      "externalId TEXT, time TEXT, "
			      "delivery TEXT, campaign TEXT, url TEXT);"
			      "CREATE TABLE IF NOT EXISTS _delivery (id INTEGER, file INTEGER)");
}

void simulator_profiles(struct campaign *c, long n)
{
	struct resource *r = store_resource(&c->store, "profile", 7);
	int email = resource_field(r, "email"), first = resource_field(r, "firstName");
	int external = resource_field(r, "externalId");

	store_exec(&c->store, "BEGIN");
	for (long i = 0; i < n; i++) {
		struct record rec = record_new(r);
		char address[60], id[40] = "";
		snprintf(address, sizeof address, "visitor%ld@example.org", i);
		if (i % 3 == 0) /* another system's number, no GUID */
			snprintf(id, sizeof id, "SHOP-%06ld", i);
		free(rec.values[email]);
		free(rec.values[first]);
		free(rec.values[external]);
		rec.values[email] = strdup(address);
		rec.values[first] = strdup("Visitor");
		rec.values[external] = strdup(id);
		store_insert(&c->store, r, &rec);
		record_free(r, &rec);
	}
	store_exec(&c->store, "COMMIT");
}
