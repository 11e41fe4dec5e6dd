/* extract-dataverse - a Dataverse table into crm.<table>: first all rows, then what changes.
 *
 * A step reads one page, and the page's records go out in one transaction with the link to go on
 * with: kill -9 repeats a page, nobody sees it twice.  Changes come first, a full read that is under
 * way (the first one, or one that reconciles) goes on in between.  The parts are in
 * dataverse/extraction.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "dataverse/extraction.h"
#include "embed.h"
#include "log.h"

EMBED(checkpoint_dataverse_avsc, "schemas/checkpoint-dataverse.avsc");

enum { SAVE_QUIET_MS = 60000, LINK_MAX = 32768, PAGE_SIZE_MIN = 50, HEAVY_MAX = 2 };

/* ---- open ------------------------------------------------------------------------------------- */

static char *select_url(struct extraction *x)
{
	size_t n, m = 0;
	const char *const *mapped = mapping_columns(x->stage->mapping, &n);
	const char **columns = xcalloc(n + 2, sizeof *columns);
	bool modified = false, version = false;

	for (size_t i = 0; i < n; i++) {
		columns[m++] = mapped[i];
		modified |= !strcmp(mapped[i], "modifiedon");
		version |= !strcmp(mapped[i], "versionnumber");
	}
	if (!modified && table_column(x->stage->table, "modifiedon"))
		columns[m++] = "modifiedon";
	if (!version)
		columns[m++] = "versionnumber";
	char *url = dataverse_select_url(&x->dataverse, x->stage->table, columns, m);
	free(columns);
	return url;
}

/* Is what we read still what the saved metadata says? */
static enum result check_live(struct extraction *x, struct error *err)
{
	struct table *live = NULL;
	size_t n;
	const char *const *columns = mapping_columns(x->stage->mapping, &n);
	enum result r =
	    dataverse_table(&x->dataverse, x->stage->table->name, mono_now(), &live, err);

	if (r == OK)
		r = table_same(x->stage->table, live, columns, n, err);
	if (r == OK && x->stage->flow->changes == CHANGES_TRACKING && !live->change_tracking)
		r = error_config(err, "no-change-tracking",
				 "table %s has no change tracking: enable it in Dynamics, or set "
				 "\"changes\" of the flow to modifiedon, versionnumber or full",
				 x->stage->table->name);
	table_free(live);
	return r;
}

/* What the user chose, said once a start. */
static void say_losses(const struct extraction *x)
{
	static const char *const losses[] = {
	    [CHANGES_MODIFIEDON] =
		"deletes are not seen, nor rows whose modifiedon was set back or is "
		"further from our clock than \"overlap\"",
	    [CHANGES_VERSIONNUMBER] =
		"deletes are not seen, nor rows whose transaction took longer "
		"than an interval",
	    [CHANGES_FULL] =
		"changes and deletes are seen once an interval, whatever came between"};
	const char *loss = losses[x->stage->flow->changes];

	if (loss)
		log_warn("no change tracking", "table", x->stage->table->name, "lost", loss, NULL);
}

static void dataverse_close(void *state);

static enum result dataverse_open(struct stage *s, void **state, const struct record_class **out,
				  struct error *err)
{
	const struct connection *c = &s->config->dataverse;
	enum result r = stage_mapping(s, err);

	if (r != OK)
		return r;
	struct extraction *x = xcalloc(1, sizeof *x);
	x->stage = s;
	x->encoded = BUFFER(WIRE_VALUE_MAX);
	x->links = seen_new();
	x->page = seen_new();
	x->page_before = seen_new();
	x->ids = seen_new();
	x->recent = seen_new();
	x->recent_before = seen_new();
	position_init(&x->at);
	dataverse_init(&x->dataverse, s->http, c->url, c->credentials.token_url,
		       c->credentials.client_id, c->credentials.client_secret,
		       c->credentials.scope);
	x->select = select_url(x);
	record_new(&mapping_source(s->mapping)->record, &x->change);
	r = record_class_new(&x->checkpoint_class, checkpoint_dataverse_avsc, err);
	if (r == OK)
		record_new(&x->checkpoint_class, &x->checkpoint);
	if (r == OK)
		r = check_live(x, err);
	/* Dynamics is there and says when: a term waits so long, and its first page is compared. */
	if (r == RETRY && strcmp(err->reason, "no-response") && strcmp(err->reason, "timed-out")) {
		x->told = err->not_before;
		log_warn("the metadata could not be compared yet", "reason", err->reason, "error",
			 err->text, NULL);
		r = OK;
	}
	if (r != OK) {
		dataverse_close(x);
		return r;
	}
	metrics_value(s->metrics, METRIC_HELD_DELETES, NULL, NULL, &x->at.held, NULL);
	say_losses(x);
	*out = &mapping_source(s->mapping)->record;
	*state = x;
	return OK;
}

/* ---- a term ----------------------------------------------------------------------------------- */

static void remove_request(struct extraction *x, size_t i)
{
	free(x->requests[i].key);
	memmove(x->requests + i, x->requests + i + 1,
		(--x->request_count - i) * sizeof *x->requests);
}

static void forget_requests(struct extraction *x)
{
	while (x->request_count)
		remove_request(x, x->request_count - 1);
}

static void dataverse_reset(void *state)
{
	struct extraction *x = state;

	*x->metadata_version = 0;
	position_free(&x->at);
	position_init(&x->at);
	known_free(x->known);
	x->known = NULL;
	seen_clear(x->links);
	seen_clear(x->page);
	seen_clear(x->page_before);
	seen_clear(x->ids);
	seen_clear(x->recent);
	seen_clear(x->recent_before);
	x->recent_loaded = x->late = false;
	x->top_gone = x->young = x->foreign = x->strange = 0;
	x->scan_due = mono_now();
	x->restored = false;
	forget_requests(x);
	x->topic_read = x->ids_partial = false;
	x->trouble = x->scan_trouble = x->heavy = x->scan_heavy = 0;
	/* A token that was followed before is a good one, until it says otherwise. */
	x->token_proved = true;
}

static enum result dataverse_restore(void *state, const char *key, const avro_value_t *value,
				     struct error *err)
{
	struct extraction *x = state;

	(void)err;
	if (strcmp(key, x->stage->table->name))
		return OK; /* a table that the flow had before */
	position_free(&x->at);
	position_init(&x->at);
	x->restored = value != NULL;
	if (value)
		position_read(&x->at, value);
	return OK;
}

static enum result dataverse_request(void *state, const char *key, const avro_value_t *value,
				     struct error *err)
{
	struct extraction *x = state;

	struct request q;
	size_t n = strlen(x->stage->table->name);

	(void)err;
	key += sizeof EXTRACT_REQUEST - 1;
	if (strncmp(key, x->stage->table->name, n) || key[n] != '/')
		return OK;
	for (size_t i = 0; i < x->request_count; i++)
		if (!strcmp(x->requests[i].key + sizeof EXTRACT_REQUEST - 1, key))
			remove_request(x, i--);
	if (value && request_read(&q, value)) {
		q.key = xasprintf(EXTRACT_REQUEST "%s", key);
		x->requests = xrealloc(x->requests, (x->request_count + 1) * sizeof *x->requests);
		x->requests[x->request_count++] = q;
	}
	return OK;
}

enum result extraction_who(struct extraction *x, struct position *p, struct error *err)
{
	char organization[37];
	enum result r = dataverse_whoami(&x->dataverse, mono_now(), organization, err);

	if (r != OK)
		return r;
	if (*p->organization && strcmp(organization, p->organization))
		return error_config(err, "other-organization",
				    "%s is organization %s now, the checkpoint in %s is of %s; a "
				    "different environment needs another \"name\"",
				    x->dataverse.url, organization, x->stage->self->input,
				    p->organization);
	memcpy(p->organization, organization, sizeof p->organization);
	return OK;
}

/* Nothing that is asked here is about one record. It may be a gateway's answer: more than one is none. */
static enum result no_record(struct extraction *x, enum result r, struct error *err)
{
	if (r != REJECT)
		return r;
	if (++x->strange < TROUBLE_MAX)
		return RETRY;
	err->exit_code = EXIT_PERMANENT;
	return FATAL;
}

static enum result dataverse_begin(void *state, int32_t schema_id, struct error *err)
{
	struct extraction *x = state;
	enum changes changes = x->stage->flow->changes;

	if (mono_until(mono_now(), x->told)) {
		error_retry(err, "told-to-wait", "%s wants no request yet", x->dataverse.url);
		err->not_before = x->told;
		return RETRY;
	}
	enum result r = extraction_who(x, &x->at, err);
	if (r != OK)
		return no_record(x, r, err);
	x->schema_id = schema_id;
	if (!x->at.page_size || x->at.page_size > x->stage->flow->page_size)
		x->at.page_size = x->stage->flow->page_size;
	if (!x->at.delta_page_size || x->at.delta_page_size > x->stage->flow->page_size)
		x->at.delta_page_size = x->stage->flow->page_size;
	x->ids_partial = strcmp(x->at.delta_link, x->at.delta_start) != 0;
	x->interval_ms = x->stage->flow->poll_min_ms;
	x->delta_due = x->look_due = mono_now();
	x->rate_since = x->reported = mono_now();
	x->rate_rows = 0;
	if (!x->restored) {
		scan_begin(x, &x->at, SCAN_SNAPSHOT, wall_now());
	} else if (strcmp(x->at.select, x->select)) {
		/* Rows of the old columns do not make records of the new ones. */
		log_info("the mapping reads other columns now", "table", x->stage->table->name,
			 NULL);
		position_set(&x->at.delta_link, "");
		scan_begin(x, &x->at, SCAN_RECONCILE, wall_now());
	} else if (changes != CHANGES_TRACKING) {
		/* Passes that compare with what is in memory begin again. */
		position_set(&x->at.delta_link, "");
		position_set(&x->at.delta_start, "");
		if (changes == CHANGES_FULL && x->at.scan != SCAN_NONE)
			scan_begin(x, &x->at, x->at.scan, wall_now());
	} else if (!*x->at.delta_start) {
		position_set(&x->at.delta_link,
			     ""); /* "changes" was another: the link is of a poll */
	}
	return OK;
}

/* ---- a page ----------------------------------------------------------------------------------- */

bool extraction_is_trouble(const struct error *err)
{
	return !strcmp(err->reason, "link-loop") || !strcmp(err->reason, "no-delta-link") ||
	       !strcmp(err->reason, "bad-page");
}

enum result extraction_check_next(struct extraction *x, const char *url, const char *next,
				  struct error *err)
{
	if (strlen(next) <= LINK_MAX && strcmp(next, url) &&
	    !seen_has(x->links, next, strlen(next)))
		return OK;
	return error_retry(err, "link-loop", "the next link of a page was read before");
}

enum result extraction_page(struct extraction *x, const char *url, enum page_of of,
			    int64_t page_size, struct dataverse_page *page, struct error *err)
{
	enum result r = dataverse_page(&x->dataverse, url, of, page_size, mono_now(), page, err);

	if (r == FATAL && !strcmp(err->reason, "foreign-link") && ++x->foreign < TROUBLE_MAX) {
		snprintf(err->reason, sizeof err->reason, "bad-page"); /* once may be a mistake */
		return RETRY;
	}
	if (r == OK)
		x->foreign = 0;
	if (r != OK || !page->metadata_version ||
	    !strcmp(page->metadata_version, x->metadata_version))
		return r;
	/* Somebody changed a table, perhaps ours; or it is the first page of a term, and a standby has
	 * waited for long. */
	r = check_live(x, err);
	if (r == OK) {
		snprintf(x->metadata_version, sizeof x->metadata_version, "%s",
			 page->metadata_version);
		return OK;
	}
	dataverse_page_free(&x->dataverse, page);
	return r;
}

void extraction_grow_pages(const struct extraction *x, int64_t *size)
{
	int64_t most = x->stage->flow->page_size;

	*size = 2 * *size < most ? 2 * *size : most;
}

/* A time-out is of the page when something small is answered. */
static bool is_heavy(struct extraction *x, const struct error *err)
{
	struct position ignored = x->at;
	struct error why;

	if (!strcmp(err->reason, "timed-out") && extraction_who(x, &ignored, &why) != OK)
		return false;
	return !strcmp(err->reason, "timed-out") || !strcmp(err->reason, "sql-timeout") ||
	       !strcmp(err->reason, "response-too-large");
}

/* The size of a page may not change between two of a pass, so the pass begins again. */
static bool lighten(struct extraction *x, struct position *p, bool scanning, wall_time now,
		    const struct error *err)
{
	unsigned *heavy = scanning ? &x->scan_heavy : &x->heavy;
	int64_t *size = scanning ? &p->page_size : &p->delta_page_size;

	if (!is_heavy(x, err)) {
		*heavy = 0;
		return false;
	}
	if (strcmp(err->reason, "response-too-large") && ++*heavy < HEAVY_MAX)
		return false;
	if (*size <= PAGE_SIZE_MIN)
		return false;
	*heavy = 0;
	*size = *size / 2 > PAGE_SIZE_MIN ? *size / 2 : PAGE_SIZE_MIN;
	if (scanning)
		scan_restart(x, p, now);
	else
		position_set(&p->delta_link, p->delta_start);
	seen_clear(x->links);
	log_warn("pages are too heavy", "table", x->stage->table->name, "error", err->text, "rows",
		 log_int(*size), NULL);
	return true;
}

/* A scan whose pages make no sense, or whose next link is not taken, is begun again. */
static bool begin_again(struct extraction *x, struct position *p, enum result r, wall_time now,
			const struct error *err)
{
	bool refused = r == REJECT && *p->scan_link;
	bool expired = r == RETRY && *p->scan_link && !strcmp(err->reason, "expired-delta-token");

	if (r == REJECT && p->scan == SCAN_SINCE && !*p->scan_link) {
		log_error("Dynamics does not answer this question; it is dropped", "table",
			  x->stage->table->name, "error", err->text, NULL);
		p->scan = SCAN_NONE;
		return true;
	}

	if (!expired && !refused && !(r == RETRY && extraction_is_trouble(err)))
		return false;
	if (!expired && ++x->scan_trouble < TROUBLE_MAX)
		return false;
	x->scan_trouble = 0;
	scan_restart(x, p, now);
	if (expired)
		scan_later(x);
	log_error("the full read begins again", "table", x->stage->table->name, "error", err->text,
		  NULL);
	return true;
}

static enum result scan(struct extraction *x, struct extract_output *o, struct position *p,
			wall_time now, struct error *err)
{
	enum result r = scan_step(x, o, p, now, err);

	if (r == OK) {
		x->scan_trouble = x->scan_heavy = 0;
		return OK;
	}
	if ((r == RETRY && lighten(x, p, true, now, err)) || begin_again(x, p, r, now, err))
		return OK;
	return r == REJECT && *p->scan_link ? RETRY : r;
}

static enum result changes(struct extraction *x, struct extract_output *o, struct position *p,
			   wall_time now, int64_t *rows, struct error *err)
{
	bool track = x->stage->flow->changes == CHANGES_TRACKING, more = false;
	bool begins = !strcmp(p->delta_link, p->delta_start), healed = false;
	enum result r = begins ? restored_look(x, p, now, &healed, err) : OK;

	if (healed)
		return OK;
	if (r == OK)
		r = (track ? delta_step : poll_step)(x, o, p, now, &more, rows, err);
	if (r == RETRY && lighten(x, p, false, now, err))
		return OK;
	x->trouble = r == RETRY && extraction_is_trouble(err) ? x->trouble + 1 : 0;
	bool refused = r == REJECT && !track && *p->delta_link;
	if (refused || (!track && x->trouble >= TROUBLE_MAX)) {
		log_error("the poll begins again", "table", x->stage->table->name, "error",
			  err->text, NULL);
		position_set(&p->delta_link, "");
		seen_clear(x->links);
		x->trouble = 0;
		x->delta_due = mono_add(mono_now(), x->interval_ms);
		return OK;
	}
	if (r != OK) {
		x->look_due = mono_now();
		return r;
	}
	x->heavy = 0;
	if (*rows)
		x->interval_ms = x->stage->flow->poll_min_ms;
	else if (x->interval_ms < x->stage->flow->poll_ms)
		x->interval_ms = x->interval_ms * 3 / 2 < x->stage->flow->poll_ms
				     ? x->interval_ms * 3 / 2
				     : x->stage->flow->poll_ms;
	x->delta_due = mono_add(mono_now(), more ? 0 : x->interval_ms);
	if (*rows)
		log_info("changes", "table", x->stage->table->name, "rows", log_int(*rows), NULL);
	return OK;
}

/* ---- a step ----------------------------------------------------------------------------------- */

/* Begins what an operator asked for, when no read is under way: an approval is of rows that are gone
 * when all are read once more, and a read under way may have passed where they are. Returns it, or
 * NULL. */
static const struct request *begin_request(struct extraction *x, struct position *p, wall_time now)
{
	const struct request *q = x->requests;

	if (!x->request_count || p->scan != SCAN_NONE)
		return NULL;
	bool approve = q->kind == REQUEST_APPROVE;
	log_info("asked by an operator", "what", approve ? "approve" : "full read", "deletes",
		 log_int(q->deletes), "since_ms", log_int(q->since.ms), NULL);
	if (approve)
		p->approved = q->deletes;
	else
		p->since = q->since;
	scan_begin(x, p, !approve && p->since.ms ? SCAN_SINCE : SCAN_RECONCILE, now);
	return q;
}

static bool follows(const struct extraction *x, const struct position *p)
{
	switch (x->stage->flow->changes) {
	case CHANGES_TRACKING:
		return *p->delta_link;
	case CHANGES_FULL:
		return false;
	default:
		return p->mark.ms != 0;
	}
}

/* A full read that is not to begin yet. */
static bool is_early(const struct extraction *x, const struct position *p)
{
	return p->scan != SCAN_NONE && !p->scan_pages && mono_until(mono_now(), x->scan_due);
}

static enum result step(struct extraction *x, struct extract_output *o, struct position *p,
			int64_t *wait_ms, struct error *err)
{
	bool full = x->stage->flow->changes == CHANGES_FULL, scanning = p->scan != SCAN_NONE;
	wall_time now = wall_now();
	const struct request *begun = begin_request(x, p, now);
	bool due = !mono_until(mono_now(), x->delta_due);
	int64_t rows = 0;
	enum result r = OK;

	bool lost = x->stage->flow->changes == CHANGES_TRACKING && !*p->delta_link;
	if (p->scan == SCAN_NONE && (lost || (full && due)))
		scan_begin(x, p, SCAN_RECONCILE, now);
	if (follows(x, p) && due) {
		r = changes(x, o, p, now, &rows, err);
	} else if (p->scan != SCAN_NONE && !is_early(x, p)) {
		r = scan(x, o, p, now, err);
		if (r == OK && full && p->scan == SCAN_NONE)
			x->delta_due = mono_add(mono_now(), x->stage->flow->poll_ms);
	}
	if (r != OK)
		return r;
	*wait_ms = is_early(x, p)	  ? mono_until(mono_now(), x->scan_due)
		   : p->scan != SCAN_NONE ? 0
					  : mono_until(mono_now(), x->delta_due);
	bool quiet = !rows && !begun && !scanning && p->scan == SCAN_NONE &&
		     !strcmp(p->delta_link, p->delta_start) && now.ms - p->saved.ms < SAVE_QUIET_MS;
	if (quiet)
		return OK;
	r = position_save(x, o, p, begun ? begun->key : NULL, now, err);
	if (r == OK && begun)
		remove_request(x, (size_t)(begun - x->requests));
	return r;
}

static enum result dataverse_step(void *state, struct extract_output *o, int64_t *wait_ms,
				  struct error *err)
{
	struct extraction *x = state;
	struct position next;
	enum result r;

	position_copy(&next, &x->at);
	r = step(x, o, &next, wait_ms, err);
	if (r == OK) {
		position_free(&x->at);
		x->at = next;
		x->strange = 0;
		return OK;
	}
	position_free(&next);
	return no_record(x, r, err);
}

static void dataverse_close(void *state)
{
	struct extraction *x = state;
	struct seen *sets[] = {x->links, x->page,   x->page_before,
			       x->ids,	 x->recent, x->recent_before};

	if (x->checkpoint.self)
		avro_value_decref(&x->checkpoint);
	avro_value_decref(&x->change);
	record_class_free(&x->checkpoint_class);
	dataverse_free(&x->dataverse);
	buffer_free(&x->encoded);
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		seen_free(sets[i]);
	known_free(x->known);
	forget_requests(x);
	free(x->requests);
	position_free(&x->at);
	free(x->select);
	free(x);
}

static const struct extractor dataverse_extractor = {
    .program = "extract-dataverse",
    .synopsis = "Reads a table of Dynamics 365 (Dataverse) by change tracking and writes every\n"
		"change to the topic <name>.crm.<table>: first all rows, then what changes. Of\n"
		"several processes of a flow one works, the others stand by.",
    .checkpoint_schema = checkpoint_dataverse_avsc,
    .open = dataverse_open,
    .reset = dataverse_reset,
    .restore = dataverse_restore,
    .request = dataverse_request,
    .begin = dataverse_begin,
    .step = dataverse_step,
    .close = dataverse_close,
};

int main(int argc, char **argv)
{
	return extract_main(argc, argv, &dataverse_extractor);
}
