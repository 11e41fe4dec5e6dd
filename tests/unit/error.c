#include "error.h"

#include "unit.h"

SHOWS(each_kind_returns_its_result_and_fills_the_error)
{
	struct error e;

	memset(&e, 0x5a, sizeof e);
	assert_int_equal(error_retry(&e, "http-503", "answers %d", 503), RETRY);
	assert_string_equal(e.reason, "http-503");
	assert_string_equal(e.text, "answers 503");
	assert_int_equal(e.not_before.ms, 0);
	assert_int_equal(error_reject(&e, "too-long", "x"), REJECT);
	assert_int_equal(error_config(&e, "config", "x"), FATAL);
	assert_int_equal(e.exit_code, EXIT_PERMANENT);
	assert_int_equal(error_restart(&e, "broker", "x"), FATAL);
	assert_int_equal(e.exit_code, EXIT_TEMPORARY);
}

SHOWS(nobody_needs_to_listen)
{
	assert_int_equal(error_retry(NULL, "r", "t"), RETRY);
	assert_int_equal(error_config(NULL, "r", "t"), FATAL);
}

SHOWS(a_text_is_one_line)
{
	struct error e;

	error_retry(&e, "r",
		    "a\nb\tc\x01"
		    "d");
	assert_string_equal(e.text, "a b c d");
}

SHOWS(a_text_that_is_too_long_is_cut)
{
	char long_text[2000];
	struct error e;

	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = 0;
	error_retry(&e, long_text, "%s", long_text);
	assert_true(strlen(e.text) < sizeof e.text);
	assert_true(strlen(e.reason) < sizeof e.reason);
	error_prefix(&e, "%s", long_text);
	assert_true(strlen(e.text) < sizeof e.text);
}

SHOWS(a_prefix_stands_in_front)
{
	struct error e;

	error_retry(&e, "r", "gone");
	error_prefix(&e, "reading %s", "file");
	assert_string_equal(e.text, "reading file: gone");
	assert_string_equal(e.reason, "r");
}

static void redacts(const char *text, const char *want)
{
	char out[200];
	assert_string_equal(redact(out, sizeof out, text, strlen(text)), want);
}

SHOWS(quoted_and_parenthesised_values_are_hidden)
{
	redacts("Key (semail)=(a@b.c) already exists", "Key (...)=(...) already exists");
	redacts("value 'Müller' of \"Ann\" is bad", "value '...' of \"...\" is bad");
	redacts("no secret here", "no secret here");
}

SHOWS(an_apostrophe_in_a_name_ends_no_quote)
{
	redacts("The value 'O'Shaughnessy' is not valid", "The value '...' is not valid");
	redacts("'Jean d'Arc-Smith' and 'x'", "'...' and '...'");
	redacts("it isn't 'Ann's'.", "it isn't '...'.");
}

SHOWS(other_quotes_and_brackets_hide_too)
{
	redacts("<Anna Schmidt> said ‘Anna’, “Anna” and «Anna»",
		"<...> said ‘...’, “...” and «...»");
	redacts("Key ((a) b) c", "Key (...) c");
}

SHOWS(an_address_outside_of_quotes_is_hidden)
{
	char out[200];
	const char *text = "mail to ann.o-neil@mail.example.com failed";

	redact(out, sizeof out, text, strlen(text));
	assert_null(strstr(out, "ann"));
	assert_null(strstr(out, "example"));
	assert_contains(out, "failed");
}

SHOWS(an_open_quote_hides_the_rest)
{
	char out[200];
	const char *text = "bad value 'Ann Smith";

	redact(out, sizeof out, text, strlen(text));
	assert_null(strstr(out, "Ann"));
}

SHOWS(what_is_hidden_fits_whatever_the_size)
{
	const char *text = "Key (semail)=(a@b.c) and 'x' and \"y\" and ann@example.com";

	for (size_t size = 1; size < 80; size++) {
		char out[80];
		memset(out, 0x7f, sizeof out);
		redact(out, size, text, strlen(text));
		assert_true(memchr(out, 0, size));
		assert_null(strstr(out, "a@b"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_kind_returns_its_result_and_fills_the_error),
	    cmocka_unit_test(nobody_needs_to_listen),
	    cmocka_unit_test(a_text_is_one_line),
	    cmocka_unit_test(a_text_that_is_too_long_is_cut),
	    cmocka_unit_test(a_prefix_stands_in_front),
	    cmocka_unit_test(quoted_and_parenthesised_values_are_hidden),
	    cmocka_unit_test(an_apostrophe_in_a_name_ends_no_quote),
	    cmocka_unit_test(other_quotes_and_brackets_hide_too),
	    cmocka_unit_test(an_address_outside_of_quotes_is_hidden),
	    cmocka_unit_test(an_open_quote_hides_the_rest),
	    cmocka_unit_test(what_is_hidden_fits_whatever_the_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
