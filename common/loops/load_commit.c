/* load_commit.c - what is finished goes into topics, and the offsets with it, in one transaction.
 *
 * Behind the acknowledgement, never before it: a state or an offset that is ahead of the target
 * would lose the write after a crash.  Crash points, and what the next owner finds:
 *
 *   request out, no answer         state and offset are the old ones: the record is read again and,
 *                                  as it differs from the state, written again
 *   answer in, nothing committed   the same
 *   transaction open               it is aborted, or committed whole: never one without the other
 *   committed                      state and offset are the new ones
 *
 * Each commit also says how far the owner may send until the next one (mark.h).  An aborted
 * transaction (the group was just changing) costs nothing: the outcomes stay here and go out again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "load.h"
#include "log.h"
#include "reject.h"
#include "transaction.h"

enum {
	AGAIN_AFTER_ABORT_MS = 200,
	LONG_MS = KAFKA_TRANSACTION_TIMEOUT_MS / 2, /* a message timed out */
};

static struct outcome *keep(struct loop *l, int kind, int32_t partition, int64_t offset,
			    const void *key, size_t key_len)
{
	struct outcome *o = xcalloc(1, sizeof *o + key_len + 1);

	o->kind = kind;
	o->partition = partition;
	o->offset = offset;
	o->key_len = key_len;
	if (key_len)
		memcpy(o->key, key, key_len);
	if (!l->outcomes)
		l->outcomes_end = &l->outcomes;
	*l->outcomes_end = o;
	l->outcomes_end = &o->next;
	l->outcome_count++;
	return o;
}

static void outcome_free(struct outcome *o)
{
	if (o->msg)
		rd_kafka_message_destroy(o->msg);
	free(o->missing);
	free(o);
}

void load_keep_state(struct loop *l, int32_t partition, const void *key, size_t key_len,
		     const struct loaded_entry *e)
{
	keep(l, OUTCOME_STATE, partition, WINDOW_LOOSE, key, key_len)->entry = *e;
}

void load_forget_state(struct loop *l, int32_t partition, const void *key, size_t key_len)
{
	keep(l, OUTCOME_FORGET, partition, WINDOW_LOOSE, key, key_len);
}

void load_dead_letter(struct loop *l, const struct window_item *slot, struct load_item *it,
		      const struct error *why)
{
	log_warn("rejected", "reason", why->reason, "error", why->text, "topic",
		 l->stage->self->input, "partition", log_int(slot->partition), "offset",
		 log_int(it->input_offset), "key", log_key(slot->key, slot->key_len), NULL);
	tally_add(&l->reasons, why->reason, 1);
	load_count(l, slot->partition, COUNT_REJECTED, 1);
	if (!it->msg)
		return; /* of a sweep: there is no record */
	struct outcome *o =
	    keep(l, OUTCOME_DEAD, slot->partition, slot->offset, slot->key, slot->key_len);
	o->msg = it->msg;
	o->why = *why;
	it->msg = NULL;
}

void load_keep_parked(struct loop *l, const struct window_item *slot, struct load_item *it,
		      uint32_t parent, const char *missing, int64_t since_ms)
{
	struct outcome *o =
	    keep(l, OUTCOME_PARK, slot->partition, slot->offset, slot->key, slot->key_len);
	o->msg = it->msg;
	o->parent = parent;
	o->missing = xstrdup(missing ? missing : "");
	o->since_ms = since_ms;
	o->says = load_change_of(it);
	it->msg = NULL;
}

void load_unpark(struct loop *l, int32_t partition, const void *key, size_t key_len)
{
	keep(l, OUTCOME_UNPARK, partition, WINDOW_LOOSE, key, key_len);
}

void load_drop_outcomes(struct loop *l, int32_t partition)
{
	struct outcome **at = &l->outcomes;

	while (*at) {
		struct outcome *o = *at;
		if (o->partition != partition) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		l->outcome_count--;
		outcome_free(o);
	}
	l->outcomes_end = at;
}

/* ---- one transaction -------------------------------------------------------------------------- */

/* @locality the application thread, inside rd_kafka_poll(producer) or a commit */
void load_on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque)
{
	struct loop *l = opaque;

	(void)rk;
	/* What is only thrown away with the transaction is not the cause. */
	if (msg->err && msg->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
	    msg->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT && !*l->refused_topic)
		snprintf(l->refused_topic, sizeof l->refused_topic, "%s",
			 rd_kafka_topic_name(msg->rkt));
	/* A parked record is found again by its place.  What was not written makes the
	 * transaction fail, which is where errors are seen. */
	if (!msg->err && l->parked && !strcmp(rd_kafka_topic_name(msg->rkt), l->parked_name))
		parked_located(l->parked, msg->key, msg->key_len, msg->offset);
}

static enum result produced(struct loop *l, rd_kafka_resp_err_t code)
{
	struct error err;

	if (!code)
		return OK;
	if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
		rd_kafka_poll(l->producer, 100);
		return RETRY;
	}
	error_restart(&err, "produce", "producing: %s", rd_kafka_err2str(code));
	return load_give_up(l, &err);
}

static rd_kafka_resp_err_t produce_state(struct loop *l, const struct outcome *o)
{
	struct loaded_record r = {o->entry, l->input_partitions, wall_now()};
	struct error err;
	bool tombstone = o->kind == OUTCOME_FORGET || o->kind == OUTCOME_UNPARK;

	if (!tombstone && loaded_encode(l->loaded_topic, &r, &l->encoded, &err) != OK)
		return RD_KAFKA_RESP_ERR__INVALID_ARG;
	const char *topic = o->kind == OUTCOME_UNPARK ? l->parked_name : l->loaded_name;
	void *value = tombstone ? NULL : l->encoded.data;
	size_t len = tombstone ? 0 : l->encoded.len;
	return rd_kafka_producev(
	    l->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(o->partition),
	    RD_KAFKA_V_KEY((void *)o->key, o->key_len), RD_KAFKA_V_VALUE(value, len),
	    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
}

static rd_kafka_resp_err_t produce_parked(struct loop *l, const struct outcome *o)
{
	char order[80];

	rd_kafka_headers_t *h = kafka_copy_times(o->msg);

	h = h ? h : rd_kafka_headers_new(5);
	rd_kafka_header_add(h, PARKED_PARENT, -1, log_int(o->parent), -1);
	rd_kafka_header_add(h, PARKED_MISSING, -1, o->missing, -1);
	rd_kafka_header_add(h, PARKED_SINCE, -1, log_int(o->since_ms), -1);
	rd_kafka_header_add(h, PARKED_OFFSET, -1, log_int(o->offset), -1);
	snprintf(order, sizeof order, "%" PRId64 " %" PRId64 " %" PRId64 " %d", o->says.epoch,
		 o->says.version, o->says.observed_ms, o->says.is_delete + o->says.tombstone);
	rd_kafka_header_add(h, PARKED_ORDER, -1, order, -1);
	/* A tombstone would end the waiting: a delete without a value waits as an empty one. */
	void *value = o->msg->payload ? o->msg->payload : (void *)"";
	rd_kafka_resp_err_t code = rd_kafka_producev(
	    l->producer, RD_KAFKA_V_TOPIC(l->parked_name), RD_KAFKA_V_PARTITION(o->partition),
	    RD_KAFKA_V_KEY((void *)o->key, o->key_len), RD_KAFKA_V_VALUE(value, o->msg->len),
	    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(h), RD_KAFKA_V_END);
	if (code)
		rd_kafka_headers_destroy(h);
	return code;
}

static rd_kafka_resp_err_t produce_dead(struct loop *l, const struct outcome *o)
{
	struct reject_origin from = {rd_kafka_topic_name(o->msg->rkt), o->partition,
				     o->msg->offset};
	return reject_produce(l->producer, l->stage->self->rejected, o->msg->key, o->msg->key_len,
			      o->msg->payload, o->msg->len, &from, &o->why, wall_now(),
			      kafka_copy_times(o->msg), NULL);
}

/* A dead letter of a record that the offsets do not cover yet would be there twice after a crash. */
static bool goes_out(struct loop *l, const struct outcome *o)
{
	return load_partition(l, o->partition)->ours &&
	       (o->kind != OUTCOME_DEAD || o->offset == WINDOW_LOOSE ||
		o->offset < window_position(l->window, o->partition));
}

static enum result produce_outcomes(struct loop *l, size_t *count)
{
	enum result r = OK;

	*count = 0;
	for (const struct outcome *o = l->outcomes; o && r == OK; o = o->next) {
		if (!goes_out(l, o))
			continue;
		do {
			r = produced(l, o->kind == OUTCOME_DEAD	  ? produce_dead(l, o)
					: o->kind == OUTCOME_PARK ? produce_parked(l, o)
								  : produce_state(l, o));
		} while (r == RETRY);
		++*count;
	}
	return r;
}

static void forget_outcomes(struct loop *l)
{
	struct outcome **at = &l->outcomes;

	while (*at) {
		struct outcome *o = *at;
		if (!goes_out(l, o)) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		l->outcome_count--;
		outcome_free(o);
	}
	l->outcomes_end = at;
}

/* How far the owner may send from now on.  With nothing outstanding and no more wanted the lease
 * is given back, so that a process that ends while it is idle leaves nothing in doubt. */
static int64_t lease(struct loop *l, int32_t id, int64_t position, mono_time now)
{
	struct partition *p = &l->partitions[id];
	int64_t more = (int64_t)l->window_max > LOAD_LEASE ? (int64_t)l->window_max : LOAD_LEASE;

	if (p->leaving) /* what is read and not sent is the next owner's */
		return window_busy_in(l->window, id) || p->in_doubt ? p->mark.ahead : position;
	if (!window_count_in(l->window, id) && now.ms - p->last_record.ms >= LOAD_IDLE_MS)
		return position;
	return (p->next > position ? p->next : position) + more;
}

static rd_kafka_topic_partition_list_t *to_commit(struct loop *l, mono_time now)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

	for (size_t i = 0; i < l->partition_count; i++) {
		struct partition *p = &l->partitions[i];
		int64_t at = window_position(l->window, (int32_t)i);
		char text[MARK_TEXT_MAX];
		if (!p->ours)
			continue;
		if (at < p->committed)
			at = p->committed; /* a sweep reads again what is behind */
		if (at < 0)
			continue;
		int64_t ahead = p->reading_ahead || p->held_until.ms
				    ? p->mark.ahead
				    : lease(l, (int32_t)i, at, now);
		if (ahead > at && ahead < p->mark.ahead)
			ahead = p->mark.ahead;
		if (at == p->committed && ahead == p->committed_ahead && !p->mark_changed)
			continue;
		/* Not moved, and the lease is long enough still. */
		if (at == p->committed && ahead > at && p->committed_ahead > p->next &&
		    !p->mark_changed && !window_held(l->window, (int32_t)i))
			continue;
		const struct window_item *lowest = window_lowest(l->window, (int32_t)i);
		const struct load_item *it = lowest ? lowest->payload : NULL;
		rd_kafka_timestamp_type_t type;
		p->mark.oldest_ms =
		    it && it->msg ? rd_kafka_message_timestamp(it->msg, &type) : wall_now().ms;
		p->mark.ahead = ahead;
		if (l->parked)
			p->mark.waiting = (int64_t)parked_count_in(l->parked, (int32_t)i);
		rd_kafka_topic_partition_t *e =
		    rd_kafka_topic_partition_list_add(list, l->stage->self->input, (int32_t)i);
		e->offset = at;
		e->metadata_size = mark_format(&p->mark, text);
		e->metadata = xstrndup(text, e->metadata_size);
	}
	return list;
}

bool load_commit_is_due(struct loop *l, mono_time now)
{
	if (now.ms - l->aborted_at.ms < AGAIN_AFTER_ABORT_MS)
		return false;
	return l->commit_now || now.ms - l->committed_at.ms >= LOAD_COMMIT_MS ||
	       l->outcome_count >= LOAD_OUTCOMES_MAX;
}

/* What was done cannot be written down: to go on would be to work for ever and never get on. */
static enum result refused(struct loop *l, const struct error *why)
{
	struct error err;
	char topics[3 * PIPELINE_NAME_MAX + 40];

	snprintf(topics, sizeof topics, "%s", l->refused_topic);
	if (!*topics) /* it was refused before a message was sent, and it is not said which */
		snprintf(topics, sizeof topics, "one of %s, %s, %s", l->stage->self->rejected,
			 l->loaded_name, l->parked_name);
	error_restart(
	    &err, why->reason,
	    "%s: what is done cannot be written to %s, so offsets stay where they are. "
	    "`tideway topics create` says what is wrong with topics; else it is the rights "
	    "of this user",
	    why->text, topics);
	return load_give_up(l, &err);
}

/* A topic that is gone looks as a broker does that is away: messages to it time out. */
static void look_for_topics(struct loop *l)
{
	const char *const topics[] = {l->stage->self->rejected, l->loaded_name, l->parked_name};
	struct error err;

	for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
		int n = 0;
		if (!*topics[i] || (i == 1 && !l->loader->memory) || (i == 2 && !l->parked))
			continue;
		if (kafka_partitions(l->watcher, topics[i], &n, &err) != OK)
			return;
		if (n)
			continue;
		error_restart(&err, TRANSACTION_REFUSED, "the topic %s is gone", topics[i]);
		snprintf(l->refused_topic, sizeof l->refused_topic, "%s", topics[i]);
		refused(l, &err);
		return;
	}
}

enum result load_commit(struct loop *l)
{
	mono_time now = mono_now();
	rd_kafka_topic_partition_list_t *offsets = to_commit(l, now);
	struct error err = {0};
	size_t count = 0;
	enum result r = OK;

	l->committed_at = now;
	l->commit_now = false;
	*l->refused_topic = 0;
	for (const struct outcome *o = l->outcomes; o && !count; o = o->next)
		count += goes_out(l, o);
	if (!count && !offsets->cnt) {
		rd_kafka_topic_partition_list_destroy(offsets);
		return OK;
	}
	r = transaction_begin(l->producer, &err);
	if (r == OK)
		r = produce_outcomes(l, &count);
	if (r == OK)
		r = transaction_commit(l->producer, l->consumer, offsets, &err);
	rd_kafka_poll(l->producer, 0); /* delivery reports: where parked records stand */
	if (r == OK) {
		for (int i = 0; i < offsets->cnt; i++) {
			struct partition *p = load_partition(l, offsets->elems[i].partition);
			p->committed = offsets->elems[i].offset;
			p->committed_ahead = p->mark.ahead;
			p->mark_changed = false;
		}
		l->committed++;
		forget_outcomes(l);
		load_set_limits(l, now);
	} else if (r == RETRY) {
		/* What was not committed gives no right to send. */
		for (int i = 0; i < offsets->cnt; i++) {
			struct partition *p = load_partition(l, offsets->elems[i].partition);
			p->mark.ahead = p->committed_ahead;
		}
		l->aborted++;
		l->aborted_at = now;
		log_info("transaction aborted", "why", err.text, NULL);
		if (mono_now().ms - now.ms > LONG_MS)
			look_for_topics(l);
	} else if (!strcmp(err.reason, TRANSACTION_REFUSED)) {
		refused(l, &err);
	} else {
		load_give_up(l, &err);
	}
	rd_kafka_topic_partition_list_destroy(offsets);
	return r;
}
