#include "kafka.h"

#include "fixture.h"
#include "reject.h"

static void has(rd_kafka_t *rk, const char *name, const char *want)
{
	char value[512];
	size_t size = sizeof value;

	assert_non_null(rk);
	if (rd_kafka_conf_get(rd_kafka_conf(rk), name, value, &size) != RD_KAFKA_CONF_OK) {
		rd_kafka_topic_conf_t *topic = rd_kafka_default_topic_conf_dup(rk);
		size = sizeof value;
		assert_int_equal(rd_kafka_topic_conf_get(topic, name, value, &size),
				 RD_KAFKA_CONF_OK);
		rd_kafka_topic_conf_destroy(topic);
	}
	if (strcmp(value, want))
		fail_msg("%s is %s, not %s", name, value, want);
}

SHOWS(settings_that_carry_a_guarantee_are_set)
{
	struct problems p = {0};
	struct config *c =
	    fixture_config("connections: {kafka: {linger.ms: 50, fetch.min.bytes: 7}}\n", &p);
	struct error err;
	rd_kafka_t *consumer = kafka_consumer(c, "group", "one", NULL, &err);
	rd_kafka_t *producer = kafka_producer(c, "client", "tx", NULL, &err);

	has(consumer, "enable.auto.commit", "false");
	has(consumer, "enable.auto.offset.store", "false");
	has(consumer, "isolation.level", "read_committed");
	has(consumer, "partition.assignment.strategy", "cooperative-sticky");
	has(consumer, "group.id", "group");
	has(consumer, "group.instance.id", "one");
	has(consumer, "auto.offset.reset", "error");
	has(consumer, "fetch.min.bytes", "7");
	has(producer, "enable.idempotence", "true");
	has(producer, "transactional.id", "tx");
	has(producer, "transaction.timeout.ms", "10000");
	has(producer, "linger.ms", "50");
	has(producer, "acks", "-1");
	rd_kafka_destroy(consumer);
	rd_kafka_destroy(producer);
	config_free(c);
}

SHOWS(a_setting_that_librdkafka_does_not_know_has_a_place)
{
	struct problems p = {0};
	struct config *c = fixture_config("connections: {kafka: {no.such.setting: 1}}\n", &p);
	struct error err;

	if (c) {
		assert_null(kafka_reader(c, "client", &err));
		assert_int_equal(err.exit_code, EXIT_PERMANENT);
		assert_contains(err.text, "no.such.setting");
		assert_contains(err.text, ":1:");
	} else {
		assert_true(fixture_says(&p, "no.such.setting"));
	}
	config_free(c);
	problems_free(&p);
}

SHOWS(a_broker_that_is_away_is_named)
{
	struct problems p = {0};
	struct config *c = fixture_config(NULL, &p);
	struct error err;
	rd_kafka_t *rk = kafka_producer(c, "client", NULL, NULL, &err);

	assert_int_equal(kafka_wait_ready(rk, c, 300, &err), FATAL);
	assert_int_equal(err.exit_code, EXIT_TEMPORARY);
	assert_contains(err.text, "127.0.0.1:1");
	rd_kafka_destroy(rk);
	config_free(c);
}

static const char *header(rd_kafka_headers_t *h, const char *name)
{
	const void *value;
	size_t size;
	return rd_kafka_header_get_last(h, name, &value, &size) ? NULL : value;
}

SHOWS(times_travel_in_headers_in_ms)
{
	rd_kafka_headers_t *h = kafka_times((wall_time){1769860800123}, (wall_time){5});

	assert_string_equal(header(h, KAFKA_SOURCE_TIME), "1769860800123");
	assert_string_equal(header(h, KAFKA_OBSERVED_AT), "5");
	rd_kafka_headers_destroy(h);
	h = kafka_times((wall_time){-1}, (wall_time){5});
	assert_null(header(h, KAFKA_SOURCE_TIME));
	rd_kafka_headers_destroy(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(settings_that_carry_a_guarantee_are_set),
	    cmocka_unit_test(a_setting_that_librdkafka_does_not_know_has_a_place),
	    cmocka_unit_test(a_broker_that_is_away_is_named),
	    cmocka_unit_test(times_travel_in_headers_in_ms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
