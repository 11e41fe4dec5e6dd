#include "json.h"

#include "unit.h"

SHOWS(exact_numbers_keep_every_digit)
{
	struct buffer scratch = BUFFER(1 << 20);
	const char *text = "{\"a\":922337203685477.5807,\"b\":[1e5,-0.10],\"c\":\"1.5\",\"d\":true,"
			   "\"e\":\"q\\\"5\\\\\",\"f\":12345678901234567890123}";
	cJSON *json = json_parse_exact(&scratch, text, strlen(text));

	assert_non_null(json);
	assert_string_equal(json_string(json, "a"), "922337203685477.5807");
	assert_string_equal(json_string(json, "f"), "12345678901234567890123");
	assert_string_equal(json_string(json, "c"), "1.5");
	assert_string_equal(json_string(json, "e"), "q\"5\\");
	assert_true(json_is_true(json, "d"));
	assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "b"), 1)->valuestring,
			    "-0.10");
	cJSON_Delete(json);
	buffer_free(&scratch);
}

SHOWS(garbage_is_refused)
{
	static const char *const bad[] = {"",	  "{",	 "nope",       "{\"a\":}", "[1,2",
					  "{}{}", "\"a", "{\"a\":1}x", "\xff\xfe", "[1 2]"};
	struct buffer scratch = BUFFER(1 << 20);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cJSON *a = json_parse(bad[i], strlen(bad[i]));
		cJSON *b = json_parse_exact(&scratch, bad[i], strlen(bad[i]));
		if (a || b)
			fail_msg("%s was taken for JSON", bad[i]);
		cJSON_Delete(a);
		cJSON_Delete(b);
	}
	buffer_free(&scratch);
}

SHOWS(a_nul_is_refused)
{
	struct buffer scratch = BUFFER(1 << 20);

	assert_null(json_parse("{\"a\":1}\0{}", 10));
	assert_null(json_parse_exact(&scratch, "{\"a\":1}\0{}", 10));
	buffer_free(&scratch);
}

SHOWS(an_escaped_nul_does_not_cut_a_text)
{
	struct buffer scratch = BUFFER(1 << 20);
	const char *text = "{\"a\":\"x\\u0000y\",\"b\":\"\\\\u0000\",\"c\":5}";
	cJSON *json = json_parse_exact(&scratch, text, strlen(text));

	assert_string_equal(json_string(json, "a"), "x\xef\xbf\xbdy");
	assert_string_equal(json_string(json, "b"), "\\u0000"); /* a backslash, no escape */
	assert_string_equal(json_string(json, "c"), "5");
	cJSON_Delete(json);
	assert_null(json_parse(text, strlen(text)));
	buffer_free(&scratch);
}

SHOWS(half_of_a_pair_is_replaced)
{
	struct buffer scratch = BUFFER(1 << 20);
	const char *text =
	    "{\"a\":\"x\\ud83d\",\"b\":\"\\uDE00y\",\"c\":\"\\uD83d\\ude00\","
	    "\"d\":\"\\ud83d\\ud83d\\ude00\",\"e\":\"\\\\ud83d\",\"f\":\"\\ud83d\\n\"}";
	cJSON *json = json_parse_exact(&scratch, text, strlen(text));

	assert_non_null(json);
	assert_string_equal(json_string(json, "a"), "x\xef\xbf\xbd");
	assert_string_equal(json_string(json, "b"), "\xef\xbf\xbdy");
	assert_string_equal(json_string(json, "c"), "\xf0\x9f\x98\x80");
	assert_string_equal(json_string(json, "d"), "\xef\xbf\xbd\xf0\x9f\x98\x80");
	assert_string_equal(json_string(json, "e"), "\\ud83d");
	assert_string_equal(json_string(json, "f"), "\xef\xbf\xbd\n");
	cJSON_Delete(json);
	buffer_free(&scratch);
}

SHOWS(numbers_that_are_raw_are_printed_as_they_were_written)
{
	const char *text =
	    "{\"a\":9007199254740993,\"b\":{\"c\":-0.10,\"d\":\"7\\\"8\"},\"e\":true}";
	cJSON *json = json_parse_raw(text);

	assert_non_null(json);
	char *again = cJSON_PrintUnformatted(json);
	assert_string_equal(again, text);
	free(again);
	cJSON_Delete(json);
	assert_null(json_parse_raw("{"));
}

SHOWS(depth_is_bounded)
{
	struct buffer scratch = BUFFER(16 << 20);
	size_t n = 100000;
	char *deep = malloc(2 * n + 1);

	memset(deep, '[', n);
	memset(deep + n, ']', n);
	deep[2 * n] = 0;
	assert_null(json_parse(deep, 2 * n));
	assert_null(json_parse_exact(&scratch, deep, 2 * n));
	free(deep);
	buffer_free(&scratch);
}

SHOWS(what_does_not_fit_into_scratch_is_refused)
{
	struct buffer scratch = BUFFER(10);

	assert_null(json_parse_exact(&scratch, "{\"a\":123456789}", 15));
	buffer_free(&scratch);
}

SHOWS(members_have_the_type_that_is_asked_for)
{
	const char *text = "{\"s\":\"x\",\"n\":5,\"t\":\"77\",\"z\":null,\"h\":1.5,\"b\":1}";
	cJSON *json = json_parse(text, strlen(text));
	int64_t n;

	assert_non_null(json);
	assert_null(json_string(json, "n"));
	assert_null(json_string(json, "z"));
	assert_null(json_string(json, "missing"));
	assert_true(json_int(json, "n", &n) && n == 5);
	assert_true(json_int(json, "t", &n) && n == 77);
	assert_false(json_int(json, "s", &n));
	assert_false(json_int(json, "h", &n));
	assert_false(json_is_true(json, "b"));
	assert_null(json_string(NULL, "x"));
	cJSON_Delete(json);
}

SHOWS(whole_texts_are_converted_or_refused)
{
	int64_t n;
	double d;

	assert_true(text_to_int("-9223372036854775808", INT64_MIN, INT64_MAX, &n));
	assert_true(n == INT64_MIN);
	assert_false(text_to_int("9223372036854775808", INT64_MIN, INT64_MAX, &n));
	assert_false(text_to_int("5 ", 0, 9, &n));
	assert_false(text_to_int("", 0, 9, &n));
	assert_false(text_to_int("10", 0, 9, &n));
	assert_false(text_to_int("0x1", 0, 9, &n));
	assert_true(text_to_double("1e308", &d));
	assert_false(text_to_double("1e309", &d));
	assert_false(text_to_double("nan", &d));
	assert_false(text_to_double("inf", &d));
	assert_false(text_to_double("1,5", &d));
	assert_true(text_is_decimal("-0.50"));
	assert_true(text_is_decimal("922337203685477.5807"));
	assert_false(text_is_decimal("1e5"));
	assert_false(text_is_decimal(".5"));
	assert_false(text_is_decimal("5."));
	assert_false(text_is_decimal("-"));
}

SHOWS(guids_have_one_form)
{
	assert_true(text_is_guid("6F2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21"));
	assert_false(text_is_guid("{6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21}"));
	assert_false(text_is_guid("6f2d6c1e3f0b4d589a495a1f0c8b7e21"));
	assert_false(text_is_guid("6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e2"));
	assert_false(text_is_guid("6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e2g"));
	assert_false(text_is_guid(""));
	char lower[37] = "as it was";
	assert_true(text_lower_guid("6F2D6c1e-3f0b-4d58-9a49-5a1f0c8b7e21", lower));
	assert_string_equal(lower, "6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21");
	assert_false(text_lower_guid("6F2D", lower));
	assert_string_equal(lower, "6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21");
}

SHOWS(malformed_utf8_is_seen)
{
	assert_true(text_is_utf8("é😀", strlen("é😀")));
	assert_int_equal(utf8_length("aé😀"), 3);
	assert_false(text_is_utf8("\xc0\xaf", 2));	   /* overlong */
	assert_false(text_is_utf8("\xed\xa0\x80", 3));	   /* surrogate */
	assert_false(text_is_utf8("\xf4\x90\x80\x80", 4)); /* beyond U+10FFFF */
	assert_false(text_is_utf8("\xe2\x82", 2));	   /* cut */
	assert_false(text_is_utf8("a\0b", 3));
	assert_true(text_is_utf8("", 0));
}

SHOWS(bytes_that_are_no_utf8_are_marked)
{
	static const char *const pairs[][2] = {{"caf\xe9.yaml", "caf\xef\xbf\xbd.yaml"},
					       {"é😀", "é😀"},
					       {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
					       {"\xe2\x82\xacx\xff", "€x\xef\xbf\xbd"},
					       {"", ""}};

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		char *text = utf8_replaced(pairs[i][0]);
		assert_string_equal(text, pairs[i][1]);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(exact_numbers_keep_every_digit),
	    cmocka_unit_test(garbage_is_refused),
	    cmocka_unit_test(a_nul_is_refused),
	    cmocka_unit_test(an_escaped_nul_does_not_cut_a_text),
	    cmocka_unit_test(half_of_a_pair_is_replaced),
	    cmocka_unit_test(numbers_that_are_raw_are_printed_as_they_were_written),
	    cmocka_unit_test(depth_is_bounded),
	    cmocka_unit_test(what_does_not_fit_into_scratch_is_refused),
	    cmocka_unit_test(members_have_the_type_that_is_asked_for),
	    cmocka_unit_test(whole_texts_are_converted_or_refused),
	    cmocka_unit_test(guids_have_one_form),
	    cmocka_unit_test(malformed_utf8_is_seen),
	    cmocka_unit_test(bytes_that_are_no_utf8_are_marked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
