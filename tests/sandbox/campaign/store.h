/* store.h - resources as data, records in SQLite.
 *
 * A resource is a file in resources/: its fields, keys, links and filters.  A nested item
 * (location) is stored flat, "location.city".  Values are kept as the texts that JSON shows; empty
 * is "", there is no null, as in the product.  A link is either a join on a plain column, which
 * needs no parent to be written, or the parent's record itself, kept by its number.
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

/* What the deletion of a link's target does to the record that has the link: nothing; its keys are
 * emptied; it goes, too; or it forbids the deletion. */
enum integrity { I_NEUTRAL, I_NORMAL, I_OWN, I_DEFINE };

struct resource;

struct field {
	char path[100];
	enum kind kind;
	int length;
	bool read_only, extension, v8_extension;
	const cJSON *json;
	const char *stamp; /* field that is stamped when this one changes */

	/* links: where they lead, and how */
	struct resource *target;
	int column, target_field; /* of a join: the field here and the one there; else -1 */
	bool required;		  /* cardinality 1: without the target the record is hidden */
	enum integrity integrity;
	sqlite3_stmt *referrers; /* numbers of the records that lead to one target */

	/* collections: the link of the target resource that leads back */
	int via;
};

struct resource {
	const char *name, *schema, *label, *singular, *key, *generated_key;
	bool built_in, nested; /* nested: only as a collection of another resource */
	bool of_profile;       /* linked to a profile, directly or by another resource */
	cJSON *json;
	const cJSON *fields_json, *filters;
	struct field *fields; /* in the order of their names, as answers show them */
	int count, key_field;
	long rows;
	char visible[2000]; /* SQL: is the record t to be seen? */
	bool may_hide;
	sqlite3_stmt *by_id, *by_key, *any_by_key, *insert, *update, *remove;
};

enum { STATEMENTS = 32 };

struct store {
	sqlite3 *db;
	sqlite3_stmt *remember;
	struct resource *resources;
	int count;
	uint64_t seed, tails;
	bool no_external_key, no_custom_keys, v8;
	int64_t clock_fixed_ms, clock_offset_ms; /* fixed: 0 for the real clock */
	struct {
		char *sql;
		sqlite3_stmt *st;
	} statements[STATEMENTS];
	int next_statement;
};

/* A record: one text a field, in the order of the resource. */
struct record {
	int64_t id;
	char **values;
};

/* resources.c: reads DIR's *.json; false and why when one is no good. */
bool resources_read(struct store *s, const char *dir, char *why, size_t size);
void resources_free(struct store *s);
struct resource *store_resource(struct store *s, const char *name, size_t len);
int resource_field(const struct resource *r, const char *path);
/* A member of a data file that is a text, or NULL. */
const char *json_text(const cJSON *o, const char *name);
bool json_flag(const cJSON *o, const char *name);

bool store_open(struct store *s, const char *dir, const char *data, char *why, size_t size);
void store_close(struct store *s);
struct record record_new(const struct resource *r);
void record_free(const struct resource *r, struct record *rec);
void record_set(const struct resource *r, struct record *rec, int field, const char *value);

/* Each fills rec (made by record_new) or returns false. A hidden record is not found. */
bool store_by_key(struct resource *r, const char *key, struct record *rec);
bool store_by_id(struct resource *r, int64_t id, struct record *rec);
/* Number of any record with this key, hidden or not, or 0. */
int64_t store_key_taken(struct resource *r, const char *key);
void store_insert(struct store *s, struct resource *r, struct record *rec);
void store_update(struct resource *r, const struct record *rec);
void store_delete(struct resource *r, int64_t id);
/* Visible records. */
long store_count(struct store *s, const struct resource *r);

/* Opaque, and never the same twice: a fixed part that finds the record and a random tail.
 * kind tells resources and other things with PKeys apart. */
void store_pkey(struct store *s, uint64_t kind, int64_t id, char out[100]);
int64_t store_pkey_id(struct store *s, uint64_t kind, const char *pkey); /* 0: not ours */
uint64_t resource_kind(const struct store *s, const struct resource *r);

void store_history(struct store *s, const char *key, const char *method, const char *resource,
		   const char *body);
void store_history_of(struct store *s, const char *key, cJSON *list);

/* All of these end the sandbox on errors of SQL. The cached statement is the store's: reset it. */
void store_exec(struct store *s, const char *sql);
sqlite3_stmt *store_prepare(struct store *s, const char *sql);
sqlite3_stmt *store_cached(struct store *s, const char *sql);
void store_run(sqlite3_stmt *st); /* to the end; resets and forgets what was bound */
int64_t store_number(struct store *s, const char *sql);
/* "_id" and all fields of t, to be read by store_read. */
void store_columns(const struct resource *r, char *out, size_t size);
void store_read(const struct resource *r, sqlite3_stmt *st, struct record *rec);

/* The sandbox's clock: the real one, moved by /_sandbox/advance, or one that only that moves. */
int64_t store_now_ms(const struct store *s);
/* YYYY-MM-DD HH:MM:SS.mmmZ */
void time_text(int64_t ms, char out[32]);
bool time_parse(const char *text, int64_t *ms);

#endif
