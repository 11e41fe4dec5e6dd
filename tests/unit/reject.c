#include "reject.h"

#include <librdkafka/rdkafka_mock.h>

#include "unit.h"

static bool found;

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	rd_kafka_headers_t *h;
	const void *value;
	size_t size;
	static const char *const want[][2] = {
	    {REJECT_REASON, "too-long"}, {REJECT_TEXT, "the field firstName"}, {REJECT_TOPIC, "in"},
	    {REJECT_PARTITION, "3"},	 {REJECT_OFFSET, "9000000000"},	       {REJECT_AT, "77"}};

	(void)rk;
	assert_int_equal(m->err, 0);
	assert_ptr_equal(opaque, NULL);
	assert_memory_equal(m->payload, "\0\1raw", 5);
	assert_int_equal(m->len, 5);
	assert_memory_equal(m->key, "k\0k", 3);
	assert_int_equal(rd_kafka_message_headers(m, &h), 0);
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		assert_int_equal(rd_kafka_header_get_last(h, want[i][0], &value, &size), 0);
		assert_string_equal(value, want[i][1]);
	}
	found = true;
}

SHOWS(a_dead_letter_keeps_key_and_value_and_says_why_and_from_where)
{
	char why[200];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	struct error err = {.reason = "too-long", .text = "the field firstName"};
	struct reject_origin from = {"in", 3, 9000000000};

	rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", why, sizeof why);
	rd_kafka_conf_set(conf, "log_level", "0", why, sizeof why);
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
	assert_non_null(rk);
	assert_int_equal(reject_produce(rk, "rejected", "k\0k", 3, "\0\1raw", 5, &from, &err,
					(wall_time){77}, NULL, NULL),
			 0);
	assert_int_equal(rd_kafka_flush(rk, 10000), 0);
	assert_true(found);
	rd_kafka_destroy(rk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_dead_letter_keeps_key_and_value_and_says_why_and_from_where),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
