/* store.h - tables as data, rows in SQLite.
 *
 * A table is a file in tables/: its columns, types, options and lookup targets.  No table is known
 * to the C code.  Values are kept as texts exactly as JSON writes them (numbers included), so that
 * money keeps its digits; a lookup has a second column for the table it points to.  One counter
 * for the whole organization gives every write its version, as the product's row version does.
 */
#ifndef SANDBOX_DATAVERSE_STORE_H
#define SANDBOX_DATAVERSE_STORE_H

#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "server.h"

enum type {
	T_STRING,
	T_MEMO,
	T_GUID,
	T_BOOLEAN,
	T_INTEGER,
	T_BIGINT,
	T_DOUBLE,
	T_DECIMAL,
	T_MONEY,
	T_DATETIME,
	T_DATE,
	T_CHOICE,
	T_STATE,
	T_STATUS,
	T_CHOICES,     /* several: "2,3,8" */
	T_ENTITY_NAME, /* a table's logical name */
	T_IMAGE,       /* image and file: here only whether there is one */
	T_VIRTUAL,     /* the readable twin of another column */
	T_LOOKUP
};

struct column {
	const char *name, *type_name; /* Dataverse's AttributeType */
	enum type type;
	int max_length, precision;
	bool read_only;
	const cJSON *json; /* the column's part of the file */
	const cJSON *options, *targets;
	const char *system, *on_delete, *sample;
	char property[80]; /* as in JSON: name, or _name_value */
};

struct table {
	const char *name, *schema_name, *set, *id, *primary_name;
	bool tracking, intersect;
	double visible;	     /* the part of the rows that the caller's role sees, 0 to 1 */
	bool only_own_level; /* the role's read is below the organization: no change tracking */
	double samples_per_contact;
	long samples; /* so many, however many contacts; 0: by samples_per_contact */
	struct column *columns;
	int count;
	const cJSON *json;
};

struct store {
	sqlite3 *db;
	struct table *tables;
	int count;
	int64_t version;	  /* the last one given out */
	int64_t metadata_version; /* moves with every change of a definition */
	int64_t expired;	  /* delta tokens up to this version are too old */
	const char *dir;	  /* the folder of tables */
	cJSON *option_sets; /* the global ones: {name: {"options": {..}, "displayName": ..}} */
	struct statements *statements; /* see statement.c */
	char owner[37];		       /* of rows made now: the user who asks */
	int depth;		       /* of transactions within each other */
	int64_t undo[8];	       /* version at the start of each */
};

bool store_open(struct store *s, const char *tables_dir, const char *data, char *why, size_t size);
void store_close(struct store *s);
bool store_is_empty(struct store *s);
struct table *store_table(struct store *s, const char *logical_name);
struct table *store_set(struct store *s, const char *set, size_t len);
struct column *table_column(struct table *t, const char *name);
struct column *table_property(struct table *t, const char *property, size_t len);
long store_count(struct store *s, const struct table *t);

/* A row about to be written: one text a column, NULL for null; `given` says which were given. */
struct row {
	char **values, **targets; /* targets: of lookups */
	bool *given;
};
struct row row_new(const struct table *t);
void row_free(const struct table *t, struct row *r);

/* What the column of a row holds: malloc'ed, NULL for null. */
char *store_value(struct store *s, const struct table *t, const char *id, const char *column);
/* Nest: an inner one that is not kept undoes only its own writes. */
void store_begin(struct store *s);
void store_end(struct store *s, bool keep);

bool store_exists(struct store *s, const struct table *t, const char *id);
/* Inserts or updates; fills what derived.h knows; gives a version. method NULL: no history. */
void store_write(struct store *s, struct table *t, const char *id, struct row *r, bool insert,
		 const char *method);
/* Deletes and cascades as the columns' onDelete say. */
void store_delete(struct store *s, struct table *t, const char *id);
void store_history(struct store *s, const char *key, cJSON *list);
sqlite3_stmt *store_prepare(struct store *s, const char *sql);
/* A prepared statement that is kept for the next time; release it, never finalize it.  One that is
 * running is not handed out twice: between this call and the first step no other may ask for the
 * same text. */
sqlite3_stmt *store_statement(struct store *s, const char *sql);
void store_release(sqlite3_stmt *st);
/* Before the shape of a table changes, and at the end. */
void store_forget_statements(struct store *s);
/* The indexes of a table: made after the rows, when many are written at once. */
void store_index(struct store *s, const struct table *t);
/* A definition as in a table file, taken over; new or instead of the one of that name, and kept with
 * the data.  All struct table and struct column pointers are void after these. */
bool store_define(struct store *s, cJSON *json, char *why, size_t size);
void store_undefine(struct store *s, struct table *t);
/* Forgets a column's values; the definition is the caller's. */
void store_drop_column(struct store *s, const struct table *t, const char *column, bool lookup);
/* set NULL: there is none any more.  Taken over. */
void store_option_set(struct store *s, const char *name, cJSON *set);
/* The database was replaced by another: what is known about it is read again. */
bool store_restored(struct store *s, char *why, size_t size);
cJSON *store_read_json(const char *path, char *why, size_t size);

/* Comparisons that SQLite does not have; see collate.c. */
void store_collations(struct store *s);
void store_exec(struct store *s, const char *sql);

#endif
