/* load_loop.c - see load_loop.h.
 *
 * A message becomes an item in the window; ready items are taken into a job, when the target does
 * not have what they say already; a job is a request.  What is finished is committed every half
 * second, with the offsets (load_commit.c).  Nothing is sent at or above what the last commit
 * announced: so the next owner knows how far it must read before it writes (load_group.c).
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "arena.h"
#include "log.h"
#include "transaction.h"

enum {
	REPORT_MS = 10000,
	HOUR_MS = 3600000,
	WINDOW_MIN = 1000,
	MESSAGES_AT_ONCE = 1000,
	SPAN_MAX = 10000,
	OPEN_TRIES = 10,
};

struct partition *load_partition(struct loop *l, int32_t id)
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

void load_item_free(void *payload)
{
	struct load_item *it = payload;
	if (it->r.record)
		it->loader->release(it->r.record);
	if (it->msg)
		rd_kafka_message_destroy(it->msg);
	free(it->why);
	free(it);
}

enum result load_give_up(struct loop *l, const struct error *err)
{
	if (l->broken == OK) {
		l->err = *err;
		l->broken = FATAL;
	}
	return FATAL;
}

void load_count(struct loop *l, int32_t partition, enum load_count what, int64_t n)
{
	struct partition *p = load_partition(l, partition);

	l->counts[what] += n;
	if (p->ours)
		mark_count(&p->mark, what, n, wall_now().ms);
}

void load_tick(void *loop)
{
	struct loop *l = loop;

	http_wait(l->stage->http, -1, 0);
	load_take_answers(l);
}

/* ---- intake ----------------------------------------------------------------------------------- */

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
	    before->why || it->why || !l->loader->merge)
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

static void accept_record(struct loop *l, rd_kafka_message_t *m)
{
	struct load_item it;
	struct window_item *last = window_last_of_key(l->window, m->key, m->key_len);

	/* The tombstone behind a delete only lets compaction forget the key. */
	if (!m->payload && last && ((struct load_item *)last->payload)->r.is_delete) {
		window_add_done(l->window, m->partition, m->offset);
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
 * bounded: a kill makes it be read again. */
static void bound_spans(struct loop *l)
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
static bool has_room(const struct loop *l)
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
static enum result take_messages(struct loop *l)
{
	enum result r = OK;
	mono_time now = mono_now();
	bool drained = false;

	if (l->stalled && !mono_until(now, l->stalled_until)) {
		rd_kafka_message_t *m = l->stalled;
		l->stalled = NULL;
		accept_record(l, m);
	}
	if (!has_room(l)) {
		if (now.ms - l->polled.ms < LOAD_POLL_AT_LEAST_MS)
			return OK;
		pause_all(l, true);
	} else if (l->paused && (window_count(l->window) < l->window_max / 2 || has_room(l))) {
		pause_all(l, false);
	}
	l->polled = now;
	for (int i = 0; r == OK && (i == 0 || has_room(l)) && l->broken == OK; i++) {
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

/* ---- reports ---------------------------------------------------------------------------------- */

/* In milliseconds; -1: nothing was written. */
static int64_t percentile(const struct loop *l, int percent)
{
	int64_t all = 0, n = 0;
	double edge = 1;

	for (size_t i = 0; i < LOAD_LATENCIES; i++)
		all += l->latency[i];
	for (size_t i = 0; all && i < LOAD_LATENCIES; i++, edge *= 1.0905) {
		n += l->latency[i];
		if (n * 100 >= all * percent)
			return (int64_t)edge;
	}
	return -1;
}

static void report_counts(struct loop *l, const char *msg, const int64_t *counts)
{
	log_info(msg, "records", log_int(l->records), "created", log_int(counts[COUNT_CREATED]),
		 "updated", log_int(counts[COUNT_UPDATED]), "deleted",
		 log_int(counts[COUNT_DELETED]), "unchanged", log_int(counts[COUNT_UNCHANGED]),
		 "older", log_int(counts[COUNT_OLDER]), "coalesced",
		 log_int(counts[COUNT_COALESCED]), "parked", log_int(counts[COUNT_PARKED]),
		 "rejected", log_int(counts[COUNT_REJECTED]), "requests",
		 log_int(counts[COUNT_CALLS]), "retries", log_int(l->retries), "unknown_answers",
		 log_int(l->unknown), "quota_answers", log_int(l->governor.quota_answers), NULL);
}

static void report(struct loop *l, mono_time now)
{
	if (l->governor.breaker == BREAKER_OPEN && !l->breaker_told)
		log_warn("the target is away: paused", "for_ms", log_int(l->governor.open_ms),
			 NULL);
	if (l->breaker_told && l->governor.breaker == BREAKER_CLOSED)
		log_info("the target is back", NULL);
	l->breaker_told = l->governor.breaker != BREAKER_CLOSED;
	if (now.ms - l->hour_reported.ms >= HOUR_MS) {
		int64_t hour[LOAD_COUNTS];
		for (int i = 0; i < LOAD_COUNTS; i++) {
			hour[i] = l->counts[i] - l->hour_counts[i];
			l->hour_counts[i] = l->counts[i];
		}
		report_counts(l, "hour", hour);
		l->hour_reported = now;
	}
	if (now.ms - l->reported.ms < REPORT_MS)
		return;
	l->reported = now;
	report_counts(l, "progress", l->counts);
	log_info("load", "in_flight", log_int((int64_t)l->in_flight), "outstanding",
		 log_int((int64_t)window_count(l->window)), "waiting_for_parents",
		 log_int(l->parked ? (int64_t)parked_count(l->parked) : 0), "window",
		 log_int((int64_t)l->governor.window), "pace", log_int((int64_t)l->governor.pace),
		 NULL);
}

static void report_end(struct loop *l)
{
	report_counts(l, "counts", l->counts);
	log_info("latency", "p50_ms", log_int(percentile(l, 50)), "p99_ms",
		 log_int(percentile(l, 99)), NULL);
	for (size_t i = 0; i < LOAD_CALLS && l->calls[i].name; i++)
		log_info("calls", "kind", l->calls[i].name, "count", log_int(l->calls[i].n), NULL);
	for (size_t i = 0; i < LOAD_REASONS && *l->reasons[i].reason; i++)
		log_info("rejected in all", "reason", l->reasons[i].reason, "count",
			 log_int(l->reasons[i].n), NULL);
}

/* ---- the loop --------------------------------------------------------------------------------- */

static void empty_pipe(int fd)
{
	char bytes[256];
	while (read(fd, bytes, sizeof bytes) > 0)
		;
}

/* A process that was stopped for longer than its session lasts may have lost its partitions
 * without knowing yet: it sends nothing before a heartbeat had the time to tell. */
static void notice_a_freeze(struct loop *l, mono_time now)
{
	int64_t session =
	    strtoll(config_kafka(l->stage->config, "session.timeout.ms", "6000"), NULL, 10);

	if (now.ms - l->turned.ms > session && l->turned.ms) {
		log_warn("the process stood still", "ms", log_int(now.ms - l->turned.ms), NULL);
		for (size_t i = 0; i < l->partition_count; i++)
			if (l->partitions[i].ours)
				l->partitions[i].held_until = mono_add(now, session);
	}
	l->turned = now;
}

static enum result run_loop(struct loop *l)
{
	enum result r = OK;

	while (r == OK && !stage_stop && l->broken == OK) {
		r = take_messages(l);
		mono_time now = mono_now();
		notice_a_freeze(l, now);
		load_set_limits(l, now);
		load_send(l, now);
		load_park_turn(l, now);
		if (load_commit_is_due(l, now) && l->broken == OK) {
			load_commit(l);
			load_send(l, mono_now());
		}
		/* The queue's descriptor tells of what comes, not of what was left in it. */
		int64_t wait = l->drained || !has_room(l) ? load_next_wait(l, mono_now()) : 0;
		http_wait(l->stage->http, l->wake[0], wait);
		empty_pipe(l->wake[0]);
		load_take_answers(l);
		bound_spans(l);
		report(l, mono_now());
	}
	for (size_t i = 0; i < l->partition_count; i++)
		l->partitions[i].leaving = true;
	if (r == OK && l->broken == OK) {
		load_drain(l, NULL);
		while (l->broken == OK && load_commit(l) == RETRY)
			http_wait(l->stage->http, -1, 50);
	}
	return l->broken != OK ? l->broken : r;
}

/* ---- main ------------------------------------------------------------------------------------- */

static enum result open_memory(struct loop *l, struct error *err)
{
	const struct stage *s = l->stage;
	int have = 0;

	l->parent_count = l->loader->parents ? l->loader->parents(l->state, l->parents) : 0;
	for (size_t i = 0; i < l->parent_count; i++)
		pipeline_loaded(s->config, l->parents[i], l->parent_topics[i]);
	enum result r = kafka_partitions(l->watcher, s->self->input, &l->input_partitions, err);
	if (r != OK || !(l->loader->memory || l->loader->parks))
		return r;
	const char *resource = s->flow->resource ? s->flow->resource : PIPELINE_ACTIVITY;
	pipeline_loaded(s->config, resource, l->loaded_name);
	pipeline_parked(s->config, resource, l->parked_name);
	const char *const own[] = {l->parked_name, l->loaded_name};
	for (size_t i = 0; i < (l->loader->memory ? 2 : 1) && r == OK; i++) {
		r = kafka_partitions(l->watcher, own[i], &have, err);
		if (r == OK && have != l->input_partitions)
			r = error_config(
			    err, "partitions",
			    "%s has %d partitions, %s has %d: delete the first, make it "
			    "anew with `tideway topics create`, and replay this stage",
			    own[i], have, s->self->input, l->input_partitions);
	}
	if (r == OK && l->loader->memory)
		r = loaded_topic_new(s->wire, s->registry, l->loaded_name, &l->loaded_topic, err);
	return r == OK ? load_park_open(l, err) : r;
}

static void wake_by(struct loop *l, rd_kafka_t *rk)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
	rd_kafka_queue_io_event_enable(queue, l->wake[1], "1", 1);
	rd_kafka_queue_destroy(queue);
}

static enum result start(struct loop *l, struct error *err)
{
	struct stage *s = l->stage;
	struct kafka_callbacks reading = {
	    .log = stage_log_kafka, .rebalance = load_on_rebalance, .opaque = l};
	struct kafka_callbacks writing = {
	    .log = stage_log_kafka, .delivered = load_on_delivered, .opaque = l};
	char id[PIPELINE_NAME_MAX + 40], text[37];
	uuid_t uuid;

	if (pipe2(l->wake, O_CLOEXEC | O_NONBLOCK))
		return error_restart(err, "pipe", "%s", strerror(errno));
	uuid_generate(uuid);
	uuid_unparse_lower(uuid, text);
	snprintf(id, sizeof id, "%s.%s", s->self->group, s->instance ? s->instance : text);
	l->consumer = kafka_consumer(s->config, s->self->group, s->instance, &reading, err);
	if (!l->consumer)
		return FATAL;
	l->producer = kafka_producer(s->config, s->self->group, id, &writing, err);
	if (!l->producer)
		return FATAL;
	l->reader = kafka_reader(s->config, s->self->group, err);
	l->watcher = l->reader ? kafka_watcher(s->config, s->self->group, err) : NULL;
	if (!l->watcher)
		return FATAL;
	enum result r = stage_require_topics(s, l->producer, err);
	if (r == OK)
		r = open_memory(l, err);
	if (r == OK)
		r = transaction_init(l->producer, &stage_stop, err);
	if (r != OK)
		return r;
	wake_by(l, l->consumer);
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, s->self->input, RD_KAFKA_PARTITION_UA);
	rd_kafka_resp_err_t code = rd_kafka_subscribe(l->consumer, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	if (code)
		return error_restart(err, "subscribe", "%s", rd_kafka_err2str(code));
	log_info("started", "input", s->self->input, NULL);
	return OK;
}

static void close_all(struct loop *l)
{
	if (l->consumer)
		rd_kafka_consumer_close(l->consumer);
	if (l->stalled)
		rd_kafka_message_destroy(l->stalled);
	load_free_jobs(l);
	window_free(l->window, load_item_free);
	for (size_t i = 0; i < l->partition_count; i++) {
		load_drop_outcomes(l, (int32_t)i);
		loaded_free(l->partitions[i].loaded);
	}
	parked_free(l->parked);
	rd_kafka_t *const readers[] = {l->arrivals, l->reader, l->watcher};
	for (size_t i = 0; i < 3; i++)
		if (readers[i]) {
			rd_kafka_consumer_close(readers[i]);
			rd_kafka_destroy(readers[i]);
		}
	if (l->consumer)
		rd_kafka_destroy(l->consumer);
	if (l->producer)
		rd_kafka_destroy(l->producer);
	for (int i = 0; i < 2; i++)
		if (l->wake[i] >= 0)
			close(l->wake[i]);
	loaded_topic_free(l->loaded_topic);
	buffer_free(&l->encoded);
	free(l->partitions);
}

static void set_limits(struct loop *l)
{
	struct governor_limits limits = l->loader->limits(l->stage, l->state);

	governor_init(&l->governor, &limits, l->polled);
	l->window_max = 2 * l->batch_max * limits.max_in_flight;
	if (l->window_max > LOAD_WINDOW_MAX)
		l->window_max = LOAD_WINDOW_MAX;
	if (l->window_max < WINDOW_MIN)
		l->window_max = WINDOW_MIN;
}

/* A target that is there and busy is waited for; one that is away ends the start. */
static enum result open_loader(struct loop *l, struct error *err)
{
	for (unsigned attempt = 1;; attempt++) {
		enum result r = l->loader->open(l->stage, &l->state, err);
		bool busy = r == RETRY &&
			    (!strcmp(err->reason, "http-429") || !strcmp(err->reason, "http-503"));
		if (!busy || attempt > OPEN_TRIES)
			return r;
		mono_time until = mono_add(mono_now(), stage_backoff_ms(attempt, &l->seed));
		if (err->not_before.ms > until.ms)
			until = err->not_before;
		while (mono_until(mono_now(), until) && !stage_stop)
			http_wait(l->stage->http, -1, 100);
		if (stage_stop)
			return r;
	}
}

static enum result run(struct stage *s, void *arg, struct error *err)
{
	struct loop l = {.stage = s,
			 .loader = arg,
			 .window = window_new(),
			 .wake = {-1, -1},
			 .encoded = BUFFER(4096)};
	enum result r;

	l.batch_max = l.loader->batches ? (size_t)s->flow->batch_size : 1;
	l.seed = (uint32_t)wall_now().ms;
	l.polled = l.committed_at = l.reported = l.hour_reported = mono_now();
	r = open_loader(&l, err);
	if (r == OK)
		set_limits(&l);
	if (r == OK)
		r = start(&l, err);
	if (r == OK && (r = run_loop(&l)) != OK)
		*err = l.err;
	if (l.state)
		report_end(&l);
	close_all(&l);
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
