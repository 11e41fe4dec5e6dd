#include "histogram.h"

#include "unit.h"

SHOWS(shares_are_found_within_a_seventh)
{
	struct histogram h = {0};

	for (int64_t ms = 1; ms <= 10000; ms++)
		histogram_add(&h, ms);
	for (int i = 1; i <= 10; i++) {
		int64_t exact = i * 1000, found = histogram_at(&h, i / 10.0);
		assert_true(found >= exact && found <= exact + exact / 7 + 1);
	}
	assert_int_equal(histogram_at(&h, 1), 10000);
	assert_int_equal(h.max_ms, 10000);
}

SHOWS(days_negative_times_and_nothing_at_all_have_a_place)
{
	struct histogram h = {0};

	assert_int_equal(histogram_at(&h, .5), 0);
	histogram_add(&h, -5);
	assert_int_equal(histogram_at(&h, .5), 0);
	histogram_add(&h, INT64_C(400) * 86400000);
	assert_int_equal(histogram_at(&h, 1), INT64_C(400) * 86400000);
}

SHOWS(round_times_are_bounds_and_counted_exactly)
{
	static const int64_t round[] = {1, 10, 50, 1000, 60000, 900000, 86400000, 2592000000};
	struct histogram h = {0};

	for (int64_t ms = 1; ms <= 3000; ms++)
		histogram_add(&h, ms);
	for (size_t i = 0; i < sizeof round / sizeof *round; i++) {
		assert_true(histogram_is_bound(round[i]));
		assert_int_equal(histogram_within(&h, round[i]), round[i] < 3000 ? round[i] : 3000);
	}
	assert_false(histogram_is_bound(1001));
	assert_int_equal(h.sum_ms, 3000 * 3001 / 2);
}

SHOWS(buckets_grow_by_a_seventh_at_most)
{
	for (int64_t ms = 1; ms < 100000; ms++) {
		struct histogram h = {0};
		histogram_add(&h, ms);
		histogram_add(&h, 1000000);
		int64_t bound = histogram_at(&h, .5);
		assert_true(bound >= ms && bound <= ms + ms / 7 + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shares_are_found_within_a_seventh),
	    cmocka_unit_test(round_times_are_bounds_and_counted_exactly),
	    cmocka_unit_test(buckets_grow_by_a_seventh_at_most),
	    cmocka_unit_test(days_negative_times_and_nothing_at_all_have_a_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
