/* transform_loop.c - see transform_loop.h.
 *
 * One thread.  A transaction begins with the first record after a commit and ends after the
 * commit interval.  When it must be aborted (a rebalance took a partition away while offsets were
 * sent: normal), everything kept is read again from the committed offsets.
 */
#include "transform_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "arena.h"
#include "changed.h"
#include "json.h"
#include "log.h"
#include "reject.h"
#include "schema.h"

enum { RECORDS_PER_TRANSACTION = 20000, REPORT_MS = 10000 };

struct position {
	bool ours;
	int64_t next;	   /* what to commit: behind the last record or the end; -1 nothing yet */
	int64_t committed; /* what is committed */
};

/* What the transformer says of records that were written with another schema than ours. */
struct other_schema {
	int32_t id;
	bool lacks;
};

struct loop {
	struct stage *stage;
	const struct transformer *t;
	void *state;
	const struct record_class *in, *out;
	int32_t in_id, out_id;
	avro_value_t in_value, out_value;
	struct buffer encoded;
	rd_kafka_t *consumer, *producer;
	struct other_schema *others;
	size_t other_count;
	struct position *positions;
	size_t position_count;
	bool in_transaction;
	size_t transaction_records;
	mono_time transaction_began;
	/* A record that must be tried again because the registry is away. */
	rd_kafka_message_t *stalled;
	mono_time stalled_until;
	unsigned attempt;
	uint32_t seed;
	enum result broken; /* FATAL: set inside callbacks */
	struct error err;
	/* For reports. */
	int64_t records, rejected, skipped, written;
	int64_t committed, aborted; /* transactions */
	struct tally reasons;
	int64_t partitions, lag; /* as they were looked at last */
	mono_time reported;
};

static struct position *position_of(struct loop *l, int32_t partition)
{
	size_t need = (size_t)partition + 1;
	if (l->position_count < need) {
		l->positions = xrealloc(l->positions, need * sizeof *l->positions);
		for (size_t i = l->position_count; i < need; i++)
			l->positions[i] = (struct position){false, -1, -1};
		l->position_count = need;
	}
	return &l->positions[partition];
}

/* ---- transactions ----------------------------------------------------------------------------- */

static enum result fatal(struct loop *l, const char *what, rd_kafka_error_t *e)
{
	enum result r =
	    error_restart(&l->err, rd_kafka_error_is_fatal(e) ? "fenced" : "transaction", "%s: %s",
			  what, rd_kafka_error_string(e));
	rd_kafka_error_destroy(e);
	l->broken = r;
	return r;
}

/* Everything that is ours is read again from where the last commit left it. */
static enum result rewind_all(struct loop *l)
{
	rd_kafka_topic_partition_list_t *mine = NULL;
	rd_kafka_resp_err_t code = rd_kafka_assignment(l->consumer, &mine);

	if (l->stalled) {
		rd_kafka_message_destroy(l->stalled);
		l->stalled = NULL;
		l->attempt = 0;
		if (!code)
			rd_kafka_resume_partitions(l->consumer, mine);
	}
	if (!code && mine->cnt)
		code = stage_positions(l->consumer, mine);
	if (!code && mine->cnt) {
		rd_kafka_error_t *e = rd_kafka_seek_partitions(l->consumer, mine, 15000);
		if (e) {
			code = rd_kafka_error_code(e);
			rd_kafka_error_destroy(e);
		}
	}
	for (size_t i = 0; i < l->position_count; i++)
		l->positions[i].next = l->positions[i].committed = -1;
	if (mine)
		rd_kafka_topic_partition_list_destroy(mine);
	if (!code)
		return OK;
	l->broken = error_restart(&l->err, "rewind", "going back to the committed offsets: %s",
				  rd_kafka_err2str(code));
	return l->broken;
}

static enum result abort_transaction(struct loop *l)
{
	l->in_transaction = false;
	l->aborted++;
	for (;;) {
		rd_kafka_error_t *e = rd_kafka_abort_transaction(l->producer, -1);
		if (!e)
			return OK;
		if (!rd_kafka_error_is_retriable(e) || stage_stop)
			return fatal(l, "aborting a transaction", e);
		rd_kafka_error_destroy(e);
	}
}

static enum result begin_transaction(struct loop *l)
{
	if (l->in_transaction)
		return OK;
	rd_kafka_error_t *e = rd_kafka_begin_transaction(l->producer);
	if (e)
		return fatal(l, "beginning a transaction", e);
	l->in_transaction = true;
	l->transaction_records = 0;
	l->transaction_began = mono_now();
	return OK;
}

static rd_kafka_topic_partition_list_t *to_commit(struct loop *l)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

	for (size_t i = 0; i < l->position_count; i++) {
		struct position *p = &l->positions[i];
		if (!p->ours || p->next <= p->committed)
			continue;
		rd_kafka_topic_partition_t *at =
		    rd_kafka_topic_partition_list_add(list, l->stage->self->input, (int32_t)i);
		char metadata[CHANGED_METADATA_MAX];
		changed_metadata(l->out_id, metadata);
		at->offset = p->next;
		at->metadata = xstrdup(metadata); /* freed with the list */
		at->metadata_size = strlen(metadata);
	}
	return list;
}

/* RETRY: it was aborted; the caller rewinds. */
static enum result transaction_failed(struct loop *l, const char *what, rd_kafka_error_t *e)
{
	if (!rd_kafka_error_txn_requires_abort(e))
		return fatal(l, what, e);
	log_info("transaction aborted", "doing", what, "why", rd_kafka_error_string(e), NULL);
	rd_kafka_error_destroy(e);
	return abort_transaction(l) == OK ? RETRY : FATAL;
}

/* Also commits positions that only moved to the end of a partition. */
static enum result commit(struct loop *l)
{
	rd_kafka_topic_partition_list_t *offsets = to_commit(l);
	enum result r = OK;
	rd_kafka_error_t *e = NULL;

	if (offsets->cnt || l->in_transaction)
		r = begin_transaction(l);
	if (r == OK && offsets->cnt) {
		rd_kafka_consumer_group_metadata_t *group =
		    rd_kafka_consumer_group_metadata(l->consumer);
		do {
			if (e)
				rd_kafka_error_destroy(e);
			e = rd_kafka_send_offsets_to_transaction(l->producer, offsets, group, -1);
		} while (e && rd_kafka_error_is_retriable(e) && !stage_stop);
		rd_kafka_consumer_group_metadata_destroy(group);
		if (e)
			r = transaction_failed(l, "sending offsets", e);
	}
	if (r == OK && l->in_transaction) {
		e = NULL;
		do {
			if (e)
				rd_kafka_error_destroy(e);
			e = rd_kafka_commit_transaction(l->producer, -1);
		} while (e && rd_kafka_error_is_retriable(e));
		if (e)
			r = transaction_failed(l, "committing", e);
		else
			l->in_transaction = false;
		l->committed += !e;
	}
	for (int i = 0; r == OK && i < offsets->cnt; i++)
		position_of(l, offsets->elems[i].partition)->committed = offsets->elems[i].offset;
	rd_kafka_topic_partition_list_destroy(offsets);
	return r;
}

static enum result commit_or_rewind(struct loop *l)
{
	enum result r = commit(l);
	return r == RETRY ? rewind_all(l) : r;
}

/* ---- the group -------------------------------------------------------------------------------- */

static void assigned(struct loop *l, rd_kafka_topic_partition_list_t *partitions)
{
	rd_kafka_resp_err_t code = stage_positions(l->consumer, partitions);

	if (code) {
		l->broken = error_restart(&l->err, "positions", "reading committed offsets: %s",
					  rd_kafka_err2str(code));
		rd_kafka_incremental_assign(l->consumer, partitions);
		return;
	}
	for (int i = 0; i < partitions->cnt; i++) {
		*position_of(l, partitions->elems[i].partition) = (struct position){true, -1, -1};
		if (partitions->elems[i].offset >= 0)
			position_of(l, partitions->elems[i].partition)->committed =
			    partitions->elems[i].offset;
	}
	rd_kafka_error_t *e = rd_kafka_incremental_assign(l->consumer, partitions);
	if (e)
		rd_kafka_error_destroy(e);
	if (l->stalled)
		rd_kafka_pause_partitions(l->consumer, partitions);
	log_info("partitions assigned", "count", log_int(partitions->cnt), NULL);
}

static void revoked(struct loop *l, rd_kafka_topic_partition_list_t *partitions)
{
	bool lost = rd_kafka_assignment_lost(l->consumer);
	enum result r = OK;

	if (lost && l->in_transaction) {
		r = abort_transaction(l) == OK ? RETRY : FATAL;
	} else if (!lost) {
		r = commit(l);
	}
	for (int i = 0; i < partitions->cnt; i++)
		position_of(l, partitions->elems[i].partition)->ours = false;
	rd_kafka_error_t *e = rd_kafka_incremental_unassign(l->consumer, partitions);
	if (e)
		rd_kafka_error_destroy(e);
	if (l->stalled && !position_of(l, l->stalled->partition)->ours) {
		/* The next owner's to try again: what we keep must not wait for it. */
		rd_kafka_message_destroy(l->stalled);
		l->stalled = NULL;
		l->attempt = 0;
		kafka_pause(l->consumer, false);
	}
	if (r == RETRY) /* what we keep was part of the aborted transaction, too */
		rewind_all(l);
	log_info(lost ? "partitions lost" : "partitions revoked", "count", log_int(partitions->cnt),
		 NULL);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
			 rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	struct loop *l = opaque;
	(void)rk;
	if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		assigned(l, partitions);
	else
		revoked(l, partitions);
}

/* ---- records ---------------------------------------------------------------------------------- */

static enum result produced(struct loop *l, rd_kafka_resp_err_t code)
{
	if (!code)
		return OK;
	if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
		rd_kafka_poll(l->producer, 100);
		return RETRY;
	}
	if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
		return REJECT;
	return l->broken =
		   error_restart(&l->err, "produce", "producing: %s", rd_kafka_err2str(code));
}

static enum result produce(struct loop *l, const rd_kafka_message_t *m, const void *key,
			   size_t key_len, const void *value, size_t value_len)
{
	enum result r;
	do {
		rd_kafka_headers_t *h = kafka_copy_times(m);
		rd_kafka_resp_err_t code = rd_kafka_producev(
		    l->producer, RD_KAFKA_V_TOPIC(l->stage->self->output),
		    RD_KAFKA_V_KEY(key, key_len), RD_KAFKA_V_VALUE((void *)value, value_len),
		    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(h),
		    RD_KAFKA_V_END);
		if (code && h)
			rd_kafka_headers_destroy(h);
		r = produced(l, code);
	} while (r == RETRY);
	return r;
}

static enum result dead_letter(struct loop *l, const rd_kafka_message_t *m, const struct error *why)
{
	struct reject_origin from = {l->stage->self->input, m->partition, m->offset};
	enum result r;

	log_warn("rejected", "reason", why->reason, "error", why->text, "topic", from.topic,
		 "partition", log_int(m->partition), "offset", log_int(m->offset), "key",
		 log_key(m->key, m->key_len), NULL);
	l->rejected++;
	tally_add(&l->reasons, why->reason, 1);
	do {
		r = produced(l, reject_produce(l->producer, l->stage->self->rejected, m->key,
					       m->key_len, m->payload, m->len, &from, why,
					       wall_now(), kafka_copy_times(m), NULL));
	} while (r == RETRY);
	return r;
}

static bool lacks(struct loop *l, const rd_kafka_message_t *m)
{
	int32_t id;
	const char *schema = wire_written_schema(l->stage->wire, m->payload, m->len, &id);

	if (!l->t->lacks || !schema || id == l->in_id)
		return false;
	for (size_t i = 0; i < l->other_count; i++)
		if (l->others[i].id == id)
			return l->others[i].lacks;
	const char *column = l->t->lacks(l->state, schema);
	if (column)
		log_warn(
		    "records were read before the filter asked for a column of theirs; they are "
		    "left out until the extractor, started with this configuration, has read "
		    "them anew",
		    "column", column, "schema", log_int(id), NULL);
	l->others = xrealloc(l->others, (l->other_count + 1) * sizeof *l->others);
	l->others[l->other_count++] = (struct other_schema){id, column};
	return column;
}

/* RETRY: the same record again later. */
static enum result transform(struct loop *l, const rd_kafka_message_t *m)
{
	struct transformed out = {.value = &l->out_value, .emit = true};
	struct error err = {0};
	enum result r;

	if (!m->payload) {
		if (l->t->tombstone && !l->t->tombstone(l->state)) {
			l->skipped++;
			return OK;
		}
		r = begin_transaction(l);
		if (r == OK)
			r = produce(l, m, m->key, m->key_len, NULL, 0);
		l->written += r == OK;
		return r;
	}
	r = wire_decode(l->stage->wire, m->payload, m->len, l->in_id, &l->in_value, &err);
	if (r == RETRY || r == FATAL) {
		l->err = err;
		return r;
	}
	if (begin_transaction(l) != OK)
		return FATAL;
	if (r == OK) {
		avro_value_reset(&l->out_value);
		out.lacks = lacks(l, m);
		r = l->t->process(l->state, &l->in_value, &out, &err);
	}
	if (r == OK && !out.emit) {
		l->skipped++;
		return OK;
	}
	if (r == OK)
		r = wire_encode(l->out_id, &l->out_value, &l->encoded, &err);
	if (r == REJECT)
		return dead_letter(l, m, &err);
	if (r != OK) {
		l->err = err;
		return r;
	}
	const void *key = out.key ? out.key : m->key;
	size_t key_len = out.key ? strlen(out.key) : m->key_len;
	r = produce(l, m, key, key_len, l->encoded.data, l->encoded.len);
	if (r == REJECT) {
		error_reject(&err, "too-large",
			     "a record of %zu bytes is more than a message may have",
			     l->encoded.len);
		return dead_letter(l, m, &err);
	}
	l->written += r == OK;
	return r == OK && out.tombstone ? produce(l, m, key, key_len, NULL, 0) : r;
}

static void done(struct loop *l, const rd_kafka_message_t *m)
{
	position_of(l, m->partition)->next = m->offset + 1;
	l->transaction_records++;
	l->records++;
	l->attempt = 0;
}

static enum result stall(struct loop *l, rd_kafka_message_t *m)
{
	int64_t ms = stage_backoff_ms(++l->attempt, &l->seed);
	stage_log_error("waiting", RETRY, &l->err);
	l->stalled = m;
	l->stalled_until = mono_add(mono_now(), ms);
	if (l->attempt == 1)
		kafka_pause(l->consumer, true);
	return OK;
}

static enum result read_error(struct loop *l, const rd_kafka_message_t *m)
{
	switch (m->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF: {
		struct position *p = position_of(l, m->partition);
		if (m->offset > p->next)
			p->next = m->offset;
		return OK;
	}
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		return stage_offset_lost(l->stage, m, &l->err);
	case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
		log_warn("too slow for the group", "error", rd_kafka_message_errstr(m), NULL);
		return OK;
	default:
		return stage_consumer_error(m, &l->err);
	}
}

static enum result take(struct loop *l, rd_kafka_message_t *m)
{
	enum result r;

	if (m->err) {
		r = read_error(l, m);
		rd_kafka_message_destroy(m);
		return r;
	}
	r = transform(l, m);
	if (r == RETRY)
		return stall(l, m);
	if (r == OK)
		done(l, m);
	rd_kafka_message_destroy(m);
	return r;
}

static enum result retry_stalled(struct loop *l)
{
	rd_kafka_message_t *m = l->stalled;

	if (mono_until(mono_now(), l->stalled_until))
		return OK;
	l->stalled = NULL;
	enum result r = take(l, m);
	if (r == OK && !l->stalled)
		kafka_pause(l->consumer, false);
	return r;
}

static void collect(void *arg)
{
	struct loop *l = arg;

	l->partitions = l->lag = 0;
	for (size_t i = 0; i < l->position_count; i++) {
		const struct position *p = &l->positions[i];
		if (!p->ours)
			continue;
		l->partitions++;
		l->lag += kafka_lag(l->consumer, l->stage->self->input, (int32_t)i,
				    p->committed > p->next ? p->committed : p->next);
	}
}

static void report_open(struct loop *l)
{
	struct metrics *m = l->stage->metrics;

	metrics_value(m, METRIC_INPUT, NULL, NULL, &l->records, "records");
	metrics_value(m, METRIC_RECORDS, "written", NULL, &l->written, "written");
	metrics_value(m, METRIC_RECORDS, "rejected", NULL, &l->rejected, "rejected");
	metrics_value(m, METRIC_RECORDS, "skipped", NULL, &l->skipped, "skipped");
	metrics_tally(m, METRIC_REJECTED, NULL, &l->reasons, NULL);
	metrics_value(m, METRIC_TRANSACTIONS, "committed", NULL, &l->committed, NULL);
	metrics_value(m, METRIC_TRANSACTIONS, "aborted", NULL, &l->aborted, NULL);
	metrics_value(m, METRIC_PARTITIONS, NULL, NULL, &l->partitions, NULL);
	metrics_value(m, METRIC_LAG, NULL, NULL, &l->lag, NULL);
	metrics_collect(m, collect, l);
}

static void report(struct loop *l)
{
	mono_time now = mono_now();

	stage_turn(l->stage);
	if (now.ms - l->reported.ms < REPORT_MS)
		return;
	l->reported = now;
	stage_log_counts(l->stage, "progress", false, NULL);
}

static enum result run_loop(struct loop *l)
{
	int interval = (int)l->stage->flow->commit_interval_ms;
	enum result r = OK;

	while (r == OK && !stage_stop && l->broken == OK) {
		int wait = 100;
		if (l->in_transaction) {
			int64_t left =
			    mono_until(mono_now(), mono_add(l->transaction_began, interval));
			wait = left < wait ? (int)left : wait;
		}
		rd_kafka_message_t *m = rd_kafka_consumer_poll(l->consumer, wait);
		if (l->stalled && m && !m->err) {
			/* Fetched before the pause took hold: put it back. */
			rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
			rd_kafka_topic_partition_list_add(one, l->stage->self->input, m->partition)
			    ->offset = m->offset;
			rd_kafka_error_t *e = rd_kafka_seek_partitions(l->consumer, one, 5000);
			if (e)
				rd_kafka_error_destroy(e);
			rd_kafka_topic_partition_list_destroy(one);
			rd_kafka_message_destroy(m);
			m = NULL;
		}
		if (m)
			r = take(l, m);
		if (r == OK && l->stalled)
			r = retry_stalled(l);
		rd_kafka_poll(l->producer, 0);
		bool due = l->in_transaction
			       ? l->transaction_records >= RECORDS_PER_TRANSACTION ||
				     mono_now().ms - l->transaction_began.ms >= interval
			       : !m;
		if (r == OK && l->broken == OK && due)
			r = commit_or_rewind(l);
		report(l);
	}
	if (r == OK && l->broken == OK)
		r = commit_or_rewind(l); /* a clean stop leaves nothing to do twice */
	return l->broken != OK ? l->broken : r;
}

static enum result init_transactions(struct loop *l)
{
	rd_kafka_error_t *e;
	while ((e = rd_kafka_init_transactions(l->producer, 15000))) {
		bool again = rd_kafka_error_is_retriable(e) && !stage_stop;
		if (!again)
			return fatal(l, "starting transactions", e);
		log_warn("starting transactions", "error", rd_kafka_error_string(e), NULL);
		rd_kafka_error_destroy(e);
	}
	return OK;
}

/* Registers what is written, and says what is different from what was written before. */
static enum result register_output(struct loop *l, struct error *err)
{
	struct stage *s = l->stage;
	_cleanup_(freep) char *subject = xasprintf("%s-value", s->self->output), *latest = NULL;
	enum result r = registry_latest(s->registry, subject, &latest, err);
	bool committed;

	if (r == OK)
		r = schema_register(s->registry, s->self->output, l->out->json, &l->out_id, err);
	if (r == OK) {
		int32_t last = changed_last_id(l->consumer, s->self->input, &committed);
		if (committed)
			changed_say(s->registry, last, latest, l->out_id, l->out->json);
	}
	return r;
}

static enum result start(struct loop *l, struct error *err)
{
	struct stage *s = l->stage;
	struct kafka_callbacks cb = {
	    .log = stage_log_kafka, .rebalance = on_rebalance, .opaque = l};
	struct kafka_callbacks quiet = {.log = stage_log_kafka, .opaque = l};
	char id[PIPELINE_NAME_MAX + 64];
	uuid_t uuid;
	char unique[37];

	uuid_generate(uuid);
	uuid_unparse_lower(uuid, unique);
	snprintf(id, sizeof id, "%s.%s", s->self->group, s->instance ? s->instance : unique);
	l->seed = uuid[0] | (uint32_t)uuid[1] << 8 | (uint32_t)uuid[2] << 16;
	l->consumer = kafka_consumer(s->config, s->self->group, s->instance, &cb, err);
	if (!l->consumer)
		return FATAL;
	l->producer = kafka_producer(s->config, s->self->group, id, &quiet, err);
	if (!l->producer)
		return FATAL;
	enum result r = stage_require_topics(s, l->producer, err);
	if (r == OK)
		r = schema_register(s->registry, s->self->input, l->in->json, &l->in_id, err);
	if (r == OK)
		r = register_output(l, err);
	if (r == OK && (r = init_transactions(l)) != OK)
		*err = l->err;
	if (r != OK)
		return r;
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, s->self->input, RD_KAFKA_PARTITION_UA);
	rd_kafka_resp_err_t code = rd_kafka_subscribe(l->consumer, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	if (code)
		return error_restart(err, "subscribe", "%s", rd_kafka_err2str(code));
	log_info("started", "input", s->self->input, "output", s->self->output, NULL);
	return OK;
}

/* ---- without a broker ------------------------------------------------------------------------- */

static void print_line(cJSON *json)
{
	char *text = cJSON_PrintUnformatted(json);
	puts(text);
	free(text);
	cJSON_Delete(json);
}

static void map_line(struct loop *l, const char *line, size_t len)
{
	struct transformed out = {.value = &l->out_value, .emit = true};
	cJSON *json = json_parse(line, len), *answer = cJSON_CreateObject();
	struct error err = {0};

	avro_value_reset(&l->in_value);
	avro_value_reset(&l->out_value);
	enum result r = json ? record_from_json(json, &l->in_value, &err)
			     : error_reject(&err, "json", "the line is no JSON");
	if (r == OK)
		r = l->t->process(l->state, &l->in_value, &out, &err);
	if (r != OK) {
		cJSON_AddStringToObject(answer, "rejected", err.reason);
		cJSON_AddStringToObject(answer, "error", err.text);
	} else if (!out.emit) {
		cJSON_AddTrueToObject(answer, "skipped");
	} else {
		if (out.key)
			cJSON_AddStringToObject(answer, "key", out.key);
		cJSON_AddItemToObject(answer, "value", record_to_json(&l->out_value));
		if (out.tombstone)
			cJSON_AddTrueToObject(answer, "tombstone");
	}
	print_line(answer);
	cJSON_Delete(json);
}

static enum result map_records(struct loop *l, struct error *err)
{
	const char *path = l->stage->records;
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		return error_config(err, "records", "%s cannot be read", path);
	while ((n = getline(&line, &cap, f)) > 0) {
		while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			n--;
		if (n)
			map_line(l, line, (size_t)n);
	}
	free(line);
	if (f != stdin)
		fclose(f);
	return OK;
}

/* ---- main ------------------------------------------------------------------------------------- */

static enum result run(struct stage *s, void *arg, struct error *err)
{
	struct loop l = {.stage = s, .t = arg, .encoded = BUFFER(WIRE_VALUE_MAX)};
	report_open(&l);
	enum result r = l.t->open(s, &l.state, &l.in, &l.out, err);

	if (r != OK)
		return r;
	record_new(l.in, &l.in_value);
	record_new(l.out, &l.out_value);
	if (s->records) {
		r = map_records(&l, err);
	} else {
		r = start(&l, err);
		if (r == OK && (r = run_loop(&l)) != OK)
			*err = l.err;
		if (l.stalled)
			rd_kafka_message_destroy(l.stalled);
		if (l.consumer) {
			rd_kafka_consumer_close(l.consumer);
			rd_kafka_destroy(l.consumer);
		}
		if (l.producer)
			rd_kafka_destroy(l.producer);
		l.consumer = l.producer = NULL;
		stage_log_counts(s, "counts", false, NULL);
		stage_log_words("rejected in all", "reason", &l.reasons, NULL);
	}
	avro_value_decref(&l.in_value);
	avro_value_decref(&l.out_value);
	buffer_free(&l.encoded);
	free(l.positions);
	free(l.others);
	l.t->close(l.state);
	return r;
}

int transform_main(int argc, char **argv, const struct transformer *t)
{
	struct stage_program p = {.name = t->program,
				  .position = STAGE_TRANSFORM,
				  .synopsis = t->synopsis,
				  .run = run,
				  .arg = (void *)t};
	return stage_main(argc, argv, &p);
}
