/* kafka.h - librdkafka with the settings that carry our guarantees.
 *
 * What a user writes under connections.kafka is passed through; the settings below are ours.
 * Facts behind them were measured with librdkafka 2.0.2 against Kafka 4.1.1:
 *   consumers  cooperative-sticky (a joiner interrupts nobody), read_committed, no automatic
 *              commits, no automatic offset reset, EOF events (control records of transactions
 *              make "end - committed" never 0; the EOF offset does)
 *   producers  idempotent, acks all, murmur2_random (keys land where Java clients put them)
 * Records are read with rd_kafka_consumer_poll: the batch call lost records in cooperative
 * rebalances.
 */
#ifndef TIDEWAY_KAFKA_H
#define TIDEWAY_KAFKA_H

#include <librdkafka/rdkafka.h>

#include "clock.h"
#include "config.h"
#include "error.h"

/* @locality log: any of librdkafka's threads; the others: the thread that polls. */
struct kafka_callbacks {
	void (*log)(const rd_kafka_t *rk, int level, const char *facility, const char *text);
	void (*rebalance)(rd_kafka_t *rk, rd_kafka_resp_err_t err,
			  rd_kafka_topic_partition_list_t *partitions, void *opaque);
	void (*delivered)(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque);
	void (*error)(rd_kafka_t *rk, int err, const char *reason, void *opaque);
	void *opaque;
	const char *prefetch; /* records that a consumer keeps ready; NULL: librdkafka's own */
};

enum { KAFKA_TRANSACTION_TIMEOUT_MS = 10000 };

/* A consumer in a group, not yet subscribed. instance may be NULL; with it a restarted process
 * takes its partitions back without waiting for the session to end (static membership). */
rd_kafka_t *kafka_consumer(const struct config *c, const char *group, const char *instance,
			   const struct kafka_callbacks *cb, struct error *err);
/* The same for a process that may be busy with one step for hours without polling.  That it is
 * alive, its heartbeats tell. */
rd_kafka_t *kafka_leader(const struct config *c, const char *group, const char *instance,
			 const struct kafka_callbacks *cb, struct error *err);
/* A consumer outside of any group work, for reading a topic from end to end. */
rd_kafka_t *kafka_reader(const struct config *c, const char *client, struct error *err);
/* A client that sees the end of a partition also behind transactions that are still open. */
rd_kafka_t *kafka_watcher(const struct config *c, const char *client, struct error *err);
/* transactional_id NULL: idempotent only. */
rd_kafka_t *kafka_producer(const struct config *c, const char *client, const char *transactional_id,
			   const struct kafka_callbacks *cb, struct error *err);

/* Finds settings that librdkafka does not know, or not with these values. */
void kafka_check(const struct config *c, struct problems *problems);

/* Waits until a broker answers. RETRY-free: FATAL 111 after timeout_ms. */
enum result kafka_wait_ready(rd_kafka_t *rk, const struct config *c, int timeout_ms,
			     struct error *err);

/* Copies the two time headers from one message to another's header list (NULL when none). */
rd_kafka_headers_t *kafka_copy_times(const rd_kafka_message_t *msg);
rd_kafka_headers_t *kafka_times(wall_time source, wall_time observed); /* source.ms < 0: left out */
/* False: the message does not say when the source says that it changed. */
bool kafka_source_time(const rd_kafka_message_t *msg, wall_time *out);
/* Pauses or resumes all that is assigned now; false when that is not to be had. */
bool kafka_pause(rd_kafka_t *consumer, bool pause);
/* Offsets from next to the end of a partition that is being read, as far as is known without asking
 * the broker; marks of transactions are among them.  consumer NULL: 0. */
int64_t kafka_lag(rd_kafka_t *consumer, const char *topic, int32_t partition, int64_t next);
#define KAFKA_SOURCE_TIME "tideway-source-time"
#define KAFKA_OBSERVED_AT "tideway-observed-at"

/* Reads all partitions of a topic to where they end now (read_committed), from the first record
 * written at or after a time, or from the beginning (since.ms < 0).
 * fn gets each record; it returns false to stop.  idle_ms bounds a wait without any progress. */
enum result kafka_read_since(rd_kafka_t *reader, const char *topic, wall_time since, int idle_ms,
			     bool (*fn)(void *arg, const rd_kafka_message_t *msg), void *arg,
			     struct error *err);
enum result kafka_read_all(rd_kafka_t *reader, const char *topic, int idle_ms,
			   bool (*fn)(void *arg, const rd_kafka_message_t *msg), void *arg,
			   struct error *err);

/* Reads one partition from an offset (or RD_KAFKA_OFFSET_BEGINNING) up to `end`, an offset as the
 * watcher told it: a record behind an open transaction is waited for.
 * fn returns true to keep the message; it is destroyed otherwise.  tick is called often. */
enum result kafka_read_partition(rd_kafka_t *reader, const char *topic, int32_t partition,
				 int64_t from, int64_t end, int idle_ms,
				 bool (*fn)(void *arg, rd_kafka_message_t *msg),
				 void (*tick)(void *arg), void *arg, struct error *err);
enum result kafka_end(rd_kafka_t *watcher, const char *topic, int32_t partition, int64_t *end,
		      struct error *err);
/* 0 when the topic is not there. */
enum result kafka_partitions(rd_kafka_t *rk, const char *topic, int *count, struct error *err);

#endif
