/* read.c - collections, rows, counts, single properties and what navigation leads to.
 *
 * Facts: "query data using the Web API", "page results", "count rows", "retrieve a table row".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "key.h"
#include "row.h"
#include "track.h"

enum { COUNT_MAX = 5000 }; /* "count rows": no count says more */

static void plain_pass(struct query *q, struct page *p)
{
	struct text sql = {0};
	/* with a page size asked for, $top is ignored */
	long limit = q->top && !q->page_given && q->top < q->page ? q->top : q->page;
	bool by_key = !q->order.data, only_top = q->top && !q->page_given;
	int n = q->where.count + (q->via != NULL) + 1;

	row_columns(q, &sql);
	query_from(q, &sql);
	if (by_key && *q->last)
		text_printf(&sql, " AND t0.\"%s\" > ?%d", q->t->id, n);
	text_printf(&sql, " ORDER BY %s t0.\"%s\" LIMIT ?%d", text_string(&q->order), q->t->id,
		    n + 1);
	if (!by_key)
		text_printf(&sql, " OFFSET ?%d", n + 2);
	sqlite3_stmt *st = store_statement(&q->d->store, sql.data);
	query_bind(q, st);
	if (by_key && *q->last)
		sqlite3_bind_text(st, n, q->last, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, n + 1, limit + 1);
	if (!by_key)
		sqlite3_bind_int64(st, n + 2, (q->page_number - 1) * q->page);
	while (sqlite3_step(st) == SQLITE_ROW) {
		if (p->rows == limit) {
			p->more = !only_top;
			break;
		}
		text_puts(&p->o, p->rows++ ? "," : "");
		row_put(q, st, p->root, NULL, &p->o);
		snprintf(p->last, sizeof p->last, "%s", (const char *)sqlite3_column_text(st, 0));
	}
	store_release(st);
	free(sql.data);
}

/* Up to COUNT_MAX, and one more when there are more. */
static long count_rows(const struct query *q)
{
	struct text sql = {0};
	long n = 0;

	text_puts(&sql, "SELECT count(*) FROM (SELECT 1");
	query_from(q, &sql);
	text_printf(&sql, " LIMIT %d)", COUNT_MAX + 1);
	sqlite3_stmt *st = store_statement(&q->d->store, sql.data);
	query_bind(q, st);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = (long)sqlite3_column_int64(st, 0);
	store_release(st);
	free(sql.data);
	return n;
}

static void open_page(const struct query *q, struct page *p)
{
	const struct annotations *a = &q->annotations;
	long n = q->with_count ? count_rows(q) : -1;
	bool over = n > COUNT_MAX;

	api_root(q->req, p->root, sizeof p->root);
	text_printf(&p->o, "{\"@odata.context\":\"%s/$metadata#%s", p->root, q->t->set);
	row_context(q, &p->o);
	text_printf(&p->o, "%s\"", q->is_delta ? "/$delta" : "");
	if (q->with_count)
		text_printf(&p->o, ",\"@odata.count\":%ld", over ? COUNT_MAX : n);
	if (a->total)
		text_printf(&p->o, ",\"@Microsoft.Dynamics.CRM.totalrecordcount\":%ld",
			    over ? COUNT_MAX : n);
	if (a->limit_exceeded)
		text_printf(&p->o, ",\"@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded\":%s",
			    over ? "true" : "false");
	if (a->metadata_version)
		text_printf(&p->o, ",\"@Microsoft.Dynamics.CRM.globalmetadataversion\":\"%lld\"",
			    (long long)q->d->store.metadata_version);
	text_puts(&p->o, ",\"value\":[");
}

/* The request's own options again, and the token.  What it holds is encoded already; a quote or a
 * blank that was not is encoded here. */
static void put_link(const struct query *q, struct page *p, const char *name, const char *option,
		     char *token)
{
	char *encoded = url_encode(token);
	const char *at = q->req->query;

	text_printf(&p->o, ",\"%s\":\"%s://%s%s?", name, q->req->scheme, q->req->host,
		    q->req->path);
	while (*at) {
		size_t n = strcspn(at, "&"), e = strcspn(at, "=");
		char *key = url_decode(at, e < n ? e : n, true);
		if (key && n && strcmp(key, "$skiptoken") && strcmp(key, "$deltatoken")) {
			for (size_t i = 0; i < n; i++)
				if (strchr("\"\\<> ", at[i]) || (unsigned char)at[i] >= 0x7f)
					text_printf(&p->o, "%%%02X", (unsigned char)at[i]);
				else
					text_put(&p->o, at + i, 1);
			text_puts(&p->o, "&");
		}
		free(key);
		at += n + (at[n] == '&');
	}
	text_printf(&p->o, "%s=%s\"", option, encoded);
	free(encoded);
	free(token);
}

static void close_page(const struct query *q, struct page *p)
{
	text_puts(&p->o, "]");
	if (p->more)
		put_link(q, p, "@odata.nextLink", "$skiptoken", track_next_token(q, p));
	else if (q->track) /* on the last page only */
		put_link(q, p, "@odata.deltaLink", "$deltatoken", track_delta_link_token(q));
	text_puts(&p->o, "}");
}

static void reply_text_of(struct reply *rep, struct text *o)
{
	api_headers(rep);
	rep->status = 200;
	rep->body = o->data;
	rep->body_len = o->len;
}

static void read_page(struct query *q, struct reply *rep)
{
	struct page p = {0};

	if (q->start < 0)
		q->start = q->d->store.version;
	snprintf(rep->route, sizeof rep->route, "%s%s", q->t->set,
		 q->is_delta	? " (delta)"
		 : q->track	? " (snapshot)"
		 : q->has_where ? " (filter)"
				: "");
	open_page(q, &p);
	if (q->is_delta)
		track_delta(q, &p);
	else
		plain_pass(q, &p);
	close_page(q, &p);
	reply_text_of(rep, &p.o);
}

/* A query is too large for the stack of a server's thread. */
static struct query *query_new(void)
{
	struct query *q = calloc(1, sizeof *q);

	if (!q)
		abort();
	return q;
}

static void query_delete(struct query *q)
{
	query_free(q);
	free(q);
}

void api_read_collection(struct dataverse *d, struct table *t, const struct request *req,
			 struct reply *rep)
{
	struct query *q = query_new();

	if (query_read(q, d, t, req, QUERY_COLLECTION, rep))
		read_page(q, rep);
	query_delete(q);
}

/* The etag that the client has, if the header has one: the literal null is what Microsoft tells
 * everybody to send, and no etag. */
static bool not_modified(const struct query *q, int64_t version)
{
	const char *none = request_header(q->req, "If-None-Match");
	char etag[40];

	snprintf(etag, sizeof etag, "W/\"%lld\"", (long long)version);
	return none && (!strcmp(none, etag) || !strcmp(none, "*")) && !q->expand_count &&
	       !q->annotations.any;
}

static bool other_version(const struct query *q, int64_t version)
{
	const char *match = request_header(q->req, "If-Match");
	char etag[40];

	snprintf(etag, sizeof etag, "W/\"%lld\"", (long long)version);
	return match && !strcmp(q->req->method, "GET") && strcmp(match, "*") && strcmp(match, etag);
}

static void put_single(struct query *q, sqlite3_stmt *st, struct reply *rep)
{
	struct text o = {0}, context = {0};
	char root[400];
	int64_t version = sqlite3_column_int64(st, 1);

	if (other_version(q, version)) {
		api_error(
		    rep, 412, E_CONCURRENCY,
		    "The version of the existing record doesn't match the RowVersion property "
		    "provided.");
		return;
	}
	if (not_modified(q, version)) {
		reply_header(rep, "OData-Version", "4.0");
		rep->status = 304;
		return;
	}
	api_root(q->req, root, sizeof root);
	text_printf(&context, "%s/$metadata#%s", root, q->t->set);
	row_context(q, &context);
	text_puts(&context, "/$entity");
	row_put(q, st, root, context.data, &o);
	free(context.data);
	reply_header(rep, "ETag", "W/\"%lld\"", (long long)version);
	reply_text_of(rep, &o);
}

/* The only row of a query. False when there is none. */
static bool read_single(struct query *q, const char *id, struct reply *rep)
{
	struct text sql = {0};
	bool found;

	row_columns(q, &sql);
	query_from(q, &sql);
	if (id)
		text_printf(&sql, " AND t0.\"%s\" = ?%d", q->t->id, q->where.count + 1);
	sqlite3_stmt *st = store_statement(&q->d->store, sql.data);
	int n = query_bind(q, st);
	if (id)
		sqlite3_bind_text(st, n, id, -1, SQLITE_STATIC);
	found = sqlite3_step(st) == SQLITE_ROW;
	if (found)
		put_single(q, st, rep);
	store_release(st);
	free(sql.data);
	return found;
}

static void row_absent(const struct dataverse *d, const struct table *t, const char *id,
		       struct reply *rep)
{
	if (t->visible < 1 && store_exists((struct store *)&d->store, t, id))
		api_error(
		    rep, 403, E_PRIVILEGE,
		    "Principal user (Id=%s, type=8) is missing prvRead%s privilege on the row "
		    "%s.",
		    d->user, t->schema_name, id);
	else
		api_error(rep, 404, E_NOT_FOUND, "%s With Id = %s Does Not Exist", t->name, id);
}

void api_read_row(struct dataverse *d, struct table *t, const char *id, const struct request *req,
		  struct reply *rep)
{
	struct query *q = query_new();

	if (query_read(q, d, t, req, QUERY_ROW, rep) && !read_single(q, id, rep))
		row_absent(d, t, id, rep);
	query_delete(q);
}

static void reply_count(struct reply *rep, long n)
{
	reply_header(rep, "OData-Version", "4.0");
	reply_header(rep, "Content-Type", "text/plain");
	/* preceded by a byte order mark, as the product does */
	reply_text(rep, 200, "\xef\xbb\xbf%ld", n < COUNT_MAX ? n : COUNT_MAX);
}

void api_read_count(struct dataverse *d, struct table *t, const struct request *req,
		    struct reply *rep)
{
	struct query *q = query_new();

	if (query_read(q, d, t, req, QUERY_COUNT, rep))
		reply_count(rep, q->is_delta ? track_count(q) : count_rows(q));
	query_delete(q);
}

/* ---- behind a row: a property, or where navigation leads ------------------------------------------ */

static void read_property(struct dataverse *d, struct table *t, const char *id,
			  const struct column *c, bool raw, const struct request *req,
			  struct reply *rep)
{
	struct text sql = {0}, o = {0};
	char root[400];

	if (raw && c->type == T_IMAGE) {
		api_not_implemented(rep, "file and image columns");
		return;
	}
	if (*req->query) {
		query_fail(rep, "Query options cannot be applied to the requested resource.");
		return;
	}
	text_printf(&sql, "SELECT \"%s\" FROM \"%s\" t0 WHERE \"%s\" = ?", c->name, t->name, t->id);
	query_visible(d, t, "t0", &sql);
	sqlite3_stmt *st = store_statement(&d->store, sql.data);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	bool found = sqlite3_step(st) == SQLITE_ROW;
	const char *value = found ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (!found) {
		row_absent(d, t, id, rep);
	} else if (!value) {
		reply_header(rep, "OData-Version", "4.0");
		rep->status = 204; /* OData: a null property has no content */
	} else if (raw) {
		reply_header(rep, "OData-Version", "4.0");
		reply_header(rep, "Content-Type", "text/plain");
		reply_text(rep, 200, "%s", value);
	} else {
		api_root(req, root, sizeof root);
		text_printf(&o, "{\"@odata.context\":\"%s/$metadata#%s(%s)/%s\",\"value\":", root,
			    t->set, id, c->property);
		row_value(&o, c, value);
		text_puts(&o, "}");
		reply_text_of(rep, &o);
	}
	store_release(st);
	free(sql.data);
}

/* The ids that $ref gives: of one row, or of a collection, up to the page limit. */
static void read_references(struct query *q, struct reply *rep)
{
	struct text sql = {0}, o = {0};
	char root[400];
	bool one = q->via->kind == NAV_ONE;
	long n = 0;

	api_root(q->req, root, sizeof root);
	text_printf(&sql, "SELECT t0.\"%s\"", q->t->id);
	query_from(q, &sql);
	text_printf(&sql, " ORDER BY t0.\"%s\" LIMIT %d", q->t->id, PAGE_MAX);
	sqlite3_stmt *st = store_statement(&q->d->store, sql.data);
	query_bind(q, st);
	text_printf(&o, "{\"@odata.context\":\"%s/$metadata#%s\"%s", root,
		    one ? "$ref" : "Collection($ref)", one ? "" : ",\"value\":[");
	while (sqlite3_step(st) == SQLITE_ROW) {
		text_printf(&o, "%s%s\"@odata.id\":\"%s/%s(%s)\"%s", n++ || one ? "," : "",
			    one ? "" : "{", root, q->t->set,
			    (const char *)sqlite3_column_text(st, 0), one ? "" : "}");
	}
	text_puts(&o, one ? "}" : "]}");
	store_release(st);
	free(sql.data);
	if (one && !n) {
		free(o.data);
		reply_header(rep, "OData-Version", "4.0");
		rep->status = 204;
		return;
	}
	reply_text_of(rep, &o);
}

static void read_nav(struct dataverse *d, const struct nav *nav, const char *id, const char *rest,
		     const struct request *req, struct reply *rep)
{
	struct query *q = query_new();
	bool one = nav->kind == NAV_ONE, count = !strcmp(rest, "/$count") && !one;
	enum query_for what = one ? QUERY_ROW : count ? QUERY_COUNT : QUERY_COLLECTION;

	if (*rest && !count && strcmp(rest, "/$ref")) {
		api_not_implemented(rep, rest);
	} else if (query_read(q, d, nav->target, req, what, rep)) {
		q->via = nav;
		snprintf(q->via_id, sizeof q->via_id, "%s", id);
		if (q->track)
			query_fail(rep, "Change tracking is not supported for a navigation "
					"property.");
		else if (!strcmp(rest, "/$ref"))
			read_references(q, rep);
		else if (count)
			reply_count(rep, count_rows(q));
		else if (!one)
			read_page(q, rep);
		else if (!read_single(q, NULL, rep)) {
			reply_header(rep, "OData-Version", "4.0");
			rep->status = 204; /* points nowhere */
		}
	}
	query_delete(q);
}

void api_read_behind(struct dataverse *d, struct table *t, const char *id, const char *rest,
		     const struct request *req, struct reply *rep)
{
	size_t n = strcspn(rest + 1, "/(");
	const char *name = rest + 1, *behind = name + n;
	struct column *c = table_property(t, name, n);
	bool raw = !strcmp(behind, "/$value");
	struct nav nav;

	if (!store_exists(&d->store, t, id))
		row_absent(d, t, id, rep);
	else if (c && (!*behind || raw))
		read_property(d, t, id, c, raw, req, rep);
	else if (!c && nav_find(&d->store, t, name, n, &nav))
		read_nav(d, &nav, id, behind, req, rep);
	else
		api_error(rep, 404, E_QUERY, "Resource not found for the segment '%.*s'.",
			  (int)(n < 100 ? n : 100), name);
}
