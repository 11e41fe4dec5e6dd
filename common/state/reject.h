/* reject.h - dead letters: the record untouched, the reason in headers.
 *
 *   tideway-error-reason   a stable word, "too-long"
 *   tideway-error-text     one line, quoted and parenthesised values of the products replaced
 *   tideway-input-topic, -partition, -offset   where it came from
 *   tideway-rejected-at    ms
 *   tideway-input-bytes    only when the value was too large for a message and was cut: its size
 * and the two time headers of the input.  Topic rejected.<flow>.<stage>.
 */
#ifndef TIDEWAY_REJECT_H
#define TIDEWAY_REJECT_H

#include <librdkafka/rdkafka.h>

#include "error.h"

#define REJECT_REASON "tideway-error-reason"
#define REJECT_TEXT "tideway-error-text"
#define REJECT_TOPIC "tideway-input-topic"
#define REJECT_PARTITION "tideway-input-partition"
#define REJECT_OFFSET "tideway-input-offset"
#define REJECT_AT "tideway-rejected-at"

#define REJECT_BYTES "tideway-input-bytes"

enum { REJECT_CUT_BYTES = 64 << 10 };

/* Where a dead letter came from; topic may be a file name, offset a line. */
struct reject_origin {
	const char *topic;
	int32_t partition;
	int64_t offset;
};

/* headers may be NULL (taken over otherwise).  opaque reaches the delivery callback.  Returns
 * librdkafka's error: __QUEUE_FULL means poll and call again (headers are then destroyed). */
rd_kafka_resp_err_t reject_produce(rd_kafka_t *producer, const char *topic, const void *key,
				   size_t key_len, const void *value, size_t value_len,
				   const struct reject_origin *from, const struct error *why,
				   wall_time now, rd_kafka_headers_t *headers, void *opaque);

#endif
