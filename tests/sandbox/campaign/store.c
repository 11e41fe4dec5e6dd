/* store.c - see store.h. */
#include "store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *text(const cJSON *o, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void time_text(int64_t ms, char out[32])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char date[24];
	strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", gmtime_r(&t, &tm));
	snprintf(out, 32, "%s.%03dZ", date, (int)(ms % 1000));
}

sqlite3_stmt *store_prepare(struct store *s, const char *sql)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK) {
		fprintf(stderr, "sandbox-campaign: %s: %s\n", sqlite3_errmsg(s->db), sql);
		abort();
	}
	return st;
}

void store_exec(struct store *s, const char *sql)
{
	char *why = NULL;
	if (sqlite3_exec(s->db, sql, NULL, NULL, &why) != SQLITE_OK) {
		fprintf(stderr, "sandbox-campaign: %s: %s\n", why, sql);
		abort();
	}
}

static enum kind kind_of(const cJSON *json)
{
	const char *type = text(json, "type"), *raw = text(json, "resType");

	if (!type || !strcmp(type, "string"))
		return K_STRING;
	if (!strcmp(type, "boolean"))
		return K_BOOLEAN;
	if (!strcmp(type, "number"))
		return raw && !strcmp(raw, "double") ? K_DOUBLE : K_LONG;
	if (!strcmp(type, "date"))
		return K_DATE;
	if (!strcmp(type, "datetime"))
		return K_DATETIME;
	if (!strcmp(type, "enumeration"))
		return K_ENUM;
	return !strcmp(type, "link") ? K_LINK : K_COLLECTION;
}

static void read_fields(struct resource *r, const cJSON *fields, const char *prefix)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, fields)
	{
		const cJSON *inner = cJSON_GetObjectItemCaseSensitive(f, "content");
		char path[100];
		snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", f->string);
		if (inner) {
			read_fields(r, inner, path);
			continue;
		}
		r->fields = realloc(r->fields, (size_t)(r->count + 1) * sizeof *r->fields);
		struct field *x = &r->fields[r->count++];
		const cJSON *length = cJSON_GetObjectItemCaseSensitive(f, "length");
		*x = (struct field){
		    .kind = kind_of(f),
		    .length = cJSON_IsNumber(length) ? length->valueint : 0,
		    .read_only = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(f, "readOnly")),
		    .extension = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(f, "extension")),
		    .json = f,
		    .stamp = text(f, "stamp")};
		memcpy(x->path, path, sizeof path);
	}
}

static bool read_resource(struct store *s, const char *path, char *why, size_t size)
{
	char *data = calloc(1, 1 << 20);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(data, 1, (1 << 20) - 1, f) : 0;

	if (f)
		fclose(f);
	cJSON *json = n ? cJSON_Parse(data) : NULL;
	free(data);
	if (!text(json, "name") || !text(json, "key") || !text(json, "schema")) {
		snprintf(why, size, "%s describes no resource", path);
		cJSON_Delete(json);
		return false;
	}
	struct resource *more =
	    realloc(s->resources, (size_t)(s->count + 1) * sizeof *s->resources);
	s->resources = more;
	struct resource *r = &s->resources[s->count++];
	*r = (struct resource){.name = text(json, "name"),
			       .schema = text(json, "schema"),
			       .label = text(json, "label"),
			       .key = text(json, "key"),
			       .built_in =
				   cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "builtIn")),
			       .json = json,
			       .fields_json = cJSON_GetObjectItemCaseSensitive(json, "fields")};
	read_fields(r, r->fields_json, "");
	return true;
}

static void create(struct store *s, struct resource *r)
{
	char sql[32768], names[16384] = "", marks[4096] = "", sets[16384] = "";
	int n = snprintf(sql, sizeof sql,
			 "CREATE TABLE IF NOT EXISTS \"%s\" (_id INTEGER PRIMARY KEY", r->name);

	for (int i = 0; i < r->count; i++) {
		n += snprintf(sql + n, sizeof sql - (size_t)n, ", \"%s\" TEXT NOT NULL DEFAULT ''",
			      r->fields[i].path);
		snprintf(names + strlen(names), sizeof names - strlen(names), "%s\"%s\"",
			 i ? "," : "", r->fields[i].path);
		snprintf(marks + strlen(marks), sizeof marks - strlen(marks), "%s?%d", i ? "," : "",
			 i + 1);
		snprintf(sets + strlen(sets), sizeof sets - strlen(sets), "%s\"%s\"=?%d",
			 i ? "," : "", r->fields[i].path, i + 1);
	}
	snprintf(sql + n, sizeof sql - (size_t)n, ")");
	store_exec(s, sql);
	snprintf(sql, sizeof sql, "CREATE INDEX IF NOT EXISTS \"%s_key\" ON \"%s\"(\"%s\")",
		 r->name, r->name, r->key);
	store_exec(s, sql);
	snprintf(sql, sizeof sql, "SELECT _id,%s FROM \"%s\" WHERE _id=?1", names, r->name);
	r->by_id = store_prepare(s, sql);
	snprintf(sql, sizeof sql, "SELECT _id,%s FROM \"%s\" WHERE \"%s\"=?1", names, r->name,
		 r->key);
	r->by_key = store_prepare(s, sql);
	snprintf(sql, sizeof sql, "INSERT INTO \"%s\"(%s) VALUES (%s)", r->name, names, marks);
	r->insert = store_prepare(s, sql);
	snprintf(sql, sizeof sql, "UPDATE \"%s\" SET %s WHERE _id=?%d", r->name, sets,
		 r->count + 1);
	r->update = store_prepare(s, sql);
	snprintf(sql, sizeof sql, "DELETE FROM \"%s\" WHERE _id=?1", r->name);
	r->remove = store_prepare(s, sql);
}

bool store_open(struct store *s, const char *dir, const char *data, char *why, size_t size)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d) {
		snprintf(why, size, "the folder of resources %s cannot be read; see --resources",
			 dir);
		return false;
	}
	while ((e = readdir(d))) {
		char path[4096];
		size_t n = strlen(e->d_name);
		if (n < 6 || strcmp(e->d_name + n - 5, ".json"))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (!read_resource(s, path, why, size)) {
			closedir(d);
			return false;
		}
	}
	closedir(d);
	if (sqlite3_open(data ? data : ":memory:", &s->db) != SQLITE_OK) {
		snprintf(why, size, "%s: %s", data ? data : ":memory:", sqlite3_errmsg(s->db));
		return false;
	}
	store_exec(
	    s,
	    "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
	    "CREATE TABLE IF NOT EXISTS _history (seq INTEGER PRIMARY KEY, key TEXT, method TEXT,"
	    " resource TEXT, body TEXT);"
	    "CREATE INDEX IF NOT EXISTS _history_key ON _history(key)");
	for (int i = 0; i < s->count; i++)
		create(s, &s->resources[i]);
	s->remember =
	    store_prepare(s, "INSERT INTO _history(key, method, resource, body) VALUES (?,?,?,?)");
	return true;
}

void store_close(struct store *s)
{
	for (int i = 0; i < s->count; i++) {
		struct resource *r = &s->resources[i];
		sqlite3_finalize(r->by_id);
		sqlite3_finalize(r->by_key);
		sqlite3_finalize(r->insert);
		sqlite3_finalize(r->update);
		sqlite3_finalize(r->remove);
		free(r->fields);
		cJSON_Delete((cJSON *)r->json);
	}
	free(s->resources);
	sqlite3_finalize(s->remember);
	sqlite3_close(s->db);
}

struct resource *store_resource(struct store *s, const char *name, size_t len)
{
	for (int i = 0; i < s->count; i++)
		if (strlen(s->resources[i].name) == len &&
		    !strncmp(s->resources[i].name, name, len))
			return &s->resources[i];
	return NULL;
}

int resource_field(const struct resource *r, const char *path)
{
	for (int i = 0; i < r->count; i++)
		if (!strcmp(r->fields[i].path, path))
			return i;
	return -1;
}

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

bool store_by_key(struct store *s, struct resource *r, const char *key, struct record *rec)
{
	(void)s;
	if (!*key)
		return false;
	sqlite3_bind_text(r->by_key, 1, key, -1, SQLITE_STATIC);
	return fetch(r, r->by_key, rec);
}

/* The fixed part is the id, mixed so that it tells nothing, in 22 characters. */
static uint64_t mix(uint64_t x, uint64_t key)
{
	struct rng r = {x ^ key};
	return rng_next(&r);
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

void store_pkey(struct store *s, const struct resource *r, int64_t id, char out[100])
{
	uint64_t key = s->seed ^ (uint64_t)(r - s->resources) << 56,
		 a = (uint64_t)id * 0x9e3779b97f4a7c15u;
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

bool store_by_pkey(struct store *s, struct resource *r, const char *pkey, struct record *rec)
{
	uint64_t key = s->seed ^ (uint64_t)(r - s->resources) << 56, hidden = 0;
	char check[100];

	if (strlen(pkey) != 92)
		return false;
	for (int i = 0; i < 11; i++) {
		const char *d = strchr(digits, pkey[1 + i]);
		if (!d)
			return false;
		hidden |= (uint64_t)(d - digits) << (6 * i);
	}
	/* 0x9e37…15 is odd, so it has an inverse modulo 2^64. */
	int64_t id = (int64_t)((hidden ^ mix(key, 0x7137)) * 0xf1de83e19937733du);
	store_pkey(s, r, id, check);
	if (strncmp(check, pkey, 44))
		return false;
	sqlite3_bind_int64(r->by_id, 1, id);
	return fetch(r, r->by_id, rec);
}

/* Many writes share a transaction; it is ended before anything is listed, and at the end. */
static void bind_values(sqlite3_stmt *st, const struct resource *r, const struct record *rec)
{
	for (int i = 0; i < r->count; i++)
		sqlite3_bind_text(st, i + 1, rec->values[i], -1, SQLITE_STATIC);
}

static void run(sqlite3_stmt *st)
{
	if (sqlite3_step(st) != SQLITE_DONE)
		abort();
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

void store_insert(struct store *s, struct resource *r, struct record *rec)
{
	bind_values(r->insert, r, rec);
	run(r->insert);
	rec->id = sqlite3_last_insert_rowid(s->db);
}

void store_update(struct store *s, struct resource *r, const struct record *rec)
{
	(void)s;
	bind_values(r->update, r, rec);
	sqlite3_bind_int64(r->update, r->count + 1, rec->id);
	run(r->update);
}

void store_delete(struct store *s, struct resource *r, int64_t id)
{
	(void)s;
	sqlite3_bind_int64(r->remove, 1, id);
	run(r->remove);
}

sqlite3_stmt *store_list(struct store *s, struct resource *r, int64_t after, long limit)
{
	char sql[32768];
	int n = snprintf(sql, sizeof sql, "SELECT _id");

	for (int i = 0; i < r->count; i++)
		n += snprintf(sql + n, sizeof sql - (size_t)n, ",\"%s\"", r->fields[i].path);
	snprintf(sql + n, sizeof sql - (size_t)n,
		 " FROM \"%s\" WHERE _id > %lld ORDER BY _id LIMIT %ld", r->name, (long long)after,
		 limit);
	return store_prepare(s, sql);
}

long store_count(struct store *s, const struct resource *r)
{
	char sql[200];
	snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", r->name);
	sqlite3_stmt *st = store_prepare(s, sql);
	long n = sqlite3_step(st) == SQLITE_ROW ? (long)sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return n;
}

void store_history(struct store *s, const char *key, const char *method, const char *resource,
		   const char *body)
{
	sqlite3_stmt *st = s->remember;

	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, method, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, resource, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, body, -1, SQLITE_STATIC);
	run(st);
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
