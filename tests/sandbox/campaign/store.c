/* store.c - see store.h. */
#include "store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SQL_MAX = 65536 };

/* ---- time ------------------------------------------------------------------------------------- */

int64_t store_now_ms(const struct store *s)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	int64_t real = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	return (s->clock_fixed_ms ? s->clock_fixed_ms : real) + s->clock_offset_ms;
}

void time_text(int64_t ms, char out[32])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char date[24];
	strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", gmtime_r(&t, &tm));
	snprintf(out, 32, "%s.%03dZ", date, (int)(ms % 1000));
}

bool time_parse(const char *text, int64_t *ms)
{
	struct tm tm = {0};
	int part = 0, n = 0;

	if (sscanf(text, "%4d-%2d-%2d%*1[ T]%2d:%2d:%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon,
		   &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &part, &n) != 7 ||
	    n != 24 || text[n])
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*ms = (int64_t)timegm(&tm) * 1000 + part;
	return true;
}

/* ---- SQL -------------------------------------------------------------------------------------- */

static void die(struct store *s, const char *sql)
{
	fprintf(stderr, "sandbox-campaign: %s: %.300s\n", sqlite3_errmsg(s->db), sql);
	abort();
}

sqlite3_stmt *store_prepare(struct store *s, const char *sql)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		die(s, sql);
	return st;
}

sqlite3_stmt *store_cached(struct store *s, const char *sql)
{
	for (int i = 0; i < STATEMENTS; i++)
		if (s->statements[i].sql && !strcmp(s->statements[i].sql, sql))
			return s->statements[i].st;
	int at = s->next_statement++ % STATEMENTS;
	free(s->statements[at].sql);
	sqlite3_finalize(s->statements[at].st);
	s->statements[at].sql = strdup(sql);
	return s->statements[at].st = store_prepare(s, sql);
}

void store_exec(struct store *s, const char *sql)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		die(s, sql);
}

void store_run(sqlite3_stmt *st)
{
	int rc;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		;
	if (rc != SQLITE_DONE) {
		fprintf(stderr, "sandbox-campaign: %s\n", sqlite3_errmsg(sqlite3_db_handle(st)));
		abort();
	}
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

int64_t store_number(struct store *s, const char *sql)
{
	sqlite3_stmt *st = store_cached(s, sql);
	int64_t n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_reset(st);
	return n;
}

struct sql {
	char text[SQL_MAX];
	size_t len;
};

static void add(struct sql *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct sql *q, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(q->text + q->len, sizeof q->text - q->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof q->text - q->len) {
		fprintf(stderr, "sandbox-campaign: a resource has too many fields\n");
		abort();
	}
	q->len += (size_t)n;
}

void store_columns(const struct resource *r, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "_id");

	for (int i = 0; i < r->count && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, ",\"%s\"", r->fields[i].path);
}

/* ---- tables ----------------------------------------------------------------------------------- */

static void index_on(struct store *s, const struct resource *r, const char *field)
{
	struct sql q = {.len = 0};
	add(&q, "CREATE INDEX IF NOT EXISTS \"%s_%s\" ON \"%s\"(\"%s\")", r->name, field, r->name,
	    field);
	store_exec(s, q.text);
}

static void create_table(struct store *s, struct resource *r)
{
	struct sql q = {.len = 0};
	const cJSON *filter, *parameter;

	add(&q, "CREATE TABLE IF NOT EXISTS \"%s\" (_id INTEGER PRIMARY KEY AUTOINCREMENT",
	    r->name);
	for (int i = 0; i < r->count; i++)
		add(&q, ", \"%s\" TEXT NOT NULL DEFAULT ''", r->fields[i].path);
	add(&q, ")");
	store_exec(s, q.text);
	index_on(s, r, r->key);
	for (int i = 0; i < r->count; i++)
		if (r->fields[i].kind == K_LINK)
			index_on(s, r,
				 r->fields[r->fields[i].column < 0 ? i : r->fields[i].column].path);
	cJSON_ArrayForEach(filter, r->filters)
	    cJSON_ArrayForEach(parameter, cJSON_GetObjectItemCaseSensitive(filter, "parameters"))
	{
		const char *field = json_text(parameter, "field");
		if (field && resource_field(r, field) >= 0)
			index_on(s, r, field);
	}
}

/* A record with a link of cardinality 1 that leads nowhere is in the table, and in no answer. */
static void describe_visible(struct resource *r)
{
	size_t n = (size_t)snprintf(r->visible, sizeof r->visible, "1");

	for (int i = 0; i < r->count; i++) {
		const struct field *f = &r->fields[i];
		if (f->kind != K_LINK || !f->required)
			continue;
		r->may_hide = true;
		if (f->column >= 0)
			n += (size_t)snprintf(r->visible + n, sizeof r->visible - n,
					      " AND t.\"%s\"<>'' AND EXISTS (SELECT 1 FROM \"%s\" p"
					      " WHERE p.\"%s\"=t.\"%s\")",
					      r->fields[f->column].path, f->target->name,
					      f->target->fields[f->target_field].path,
					      r->fields[f->column].path);
		else
			n += (size_t)snprintf(r->visible + n, sizeof r->visible - n,
					      " AND EXISTS (SELECT 1 FROM \"%s\" p WHERE "
					      "p._id=CAST(t.\"%s\" AS INTEGER))",
					      f->target->name, f->path);
	}
}

static void prepare_all(struct store *s, struct resource *r)
{
	struct sql names = {.len = 0}, marks = {.len = 0}, sets = {.len = 0}, q = {.len = 0};

	for (int i = 0; i < r->count; i++) {
		const char *comma = i ? "," : "";
		add(&names, "%s\"%s\"", comma, r->fields[i].path);
		add(&marks, "%s?%d", comma, i + 1);
		add(&sets, "%s\"%s\"=?%d", comma, r->fields[i].path, i + 1);
	}
#define PREPARE(...) (q.len = 0, add(&q, __VA_ARGS__), store_prepare(s, q.text))
	r->by_id = PREPARE("SELECT _id,%s FROM \"%s\" t WHERE _id=?1 AND %s", names.text, r->name,
			   r->visible);
	r->by_key = PREPARE("SELECT _id,%s FROM \"%s\" t WHERE \"%s\"=?1 AND %s", names.text,
			    r->name, r->key, r->visible);
	r->any_by_key = PREPARE("SELECT _id FROM \"%s\" WHERE \"%s\"=?1", r->name, r->key);
	r->insert = PREPARE("INSERT INTO \"%s\"(%s) VALUES (%s)", r->name, names.text, marks.text);
	r->update = PREPARE("UPDATE \"%s\" SET %s WHERE _id=?%d", r->name, sets.text, r->count + 1);
	r->remove = PREPARE("DELETE FROM \"%s\" WHERE _id=?1", r->name);
	q.len = 0;
	add(&q, "SELECT count(*) FROM \"%s\"", r->name);
	r->rows = (long)store_number(s, q.text);
	for (int i = 0; i < r->count; i++) {
		struct field *f = &r->fields[i];
		if (f->kind == K_LINK)
			f->referrers =
			    PREPARE("SELECT _id FROM \"%s\" WHERE \"%s\"=?1 AND _id<>?2 LIMIT 1",
				    r->name, f->column < 0 ? f->path : r->fields[f->column].path);
	}
#undef PREPARE
}

bool store_open(struct store *s, const char *dir, const char *data, char *why, size_t size)
{
	if (!resources_read(s, dir, why, size))
		return false;
	if (sqlite3_open(data ? data : ":memory:", &s->db) != SQLITE_OK) {
		snprintf(why, size, "%s: %s", data ? data : ":memory:", sqlite3_errmsg(s->db));
		return false;
	}
	store_exec(
	    s,
	    "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
	    "CREATE TABLE IF NOT EXISTS _history (seq INTEGER PRIMARY KEY, key TEXT, method TEXT,"
	    " resource TEXT, body TEXT);"
	    "CREATE INDEX IF NOT EXISTS _history_key ON _history(key);"
	    "CREATE TABLE IF NOT EXISTS _state (name TEXT PRIMARY KEY, value INTEGER)");
	s->clock_offset_ms = store_number(s, "SELECT value FROM _state WHERE name='offset'");
	for (int i = 0; i < s->count; i++) {
		create_table(s, &s->resources[i]);
		describe_visible(&s->resources[i]);
	}
	for (int i = 0; i < s->count; i++)
		prepare_all(s, &s->resources[i]);
	s->remember =
	    store_prepare(s, "INSERT INTO _history(key, method, resource, body) VALUES (?,?,?,?)");
	return true;
}

void store_close(struct store *s)
{
	resources_free(s);
	for (int i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(s->statements[i].st);
		free(s->statements[i].sql);
	}
	sqlite3_finalize(s->remember);
	sqlite3_close(s->db);
}

/* ---- records ---------------------------------------------------------------------------------- */

struct record record_new(const struct resource *r)
{
	struct record rec = {0, calloc((size_t)r->count, sizeof(char *))};
	for (int i = 0; i < r->count; i++)
		rec.values[i] = strdup(r->fields[i].kind == K_BOOLEAN ? "false" : "");
	return rec;
}

void record_free(const struct resource *r, struct record *rec)
{
	for (int i = 0; rec->values && i < r->count; i++)
		free(rec->values[i]);
	free(rec->values);
	rec->values = NULL;
}

void record_set(const struct resource *r, struct record *rec, int field, const char *value)
{
	if (field < 0 || field >= r->count)
		return;
	char *copy = strdup(value);
	free(rec->values[field]);
	rec->values[field] = copy;
}

void store_read(const struct resource *r, sqlite3_stmt *st, struct record *rec)
{
	rec->id = sqlite3_column_int64(st, 0);
	for (int i = 0; i < r->count; i++) {
		free(rec->values[i]);
		rec->values[i] = strdup((const char *)sqlite3_column_text(st, i + 1));
	}
}

static bool fetch(const struct resource *r, sqlite3_stmt *st, struct record *rec)
{
	bool found = sqlite3_step(st) == SQLITE_ROW;
	if (found)
		store_read(r, st, rec);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return found;
}

bool store_by_key(struct resource *r, const char *key, struct record *rec)
{
	if (!*key)
		return false;
	sqlite3_bind_text(r->by_key, 1, key, -1, SQLITE_STATIC);
	return fetch(r, r->by_key, rec);
}

bool store_by_id(struct resource *r, int64_t id, struct record *rec)
{
	sqlite3_bind_int64(r->by_id, 1, id);
	return fetch(r, r->by_id, rec);
}

int64_t store_key_taken(struct resource *r, const char *key)
{
	sqlite3_bind_text(r->any_by_key, 1, key, -1, SQLITE_STATIC);
	int64_t id =
	    sqlite3_step(r->any_by_key) == SQLITE_ROW ? sqlite3_column_int64(r->any_by_key, 0) : 0;
	sqlite3_reset(r->any_by_key);
	sqlite3_clear_bindings(r->any_by_key);
	return id;
}

static void bind_values(sqlite3_stmt *st, const struct resource *r, const struct record *rec)
{
	for (int i = 0; i < r->count; i++)
		sqlite3_bind_text(st, i + 1, rec->values[i], -1, SQLITE_STATIC);
}

void store_insert(struct store *s, struct resource *r, struct record *rec)
{
	bind_values(r->insert, r, rec);
	store_run(r->insert);
	rec->id = sqlite3_last_insert_rowid(s->db);
	r->rows++;
}

void store_update(struct resource *r, const struct record *rec)
{
	bind_values(r->update, r, rec);
	sqlite3_bind_int64(r->update, r->count + 1, rec->id);
	store_run(r->update);
}

void store_delete(struct resource *r, int64_t id)
{
	sqlite3_bind_int64(r->remove, 1, id);
	store_run(r->remove);
	r->rows--;
}

long store_count(struct store *s, const struct resource *r)
{
	char sql[2400];

	if (!r->may_hide)
		return r->rows;
	snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\" t WHERE %s", r->name, r->visible);
	return (long)store_number(s, sql);
}

/* ---- PKeys ------------------------------------------------------------------------------------ */

/* The fixed part is the number, mixed so that it tells nothing, in 11 characters, and 32 that follow
 * from it. */
static uint64_t mix(uint64_t x, uint64_t key)
{
	struct rng r = {x ^ key};
	return rng_next(&r);
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

uint64_t resource_kind(const struct store *s, const struct resource *r)
{
	return (uint64_t)(r - s->resources);
}

void store_pkey(struct store *s, uint64_t kind, int64_t id, char out[100])
{
	uint64_t key = s->seed ^ kind << 56, a = (uint64_t)id * 0x9e3779b97f4a7c15u;
	struct rng fixed = {mix(a, key)}, tail = {s->seed + ++s->tails};

	out[0] = '@';
	uint64_t hidden = a ^ mix(key, 0x7137); /* invertible */
	for (int i = 0; i < 11; i++)
		out[1 + i] = digits[hidden >> (6 * i) & 63];
	for (int i = 12; i < 44; i++)
		out[i] = digits[rng_below(&fixed, 64)];
	for (int i = 44; i < 92; i++)
		out[i] = digits[rng_below(&tail, 64)];
	out[92] = 0;
}

int64_t store_pkey_id(struct store *s, uint64_t kind, const char *pkey)
{
	uint64_t key = s->seed ^ kind << 56, hidden = 0;
	char check[100];

	if (strlen(pkey) != 92)
		return 0;
	for (int i = 0; i < 11; i++) {
		const char *d = strchr(digits, pkey[1 + i]);
		if (!d)
			return 0;
		hidden |= (uint64_t)(d - digits) << (6 * i);
	}
	/* 0x9e37…15 is odd, so it has an inverse modulo 2^64. */
	int64_t id = (int64_t)((hidden ^ mix(key, 0x7137)) * 0xf1de83e19937733du);
	store_pkey(s, kind, id, check);
	return strncmp(check, pkey, 44) ? 0 : id;
}

/* ---- history ---------------------------------------------------------------------------------- */

void store_history(struct store *s, const char *key, const char *method, const char *resource,
		   const char *body)
{
	sqlite3_stmt *st = s->remember;

	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, method, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, resource, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, body, -1, SQLITE_STATIC);
	store_run(st);
}

void store_history_of(struct store *s, const char *key, cJSON *list)
{
	sqlite3_stmt *st = store_prepare(
	    s, "SELECT seq, method, resource, body FROM _history WHERE key=? ORDER BY seq");
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	while (sqlite3_step(st) == SQLITE_ROW) {
		cJSON *o = cJSON_CreateObject();
		cJSON_AddNumberToObject(o, "seq", sqlite3_column_double(st, 0));
		cJSON_AddNumberToObject(o, "version", sqlite3_column_double(st, 0));
		cJSON_AddStringToObject(o, "method", (const char *)sqlite3_column_text(st, 1));
		cJSON_AddStringToObject(o, "table", (const char *)sqlite3_column_text(st, 2));
		cJSON *body = cJSON_Parse((const char *)sqlite3_column_text(st, 3));
		cJSON_AddItemToObject(o, "body", body ? body : cJSON_CreateObject());
		cJSON_AddItemToArray(list, o);
	}
	sqlite3_finalize(st);
}
