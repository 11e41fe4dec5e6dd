/* expand.c - $expand: reading what was asked for, and the members of a row that it makes.
 *
 * Facts: "join tables using OData".  A single level: every row of a collection up to the page
 * limit, and a link to the related collection.  Nested: each collection is paged, $top and
 * $orderby are refused.  N:N neither nested nor beside others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "row.h"
#include "track.h"

enum { DEPTH_MAX = 10 };

static int expands_of(const struct query *q)
{
	int n = q->expand_count;
	for (int i = 0; i < q->expand_count; i++)
		n += expands_of(&q->expands[i]->q);
	return n;
}

/* Length up to the separator that is neither in quotes nor in parentheses. */
static size_t piece(const char *s, char separator)
{
	int depth = 0;
	bool quoted = false;
	size_t n = 0;

	for (; s[n]; n++) {
		if (s[n] == '\'')
			quoted = !quoted;
		if (quoted)
			continue;
		if (s[n] == '(')
			depth++;
		else if (s[n] == ')' && depth-- == 0)
			return n;
		else if (s[n] == separator && !depth)
			return n;
	}
	return n;
}

/* One of the options in parentheses: "$select=a,b". */
static bool inner_option(struct expand *e, const char *s, size_t n, int depth, struct reply *rep)
{
	const char *equals = memchr(s, '=', n);
	char name[40];
	bool known;

	if (!equals)
		return query_fail(rep, "Syntax error in '$expand'.");
	snprintf(name, sizeof name, "%.*s", (int)(equals - s < 39 ? equals - s : 39), s);
	char *value = strndup(equals + 1, n - (size_t)(equals - s) - 1);
	bool good;
	if (!strcmp(name, "$expand")) {
		good = e->q.expand_count ? query_twice(rep, name)
					 : expand_parse(&e->q, value, depth + 1, rep);
	} else if (!strcmp(name, "$filter")) {
		good = e->nav.kind == NAV_ONE
			   ? query_fail(rep,
					"$filter is for collection-valued navigation "
					"properties; '%s' leads to one row.",
					e->nav.name)
			   : filter_parse(&e->q, value, false, rep);
	} else {
		good = query_option(&e->q, name, value, rep, &known);
		if (!known)
			good = query_fail(rep, "The query option '%s' is not supported in $expand.",
					  name);
		else if (good && e->nav.kind == NAV_ONE && strcmp(name, "$select"))
			good = query_fail(rep,
					  "%s is for collection-valued navigation "
					  "properties; '%s' leads to one row.",
					  name, e->nav.name);
	}
	free(value);
	return good;
}

static bool inner_options(struct expand *e, const char *s, size_t n, int depth, struct reply *rep)
{
	struct text link = {0};
	bool good = true;
	const char *end = s + n;

	while (good && s < end) {
		s += strspn(s, " ");
		size_t len = piece(s, ';');
		if (s + len > end)
			len = (size_t)(end - s);
		good = inner_option(e, s, len, depth, rep);
		text_printf(&link, "%s%.*s", link.len ? "&" : "?", (int)len, s);
		s += len + (s[len] == ';');
	}
	e->link = link.data;
	return good;
}

static bool one_expand(struct query *q, const char *s, size_t n, int depth, struct reply *rep)
{
	size_t len = 0, tail;
	struct expand *e;

	while (len < n && s[len] != '(' && s[len] != '/' && s[len] != ' ')
		len++;
	if (q->expand_count == EXPAND_MAX)
		return query_fail(rep, "No more than %d $expand options are allowed in a query.",
				  EXPAND_MAX);
	e = calloc(1, sizeof *e);
	if (!e)
		abort();
	if (!nav_find(&q->d->store, q->t, s, len, &e->nav)) {
		free(e);
		return query_no_property(rep, q->t->name, s, len);
	}
	e->q = (struct query){.d = q->d,
			      .t = e->nav.target,
			      .req = q->req,
			      .annotations = q->annotations,
			      .via = &e->nav,
			      .since = -1,
			      .start = -1,
			      .page_number = 1,
			      .page = PAGE_MAX};
	q->expands[q->expand_count++] = e;
	s += len;
	n -= len;
	if (n >= 5 && !strncmp(s, "/$ref", 5)) {
		if (e->nav.kind != NAV_ONE)
			return query_fail(rep, "Expand with $ref is only supported on lookup type "
					       "navigation property.");
		e->reference = true;
		s += 5;
		n -= 5;
	}
	if (n && *s == '/')
		return query_fail(rep,
				  "Paths in '$expand' are not supported; nest with "
				  "%s($expand=..).",
				  e->nav.name);
	if (n && *s == '(') {
		tail = piece(s + 1, 0);
		if (s[1 + tail] != ')' || 2 + tail > n)
			return query_fail(rep, "Syntax error in '$expand'.");
		if (!inner_options(e, s + 1, tail, depth, rep))
			return false;
		s += 2 + tail;
		n -= 2 + tail;
	}
	if (n && strspn(s, " ") < n)
		return query_fail(rep, "Syntax error in '$expand'.");
	if (!e->q.select_text)
		query_select_all(&e->q);
	return true;
}

static bool has(const struct query *q, bool (*test)(const struct expand *e))
{
	for (int i = 0; i < q->expand_count; i++)
		if (test(q->expands[i]) || has(&q->expands[i]->q, test))
			return true;
	return false;
}

static bool is_nested(const struct expand *e)
{
	return e->q.expand_count > 0;
}

static bool is_many_to_many(const struct expand *e)
{
	return e->nav.kind == NAV_MANY_TO_MANY;
}

static bool is_ordered(const struct expand *e)
{
	return e->nav.kind != NAV_ONE && (e->q.top || e->q.order.data);
}

bool expand_parse(struct query *q, const char *s, int depth, struct reply *rep)
{
	if (depth > DEPTH_MAX)
		return query_fail(rep, "'$expand' is nested too deeply.");
	do {
		s += strspn(s, " ");
		size_t n = piece(s, ',');
		if (s[n] == ')' || !n)
			return query_fail(rep, "Syntax error in '$expand'.");
		if (!one_expand(q, s, n, depth, rep))
			return false;
		s += n;
	} while (*s++);
	if (depth)
		return true;
	if (expands_of(q) > EXPAND_MAX)
		return query_fail(rep, "No more than %d $expand options are allowed in a query.",
				  EXPAND_MAX);
	if (has(q, is_nested) && has(q, is_ordered))
		return query_fail(rep,
				  "The $top and $orderby query options are not supported in a "
				  "nested $expand of collection-valued navigation properties.");
	if (has(q, is_many_to_many) && expands_of(q) > 1)
		return query_fail(rep,
				  "A many-to-many relationship can't be expanded together with "
				  "others or nested.");
	return true;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static void put_reference(struct expand *e, sqlite3_stmt *st, const char *root, struct text *o)
{
	text_printf(o, "{\"@odata.id\":\"%s/%s(%s)\"}", root, e->q.t->set,
		    (const char *)sqlite3_column_text(st, 0));
}

/* A list of options that stood in parentheses, as a URL's. */
static void put_options(const char *s, struct text *o)
{
	for (; s && *s; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '\\' || (unsigned char)*s > '~')
			text_printf(o, "%%%02X", (unsigned char)*s);
		else
			text_put(o, s, 1);
}

/* Nested: each collection has pages; the link continues behind the last row.  Not nested: the
 * link is there always, and plainly the related collection. */
static void put_next_link(struct query *q, const struct expand *e, bool nested, const char *last,
			  const char *root, struct text *o)
{
	text_printf(o, ",\"%s@odata.nextLink\":\"%s/%s(%s)/%s", e->nav.name, root, q->t->set,
		    e->q.via_id, e->nav.name);
	put_options(e->link, o);
	if (nested) {
		struct page p = {0};
		snprintf(p.last, sizeof p.last, "%s", last);
		char *token = track_next_token(&e->q, &p), *encoded = url_encode(token);
		text_printf(o, "%s$skiptoken=%s", e->link ? "&" : "?", encoded);
		free(encoded);
		free(token);
	}
	text_puts(o, "\"");
}

static void put_one(struct query *q, struct expand *e, bool nested, const char *root,
		    struct text *o)
{
	struct text sql = {0};
	bool one = e->nav.kind == NAV_ONE, more = false;
	long limit = one ? 1 : e->q.top ? e->q.top : nested ? e->q.page : PAGE_MAX, rows = 0;
	char last[37] = "";

	row_columns(&e->q, &sql);
	query_from(&e->q, &sql);
	text_printf(&sql, " ORDER BY %s t0.\"%s\" LIMIT %ld", text_string(&e->q.order), e->q.t->id,
		    limit + nested);
	sqlite3_stmt *st = store_statement(&e->q.d->store, sql.data);
	query_bind(&e->q, st);
	text_printf(o, ",\"%s\":%s", e->nav.name, one ? "" : "[");
	while (!more && sqlite3_step(st) == SQLITE_ROW) {
		more = rows == limit;
		if (more)
			break;
		snprintf(last, sizeof last, "%s", (const char *)sqlite3_column_text(st, 0));
		text_puts(o, rows++ ? "," : "");
		if (e->reference)
			put_reference(e, st, root, o);
		else
			row_put(&e->q, st, root, NULL, o);
	}
	store_release(st);
	free(sql.data);
	if (one)
		text_puts(o, rows ? "" : "null");
	else
		text_puts(o, "]");
	if (!one && (more || !nested))
		put_next_link(q, e, nested, last, root, o);
}

void expand_put(struct query *q, const char *id, const char *root, struct text *o)
{
	bool nested = q->in_nested || has(q, is_nested);

	for (int i = 0; i < q->expand_count; i++) {
		struct expand *e = q->expands[i];
		snprintf(e->q.via_id, sizeof e->q.via_id, "%s", id);
		e->q.in_nested = nested;
		e->q.page = q->page;
		put_one(q, e, nested, root, o);
	}
}
