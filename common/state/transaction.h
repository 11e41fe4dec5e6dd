/* transaction.h - one Kafka transaction: records, and the consumer's offsets with them.
 *
 * A loader's transaction is short: begin, produce what is finished, send the offsets, commit.  So
 * a process that is killed seldom leaves an open one behind, which its successor would have to
 * wait for.
 */
#ifndef TIDEWAY_TRANSACTION_H
#define TIDEWAY_TRANSACTION_H

#include <librdkafka/rdkafka.h>
#include <signal.h>

#include "error.h"

/* Reason of a FATAL: the broker refused a message or its topic, and will again.  An outage never has
 * this reason.  The producer is of no more use: librdkafka 2.0.2 counts the refused message, the
 * broker does not, so the next one would be out of order until it times out. */
#define TRANSACTION_REFUSED "refused"

/* Fences and aborts what another holder of the transactional id has open. */
enum result transaction_init(rd_kafka_t *producer, const volatile sig_atomic_t *stop,
			     struct error *err);
enum result transaction_begin(rd_kafka_t *producer, struct error *err);

/* Sends the offsets (none when the list is empty) under the consumer's membership, and commits.
 * RETRY: it was aborted, nothing of it is there, produce all of it again: normal in a rebalance.
 * FATAL 111: fenced, or the broker refuses (TRANSACTION_REFUSED). */
enum result transaction_commit(rd_kafka_t *producer, rd_kafka_t *consumer,
			       const rd_kafka_topic_partition_list_t *offsets, struct error *err);
enum result transaction_abort(rd_kafka_t *producer, struct error *err);

#endif
