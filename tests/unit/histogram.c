#include "histogram.h"

#include "unit.h"

SHOWS(shares_are_found_within_a_fifth)
{
	struct histogram h = {0};

	for (int64_t ms = 1; ms <= 10000; ms++)
		histogram_add(&h, ms);
	for (int i = 1; i <= 10; i++) {
		int64_t exact = i * 1000, found = histogram_at(&h, i / 10.0);
		assert_true(found >= exact && found <= exact + exact / 5 + 1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shares_are_found_within_a_fifth),
	    cmocka_unit_test(days_negative_times_and_nothing_at_all_have_a_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
