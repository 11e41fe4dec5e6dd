/* extract_loop.c - see extract_loop.h. */
#include "extract_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "log.h"
#include "reject.h"
#include "schema.h"

enum {
	RECORDS_PER_TRANSACTION = 20000,
	TRANSACTION_MS = KAFKA_TRANSACTION_TIMEOUT_MS / 5, /* then the broker has time left */
	POLL_MS = 200,
};

enum { FLUSH_MS = 30000 };

#define SETTLED "settled" /* a key without a value: nothing is restored from it */

enum term { STANDBY, RESTORING, BEGINNING, LEADING };

struct extract_output {
	struct stage *stage;
	rd_kafka_t *producer;
	int32_t checkpoint_id;
	struct buffer encoded;
	bool in_transaction;
	mono_time since; /* when it began */
	size_t records;
	/* For reports. */
	int64_t written, rejected;
	int64_t committed, aborted; /* transactions */
	struct tally reasons;
};

struct loop {
	struct stage *stage;
	const struct extractor *x;
	void *state;
	const struct record_class *out;
	struct record_class checkpoint;
	avro_value_t checkpoint_value;
	int32_t out_id;
	rd_kafka_t *consumer;
	struct extract_output output;
	enum term term;
	mono_time next_step, floor; /* floor: what a failed step has to wait for, whatever comes */
	unsigned attempt;
	uint32_t seed;
	enum result broken;
	struct error err;

	int64_t leading, steps, failed_steps, last_step_ms; /* for reports */
};

/* ---- writing ---------------------------------------------------------------------------------- */

static enum result transaction_error(const char *what, rd_kafka_error_t *e, struct error *err)
{
	enum result r = error_restart(err, rd_kafka_error_is_fatal(e) ? "fenced" : "transaction",
				      "%s: %s", what, rd_kafka_error_string(e));
	rd_kafka_error_destroy(e);
	return r;
}

static enum result begin_transaction(struct extract_output *o, struct error *err)
{
	if (o->in_transaction)
		return OK;
	rd_kafka_error_t *e = rd_kafka_begin_transaction(o->producer);
	if (e)
		return transaction_error("beginning a transaction", e, err);
	o->in_transaction = true;
	o->since = mono_now();
	o->records = 0;
	return OK;
}

static enum result abort_transaction(struct extract_output *o, struct error *err)
{
	if (!o->in_transaction)
		return OK;
	o->in_transaction = false;
	o->aborted++;
	rd_kafka_error_t *e = rd_kafka_abort_transaction(o->producer, 30000);
	return e ? transaction_error("aborting a transaction", e, err) : OK;
}

enum result extract_commit(struct extract_output *o, struct error *err)
{
	rd_kafka_error_t *e = NULL;

	if (!o->in_transaction)
		return OK;
	do {
		if (e)
			rd_kafka_error_destroy(e);
		e = rd_kafka_commit_transaction(o->producer, -1);
	} while (e && rd_kafka_error_is_retriable(e));
	if (!e) {
		o->in_transaction = false;
		o->committed++;
		return OK;
	}
	/* What the extractor remembers is ahead of what is written: only a new term, which reads the
	 * checkpoint again, is safe. */
	return transaction_error("committing", e, err);
}

static enum result produce(struct extract_output *o, const char *topic, const char *key,
			   const void *value, size_t len, const rd_kafka_headers_t *headers,
			   struct error *err)
{
	enum result r = begin_transaction(o, err);

	while (r == OK) {
		rd_kafka_headers_t *h = headers ? rd_kafka_headers_copy(headers) : NULL;
		rd_kafka_resp_err_t code = rd_kafka_producev(
		    o->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key, strlen(key)),
		    RD_KAFKA_V_VALUE((void *)value, len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		    RD_KAFKA_V_HEADERS(h), RD_KAFKA_V_END);
		if (code && h)
			rd_kafka_headers_destroy(h);
		if (!code)
			break;
		if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
			return error_reject(err, "too-large",
					    "a record of %zu bytes is more than a message may have",
					    len);
		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return error_restart(err, "produce", "producing: %s",
					     rd_kafka_err2str(code));
		rd_kafka_poll(o->producer, 100);
	}
	o->records++;
	return r;
}

enum result extract_emit(struct extract_output *o, const char *key, const void *value, size_t len,
			 wall_time source, wall_time observed, struct error *err)
{
	rd_kafka_headers_t *times = kafka_times(source, observed);
	struct error why;
	enum result r = produce(o, o->stage->self->output, key, value, len, times, &why);
	rd_kafka_headers_destroy(times);
	if (r == REJECT)
		return extract_reject(o, key, value, len, o->stage->self->output, 0, &why, err);
	if (r != OK)
		*err = why;
	o->written += r == OK;
	stage_turn(o->stage); /* a step may take minutes */
	return r;
}

enum result extract_checkpoint(struct extract_output *o, const char *key, avro_value_t *value,
			       const char *progress, struct error *err)
{
	rd_kafka_headers_t *headers = NULL;
	enum result r;

	if (!value)
		return produce(o, o->stage->self->input, key, NULL, 0, NULL, err);
	r = wire_encode(o->checkpoint_id, value, &o->encoded, err);
	if (r == REJECT)
		r = FATAL;
	if (r != OK)
		return r;
	if (progress) {
		headers = rd_kafka_headers_new(1);
		rd_kafka_header_add(headers, EXTRACT_PROGRESS, -1, progress, -1);
	}
	r = produce(o, o->stage->self->input, key, o->encoded.data, o->encoded.len, headers, err);
	if (headers)
		rd_kafka_headers_destroy(headers);
	return r == REJECT ? FATAL : r; /* a checkpoint is never that large */
}

enum result extract_settle(struct extract_output *o, struct error *err)
{
	enum result r = produce(o, o->stage->self->input, SETTLED, NULL, 0, NULL, err);

	if (r == OK && rd_kafka_flush(o->producer, FLUSH_MS))
		r = error_restart(err, "produce", "a record was not taken for %d s",
				  FLUSH_MS / 1000);
	return r == REJECT ? FATAL : r;
}

enum result extract_reject(struct extract_output *o, const char *key, const void *value, size_t len,
			   const char *where, int64_t line, const struct error *why,
			   struct error *err)
{
	struct reject_origin from = {where, 0, line};
	enum result r = begin_transaction(o, err);

	log_warn("rejected", "reason", why->reason, "error", why->text, "where", where, "line",
		 log_int(line), "key", log_key(key, strlen(key)), NULL);
	o->rejected++;
	tally_add(&o->reasons, why->reason, 1);
	while (r == OK) {
		rd_kafka_resp_err_t code =
		    reject_produce(o->producer, o->stage->self->rejected, key, strlen(key), value,
				   len, &from, why, wall_now(), NULL, NULL);
		if (!code)
			break;
		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return error_restart(err, "produce", "producing: %s",
					     rd_kafka_err2str(code));
		rd_kafka_poll(o->producer, 100);
	}
	return r;
}

bool extract_full(const struct extract_output *o)
{
	return o->in_transaction && (o->records >= RECORDS_PER_TRANSACTION ||
				     mono_now().ms - o->since.ms >= TRANSACTION_MS);
}

/* ---- terms ------------------------------------------------------------------------------------ */

static void end_term(struct loop *l)
{
	struct error ignored;

	if (l->term == STANDBY)
		return;
	if (l->output.producer) {
		abort_transaction(&l->output, &ignored);
		rd_kafka_destroy(l->output.producer);
		l->output.producer = NULL;
	}
	l->term = STANDBY;
	log_info("leadership given up", NULL);
}

static enum result begin_term(struct loop *l)
{
	struct kafka_callbacks cb = {.log = stage_log_kafka, .opaque = l};
	struct stage *s = l->stage;
	rd_kafka_error_t *e;

	/* One transactional id for the flow: whoever initialises last is the leader. */
	l->output.producer =
	    kafka_producer(s->config, s->self->group, s->self->group, &cb, &l->err);
	if (!l->output.producer)
		return FATAL;
	l->term = RESTORING;
	while ((e = rd_kafka_init_transactions(l->output.producer, 15000))) {
		if (!rd_kafka_error_is_retriable(e) || stage_stop)
			return transaction_error("starting transactions", e, &l->err);
		rd_kafka_error_destroy(e);
	}
	l->x->reset(l->state);
	log_info("leading", NULL);
	return OK;
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
			 rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	struct loop *l = opaque;
	rd_kafka_error_t *e;

	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		if (partitions->cnt && !stage_stop) {
			end_term(l);
			l->broken = begin_term(l);
			for (int i = 0; i < partitions->cnt; i++)
				partitions->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
		}
		e = rd_kafka_incremental_assign(rk, partitions);
	} else {
		if (partitions->cnt)
			end_term(l);
		e = rd_kafka_incremental_unassign(rk, partitions);
	}
	if (e)
		rd_kafka_error_destroy(e);
}

/* Checkpoints are read before a term begins, and later only come back from ourselves; requests
 * come at any time. */
static enum result told(struct loop *l, const rd_kafka_message_t *m)
{
	_cleanup_(freep) char *key = xstrndup(m->key ? m->key : "", m->key_len);
	bool request = !strncmp(key, EXTRACT_REQUEST, sizeof EXTRACT_REQUEST - 1);
	enum result r = OK;

	if (request ? !l->x->request : l->term != RESTORING)
		return OK;
	if (m->payload)
		r = wire_decode(l->stage->wire, m->payload, m->len, l->output.checkpoint_id,
				&l->checkpoint_value, &l->err);
	if (r == OK)
		r = (request ? l->x->request : l->x->restore)(
		    l->state, key, m->payload ? &l->checkpoint_value : NULL, &l->err);
	if (request && r == OK && l->term == LEADING) /* soon, but not before the world is ready */
		l->next_step = mono_until(mono_now(), l->floor) ? l->floor : mono_now();
	if (r == OK)
		return OK;
	if (request && r == REJECT) { /* not from `tideway`: no reason to stop */
		stage_log_error("a request that cannot be read", r, &l->err);
		return OK;
	}
	/* A checkpoint that cannot be read must not look like none: that would start over. */
	error_prefix(&l->err, "the checkpoint at offset %lld of %s", (long long)m->offset,
		     l->stage->self->input);
	if (r == REJECT)
		l->err.exit_code = EXIT_PERMANENT;
	return r == RETRY ? RETRY : FATAL;
}

static enum result on_message(struct loop *l, const rd_kafka_message_t *m)
{
	switch (m->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return l->term == STANDBY ? OK : told(l, m);
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		if (l->term != RESTORING)
			return OK;
		l->term = BEGINNING;
		l->attempt = 0;
		l->next_step = mono_now();
		return OK;
	default:
		return stage_consumer_error(m, &l->err);
	}
}

static void wait_after(struct loop *l, const struct error *err)
{
	mono_time now = mono_now();
	int64_t wait_ms = stage_backoff_ms(++l->attempt, &l->seed);

	if (mono_until(now, err->not_before) > wait_ms)
		wait_ms = mono_until(now, err->not_before);
	if (!stage_stop)
		stage_log_error("waiting", RETRY, err);
	l->next_step = l->floor = mono_add(now, wait_ms);
}

static enum result begin(struct loop *l)
{
	struct error err = {0};
	enum result r = l->x->begin(l->state, l->out_id, &err);

	if (r == RETRY) {
		wait_after(l, &err);
		return OK;
	}
	if (r == OK) {
		l->term = LEADING;
		l->attempt = 0;
		l->next_step = mono_now();
	}
	l->err = err;
	return r;
}

static enum result step(struct loop *l)
{
	int64_t wait_ms = 0;
	struct error err = {0};
	enum result r = l->x->step(l->state, &l->output, &wait_ms, &err);

	rd_kafka_poll(l->output.producer, 0);
	if (r == OK)
		r = extract_commit(&l->output, &err);
	else if (abort_transaction(&l->output, &l->err) != OK)
		return FATAL;
	l->steps += r == OK;
	l->failed_steps += r != OK && !stage_stop;
	if (r == OK) {
		l->last_step_ms = wall_now().ms;
		l->attempt = 0;
		l->next_step = mono_add(mono_now(), wait_ms);
		return OK;
	}
	if (r == RETRY) {
		/* What the step remembered may be ahead of what is written: read it again. */
		wait_after(l, &err);
		return OK;
	}
	l->err = err;
	if (r == REJECT)
		l->err.exit_code = EXIT_PERMANENT;
	return FATAL;
}

static enum result run_loop(struct loop *l)
{
	enum result r = OK;

	while (r == OK && !stage_stop && l->broken == OK) {
		int64_t wait = POLL_MS;
		stage_turn(l->stage);
		if (l->term >= BEGINNING) {
			int64_t left = mono_until(mono_now(), l->next_step);
			wait = left < wait ? left : wait;
		}
		rd_kafka_message_t *m = rd_kafka_consumer_poll(l->consumer, (int)wait);
		if (m) {
			r = on_message(l, m);
			rd_kafka_message_destroy(m);
			continue;
		}
		if (r == OK && l->broken == OK && l->term >= BEGINNING &&
		    !mono_until(mono_now(), l->next_step))
			r = l->term == LEADING ? step(l) : begin(l);
	}
	return l->broken != OK ? l->broken : r;
}

/* ---- main ------------------------------------------------------------------------------------- */

static void collect(void *arg)
{
	struct loop *l = arg;

	l->leading = l->term != STANDBY;
}

static void report_open(struct loop *l)
{
	struct metrics *m = l->stage->metrics;
	const struct extract_output *o = &l->output;

	metrics_value(m, METRIC_RECORDS, "written", NULL, &o->written, "written");
	metrics_value(m, METRIC_RECORDS, "rejected", NULL, &o->rejected, "rejected");
	metrics_tally(m, METRIC_REJECTED, NULL, &o->reasons, NULL);
	metrics_value(m, METRIC_STEPS, "done", NULL, &l->steps, "steps");
	metrics_value(m, METRIC_STEPS, "failed", NULL, &l->failed_steps, "failed_steps");
	metrics_value(m, METRIC_LAST_STEP, NULL, NULL, &l->last_step_ms, NULL);
	metrics_value(m, METRIC_LEADING, NULL, NULL, &l->leading, NULL);
	metrics_value(m, METRIC_TRANSACTIONS, "committed", NULL, &o->committed, NULL);
	metrics_value(m, METRIC_TRANSACTIONS, "aborted", NULL, &o->aborted, NULL);
	metrics_collect(m, collect, l);
}

static enum result start(struct loop *l, struct error *err)
{
	struct stage *s = l->stage;
	struct kafka_callbacks cb = {
	    .log = stage_log_kafka, .rebalance = on_rebalance, .opaque = l};

	l->consumer = kafka_leader(s->config, s->self->group, s->instance, &cb, err);
	if (!l->consumer)
		return FATAL;
	enum result r = stage_require_topics(s, l->consumer, err);
	if (r == OK)
		r = schema_register(s->registry, s->self->output, l->out->json, &l->out_id, err);
	if (r == OK)
		r = schema_register(s->registry, s->self->input, l->checkpoint.json,
				    &l->output.checkpoint_id, err);
	if (r != OK)
		return r;
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, s->self->input, RD_KAFKA_PARTITION_UA);
	rd_kafka_resp_err_t code = rd_kafka_subscribe(l->consumer, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	if (code)
		return error_restart(err, "subscribe", "%s", rd_kafka_err2str(code));
	log_info("started", "output", s->self->output, NULL);
	return OK;
}

static enum result run(struct stage *s, void *arg, struct error *err)
{
	struct loop l = {.stage = s, .x = arg};
	enum result r;

	l.output = (struct extract_output){.stage = s, .encoded = BUFFER(WIRE_VALUE_MAX)};
	l.seed = (uint32_t)wall_now().ms;
	report_open(&l);
	r = record_class_new(&l.checkpoint, l.x->checkpoint_schema, err);
	if (r == OK)
		r = l.x->open(s, &l.state, &l.out, err);
	if (r != OK) {
		record_class_free(&l.checkpoint);
		return r;
	}
	record_new(&l.checkpoint, &l.checkpoint_value);
	r = start(&l, err);
	if (r == OK && (r = run_loop(&l)) != OK)
		*err = l.err;
	if (l.consumer) {
		rd_kafka_consumer_close(l.consumer);
		rd_kafka_destroy(l.consumer);
	}
	end_term(&l);
	stage_log_counts(s, "counts", false, NULL);
	stage_log_words("rejected in all", "reason", &l.output.reasons, NULL);
	avro_value_decref(&l.checkpoint_value);
	record_class_free(&l.checkpoint);
	buffer_free(&l.output.encoded);
	l.x->close(l.state);
	return r;
}

int extract_main(int argc, char **argv, const struct extractor *x)
{
	struct stage_program p = {.name = x->program,
				  .position = STAGE_EXTRACT,
				  .synopsis = x->synopsis,
				  .run = run,
				  .arg = (void *)x};
	return stage_main(argc, argv, &p);
}
