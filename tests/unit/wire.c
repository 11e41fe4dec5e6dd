#include "wire.h"

#include "server.h"

static const char schema[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
			     "{\"name\":\"s\",\"type\":\"string\"},"
			     "{\"name\":\"n\",\"type\":[\"null\",\"long\"],\"default\":null},"
			     "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\","
			     "\"symbols\":[\"a\",\"b\"]}}]}";
static struct record_class class;
static avro_value_t value;
static struct buffer out = {.max = WIRE_VALUE_MAX};
static struct http *h;
static struct registry *registry; /* nobody answers there */
static struct wire *wire;
static struct error err;

static int make(void **state)
{
	(void)state;
	record_limit_allocations();
	if (record_class_new(&class, schema, &err) != OK)
		return -1;
	record_new(&class, &value);
	h = http_new("test/1", NULL);
	registry = registry_new(h, "http://127.0.0.1:1", NULL, NULL);
	wire = wire_new(registry);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	avro_value_decref(&value);
	record_class_free(&class);
	buffer_free(&out);
	wire_free(wire);
	registry_free(registry);
	http_free(h);
	return 0;
}

static void encode(const char *text)
{
	avro_value_reset(&value);
	avro_value_t f = record_field(&value, 0);
	record_set_text(&f, text, strlen(text));
	f = record_field(&value, 1);
	record_set_null(&f);
	f = record_field(&value, 2);
	avro_value_set_enum(&f, 1);
	assert_int_equal(wire_encode(258, &value, &out, &err), OK);
}

SHOWS(a_value_begins_with_a_zero_and_the_id_in_network_order)
{
	encode("é");
	assert_memory_equal(out.data, "\0\0\0\1\2", 5);
	assert_memory_equal(out.data + 5, "\x04\xc3\xa9\x00\x02", 5);
	assert_int_equal(out.len, 10);
}

SHOWS(what_was_encoded_is_decoded)
{
	encode("hello 😀");
	avro_value_reset(&value);
	assert_int_equal(wire_decode(wire, out.data, out.len, 258, &value, &err), OK);
	avro_value_t f = record_field(&value, 0);
	assert_string_equal(record_text(&f, NULL), "hello 😀");
}

static void bad(const void *data, size_t len)
{
	avro_value_reset(&value);
	if (wire_decode(wire, data, len, 258, &value, &err) != REJECT)
		fail_msg("accepted %zu bytes: %s", len, (const char *)data + 5);
	assert_true(*err.reason && *err.text);
}

SHOWS(garbage_is_rejected)
{
	static const char *const texts[] = {"", "\0", "x", "\1\0\0\1\2\2a\0\2", "this is no avro"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		bad(texts[i], strlen(texts[i]));
	bad("\0\0\0\1\2", 5);					   /* no value */
	bad("\0\0\0\1\2\x04\xc3\xa9\x00\x02z", 11);		   /* bytes behind it */
	bad("\0\0\0\1\2\x04\xc3\xa9\x00\x08", 10);		   /* no such symbol */
	bad("\0\0\0\1\2\x04\xc3\xa9\x06\x02", 10);		   /* no such branch */
	bad("\0\0\0\1\2\x04\xc3(\x00\x02", 10);			   /* no UTF-8 */
	bad("\0\0\0\1\2\x01\xc3\xa9\x00\x02", 10);		   /* a negative length */
	bad("\0\0\0\1\2\xfe\xff\xff\xff\x0f\xc3\xa9\x00\x02", 14); /* a length of 4 GiB */
	bad("\0\0\0\1\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
}

SHOWS(every_cut_and_every_flipped_byte_is_survived)
{
	char copy[100];

	encode("some text of a record");
	for (size_t n = 0; n < out.len; n++)
		bad(out.data, n);
	for (size_t i = 5; i < out.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			memcpy(copy, out.data, out.len);
			copy[i] = (char)(copy[i] ^ 1 << bit);
			avro_value_reset(&value);
			enum result r = wire_decode(wire, copy, out.len, 258, &value, &err);
			assert_true(r == OK || r == REJECT);
		}
}

SHOWS(an_id_that_cannot_be_asked_for_is_no_dead_letter)
{
	encode("x");
	out.data[4] = 77;
	assert_int_equal(wire_decode(wire, out.data, out.len, 258, &value, &err), RETRY);
}

SHOWS(an_older_schema_is_fetched_once_and_read_by_names)
{
	struct server s;
	server_start(
	    &s,
	    (const char *const[]){
		ANSWER("200 OK", "",
		       "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\","
		       "\\\"fields\\\":[{\\\"name\\\":\\\"e\\\",\\\"type\\\":{\\\"type\\\":"
		       "\\\"enum\\\",\\\"name\\\":\\\"E\\\",\\\"symbols\\\":[\\\"a\\\","
		       "\\\"b\\\"]}},{\\\"name\\\":\\\"s\\\",\\\"type\\\":\\\"string\\\"}]}\"}"),
		NULL});
	struct registry *r = registry_new(h, s.url, NULL, NULL);
	struct wire *w = wire_new(r);
	for (int i = 0; i < 2; i++) {
		avro_value_reset(&value);
		assert_int_equal(wire_decode(w, "\0\0\0\0\5\2\4hi", 9, 258, &value, &err), OK);
		avro_value_t f = record_field(&value, 0);
		assert_string_equal(record_text(&f, NULL), "hi");
		f = record_field(&value, 2);
		assert_int_equal(record_enum(&f), 1);
	}
	assert_int_equal(s.count, 1);
	wire_free(w);
	registry_free(r);
	server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_value_begins_with_a_zero_and_the_id_in_network_order),
	    cmocka_unit_test(what_was_encoded_is_decoded),
	    cmocka_unit_test(garbage_is_rejected),
	    cmocka_unit_test(every_cut_and_every_flipped_byte_is_survived),
	    cmocka_unit_test(an_id_that_cannot_be_asked_for_is_no_dead_letter),
	    cmocka_unit_test(an_older_schema_is_fetched_once_and_read_by_names),
	};
	return cmocka_run_group_tests(tests, make, unmake);
}
