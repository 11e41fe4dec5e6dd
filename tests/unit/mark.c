#include "mark.h"

#include "unit.h"

static struct mark parse(const char *text)
{
	return mark_parse(text, text ? strlen(text) : 0);
}

SHOWS(a_mark_comes_back_as_it_was_written)
{
	struct mark m = {.ahead = 77,
			 .oldest_ms = 1790000000000,
			 .force = 50,
			 .sweep_from = 3,
			 .sweep_end = 60,
			 .sweep_max = 100};
	char text[MARK_TEXT_MAX];

	mark_count(&m, COUNT_CREATED, 2, 7200000);
	mark_count(&m, COUNT_CALLS, 3, 7200001);
	size_t n = mark_format(&m, text);
	struct mark back = mark_parse(text, n);
	assert_true(back.known);
	m.known = true;
	assert_memory_equal(&back, &m, sizeof m);
}

SHOWS(the_longest_mark_fits)
{
	const int64_t most = INT64_MAX;
	struct mark m = {.force = most, .sweep_from = most, .sweep_end = most, .sweep_max = most};
	char text[MARK_TEXT_MAX];

	for (int i = 0; i < LOAD_COUNTS; i++)
		m.total[i] = m.in_hour[i] = most;
	m.ahead = m.oldest_ms = m.hour = most;
	assert_true(mark_format(&m, text) < MARK_TEXT_MAX - 200);
	assert_true(mark_parse(text, strlen(text)).known);
}

SHOWS(what_is_not_ours_is_not_known)
{
	static const char *const texts[] = {"",
					    " ",
					    "NULL",
					    "tideway-load/2 ahead=1",
					    "tideway-load/1 ahead",
					    "tideway-load/1 ahead=",
					    "tideway-load/1 ahead=x",
					    "tideway-load/1 ahead=-1",
					    "tideway-load/1 sweep=1,2",
					    "tideway-load/1 sweep=1,2,3,4",
					    "tideway-load/1 later=1",
					    "tideway-load/1 all=1,2",
					    "tideway-load/1 ahead=1x"};

	assert_false(parse(NULL).known);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (parse(texts[i]).known)
			fail_msg("\"%s\" was taken for a mark", texts[i]);
	assert_false(mark_parse("tideway-load/1\0ahead=1", 22).known);
	char longest[MARK_TEXT_MAX * 2];
	memset(longest, ' ', sizeof longest);
	assert_false(mark_parse(longest, sizeof longest).known);
	assert_true(parse("tideway-load/1 ahead=1").known);
}

SHOWS(counts_of_an_hour_begin_with_it)
{
	struct mark m = {0};

	mark_count(&m, COUNT_UPDATED, 5, 3600000 - 1);
	mark_count(&m, COUNT_UPDATED, 1, 3600000);
	assert_int_equal(m.total[COUNT_UPDATED], 6);
	assert_int_equal(m.in_hour[COUNT_UPDATED], 1);
	assert_int_equal(m.hour, 1);
}

SHOWS(what_was_sent_on_a_day_begins_with_it_and_comes_back)
{
	struct mark m = {.known = true}, back;
	char text[MARK_TEXT_MAX];

	for (int i = 0; i < 3; i++) {
		mark_row(&m, 20000);
		mark_call(&m, 20000);
	}
	mark_row(&m, 20001);
	mark_row(&m, 20001);
	assert_int_equal(m.calls_in_day, 0);
	for (int i = 0; i < 4; i++)
		mark_call(&m, 20001);
	back = mark_parse(text, mark_format(&m, text));
	assert_true(back.known);
	assert_int_equal(back.day, 20001);
	assert_int_equal(back.rows_in_day, 2);
	assert_int_equal(back.calls_in_day, 4);
	mark_call(&back, 20002);
	assert_int_equal(back.rows_in_day, 0);
}

SHOWS(a_row_that_was_not_written_is_given_back_on_its_day)
{
	struct mark m = {0};

	mark_row(&m, 20000);
	mark_row(&m, 20000);
	mark_row_back(&m, 20000);
	assert_int_equal(m.rows_in_day, 1);
	mark_row_back(&m, 20001);
	assert_int_equal(m.rows_in_day, 1);
	mark_row_back(&m, 20000);
	mark_row_back(&m, 20000);
	assert_int_equal(m.rows_in_day, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_mark_comes_back_as_it_was_written),
	    cmocka_unit_test(the_longest_mark_fits),
	    cmocka_unit_test(what_is_not_ours_is_not_known),
	    cmocka_unit_test(counts_of_an_hour_begin_with_it),
	    cmocka_unit_test(what_was_sent_on_a_day_begins_with_it_and_comes_back),
	    cmocka_unit_test(a_row_that_was_not_written_is_given_back_on_its_day),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
