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
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "arena.h"
#include "log.h"
#include "transaction.h"

/* librdkafka (2.0.2) sleeps up to a second when its queue is full, and unchanged records empty it
 * sooner: this many are a second's worth, and 90 MiB at full rate (measured; ARCHITECTURE.md). */
#define LOAD_PREFETCH "160000"

enum { WINDOW_MIN = 1000, OPEN_TRIES = 10 };

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
	stage_turn(l->stage);
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
		r = load_take_messages(l);
		mono_time now = mono_now();
		notice_a_freeze(l, now);
		load_set_limits(l, now);
		load_day_turn(l, now);
		load_send(l, now);
		load_park_turn(l, now);
		if (load_commit_is_due(l, now) && l->broken == OK) {
			load_commit(l);
			load_send(l, mono_now());
		}
		/* The queue's descriptor tells of what comes, not of what was left in it. */
		int64_t wait = l->drained || !load_has_room(l) ? load_next_wait(l, mono_now()) : 0;
		http_wait(l->stage->http, l->wake[0], wait);
		empty_pipe(l->wake[0]);
		load_take_answers(l);
		load_bound_spans(l);
		load_report(l, mono_now());
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
	const char *const own[] = {l->loaded_name, l->parked_name};
	for (size_t i = l->loader->memory ? 0 : 1; i < 2 && r == OK; i++) {
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
	struct kafka_callbacks reading = {.log = stage_log_kafka,
					  .rebalance = load_on_rebalance,
					  .opaque = l,
					  .prefetch = LOAD_PREFETCH};
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
	l->limits = l->loader->limits(l->stage, l->state);
	governor_init(&l->governor, &l->limits.governor, l->polled);
	l->window_max = 2 * l->batch_max * l->limits.governor.max_in_flight;
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
		while (mono_until(mono_now(), until) && !stage_stop) {
			http_wait(l->stage->http, -1, 100);
			stage_turn(l->stage);
		}
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
	load_report_open(&l);
	r = open_loader(&l, err);
	if (r == OK)
		set_limits(&l);
	if (r == OK)
		r = start(&l, err);
	if (r == OK && (r = run_loop(&l)) != OK)
		*err = l.err;
	if (l.state)
		load_report_end(&l);
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
	/* librdkafka's threads allocate what ours frees; an arena a thread keeps it. */
	mallopt(M_ARENA_MAX, 1);
	return stage_main(argc, argv, &p);
}
