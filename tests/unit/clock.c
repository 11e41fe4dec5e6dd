#include "clock.h"

#include <time.h>

#include "unit.h"

SHOWS(days_are_those_of_the_c_library)
{
	for (int32_t day = days_from_civil(1700, 1, 1); day < days_from_civil(2400, 1, 1);
	     day += 13) {
		time_t t = (time_t)day * 86400;
		struct tm tm;
		int y, m, d;
		gmtime_r(&t, &tm);
		civil_from_days(day, &y, &m, &d);
		assert_int_equal(y, tm.tm_year + 1900);
		assert_int_equal(m, tm.tm_mon + 1);
		assert_int_equal(d, tm.tm_mday);
		assert_int_equal(days_from_civil(y, m, d), day);
	}
}

SHOWS(dates_go_there_and_back)
{
	static const char *const dates[] = {"0001-01-01", "1753-01-01", "1900-03-01", "1969-12-31",
					    "1970-01-01", "2000-02-29", "9999-12-31"};
	for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
		int32_t days;
		char out[11];
		assert_true(date_parse(dates[i], 10, &days));
		assert_true(date_format(days, out));
		assert_string_equal(out, dates[i]);
	}
}

SHOWS(what_is_no_date_is_refused)
{
	static const char *const bad[] = {"",		"2001-02-29", "1900-02-29", "2026-13-01",
					  "2026-00-10", "2026-01-00", "2026-1-1",   "2026-01-01 ",
					  "2026/01/01", "0000-01-01", "-001-01-01", "20260101",
					  "2026-01-32", "abcd-ef-gh", "2026-04-31"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int32_t days;
		if (date_parse(bad[i], strlen(bad[i]), &days))
			fail_msg("%s was taken for a date", bad[i]);
	}
	char out[11];
	assert_false(date_format(days_from_civil(9999, 12, 31) + 1, out));
	assert_false(date_format(days_from_civil(1, 1, 1) - 1, out));
}

static int64_t at(const char *s)
{
	wall_time t;
	if (!datetime_parse(s, strlen(s), false, &t))
		fail_msg("%s was refused", s);
	return t.ms;
}

SHOWS(times_of_both_products_are_read)
{
	assert_int_equal(at("1970-01-01T00:00:00Z"), 0);
	assert_int_equal(at("1969-12-31T23:59:59.999Z"), -1);
	assert_int_equal(at("2026-01-31 12:00:00.123Z"), at("2026-01-31T12:00:00.123Z"));
	assert_int_equal(at("2026-01-31T12:00:00.1239999Z"), at("2026-01-31T12:00:00.123Z"));
	assert_int_equal(at("2026-01-31T12:00:00.1Z"), at("2026-01-31T12:00:00.100Z"));
	assert_int_equal(at("2026-01-31T14:00:00+02:00"), at("2026-01-31T12:00:00Z"));
	assert_int_equal(at("2026-01-31T06:30:00-05:30"), at("2026-01-31T12:00:00Z"));
	assert_int_equal(at("2026-01-31T12:00:00"), at("2026-01-31T12:00:00Z"));
}

SHOWS(what_is_no_time_is_refused)
{
	static const char *const bad[] = {"",
					  "2026-01-31",
					  "2026-01-31T24:00:00Z",
					  "2026-01-31T12:60:00Z",
					  "2026-01-31T12:00:61Z",
					  "2026-02-30T12:00:00Z",
					  "2026-01-31T12:00Z",
					  "2026-01-31T12:00:00.Z",
					  "2026-01-31T12:00:00ZZ",
					  "31/01/2026 12:00:00",
					  "2026-01-31T12:00:00+2",
					  "2026-01-31T12:00:00+25:00",
					  "2026-01-31X12:00:00Z"};
	wall_time t;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (datetime_parse(bad[i], strlen(bad[i]), false, &t))
			fail_msg("%s was taken for a time", bad[i]);
	assert_false(datetime_parse("2026-01-31T12:00:00", 19, true, &t));
	assert_true(datetime_parse("2026-01-31T12:00:00Z", 20, true, &t));
}

SHOWS(times_are_written_for_both_products)
{
	char out[25];

	assert_true(datetime_format((wall_time){-1}, 'T', out));
	assert_string_equal(out, "1969-12-31T23:59:59.999Z");
	assert_true(datetime_format((wall_time){1769860800123}, ' ', out));
	assert_string_equal(out, "2026-01-31 12:00:00.123Z");
	assert_false(datetime_format((wall_time){INT64_MAX}, 'T', out));
	assert_false(datetime_format((wall_time){INT64_MIN}, 'T', out));
}

SHOWS(waiting_for_the_past_takes_no_time)
{
	mono_time now = {1000};

	assert_int_equal(mono_until(now, (mono_time){500}), 0);
	assert_int_equal(mono_until(now, mono_add(now, 30)), 30);
	assert_true(mono_now().ms > 0);
	assert_true(wall_now().ms > 1700000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(days_are_those_of_the_c_library),
	    cmocka_unit_test(dates_go_there_and_back),
	    cmocka_unit_test(what_is_no_date_is_refused),
	    cmocka_unit_test(times_of_both_products_are_read),
	    cmocka_unit_test(what_is_no_time_is_refused),
	    cmocka_unit_test(times_are_written_for_both_products),
	    cmocka_unit_test(waiting_for_the_past_takes_no_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
