#include "record.h"

#include "unit.h"

static const char schema[] =
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
    "{\"name\":\"s\",\"type\":[\"null\",\"string\"],\"default\":null},"
    "{\"name\":\"n\",\"type\":[\"null\",\"long\"],\"default\":null},"
    "{\"name\":\"d\",\"type\":[\"null\",{\"type\":\"int\",\"logicalType\":\"date\"}],\"default\":"
    "null},"
    "{\"name\":\"t\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}],"
    "\"default\":null},"
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a\",\"b\"]}},"
    "{\"name\":\"b\",\"type\":[\"null\",\"boolean\"],\"default\":null}]}";

static struct record_class class;
static avro_value_t value;

static int make(void **state)
{
	struct error err;
	(void)state;
	if (record_class_new(&class, schema, &err) != OK)
		return -1;
	record_new(&class, &value);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	avro_value_decref(&value);
	record_class_free(&class);
	return 0;
}

static enum result from(const char *text, struct error *err)
{
	cJSON *json = cJSON_Parse(text);
	avro_value_reset(&value);
	enum result r = record_from_json(json, &value, err);
	cJSON_Delete(json);
	return r;
}

SHOWS(json_goes_there_and_back)
{
	struct error err;
	cJSON *out;

	assert_int_equal(from("{\"s\":\"é😀\",\"n\":8000000000000001,\"d\":\"1969-12-31\",\"t\":"
			      "\"2026-01-31T12:00:00.123Z\",\"e\":\"b\"}",
			      &err),
			 OK);
	avro_value_t some, f = record_field(&value, 1);
	assert_true(record_some(&f, &some));
	assert_true(record_long(&some) == 8000000000000001);
	f = record_field(&value, 2);
	assert_true(record_some(&f, &some));
	assert_int_equal(record_long(&some), -1);
	f = record_field(&value, 3);
	assert_true(record_some(&f, &some));
	assert_true(record_long(&some) == 1769860800123);
	f = record_field(&value, 4);
	assert_int_equal(record_enum(&f), 1);
	f = record_field(&value, 5);
	assert_false(record_some(&f, &some));
	out = record_to_json(&value);
	assert_string_equal(cJSON_GetObjectItem(out, "s")->valuestring, "é😀");
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(out, "b")));
	assert_string_equal(cJSON_GetObjectItem(out, "e")->valuestring, "b");
	cJSON_Delete(out);
}

SHOWS(what_does_not_fit_is_named)
{
	static const struct {
		const char *json, *path;
	} bad[] = {{"{\"e\":\"a\",\"x\":1}", "x"},   {"{\"e\":\"c\"}", "e"},
		   {"{\"e\":\"a\",\"s\":5}", "s"},   {"{\"e\":\"a\",\"n\":\"many\"}", "n"},
		   {"{\"e\":\"a\",\"n\":1.5}", "n"}, {"{\"e\":\"a\",\"d\":\"2026-02-30\"}", "d"},
		   {"{\"e\":\"a\",\"b\":1}", "b"},   {"{\"e\":\"a\",\"s\":[]}", "s"}};
	struct error err;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (from(bad[i].json, &err) != REJECT)
			fail_msg("accepted: %s", bad[i].json);
		assert_contains(err.text, bad[i].path);
	}
}

SHOWS(optional_fields_are_set_and_cleared)
{
	avro_value_t f = record_field(&value, 0), some;
	size_t len;

	avro_value_reset(&value);
	some = record_set_some(&f);
	record_set_text(&some, "abcdef", 3);
	assert_true(record_some(&f, &some));
	assert_string_equal(record_text(&some, &len), "abc");
	assert_int_equal(len, 3);
	record_set_null(&f);
	assert_false(record_some(&f, &some));
	assert_int_equal(record_index(&value, "t"), 3);
	assert_int_equal(record_index(&value, "nothing"), -1);
}

SHOWS(another_version_of_a_record_is_read_by_names)
{
	struct record_class old;
	avro_value_t v, some;
	struct error err;

	assert_int_equal(
	    record_class_new(&old,
			     "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
			     "{\"name\":\"gone\",\"type\":\"string\"},"
			     "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\","
			     "\"symbols\":[\"a\",\"b\"]}},"
			     "{\"name\":\"n\",\"type\":[\"null\",\"int\"],\"default\":null}]}",
			     &err),
	    OK);
	record_new(&old, &v);
	avro_value_t f = record_field(&v, 0);
	record_set_text(&f, "x", 1);
	f = record_field(&v, 1);
	avro_value_set_enum(&f, 1);
	f = record_field(&v, 2);
	some = record_set_some(&f);
	avro_value_set_int(&some, 7);
	assert_int_equal(from("{\"s\":\"left over\",\"e\":\"a\"}", &err), OK);
	assert_true(record_copy_by_name(&v, &value));
	f = record_field(&value, 1);
	assert_true(record_some(&f, &some));
	assert_int_equal(record_long(&some), 7);
	f = record_field(&value, 0);
	assert_false(record_some(&f, &some));
	f = record_field(&value, 4);
	assert_int_equal(record_enum(&f), 1);
	avro_value_decref(&v);
	record_class_free(&old);
}

SHOWS(a_schema_that_is_none_is_a_bug_or_a_bad_file)
{
	struct record_class c = {0};
	struct error err;

	assert_int_equal(record_class_new(&c, "{\"type\":\"recod\"}", &err), FATAL);
	assert_int_equal(err.exit_code, EXIT_PERMANENT);
	record_class_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(json_goes_there_and_back),
	    cmocka_unit_test(what_does_not_fit_is_named),
	    cmocka_unit_test(optional_fields_are_set_and_cleared),
	    cmocka_unit_test(another_version_of_a_record_is_read_by_names),
	    cmocka_unit_test(a_schema_that_is_none_is_a_bug_or_a_bad_file),
	};
	return cmocka_run_group_tests(tests, make, unmake);
}
