/* kafka.c - see kafka.h. */
#include "kafka.h"

#include "pipeline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct place at,
		struct error *err)
{
	char why[256];
	if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
		return true;
	if (at.file)
		error_config(err, "config", "%s:%d:%d: connections.kafka: %s", at.file, at.line,
			     at.column, why);
	else
		error_config(err, "config", "%s", why);
	return false;
}

/* Defaults that a user may override, then what the user wrote, then what is ours.  A setting for
 * the other kind of client is accepted by librdkafka, with a warning. */
static rd_kafka_conf_t *conf_new(const struct config *c, rd_kafka_type_t type, const char *client,
				 const char *const (*ours)[2], const struct kafka_callbacks *cb,
				 struct error *err)
{
	static const struct {
		const char *name, *value;
		bool consumer, producer;
	} defaults[] = {{"session.timeout.ms", "6000", true, false},
			{"heartbeat.interval.ms", "2000", true, false},
			{"queued.max.messages.kbytes", "32768", true, false},
			{"fetch.wait.max.ms", "100", true, false},
			{"linger.ms", "5", false, true},
			{"message.max.bytes", KAFKA_MESSAGE_MAX, false, true},
			{"socket.keepalive.enable", "true", true, true},
			{"reconnect.backoff.max.ms", "2000", true, true}};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	struct place nowhere = {0};
	bool good = true;

	for (size_t i = 0; i < sizeof defaults / sizeof *defaults && good; i++)
		if (type == RD_KAFKA_CONSUMER ? defaults[i].consumer : defaults[i].producer)
			good = set(conf, defaults[i].name, defaults[i].value, nowhere, err);
	if (cb && cb->prefetch && good)
		good = set(conf, "queued.min.messages", cb->prefetch, nowhere, err);
	for (size_t i = 0; i < c->kafka_count && good; i++)
		good = set(conf, c->kafka[i].name, c->kafka[i].value, c->kafka[i].at, err);
	for (size_t i = 0; ours[i][0] && good; i++)
		if (ours[i][1])
			good = set(conf, ours[i][0], ours[i][1], nowhere, err);
	good = good && set(conf, "client.id", client, nowhere, err);
	if (!good) {
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	if (cb) {
		rd_kafka_conf_set_opaque(conf, cb->opaque);
		if (cb->rebalance)
			rd_kafka_conf_set_rebalance_cb(conf, cb->rebalance);
		if (cb->delivered)
			rd_kafka_conf_set_dr_msg_cb(conf, cb->delivered);
		if (cb->error)
			rd_kafka_conf_set_error_cb(conf, cb->error);
	}
	if (cb && cb->log)
		rd_kafka_conf_set_log_cb(conf, cb->log);
	else
		set(conf, "log_level", "0", nowhere, NULL);
	return conf;
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct error *err)
{
	char why[256];
	rd_kafka_t *rk;

	if (!conf)
		return NULL;
	rk = rd_kafka_new(type, conf, why, sizeof why);
	if (!rk) {
		rd_kafka_conf_destroy(conf);
		error_config(err, "config", "connections.kafka: %s", why);
		return NULL;
	}
	if (type == RD_KAFKA_CONSUMER)
		rd_kafka_poll_set_consumer(rk);
	return rk;
}

static rd_kafka_t *member(const struct config *c, const char *group, const char *instance,
			  const char *poll_interval, const struct kafka_callbacks *cb,
			  struct error *err)
{
	const char *ours[][2] = {{"group.id", group},
				 {"max.poll.interval.ms", poll_interval},
				 {"group.instance.id", instance},
				 {"enable.auto.commit", "false"},
				 {"enable.auto.offset.store", "false"},
				 {"auto.offset.reset", "error"},
				 {"isolation.level", "read_committed"},
				 {"enable.partition.eof", "true"},
				 {"partition.assignment.strategy", "cooperative-sticky"},
				 {NULL, NULL}};
	return make(RD_KAFKA_CONSUMER,
		    conf_new(c, RD_KAFKA_CONSUMER, group, (const char *const(*)[2])ours, cb, err),
		    err);
}

rd_kafka_t *kafka_consumer(const struct config *c, const char *group, const char *instance,
			   const struct kafka_callbacks *cb, struct error *err)
{
	return member(c, group, instance, NULL, cb, err);
}

rd_kafka_t *kafka_leader(const struct config *c, const char *group, const char *instance,
			 const struct kafka_callbacks *cb, struct error *err)
{
	return member(c, group, instance, config_kafka(c, "max.poll.interval.ms", "21600000"), cb,
		      err);
}

static rd_kafka_t *outsider(const struct config *c, const char *client, const char *isolation,
			    struct error *err)
{
	const char *ours[][2] = {{"group.id", client}, /* librdkafka wants one; never joined */
				 {"enable.auto.commit", "false"},
				 {"enable.auto.offset.store", "false"},
				 {"auto.offset.reset", "error"},
				 {"isolation.level", isolation},
				 {"enable.partition.eof", "true"},
				 {NULL, NULL}};
	return make(
	    RD_KAFKA_CONSUMER,
	    conf_new(c, RD_KAFKA_CONSUMER, client, (const char *const(*)[2])ours, NULL, err), err);
}

rd_kafka_t *kafka_reader(const struct config *c, const char *client, struct error *err)
{
	return outsider(c, client, "read_committed", err);
}

rd_kafka_t *kafka_watcher(const struct config *c, const char *client, struct error *err)
{
	return outsider(c, client, "read_uncommitted", err);
}

rd_kafka_t *kafka_producer(const struct config *c, const char *client, const char *transactional_id,
			   const struct kafka_callbacks *cb, struct error *err)
{
	char timeout[16];
	snprintf(timeout, sizeof timeout, "%d", KAFKA_TRANSACTION_TIMEOUT_MS);
	const char *ours[][2] = {{"enable.idempotence", "true"},
				 {"acks", "all"},
				 {"partitioner", "murmur2_random"},
				 {"transactional.id", transactional_id},
				 {"transaction.timeout.ms", transactional_id ? timeout : NULL},
				 /* librdkafka wants it at most as long as the transaction */
				 {"message.timeout.ms", transactional_id ? timeout : NULL},
				 {NULL, NULL}};
	return make(RD_KAFKA_PRODUCER,
		    conf_new(c, RD_KAFKA_PRODUCER, client, (const char *const(*)[2])ours, cb, err),
		    err);
}

void kafka_check(const struct config *c, struct problems *problems)
{
	size_t before = problems->count;
	struct error err;
	rd_kafka_t *rk;
	bool open = false;

	for (size_t i = 0; i < c->kafka_count; i++) {
		if (c->kafka[i].open) {
			open = true;
			continue;
		}
		rd_kafka_conf_t *conf = rd_kafka_conf_new();
		char why[256];
		if (rd_kafka_conf_set(conf, c->kafka[i].name, c->kafka[i].value, why, sizeof why) !=
		    RD_KAFKA_CONF_OK)
			problem(problems, c->kafka[i].at, "connections.kafka: %s", why);
		rd_kafka_conf_destroy(conf);
	}
	if (open || problems->count > before)
		return;
	/* Each is good; are they together, and beside those that are ours? */
	rk = kafka_consumer(c, "check", NULL, NULL, &err);
	if (rk)
		rd_kafka_destroy(rk);
	else
		problem(problems, c->kafka[0].at, "%s", err.text);
	rk = kafka_producer(c, "check", "check", NULL, &err);
	if (rk)
		rd_kafka_destroy(rk);
	else
		problem(problems, c->kafka[0].at, "%s", err.text);
}

enum result kafka_wait_ready(rd_kafka_t *rk, const struct config *c, int timeout_ms,
			     struct error *err)
{
	const struct rd_kafka_metadata *meta;
	rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, NULL, &meta, timeout_ms);

	if (!code) {
		rd_kafka_metadata_destroy(meta);
		return OK;
	}
	return error_restart(err, "broker", "no broker answers at %s within %d s: %s",
			     config_kafka(c, "bootstrap.servers", "?"), timeout_ms / 1000,
			     rd_kafka_err2str(code));
}

rd_kafka_headers_t *kafka_times(wall_time source, wall_time observed)
{
	rd_kafka_headers_t *h = rd_kafka_headers_new(2);
	char text[24];

	if (source.ms >= 0) {
		snprintf(text, sizeof text, "%" PRId64, source.ms);
		rd_kafka_header_add(h, KAFKA_SOURCE_TIME, -1, text, -1);
	}
	snprintf(text, sizeof text, "%" PRId64, observed.ms);
	rd_kafka_header_add(h, KAFKA_OBSERVED_AT, -1, text, -1);
	return h;
}

rd_kafka_headers_t *kafka_copy_times(const rd_kafka_message_t *msg)
{
	static const char *const names[] = {KAFKA_SOURCE_TIME, KAFKA_OBSERVED_AT};
	rd_kafka_headers_t *from, *to = NULL;

	if (rd_kafka_message_headers(msg, &from))
		return NULL;
	for (size_t i = 0; i < 2; i++) {
		const void *value;
		size_t size;
		if (rd_kafka_header_get_last(from, names[i], &value, &size))
			continue;
		if (!to)
			to = rd_kafka_headers_new(2);
		rd_kafka_header_add(to, names[i], -1, value, (ssize_t)size);
	}
	return to;
}

bool kafka_source_time(const rd_kafka_message_t *msg, wall_time *out)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t size;
	char text[24], *end;

	if (rd_kafka_message_headers(msg, &headers) ||
	    rd_kafka_header_get_last(headers, KAFKA_SOURCE_TIME, &value, &size) || !size ||
	    size >= sizeof text)
		return false;
	memcpy(text, value, size);
	text[size] = 0;
	out->ms = strtoll(text, &end, 10);
	return !*end;
}

bool kafka_pause(rd_kafka_t *consumer, bool pause)
{
	rd_kafka_topic_partition_list_t *mine;

	if (rd_kafka_assignment(consumer, &mine))
		return false;
	if (pause)
		rd_kafka_pause_partitions(consumer, mine);
	else
		rd_kafka_resume_partitions(consumer, mine);
	rd_kafka_topic_partition_list_destroy(mine);
	return true;
}

int64_t kafka_lag(rd_kafka_t *consumer, const char *topic, int32_t partition, int64_t next)
{
	int64_t low, high;

	if (!consumer || next < 0 ||
	    rd_kafka_get_watermark_offsets(consumer, topic, partition, &low, &high))
		return 0;
	return high > next ? high - next : 0;
}

enum result kafka_partitions(rd_kafka_t *rk, const char *topic, int *count, struct error *err)
{
	const struct rd_kafka_metadata *meta;
	rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
	rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, t, &meta, 10000);

	rd_kafka_topic_destroy(t);
	if (code)
		return error_restart(err, "broker", "reading the partitions of %s: %s", topic,
				     rd_kafka_err2str(code));
	*count = meta->topic_cnt ? meta->topics[0].partition_cnt : 0;
	rd_kafka_metadata_destroy(meta);
	return OK;
}

enum result kafka_read_all(rd_kafka_t *reader, const char *topic, int idle_ms,
			   bool (*fn)(void *arg, const rd_kafka_message_t *msg), void *arg,
			   struct error *err)
{
	return kafka_read_since(reader, topic, (wall_time){-1}, idle_ms, fn, arg, err);
}

enum result kafka_read_since(rd_kafka_t *reader, const char *topic, wall_time since, int idle_ms,
			     bool (*fn)(void *arg, const rd_kafka_message_t *msg), void *arg,
			     struct error *err)
{
	rd_kafka_resp_err_t code;
	bool more = true;
	int open = 0;
	enum result r = kafka_partitions(reader, topic, &open, err);

	if (r != OK)
		return r;
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(8);
	for (int i = 0; i < open; i++)
		rd_kafka_topic_partition_list_add(all, topic, i)->offset =
		    since.ms < 0 ? RD_KAFKA_OFFSET_BEGINNING : since.ms;
	if (!open)
		r = error_config(err, "no-topic", "the topic %s does not exist", topic);
	/* Nothing written since then is the end, as librdkafka says it. */
	if (r == OK && since.ms >= 0 && (code = rd_kafka_offsets_for_times(reader, all, 10000)))
		r = error_restart(err, "broker", "looking for a time in %s: %s", topic,
				  rd_kafka_err2str(code));
	rd_kafka_assign(reader, all);
	mono_time last = mono_now();
	while (r == OK && open && more) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(reader, 100);
		if (!m) {
			if (mono_now().ms - last.ms > idle_ms)
				r = error_restart(err, "broker",
						  "reading %s: nothing came for %d s", topic,
						  idle_ms / 1000);
			continue;
		}
		last = mono_now();
		if (!m->err)
			more = fn(arg, m);
		else if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			open--;
		else if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
			r = error_restart(err, "broker", "reading %s: %s", topic,
					  rd_kafka_message_errstr(m));
		rd_kafka_message_destroy(m);
	}
	rd_kafka_assign(reader, NULL);
	rd_kafka_topic_partition_list_destroy(all);
	return r;
}

enum result kafka_end(rd_kafka_t *watcher, const char *topic, int32_t partition, int64_t *end,
		      struct error *err)
{
	int64_t low;
	rd_kafka_resp_err_t code =
	    rd_kafka_query_watermark_offsets(watcher, topic, partition, &low, end, 15000);

	if (!code)
		return OK;
	return error_restart(err, "broker", "reading the end of %s, partition %d: %s", topic,
			     partition, rd_kafka_err2str(code));
}

enum result kafka_read_partition(rd_kafka_t *reader, const char *topic, int32_t partition,
				 int64_t from, int64_t end, int idle_ms,
				 bool (*fn)(void *arg, rd_kafka_message_t *msg),
				 void (*tick)(void *arg), void *arg, struct error *err)
{
	rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
	enum result r = OK;
	bool more = end > 0 && from < end;
	mono_time last = mono_now();

	rd_kafka_topic_partition_list_add(one, topic, partition)->offset = from;
	if (more)
		rd_kafka_assign(reader, one);
	for (unsigned n = 0; r == OK && more; n++) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(reader, 20);
		if (!m || n % 1000 == 0)
			tick(arg);
		if (!m) {
			if (mono_now().ms - last.ms > idle_ms)
				r = error_restart(err, "broker",
						  "reading %s: nothing came for %d s", topic,
						  idle_ms / 1000);
			continue;
		}
		last = mono_now();
		if (!m->err) {
			more = m->offset + 1 < end;
			if (!fn(arg, m))
				rd_kafka_message_destroy(m);
			continue;
		}
		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			more = m->offset < end;
		else if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
			r = error_restart(err, "broker", "reading %s: %s", topic,
					  rd_kafka_message_errstr(m));
		rd_kafka_message_destroy(m);
	}
	rd_kafka_assign(reader, NULL);
	rd_kafka_topic_partition_list_destroy(one);
	return r;
}
