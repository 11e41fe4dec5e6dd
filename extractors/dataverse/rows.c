/* rows.c - rows and deletes of a page as records, and what our own topic says of them. */
#include <string.h>

#include "arena.h"
#include "extraction.h"
#include "json.h"
#include "log.h"

static enum result write_change(struct extraction *x, struct extract_output *o, const char *id,
				wall_time modified, wall_time now, struct error *err)
{
	return extract_emit(o, id, x->encoded.data, x->encoded.len, modified, now, err);
}

enum result rows_emit_delete(struct extraction *x, struct extract_output *o, struct position *p,
			     const char *id, enum change_origin origin, wall_time now,
			     struct error *err)
{
	/* Deletes carry no version: the highest so far puts it behind everything about the row. */
	struct change_head head = {.op = CHANGE_DELETE,
				   .epoch = p->epoch,
				   .version = p->version,
				   .modified = {-1},
				   .observed = now,
				   .origin = origin};

	avro_value_reset(&x->change);
	change_set_head(&x->change, id, &head);
	enum result r = wire_encode(x->schema_id, &x->change, &x->encoded, err);
	if (r == OK)
		r = write_change(x, o, id, head.modified, now, err);
	/* The tombstone behind it lets compaction forget the key. */
	if (r == OK)
		r = extract_emit(o, id, NULL, 0, head.modified, now, err);
	if (r == OK && x->known)
		known_gone(x->known, id);
	if (r == OK && !strcmp(p->top, id)) {
		*p->top = 0;
		x->top_gone = 0;
		x->look_due = mono_now();
	}
	return r;
}

/* "id:version": a row as it was at a time. */
static size_t state_of(char out[64], const char *id, int64_t version)
{
	return (size_t)snprintf(out, 64, "%s:%lld", id, (long long)version);
}

/* Did the page before, the topic, or the last polls have this row at this version? */
static bool is_repeated(struct extraction *x, const struct position *p, const struct page_use *use,
			const char *id, int64_t version)
{
	char state[64];
	size_t n = state_of(state, id, version);
	bool repeated = seen_has(x->page_before, state, n) || seen_has(x->page, state, n);

	seen_add(x->page, state, n);
	if (use->late && version > p->late_above)
		seen_add(x->recent, state, n);
	if (use->recent) {
		repeated |= seen_has(x->recent_before, state, n) || seen_has(x->recent, state, n);
		seen_add(x->recent, state, n);
	}
	/* In a full read: the topic has it, or a change that came while it is under way. */
	if (use->compare || (use->meet && x->known && known_is_met(x->known, id)))
		repeated |= known_version(x->known, id) == version;
	return repeated;
}

/* id and version of a row; false when it has none, whatever else it is. */
static bool read_identity(const struct extraction *x, const cJSON *row, char id[37],
			  int64_t *version)
{
	const char *own = json_string(row, x->stage->table->primary_id);

	return own && json_int(row, "versionnumber", version) && text_lower_guid(own, id);
}

/* What a row says whether or not it can be written: that it is there, at a version. */
static bool note_row(struct extraction *x, struct position *p, const struct page_use *use,
		     const char *id, int64_t version)
{
	/* A row that went back to a lower version: the environment was restored. */
	if (use->compare && known_version(x->known, id) > version && p->epoch < p->scan_began.ms)
		p->epoch = p->scan_began.ms;
	bool repeated = is_repeated(x, p, use, id, version);
	if (x->known && use->meet)
		known_put(x->known, id, version, true);
	if (use->ids)
		seen_add(x->ids, id, 36);
	if (version > p->version) {
		p->version = p->top_version = version;
		memcpy(p->top, id, sizeof p->top);
		x->top_gone = 0;
	}
	return repeated;
}

/* *news: it was not met before at this version. */
static enum result emit_row(struct extraction *x, struct extract_output *o, struct position *p,
			    const cJSON *row, const struct page_use *use, wall_time now,
			    int64_t number, bool *news, struct error *err)
{
	struct change_head head;
	struct error why;
	char id[37] = "";
	int64_t version = -1;

	*news = !read_identity(x, row, id, &version) || !note_row(x, p, use, id, version);
	if (!*news)
		return OK;
	avro_value_reset(&x->change);
	enum result r = change_from_row(mapping_source(x->stage->mapping), row, p->epoch, now,
					use->origin, &x->change, id, &why);
	if (r == OK)
		r = wire_encode(x->schema_id, &x->change, &x->encoded, &why);
	if (r != OK) {
		char state[64];
		if (*id) /* the first poll does not find it in the topic */
			seen_add(x->recent, state, state_of(state, id, version));
		_cleanup_(freep) char *text = cJSON_PrintUnformatted(row);
		return extract_reject(o, id, text, strlen(text), x->stage->table->name, number,
				      &why, err);
	}
	change_get_head(&x->change, &head);
	return write_change(x, o, id, head.modified, now, err);
}

enum result rows_emit(struct extraction *x, struct extract_output *o, struct position *p,
		      const struct dataverse_page *page, const struct page_use *use, wall_time now,
		      int64_t *count, struct error *err)
{
	struct seen *before = x->page_before;
	const cJSON *row;
	const char *id;
	int64_t number = 0;

	/* A row that moved in the order of the pages may be in two that follow each other. */
	x->page_before = x->page;
	x->page = before;
	seen_clear(x->page);
	*count = 0;
	cJSON_ArrayForEach(row, page->rows)
	{
		bool news = true;
		number++;
		if (!dataverse_is_delete(row, &id)) {
			enum result r = emit_row(x, o, p, row, use, now, number, &news, err);
			if (r != OK)
				return r;
		}
		*count += news;
	}
	return OK;
}

/* ---- our own topic ---------------------------------------------------------------------------- */

enum { SKEW_MS = 600000 }; /* of our clock and the broker's */

struct reading {
	struct extraction *x;
	const struct position *p;
	bool met_by_epoch;
	int64_t epoch, count, above;
	bool versions; /* into recent_before, else into known */
	enum result result;
	struct error *err;
};

static bool take_record(void *arg, const rd_kafka_message_t *m)
{
	struct reading *g = arg;
	avro_value_t *change;
	struct change_head head;
	char id[37], state[64];
	int32_t schema;

	if (m->key_len != 36)
		return !stage_stop;
	memcpy(id, m->key, 36);
	id[36] = 0;
	g->count++;
	if (!m->payload) {
		if (!g->versions)
			known_gone(g->x->known, id);
		return !stage_stop;
	}
	g->result =
	    wire_decode_as_written(g->x->stage->wire, m->payload, m->len, &change, &schema, g->err);
	if (g->result == REJECT) { /* not ours: it says nothing about a row */
		g->result = OK;
		return !stage_stop;
	}
	if (g->result != OK)
		return false;
	change_get_head(change, &head);
	if (head.epoch > g->epoch)
		g->epoch = head.epoch;
	if (g->versions && (head.version <= g->above || head.epoch != g->p->epoch))
		return !stage_stop;
	if (g->versions)
		seen_add(g->x->recent_before, state, state_of(state, id, head.version));
	else if (head.op == CHANGE_DELETE)
		known_gone(g->x->known, id);
	else
		known_put(g->x->known, id, head.version,
			  g->met_by_epoch && head.epoch == g->p->epoch);
	return !stage_stop;
}

static enum result read_topic(struct reading *g, struct extract_output *o, wall_time since,
			      struct error *err)
{
	struct stage *s = g->x->stage;
	_cleanup_(freep) char *client = xasprintf("%s.known", s->self->group);
	if (extract_settle(o, err) != OK)
		return FATAL;
	rd_kafka_t *reader = kafka_reader(s->config, client, err);
	if (!reader)
		return FATAL;
	g->err = err;
	enum result r =
	    kafka_read_since(reader, s->self->output, since, 15000, take_record, g, err);
	rd_kafka_consumer_close(reader);
	rd_kafka_destroy(reader);
	if (r == OK)
		r = g->result;
	if (r == OK && stage_stop)
		r = error_retry(err, "stopping", "asked to stop while reading the topic");
	return r;
}

/* A row whose record has the scan's epoch was met by it, or by a change since it began. */
enum result rows_known(struct extraction *x, struct extract_output *o, struct position *p,
		       struct error *err)
{
	struct reading g = {.x = x,
			    .p = p,
			    .met_by_epoch = x->stage->flow->changes != CHANGES_FULL,
			    .epoch = p->epoch};

	if (!x->known)
		x->known = known_new();
	known_clear(x->known);
	enum result r = read_topic(&g, o, (wall_time){-1}, err);
	if (r != OK) {
		known_free(x->known);
		x->known = NULL;
		return r;
	}
	if (g.epoch > p->epoch) /* the checkpoint was lost, the topic was not */
		p->epoch = g.epoch + 1;
	log_info("rows of the topic read", "table", x->stage->table->name, "records",
		 log_int(g.count), "rows", log_int((int64_t)known_alive(x->known)), NULL);
	return OK;
}

enum result rows_recent(struct extraction *x, struct extract_output *o, const struct position *p,
			wall_time since, int64_t above, struct error *err)
{
	struct reading g = {.x = x, .p = p, .versions = true, .above = above};

	seen_clear(x->recent_before);
	return read_topic(&g, o, (wall_time){since.ms - SKEW_MS}, err);
}
