/* load_group.c - partitions come and go.
 *
 * Taken over: the committed offset and its mark are read first, then the state up to the end that
 * the topic has now, open transactions included (an offset becomes visible before the state that
 * was committed with it may be).  Only then is anything sent.  When the mark says that the last
 * owner left requests behind (it was killed, or lost its place in the group), then
 *
 *   - one request time-out passes first: what it sent lands before what we send
 *   - all that it may have sent is read before anything is sent, so that of each key only the
 *     last version goes out: an older one never lands on a newer one
 *   - what it may have sent is in doubt: a loader asks before it inserts
 *   - where records are missing or may have been compacted away, nothing is skipped
 *
 * An offset that is not ours, or a state without an offset, is taken over so, too: what was sent
 * before is not known.  Brokers forget the offsets of a group without members (offsets.retention.
 * minutes, seven days), which is as long as records are surely not compacted away.
 *
 * Given up: nothing more is sent, what is out is waited for (bounded), what is finished is
 * committed, then the partition goes.  Lost: nothing is committed, all is forgotten.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "load.h"
#include "log.h"

enum {
	COMMITTED_MS = 45000, /* offsets of a transaction that is open are waited for */
	DRAIN_STEP_MS = 50,
	COMMIT_TRIES = 20,
	READ_IDLE_MS = 30000, /* longer than an open transaction of a killed process lives */
};
/* Records younger than this are surely not compacted away: topics keep them for seven days. */
#define YOUNG_MS ((int64_t)6 * 86400000)

/* ---- what may be sent ------------------------------------------------------------------------- */

void load_set_limits(struct loop *l, mono_time now)
{
	for (size_t i = 0; i < l->partition_count; i++) {
		struct partition *p = &l->partitions[i];
		if (!p->ours)
			continue;
		if (p->reading_ahead && p->next >= p->mark.ahead)
			p->reading_ahead = false;
		if (p->held_until.ms && !mono_until(now, p->held_until)) {
			p->held_until = (mono_time){0};
			if (!p->reading_ahead)
				log_info("partition goes on", "partition", log_int((int64_t)i),
					 NULL);
		}
		bool held = p->leaving || p->reading_ahead || p->held_until.ms ||
			    p->committed_ahead <= p->committed;
		window_limit(l->window, (int32_t)i, held ? INT64_MIN : p->committed_ahead);
		if (!p->leaving && !p->reading_ahead && !p->held_until.ms &&
		    window_held(l->window, (int32_t)i))
			l->commit_now = true; /* it needs a longer lease */
	}
}

void load_saw_offset(struct loop *l, int32_t partition, int64_t offset, int64_t timestamp_ms)
{
	struct partition *p = load_partition(l, partition);
	bool gap = offset > p->next;
	bool old = timestamp_ms > 0 && wall_now().ms - timestamp_ms > YOUNG_MS;

	if (!p->check_gap)
		return;
	p->check_gap = false;
	if (!gap && !old)
		return;
	/* The record that was out may be gone: a later one, equal to the state, must be written. */
	int64_t end = INT64_MAX;
	struct error err;
	if (kafka_end(l->watcher, l->stage->self->input, partition, &end, &err) != OK)
		stage_log_error("reading the end", RETRY, &err);
	p->no_skip_below = later_of(p->no_skip_below, end);
	p->doubt_below = later_of(p->doubt_below, end);
	log_info("nothing is skipped for a while", "partition", log_int(partition), "why",
		 gap ? "records are missing" : "records are old", "until", log_int(end), NULL);
}

/* ---- taking over ------------------------------------------------------------------------------ */

struct restoring {
	struct loop *l;
	struct partition *p;
	int32_t id;
	int64_t entries;
	bool written; /* by a loader: some are not only adopted */
	enum result r;
	struct error *err;
};

static bool restore_entry(void *arg, rd_kafka_message_t *m)
{
	struct restoring *s = arg;
	struct loaded_record rec;
	struct error err;

	if (s->r != OK)
		return false;
	if (!m->payload) {
		loaded_forget(s->p->loaded, m->key, m->key_len);
		return false;
	}
	enum result r = loaded_decode(s->l->loaded_topic, m->payload, m->len, &rec, &err);
	if (r == REJECT) { /* an entry that cannot be read is one that is lost: a call more */
		stage_log_error("state entry", r, &err);
		loaded_forget(s->p->loaded, m->key, m->key_len);
		return false;
	}
	if (r != OK) {
		s->r = r;
		*s->err = err;
		return false;
	}
	if (rec.partitions != s->l->input_partitions) {
		s->r =
		    error_config(s->err, "partitions",
				 "%s was written when %s had %d partitions, now it has %d: keys "
				 "are elsewhere. Delete the topic %s, make it anew with `tideway "
				 "topics create`, then `tideway replay` this stage: that costs "
				 "calls, and nothing else",
				 s->l->loaded_name, s->l->stage->self->input, rec.partitions,
				 s->l->input_partitions, s->l->loaded_name);
		return false;
	}
	s->entries++;
	if (rec.entry.deleted && wall_now().ms - rec.at.ms > LOADED_KEEP_DELETED_MS) {
		loaded_forget(s->p->loaded, m->key, m->key_len);
		load_forget_state(s->l, s->id, m->key, m->key_len);
		return false;
	}
	/* What was adopted never came from the source: a sweep leaves it alone. */
	rec.entry.met = !rec.entry.epoch && !rec.entry.version;
	s->written |= !rec.entry.met;
	loaded_put(s->p->loaded, m->key, m->key_len, &rec.entry);
	return false;
}

static void restoring_tick(void *arg)
{
	struct restoring *s = arg;
	load_tick(s->l);
}

static enum result restore(struct loop *l, int32_t id, bool *written, struct error *err)
{
	struct partition *p = load_partition(l, id);
	struct restoring s = {.l = l, .p = p, .id = id, .err = err};
	int64_t end, input_end;

	p->loaded = loaded_new();
	enum result r = kafka_end(l->watcher, l->loaded_name, id, &end, err);
	if (r == OK)
		r = kafka_end(l->watcher, l->stage->self->input, id, &input_end, err);
	if (r == OK)
		r = kafka_read_partition(l->reader, l->loaded_name, id, RD_KAFKA_OFFSET_BEGINNING,
					 end, READ_IDLE_MS, restore_entry, restoring_tick, &s, err);
	if (r == OK)
		r = s.r;
	if (r != OK)
		return r;
	loaded_forget_offsets(p->loaded, input_end);
	*written = s.written;
	if (s.entries)
		log_info("state restored", "partition", log_int(id), "keys",
			 log_int((int64_t)loaded_count(p->loaded)), "bytes",
			 log_int((int64_t)loaded_bytes(p->loaded)), NULL);
	return OK;
}

/* Where to begin, and with which rights. */
static enum result take_over(struct loop *l, rd_kafka_topic_partition_t *at, struct error *err)
{
	struct partition *p = load_partition(l, at->partition);
	const char *input = l->stage->self->input;
	mono_time now = mono_now(), hold = mono_add(now, l->stage->flow->request_timeout_ms);
	int64_t low, end;
	rd_kafka_resp_err_t code =
	    rd_kafka_query_watermark_offsets(l->watcher, input, at->partition, &low, &end, 15000);

	if (code)
		return error_restart(err, "broker", "reading the ends of %s: %s", input,
				     rd_kafka_err2str(code));
	*p = (struct partition){.ours = true,
				.committed = at->offset,
				.mark = mark_parse(at->metadata, at->metadata_size),
				.last_record = now};
	bool first = at->offset < 0, written = false;
	if (first) { /* nobody was here before, or what restore() finds says otherwise */
		p->committed = -1;
		at->offset = low;
		p->mark = (struct mark){.ahead = low};
	} else if (!l->loader->memory) {
		/* Every record of a key is the same: one that is still out cannot overwrite a newer
		 * one, so there is nothing to wait for. */
		if (!p->mark.known)
			p->mark = (struct mark){.ahead = at->offset};
	} else if (!p->mark.known) {
		/* Set by another program: what was sent before is not known. */
		p->held_until = hold;
		p->no_skip_below = p->doubt_below = end;
		p->mark = (struct mark){.ahead = at->offset};
		log_warn("the offset has no mark of ours: nothing is skipped for a while",
			 "partition", log_int(at->partition), "until", log_int(end), NULL);
	} else if (p->mark.ahead > at->offset) {
		p->reading_ahead = p->check_gap = true;
		p->held_until = hold;
		p->doubt_below = p->mark.ahead;
		if (wall_now().ms - p->mark.oldest_ms > YOUNG_MS)
			p->no_skip_below = end;
		log_info("the last owner left requests behind", "partition", log_int(at->partition),
			 "offset", log_int(at->offset), "ahead", log_int(p->mark.ahead), "wait_ms",
			 log_int(l->stage->flow->request_timeout_ms), NULL);
	}
	p->committed_ahead = p->mark.ahead;
	p->mark.known = true;
	p->no_skip_below = later_of(p->no_skip_below, p->mark.force);
	if (p->mark.sweep_end) {
		/* What was met before is forgotten with the process that met it. */
		at->offset = later_of(p->mark.sweep_from, low);
		if (p->mark.force)
			p->no_skip_below = p->mark.force;
	}
	p->next = at->offset;
	window_limit(l->window, at->partition, INT64_MIN);
	enum result r = l->loader->memory ? restore(l, at->partition, &written, err) : OK;
	if (r == OK && first && written) {
		/* The group's offsets are gone, after days without a loader or by somebody's hand. */
		p->held_until = hold;
		p->no_skip_below = p->doubt_below = end;
		log_warn("the group's offsets are gone: nothing is skipped for a while",
			 "partition", log_int(at->partition), "until", log_int(end), NULL);
	}
	if (r == OK && l->parked)
		r = load_park_restore(l, at->partition, err);
	return r;
}

static enum result committed(struct loop *l, rd_kafka_topic_partition_list_t *partitions,
			     struct error *err)
{
	mono_time until = mono_add(mono_now(), COMMITTED_MS);
	rd_kafka_resp_err_t code;

	do {
		code = rd_kafka_committed(l->consumer, partitions, 5000);
		for (int i = 0; !code && i < partitions->cnt; i++)
			code = partitions->elems[i].err;
		load_tick(l);
	} while (code && mono_until(mono_now(), until) && !stage_stop);
	if (!code)
		return OK;
	return error_restart(err, "positions", "reading committed offsets: %s",
			     rd_kafka_err2str(code));
}

static void assigned(struct loop *l, rd_kafka_topic_partition_list_t *partitions)
{
	struct error err;
	enum result r = partitions->cnt ? committed(l, partitions, &err) : OK;

	for (int i = 0; r == OK && i < partitions->cnt; i++)
		r = take_over(l, &partitions->elems[i], &err);
	if (r != OK)
		load_give_up(l, &err);
	malloc_trim(0); /* what reading the state took */
	rd_kafka_error_t *e = rd_kafka_incremental_assign(l->consumer, partitions);
	if (e)
		rd_kafka_error_destroy(e);
	if (l->paused)
		rd_kafka_pause_partitions(l->consumer, partitions);
	log_info("partitions assigned", "count", log_int(partitions->cnt), NULL);
}

/* ---- giving up -------------------------------------------------------------------------------- */

/* Waits until nothing of these partitions is in flight. NULL: of any. */
void load_drain(struct loop *l, const rd_kafka_topic_partition_list_t *partitions)
{
	/* On a revocation every request has an end by then, so the next owner meets none of ours. */
	int64_t ms = LOAD_DRAIN_MS + (partitions ? l->stage->flow->request_timeout_ms : 0);
	mono_time until = mono_add(mono_now(), ms);

	while (mono_until(mono_now(), until) && l->broken == OK) {
		size_t busy = 0;
		/* An answer may have put a job among the waiting: it is the next owner's. */
		for (int i = 0; partitions && i < partitions->cnt; i++)
			load_release_partition(l, partitions->elems[i].partition);
		for (size_t i = 0; !partitions && i < l->partition_count; i++)
			load_release_partition(l, (int32_t)i);
		for (int i = 0; partitions && i < partitions->cnt; i++)
			busy += window_busy_in(l->window, partitions->elems[i].partition);
		if (!partitions)
			busy = l->in_flight;
		if (!busy)
			return;
		http_wait(l->stage->http, -1, DRAIN_STEP_MS);
		load_take_answers(l);
		stage_turn(l->stage);
	}
	if (l->broken == OK)
		log_warn("requests still in flight are left to the next owner", NULL);
}

static void forget(struct loop *l, int32_t id)
{
	struct partition *p = load_partition(l, id);

	if (l->stalled && l->stalled->partition == id) {
		rd_kafka_message_destroy(l->stalled);
		l->stalled = NULL;
	}
	load_release_partition(l, id);
	window_drop(l->window, id, load_item_free);
	load_drop_outcomes(l, id);
	if (l->parked)
		parked_drop(l->parked, id);
	loaded_free(p->loaded);
	*p = (struct partition){.committed = -1};
}

static void revoked(struct loop *l, rd_kafka_topic_partition_list_t *partitions)
{
	bool lost = rd_kafka_assignment_lost(l->consumer);

	for (int i = 0; i < partitions->cnt; i++)
		load_partition(l, partitions->elems[i].partition)->leaving = true;
	load_set_limits(l, mono_now());
	if (!lost && l->broken == OK) {
		load_drain(l, partitions);
		/* The group is changing: the first tries may meet the new generation too early. */
		for (int i = 0; i < COMMIT_TRIES && load_commit(l) == RETRY; i++)
			http_wait(l->stage->http, -1, DRAIN_STEP_MS);
	}
	for (int i = 0; i < partitions->cnt; i++)
		forget(l, partitions->elems[i].partition);
	rd_kafka_error_t *e = rd_kafka_incremental_unassign(l->consumer, partitions);
	if (e)
		rd_kafka_error_destroy(e);
	log_info(lost ? "partitions lost" : "partitions revoked", "count", log_int(partitions->cnt),
		 NULL);
}

/* @locality the application thread, inside rd_kafka_consumer_poll or consumer_close */
void load_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
		       rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	(void)rk;
	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		assigned(opaque, partitions);
	else
		revoked(opaque, partitions);
}
