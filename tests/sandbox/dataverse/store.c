/* store.c - see store.h. */
#include "derived.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text.h"

static const struct {
	const char *name;
	enum type type;
} types[] = {{"String", T_STRING},
	     {"Memo", T_MEMO},
	     {"Uniqueidentifier", T_GUID},
	     {"Boolean", T_BOOLEAN},
	     {"Integer", T_INTEGER},
	     {"BigInt", T_BIGINT},
	     {"Double", T_DOUBLE},
	     {"Decimal", T_DECIMAL},
	     {"Money", T_MONEY},
	     {"DateTime", T_DATETIME},
	     {"Picklist", T_CHOICE},
	     {"State", T_STATE},
	     {"Status", T_STATUS},
	     {"Lookup", T_LOOKUP},
	     {"Customer", T_LOOKUP},
	     {"Owner", T_LOOKUP},
	     {"MultiSelectPicklist", T_CHOICES},
	     {"EntityName", T_ENTITY_NAME},
	     {"Image", T_IMAGE},
	     {"File", T_IMAGE},
	     {"Virtual", T_VIRTUAL}};

static const char *text(const cJSON *o, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

static double number(const cJSON *o, const char *name, double fallback)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, name);
	return cJSON_IsNumber(n) ? n->valuedouble : fallback;
}

static bool truth(const cJSON *o, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, name));
}

sqlite3_stmt *store_prepare(struct store *s, const char *sql)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK) {
		fprintf(stderr, "sandbox-dataverse: %s: %s\n", sqlite3_errmsg(s->db), sql);
		abort();
	}
	return st;
}

void store_exec(struct store *s, const char *sql)
{
	char *why = NULL;
	if (sqlite3_exec(s->db, sql, NULL, NULL, &why) != SQLITE_OK) {
		fprintf(stderr, "sandbox-dataverse: %s: %s\n", why, sql);
		abort();
	}
}

void store_begin(struct store *s)
{
	char sql[40];

	s->undo[s->depth] = s->version;
	snprintf(sql, sizeof sql, "SAVEPOINT t%d", s->depth++);
	store_exec(s, sql);
}

void store_end(struct store *s, bool keep)
{
	char sql[80];
	int n = --s->depth;

	snprintf(sql, sizeof sql, keep ? "RELEASE t%d" : "ROLLBACK TO t%d; RELEASE t%d", n, n);
	store_exec(s, sql);
	if (!keep)
		s->version = s->undo[n];
}

static bool read_column(struct column *c, const cJSON *json, char *why, size_t size)
{
	const char *type = text(json, "type"), *behavior = text(json, "behavior");
	size_t i = 0;

	while (type && i < sizeof types / sizeof *types && strcmp(type, types[i].name))
		i++;
	if (!type || i == sizeof types / sizeof *types) {
		snprintf(why, size, "column %s has the type %s", json->string, type ? type : "?");
		return false;
	}
	*c = (struct column){.name = json->string,
			     .type_name = type,
			     .type = types[i].type,
			     .max_length = (int)number(json, "maxLength", 0),
			     .precision = (int)number(json, "precision", 4),
			     .read_only = truth(json, "readOnly"),
			     .json = json,
			     .options = cJSON_GetObjectItemCaseSensitive(json, "options"),
			     .targets = cJSON_GetObjectItemCaseSensitive(json, "targets"),
			     .system = text(json, "system"),
			     .on_delete = text(json, "onDelete"),
			     .sample = text(json, "sample")};
	if (behavior && !strcmp(behavior, "DateOnly"))
		c->type = T_DATE;
	snprintf(c->property, sizeof c->property, c->type == T_LOOKUP ? "_%s_value" : "%s",
		 c->name);
	return true;
}

cJSON *store_read_json(const char *path, char *why, size_t size)
{
	FILE *f = fopen(path, "re");
	char *data = calloc(1, 1 << 20);
	cJSON *json = NULL;

	if (f && data && fread(data, 1, (1 << 20) - 1, f))
		json = cJSON_Parse(data);
	if (!json)
		snprintf(why, size, "%s cannot be read as JSON", path);
	if (f)
		fclose(f);
	free(data);
	return json;
}

/* A column that names a global option set and has options says what is in the set. */
static void note_option_set(struct store *s, const struct column *c)
{
	const char *name = text(c->json, "globalOptionSet");
	cJSON *set;

	if (!name || !c->options || cJSON_GetObjectItemCaseSensitive(s->option_sets, name))
		return;
	set = cJSON_AddObjectToObject(s->option_sets, name);
	cJSON_AddItemToObject(set, "options", cJSON_Duplicate(c->options, true));
}

static void table_free(struct table *t)
{
	free(t->columns);
	cJSON_Delete((cJSON *)t->json);
}

/* Takes json over.  A table of the same name is replaced. */
static bool take_table(struct store *s, cJSON *json, char *why, size_t size)
{
	const cJSON *c, *columns = cJSON_GetObjectItemCaseSensitive(json, "columns");
	struct table *t = NULL;

	if (!cJSON_IsObject(columns) || !text(json, "name") || !text(json, "entitySet") ||
	    !text(json, "primaryId") || !text(json, "primaryName")) {
		snprintf(why, size,
			 "a file without columns, name, entitySet, primaryId or "
			 "primaryName describes no table");
		cJSON_Delete(json);
		return false;
	}
	struct table fresh = {.name = text(json, "name"),
			      .schema_name = text(json, "schemaName"),
			      .set = text(json, "entitySet"),
			      .id = text(json, "primaryId"),
			      .primary_name = text(json, "primaryName"),
			      .tracking = truth(json, "changeTracking"),
			      .intersect = truth(json, "isIntersect"),
			      .visible = 1,
			      .samples = (long)number(json, "samples", 0),
			      .samples_per_contact = number(json, "samplesPerContact", 0),
			      .json = json};
	fresh.columns = calloc((size_t)cJSON_GetArraySize(columns) + 1, sizeof *fresh.columns);
	cJSON_ArrayForEach(c, columns)
	{
		if (!read_column(&fresh.columns[fresh.count++], c, why, size)) {
			table_free(&fresh);
			return false;
		}
		note_option_set(s, &fresh.columns[fresh.count - 1]);
	}
	if (fresh.intersect) /* its two GUIDs are no lookups to a reader */
		for (int i = 0; i < fresh.count; i++) {
			snprintf(fresh.columns[i].property, sizeof fresh.columns[i].property, "%s",
				 fresh.columns[i].name);
			if (fresh.columns[i].type == T_LOOKUP)
				fresh.columns[i].type_name = "Uniqueidentifier";
		}
	for (int i = 0; i < s->count && !t; i++)
		if (!strcmp(s->tables[i].name, fresh.name))
			t = &s->tables[i];
	if (t) {
		fresh.visible = t->visible;
		fresh.only_own_level = t->only_own_level;
		table_free(t);
	} else {
		s->tables = realloc(s->tables, (size_t)(s->count + 1) * sizeof *s->tables);
		if (!s->tables)
			abort();
		/* in the order of their names: a folder has none, and the same seed has to give the
		 * same world, whether its tables were made before a restart or after */
		int at = s->count++;
		for (; at > 0 && strcmp(s->tables[at - 1].name, fresh.name) > 0; at--)
			s->tables[at] = s->tables[at - 1];
		t = &s->tables[at];
	}
	*t = fresh;
	return true;
}

/* Makes the SQL table what the definition says: new columns are added, indexes made.  Nothing is
 * lost when a file of tables has grown since the data were written. */
static void shape(struct store *s, const struct table *t)
{
	struct text sql = {0};

	text_printf(&sql,
		    "CREATE TABLE IF NOT EXISTS \"%s\" (\"%s\" TEXT PRIMARY KEY, _version INTEGER) "
		    "WITHOUT ROWID",
		    t->name, t->id);
	store_exec(s, sql.data);
	for (int i = 0; i < t->count; i++) {
		const struct column *c = &t->columns[i];
		sqlite3_stmt *st = store_prepare(
		    s, "SELECT 1 FROM pragma_table_info(?) WHERE name = ? COLLATE BINARY");
		sqlite3_bind_text(st, 1, t->name, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, c->name, -1, SQLITE_STATIC);
		bool there = sqlite3_step(st) == SQLITE_ROW;
		sqlite3_finalize(st);
		if (there)
			continue;
		sql.len = 0;
		text_printf(&sql, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" TEXT", t->name, c->name);
		store_exec(s, sql.data);
		if (c->type != T_LOOKUP)
			continue;
		sql.len = 0;
		text_printf(&sql, "ALTER TABLE \"%s\" ADD COLUMN \"%s__table\" TEXT", t->name,
			    c->name);
		store_exec(s, sql.data);
	}
	free(sql.data);
}

void store_index(struct store *s, const struct table *t)
{
	struct text sql = {0};
	const cJSON *key, *name;

	text_printf(&sql, "CREATE INDEX IF NOT EXISTS \"%s_v\" ON \"%s\"(_version);", t->name,
		    t->name);
	/* none for who owns a row and its currency: every row has one and most the same, and an
	 * index of a million equal values costs more memory than it saves time */
	for (int i = 0; i < t->count; i++)
		if (t->columns[i].type == T_LOOKUP && cJSON_GetArraySize(t->columns[i].targets) &&
		    !t->columns[i].system && !cJSON_HasObjectItem(t->columns[i].json, "default"))
			text_printf(&sql,
				    "CREATE INDEX IF NOT EXISTS \"%s_%s\" ON \"%s\"(\"%s\") "
				    "WHERE \"%s\" IS NOT NULL;",
				    t->name, t->columns[i].name, t->name, t->columns[i].name,
				    t->columns[i].name);
	cJSON_ArrayForEach(key, cJSON_GetObjectItemCaseSensitive(t->json, "keys"))
	{
		text_printf(&sql, "CREATE INDEX IF NOT EXISTS \"%s_key_%s\" ON \"%s\"(", t->name,
			    key->string, t->name);
		cJSON_ArrayForEach(name, key)
		{
			struct column *c =
			    table_column((struct table *)t, cJSON_GetStringValue(name));
			bool folds = c && (c->type == T_STRING || c->type == T_MEMO);
			text_printf(&sql, "%s\"%s\"%s", name == key->child ? "" : ",",
				    cJSON_GetStringValue(name), folds ? " COLLATE FOLD" : "");
		}
		text_puts(&sql, ");");
	}
	store_exec(s, sql.data);
	free(sql.data);
}

/* ---- definitions that the metadata API made: kept with the data, stronger than the files ---------- */

static void save(struct store *s, const char *kind, const char *name, const cJSON *json)
{
	char *printed = json ? cJSON_PrintUnformatted(json) : NULL;
	sqlite3_stmt *st = store_prepare(
	    s, "INSERT OR REPLACE INTO _definitions(kind, name, json, seq) VALUES (?,?,?,?)");

	sqlite3_bind_text(st, 1, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, printed, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, ++s->metadata_version);
	sqlite3_step(st);
	sqlite3_finalize(st);
	free(printed);
}

bool store_define(struct store *s, cJSON *json, char *why, size_t size)
{
	char name[128];

	snprintf(name, sizeof name, "%s", text(json, "name") ? text(json, "name") : "");
	store_forget_statements(s);
	if (!take_table(s, json, why, size))
		return false;
	struct table *t = store_table(s, name);
	save(s, "table", name, t->json);
	shape(s, t);
	store_index(s, t);
	return true;
}

static void remove_table(struct store *s, struct table *t)
{
	table_free(t);
	s->count--;
	memmove(t, t + 1, (size_t)(&s->tables[s->count] - t) * sizeof *t);
}

void store_undefine(struct store *s, struct table *t)
{
	struct text sql = {0};

	store_forget_statements(s);
	save(s, "table", t->name, NULL);
	text_printf(&sql, "DROP TABLE IF EXISTS \"%s\"", t->name);
	store_exec(s, sql.data);
	free(sql.data);
	remove_table(s, t);
}

void store_drop_column(struct store *s, const struct table *t, const char *column, bool lookup)
{
	struct text sql = {0};

	store_forget_statements(s);
	text_printf(&sql, "DROP INDEX IF EXISTS \"%s_%s\"; ALTER TABLE \"%s\" DROP COLUMN \"%s\";",
		    t->name, column, t->name, column);
	if (lookup)
		text_printf(&sql, "ALTER TABLE \"%s\" DROP COLUMN \"%s__table\";", t->name, column);
	store_exec(s, sql.data);
	free(sql.data);
}

void store_option_set(struct store *s, const char *name, cJSON *set)
{
	cJSON_DeleteItemFromObjectCaseSensitive(s->option_sets, name);
	save(s, "option set", name, set);
	if (set)
		cJSON_AddItemToObject(s->option_sets, name, set);
}

static bool saved_definitions(struct store *s, char *why, size_t size)
{
	sqlite3_stmt *st =
	    store_prepare(s, "SELECT kind, name, json, seq FROM _definitions ORDER BY seq");
	bool good = true;

	while (good && sqlite3_step(st) == SQLITE_ROW) {
		const char *kind = (const char *)sqlite3_column_text(st, 0);
		const char *name = (const char *)sqlite3_column_text(st, 1);
		const char *json = (const char *)sqlite3_column_text(st, 2);
		s->metadata_version = sqlite3_column_int64(st, 3);
		if (!strcmp(kind, "table") && json) {
			good = take_table(s, cJSON_Parse(json), why, size);
		} else if (!strcmp(kind, "table")) {
			if (store_table(s, name))
				remove_table(s, store_table(s, name));
		} else {
			cJSON_DeleteItemFromObjectCaseSensitive(s->option_sets, name);
			if (json)
				cJSON_AddItemToObject(s->option_sets, name, cJSON_Parse(json));
		}
	}
	sqlite3_finalize(st);
	return good;
}

static int64_t scalar(struct store *s, const char *sql)
{
	sqlite3_stmt *st = store_prepare(s, sql);
	int64_t n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return n;
}

static bool read_files(struct store *s, const char *dir, char *why, size_t size)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool good = true;

	if (!d) {
		snprintf(why, size, "the folder of tables %s cannot be read; see --tables", dir);
		return false;
	}
	while (good && (e = readdir(d))) {
		char path[4096], reason[200];
		size_t n = strlen(e->d_name);
		if (n < 6 || strcmp(e->d_name + n - 5, ".json"))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		cJSON *json = store_read_json(path, why, size);
		good = json && take_table(s, json, reason, sizeof reason);
		if (json && !good)
			snprintf(why, size, "%s: %s", path, reason);
	}
	closedir(d);
	return good;
}

/* The counter goes on where the data end. */
static void find_version(struct store *s)
{
	s->version = scalar(s, "SELECT max(version) FROM _history");
	for (int i = 0; i < s->count; i++) {
		char sql[200];
		snprintf(sql, sizeof sql, "SELECT max(_version) FROM \"%s\"", s->tables[i].name);
		int64_t v = scalar(s, sql);
		if (v > s->version)
			s->version = v;
	}
	int64_t deleted = scalar(s, "SELECT max(version) FROM _deleted");
	if (deleted > s->version)
		s->version = deleted;
	if (s->version < 1000000)
		s->version = 1000000;
}

bool store_open(struct store *s, const char *dir, const char *data, char *why, size_t size)
{
	s->dir = dir;
	s->metadata_version = 1000;
	s->option_sets = cJSON_CreateObject();
	if (sqlite3_open(data ? data : ":memory:", &s->db) != SQLITE_OK) {
		snprintf(why, size, "%s: %s", data ? data : ":memory:", sqlite3_errmsg(s->db));
		return false;
	}
	store_collations(s);
	store_exec(
	    s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;"
	       "CREATE TABLE IF NOT EXISTS _deleted (tab TEXT, id TEXT, version INTEGER);"
	       "CREATE INDEX IF NOT EXISTS _deleted_v ON _deleted(tab, version);"
	       "CREATE TABLE IF NOT EXISTS _history (seq INTEGER PRIMARY KEY, key TEXT, tab TEXT,"
	       " method TEXT, version INTEGER, body TEXT);"
	       "CREATE INDEX IF NOT EXISTS _history_key ON _history(key);"
	       "CREATE TABLE IF NOT EXISTS _definitions (kind TEXT, name TEXT, json TEXT, seq "
	       "INTEGER, PRIMARY KEY (kind, name))");
	if (!read_files(s, dir, why, size))
		return false;
	if (!saved_definitions(s, why, size))
		return false;
	for (int i = 0; i < s->count; i++)
		shape(s, &s->tables[i]);
	find_version(s);
	return true;
}

bool store_restored(struct store *s, char *why, size_t size)
{
	if (!saved_definitions(s, why, size))
		return false;
	for (int i = 0; i < s->count; i++) {
		shape(s, &s->tables[i]);
		store_index(s, &s->tables[i]);
	}
	s->version = 0;
	find_version(s);
	return true;
}

void store_close(struct store *s)
{
	for (int i = 0; i < s->count; i++)
		table_free(&s->tables[i]);
	free(s->tables);
	cJSON_Delete(s->option_sets);
	store_forget_statements(s);
	sqlite3_close(s->db);
}

bool store_is_empty(struct store *s)
{
	for (int i = 0; i < s->count; i++)
		if (!cJSON_GetObjectItemCaseSensitive(s->tables[i].json, "rows") &&
		    !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(s->tables[i].json,
								   "writtenByTheProduct")) &&
		    store_count(s, &s->tables[i]))
			return false;
	return true;
}

long store_count(struct store *s, const struct table *t)
{
	char sql[200];
	snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", t->name);
	return (long)scalar(s, sql);
}

struct table *store_table(struct store *s, const char *name)
{
	for (int i = 0; i < s->count; i++)
		if (!strcmp(s->tables[i].name, name))
			return &s->tables[i];
	return NULL;
}

struct table *store_set(struct store *s, const char *set, size_t len)
{
	for (int i = 0; i < s->count; i++)
		if (strlen(s->tables[i].set) == len && !strncmp(s->tables[i].set, set, len))
			return &s->tables[i];
	return NULL;
}

struct column *table_column(struct table *t, const char *name)
{
	for (int i = 0; i < t->count; i++)
		if (!strcmp(t->columns[i].name, name))
			return &t->columns[i];
	return NULL;
}

struct column *table_property(struct table *t, const char *property, size_t len)
{
	for (int i = 0; i < t->count; i++)
		if (strlen(t->columns[i].property) == len &&
		    !strncmp(t->columns[i].property, property, len))
			return &t->columns[i];
	return NULL;
}

struct row row_new(const struct table *t)
{
	return (struct row){calloc((size_t)t->count, sizeof(char *)),
			    calloc((size_t)t->count, sizeof(char *)),
			    calloc((size_t)t->count, sizeof(bool))};
}

void row_free(const struct table *t, struct row *r)
{
	for (int i = 0; r->values && i < t->count; i++) {
		free(r->values[i]);
		free(r->targets[i]);
	}
	free(r->values);
	free(r->targets);
	free(r->given);
	*r = (struct row){0};
}

bool store_exists(struct store *s, const struct table *t, const char *id)
{
	char sql[300];
	snprintf(sql, sizeof sql, "SELECT 1 FROM \"%s\" WHERE \"%s\"=?", t->name, t->id);
	sqlite3_stmt *st = store_statement(s, sql);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_TRANSIENT);
	bool found = sqlite3_step(st) == SQLITE_ROW;
	store_release(st);
	return found;
}

char *store_value(struct store *s, const struct table *t, const char *id, const char *column)
{
	char sql[300], *value = NULL;

	snprintf(sql, sizeof sql, "SELECT \"%s\" FROM \"%s\" WHERE \"%s\"=?", column, t->name,
		 t->id);
	sqlite3_stmt *st = store_statement(s, sql);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0))
		value = strdup((const char *)sqlite3_column_text(st, 0));
	store_release(st);
	return value;
}

static void history(struct store *s, const struct table *t, const char *id, const char *method,
		    cJSON *body)
{
	sqlite3_stmt *st = store_prepare(
	    s, "INSERT INTO _history(key, tab, method, version, body) VALUES (?,?,?,?,?)");
	char *json = cJSON_PrintUnformatted(body);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 2, t->name, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 3, method, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 4, s->version);
	sqlite3_bind_text(st, 5, json, -1, SQLITE_TRANSIENT);
	sqlite3_step(st);
	sqlite3_finalize(st);
	free(json);
	cJSON_Delete(body);
}

void store_history(struct store *s, const char *key, cJSON *list)
{
	sqlite3_stmt *st = store_prepare(
	    s, "SELECT seq, tab, method, version, body FROM _history WHERE key=? ORDER BY seq");
	sqlite3_bind_text(st, 1, key, -1, SQLITE_TRANSIENT);
	while (sqlite3_step(st) == SQLITE_ROW) {
		cJSON *o = cJSON_CreateObject();
		cJSON_AddNumberToObject(o, "seq", sqlite3_column_double(st, 0));
		cJSON_AddStringToObject(o, "table", (const char *)sqlite3_column_text(st, 1));
		cJSON_AddStringToObject(o, "method", (const char *)sqlite3_column_text(st, 2));
		cJSON_AddNumberToObject(o, "version", sqlite3_column_double(st, 3));
		cJSON_AddItemToObject(o, "body",
				      cJSON_Parse((const char *)sqlite3_column_text(st, 4)));
		cJSON_AddItemToArray(list, o);
	}
	sqlite3_finalize(st);
}

static void set(struct row *r, int i, const char *value)
{
	free(r->values[i]);
	r->values[i] = value ? strdup(value) : NULL;
	r->given[i] = true;
}

static void now(char out[32])
{
	time_t t = time(NULL);
	struct tm tm;
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
}

static void fill_system(struct store *s, struct table *t, struct row *r, bool insert)
{
	char time_text[32], version[32];

	now(time_text);
	snprintf(version, sizeof version, "%lld", (long long)s->version);
	for (int i = 0; i < t->count; i++) {
		const struct column *c = &t->columns[i];
		const cJSON *fallback = cJSON_GetObjectItemCaseSensitive(c->json, "default");
		if (c->system &&
		    (!strcmp(c->system, "modified") || (insert && !strcmp(c->system, "created"))))
			set(r, i, r->given[i] && r->values[i] ? r->values[i] : time_text);
		else if (c->system && !strcmp(c->system, "version"))
			set(r, i, version);
		else if (c->system && !strcmp(c->system, "owner") && insert && !r->given[i] &&
			 *s->owner && c->targets && c->targets->child) {
			set(r, i, s->owner);
			free(r->targets[i]);
			r->targets[i] = strdup(c->targets->child->string);
		} else if (insert && !r->given[i] && cJSON_IsBool(fallback))
			set(r, i, cJSON_IsTrue(fallback) ? "true" : "false");
		else if (insert && !r->given[i] && cJSON_IsNumber(fallback)) {
			char n[24];
			snprintf(n, sizeof n, "%d", fallback->valueint);
			set(r, i, n);
		} else if (insert && !r->given[i] && c->type == T_LOOKUP &&
			   cJSON_IsString(fallback) && c->targets && c->targets->child) {
			set(r, i, fallback->valuestring);
			r->targets[i] = strdup(c->targets->child->string);
		}
	}
}

/* Columns made of others (fullname) follow them. */
static void refresh_concats(struct store *s, struct table *t, const char *id)
{
	for (int i = 0; i < t->count; i++) {
		const cJSON *parts = cJSON_GetObjectItemCaseSensitive(t->columns[i].json, "concat"),
			    *p;
		char sql[1000];
		int n;
		if (!cJSON_IsArray(parts))
			continue;
		n = snprintf(sql, sizeof sql, "UPDATE \"%s\" SET \"%s\"=trim(''", t->name,
			     t->columns[i].name);
		cJSON_ArrayForEach(p, parts) n += snprintf(
		    sql + n, sizeof sql - (size_t)n, "||coalesce(\"%s\",'')||' '", p->valuestring);
		snprintf(sql + n, sizeof sql - (size_t)n, ") WHERE \"%s\"=?", t->id);
		sqlite3_stmt *st = store_prepare(s, sql);
		sqlite3_bind_text(st, 1, id, -1, SQLITE_TRANSIENT);
		sqlite3_step(st);
		sqlite3_finalize(st);
	}
}

static cJSON *written(const struct table *t, const struct row *r)
{
	cJSON *body = cJSON_CreateObject();
	for (int i = 0; i < t->count; i++)
		if (r->given[i] && r->values[i])
			cJSON_AddStringToObject(body, t->columns[i].property, r->values[i]);
		else if (r->given[i])
			cJSON_AddNullToObject(body, t->columns[i].property);
	return body;
}

void store_write(struct store *s, struct table *t, const char *id, struct row *r, bool insert,
		 const char *method)
{
	char sql[16384], names[8192] = "", marks[2048] = "", sets[8192] = "_version=?2";
	sqlite3_stmt *st;
	int n = 3;

	s->version++;
	fill_system(s, t, r, insert);
	money_fill(s, t, id, r, insert);
	for (int i = 0; i < t->count; i++) {
		const struct column *c = &t->columns[i];
		if (!r->given[i] || !strcmp(c->name, t->id))
			continue;
		snprintf(names + strlen(names), sizeof names - strlen(names), ",\"%s\"", c->name);
		snprintf(marks + strlen(marks), sizeof marks - strlen(marks), ",?%d", n);
		snprintf(sets + strlen(sets), sizeof sets - strlen(sets), ",\"%s\"=?%d", c->name,
			 n++);
		if (c->type != T_LOOKUP)
			continue;
		snprintf(names + strlen(names), sizeof names - strlen(names), ",\"%s__table\"",
			 c->name);
		snprintf(marks + strlen(marks), sizeof marks - strlen(marks), ",?%d", n);
		snprintf(sets + strlen(sets), sizeof sets - strlen(sets), ",\"%s__table\"=?%d",
			 c->name, n++);
	}
	if (insert)
		snprintf(sql, sizeof sql, "INSERT INTO \"%s\"(\"%s\",_version%s) VALUES (?1,?2%s)",
			 t->name, t->id, names, marks);
	else
		snprintf(sql, sizeof sql, "UPDATE \"%s\" SET %s WHERE \"%s\"=?1", t->name, sets,
			 t->id);
	st = store_prepare(s, sql);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 2, s->version);
	n = 3;
	for (int i = 0; i < t->count; i++) {
		if (!r->given[i] || !strcmp(t->columns[i].name, t->id))
			continue;
		sqlite3_bind_text(st, n++, r->values[i], -1, SQLITE_TRANSIENT);
		if (t->columns[i].type == T_LOOKUP)
			sqlite3_bind_text(st, n++, r->targets[i], -1, SQLITE_TRANSIENT);
	}
	if (sqlite3_step(st) != SQLITE_DONE)
		abort();
	sqlite3_finalize(st);
	refresh_concats(s, t, id);
	if (method)
		history(s, t, id, method, written(t, r));
	activity_write(s, t, id, r, insert);
}

/* Rows of u whose column c points to the deleted row. */
static void cascade(struct store *s, struct table *u, struct column *c, const struct table *t,
		    const char *id)
{
	char sql[400], **ids = NULL;
	size_t n = 0;

	snprintf(sql, sizeof sql, "SELECT \"%s\" FROM \"%s\" WHERE \"%s\"=? AND \"%s__table\"=?",
		 u->id, u->name, c->name, c->name);
	sqlite3_stmt *st = store_prepare(s, sql);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 2, t->name, -1, SQLITE_STATIC);
	while (sqlite3_step(st) == SQLITE_ROW) {
		char **more = realloc(ids, (n + 1) * sizeof *ids);
		if (!more)
			abort();
		ids = more;
		ids[n++] = strdup((const char *)sqlite3_column_text(st, 0));
	}
	sqlite3_finalize(st);
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(c->on_delete, "Cascade")) {
			store_delete(s, u, ids[i]);
		} else { /* RemoveLink: an update of its own, with a version of its own */
			struct row r = row_new(u);
			r.given[c - u->columns] = true;
			store_write(s, u, ids[i], &r, false, "REMOVELINK");
			row_free(u, &r);
		}
		free(ids[i]);
	}
	free(ids);
}

static void delete_row(struct store *s, const struct table *t, const char *id)
{
	char sql[300];
	sqlite3_stmt *st;

	s->version++;
	snprintf(sql, sizeof sql, "DELETE FROM \"%s\" WHERE \"%s\"=?", t->name, t->id);
	st = store_prepare(s, sql);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_TRANSIENT);
	sqlite3_step(st);
	sqlite3_finalize(st);
	st = store_prepare(s, "INSERT INTO _deleted VALUES (?,?,?)");
	sqlite3_bind_text(st, 1, t->name, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 2, id, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 3, s->version);
	sqlite3_step(st);
	sqlite3_finalize(st);
}

void store_delete(struct store *s, struct table *t, const char *id)
{
	struct table *twin = activity_twin(s, t);

	delete_row(s, t, id);
	if (twin)
		delete_row(s, twin, id);
	history(s, t, id, "DELETE", cJSON_CreateObject());
	for (int i = 0; i < s->count; i++)
		for (int k = 0; k < s->tables[i].count; k++) {
			struct column *c = &s->tables[i].columns[k];
			if (c->on_delete && cJSON_GetObjectItemCaseSensitive(c->targets, t->name))
				cascade(s, &s->tables[i], c, t, id);
		}
}
