#include "recall.h"

#include <malloc.h>

#include "unit.h"

enum { DAY = 86400000 };

static bool has(const struct recall *r, const char *id)
{
	return recall_has(r, id, strlen(id));
}

static void add(struct recall *r, const char *id, int64_t day)
{
	recall_add(r, id, strlen(id), (wall_time){(20000 + day) * DAY});
}

SHOWS(an_id_is_known_for_the_window_and_forgotten_behind_it)
{
	struct recall *r = recall_new((int64_t)8 * DAY);

	add(r, "a", 0);
	for (int64_t day = 1; day <= 8; day++) {
		add(r, "other", day);
		assert_true(has(r, "a"));
	}
	add(r, "b", 9);
	add(r, "c", 10);
	assert_false(has(r, "a"));
	assert_true(has(r, "b"));
	assert_true(has(r, "other"));
	recall_clear(r);
	assert_false(has(r, "b"));
	assert_int_equal(recall_count(r), 0);
	recall_free(r);
}

SHOWS(an_older_time_than_all_is_kept_not_lost)
{
	struct recall *r = recall_new((int64_t)8 * DAY);

	add(r, "new", 100);
	add(r, "old", 1);
	assert_true(has(r, "old") && has(r, "new"));
	recall_free(r);
}

SHOWS(events_of_a_pair_are_numbered_also_across_parts_and_up_to_a_limit)
{
	struct recall *r = recall_new((int64_t)8 * DAY);
	wall_time when = {20000LL * DAY};

	for (int64_t n = 1; n <= 5; n++) {
		assert_int_equal(recall_next(r, "open|DM1|x", 10, 4), n < 4 ? n : 4);
		recall_counted(r, "open|DM1|x", 10, n < 4 ? n : 4, when);
		when.ms += DAY;
	}
	assert_int_equal(recall_next(r, "open|DM2|x", 10, 4), 1);
	for (int i = 0; i < 5000; i++) {
		char pair[40];
		size_t len = (size_t)snprintf(pair, sizeof pair, "click|DM|%d", i);
		recall_counted(r, pair, len, i % 7 + 1, when);
	}
	for (int i = 0; i < 5000; i++) {
		char pair[40];
		size_t len = (size_t)snprintf(pair, sizeof pair, "click|DM|%d", i);
		assert_int_equal(recall_next(r, pair, len, 1000), i % 7 + 2);
	}
	recall_free(r);
}

SHOWS(numbers_that_are_read_back_in_any_order_never_go_down)
{
	struct recall *r = recall_new((int64_t)8 * DAY);
	wall_time when = {20000LL * DAY};

	recall_counted(r, "p", 1, 5, when);
	recall_counted(r, "p", 1, 3, when);
	assert_int_equal(recall_next(r, "p", 1, 100), 6);
	when.ms += DAY;
	recall_counted(r, "p", 1, 2, when);
	assert_int_equal(recall_next(r, "p", 1, 100), 6);
	recall_free(r);
}

SHOWS(a_million_ids_take_the_memory_that_the_header_says)
{
	struct recall *r = recall_new((int64_t)8 * DAY);
	struct mallinfo2 before = mallinfo2(); /* a sanitizer's says nothing */

	for (int i = 0; i < 1000000; i++) {
		char id[40];
		snprintf(id, sizeof id, "acme|send|%d", i);
		add(r, id, 0);
	}
	struct mallinfo2 after = mallinfo2();
	assert_true(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd < 43 << 20);
	recall_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_million_ids_take_the_memory_that_the_header_says),
	    cmocka_unit_test(an_id_is_known_for_the_window_and_forgotten_behind_it),
	    cmocka_unit_test(an_older_time_than_all_is_kept_not_lost),
	    cmocka_unit_test(numbers_that_are_read_back_in_any_order_never_go_down),
	    cmocka_unit_test(events_of_a_pair_are_numbered_also_across_parts_and_up_to_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
