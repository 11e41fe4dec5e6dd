/* load_intake.c - from the topic into the window.
 *
 * A record becomes an item; a later one of a key that waits goes instead of it.  librdkafka's queue is
 * read as far as there is room, and polled all the same when there is none: a member that does not
 * poll loses its place in the group.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "load.h"
#include "log.h"

enum {
	MESSAGES_AT_ONCE = 1000,
	/* Records of a partition that may be done behind one that is not. */
	SPAN_MAX = 10000,
};

bool load_prepare(struct loop *l, rd_kafka_message_t *m, struct load_item *out)
{
	struct error err = {0};

	*out = (struct load_item){.msg = m, .loader = l->loader, .input_offset = m->offset};
	enum result r = l->loader->prepare(l->state, m, &out->r, &err);
	if (r == RETRY) {
		stage_log_error("waiting", r, &err);
		return false;
	}
	if (r == FATAL)
		load_give_up(l, &err);
	if (r != OK) { /* becomes a dead letter when it is its key's turn */
		out->why = xmalloc(sizeof err);
		*out->why = err;
	}
	return true;
}

/* A later record of a key that waits goes instead of it.  The earlier one may have been written by
 * an owner before us, if it was to be written: then the later one is not skipped any more. */
static bool coalesce(struct loop *l, struct window_item *last, const rd_kafka_message_t *m,
		     struct load_item *it)
{
	struct load_item *before = last ? last->payload : NULL;
	struct loaded_entry e;

	if (!last || window_is_busy(last) || last->orphan || last->partition != m->partition ||
	    before->why || it->why || !l->loader->merge || before->older)
		return false;
	it->older = load_is_older(it, before);
	if (it->older)
		return false;
	/* Of what needs no writing nothing is taken over. */
	it->no_skip = before->no_skip;
	if (load_judge(l, m->partition, last->key, last->key_len, before, &e) == LOADED_WRITE) {
		if (!l->loader->merge(l->state, &before->r, &it->r))
			return false;
		it->no_skip |=
		    before->r.hash != it->r.hash || before->r.is_delete != it->r.is_delete;
	}
	it->parked = before->parked;
	it->attempt = before->attempt;
	it->unknown = before->unknown;
	load_count(l, m->partition, COUNT_COALESCED, 1);
	l->records++;
	if (before->swept)
		load_partition(l, m->partition)->sweep_left--;
	before->parked = false;
	struct load_item old = *before;
	*before = *it;
	window_move(l->window, last, m->offset);
	struct load_item *gone = xmalloc(sizeof *gone);
	*gone = old;
	load_item_free(gone);
	return true;
}

/* Most records of a replay say what the target has.  With nothing of its key under way such a one is
 * done at once: nothing is sent for it, so no lease and no place in the window is needed. */
static bool done_at_once(struct loop *l, const rd_kafka_message_t *m)
{
	struct load_item it = {.input_offset = m->offset};
	struct loaded_entry was;
	struct error err;

	if (!l->loader->glance || (l->parked && parked_find(l->parked, m->key, m->key_len)) ||
	    l->loader->glance(l->state, m, &it.r, &err) != OK ||
	    !load_needless(l, m->partition, m->key, m->key_len, &it, &was))
		return false;
	window_add_done(l->window, m->partition, m->offset);
	l->records++;
	return true;
}

static void accept_record(struct loop *l, rd_kafka_message_t *m)
{
	struct load_item it;
	struct window_item *last = window_last_of_key(l->window, m->key, m->key_len);

	if (!last && done_at_once(l, m)) {
		rd_kafka_message_destroy(m);
		return;
	}
	/* The tombstone behind a delete only lets compaction forget the key. */
	if (!m->payload && last && ((struct load_item *)last->payload)->r.is_delete) {
		window_add_done(l->window, m->partition, m->offset);
		l->records++;
		rd_kafka_message_destroy(m);
		return;
	}
	if (!load_prepare(l, m, &it)) {
		l->stalled = m;
		l->stalled_until =
		    mono_add(mono_now(), stage_backoff_ms(++l->stall_attempt, &l->seed));
		return;
	}
	l->stall_attempt = 0;
	if (!it.why && !it.r.record) {
		window_add_done(l->window, m->partition, m->offset);
		l->records++;
		rd_kafka_message_destroy(m);
		return;
	}
	if (coalesce(l, last, m, &it))
		return;
	/* A later version of a record that waits for its parent: the one in the topic is past. */
	it.parked = l->parked && !last && parked_find(l->parked, m->key, m->key_len);
	it.no_skip = it.parked;
	struct load_item *payload = xmalloc(sizeof *payload);
	*payload = it;
	window_add(l->window, m->partition, m->offset, m->key, m->key_len, payload);
}

static void receive(struct loop *l, rd_kafka_message_t *m)
{
	struct partition *p = load_partition(l, m->partition);
	rd_kafka_timestamp_type_t type;

	load_saw_offset(l, m->partition, m->offset, rd_kafka_message_timestamp(m, &type));
	p->next = m->offset + 1;
	p->last_record = l->polled;
	accept_record(l, m);
}

static enum result read_error(struct loop *l, const rd_kafka_message_t *m)
{
	switch (m->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		if (load_partition(l, m->partition)->ours) {
			struct partition *p = load_partition(l, m->partition);
			window_end(l->window, m->partition, m->offset);
			p->next = later_of(p->next, m->offset);
			p->reading_ahead = false; /* what the last owner sent was read */
		}
		return OK;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		return stage_offset_lost(l->stage, m, &l->err);
	default:
		return stage_consumer_error(m, &l->err);
	}
}

static void pause_one(struct loop *l, int32_t partition, bool pause)
{
	rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(one, l->stage->self->input, partition);
	if (pause)
		rd_kafka_pause_partitions(l->consumer, one);
	else
		rd_kafka_resume_partitions(l->consumer, one);
	rd_kafka_topic_partition_list_destroy(one);
}

static void pause_all(struct loop *l, bool pause)
{
	if (l->paused == pause || !kafka_pause(l->consumer, pause))
		return;
	l->paused = pause;
	for (size_t i = 0; !pause && i < l->partition_count; i++)
		if (l->partitions[i].ours && l->partitions[i].full)
			pause_one(l, (int32_t)i, true);
}

/* One record that cannot be written holds its partition's position up.  What is done behind it is
 * bounded: a kill makes it be read again. */
void load_bound_spans(struct loop *l)
{
	for (size_t i = 0; i < l->partition_count; i++) {
		struct partition *p = &l->partitions[i];
		const struct window_item *lowest = window_lowest(l->window, (int32_t)i);
		int64_t span = lowest ? p->next - lowest->offset : 0;
		if (!p->ours || (p->full ? span > SPAN_MAX / 2 : span < SPAN_MAX))
			continue;
		p->full = !p->full;
		if (p->full || !l->paused)
			pause_one(l, (int32_t)i, p->full);
		if (p->full)
			log_warn("partition waits for a record", "partition", log_int((int64_t)i),
				 "offset", log_int(lowest->offset), NULL);
	}
}

/* While it reads ahead of what it may write, a partition takes as much as it must. */
bool load_has_room(const struct loop *l)
{
	if (l->stalled)
		return false;
	if (window_count(l->window) < l->window_max)
		return true;
	for (size_t i = 0; i < l->partition_count; i++)
		if (l->partitions[i].ours && l->partitions[i].reading_ahead)
			return true;
	return false;
}

/* Drains librdkafka's queue as far as there is room (its descriptor is edge-triggered).  Without
 * room for long, partitions are paused and the queue is polled all the same: a member that does
 * not poll loses its place in the group. */
enum result load_take_messages(struct loop *l)
{
	enum result r = OK;
	mono_time now = mono_now();
	bool drained = false;

	if (l->stalled && !mono_until(now, l->stalled_until)) {
		rd_kafka_message_t *m = l->stalled;
		l->stalled = NULL;
		accept_record(l, m);
	}
	if (!load_has_room(l)) {
		if (now.ms - l->polled.ms < LOAD_POLL_AT_LEAST_MS)
			return OK;
		pause_all(l, true);
	} else if (l->paused && (window_count(l->window) < l->window_max / 2 || load_has_room(l))) {
		pause_all(l, false);
	}
	l->polled = now;
	for (int i = 0; r == OK && (i == 0 || load_has_room(l)) && l->broken == OK; i++) {
		if (i == MESSAGES_AT_ONCE)
			break;
		rd_kafka_message_t *m = rd_kafka_consumer_poll(l->consumer, 0);
		drained = !m;
		if (drained)
			break;
		if (m->err) {
			r = read_error(l, m);
			rd_kafka_message_destroy(m);
		} else if (!load_partition(l, m->partition)->ours) {
			rd_kafka_message_destroy(m); /* revoked: the next owner reads it */
		} else if (l->stalled) {
			/* Paused partitions give nothing; were it ever so, a restart reads it again. */
			r = error_restart(&l->err, "paused",
					  "a record came from a paused partition");
			rd_kafka_message_destroy(m);
		} else {
			receive(l, m);
		}
	}
	l->drained = drained;
	return r;
}
