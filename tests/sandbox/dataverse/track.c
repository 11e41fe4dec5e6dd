/* track.c - see track.h. */
#include "track.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Opaque to clients, who may re-encode it in any equivalent way.  The paging cookie names the last
 * row, and for change tracking the versions between which the pass reads. */
bool track_skip_token(struct query *q, const char *s, struct reply *rep)
{
	long long start = 0, since = 0, last_version = 0;
	char tracking[6] = "";
	int end = 0;

	if (sscanf(s,
		   "<cookie pagenumber=\"%ld\" pagingcookie=\"last=%63[^;];v=%lld;start=%lld;"
		   "since=%lld\" istracking=\"%5[A-Za-z]\" />%n",
		   &q->page_number, q->last, &last_version, &start, &since, tracking, &end) != 6 ||
	    !end || s[end] || q->page_number < 2 || q->page_number > 1000000000)
		return query_fail(rep, "Malformed XML in the Paging Cookie.");
	q->track = !strcmp(tracking, "True");
	q->start = start;
	q->since = since;
	q->last_version = last_version;
	q->is_delta = since >= 0;
	return true;
}

bool track_delta_token(struct query *q, const char *s, struct reply *rep)
{
	struct store *store = &q->d->store;
	char *end;
	long long v = strtoll(s, &end, 10);
	int month, day, year, hour, minute, second, n = 0;

	/* the shape of the documentation's example: 919042!08/22/2017 08:10:44 */
	if (end == s || *end != '!' || v < 0 ||
	    sscanf(end, "!%2d/%2d/%4d %2d:%2d:%2d%n", &month, &day, &year, &hour, &minute, &second,
		   &n) != 6 ||
	    !n || end[n])
		return query_fail(rep, "Invalid delta token."); /* the text is not documented */
	/* One above the counter comes from before the environment was restored.  It compares as any
	 * other: nothing is newer, and the next link is lower.  Who trusts it loses changes. */
	if (v <= store->expired) {
		/* the code is documented, the status is not */
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

void track_remember(struct query *q, const char *name)
{
	static const char *const refused[] = {"$filter", "$orderby", "$expand", "$top"};

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (!*q->refused && !strcmp(name, refused[i]))
			snprintf(q->refused, sizeof q->refused, "%s", name);
}

bool track_check(struct query *q, struct reply *rep)
{
	/* on a page of something that is not tracked the preference changes nothing */
	if (q->skip_token && !q->track)
		return true;
	if (!q->track)
		return true;
	bool counts_delta = q->is_delta && !strcmp(q->refused, "$filter") && q->for_count;
	if (*q->refused && !counts_delta)
		return query_fail(rep,
				  "The \"%s\" query parameter isn't supported when Change Tracking "
				  "is enabled.",
				  q->refused);
	if (!q->t->tracking) /* the real error is not documented */
		return query_fail(rep, "Change tracking is not enabled for entity '%s'.",
				  q->t->name);
	if (q->t->only_own_level) {
		/* "the user must have organization-level read access" */
		api_error(
		    rep, 403, E_PRIVILEGE,
		    "Principal user (Id=%s, type=8) is missing prvRead%s privilege with depth "
		    "Global, which change tracking needs.",
		    q->d->user, q->t->schema_name);
		return false;
	}
	if (!q->is_delta && !q->skip_token)
		reply_header(rep, "Preference-Applied", "odata.track-changes");
	return true;
}

/* First what was created or updated, by version, then the deletes: both count for the page. */
static void delta_rows(struct query *q, struct page *p, int64_t after)
{
	struct text sql = {0};

	row_columns(q, &sql);
	query_from(q, &sql);
	int n = q->where.count + 1;
	text_printf(&sql,
		    " AND t0._version > ?%d AND t0._version <= ?%d ORDER BY t0._version LIMIT ?%d",
		    n, n + 1, n + 2);
	sqlite3_stmt *st = store_statement(&q->d->store, sql.data);
	n = query_bind(q, st);
	sqlite3_bind_int64(st, n, after);
	sqlite3_bind_int64(st, n + 1, q->start);
	sqlite3_bind_int64(st, n + 2, q->page + 1);
	while (sqlite3_step(st) == SQLITE_ROW) {
		if (p->rows == q->page) {
			p->more = true;
			break;
		}
		text_puts(&p->o, p->rows++ ? "," : "");
		row_put(q, st, p->root, NULL, &p->o);
		p->last_version = sqlite3_column_int64(st, 1);
	}
	store_release(st);
	free(sql.data);
}

/* A row that was deleted and made again is among the rows, not here.  One that was made and deleted
 * between two reads is here, although the client never saw it. */
static sqlite3_stmt *deleted_rows(struct query *q, int64_t after)
{
	struct text sql = {0};

	text_printf(
	    &sql,
	    "SELECT g.id, max(g.version) v FROM _deleted g WHERE g.tab = ?1 AND g.version > "
	    "?2 AND g.version <= ?3 AND NOT EXISTS (SELECT 1 FROM \"%s\" r WHERE r.\"%s\" = "
	    "g.id) GROUP BY g.id ORDER BY v",
	    q->t->name, q->t->id);
	sqlite3_stmt *st = store_statement(&q->d->store, sql.data);
	sqlite3_bind_text(st, 1, q->t->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, after);
	sqlite3_bind_int64(st, 3, q->start);
	free(sql.data);
	return st;
}

void track_delta(struct query *q, struct page *p)
{
	int64_t after = q->last_version > q->since ? q->last_version : q->since;
	bool deletes = !strcmp(q->last, "deleted");

	p->last_version = after;
	snprintf(p->last, sizeof p->last, deletes ? "deleted" : "rows");
	if (!deletes) {
		delta_rows(q, p, after);
		if (p->more)
			return;
		after = q->since;
		snprintf(p->last, sizeof p->last, "deleted");
	}
	sqlite3_stmt *st = deleted_rows(q, after);
	p->last_version = after;
	while (sqlite3_step(st) == SQLITE_ROW) {
		if (p->rows == q->page) {
			p->more = true;
			break;
		}
		p->last_version = sqlite3_column_int64(st, 1);
		text_puts(&p->o, p->rows++ ? "," : "");
		text_printf(&p->o,
			    "{\"@odata.context\":\"%s/$metadata#%s/$deletedEntity\",\"id\":\"%s\","
			    "\"reason\":\"deleted\"}",
			    p->root, q->t->set, (const char *)sqlite3_column_text(st, 0));
	}
	store_release(st);
}

long track_count(struct query *q)
{
	struct text sql = {0};
	long n = 0;

	q->start = q->d->store.version;
	text_puts(&sql, "SELECT count(*)");
	query_from(q, &sql);
	text_printf(&sql, " AND t0._version > ?%d", q->where.count + 1);
	sqlite3_stmt *st = store_statement(&q->d->store, sql.data);
	sqlite3_bind_int64(st, query_bind(q, st), q->since);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = (long)sqlite3_column_int64(st, 0);
	store_release(st);
	free(sql.data);
	if (q->has_where) /* a deleted row has no columns that a filter could look at */
		return n;
	st = deleted_rows(q, q->since);
	while (sqlite3_step(st) == SQLITE_ROW)
		n++;
	store_release(st);
	return n;
}

char *track_next_token(const struct query *q, const struct page *p)
{
	struct text t = {0};

	text_printf(&t,
		    "<cookie pagenumber=\"%ld\" pagingcookie=\"last=%s;v=%lld;start=%lld;"
		    "since=%lld\" istracking=\"%s\" />",
		    q->page_number + 1, p->last, (long long)p->last_version, (long long)q->start,
		    (long long)q->since, q->track ? "True" : "False");
	return t.data;
}

char *track_delta_link_token(const struct query *q)
{
	struct text t = {0};
	time_t now = time(NULL);
	struct tm tm;
	char when[40];

	strftime(when, sizeof when, "%m/%d/%Y %H:%M:%S", gmtime_r(&now, &tm));
	text_printf(&t, "%lld!%s", (long long)q->start, when);
	return t.data;
}
