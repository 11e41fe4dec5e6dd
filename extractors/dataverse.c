/* extract-dataverse - a Dataverse table into crm.<table>, by change tracking.
 *
 * The initial read asks for odata.track-changes; its last page, and only that, bears a delta link.
 * From then on the delta link is read at every poll and answers what changed since, deletes as
 * bare ids, and a new link.  Links are opaque.  (Microsoft, "use change tracking to synchronize
 * data with external systems".)
 *
 * Each page and the link to go on with are one transaction: kill -9 repeats a page, nobody sees
 * it twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "dataverse.h"
#include "embed.h"
#include "extract_loop.h"
#include "json.h"
#include "log.h"
#include "seen.h"

EMBED(checkpoint_dataverse_avsc, "schemas/checkpoint-dataverse.avsc");

enum phase {
	SNAPSHOT,
	DELTA,
	CLOSING, /* the mapping reads other columns now: the old delta's deletes, then a snapshot */
};

/* As in schemas/checkpoint-dataverse.avsc. */
enum { CP_ORGANIZATION, CP_SELECT, CP_EPOCH, CP_PHASE, CP_LINK, CP_VERSION, CP_ROWS, CP_SAVED_AT };

enum { SAVE_QUIET_MS = 60000, REPORT_MS = 5000, LINK_MAX = 32768 };

struct position {
	char organization[37];
	char *select, *link; /* owned; link "" before the first page */
	enum phase phase;
	int64_t epoch, version, rows;
	wall_time saved;
};

struct extraction {
	struct stage *stage;
	struct dataverse dataverse;
	char *select; /* of this configuration */
	int32_t schema_id;
	avro_value_t change, checkpoint;
	struct record_class checkpoint_class;
	struct buffer encoded;
	bool known; /* a checkpoint was restored */
	struct position at;
	struct seen *links; /* of this pass: a next link that repeats would never end */
	mono_time reported;
};

static void position_clear(struct position *p)
{
	free(p->select);
	free(p->link);
	*p = (struct position){.select = xstrdup(""), .link = xstrdup("")};
}

static void set_text(char **to, const char *text)
{
	char *copy = xstrdup(text);
	free(*to);
	*to = copy;
}

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

static enum result check_live(struct extraction *x, struct error *err)
{
	struct table *live = NULL;
	size_t n;
	const char *const *columns = mapping_columns(x->stage->mapping, &n);
	enum result r =
	    dataverse_table(&x->dataverse, x->stage->table->name, mono_now(), &live, err);

	if (r == OK)
		r = table_same(x->stage->table, live, columns, n, err);
	table_free(live);
	return r;
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
	position_clear(&x->at);
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
	if (r != OK) {
		dataverse_close(x);
		return r;
	}
	*out = &mapping_source(s->mapping)->record;
	*state = x;
	return OK;
}

/* ---- a term ----------------------------------------------------------------------------------- */

static void dataverse_reset(void *state)
{
	struct extraction *x = state;
	position_clear(&x->at);
	seen_clear(x->links);
	x->known = false;
}

static const char *text_at(const avro_value_t *record, size_t i)
{
	avro_value_t f = record_field(record, i);
	return record_text(&f, NULL);
}

static int64_t long_at(const avro_value_t *record, size_t i)
{
	avro_value_t f = record_field(record, i);
	return record_long(&f);
}

static enum result dataverse_restore(void *state, const char *key, const avro_value_t *value,
				     struct error *err)
{
	struct extraction *x = state;
	avro_value_t phase;

	(void)err;
	if (strcmp(key, x->stage->table->name))
		return OK; /* a table that the flow had before */
	position_clear(&x->at);
	x->known = value != NULL;
	if (!value)
		return OK;
	snprintf(x->at.organization, sizeof x->at.organization, "%s",
		 text_at(value, CP_ORGANIZATION));
	set_text(&x->at.select, text_at(value, CP_SELECT));
	set_text(&x->at.link, text_at(value, CP_LINK));
	phase = record_field(value, CP_PHASE);
	x->at.phase = (enum phase)record_enum(&phase);
	x->at.epoch = long_at(value, CP_EPOCH);
	x->at.version = long_at(value, CP_VERSION);
	x->at.rows = long_at(value, CP_ROWS);
	x->at.saved.ms = long_at(value, CP_SAVED_AT);
	return OK;
}

static void begin_snapshot(struct extraction *x, wall_time now)
{
	x->at.phase = SNAPSHOT;
	set_text(&x->at.link, "");
	set_text(&x->at.select, x->select);
	/* Later than any epoch before, whatever the clock says. */
	x->at.epoch = now.ms > x->at.epoch ? now.ms : x->at.epoch + 1;
	x->at.rows = 0;
	seen_clear(x->links);
	log_info("snapshot begins", "table", x->stage->table->name, NULL);
}

static enum result dataverse_begin(void *state, int32_t schema_id, struct error *err)
{
	struct extraction *x = state;
	char organization[37];
	enum result r = dataverse_whoami(&x->dataverse, mono_now(), organization, err);

	if (r != OK)
		return r;
	x->schema_id = schema_id;
	if (x->known && strcmp(organization, x->at.organization))
		return error_config(err, "other-organization",
				    "%s is organization %s now, the checkpoint in %s is of %s; a "
				    "different environment needs another \"name\"",
				    x->dataverse.url, organization, x->stage->self->input,
				    x->at.organization);
	snprintf(x->at.organization, sizeof x->at.organization, "%s", organization);
	if (!x->known) {
		begin_snapshot(x, wall_now());
	} else if (strcmp(x->at.select, x->select)) {
		log_info("the mapping reads other columns now", "table", x->stage->table->name,
			 NULL);
		if (x->at.phase == SNAPSHOT)
			begin_snapshot(x, wall_now());
		else
			x->at.phase = CLOSING;
	}
	return OK;
}

/* ---- a page ----------------------------------------------------------------------------------- */

static enum result emit_delete(struct extraction *x, struct extract_output *o, const char *id,
			       wall_time now, struct error *err)
{
	struct change_head head = {.op = CHANGE_DELETE,
				   .epoch = x->at.epoch,
				   .version = x->at.version,
				   .modified = {-1},
				   .observed = now,
				   .origin = ORIGIN_DELTA};
	enum result r;

	avro_value_reset(&x->change);
	change_set_head(&x->change, id, &head);
	r = wire_encode(x->schema_id, &x->change, &x->encoded, err);
	if (r == OK)
		r = extract_emit(o, id, x->encoded.data, x->encoded.len, head.modified, now, err);
	/* The tombstone behind it lets compaction forget the key. */
	return r == OK ? extract_emit(o, id, NULL, 0, head.modified, now, err) : r;
}

static enum result emit_row(struct extraction *x, struct extract_output *o, const cJSON *row,
			    wall_time now, int64_t number, struct error *err)
{
	struct change_head head;
	struct error why;
	char id[37] = "";
	enum result r;

	avro_value_reset(&x->change);
	r = change_from_row(mapping_source(x->stage->mapping), row, x->at.epoch, now,
			    x->at.phase == SNAPSHOT ? ORIGIN_SNAPSHOT : ORIGIN_DELTA, &x->change,
			    id, &why);
	if (r == OK)
		r = wire_encode(x->schema_id, &x->change, &x->encoded, &why);
	if (r != OK) {
		_cleanup_(freep) char *text = cJSON_PrintUnformatted(row);
		return extract_reject(o, id, text, strlen(text), x->stage->table->name, number,
				      &why, err);
	}
	change_get_head(&x->change, &head);
	if (head.version > x->at.version)
		x->at.version = head.version;
	return extract_emit(o, id, x->encoded.data, x->encoded.len, head.modified, now, err);
}

static void set_long(avro_value_t *record, size_t i, int64_t n)
{
	avro_value_t f = record_field(record, i);
	avro_value_set_long(&f, n);
}

static void put_text(avro_value_t *record, size_t i, const char *text)
{
	avro_value_t f = record_field(record, i);
	record_set_text(&f, text, strlen(text));
}

static enum result save(struct extraction *x, struct extract_output *o, wall_time now,
			struct error *err)
{
	avro_value_t phase = record_field(&x->checkpoint, CP_PHASE);

	put_text(&x->checkpoint, CP_ORGANIZATION, x->at.organization);
	put_text(&x->checkpoint, CP_SELECT, x->at.select);
	put_text(&x->checkpoint, CP_LINK, x->at.link);
	avro_value_set_enum(&phase, (int)x->at.phase);
	set_long(&x->checkpoint, CP_EPOCH, x->at.epoch);
	set_long(&x->checkpoint, CP_VERSION, x->at.version);
	set_long(&x->checkpoint, CP_ROWS, x->at.rows);
	set_long(&x->checkpoint, CP_SAVED_AT, now.ms);
	x->at.saved = now;
	return extract_checkpoint(o, x->stage->table->name, &x->checkpoint, err);
}

static enum result emit_page(struct extraction *x, struct extract_output *o,
			     const struct dataverse_page *page, wall_time now, int64_t *rows,
			     struct error *err)
{
	const cJSON *row;
	const char *id;
	enum result r = OK;

	*rows = 0;
	cJSON_ArrayForEach(row, page->rows)
	{
		if (dataverse_is_delete(row, &id)) {
			char lower[37];
			if (!text_is_guid(id))
				return error_retry(err, "bad-row",
						   "a deletion without a usable id");
			for (int i = 0; i < 37; i++)
				lower[i] =
				    (char)(id[i] >= 'A' && id[i] <= 'F' ? id[i] + 32 : id[i]);
			r = emit_delete(x, o, lower, now, err);
		} else if (x->at.phase != CLOSING) {
			r = emit_row(x, o, row, now, x->at.rows + *rows + 1, err);
		}
		if (r != OK)
			return r;
		++*rows;
	}
	return OK;
}

static void report(struct extraction *x, bool done)
{
	mono_time now = mono_now();
	if (!done && now.ms - x->reported.ms < REPORT_MS)
		return;
	x->reported = now;
	log_info(done ? "snapshot complete" : "snapshot", "table", x->stage->table->name, "rows",
		 log_int(x->at.rows), NULL);
}

static enum result step(struct extraction *x, struct extract_output *o, int64_t *wait_ms,
			struct error *err)
{
	const char *url = *x->at.link ? x->at.link : x->select;
	struct dataverse_page page;
	wall_time now = wall_now();
	int64_t rows;
	enum result r =
	    dataverse_page(&x->dataverse, url, x->stage->flow->page_size, mono_now(), &page, err);

	if (r == RETRY && !strcmp(err->reason, "expired-delta-token")) {
		log_error("the delta token has expired: full read; rows deleted meanwhile are not "
			  "found by it",
			  "table", x->stage->table->name, "error", err->text, NULL);
		begin_snapshot(x, now);
		*wait_ms = 0;
		return OK;
	}
	if (r == REJECT) { /* nothing here is about one record */
		err->exit_code = EXIT_PERMANENT;
		return FATAL;
	}
	if (r != OK)
		return r;
	r = emit_page(x, o, &page, now, &rows, err);
	if (r == OK && page.next &&
	    (strlen(page.next) > LINK_MAX || !strcmp(page.next, url) ||
	     seen_has(x->links, page.next, strlen(page.next))))
		r = error_retry(err, "link-loop", "the next link of a page was read before");
	if (r == OK && !page.next && !page.delta && (x->at.phase == SNAPSHOT || rows))
		r = error_retry(err, "no-delta-link", "the last page has no delta link");
	if (r != OK) {
		dataverse_page_free(&page);
		return r;
	}
	bool quiet =
	    !rows && !page.next && x->at.phase == DELTA && now.ms - x->at.saved.ms < SAVE_QUIET_MS;
	bool snapshot = x->at.phase == SNAPSHOT;
	x->at.rows += rows;
	if (page.next) {
		seen_add(x->links, page.next, strlen(page.next));
		set_text(&x->at.link, page.next);
		*wait_ms = 0;
	} else if (x->at.phase == CLOSING) {
		begin_snapshot(x, now);
		*wait_ms = 0;
	} else {
		seen_clear(x->links);
		if (page.delta)
			set_text(&x->at.link, page.delta);
		x->at.phase = DELTA;
		*wait_ms = x->stage->flow->poll_ms;
	}
	dataverse_page_free(&page);
	if (snapshot)
		report(x, x->at.phase == DELTA);
	else if (rows)
		log_info("changes", "table", x->stage->table->name, "rows", log_int(rows), NULL);
	return quiet ? OK : save(x, o, now, err);
}

/* What a step changed and did not write must not be remembered. */
static enum result dataverse_step(void *state, struct extract_output *o, int64_t *wait_ms,
				  struct error *err)
{
	struct extraction *x = state;
	int64_t version = x->at.version;
	enum result r = step(x, o, wait_ms, err);

	if (r == RETRY)
		x->at.version = version;
	return r;
}

static void dataverse_close(void *state)
{
	struct extraction *x = state;

	if (x->checkpoint.self)
		avro_value_decref(&x->checkpoint);
	avro_value_decref(&x->change);
	record_class_free(&x->checkpoint_class);
	dataverse_free(&x->dataverse);
	buffer_free(&x->encoded);
	seen_free(x->links);
	free(x->at.select);
	free(x->at.link);
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
    .begin = dataverse_begin,
    .step = dataverse_step,
    .close = dataverse_close,
};

int main(int argc, char **argv)
{
	return extract_main(argc, argv, &dataverse_extractor);
}
