/* poll.c - what changed in a table without change tracking, by modifiedon or versionnumber.
 *
 * Each pass asks for rows that changed since the last one began, and a bit longer: clocks differ, a
 * write is visible later than its time says, a row may move while pages are read.  What the last
 * pass or the topic has already is not written again.  Deletes are not seen this way, nor is a row
 * whose modifiedon was set back by an import.
 */
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "extraction.h"

static char *pass_url(const struct extraction *x, const struct position *p)
{
	char since[25];

	if (x->stage->flow->changes == CHANGES_VERSIONNUMBER)
		return xasprintf("%s&$filter=versionnumber%%20gt%%20%lld", x->select,
				 (long long)p->floor);
	datetime_format((wall_time){p->mark.ms - x->stage->flow->overlap_ms}, 'T', since);
	return xasprintf("%s&$filter=modifiedon%%20ge%%20%s", x->select, since);
}

/* After a restart the topic tells what was written in the time that is asked for again. */
static enum result know(struct extraction *x, struct extract_output *o, const struct position *p,
			struct error *err)
{
	const struct flow *f = x->stage->flow;
	int64_t back = f->changes == CHANGES_MODIFIEDON ? f->overlap_ms : 2 * f->poll_ms;

	if (x->recent_loaded)
		return OK;
	int64_t since = p->mark.ms - back, above = -1;
	if (p->late_above >= 0 && p->scan == SCAN_NONE) { /* what the read brought comes again */
		above = p->late_above;
		since = p->scan_began.ms < since ? p->scan_began.ms : since;
	}
	enum result r = rows_recent(x, o, p, (wall_time){since}, above, err);
	x->recent_loaded = r == OK;
	return r;
}

static void end_pass(struct extraction *x, struct position *p)
{
	struct seen *old = x->recent_before;

	x->recent_before = x->recent;
	x->recent = old;
	seen_clear(x->recent);
	seen_clear(x->links);
	position_set(&p->delta_link, "");
	p->mark = x->pass_began;
	if (p->scan == SCAN_NONE)
		p->late_above = -1;
	/* Rows that were written while the pass ran may have lower versions than it saw. */
	p->floor = p->version_before;
	p->version_before = p->version;
	extraction_grow_pages(x, &p->delta_page_size);
}

enum result poll_step(struct extraction *x, struct extract_output *o, struct position *p,
		      wall_time now, bool *more, int64_t *rows, struct error *err)
{
	struct page_use use = {.origin = ORIGIN_DELTA, .meet = true, .recent = true};
	struct dataverse_page page;
	enum result r = know(x, o, p, err);

	if (r != OK)
		return r;
	if (!*p->delta_link)
		x->pass_began = now;
	_cleanup_(freep) char *url = *p->delta_link ? xstrdup(p->delta_link) : pass_url(x, p);
	r = extraction_page(x, url, PAGE_OF_ROWS, p->delta_page_size, &page, err);
	if (r != OK)
		return r;
	if (page.next)
		r = extraction_check_next(x, url, page.next, err);
	if (r == OK)
		r = rows_emit(x, o, p, &page, &use, now, rows, err);
	if (r == OK && page.next) {
		seen_add(x->links, page.next, strlen(page.next));
		position_set(&p->delta_link, page.next);
		*more = true;
	} else if (r == OK) {
		end_pass(x, p);
	}
	dataverse_page_free(&x->dataverse, &page);
	return r;
}
