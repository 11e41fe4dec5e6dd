/* scan.c - reading all rows of a table.
 *
 * The first time, to reconcile after a delta token was lost (or when an operator asks), since a
 * time, or at every poll when the table has no other way.  A scan has an epoch of its own: its rows
 * come after everything that was written before, also when the environment was restored to lower
 * versions.  Where its pages are saved, a killed scan goes on at the next one.
 *
 * After the last page, what the topic knows and the scan did not meet is deleted, unless that is
 * suspiciously much: a role that was narrowed by mistake looks just like deletion.
 *
 * While a scan runs, changes are read in between as ever (delta.c).
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "extraction.h"
#include "log.h"

enum { REPORT_MS = 5000, ASKS_A_STEP = 8, LATER_MS = 60000, LATER_MAX_MS = 3600000 };

/* Later than any epoch before, whatever the clock says. */
static int64_t later_epoch(const struct position *p, wall_time now)
{
	return now.ms > p->epoch ? now.ms : p->epoch + 1;
}

static void forget_known(struct extraction *x)
{
	known_free(x->known);
	x->known = NULL;
	x->topic_read = false;
}

/* What was written in another epoch is to be written again, whoever meets it. */
static void forget_recent(struct extraction *x)
{
	seen_clear(x->recent);
	seen_clear(x->recent_before);
	x->recent_loaded = true;
}

void scan_restart(struct extraction *x, struct position *p, wall_time now)
{
	position_set(&p->scan_link, "");
	p->scan_rows = p->scan_pages = 0;
	seen_clear(x->links);
	/* The rows of its last page have to be written in the new epoch. */
	seen_clear(x->page);
	seen_clear(x->page_before);
	if (p->scan == SCAN_SINCE)
		return;
	if (x->stage->flow->changes == CHANGES_FULL) {
		if (x->known)
			known_unmeet(x->known);
		return;
	}
	/* Who was met before may be gone by now: only the new epoch tells who is met. */
	p->epoch = later_epoch(p, now);
	forget_known(x);
	forget_recent(x);
}

void scan_begin(struct extraction *x, struct position *p, enum scan kind, wall_time now)
{
	int64_t expected = -1, version;
	char id[37];
	struct error ignored; /* both are asked for convenience */

	p->scan = kind;
	p->scan_rows = p->scan_pages = 0;
	p->scan_began = now;
	position_set(&p->scan_link, "");
	if (kind != SCAN_SINCE && x->stage->flow->changes != CHANGES_FULL) {
		position_set(&p->select, x->select);
		if (!*p->delta_link)
			p->version_before = p->version;
		p->epoch = later_epoch(p, now);
		forget_known(x);
		forget_recent(x);
	}
	/* Rows with the version that the topic has come with other columns. */
	if (kind != SCAN_SINCE && x->stage->flow->changes == CHANGES_FULL &&
	    strcmp(p->select, x->select))
		p->epoch = later_epoch(p, now);
	if (kind != SCAN_SINCE && dataverse_count(&x->dataverse, x->stage->table->name, mono_now(),
						  &expected, &ignored) != OK)
		expected = -1;
	p->expected = expected;
	bool by_version = x->stage->flow->changes == CHANGES_VERSIONNUMBER;
	bool adopts = x->stage->flow->changes == CHANGES_TRACKING && !*p->delta_link;
	if (kind != SCAN_SINCE && (by_version || adopts)) {
		/* What is written now and visible later may have a lower version: the first poll goes
		 * back so far, where the table knows times. */
		bool timed = by_version && table_column(x->stage->table, "modifiedon");
		wall_time before = {timed ? now.ms - x->stage->flow->overlap_ms : 0};
		bool asked = dataverse_newest(&x->dataverse, x->stage->table, before, mono_now(),
					      id, &version, &ignored) == OK;
		if (asked && by_version)
			p->floor = p->version = p->version_before = version;
		/* Not known: any row of the read may come again behind it. */
		p->late_above = asked ? version : by_version ? p->floor : 0;
		x->late = adopts;
	}
	seen_clear(x->links);
	seen_clear(x->page);
	seen_clear(x->page_before);
	x->rate_since = x->reported = mono_now();
	x->rate_rows = 0;
	log_info("full read begins", "table", x->stage->table->name, "rows", log_int(expected),
		 NULL);
}

void scan_later(struct extraction *x)
{
	int64_t wait_ms = x->young ? LATER_MS : 0;

	for (unsigned i = 1; i < x->young && wait_ms < LATER_MAX_MS; i++)
		wait_ms *= 2;
	x->young++;
	x->scan_due = mono_add(mono_now(), wait_ms < LATER_MAX_MS ? wait_ms : LATER_MAX_MS);
}

void scan_heal(struct extraction *x, struct position *p, wall_time now, const char *why,
	       const char *text)
{
	log_error(why, "table", x->stage->table->name, "error", text, "cure",
		  "a full read, and a delete for each row that is gone", NULL);
	position_set(&p->delta_link, "");
	position_set(&p->delta_start, "");
	seen_clear(x->ids);
	seen_clear(x->recent);
	x->ids_partial = false;
	x->trouble = 0;
	scan_begin(x, p, SCAN_RECONCILE, now);
}

static int64_t guard_limit(const struct flow *f, size_t alive)
{
	int64_t share = (int64_t)((double)alive * f->max_deletes_share);

	if (f->max_deletes_count >= 0)
		return f->max_deletes_count;
	return share > MAX_DELETES_FLOOR ? share : MAX_DELETES_FLOOR;
}

static void hold(struct extraction *x, struct position *p, int64_t gone, int64_t limit)
{
	p->held = gone;
	log_error("deletes held back: more rows are gone than may be; is the role of the "
		  "application user still right? Once it is mended, `tideway replay --from source` "
		  "reads what changed meanwhile; `tideway approve` lets rows be deleted that are "
		  "still gone",
		  "table", x->stage->table->name, "gone", log_int(gone), "known",
		  log_int((int64_t)known_alive(x->known)), "limit", log_int(limit), NULL);
}

/* What was not met need not be gone: it was created again behind the read, or, after a restart, met
 * and rejected before, which the topic does not know.  Each is asked for, some a step, and what is sure
 * stays so.  Then a delete is below whatever is created again later. */
static enum result look_again(struct extraction *x, bool *done, struct error *err)
{
	enum result r = OK;
	size_t at = 0;

	*done = false;
	for (int asked = 0; r == OK && asked < ASKS_A_STEP; asked++) {
		char ids[DATAVERSE_ASK_MAX][37];
		bool there[DATAVERSE_ASK_MAX];
		size_t n = 0;
		while (n < DATAVERSE_ASK_MAX && known_next_unsure(x->known, &at, ids[n]))
			n++;
		*done = !n;
		if (*done)
			break;
		r = dataverse_ask(&x->dataverse, x->stage->table, ids, n, mono_now(), there, err);
		for (size_t i = 0; r == OK && i < n; i++) {
			if (there[i])
				known_put(x->known, ids[i], known_version(x->known, ids[i]), true);
			else
				known_sure(x->known, ids[i]);
		}
	}
	return r;
}

/* All pages are read.  Deletes are many perhaps: they are committed in parts; a restart finds the
 * rest again, because the deleted are known from the topic. */
static enum result close_scan(struct extraction *x, struct extract_output *o, struct position *p,
			      wall_time now, struct error *err)
{
	bool deletes = x->known && p->scan != SCAN_SINCE;
	int64_t gone = deletes ? (int64_t)known_unmet(x->known) : 0, limit = 0;
	enum result r = OK;
	char id[37];
	size_t at = 0;

	if (deletes)
		limit = guard_limit(x->stage->flow, known_alive(x->known));
	if (p->approved > limit)
		limit = p->approved;
	if (gone && gone <= limit) {
		bool done;
		r = look_again(x, &done, err);
		if (r != OK || !done)
			return r;
		gone = (int64_t)known_unmet(x->known);
	}
	if (deletes)
		p->held = 0;
	if (gone > limit) {
		hold(x, p, gone, limit);
	} else {
		while (r == OK && deletes && known_next_unmet(x->known, &at, id)) {
			r = rows_emit_delete(x, o, p, id, ORIGIN_RECONCILE, now, err);
			if (r == OK && extract_full(o))
				r = extract_commit(o, err);
		}
		if (r != OK)
			return r;
	}
	log_info("full read complete", "table", x->stage->table->name, "rows",
		 log_int(p->scan_rows), "pages", log_int(p->scan_pages), "ms",
		 log_int(now.ms - p->scan_began.ms), "gone", log_int(gone), "deleted",
		 log_int(p->held ? 0 : gone), NULL);
	if (deletes)
		p->approved = 0;
	p->scan = SCAN_NONE;
	x->topic_read = false;
	extraction_grow_pages(x, &p->page_size); /* they were too heavy perhaps for a while only */
	if (x->stage->flow->changes == CHANGES_FULL) {
		/* A row that comes back with its old version must come after its delete. */
		if (gone && !p->held)
			p->epoch = later_epoch(p, now);
		if (deletes)
			position_set(&p->select, x->select);
		known_unmeet(x->known);
	} else {
		if (x->stage->flow->changes != CHANGES_TRACKING)
			x->young = 0;
		known_free(x->known);
		x->known = NULL;
	}
	return OK;
}

static char *first_url(const struct extraction *x, const struct position *p)
{
	char since[25];

	if (p->scan != SCAN_SINCE)
		return xstrdup(x->select);
	datetime_format(p->since, 'T', since);
	return xasprintf("%s&$filter=modifiedon%%20ge%%20%s", x->select, since);
}

static void report(struct extraction *x, const struct position *p)
{
	mono_time now = mono_now();
	int64_t ms = now.ms - x->rate_since.ms;

	if (now.ms - x->reported.ms < REPORT_MS)
		return;
	x->reported = now;
	log_info("full read", "table", x->stage->table->name, "rows", log_int(p->scan_rows),
		 "pages", log_int(p->scan_pages), "expected", log_int(p->expected), "percent",
		 log_int(p->expected >= p->scan_rows && p->expected
			     ? 100 * p->scan_rows / p->expected
			     : -1),
		 "rows_per_s", log_int(ms > 0 ? x->rate_rows * 1000 / ms : 0), NULL);
}

/* The rows of the topic have to be known before the first is met.  A step of its own: what it finds
 * about the scan is saved with it. */
static enum result know(struct extraction *x, struct extract_output *o, struct position *p,
			struct error *err)
{
	bool full = x->stage->flow->changes == CHANGES_FULL;
	enum result r = rows_known(x, o, p, err);

	x->topic_read = r == OK;
	if (r == OK && p->scan == SCAN_SNAPSHOT && known_alive(x->known))
		p->scan = SCAN_RECONCILE;
	if (r == OK && p->scan == SCAN_SNAPSHOT && !full) {
		known_free(x->known); /* nothing to compare with */
		x->known = NULL;
	}
	return r;
}

/* Where changes are read from once all rows are. */
static enum result follow(struct extraction *x, struct position *p, const char *delta,
			  struct error *err)
{
	if (p->scan == SCAN_SINCE)
		return OK;
	if (x->stage->flow->changes == CHANGES_TRACKING && !*p->delta_link) {
		if (!delta)
			return error_retry(err, "no-delta-link", "the last page has no delta link");
		position_set(&p->delta_link, delta);
		position_set(&p->delta_start, delta);
		/* The token is of the scan's begin: what was seen before is not above it. */
		p->floor = p->version_before;
		x->token_proved = false;
	}
	if (!p->mark.ms || x->stage->flow->changes == CHANGES_VERSIONNUMBER)
		x->recent_loaded = false; /* polls go back behind the begin of the read */
	if (!p->mark.ms)
		p->mark = p->scan_began;
	return OK;
}

enum result scan_step(struct extraction *x, struct extract_output *o, struct position *p,
		      wall_time now, struct error *err)
{
	bool full = x->stage->flow->changes == CHANGES_FULL;
	bool track = x->stage->flow->changes == CHANGES_TRACKING && p->scan != SCAN_SINCE;
	bool adopted = p->scan != SCAN_SINCE && !*p->delta_link;
	int64_t rows = 0;
	struct dataverse_page page;
	enum result r;

	/* A first read that is under way has found the topic empty. */
	bool needed = p->scan == SCAN_RECONCILE || full || !p->scan_pages;
	if (p->scan != SCAN_SINCE && needed && !x->topic_read && !x->known)
		return know(x, o, p, err);
	if (p->scan_pages && !*p->scan_link)
		return close_scan(x, o, p, now, err);
	/* Nothing of what is known need be true of another environment. */
	r = p->scan_pages ? OK : extraction_who(x, p, err);
	if (r != OK)
		return r;
	_cleanup_(freep) char *url = *p->scan_link ? xstrdup(p->scan_link) : first_url(x, p);
	r = extraction_page(x, url, track ? PAGE_OF_TRACKED_ROWS : PAGE_OF_ROWS, p->page_size,
			    &page, err);
	if (r != OK)
		return r;
	struct page_use use = {
	    .origin = p->scan == SCAN_SNAPSHOT ? ORIGIN_SNAPSHOT : ORIGIN_RECONCILE,
	    .compare = full && p->scan != SCAN_SINCE && !strcmp(p->select, x->select),
	    .late = x->late && adopted,
	    .meet = true};
	r = page.next ? extraction_check_next(x, url, page.next, err)
		      : follow(x, p, page.delta, err);
	int64_t met = cJSON_GetArraySize(page.rows);
	if (r == OK)
		r = rows_emit(x, o, p, &page, &use, now, &rows, err);
	if (r == OK && page.next)
		seen_add(x->links, page.next, strlen(page.next));
	if (r == OK) {
		position_set(&p->scan_link, page.next ? page.next : "");
		p->scan_rows += met;
		p->scan_pages++;
		x->rate_rows += met;
		if (!page.next && adopted)
			p->version_before = p->version;
		report(x, p);
	}
	dataverse_page_free(&x->dataverse, &page);
	return r;
}
