/* reject.c - see reject.h. */
#include "reject.h"

#include <inttypes.h>
#include <stdio.h>

static void add_number(rd_kafka_headers_t *h, const char *name, int64_t n)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRId64, n);
	rd_kafka_header_add(h, name, -1, text, -1);
}

static rd_kafka_resp_err_t produce(rd_kafka_t *producer, const char *topic, const void *key,
				   size_t key_len, const void *value, size_t value_len,
				   rd_kafka_headers_t *h, void *opaque)
{
	return rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key, key_len),
				 RD_KAFKA_V_VALUE((void *)value, value_len),
				 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(h),
				 RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
}

rd_kafka_resp_err_t reject_produce(rd_kafka_t *producer, const char *topic, const void *key,
				   size_t key_len, const void *value, size_t value_len,
				   const struct reject_origin *from, const struct error *why,
				   wall_time now, rd_kafka_headers_t *headers, void *opaque)
{
	rd_kafka_headers_t *h = headers ? headers : rd_kafka_headers_new(8);

	rd_kafka_header_add(h, REJECT_REASON, -1, why->reason, -1);
	rd_kafka_header_add(h, REJECT_TEXT, -1, why->text, -1);
	rd_kafka_header_add(h, REJECT_TOPIC, -1, from->topic, -1);
	add_number(h, REJECT_PARTITION, from->partition);
	add_number(h, REJECT_OFFSET, from->offset);
	add_number(h, REJECT_AT, now.ms);
	rd_kafka_resp_err_t code =
	    produce(producer, topic, key, key_len, value, value_len, h, opaque);
	if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && value_len > REJECT_CUT_BYTES) {
		/* Better its beginning than nothing: the origin says where the whole is. */
		add_number(h, REJECT_BYTES, (int64_t)value_len);
		code = produce(producer, topic, key, key_len, value, REJECT_CUT_BYTES, h, opaque);
	}
	if (code)
		rd_kafka_headers_destroy(h);
	return code;
}
