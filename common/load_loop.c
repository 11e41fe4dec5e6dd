/* load_loop.c - see load_loop.h.
 *
 * A message becomes an item in the window; ready items are taken into a job; a job is one request
 * in flight, waiting for its turn to be sent again, or open (a batch that still fills).  When a
 * partition is taken away: nothing new is sent, what is in flight is waited for (bounded), the
 * position is committed, the rest is forgotten for the next owner to do.
 */
#include "load_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "log.h"
#include "reject.h"
#include "window.h"

enum {
	COMMIT_MS = 500,
	REPORT_MS = 10000,
	DRAIN_MS = 10000,
	REJOIN_MS = 3000, /* longest silence after a revocation */
	LINGER_MS = 100,  /* how long a batch waits to be filled */
	POLL_AT_LEAST_MS = 1000,
	WINDOW_MIN = 500,
	/* Records of a partition that may be done behind one that is not: a kill repeats them. */
	SPAN_MAX = 10000,
};

/* The payload of a window item. */
struct item {
	rd_kafka_message_t *msg; /* kept for the dead letter */
	struct load_record r;
	const struct loader *loader;
	struct error *why; /* rejected before it was ever sent */
};

struct job {
	struct job *next;
	struct load_job pub;
	struct window_item **slots; /* beside pub.records */
	unsigned group;
	mono_time due; /* waiting: when to send again; open: when to send at the latest */
};

struct partition {
	bool ours, full; /* full: paused, until the record that holds it up is done */
	int64_t committed;
};

struct loop {
	struct stage *stage;
	const struct loader *loader;
	void *state;
	rd_kafka_t *consumer, *producer;
	struct window *window;
	size_t window_max, batch_max;
	struct job *open[LOAD_GROUPS];
	struct job *waiting;
	size_t in_flight, dead_letters;
	int wake[2]; /* librdkafka writes, curl_multi_poll reads */
	rd_kafka_message_t *stalled;
	mono_time stalled_until;
	unsigned stall_attempt;
	uint32_t seed;
	struct partition *partitions;
	size_t partition_count;
	bool paused;
	mono_time polled, committed_at, reported;
	/* After a revocation librdkafka assigns what stays, joins once more a second later, and
	 * assigns again.  A commit that meets the new generation before we know it makes us lose
	 * all partitions, so none goes out until then, or until quiet_until. */
	int assigns_awaited;
	mono_time quiet_until;
	enum result broken;
	struct error err;
	int64_t records, requests, rejected, retries;
};

static struct partition *partition_of(struct loop *l, int32_t id)
{
	size_t need = (size_t)id + 1;
	if (l->partition_count < need) {
		l->partitions = xrealloc(l->partitions, need * sizeof *l->partitions);
		for (size_t i = l->partition_count; i < need; i++)
			l->partitions[i] = (struct partition){.committed = -1};
		l->partition_count = need;
	}
	return &l->partitions[id];
}

static void item_free(void *payload)
{
	struct item *it = payload;
	if (it->r.record)
		it->loader->release(it->r.record);
	rd_kafka_message_destroy(it->msg);
	free(it->why);
	free(it);
}

static enum result give_up(struct loop *l, const struct error *err)
{
	if (l->broken == OK) {
		l->err = *err;
		l->broken = FATAL;
	}
	return FATAL;
}

/* ---- jobs ------------------------------------------------------------------------------------- */

static struct job *job_new(size_t room, unsigned group)
{
	struct job *j = xcalloc(1, sizeof *j);
	j->pub.records = xcalloc(room, sizeof *j->pub.records);
	j->slots = xcalloc(room, sizeof *j->slots);
	j->group = group;
	return j;
}

static void job_free(struct job *j)
{
	free(j->pub.records);
	free(j->slots);
	free(j);
}

static void job_add(struct job *j, struct window_item *slot)
{
	j->slots[j->pub.count] = slot;
	j->pub.records[j->pub.count++] = ((struct item *)slot->payload)->r.record;
}

static void job_done(struct loop *l, struct job *j)
{
	for (size_t i = 0; i < j->pub.count; i++)
		item_free(window_done(l->window, j->slots[i]));
	l->records += (int64_t)j->pub.count;
	job_free(j);
}

static void wait_again(struct loop *l, struct job *j, mono_time now, const struct error *err)
{
	int64_t ms = stage_backoff_ms(++j->pub.attempt, &l->seed);

	if (mono_until(now, err->not_before) > ms)
		ms = mono_until(now, err->not_before);
	/* Once an attempt and job would flood the log when the target is down. */
	if (j->pub.attempt == 1 || j->pub.attempt % 8 == 0)
		stage_log_error("waiting", RETRY, err);
	l->retries++;
	j->due = mono_add(now, ms);
	j->next = l->waiting;
	l->waiting = j;
}

/* Records whose partition was given up while they were out are the next owner's: whatever the answer
 * was, they are not sent again, or an old version would follow a newer one.  False: nothing is left
 * of the job, and it is freed. */
static bool job_drop_orphans(struct loop *l, struct job *j)
{
	size_t kept = 0;

	for (size_t i = 0; i < j->pub.count; i++) {
		if (j->slots[i]->orphan) {
			item_free(window_done(l->window, j->slots[i]));
			continue;
		}
		j->slots[kept] = j->slots[i];
		j->pub.records[kept++] = j->pub.records[i];
	}
	j->pub.count = kept;
	if (!kept)
		job_free(j);
	return kept > 0;
}

static void send_job(struct loop *l, struct job *j, mono_time now)
{
	struct http_request req = {0};
	struct error err = {0};
	enum result r = l->loader->request(l->state, &j->pub, &req, &err);

	if (r == OK) {
		http_start(l->stage->http, &req, j);
		l->in_flight++;
		l->requests++;
	} else if (r == RETRY) {
		wait_again(l, j, now, &err);
	} else {
		give_up(l, &err);
		wait_again(l, j, now, &err); /* so that it is freed with the others */
	}
}

/* The records of a job that was refused: one becomes a dead letter, more are halved. */
static void dead_letter(struct loop *l, struct window_item *slot, const struct error *why)
{
	struct item *it = slot->payload;
	struct reject_origin from = {l->stage->self->input, slot->partition, slot->offset};

	log_warn("rejected", "reason", why->reason, "error", why->text, "topic", from.topic,
		 "partition", log_int(slot->partition), "offset", log_int(slot->offset), "key",
		 log_key(it->msg->key, it->msg->key_len), NULL);
	l->rejected++;
	for (;;) {
		rd_kafka_resp_err_t code =
		    reject_produce(l->producer, l->stage->self->rejected, it->msg->key,
				   it->msg->key_len, it->msg->payload, it->msg->len, &from, why,
				   wall_now(), kafka_copy_times(it->msg), slot);
		if (!code) {
			l->dead_letters++;
			return; /* done when its delivery report is in */
		}
		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			struct error err;
			error_restart(&err, "produce", "producing a dead letter: %s",
				      rd_kafka_err2str(code));
			give_up(l, &err);
			return;
		}
		rd_kafka_poll(l->producer, 100);
	}
}

/* @locality the application thread, inside rd_kafka_poll(producer) */
static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque)
{
	struct loop *l = opaque;
	struct error err;

	(void)rk;
	l->dead_letters--;
	if (msg->err) {
		error_restart(&err, "produce", "a dead letter was not written: %s",
			      rd_kafka_err2str(msg->err));
		give_up(l, &err);
		return;
	}
	item_free(window_done(l->window, msg->_private));
}

static void refused(struct loop *l, struct job *j, mono_time now, const struct error *why)
{
	size_t half = j->pub.count / 2;

	if (j->pub.count == 1) {
		dead_letter(l, j->slots[0], why);
		job_free(j);
		return;
	}
	struct job *second = job_new(j->pub.count - half, j->group);
	for (size_t i = half; i < j->pub.count; i++)
		job_add(second, j->slots[i]);
	j->pub.count = half;
	j->pub.attempt = second->pub.attempt = 0;
	log_info("batch halved", "reason", why->reason, "records", log_int((int64_t)half), NULL);
	send_job(l, j, now);
	send_job(l, second, now);
}

static void answered(struct loop *l, struct job *j, const struct http_response *res, mono_time now)
{
	struct error err = {0};
	bool again = false;
	enum result r = l->loader->answer(l->state, &j->pub, res, now, &again, &err);

	l->in_flight--;
	if ((r != OK || again) && !job_drop_orphans(l, j)) {
		if (r == FATAL)
			give_up(l, &err);
		return;
	}
	switch (r) {
	case OK:
		if (again)
			send_job(l, j, now);
		else
			job_done(l, j);
		break;
	case RETRY:
		wait_again(l, j, now, &err);
		break;
	case REJECT:
		refused(l, j, now, &err);
		break;
	case FATAL:
		give_up(l, &err);
		wait_again(l, j, now, &err);
		break;
	}
}

static void take_answers(struct loop *l)
{
	struct http_response *res;
	void *tag;

	while ((res = http_next(l->stage->http, &tag)))
		answered(l, tag, res, mono_now());
	rd_kafka_poll(l->producer, 0);
}

static void send_due(struct loop *l, mono_time now)
{
	size_t limit = (size_t)l->stage->flow->max_in_flight;

	for (struct job **at = &l->waiting; *at && l->in_flight < limit && l->broken == OK;) {
		struct job *j = *at;
		if (mono_until(now, j->due)) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		send_job(l, j, now);
		at = &l->waiting; /* sending may have changed the list */
		if (l->waiting == j)
			break;
	}
}

/* Ready items go into open jobs; a job goes out when it is full or has waited long enough. */
static void send_ready(struct loop *l, mono_time now)
{
	size_t limit = (size_t)l->stage->flow->max_in_flight;
	struct window_item *slot;

	while (l->in_flight < limit && l->broken == OK && (slot = window_take(l->window))) {
		struct item *it = slot->payload;
		if (it->why) {
			dead_letter(l, slot, it->why);
			continue;
		}
		unsigned group = it->r.group;
		struct job *j = l->open[group];
		if (!j) {
			j = l->open[group] = job_new(l->batch_max, group);
			j->due = mono_add(now, l->loader->batches ? LINGER_MS : 0);
		}
		job_add(j, slot);
		if (j->pub.count == l->batch_max) {
			l->open[group] = NULL;
			send_job(l, j, now);
		}
	}
	for (unsigned g = 0; g < LOAD_GROUPS && l->in_flight < limit && l->broken == OK; g++)
		if (l->open[g] && !mono_until(now, l->open[g]->due)) {
			struct job *j = l->open[g];
			l->open[g] = NULL;
			send_job(l, j, now);
		}
}

/* Takes a partition's items out of a job that is not in flight. False: nothing is left. */
static bool job_release_partition(struct loop *l, struct job *j, int32_t partition)
{
	size_t kept = 0;

	for (size_t i = 0; i < j->pub.count; i++) {
		if (j->slots[i]->partition == partition && !j->slots[i]->orphan) {
			window_untake(l->window, j->slots[i]);
			continue;
		}
		j->slots[kept] = j->slots[i];
		j->pub.records[kept++] = j->pub.records[i];
	}
	j->pub.count = kept;
	return kept > 0;
}

static void release_partition(struct loop *l, int32_t partition)
{
	for (unsigned g = 0; g < LOAD_GROUPS; g++)
		if (l->open[g] && !job_release_partition(l, l->open[g], partition)) {
			job_free(l->open[g]);
			l->open[g] = NULL;
		}
	for (struct job **at = &l->waiting; *at;) {
		struct job *j = *at;
		if (job_release_partition(l, j, partition)) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		job_free(j);
	}
}

/* ---- positions -------------------------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *to_commit(struct loop *l)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

	for (size_t i = 0; i < l->partition_count; i++) {
		int64_t at = window_position(l->window, (int32_t)i);
		if (!l->partitions[i].ours || at < 0 || at <= l->partitions[i].committed)
			continue;
		rd_kafka_topic_partition_list_add(list, l->stage->self->input, (int32_t)i)->offset =
		    at;
		l->partitions[i].committed = at;
	}
	return list;
}

/* @locality the application thread, inside rd_kafka_consumer_poll */
static void on_committed(rd_kafka_t *rk, rd_kafka_resp_err_t code,
			 rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
	struct loop *l = opaque;

	(void)rk;
	if (!code)
		return;
	log_warn("commit failed", "error", rd_kafka_err2str(code), NULL);
	for (int i = 0; offsets && i < offsets->cnt; i++) /* try again with the next one */
		partition_of(l, offsets->elems[i].partition)->committed = -1;
}

static void commit(struct loop *l, bool wait)
{
	rd_kafka_topic_partition_list_t *offsets = to_commit(l);

	if (offsets->cnt && wait) {
		rd_kafka_resp_err_t code = rd_kafka_commit(l->consumer, offsets, 0);
		if (code)
			on_committed(l->consumer, code, offsets, l);
	} else if (offsets->cnt) {
		rd_kafka_commit_queue(l->consumer, offsets, NULL, on_committed, l);
	}
	rd_kafka_topic_partition_list_destroy(offsets);
	l->committed_at = mono_now();
}

/* Waits until nothing of these partitions is in flight. NULL: of any. */
static void drain(struct loop *l, const rd_kafka_topic_partition_list_t *partitions, int64_t ms)
{
	mono_time until = mono_add(mono_now(), ms);

	while (mono_until(mono_now(), until) && l->broken == OK) {
		size_t busy = 0;
		for (int i = 0; partitions && i < partitions->cnt; i++)
			busy += window_busy_in(l->window, partitions->elems[i].partition);
		if (!partitions)
			busy = l->in_flight + l->dead_letters;
		if (!busy)
			return;
		http_wait(l->stage->http, -1, 50);
		take_answers(l);
		/* An answer may have put a job among the waiting: it is the next owner's. */
		for (int i = 0; partitions && i < partitions->cnt; i++)
			release_partition(l, partitions->elems[i].partition);
		if (!partitions)
			for (size_t i = 0; i < l->partition_count; i++)
				release_partition(l, (int32_t)i);
	}
	if (l->broken == OK)
		log_warn("requests still in flight are left to the next owner", NULL);
}

static void assigned(struct loop *l, rd_kafka_topic_partition_list_t *partitions)
{
	rd_kafka_resp_err_t code = stage_positions(l->consumer, partitions);
	struct error err;

	l->assigns_awaited -= l->assigns_awaited > 0;
	if (code) {
		error_restart(&err, "positions", "reading committed offsets: %s",
			      rd_kafka_err2str(code));
		give_up(l, &err);
	}
	for (int i = 0; i < partitions->cnt; i++) {
		const rd_kafka_topic_partition_t *p = &partitions->elems[i];
		*partition_of(l, p->partition) =
		    (struct partition){.ours = true, .committed = p->offset >= 0 ? p->offset : -1};
	}
	rd_kafka_error_t *e = rd_kafka_incremental_assign(l->consumer, partitions);
	if (e)
		rd_kafka_error_destroy(e);
	if (l->paused)
		rd_kafka_pause_partitions(l->consumer, partitions);
	log_info("partitions assigned", "count", log_int(partitions->cnt), NULL);
}

static void revoked(struct loop *l, rd_kafka_topic_partition_list_t *partitions)
{
	bool lost = rd_kafka_assignment_lost(l->consumer);

	for (int i = 0; i < partitions->cnt; i++)
		release_partition(l, partitions->elems[i].partition);
	if (!lost) {
		/* Every request has an end by then, so the next owner meets none of ours. */
		drain(l, partitions, l->stage->flow->request_timeout_ms + DRAIN_MS);
		commit(l, true);
	}
	for (int i = 0; i < partitions->cnt; i++) {
		int32_t id = partitions->elems[i].partition;
		if (l->stalled && l->stalled->partition == id) {
			rd_kafka_message_destroy(l->stalled);
			l->stalled = NULL;
		}
		partition_of(l, id)->ours = false;
		window_drop(l->window, id, item_free);
	}
	l->assigns_awaited = 2;
	l->quiet_until = mono_add(mono_now(), REJOIN_MS);
	rd_kafka_error_t *e = rd_kafka_incremental_unassign(l->consumer, partitions);
	if (e)
		rd_kafka_error_destroy(e);
	log_info(lost ? "partitions lost" : "partitions revoked", "count", log_int(partitions->cnt),
		 NULL);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
			 rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	(void)rk;
	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		assigned(opaque, partitions);
	else
		revoked(opaque, partitions);
}

/* ---- intake ----------------------------------------------------------------------------------- */

static void accept_record(struct loop *l, rd_kafka_message_t *m)
{
	struct item it = {.msg = m, .loader = l->loader};
	struct error err = {0};
	struct window_item *last = window_last_of_key(l->window, m->key, m->key_len);

	/* The tombstone behind a delete only lets compaction forget the key. */
	if (!m->payload && last && ((struct item *)last->payload)->r.is_delete) {
		window_add_done(l->window, m->partition, m->offset);
		rd_kafka_message_destroy(m);
		return;
	}
	enum result r = l->loader->prepare(l->state, m, &it.r, &err);
	if (r == RETRY) {
		stage_log_error("waiting", r, &err);
		l->stalled = m;
		l->stalled_until =
		    mono_add(mono_now(), stage_backoff_ms(++l->stall_attempt, &l->seed));
		return;
	}
	l->stall_attempt = 0;
	if (r == OK && !it.r.record) {
		window_add_done(l->window, m->partition, m->offset);
		rd_kafka_message_destroy(m);
		return;
	}
	struct item *payload = xmalloc(sizeof *payload);
	*payload = it;
	window_add(l->window, m->partition, m->offset, m->key, m->key_len, payload);
	if (r == FATAL) {
		give_up(l, &err);
	} else if (r == REJECT) { /* becomes a dead letter when it is its key's turn */
		payload->why = xmalloc(sizeof err);
		*payload->why = err;
	}
}

static enum result read_error(struct loop *l, const rd_kafka_message_t *m)
{
	switch (m->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		if (partition_of(l, m->partition)->ours)
			window_end(l->window, m->partition, m->offset);
		return OK;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		return error_config(&l->err, "offset-lost",
				    "%s, partition %d: the committed offset is not in the topic "
				    "any more, so records were lost before they were read; "
				    "`tideway replay` says where to go on",
				    l->stage->self->input, m->partition);
	case RD_KAFKA_RESP_ERR__FATAL:
		return error_restart(&l->err, "fenced", "consumer: %s", rd_kafka_message_errstr(m));
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		return error_config(&l->err, "authorization", "consumer: %s",
				    rd_kafka_message_errstr(m));
	default:
		log_warn("consumer", "error", rd_kafka_message_errstr(m), NULL);
		return OK;
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
	rd_kafka_topic_partition_list_t *mine;

	if (l->paused == pause || rd_kafka_assignment(l->consumer, &mine))
		return;
	if (pause)
		rd_kafka_pause_partitions(l->consumer, mine);
	else
		rd_kafka_resume_partitions(l->consumer, mine);
	rd_kafka_topic_partition_list_destroy(mine);
	l->paused = pause;
	for (size_t i = 0; !pause && i < l->partition_count; i++)
		if (l->partitions[i].ours && l->partitions[i].full)
			pause_one(l, (int32_t)i, true);
}

/* One record that cannot be written holds its partition's position up.  What is done behind it is
 * bounded: memory is, and what a kill would repeat. */
static void bound_spans(struct loop *l)
{
	for (size_t i = 0; i < l->partition_count; i++) {
		struct partition *p = &l->partitions[i];
		size_t span = window_span(l->window, (int32_t)i);
		if (!p->ours || (p->full ? span > SPAN_MAX / 2 : span < SPAN_MAX))
			continue;
		p->full = !p->full;
		if (p->full || !l->paused)
			pause_one(l, (int32_t)i, p->full);
		if (p->full)
			log_warn("partition waits for a record", "partition", log_int((int64_t)i),
				 "offset", log_int(window_position(l->window, (int32_t)i)), NULL);
	}
}

static bool has_room(const struct loop *l)
{
	return !l->stalled && window_count(l->window) < l->window_max;
}

/* Drains librdkafka's queue as far as there is room (its descriptor is edge-triggered).  Without
 * room for long, partitions are paused and the queue is polled all the same: a member that does
 * not poll loses its place in the group. */
static enum result take_messages(struct loop *l)
{
	enum result r = OK;
	mono_time now = mono_now();

	if (l->stalled && !mono_until(now, l->stalled_until)) {
		rd_kafka_message_t *m = l->stalled;
		l->stalled = NULL;
		accept_record(l, m);
	}
	if (!has_room(l)) {
		if (now.ms - l->polled.ms < POLL_AT_LEAST_MS)
			return OK;
		pause_all(l, true);
	} else if (l->paused && window_count(l->window) < l->window_max / 2) {
		pause_all(l, false);
	}
	l->polled = now;
	for (int i = 0; r == OK && (i == 0 || has_room(l)) && l->broken == OK; i++) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(l->consumer, 0);
		if (!m)
			break;
		if (m->err) {
			r = read_error(l, m);
			rd_kafka_message_destroy(m);
		} else if (!partition_of(l, m->partition)->ours) {
			rd_kafka_message_destroy(m); /* revoked: the next owner reads it */
		} else if (l->stalled) {
			/* Paused partitions give nothing; were it ever so, a restart reads it again. */
			r = error_restart(&l->err, "paused",
					  "a record came from a paused partition");
			rd_kafka_message_destroy(m);
		} else {
			accept_record(l, m);
		}
	}
	return r;
}

static int64_t next_wait(const struct loop *l, mono_time now)
{
	int64_t ms = COMMIT_MS;

	if (l->dead_letters)
		ms = 20;
	for (const struct job *j = l->waiting; j; j = j->next)
		if (mono_until(now, j->due) < ms)
			ms = mono_until(now, j->due);
	for (unsigned g = 0; g < LOAD_GROUPS; g++)
		if (l->open[g] && mono_until(now, l->open[g]->due) < ms)
			ms = mono_until(now, l->open[g]->due);
	/* Due but over the limit of requests in flight: an answer will wake us. */
	return ms == 0 && l->in_flight >= (size_t)l->stage->flow->max_in_flight ? COMMIT_MS : ms;
}

static void report(struct loop *l, mono_time now)
{
	if (now.ms - l->reported.ms < REPORT_MS)
		return;
	l->reported = now;
	log_info("progress", "records", log_int(l->records), "requests", log_int(l->requests),
		 "in_flight", log_int((int64_t)l->in_flight), "outstanding",
		 log_int((int64_t)window_count(l->window)), "rejected", log_int(l->rejected),
		 "retries", log_int(l->retries), NULL);
}

static void empty_pipe(int fd)
{
	char bytes[256];
	while (read(fd, bytes, sizeof bytes) > 0)
		;
}

static enum result run_loop(struct loop *l)
{
	enum result r = OK;

	while (r == OK && !stage_stop && l->broken == OK) {
		r = take_messages(l);
		mono_time now = mono_now();
		send_due(l, now);
		send_ready(l, now);
		http_wait(l->stage->http, l->wake[0], next_wait(l, mono_now()));
		empty_pipe(l->wake[0]);
		take_answers(l);
		bound_spans(l);
		now = mono_now();
		if (now.ms - l->committed_at.ms >= COMMIT_MS &&
		    (!l->assigns_awaited || !mono_until(now, l->quiet_until)))
			commit(l, false);
		report(l, now);
	}
	if (r == OK && l->broken == OK) {
		for (size_t i = 0; i < l->partition_count; i++)
			release_partition(l, (int32_t)i);
		drain(l, NULL, DRAIN_MS);
		commit(l, true);
	}
	return l->broken != OK ? l->broken : r;
}

/* ---- main ------------------------------------------------------------------------------------- */

static enum result start(struct loop *l, struct error *err)
{
	struct stage *s = l->stage;
	struct kafka_callbacks reading = {
	    .log = stage_log_kafka, .rebalance = on_rebalance, .opaque = l};
	struct kafka_callbacks writing = {
	    .log = stage_log_kafka, .delivered = on_delivered, .opaque = l};

	if (pipe2(l->wake, O_CLOEXEC | O_NONBLOCK))
		return error_restart(err, "pipe", "%s", strerror(errno));
	l->consumer = kafka_consumer(s->config, s->self->group, s->instance, &reading, err);
	if (!l->consumer)
		return FATAL;
	l->producer = kafka_producer(s->config, s->self->group, NULL, &writing, err);
	if (!l->producer)
		return FATAL;
	enum result r = stage_require_topics(s, l->producer, err);
	if (r != OK)
		return r;
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(l->consumer);
	rd_kafka_queue_io_event_enable(queue, l->wake[1], "1", 1);
	rd_kafka_queue_destroy(queue);
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, s->self->input, RD_KAFKA_PARTITION_UA);
	rd_kafka_resp_err_t code = rd_kafka_subscribe(l->consumer, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	if (code)
		return error_restart(err, "subscribe", "%s", rd_kafka_err2str(code));
	log_info("started", "input", s->self->input, NULL);
	return OK;
}

static void free_jobs(struct loop *l)
{
	for (unsigned g = 0; g < LOAD_GROUPS; g++)
		if (l->open[g])
			job_free(l->open[g]);
	for (struct job *j = l->waiting, *next; j; j = next) {
		next = j->next;
		job_free(j);
	}
}

static enum result run(struct stage *s, void *arg, struct error *err)
{
	struct loop l = {.stage = s, .loader = arg, .window = window_new(), .wake = {-1, -1}};
	enum result r;

	l.batch_max = l.loader->batches ? (size_t)s->flow->batch_size : 1;
	l.window_max = 2 * l.batch_max * (size_t)s->flow->max_in_flight;
	if (l.window_max < WINDOW_MIN)
		l.window_max = WINDOW_MIN;
	l.seed = (uint32_t)wall_now().ms;
	l.polled = l.committed_at = l.reported = mono_now();
	r = l.loader->open(s, &l.state, err);
	if (r == OK)
		r = start(&l, err);
	if (r == OK && (r = run_loop(&l)) != OK)
		*err = l.err;
	if (l.consumer) {
		rd_kafka_consumer_close(l.consumer);
		rd_kafka_destroy(l.consumer);
	}
	if (l.stalled)
		rd_kafka_message_destroy(l.stalled);
	free_jobs(&l);
	window_free(l.window, item_free);
	if (l.producer)
		rd_kafka_destroy(l.producer);
	for (int i = 0; i < 2; i++)
		if (l.wake[i] >= 0)
			close(l.wake[i]);
	free(l.partitions);
	log_info("counts", "records", log_int(l.records), "requests", log_int(l.requests),
		 "rejected", log_int(l.rejected), "retries", log_int(l.retries), NULL);
	if (l.state)
		l.loader->close(l.state);
	return r;
}

int load_main(int argc, char **argv, const struct loader *l)
{
	struct stage_program p = {.name = l->program,
				  .position = STAGE_LOAD,
				  .synopsis = l->synopsis,
				  .run = run,
				  .arg = (void *)l};
	return stage_main(argc, argv, &p);
}
