/* delta.c - what changed, by change tracking.
 *
 * A delta link answers the changed rows by version, then the deletes as bare ids, and a new delta
 * link on its last page.  (Microsoft, "use change tracking to synchronize data with external
 * systems".)  What can go wrong with it has one cure, a full read that finds what is gone:
 *
 *   the token has expired, is not taken, or answers no sense again and again
 *   rows have lower versions than they must: the environment was restored
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "extraction.h"
#include "json.h"
#include "log.h"

/* A row that was deleted and created again may be in an answer both ways, and the order of the two
 * says nothing: deletes always come last.  Then the row itself is asked for. */
static enum result find_deletes(struct extraction *x, const struct dataverse_page *page,
				char (**out)[37], size_t *count, struct error *err)
{
	size_t most = (size_t)cJSON_GetArraySize(page->rows) + 1, doubtful = 0;
	char(*ids)[37] = xcalloc(most, sizeof *ids), (*asked)[37] = xcalloc(most, sizeof *asked);
	struct seen *here = seen_new();
	enum result r = OK;
	const cJSON *row;
	const char *id;

	*out = ids;
	*count = 0;
	cJSON_ArrayForEach(row, page->rows)
	{
		char lower[37];
		const char *own;
		if (!dataverse_is_delete(row, &id) &&
		    (own = json_string(row, x->stage->table->primary_id)) &&
		    text_lower_guid(own, lower))
			seen_add(here, lower, 36);
	}
	cJSON_ArrayForEach(row, page->rows)
	{
		if (r != OK || !dataverse_is_delete(row, &id))
			continue;
		if (!text_lower_guid(id, ids[*count]))
			r = error_retry(err, "bad-page", "a deletion without a usable id");
		else if (x->ids_partial || seen_has(here, ids[*count], 36) ||
			 seen_has(x->ids, ids[*count], 36))
			memcpy(asked[doubtful++], ids[*count], sizeof *asked);
		else
			++*count;
	}
	for (size_t i = 0; r == OK && i < doubtful; i += DATAVERSE_ASK_MAX) {
		size_t n = doubtful - i < DATAVERSE_ASK_MAX ? doubtful - i : DATAVERSE_ASK_MAX;
		bool there[DATAVERSE_ASK_MAX];
		r = dataverse_ask(&x->dataverse, x->stage->table, (const char(*)[37])(asked + i), n,
				  mono_now(), there, err);
		for (size_t k = 0; r == OK && k < n; k++)
			if (!there[k])
				memcpy(ids[(*count)++], asked[i + k], sizeof *ids);
	}
	seen_free(here);
	free(asked);
	return r;
}

static void end_pass(struct extraction *x, struct position *p, const char *delta)
{
	if (delta)
		position_set(&p->delta_link, delta);
	else
		position_set(&p->delta_link, p->delta_start); /* nothing changed: the same again */
	position_set(&p->delta_start, p->delta_link);
	p->floor = p->version_before;
	p->version_before = p->version;
	extraction_grow_pages(x, &p->delta_page_size);
	seen_clear(x->links);
	seen_clear(x->ids);
	x->ids_partial = false;
	seen_clear(x->recent);
	seen_clear(x->recent_before);
	p->late_above = -1;
	x->late = false;
}

static enum result take_page(struct extraction *x, struct extract_output *o, struct position *p,
			     const struct dataverse_page *page, wall_time now, int64_t *rows,
			     struct error *err)
{
	struct page_use use = {.origin = ORIGIN_DELTA, .meet = true, .ids = true, .recent = true};
	char(*gone)[37] = NULL;
	size_t count = 0;
	enum result r = OK;

	if (page->next)
		r = extraction_check_next(x, p->delta_link, page->next, err);
	else if (!page->delta &&
		 (cJSON_GetArraySize(page->rows) || strcmp(p->delta_link, p->delta_start)))
		r = error_retry(err, "no-delta-link", "the last page has no delta link");
	if (r == OK)
		r = find_deletes(x, page, &gone, &count, err);
	if (r == OK)
		r = rows_emit(x, o, p, page, &use, now, rows, err);
	for (size_t i = 0; i < count && r == OK; i++)
		r = rows_emit_delete(x, o, p, gone[i], ORIGIN_DELTA, now, err);
	free(gone);
	return r;
}

static enum result heal(struct extraction *x, struct position *p, wall_time now, const char *why,
			const struct error *err)
{
	scan_heal(x, p, now, why, err->text);
	return OK;
}

/* What changed while all rows were read was met there, and comes again in the first delta; a process
 * that was not there asks the topic. */
static enum result know(struct extraction *x, struct extract_output *o, const struct position *p,
			struct error *err)
{
	if (p->late_above < 0 || x->late)
		return OK;
	enum result r = rows_recent(x, o, p, p->scan_began, p->late_above, err);
	x->late = r == OK;
	return r;
}

/* A token that has expired before it ever answered leads to the next that does: later and later. */
static enum result expired(struct extraction *x, struct position *p, wall_time now,
			   const struct error *err)
{
	if (x->token_proved)
		return heal(x, p, now, "the delta token has expired", err);
	if (!x->young)
		x->young = 1;
	scan_later(x);
	return heal(x, p, now,
		    "the delta token has expired before it was used: is expirechangetrackingindays "
		    "of the organization 0? The next full read waits",
		    err);
}

enum result delta_step(struct extraction *x, struct extract_output *o, struct position *p,
		       wall_time now, bool *more, int64_t *rows, struct error *err)
{
	struct dataverse_page page;
	enum result r = know(x, o, p, err);

	if (r != OK)
		return r;
	r = extraction_page(x, p->delta_link, PAGE_OF_CHANGES, p->delta_page_size, &page, err);

	if (r == RETRY && !strcmp(err->reason, "expired-delta-token"))
		return expired(x, p, now, err);
	/* It may be a gateway's answer, and a full read is dear. */
	if (r == REJECT && x->trouble + 1 >= TROUBLE_MAX)
		return heal(x, p, now, "the delta token is not taken", err);
	if (r == REJECT) {
		snprintf(err->reason, sizeof err->reason, "bad-page");
		return RETRY;
	}
	if (r != OK)
		return r;
	x->token_proved = true;
	x->young = 0;
	if (restored_shows(p, &page)) {
		dataverse_page_free(&x->dataverse, &page);
		restored_heal(x, p, now);
		return OK;
	}
	r = take_page(x, o, p, &page, now, rows, err);
	if (r == OK && page.next) {
		seen_add(x->links, page.next, strlen(page.next));
		position_set(&p->delta_link, page.next);
		*more = true;
	} else if (r == OK) {
		end_pass(x, p, page.delta);
	}
	dataverse_page_free(&x->dataverse, &page);
	if (r == RETRY && extraction_is_trouble(err) && x->trouble + 1 >= TROUBLE_MAX)
		return heal(x, p, now, "changes cannot be read on", err);
	return r;
}
