/* store.h - resources as data, records in SQLite.
 *
 * A resource is a file in resources/: its fields, keys and links.  A nested item (location) is
 * stored flat, "location.city".  Values are kept as the texts that JSON shows; empty is "", there
 * is no null, as in the product.
 */
#ifndef SANDBOX_CAMPAIGN_STORE_H
#define SANDBOX_CAMPAIGN_STORE_H

#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "server.h"

enum kind {
	K_STRING,
	K_BOOLEAN,
	K_LONG,
	K_DOUBLE,
	K_DATE,
	K_DATETIME,
	K_ENUM,
	K_LINK,
	K_COLLECTION
};

struct field {
	char path[100];
	enum kind kind;
	int length;
	bool read_only, extension;
	const cJSON *json;
	const char *stamp; /* field that is stamped when this one changes */
};

struct resource {
	const char *name, *schema, *label, *key;
	bool built_in;
	const cJSON *json, *fields_json;
	struct field *fields;
	int count;
	sqlite3_stmt *by_id, *by_key, *by_prefix, *insert, *update, *remove;
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *remember;
	struct resource *resources;
	int count;
	uint64_t seed, tails;
	int64_t sequence;
	bool no_external_key;
	bool in_transaction;
};

/* A record: one text a field, in the order of the resource. */
struct record {
	int64_t id;
	char **values;
};

bool store_open(struct store *s, const char *dir, const char *data, char *why, size_t size);
void store_close(struct store *s);
struct resource *store_resource(struct store *s, const char *name, size_t len);
int resource_field(const struct resource *r, const char *path);
struct record record_new(const struct resource *r);
void record_free(const struct resource *r, struct record *rec);

/* Each fills rec (made by record_new) or returns false. */
bool store_by_key(struct store *s, struct resource *r, const char *key, struct record *rec);
bool store_by_pkey(struct store *s, struct resource *r, const char *pkey, struct record *rec);
void store_insert(struct store *s, struct resource *r, struct record *rec);
void store_update(struct store *s, struct resource *r, const struct record *rec);
void store_delete(struct store *s, struct resource *r, int64_t id);
/* Records from an id on, by id. */
sqlite3_stmt *store_list(struct store *s, struct resource *r, int64_t after, long limit);
void store_read(const struct resource *r, sqlite3_stmt *st, struct record *rec);
long store_count(struct store *s, const struct resource *r);

/* Opaque, and never the same twice: a fixed part that finds the record and a random tail. */
void store_pkey(struct store *s, const struct resource *r, int64_t id, char out[100]);
void store_history(struct store *s, const char *key, const char *method, const char *resource,
		   const char *body);
void store_history_of(struct store *s, const char *key, cJSON *list);
/* For the simulator, which brings its own tables. Both end the sandbox on errors. */
void store_exec(struct store *s, const char *sql);
sqlite3_stmt *store_prepare(struct store *s, const char *sql);
/* YYYY-MM-DD HH:MM:SS.mmmZ */
void time_text(int64_t ms, char out[32]);
int64_t now_ms(void);

#endif
