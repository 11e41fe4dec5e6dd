/* query.c - see query.h. */
#include "query.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "track.h"

/* "query data": GET requests; a longer one must go through $batch. */
enum { URL_MAX = 32768 };

bool query_fail(struct reply *rep, const char *fmt, ...)
{
	char message[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	api_error(rep, 400, E_QUERY, "%s", message);
	return false;
}

bool query_no_property(struct reply *rep, const char *type, const char *name, size_t len)
{
	return query_fail(
	    rep, "Could not find a property named '%.*s' on type 'Microsoft.Dynamics.CRM.%s'.",
	    (int)(len < 200 ? len : 200), name, type);
}

bool query_twice(struct reply *rep, const char *option)
{
	return query_fail(rep,
			  "Query option '%s' was specified more than once, but it must be "
			  "specified at most once.",
			  option);
}

static bool is_among(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(name, *names) || (**names == '@' && *name == '@'))
			return true;
	return false;
}

bool query_only(const struct request *req, const char *const *names, struct reply *rep)
{
	bool good = true;

	for (const char *at = req->query; good && *at;) {
		size_t n = strcspn(at, "&"), e = strcspn(at, "=&");
		char *name = url_decode(at, e, true);
		if (!name)
			good = query_fail(rep, "A malformed escape in the query.");
		else if (n && strcmp(name, "tag") && !is_among(name, names))
			good =
			    query_fail(rep, "The query parameter '%.80s' is not supported.", name);
		free(name);
		at += n + (at[n] == '&');
	}
	return good;
}

int where_bind(struct where *w, char *value)
{
	if (w->count == BINDS_MAX) {
		free(value);
		return 0;
	}
	w->binds[w->count++] = value;
	return w->count;
}

void query_visible(const struct dataverse *d, const struct table *t, const char *alias,
		   struct text *sql)
{
	if (t->visible < 1)
		text_printf(sql, " AND visible(%s.\"%s\", %.9f)", alias, t->id, t->visible);
	(void)d;
}

/* parameter: holds the id of the row where nav begins. */
static void put_via(const struct nav *n, int parameter, struct text *sql)
{
	if (n->kind == NAV_ONE)
		text_printf(sql,
			    " AND t0.\"%s\" = (SELECT p.\"%s\" FROM \"%s\" p WHERE p.\"%s\" = ?%d "
			    "AND p.\"%s__table\" = '%s')",
			    n->target->id, n->column->name, n->table->name, n->table->id, parameter,
			    n->column->name, n->target->name);
	else if (n->kind == NAV_MANY)
		text_printf(sql, " AND t0.\"%s\" = ?%d AND t0.\"%s__table\" = '%s'",
			    n->column->name, parameter, n->column->name, n->table->name);
	else
		text_printf(sql,
			    " AND t0.\"%s\" IN (SELECT x.\"%s\" FROM \"%s\" x WHERE x.\"%s\" = "
			    "?%d)",
			    n->target->id, n->other->name, n->intersect->name, n->column->name,
			    parameter);
}

void query_from(const struct query *q, struct text *sql)
{
	text_printf(sql, " FROM \"%s\" t0 WHERE 1", q->t->name);
	query_visible(q->d, q->t, "t0", sql);
	if (q->has_where)
		text_printf(sql, " AND (%s)", q->where.sql.data);
	if (q->via)
		put_via(q->via, q->where.count + 1, sql);
}

int query_bind(const struct query *q, sqlite3_stmt *st)
{
	int n = 0;

	while (n < q->where.count) {
		sqlite3_bind_text(st, n + 1, q->where.binds[n], -1, SQLITE_STATIC);
		n++;
	}
	if (q->via)
		sqlite3_bind_text(st, ++n, q->via_id, -1, SQLITE_STATIC);
	return n + 1;
}

/* ---- $select ------------------------------------------------------------------------------------- */

static bool is_selected(const struct query *q, const struct column *c)
{
	for (int i = 0; i < q->select_count; i++)
		if (q->select[i].column == c)
			return true;
	return false;
}

static void select_column(struct query *q, const struct column *c)
{
	struct selected *s = &q->select[q->select_count];

	if (is_selected(q, c) || q->select_count == SELECT_MAX)
		return;
	q->select_count++;
	s->column = c;
	if (asprintf(&s->member, ",\"%s\":", c->property) < 0 ||
	    asprintf(&s->formatted,
		     ",\"%s@OData.Community.Display.V1.FormattedValue\":", c->property) < 0 ||
	    asprintf(&s->lookup_table, ",\"%s@Microsoft.Dynamics.CRM.lookuplogicalname\":\"",
		     c->property) < 0)
		abort();
}

/* What the product returns with a column, asked for or not: the currency of money, the whole of
 * an address (a column's "with" in the table file). */
static void select_companions(struct query *q)
{
	for (int i = 0, n = q->select_count; i < n; i++) {
		const struct column *c = q->select[i].column;
		const char *with =
		    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c->json, "with"));
		if (c->type == T_MONEY)
			with = "transactioncurrencyid";
		struct column *companion = with ? table_column(q->t, with) : NULL;
		if (companion)
			select_column(q, companion);
	}
}

static bool parse_select(struct query *q, const char *s, struct reply *rep)
{
	struct column *c;

	if (q->select_text)
		return query_twice(rep, "$select");
	q->select_text = strdup(s);
	do {
		s += strspn(s, " ");
		size_t n = strcspn(s, ","), len = n;
		while (len && s[len - 1] == ' ')
			len--;
		if (len == 1 && *s == '*') {
			query_select_all(q);
		} else if ((c = table_property(q->t, s, len))) {
			select_column(q, c);
		} else {
			return query_no_property(rep, q->t->name, s, len);
		}
		s += n;
	} while (*s++);
	select_companions(q);
	return true;
}

void query_select_all(struct query *q)
{
	for (int i = 0; i < q->t->count; i++)
		if (q->t->columns[i].type != T_VIRTUAL)
			select_column(q, &q->t->columns[i]);
}

/* ---- $orderby ------------------------------------------------------------------------------------ */

/* A lookup sorts by the primary name of what it points to, a choice by its number. */
static void order_by(struct query *q, const struct column *c, bool down)
{
	const char *how = down ? " DESC" : " ASC";
	const cJSON *target;

	if (c->type == T_LOOKUP) {
		text_puts(&q->order, "CASE");
		cJSON_ArrayForEach(target, c->targets)
		{
			struct table *t = store_table(&q->d->store, target->string);
			if (t)
				text_printf(&q->order,
					    " WHEN t0.\"%s__table\" = '%s' THEN (SELECT o.\"%s\" "
					    "FROM \"%s\" o WHERE o.\"%s\" = t0.\"%s\")",
					    c->name, t->name, t->primary_name, t->name, t->id,
					    c->name);
		}
		text_printf(&q->order, " WHEN 0 THEN '' END COLLATE FOLD%s,", how);
	} else if (c->type >= T_INTEGER && c->type <= T_MONEY) {
		text_printf(&q->order, "t0.\"%s\" COLLATE AMOUNT%s,", c->name, how);
	} else if (c->type == T_CHOICE || c->type == T_STATE || c->type == T_STATUS) {
		text_printf(&q->order, "CAST(t0.\"%s\" AS INTEGER)%s,", c->name, how);
	} else {
		text_printf(&q->order, "t0.\"%s\" COLLATE FOLD%s,", c->name, how);
	}
}

static bool parse_order(struct query *q, const char *s, struct reply *rep)
{
	int terms = 0;

	if (q->order.data)
		return query_twice(rep, "$orderby");
	do {
		s += strspn(s, " ");
		size_t n = strcspn(s, " ,");
		struct column *c = table_property(q->t, s, n);
		if (memchr(s, '/', n)) {
			api_not_implemented(rep, "$orderby along a navigation property");
			return false;
		}
		if (memchr(s, '(', n)) {
			api_not_implemented(rep, "functions in $orderby");
			return false;
		}
		if (!c)
			return query_no_property(rep, q->t->name, s, n);
		s += n;
		s += strspn(s, " ");
		n = strcspn(s, " ,");
		bool down = n == 4 && !strncmp(s, "desc", 4);
		if (n && !down && (n != 3 || strncmp(s, "asc", 3)))
			return query_fail(rep, "Syntax error in '$orderby'.");
		s += n;
		s += strspn(s, " ");
		if (*s && *s != ',')
			return query_fail(rep, "Syntax error in '$orderby'.");
		if (++terms > 20)
			return query_fail(rep, "Too many columns in '$orderby'.");
		order_by(q, c, down);
	} while (*s++);
	return true;
}

/* ---- all of them --------------------------------------------------------------------------------- */

static bool parse_top(struct query *q, const char *value, struct reply *rep)
{
	char *end;

	if (q->top)
		return query_twice(rep, "$top");
	q->top = strtol(value, &end, 10);
	if (end == value || *end || q->top < 0)
		return query_fail(rep,
				  "Invalid value '%.60s' for $top query option found. The $top "
				  "query option requires a non-negative integer value.",
				  value);
	if (!q->top)
		return query_fail(rep, "Invalid value '0' for $top query option.");
	return true;
}

bool query_option(struct query *q, const char *name, const char *value, struct reply *rep,
		  bool *known)
{
	*known = true;
	if (!strcmp(name, "$select"))
		return parse_select(q, value, rep);
	if (!strcmp(name, "$orderby"))
		return parse_order(q, value, rep);
	if (!strcmp(name, "$top"))
		return parse_top(q, value, rep);
	*known = false;
	return true;
}

/* "query data": what the Web API says that it does not support. */
static bool unsupported(const char *name)
{
	static const char *const names[] = {"$skip", "$search", "$format", "$compute", "$levels"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static bool parse_option(struct query *q, const char *name, const char *value, enum query_for what,
			 struct reply *rep)
{
	bool known, rows = what == QUERY_COLLECTION;

	if (*name == '@' || !strcmp(name, "tag"))
		return true; /* aliases are looked up where they stand */
	if (unsupported(name))
		return query_fail(rep, "The query option '%s' is not supported.", name);
	if (!strcmp(name, "$expand") && q->expand_text)
		return query_twice(rep, name);
	if ((!strcmp(name, "$skiptoken") || !strcmp(name, "$deltatoken")) &&
	    (q->skip_token || q->is_delta))
		return query_twice(rep, name);
	if (!strcmp(name, "$expand")) {
		q->expand_text = strdup(value);
		return what != QUERY_COUNT ? expand_parse(q, value, 0, rep)
					   : query_fail(rep, "The query option '$expand' cannot be "
							     "used with $count.");
	}
	if (!strcmp(name, "$filter") && what != QUERY_ROW)
		return filter_parse(q, value, true, rep);
	if (!strcmp(name, "$count") && rows) {
		q->with_count = !strcmp(value, "true");
		return q->with_count || !strcmp(value, "false") ||
		       query_fail(rep,
				  "Invalid value '%.60s' for $count query option found. Valid "
				  "values are 'true' and 'false'.",
				  value);
	}
	if (!strcmp(name, "$skiptoken") && rows) {
		q->skip_token = strdup(value);
		return track_skip_token(q, value, rep);
	}
	if (!strcmp(name, "$deltatoken") && what != QUERY_ROW)
		return track_delta_token(q, value, rep);
	bool good = !strcmp(name, "$select") || rows ? query_option(q, name, value, rep, &known)
						     : (known = false);
	if (known)
		return good;
	if (!strcmp(name, "$apply") || !strcmp(name, "fetchXml") || !strcmp(name, "savedQuery") ||
	    !strcmp(name, "userQuery") || !strcmp(name, "sql")) {
		api_not_implemented(rep, name);
		return false;
	}
	if (*name == '$') /* names of options are case-sensitive */
		return query_fail(rep, "The query parameter '%.80s' is not supported.", name);
	return query_fail(rep, "The query parameter %.80s is not supported", name);
}

bool query_wants(const char *list, const char *name)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		const char *star = memchr(list, '*', n);
		size_t fixed = star ? (size_t)(star - list) : n;
		if (!strncmp(list, name, fixed) && (star || strlen(name) == n))
			return true;
		list += n;
		list += strspn(list, ", ");
	}
	return false;
}

static void read_annotations(struct annotations *a, const char *list)
{
	a->formatted = query_wants(list, "OData.Community.Display.V1.FormattedValue");
	a->lookup_table = query_wants(list, "Microsoft.Dynamics.CRM.lookuplogicalname");
	a->navigation = query_wants(list, "Microsoft.Dynamics.CRM.associatednavigationproperty");
	a->total = query_wants(list, "Microsoft.Dynamics.CRM.totalrecordcount");
	a->limit_exceeded =
	    query_wants(list, "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded");
	a->metadata_version = query_wants(list, "Microsoft.Dynamics.CRM.globalmetadataversion");
	a->any = true;
}

static bool read_preferences(struct query *q, enum query_for what, struct reply *rep)
{
	char value[2000];

	q->page = PAGE_MAX;
	q->track = what == QUERY_COLLECTION && api_prefers(q->req, "odata.track-changes", NULL, 0);
	if (what == QUERY_COLLECTION &&
	    api_prefers(q->req, "odata.maxpagesize", value, sizeof value)) {
		char *end;
		long n = strtol(value, &end, 10);
		if (n < 1 || *end)
			return query_fail(rep, "Invalid value '%.60s' for odata.maxpagesize.",
					  value);
		q->page = n < PAGE_MAX ? n : PAGE_MAX;
		q->page_given = true;
		reply_header(rep, "Preference-Applied", "odata.maxpagesize=%ld", q->page);
	}
	if (api_prefers(q->req, "odata.include-annotations", value, sizeof value)) {
		read_annotations(&q->annotations, value);
		reply_header(rep, "Preference-Applied", "odata.include-annotations=\"%s\"", value);
	}
	return true;
}

bool query_read(struct query *q, struct dataverse *d, struct table *t, const struct request *req,
		enum query_for what, struct reply *rep)
{
	bool good = true;

	*q = (struct query){.d = d,
			    .t = t,
			    .req = req,
			    .since = -1,
			    .start = -1,
			    .page_number = 1,
			    .for_count = what == QUERY_COUNT};
	if (strlen(req->url) > URL_MAX) {
		api_error(rep, 414, E_QUERY, "The URL is longer than %d characters.", URL_MAX);
		return false;
	}
	if (!read_preferences(q, what, rep))
		return false;
	for (const char *at = req->query; good && *at;) {
		size_t n = strcspn(at, "&"), e = 0;
		while (e < n && at[e] != '=')
			e++;
		char *name = url_decode(at, e, true);
		char *text = e < n ? url_decode(at + e + 1, n - e - 1, true) : strdup("");
		if (!n)
			; /* an empty piece between two & */
		else if (!name || !text)
			good = query_fail(rep, "A malformed escape in the query.");
		else
			good = parse_option(q, name, text, what, rep);
		if (good && name)
			track_remember(q, name);
		free(name);
		free(text);
		at += n + (at[n] == '&');
	}
	good = good && track_check(q, rep);
	if (good && !q->select_text)
		query_select_all(q);
	return good;
}

void query_free(struct query *q)
{
	for (int i = 0; i < q->select_count; i++) {
		free(q->select[i].member);
		free(q->select[i].formatted);
		free(q->select[i].lookup_table);
	}
	for (int i = 0; i < q->where.count; i++)
		free(q->where.binds[i]);
	for (int i = 0; i < q->expand_count; i++) {
		query_free(&q->expands[i]->q);
		free(q->expands[i]->link);
		free(q->expands[i]);
	}
	free(q->where.sql.data);
	free(q->order.data);
	free(q->select_text);
	free(q->expand_text);
	free(q->skip_token);
}
