/* key.c - see key.h. */
#include "key.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

size_t key_length(const char *s)
{
	bool quoted = false;

	for (size_t n = 0; s[n]; n++)
		if (s[n] == '\'')
			quoted = !quoted;
		else if (s[n] == ')' && !quoted)
			return n;
	return SIZE_MAX;
}

static void lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static bool take_guid(const char *s, size_t len, char out[37])
{
	if (len != 36)
		return false;
	snprintf(out, 37, "%.36s", s);
	if (!is_guid(out))
		return false;
	lower(out);
	return true;
}

/* One value up to the comma behind it: 'text' with its quotes doubled, or a bare literal. */
static char *take_literal(const char **at, const char *end, bool *quoted)
{
	const char *s = *at;
	struct text t = {0};

	*quoted = s < end && *s == '\'';
	if (!*quoted) {
		while (s < end && *s != ',')
			s++;
		text_put(&t, *at, (size_t)(s - *at));
		*at = s;
		return t.data;
	}
	text_puts(&t, "");
	for (s++; s < end; s++) {
		if (*s == '\'' && (s + 1 == end || s[1] != '\'')) {
			*at = s + 1;
			return t.data;
		}
		s += *s == '\'';
		text_put(&t, s, 1);
	}
	free(t.data);
	return NULL;
}

static bool not_valid(const struct table *t, struct reply *rep)
{
	api_error(rep, 400, E_QUERY,
		  "The key in the request URI is not valid for resource "
		  "'Microsoft.Dynamics.CRM.%s'. Ensure that the names and number of key "
		  "properties match the declared or alternate key properties for the resource "
		  "'Microsoft.Dynamics.CRM.%s'.",
		  t->name, t->name);
	return false;
}

/* The value as a row stores it, or NULL when the literal is of another type. */
static char *stored(const struct column *c, const char *s, bool quoted)
{
	char guid[37], *end;

	switch (c->type) {
	case T_STRING:
	case T_MEMO:
		return quoted ? strdup(s) : NULL;
	case T_GUID:
	case T_LOOKUP:
		return take_guid(s, strlen(s), guid) && !quoted ? strdup(guid) : NULL;
	case T_DATE:
		return !quoted && strlen(s) == 10 ? strdup(s) : NULL;
	case T_DATETIME: {
		char out[40];
		if (quoted || strlen(s) < 19)
			return NULL;
		snprintf(out, sizeof out, "%.19sZ", s);
		return strdup(out);
	}
	case T_BOOLEAN:
		return !quoted && (!strcmp(s, "true") || !strcmp(s, "false")) ? strdup(s) : NULL;
	default:
		if (quoted || !*s || (strtod(s, &end), *end))
			return NULL;
		return strdup(s);
	}
}

static struct column *key_column(struct table *t, const char *name, size_t len)
{
	struct column *c = table_property(t, name, len);

	for (int i = 0; !c && i < t->count; i++)
		if (strlen(t->columns[i].name) == len && !strncmp(t->columns[i].name, name, len))
			c = &t->columns[i];
	return c;
}

int key_columns(struct table *t, const cJSON *key, int columns[KEY_COLUMNS_MAX])
{
	const cJSON *name;
	int n = 0;

	cJSON_ArrayForEach(name, key)
	{
		const char *s = cJSON_GetStringValue(name);
		struct column *c = s ? key_column(t, s, strlen(s)) : NULL;
		if (c && n < KEY_COLUMNS_MAX)
			columns[n++] = (int)(c - t->columns);
	}
	return n;
}

bool key_is_active(const struct table *t, const char *name)
{
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(t->json, "keyStatus");
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(status, name));

	return !s || !strcmp(s, "Active");
}

/* The alternate key made of exactly these columns, in any order. */
static const char *alternate(struct table *t, const struct key *k)
{
	const cJSON *keys = cJSON_GetObjectItemCaseSensitive(t->json, "keys"), *key;

	cJSON_ArrayForEach(key, keys)
	{
		int columns[KEY_COLUMNS_MAX], n = key_columns(t, key, columns), same = 0;
		for (int i = 0; i < k->count; i++)
			for (int j = 0; j < n; j++)
				same += k->parts[i].column == columns[j];
		if (n && n == k->count && same == n && key_is_active(t, key->string))
			return key->string;
	}
	return NULL;
}

/* "define alternate keys": GET and PATCH do not work with such a value. */
static bool dangerous(const char *s, struct reply *rep)
{
	const char *bad = strpbrk(s, "/<>*%&:\\?+");

	if (!bad)
		return false;
	api_error(rep, 400, "0x0",
		  "A potentially dangerous Request.Path value was detected from the client (%c).",
		  *bad);
	return true;
}

static bool take_part(struct table *t, const char **at, const char *end, bool in_url, struct key *k,
		      struct reply *rep)
{
	const char *equals = memchr(*at, '=', (size_t)(end - *at));
	bool quoted;

	if (!equals || k->count == KEY_COLUMNS_MAX)
		return not_valid(t, rep);
	struct column *c = key_column(t, *at, (size_t)(equals - *at));
	if (!c)
		return not_valid(t, rep);
	for (int i = 0; i < k->count; i++)
		if (k->parts[i].column == c - t->columns)
			return not_valid(t, rep);
	*at = equals + 1;
	char *literal = take_literal(at, end, &quoted);
	if (!literal || (*at < end && **at != ',')) {
		free(literal);
		api_error(rep, 400, E_QUERY, "Bad Request - Error in query syntax.");
		return false;
	}
	*at += *at < end;
	if (in_url && quoted && dangerous(literal, rep)) {
		free(literal);
		return false;
	}
	char *value = stored(c, literal, quoted);
	free(literal);
	if (!value)
		return not_valid(t, rep);
	k->parts[k->count++] = (struct key_part){(int)(c - t->columns), value};
	return true;
}

bool key_parse(struct dataverse *d, struct table *t, const char *s, size_t len, bool in_url,
	       struct key *k, struct reply *rep)
{
	const char *end;
	size_t n = strlen(t->id);

	(void)d;
	*k = (struct key){0};
	if (len == SIZE_MAX) {
		api_error(rep, 400, E_QUERY, "Bad Request - Error in query syntax.");
		return false;
	}
	end = s + len;
	if (len > n && !strncmp(s, t->id, n) && s[n] == '=') {
		s += n + 1;
		len -= n + 1;
	}
	if (take_guid(s, len, k->id)) {
		k->primary = true;
		return true;
	}
	bool good = true;
	if (!memchr(s, '=', len)) {
		api_error(rep, 400, E_QUERY, "Bad Request - Error in query syntax.");
		return false;
	}
	while (good && s < end)
		good = take_part(t, &s, end, in_url, k, rep);
	if (good && !(k->name = alternate(t, k))) {
		if (in_url)
			not_valid(t, rep);
		else
			api_error(rep, 400, E_KEY_NOT_DEFINED,
				  "The specified key attributes are not a defined key for the %s "
				  "entity",
				  t->name);
		good = false;
	}
	if (!good)
		key_free(k);
	return good;
}

/* How values of the column compare. */
static const char *collation(const struct column *c)
{
	if (c->type == T_STRING || c->type == T_MEMO)
		return " COLLATE FOLD";
	if (c->type == T_DECIMAL || c->type == T_MONEY || c->type == T_DOUBLE)
		return " COLLATE AMOUNT";
	return "";
}

/* " AND column = ?n" for one column of a key. */
static void put_equal(struct text *sql, const struct column *c, int n)
{
	text_printf(sql, " AND \"%s\" = ?%d%s", c->name, n, collation(c));
}

bool key_find(struct dataverse *d, const struct table *t, struct key *k)
{
	struct text sql = {0};
	bool found;

	if (k->primary)
		return store_exists(&d->store, t, k->id);
	text_printf(&sql, "SELECT \"%s\" FROM \"%s\" WHERE 1", t->id, t->name);
	for (int i = 0; i < k->count; i++)
		put_equal(&sql, &t->columns[k->parts[i].column], i + 1);
	sqlite3_stmt *st = store_statement(&d->store, sql.data);
	for (int i = 0; i < k->count; i++)
		sqlite3_bind_text(st, i + 1, k->parts[i].value, -1, SQLITE_STATIC);
	found = sqlite3_step(st) == SQLITE_ROW;
	if (found)
		snprintf(k->id, sizeof k->id, "%s", (const char *)sqlite3_column_text(st, 0));
	store_release(st);
	free(sql.data);
	return found;
}

void key_absent(const struct table *t, const struct key *k, struct reply *rep)
{
	if (k->primary)
		api_error(rep, 404, E_NOT_FOUND, "%s With Id = %s Does Not Exist", t->name, k->id);
	else
		api_error(rep, 404, E_NOT_FOUND_BY_KEY,
			  "A record with the specified key values does not exist in %s entity",
			  t->name);
}

char *key_text(const struct table *t, const struct key *k)
{
	struct text out = {0};

	text_puts(&out, "(");
	if (k->primary)
		text_puts(&out, k->id);
	for (int i = 0; i < k->count; i++) {
		const struct column *c = &t->columns[k->parts[i].column];
		bool quoted = c->type == T_STRING || c->type == T_MEMO;
		text_printf(&out, "%s%s=%s", i ? "," : "", c->property, quoted ? "'" : "");
		for (const char *s = k->parts[i].value; *s; s++)
			text_put(&out, *s == '\'' ? "''" : s, *s == '\'' ? 2 : 1);
		text_puts(&out, quoted ? "'" : "");
	}
	text_puts(&out, ")");
	return out.data;
}

void key_free(struct key *k)
{
	for (int i = 0; i < k->count; i++)
		free(k->parts[i].value);
	k->count = 0;
}

const char *key_collision(struct dataverse *d, struct table *t, const struct row *r,
			  const char *except)
{
	const cJSON *keys = cJSON_GetObjectItemCaseSensitive(t->json, "keys"), *key;

	cJSON_ArrayForEach(key, keys)
	{
		int columns[KEY_COLUMNS_MAX], n = key_columns(t, key, columns);
		bool complete = n > 0 && key_is_active(t, key->string), found;
		struct text sql = {0};
		for (int i = 0; i < n; i++)
			complete &= r->values[columns[i]] != NULL;
		if (!complete)
			continue;
		text_printf(&sql, "SELECT 1 FROM \"%s\" WHERE \"%s\" != ?%d", t->name, t->id,
			    n + 1);
		for (int i = 0; i < n; i++)
			put_equal(&sql, &t->columns[columns[i]], i + 1);
		sqlite3_stmt *st = store_statement(&d->store, sql.data);
		for (int i = 0; i < n; i++)
			sqlite3_bind_text(st, i + 1, r->values[columns[i]], -1, SQLITE_STATIC);
		sqlite3_bind_text(st, n + 1, except ? except : "", -1, SQLITE_STATIC);
		found = sqlite3_step(st) == SQLITE_ROW;
		store_release(st);
		free(sql.data);
		if (found)
			return key->string;
	}
	return NULL;
}
