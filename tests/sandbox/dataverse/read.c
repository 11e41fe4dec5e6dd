/* read.c - collections, rows, paging, change tracking.
 *
 * Facts: "query data using the Web API", "page results", "use change tracking to synchronize data
 * with external systems".  Rows are written straight into the answer: no tree is built, so that
 * the server is not the slow part of a measurement.
 *
 * A delta link holds the version that stood when its pass began.  A row that changes while pages
 * are read may appear twice, as in the product, but is never missed: the next delta begins where
 * the pass began.
 */
#include "api.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { PAGE_MAX = 5000, SELECT_MAX = 200 };

struct text {
	char *data;
	size_t len, cap;
};

static void put(struct text *t, const char *s, size_t n)
{
	if (t->len + n + 1 > t->cap) {
		t->cap = (t->len + n + 1) * 2;
		t->data = realloc(t->data, t->cap);
	}
	memcpy(t->data + t->len, s, n);
	t->len += n;
	t->data[t->len] = 0;
}

static void puts_(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void printf_(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void printf_(struct text *t, const char *fmt, ...)
{
	char piece[4096];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(piece, sizeof piece, fmt, ap);
	va_end(ap);
	put(t, piece, n < (int)sizeof piece ? (size_t)n : sizeof piece - 1);
}

static void put_quoted(struct text *t, const char *s)
{
	const char *from = s;

	put(t, "\"", 1);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c != '"' && c != '\\' && c >= 0x20)
			continue;
		put(t, from, (size_t)(s - from));
		from = s + 1;
		if (c == '"' || c == '\\')
			printf_(t, "\\%c", c);
		else if (c == '\n')
			puts_(t, "\\n");
		else
			printf_(t, "\\u%04x", c);
	}
	put(t, from, (size_t)(s - from));
	put(t, "\"", 1);
}

/* ---- query options ----------------------------------------------------------------------------- */

struct query {
	struct table *t;
	int select[SELECT_MAX], count; /* columns, in the order asked for */
	bool selected;
	char select_text[8192];
	bool format, lookup; /* annotations asked for */
	long page, top;
	char where[2000], order[300];
	char *binds[20];
	int bind_count;
	bool with_count;
	bool track;
	/* of the skip token */
	long page_number;
	int64_t start, since; /* version at the start of the pass; since: of a delta */
	char last[64];
	bool is_delta;
	int64_t last_version;
};

static bool fail(struct reply *rep, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct reply *rep, const char *fmt, ...)
{
	char message[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	api_error(rep, 400, E_QUERY, "%s", message);
	return false;
}

static bool no_property(struct reply *rep, const struct table *t, const char *name, size_t len)
{
	return fail(rep,
		    "Could not find a property named '%.*s' on type 'Microsoft.Dynamics.CRM.%s'.",
		    (int)len, name, t->name);
}

static bool parse_select(struct query *q, const char *s, struct reply *rep)
{
	snprintf(q->select_text, sizeof q->select_text, "%s", s);
	q->selected = true;
	while (*s) {
		size_t n = strcspn(s, ",");
		struct column *c = table_property(q->t, s, n);
		if (!c)
			return no_property(rep, q->t, s, n);
		if (q->count == SELECT_MAX)
			return fail(rep, "too many columns");
		q->select[q->count++] = (int)(c - q->t->columns);
		s += n + (s[n] == ',');
	}
	return true;
}

static const char *skip(const char *s)
{
	return s + strspn(s, " ");
}

/* property op value { and property op value } ; everything else is 501. */
static bool parse_filter(struct query *q, const char *s, struct reply *rep)
{
	static const char *const ops[][2] = {{"eq", "IS"}, {"ne", "IS NOT"}, {"gt", ">"},
					     {"ge", ">="}, {"lt", "<"},	     {"le", "<="}};
	while (*(s = skip(s))) {
		size_t n = strcspn(s, " ");
		struct column *c = table_property(q->t, s, n);
		const char *op = NULL;
		if (!c && strpbrk(s, "(/")) {
			api_not_implemented(rep, "$filter beyond `property op value and ...`");
			return false;
		}
		if (!c)
			return no_property(rep, q->t, s, n);
		s = skip(s + n);
		for (size_t i = 0; i < 6; i++)
			if (!strncmp(s, ops[i][0], 2) && s[2] == ' ')
				op = ops[i][1];
		if (!op)
			return fail(rep, "Syntax error in $filter.");
		s = skip(s + 2);
		bool number = c->type >= T_INTEGER && c->type <= T_MONEY;
		number |= c->type == T_CHOICE || c->type == T_STATE || c->type == T_STATUS;
		char value[400];
		size_t m = 0;
		bool null = false;
		if (*s == '\'') {
			for (s++; *s && m < sizeof value - 1; s++) {
				if (*s == '\'' && s[1] != '\'')
					break;
				s += *s == '\'';
				value[m++] = *s;
			}
			if (*s++ != '\'')
				return fail(rep, "Syntax error in $filter.");
		} else {
			while (*s && *s != ' ' && m < sizeof value - 1)
				value[m++] = *s++;
			value[m] = 0;
			null = !strcmp(value, "null");
		}
		value[m] = 0;
		if (q->bind_count == 20)
			return fail(rep, "too many conditions");
		snprintf(q->where + strlen(q->where), sizeof q->where - strlen(q->where),
			 number ? " AND CAST(\"%s\" AS NUMERIC) %s CAST(? AS NUMERIC)"
				: " AND \"%s\" %s ? COLLATE NOCASE",
			 c->name, op);
		q->binds[q->bind_count++] = null ? NULL : strdup(value);
		s = skip(s);
		if (!*s)
			break;
		if (strncmp(s, "and ", 4)) {
			api_not_implemented(rep, "$filter beyond `property op value and ...`");
			return false;
		}
		s += 4;
	}
	return true;
}

static bool parse_order(struct query *q, const char *s, struct reply *rep)
{
	size_t n = strcspn(s, " ,");
	struct column *c = table_property(q->t, s, n);
	bool down = !strcmp(skip(s + n), "desc");

	if (!c)
		return no_property(rep, q->t, s, n);
	if (s[n] == ',') {
		api_not_implemented(rep, "$orderby with several columns");
		return false;
	}
	if (s[n] && !down && strcmp(skip(s + n), "asc"))
		return fail(rep, "Syntax error in $orderby.");
	snprintf(q->order, sizeof q->order, "\"%s\" %s, ", c->name, down ? "DESC" : "ASC");
	return true;
}

/* Our tokens: opaque to clients, and they may be re-encoded in any equivalent way. */
static bool parse_skip(struct query *q, const char *s, struct reply *rep)
{
	long long start = 0, since = 0, last_version = 0;
	char tracking[6] = "";
	int end = 0;

	if (sscanf(s,
		   "<cookie pagenumber=\"%ld\" pagingcookie=\"last=%63[^;];v=%lld;start=%lld;"
		   "since=%lld\" istracking=\"%5[A-Za-z]\" />%n",
		   &q->page_number, q->last, &last_version, &start, &since, tracking, &end) != 6 ||
	    !end || s[end])
		return fail(rep, "Malformed XML in the Paging Cookie.");
	q->track = !strcmp(tracking, "True");
	q->start = start;
	q->since = since;
	q->last_version = last_version;
	q->is_delta = since >= 0;
	return true;
}

static bool parse_delta(struct dataverse *d, struct query *q, const char *s, struct reply *rep)
{
	char *end;
	long long v = strtoll(s, &end, 10);

	/* Shape of the documentation's example: 919042!08/22/2017 08:10:44 */
	if (end == s || *end != '!' || v < 0 || v > d->store.version)
		return fail(rep, "Invalid delta token.");
	if (v <= d->store.expired) {
		/* The status is not documented; the code is. */
		api_error(rep, 400, E_EXPIRED_VERSION_STAMP,
			  "Version stamp associated with the client has expired. Please perform a "
			  "full sync.");
		return false;
	}
	q->is_delta = true;
	q->track = true;
	q->since = v;
	return true;
}

static bool parse_option(struct dataverse *d, struct query *q, const char *name, const char *value,
			 struct reply *rep)
{
	if (!strcmp(name, "$select"))
		return parse_select(q, value, rep);
	if (!strcmp(name, "$filter") || !strcmp(name, "$orderby") || !strcmp(name, "$top") ||
	    !strcmp(name, "$expand"))
		if (q->track)
			return fail(
			    rep,
			    "The \"%s\" query parameter isn't supported when Change Tracking "
			    "is enabled.",
			    name);
	if (!strcmp(name, "$filter"))
		return parse_filter(q, value, rep);
	if (!strcmp(name, "$orderby"))
		return parse_order(q, value, rep);
	if (!strcmp(name, "$top")) {
		q->top = strtol(value, NULL, 10);
		return q->top > 0 || fail(rep, "Invalid value '%s' for $top query option.", value);
	}
	if (!strcmp(name, "$count")) {
		q->with_count = !strcmp(value, "true");
		return true;
	}
	if (!strcmp(name, "$skiptoken"))
		return parse_skip(q, value, rep);
	if (!strcmp(name, "$deltatoken"))
		return parse_delta(d, q, value, rep);
	if (!strcmp(name, "tag"))
		return true;
	api_not_implemented(rep, name);
	return false;
}

static bool parse_query(struct dataverse *d, struct query *q, const struct request *req,
			struct reply *rep)
{
	char value[2000];
	const char *at = req->query;
	bool good = true;

	q->since = -1;
	q->page = PAGE_MAX;
	q->track = api_prefers(req, "odata.track-changes", NULL, 0);
	if (api_prefers(req, "odata.maxpagesize", value, sizeof value)) {
		long n = strtol(value, NULL, 10);
		if (n < 1)
			return fail(rep, "Invalid odata.maxpagesize.");
		q->page = n < PAGE_MAX ? n : PAGE_MAX;
		reply_header(rep, "Preference-Applied", "odata.maxpagesize=%ld", q->page);
	}
	if (api_prefers(req, "odata.include-annotations", value, sizeof value)) {
		q->format = strstr(value, "*") || strstr(value, "FormattedValue");
		q->lookup = strstr(value, "*") || strstr(value, "lookuplogicalname");
		reply_header(rep, "Preference-Applied", "odata.include-annotations=\"%s\"", value);
	}
	while (good && *at) {
		size_t n = strcspn(at, "&"), e = 0;
		while (e < n && at[e] != '=')
			e++;
		char *name = url_decode(at, e, true);
		char *text = e < n ? url_decode(at + e + 1, n - e - 1, true) : strdup("");
		good = name && text ? parse_option(d, q, name, text, rep)
				    : fail(rep, "A malformed escape in the query.");
		free(name);
		free(text);
		at += n + (at[n] == '&');
	}
	if (good && q->track && !q->t->tracking) /* the real error is not documented */
		return fail(rep, "Change tracking is not enabled for entity '%s'.", q->t->name);
	if (good && q->track && !q->is_delta)
		reply_header(rep, "Preference-Applied", "odata.track-changes");
	if (good && !q->selected)
		for (int i = 0; i < q->t->count && q->count < SELECT_MAX; i++)
			q->select[q->count++] = i;
	return good;
}

static void query_free(struct query *q)
{
	for (int i = 0; i < q->bind_count; i++)
		free(q->binds[i]);
}

/* ---- rows --------------------------------------------------------------------------------------- */

static const char *label(const struct column *c, const char *value)
{
	const char *key = value;
	if (c->type == T_BOOLEAN)
		key = !strcmp(value, "true") ? "1" : "0";
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c->options, key));
}

static void put_value(struct text *o, const struct column *c, const char *value)
{
	char scaled[80];

	switch (c->type) {
	case T_BOOLEAN:
	case T_INTEGER:
	case T_BIGINT:
	case T_DOUBLE:
	case T_CHOICE:
	case T_STATE:
	case T_STATUS:
		puts_(o, value);
		break;
	case T_MONEY:
	case T_DECIMAL: { /* as many digits behind the point as the column has */
		const char *point = strchr(value, '.');
		int digits = point ? (int)strlen(point + 1) : 0;
		snprintf(scaled, sizeof scaled, "%s%s%.*s", value, point ? "" : ".",
			 digits < c->precision ? c->precision - digits : 0, "00000000000");
		puts_(o, scaled);
		break;
	}
	default:
		put_quoted(o, value);
	}
}

/* The primary name of the row a lookup points to. */
static char *lookup_name(struct dataverse *d, const char *table, const char *id)
{
	struct table *t = store_table(&d->store, table);
	char sql[300], *name = NULL;

	if (!t)
		return NULL;
	snprintf(sql, sizeof sql, "SELECT \"%s\" FROM \"%s\" WHERE \"%s\"=?", t->primary_name,
		 t->name, t->id);
	sqlite3_stmt *st = store_prepare(&d->store, sql);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0))
		name = strdup((const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return name;
}

/* Columns of the statement: id, version, then for each selected column value and, of lookups,
 * table. */
static void put_row(struct dataverse *d, struct query *q, sqlite3_stmt *st, struct text *o)
{
	int at = 2;

	printf_(o, "{\"@odata.etag\":\"W/\\\"%lld\\\"\"", (long long)sqlite3_column_int64(st, 1));
	bool id_done = false;
	for (int i = 0; i < q->count; i++) {
		const struct column *c = &q->t->columns[q->select[i]];
		const char *value = (const char *)sqlite3_column_text(st, at++);
		const char *target =
		    c->type == T_LOOKUP ? (const char *)sqlite3_column_text(st, at++) : NULL;
		id_done |= !strcmp(c->name, q->t->id);
		if (value && c->type == T_LOOKUP && q->lookup && target)
			printf_(o, ",\"%s@Microsoft.Dynamics.CRM.lookuplogicalname\":\"%s\"",
				c->property, target);
		if (value && q->format) {
			char *name =
			    c->type == T_LOOKUP && target ? lookup_name(d, target, value) : NULL;
			const char *shown = name ? name : c->options ? label(c, value) : NULL;
			if (shown) {
				printf_(o, ",\"%s@OData.Community.Display.V1.FormattedValue\":",
					c->property);
				put_quoted(o, shown);
			}
			free(name);
		}
		printf_(o, ",\"%s\":", c->property);
		if (value)
			put_value(o, c, value);
		else
			puts_(o, "null");
	}
	if (!id_done) {
		printf_(o, ",\"%s\":", q->t->id);
		put_quoted(o, (const char *)sqlite3_column_text(st, 0));
	}
	puts_(o, "}");
}

static void select_columns(const struct query *q, struct text *sql)
{
	printf_(sql, "SELECT \"%s\", _version", q->t->id);
	for (int i = 0; i < q->count; i++) {
		const struct column *c = &q->t->columns[q->select[i]];
		printf_(sql, ", \"%s\"", c->name);
		if (c->type == T_LOOKUP)
			printf_(sql, ", \"%s__table\"", c->name);
	}
	printf_(sql, " FROM \"%s\" WHERE 1", q->t->name);
}

struct page {
	struct text o;
	long rows;
	bool more;
	char last[64];
	int64_t last_version;
	char root[400];
};

static void open_page(const struct query *q, const struct request *req, struct page *p)
{
	api_root(req, p->root, sizeof p->root);
	printf_(&p->o, "{\"@odata.context\":\"%s/$metadata#%s%s%s%s%s\"", p->root, q->t->set,
		q->selected ? "(" : "", q->select_text, q->selected ? ")" : "",
		q->is_delta ? "/$delta" : "");
}

static void plain_pass(struct dataverse *d, struct query *q, struct page *p)
{
	struct text sql = {0};
	long limit = q->top && q->top < q->page ? q->top : q->page;
	int n = 1;

	select_columns(q, &sql);
	puts_(&sql, q->where);
	bool by_key = !*q->order;
	if (by_key && *q->last)
		printf_(&sql, " AND \"%s\" > '%s'", q->t->id, q->last);
	printf_(&sql, " ORDER BY %s\"%s\" LIMIT %ld", q->order, q->t->id, limit + 1);
	if (!by_key && q->page_number > 1)
		printf_(&sql, " OFFSET %ld", (q->page_number - 1) * q->page);
	sqlite3_stmt *st = store_prepare(&d->store, sql.data);
	for (int i = 0; i < q->bind_count; i++)
		sqlite3_bind_text(st, n++, q->binds[i], -1, SQLITE_STATIC);
	while (sqlite3_step(st) == SQLITE_ROW) {
		if (p->rows == limit) {
			p->more = !q->top;
			break;
		}
		puts_(&p->o, p->rows++ ? "," : "");
		put_row(d, q, st, &p->o);
		snprintf(p->last, sizeof p->last, "%s", (const char *)sqlite3_column_text(st, 0));
	}
	sqlite3_finalize(st);
	free(sql.data);
}

/* First what was created or updated, by version, then the deletes: both count for the page. */
static void delta_pass(struct dataverse *d, struct query *q, struct page *p)
{
	struct text sql = {0};
	int64_t after = q->last_version > q->since ? q->last_version : q->since;
	bool deletes = !strcmp(q->last, "deleted");
	sqlite3_stmt *st;

	p->last_version = after;
	snprintf(p->last, sizeof p->last, deletes ? "deleted" : "rows");
	if (!deletes) {
		select_columns(q, &sql);
		printf_(&sql,
			" AND _version > %lld AND _version <= %lld ORDER BY _version LIMIT %ld",
			(long long)after, (long long)q->start, q->page + 1);
		st = store_prepare(&d->store, sql.data);
		while (sqlite3_step(st) == SQLITE_ROW) {
			if (p->rows == q->page) {
				p->more = true;
				break;
			}
			puts_(&p->o, p->rows++ ? "," : "");
			put_row(d, q, st, &p->o);
			p->last_version = sqlite3_column_int64(st, 1);
		}
		sqlite3_finalize(st);
		free(sql.data);
		if (p->more)
			return;
		after = q->since;
		snprintf(p->last, sizeof p->last, "deleted");
	}
	st = store_prepare(&d->store,
			   "SELECT id, version FROM _deleted WHERE tab=? AND version>? AND "
			   "version<=? ORDER BY version");
	sqlite3_bind_text(st, 1, q->t->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, after);
	sqlite3_bind_int64(st, 3, q->start);
	p->last_version = after;
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(st, 0);
		if (p->rows == q->page) {
			p->more = true;
			break;
		}
		p->last_version = sqlite3_column_int64(st, 1);
		if (store_exists(&d->store, q->t, id))
			continue; /* deleted and created again: it is among the rows */
		puts_(&p->o, p->rows++ ? "," : "");
		printf_(&p->o,
			"{\"@odata.context\":\"%s/$metadata#%s/$deletedEntity\",\"id\":\"%s\","
			"\"reason\":\"deleted\"}",
			p->root, q->t->set, id);
	}
	sqlite3_finalize(st);
}

static void put_link(struct query *q, struct page *p, const char *name, const char *option,
		     const char *token)
{
	char *encoded = url_encode(token), *select = url_encode(q->select_text);

	printf_(&p->o, ",\"%s\":\"%s/%s?", name, p->root, q->t->set);
	if (q->selected) /* commas may stay as they are in a query */
		printf_(&p->o, "$select=%s&", q->select_text);
	printf_(&p->o, "%s=%s\"", option, encoded);
	free(encoded);
	free(select);
}

static void close_page(struct query *q, struct page *p)
{
	char token[300], time_text[40];
	time_t now = time(NULL);
	struct tm tm;

	puts_(&p->o, "]");
	if (p->more) {
		snprintf(token, sizeof token,
			 "<cookie pagenumber=\"%ld\" pagingcookie=\"last=%s;v=%lld;start=%lld;"
			 "since=%lld\" istracking=\"%s\" />",
			 q->page_number + 1, p->last, (long long)p->last_version,
			 (long long)q->start, (long long)q->since, q->track ? "True" : "False");
		put_link(q, p, "@odata.nextLink", "$skiptoken", token);
	} else if (q->track) { /* on the last page only */
		strftime(time_text, sizeof time_text, "%m/%d/%Y %H:%M:%S", gmtime_r(&now, &tm));
		snprintf(token, sizeof token, "%lld!%s", (long long)q->start, time_text);
		put_link(q, p, "@odata.deltaLink", "$deltatoken", token);
	}
	puts_(&p->o, "}");
}

static long count_rows(struct dataverse *d, const struct query *q)
{
	struct text sql = {0};
	printf_(&sql, "SELECT count(*) FROM \"%s\" WHERE 1%s", q->t->name, q->where);
	sqlite3_stmt *st = store_prepare(&d->store, sql.data);
	for (int i = 0; i < q->bind_count; i++)
		sqlite3_bind_text(st, i + 1, q->binds[i], -1, SQLITE_STATIC);
	long n = sqlite3_step(st) == SQLITE_ROW ? (long)sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	free(sql.data);
	return n;
}

void api_read_collection(struct dataverse *d, struct table *t, const struct request *req,
			 struct reply *rep)
{
	struct query q = {.t = t, .page_number = 0, .start = -1};
	struct page p = {0};

	if (parse_query(d, &q, req, rep)) {
		if (q.start < 0)
			q.start = d->store.version;
		if (!q.page_number)
			q.page_number = 1;
		snprintf(rep->route, sizeof rep->route, "%s%s", t->set,
			 q.is_delta ? " (delta)"
			 : q.track  ? " (snapshot)"
			 : *q.where ? " (filter)"
				    : "");
		open_page(&q, req, &p);
		if (q.with_count) { /* capped at 5000 */
			long n = count_rows(d, &q);
			printf_(&p.o, ",\"@odata.count\":%ld", n > 5000 ? 5000 : n);
		}
		puts_(&p.o, ",\"value\":[");
		if (q.is_delta)
			delta_pass(d, &q, &p);
		else
			plain_pass(d, &q, &p);
		close_page(&q, &p);
		api_headers(rep);
		rep->status = 200;
		rep->body = p.o.data;
		rep->body_len = p.o.len;
	}
	query_free(&q);
}

void api_read_row(struct dataverse *d, struct table *t, const char *id, const struct request *req,
		  struct reply *rep)
{
	struct query q = {.t = t};
	struct page p = {0};
	struct text sql = {0};

	if (!parse_query(d, &q, req, rep)) {
		query_free(&q);
		return;
	}
	select_columns(&q, &sql);
	printf_(&sql, " AND \"%s\"=?", t->id);
	sqlite3_stmt *st = store_prepare(&d->store, sql.data);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW) {
		put_row(d, &q, st, &p.o);
		struct text o = {0};
		api_root(req, p.root, sizeof p.root);
		printf_(&o, "{\"@odata.context\":\"%s/$metadata#%s%s%s%s/$entity\",", p.root,
			t->set, q.selected ? "(" : "", q.select_text, q.selected ? ")" : "");
		put(&o, p.o.data + 1, p.o.len - 1);
		free(p.o.data);
		api_headers(rep);
		rep->status = 200;
		rep->body = o.data;
		rep->body_len = o.len;
	} else {
		api_error(rep, 404, E_NOT_FOUND, "%s With Id = %s Does Not Exist", t->name, id);
	}
	sqlite3_finalize(st);
	free(sql.data);
	query_free(&q);
}

void api_read_count(struct dataverse *d, struct table *t, const struct request *req,
		    struct reply *rep)
{
	struct query q = {.t = t};

	if (parse_query(d, &q, req, rep)) {
		reply_header(rep, "Content-Type", "text/plain");
		/* Preceded by a byte order mark, as the product does. */
		reply_text(rep, 200, "\xef\xbb\xbf%ld", count_rows(d, &q));
	}
	query_free(&q);
}
