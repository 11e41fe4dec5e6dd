/* list.c - lists: paging, sorting, one field alone, counts.
 *
 * "Pagination", "Sorting", "Counting", "Retrieving profiles".  25 records a page; the cursor in
 * next is tied to its list; tables of more than XtkBigTableThreshold records have no next without
 * _forcePagination=true.  count.value is there when the answer holds everything.  The largest
 * _lineCount is documented nowhere: 10,000 here.
 */
#include "api.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_COUNT = 25, LINE_COUNT_MAX = 10000 };

/* ---- cursors: what list, and behind which record -------------------------------------------------- */

struct cursor {
	long long id;
	char value[1100];
};

static const char hex[] = "0123456789abcdef";

static uint64_t list_hash(const struct resource *r, const struct query *q, const char *order)
{
	uint64_t h = 1469598103934665603u;
	const char *const parts[] = {r->name, q->path, q->parameters, order};

	for (int i = 0; i < 4; i++)
		for (const char *s = parts[i]; *s; s++)
			h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h;
}

static void cursor_write(const struct cursor *c, uint64_t list, char *out, size_t size)
{
	char plain[1200];
	size_t n = (size_t)snprintf(plain, sizeof plain, "%016llx%llx|%s", (unsigned long long)list,
				    (unsigned long long)c->id, c->value);
	struct rng r = {list};

	if (n >= sizeof plain)
		n = sizeof plain - 1;
	out[0] = '@';
	size_t at = 1;
	for (size_t i = 0; i < n && at + 3 < size; i++) {
		unsigned char b = (unsigned char)plain[i];
		b ^= i < 16 ? 0x5a : (unsigned char)rng_next(&r);
		out[at++] = hex[b >> 4];
		out[at++] = hex[b & 15];
	}
	out[at] = 0;
}

static bool cursor_read(const char *text, uint64_t list, struct cursor *c)
{
	char plain[1200], *end;
	size_t n = strlen(text);
	struct rng r = {list};

	if (*text != '@' || n % 2 != 1 || n < 37 || n / 2 >= sizeof plain)
		return false;
	for (size_t i = 0; i < n / 2; i++) {
		const char *a = strchr(hex, text[1 + 2 * i]), *b = strchr(hex, text[2 + 2 * i]);
		if (!a || !b)
			return false;
		unsigned char byte = (unsigned char)((a - hex) << 4 | (b - hex));
		plain[i] = (char)(byte ^ (i < 16 ? 0x5a : (unsigned char)rng_next(&r)));
	}
	plain[n / 2] = 0;
	char head[17];
	memcpy(head, plain, 16);
	head[16] = 0;
	if (strtoull(head, &end, 16) != list || *end)
		return false;
	c->id = (long long)strtoull(plain + 16, &end, 16);
	if (*end != '|' || strlen(end + 1) >= sizeof c->value)
		return false;
	strcpy(c->value, end + 1);
	return true;
}

/* ---- options ------------------------------------------------------------------------------------- */

struct options {
	long lines;
	char *start, *force, order[120];
	int order_field;
	bool descending;
};

static void options_free(struct options *o)
{
	free(o->start);
	free(o->force);
}

/* Every parameter means something, or there is no answer. */
static bool all_known(const struct call *call, const struct query *q)
{
	static const char *const known[] = {"_lineCount", "_lineStart", "_order",
					    "_forcePagination"};
	const char *at = call->req->query;

	while (*at) {
		size_t n = strcspn(at, "&"), e = 0;
		bool found = !n;
		while (e < n && at[e] != '=')
			e++;
		for (int i = 0; i < 4; i++)
			found |= strlen(known[i]) == e && !strncmp(at, known[i], e);
		for (int i = 0; i < q->used_count; i++)
			found |= strlen(q->used[i]) == e && !strncmp(at, q->used[i], e);
		if (!found) {
			char name[80];
			snprintf(name, sizeof name, "the parameter %.*s", (int)(e < 60 ? e : 60),
				 at);
			return acs_not_implemented(call->rep, name);
		}
		at += n + (at[n] == '&');
	}
	return true;
}

/* A cursor holds the value of the field it is sorted by. */
bool field_sortable(const struct field *f)
{
	return !field_computed(f) && f->kind != K_LINK && f->kind != K_COLLECTION &&
	       f->length <= 255;
}

static bool read_order(const struct call *call, struct resource *r, struct options *o)
{
	char *text = query_get(call->req, "_order"), *space;

	o->order_field = -1;
	if (!text)
		return true;
	snprintf(o->order, sizeof o->order, "%.110s", text);
	free(text);
	/* Adobe's SDK encodes its %20 once more. */
	space = strstr(o->order, "%20desc");
	if (!space)
		space = strstr(o->order, " desc");
	if (space && (!strcmp(space, " desc") || !strcmp(space, "%20desc"))) {
		*space = 0;
		o->descending = true;
	}
	o->order_field = resource_field(r, o->order);
	if (o->order_field < 0 || !field_shown(call, &r->fields[o->order_field]))
		return fail_property(call, r, o->order);
	if (!field_sortable(&r->fields[o->order_field]))
		return fail_detail(call, "XTK-170006 '%s' is not sortable.", o->order);
	if (o->descending)
		strcat(o->order, "%20desc");
	return true;
}

static bool read_options(const struct call *call, struct resource *r, const struct query *q,
			 struct options *o)
{
	char *count = query_get(call->req, "_lineCount"), *end = NULL;

	*o = (struct options){.lines = count ? strtol(count, &end, 10) : LINE_COUNT};
	bool good = !count || (isdigit((unsigned char)*count) && !*end && o->lines >= 1 &&
			       o->lines <= LINE_COUNT_MAX);
	if (!good)
		fail_detail(call, "XTK-170006 '%.40s' is not a valid constant for '_lineCount'.",
			    count);
	free(count);
	if (!good || !all_known(call, q))
		return false;
	o->start = query_get(call->req, "_lineStart");
	o->force = query_get(call->req, "_forcePagination");
	if (o->force && strcmp(o->force, "true") && strcmp(o->force, "false"))
		return fail_detail(call, "XTK-170006 _forcePagination is true or false.");
	return read_order(call, r, o);
}

/* ---- a page ---------------------------------------------------------------------------------------- */

static void order_expression(const struct resource *r, const struct options *o, char *out,
			     size_t size)
{
	const struct field *f = o->order_field < 0 ? NULL : &r->fields[o->order_field];

	if (!f)
		*out = 0;
	else if (f->kind == K_LONG || f->kind == K_DOUBLE)
		snprintf(out, size, "CAST(t.\"%s\" AS REAL)", f->path);
	else
		snprintf(out, size, "t.\"%s\"", f->path);
}

static sqlite3_stmt *select_page(const struct call *call, const struct resource *r,
				 const struct query *q, const struct options *o,
				 const struct cursor *from)
{
	static char sql[65536];
	char columns[24000], order[160];
	int n = q->bound_count;
	const char *cast = "";

	store_columns(r, columns, sizeof columns);
	order_expression(r, o, order, sizeof order);
	if (*order == 'C')
		cast = "0.0+"; /* compare as numbers */
	size_t at = (size_t)snprintf(sql, sizeof sql, "SELECT %s FROM \"%s\" t WHERE %s%s", columns,
				     r->name, r->visible, q->where);
	if (from && *order)
		at += (size_t)snprintf(
		    sql + at, sizeof sql - at, " AND (%s%s%s?%d OR (%s=%s?%d AND _id>?%d))", order,
		    o->descending ? "<" : ">", cast, n + 1, order, cast, n + 1, n + 2);
	else if (from)
		at += (size_t)snprintf(sql + at, sizeof sql - at, " AND _id>?%d", n + 2);
	if (*order)
		at += (size_t)snprintf(sql + at, sizeof sql - at, " ORDER BY %s%s,_id", order,
				       o->descending ? " DESC" : "");
	else
		at += (size_t)snprintf(sql + at, sizeof sql - at, " ORDER BY _id");
	snprintf(sql + at, sizeof sql - at, " LIMIT ?%d", n + 3);
	sqlite3_stmt *st = store_cached(&call->c->store, sql);
	sqlite3_clear_bindings(st);
	for (int i = 0; i < n; i++)
		sqlite3_bind_text(st, i + 1, q->bound[i], -1, SQLITE_STATIC);
	if (from) {
		sqlite3_bind_text(st, n + 1, from->value, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, n + 2, from->id);
	}
	sqlite3_bind_int64(st, n + 3, o->lines + 1);
	return st;
}

static void add_count(const struct call *call, cJSON *o, const struct query *q, const char *base,
		      uint64_t list, long value)
{
	char start[3000], href[8000];

	cursor_write(&(struct cursor){0}, list, start, sizeof start);
	snprintf(href, sizeof href, "%s/%s%s%s_count?_lineStart=%s%s", base, q->base,
		 !*q->path || call->root == ROOT_EXT ? "/" : "", q->path, start, q->parameters);
	cJSON *count = cJSON_AddObjectToObject(o, "count");
	cJSON_AddStringToObject(count, "href", href);
	if (value >= 0)
		cJSON_AddNumberToObject(count, "value", (double)value);
}

static void add_next(cJSON *o, const struct resource *r, const struct query *q,
		     const struct options *opt, int projection, const char *base, uint64_t list,
		     const struct cursor *last)
{
	char start[3000], href[9000];

	cursor_write(last, list, start, sizeof start);
	snprintf(href, sizeof href, "%s/%s%s%s?_lineCount=%ld&_lineStart=%s%s%s%s%s", base, q->base,
		 q->path, projection < 0 ? "" : r->fields[projection].path, opt->lines, start,
		 *opt->order ? "&_order=" : "", opt->order,
		 opt->force ? "&_forcePagination=true" : "", q->parameters);
	cJSON_AddStringToObject(cJSON_AddObjectToObject(o, "next"), "href", href);
}

static void page(const struct call *call, struct resource *r, struct query *q,
		 const struct options *opt, int projection, const struct cursor *from,
		 uint64_t list)
{
	cJSON *o = cJSON_CreateObject(), *content = cJSON_AddArrayToObject(o, "content");
	struct record rec = record_new(r);
	sqlite3_stmt *st = select_page(call, r, q, opt, from);
	struct cursor last = {0};
	bool more = false, alone = projection >= 0 && !call->c->store.v8;
	char host[400], base[500];
	long n = 0;

	acs_base(call->req, host, sizeof host);
	snprintf(base, sizeof base, "%s/%s", host, root_names[call->root]);
	while (sqlite3_step(st) == SQLITE_ROW) {
		if (n == opt->lines) {
			more = true;
			break;
		}
		store_read(r, st, &rec);
		n++;
		cJSON_AddItemToArray(content, projection < 0 ? record_json(call, r, &rec, true)
							     : value_json(&r->fields[projection],
									  rec.values[projection]));
	}
	sqlite3_reset(st);
	last.id = rec.id;
	if (opt->order_field >= 0)
		snprintf(last.value, sizeof last.value, "%.1090s", rec.values[opt->order_field]);
	record_free(r, &rec);
	if (!alone)
		add_count(call, o, q, base, list, !from && !more ? n : -1);
	bool big = r->rows > call->c->big_table && !(opt->force && !strcmp(opt->force, "true"));
	if (more && !big)
		add_next(o, r, q, opt, projection, base, list, &last);
	if (!alone)
		cJSON_AddBoolToObject(o, "serverSidePagination", true);
	acs_reply(call->rep, 200, o);
}

void list_page(const struct call *call, struct resource *r, struct query *q, int projection)
{
	struct options opt;
	struct cursor from;

	if (read_options(call, r, q, &opt)) {
		uint64_t list = list_hash(r, q, opt.order);
		if (opt.start && !cursor_read(opt.start, list, &from))
			fail_detail(call,
				    "XTK-170006 '%.100s' is not a valid _lineStart of this "
				    "list.",
				    opt.start);
		else
			page(call, r, q, &opt, projection, opt.start ? &from : NULL, list);
	}
	options_free(&opt);
}

void list_count(const struct call *call, struct resource *r, struct query *q)
{
	char sql[9000];
	long n;

	if (!all_known(call, q))
		return;
	if (!*q->where) {
		n = store_count(&call->c->store, r);
	} else {
		snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\" t WHERE %s%s", r->name,
			 r->visible, q->where);
		sqlite3_stmt *st = store_cached(&call->c->store, sql);
		for (int i = 0; i < q->bound_count; i++)
			sqlite3_bind_text(st, i + 1, q->bound[i], -1, SQLITE_STATIC);
		n = sqlite3_step(st) == SQLITE_ROW ? (long)sqlite3_column_int64(st, 0) : 0;
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
	}
	cJSON *o = cJSON_CreateObject();
	cJSON_AddNumberToObject(o, "count", (double)n);
	acs_reply(call->rep, 200, o);
}

/* tail: segments behind the resource, undecoded: filters, then "_count", a field or nothing. 0 when
 * the first one is neither, so that it must be a key. */
int list_answer(const struct call *call, struct resource *r, const char *tail)
{
	struct query q = {.where = ""};
	int projection = -1, state = 1;
	bool counted = false;

	snprintf(q.base, sizeof q.base, "%s/", r->name);
	while (state > 0 && *(tail += strspn(tail, "/"))) {
		size_t n = strcspn(tail, "/");
		char *name = url_decode(tail, n, false);
		bool first = !*q.path, end = !tail[n] || !tail[n + 1];
		if (!name) {
			fail_url(call);
			state = -1;
		} else if (end && !strcmp(name, "_count")) {
			counted = true;
		} else if (!(state = filter_apply(call, r, name, &q))) {
			projection = resource_field(r, name);
			if (projection >= 0 && end && field_shown(call, &r->fields[projection]) &&
			    r->fields[projection].kind != K_LINK &&
			    r->fields[projection].kind != K_COLLECTION) {
				state = 1;
			} else if (!first || !strncmp(name, "by", 2)) {
				fail_property(call, r, name);
				state = -1;
			}
		}
		free(name);
		tail += n;
	}
	if (state == 1 && *q.path)
		snprintf(call->rep->route, sizeof call->rep->route, "%s by", r->name);
	if (state == 1 && counted)
		list_count(call, r, &q);
	else if (state == 1)
		list_page(call, r, &q, projection);
	query_free(&q);
	return state;
}
