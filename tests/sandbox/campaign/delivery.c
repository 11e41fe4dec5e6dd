/* delivery.c - who gets a message, and what becomes of it.
 *
 * POST /_sandbox/deliver, all members optional:
 *   name, label, campaign, campaignLabel   texts (name: DM<n>)
 *   rates   {what: share of 0 to 1}, see the table below
 *   seeds, proofs     rows to test profiles (3) and of a proof (0), which are no events
 *   statuses "acs"    a message is Sent at once (default of --dialect acs)
 *            "v8"     it is taken into account (3) first and Sent an hour later
 *   unknown_codes [n, ..]   the status codes of the rate "unknown"; default [9]
 *   export  false: none now; an object: one export with these options (see export.c); else two
 *           pairs of files, the second with what came later, 20 % of the first once more, and its
 *           tracking compressed
 */
#include "simulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXCLUDE, UNKNOWN, SOFT, HARD, FLIP, LATE, BACK, OPENED, CLICKED, LATE_OPEN, OPTED, RATES };
enum { MINUTE_MS = 60000, HOUR_MS = 3600000, DAY_MS = 86400000 };

static const struct {
	const char *name;
	double share;
} rates[RATES] = {
    [EXCLUDE] = {"exclude", 0}, /* left out, reason 7 to 17 or 127 */
    [UNKNOWN] = {"unknown", 0}, /* a status that nobody knows */
    [SOFT] = {"soft", 0.03},	/* fails softly at once */
    [HARD] = {"hard", 0.04},	/* bounces at once */
    [FLIP] = {"flip", 0.03},	/* Sent, and bounces a minute later */
    [LATE] = {"late", 0},	/* Sent, and bounces 3 to 7 days later */
    [BACK] = {"back", 0},	/* Sent, Failed after an hour (half of them hard), Sent after six */
    [OPENED] = {"open", 0.4},	/* of those that stay Sent */
    [CLICKED] = {"click", 0.35},    /* of those that opened */
    [LATE_OPEN] = {"late_open", 0}, /* opened 1 to 14 days later, too */
    [OPTED] = {"opt_out", 0.05},    /* of those that opened: opt-out or mirror page link */
};

struct delivery {
	struct campaign *c;
	char name[64], label[128], campaign[64], campaign_label[128];
	double share[RATES];
	int64_t id, now, first_event;
	bool v8;
	int codes[16], code_count;
	long seeds, proofs, targeted, excluded, soft, test;
};

/* ---- one message -------------------------------------------------------------------------------- */

const char *url_of(struct rng *r)
{
	static const char *const urls[] = {
	    "https://www.example.com/spring?a=1,2&b=\"x\"", "https://www.example.com/",
	    "https://www.example.com/söhne/%C3%A4?utm_source=mail#top"};
	return urls[rng_below(r, 3)];
}

static void reactions(struct delivery *d, struct rng *r, int64_t message, int64_t sent)
{
	int64_t when = sent + 1000 + (int64_t)rng_below(r, 30000);

	if (rng_unit(r) < d->share[LATE_OPEN])
		due_add(d->c, sent + DAY_MS + (int64_t)rng_below(r, 13LL * DAY_MS), message,
			rng_below(r, 3) ? DUE_OPEN : DUE_CLICK);
	if (rng_unit(r) >= d->share[OPENED])
		return;
	for (uint64_t i = 0, n = 1 + (rng_below(r, 4) == 0); i < n; i++, when += 7001)
		tracking_add(d->c, message, when, URL_OPEN, "");
	if (rng_unit(r) < d->share[OPTED])
		tracking_add(d->c, message, when, rng_below(r, 2) ? URL_OPT_OUT : URL_MIRROR,
			     "https://www.example.com/optout");
	if (rng_unit(r) >= d->share[CLICKED])
		return;
	for (uint64_t i = 0, n = 1 + rng_below(r, 2); i < n; i++, when += 3001)
		tracking_add(d->c, message, when, URL_CLICK, url_of(r));
}

/* Which of the fates before OPENED, or RATES: it stays Sent. */
static int fate(const struct delivery *d, struct rng *r)
{
	double luck = rng_unit(r), sum = 0;

	for (int i = 0; i < OPENED; i++)
		if (luck < (sum += d->share[i]))
			return i;
	return RATES;
}

static void fail_message(struct message *m, int failure, int reason)
{
	m->status = FAILED;
	m->failure = failure;
	m->reason = reason;
}

static void sent(struct delivery *d, struct rng *r, const struct message *m, int what)
{
	struct campaign *c = d->c;
	int64_t at = m->event_ms;

	event_add(c, SEND, m->id, m->id, at, "");
	switch (what) {
	case FLIP:
		due_add(c, at + MINUTE_MS, m->id, DUE_HARD);
		break;
	case LATE:
		due_add(c, at + 3 * DAY_MS + (int64_t)rng_below(r, 4LL * DAY_MS), m->id, DUE_HARD);
		break;
	case BACK:
		due_add(c, at + HOUR_MS, m->id, rng_below(r, 2) ? DUE_HARD : DUE_SOFT);
		due_add(c, at + 6 * HOUR_MS, m->id, DUE_SENT);
		break;
	case SOFT:
		break;
	default:
		reactions(d, r, m->id, at);
	}
	if (d->v8 && what != FLIP && what != BACK && what != SOFT)
		due_add(c, at + HOUR_MS, m->id, DUE_SENT);
}

static void mail(struct delivery *d, struct message *m, bool may)
{
	static const int reasons[] = {7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 127};
	struct rng r = {d->c->store.seed ^ (uint64_t)++m->id * 0x9e3779b97f4a7c15u};
	int what = fate(d, &r);

	m->event_ms = d->now + d->targeted++;
	m->status = d->v8 ? TAKEN : SENT;
	m->failure = m->reason = 0;
	if (!may || what == EXCLUDE) {
		d->excluded++;
		fail_message(m, 2, may ? reasons[rng_below(&r, 11)] : 8);
	} else if (what == UNKNOWN) {
		m->status = d->codes[rng_below(&r, (uint64_t)d->code_count)];
	} else if (what == SOFT) {
		d->soft++;
		/* v8: the status stays, only the reason is told. */
		m->failure = 1;
		m->reason = 5;
		if (!d->v8)
			m->status = FAILED;
	} else if (what == HARD) {
		fail_message(m, 2, 1);
	}
	message_add(d->c, m);
	if (may && what == HARD)
		event_add(d->c, BOUNCE, m->id, m->id, m->event_ms, "");
	else if (may && what != EXCLUDE && what != UNKNOWN && (what != SOFT || d->v8))
		sent(d, &r, m, what);
}

static void test_rows(struct delivery *d, struct message *m, long n, const char *address)
{
	for (long i = 0; i < n; i++, d->test++) {
		m->id++;
		m->profile = 0;
		m->external = "";
		m->address = address;
		m->status = SENT;
		m->failure = m->reason = 0;
		m->test = 1;
		m->event_ms = d->now;
		message_add(d->c, m);
	}
}

static void send_all(struct delivery *d)
{
	struct store *s = &d->c->store;
	struct message m = {.delivery = d->id,
			    .id =
				store_number(s, "SELECT coalesce(max(id), 100000) FROM _message")};
	sqlite3_stmt *st =
	    store_prepare(s, "SELECT _id, email, externalId, blackList, blackListEmail "
			     "FROM profile WHERE email<>'' ORDER BY _id");

	test_rows(d, &m, d->proofs, "proof@example.com");
	m.test = 0;
	while (sqlite3_step(st) == SQLITE_ROW) {
		m.profile = sqlite3_column_int64(st, 0);
		m.address = (const char *)sqlite3_column_text(st, 1);
		m.external = (const char *)sqlite3_column_text(st, 2);
		mail(d, &m,
		     strcmp((const char *)sqlite3_column_text(st, 3), "true") &&
			 strcmp((const char *)sqlite3_column_text(st, 4), "true"));
	}
	sqlite3_finalize(st);
	test_rows(d, &m, d->seeds, "seed@example.com");
}

/* ---- the order ---------------------------------------------------------------------------------- */

static bool read_rates(struct delivery *d, const cJSON *json, char *why, size_t size)
{
	const cJSON *m;

	for (int i = 0; i < RATES; i++)
		d->share[i] = rates[i].share;
	cJSON_ArrayForEach(m, json)
	{
		int i = 0;
		while (i < RATES && strcmp(rates[i].name, m->string))
			i++;
		if (i == RATES || !cJSON_IsNumber(m) || m->valuedouble < 0 || m->valuedouble > 1) {
			snprintf(why, size, "rates: %.60s is no rate of 0 to 1", m->string);
			return false;
		}
		d->share[i] = m->valuedouble;
	}
	return true;
}

static bool read_text(const cJSON *m, char *out, size_t size)
{
	return cJSON_IsString(m) && (size_t)snprintf(out, size, "%s", m->valuestring) < size;
}

static bool read_count(const cJSON *m, long *out)
{
	*out = cJSON_IsNumber(m) && m->valuedouble >= 0 && m->valuedouble <= 1e6
		   ? (long)m->valuedouble
		   : -1;
	return *out >= 0;
}

static bool read_codes(struct delivery *d, const cJSON *json)
{
	const cJSON *n;

	d->code_count = 0;
	cJSON_ArrayForEach(n, json)
	{
		if (!cJSON_IsNumber(n) || d->code_count == 16)
			return false;
		d->codes[d->code_count++] = n->valueint;
	}
	return d->code_count > 0;
}

static bool read_member(struct delivery *d, const cJSON *m, char *why, size_t size)
{
	const char *name = m->string;

	if (!strcmp(name, "name"))
		return read_text(m, d->name, sizeof d->name);
	if (!strcmp(name, "label"))
		return read_text(m, d->label, sizeof d->label);
	if (!strcmp(name, "campaign"))
		return read_text(m, d->campaign, sizeof d->campaign);
	if (!strcmp(name, "campaignLabel"))
		return read_text(m, d->campaign_label, sizeof d->campaign_label);
	if (!strcmp(name, "rates"))
		return cJSON_IsObject(m) && read_rates(d, m, why, size);
	if (!strcmp(name, "seeds"))
		return read_count(m, &d->seeds);
	if (!strcmp(name, "proofs"))
		return read_count(m, &d->proofs);
	if (!strcmp(name, "unknown_codes"))
		return read_codes(d, m);
	if (!strcmp(name, "statuses") && cJSON_IsString(m)) {
		d->v8 = !strcmp(m->valuestring, "v8");
		return d->v8 || !strcmp(m->valuestring, "acs");
	}
	return !strcmp(name, "export") &&
	       (cJSON_IsBool(m) || (cJSON_IsObject(m) && export_check(m, why, size)));
}

static bool prepare(struct delivery *d, const cJSON *wish, char *why, size_t size)
{
	struct store *s = &d->c->store;
	const cJSON *m;

	d->id = 1 + store_number(s, "SELECT max(id) FROM _delivery");
	d->now = store_now_ms(s);
	d->first_event = store_number(s, "SELECT max(rowid) FROM _event");
	d->v8 = s->v8;
	d->seeds = 3;
	d->codes[d->code_count++] = 9;
	snprintf(d->name, sizeof d->name, "DM%lld", (long long)(100 + d->id));
	snprintf(d->label, sizeof d->label, "Spring, \"the\" newsletter ✿");
	snprintf(d->campaign, sizeof d->campaign, "CAMP1");
	snprintf(d->campaign_label, sizeof d->campaign_label, "Spring");
	if (!read_rates(d, NULL, why, size))
		return false;
	cJSON_ArrayForEach(m, wish)
	{
		*why = 0;
		if (read_member(d, m, why, size))
			continue;
		if (!*why)
			snprintf(why, size,
				 "a delivery has no such member, or no such value of it: %.60s",
				 m->string);
		return false;
	}
	return true;
}

static void remember(struct delivery *d)
{
	sqlite3_stmt *st =
	    store_cached(&d->c->store, "INSERT INTO _delivery(id, name, label, campaign,"
				       " campaignLabel) VALUES (?,?,?,?,?)");

	sqlite3_bind_int64(st, 1, d->id);
	sqlite3_bind_text(st, 2, d->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, d->label, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, d->campaign, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 5, d->campaign_label, -1, SQLITE_STATIC);
	store_run(st);
}

static bool export_default(struct delivery *d, struct export_order *order, char *why, size_t size)
{
	struct export_order early = {.files = order->files, .late_tracking = 0.33};

	early.second = export_second(d->c);
	bool ok = export_write(d->c, &early, why, size);
	due_process(d->c, d->now + MINUTE_MS + d->targeted);
	order->second = early.second + 1;
	order->gz_tracking = true;
	order->repeat = 0.2;
	return ok && export_write(d->c, order, why, size);
}

static cJSON *result(const struct delivery *d, struct export_order *order)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "delivery", d->name);
	cJSON_AddNumberToObject(o, "targeted", (double)d->targeted);
	cJSON_AddNumberToObject(o, "excluded", (double)d->excluded);
	cJSON_AddNumberToObject(o, "soft", (double)d->soft);
	cJSON_AddNumberToObject(o, "test", (double)d->test);
	cJSON_AddNumberToObject(o, "repeated", (double)order->repeated);
	cJSON_AddItemToObject(o, "events", event_counts(d->c, d->first_event, false));
	cJSON_AddItemToObject(o, "of_contacts", event_counts(d->c, d->first_event, true));
	return o;
}

void simulator_deliver(struct campaign *c, const struct request *req, struct reply *rep)
{
	struct delivery d = {.c = c};
	struct export_order order = {.files = cJSON_CreateArray()};
	cJSON *wish = req->body_len ? cJSON_Parse(req->body) : NULL;
	const cJSON *how = cJSON_GetObjectItemCaseSensitive(wish, "export");
	char why[300] = "the body is no JSON object";
	bool ok = (!req->body_len || cJSON_IsObject(wish)) && prepare(&d, wish, why, sizeof why);

	if (ok && !c->exports && !cJSON_IsFalse(how)) {
		snprintf(why, sizeof why, "there is no --exports DIR");
		ok = false;
	}
	if (ok) {
		store_exec(&c->store, "BEGIN");
		remember(&d);
		send_all(&d);
		if (cJSON_IsObject(how)) {
			order.json = how;
			order.second = export_second(c);
			ok = export_write(c, &order, why, sizeof why);
		} else if (!cJSON_IsFalse(how)) {
			ok = export_default(&d, &order, why, sizeof why);
		}
		store_exec(&c->store, ok ? "COMMIT" : "ROLLBACK");
	}
	if (ok) {
		cJSON *o = result(&d, &order);
		cJSON_AddItemToObject(o, "files", order.files);
		acs_reply(rep, 200, o);
	} else {
		cJSON_Delete(order.files);
		reply_text(rep, 400, "%s", why);
	}
	cJSON_Delete(wish);
}
