#include "batch.h"

#include "unit.h"

/* Calls that find the bad rows among n, as the loop makes them: refused halves are halved. */
static unsigned calls(const bool *bad, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= bad[i];
	if (!any || n == 1)
		return 1;
	size_t half = batch_half(n);
	return 1 + calls(bad, half) + calls(bad + half, n - half);
}

static unsigned log2_up(size_t n)
{
	unsigned bits = 0;
	while (((size_t)1 << bits) < n)
		bits++;
	return bits;
}

SHOWS(one_bad_row_of_n_stands_alone_after_2_log2_n_calls)
{
	bool bad[1000] = {false};

	for (size_t n = 1; n <= 1000; n++) {
		size_t step = n > 64 ? n / 23 : 1;
		for (size_t i = 0; i < n; i += step) {
			bad[i] = true;
			assert_true(calls(bad, n) <= 1 + 2 * log2_up(n));
			bad[i] = false;
		}
	}
}

SHOWS(k_bad_rows_of_n_cost_no_more_than_k_times_one)
{
	bool bad[1000] = {false};
	unsigned k = 0;

	for (size_t i = 7; i < 1000; i += 97, k++)
		bad[i] = true;
	assert_true(calls(bad, 1000) <= 1 + k * 2 * log2_up(1000));
	for (size_t i = 0; i < 1000; i++)
		bad[i] = true;
	assert_int_equal(calls(bad, 1000), 1999); /* all bad: each alone, and the halves above */
}

SHOWS(a_fast_server_gets_larger_batches_up_to_the_limit)
{
	struct batch b = batch_new(100, 1000);

	for (int i = 0; i < 20; i++) {
		size_t before = b.size;
		batch_answered(&b, b.size, 200, false);
		assert_true(b.size >= before && b.size <= 1000);
	}
	assert_int_equal(b.size, 1000);
}

SHOWS(a_batch_that_was_not_full_says_nothing_about_a_larger_one)
{
	struct batch b = batch_new(100, 1000);

	batch_answered(&b, 5, 1, false);
	assert_int_equal(b.size, 100);
}

SHOWS(a_slow_server_gets_smaller_batches_down_to_ten)
{
	struct batch b = batch_new(1000, 1000);

	batch_answered(&b, 1000, 3000, false);
	assert_int_equal(b.size, 666);
	for (int i = 0; i < 20; i++)
		batch_answered(&b, b.size, 60000, false);
	assert_int_equal(b.size, BATCH_MIN);
}

SHOWS(one_answer_halves_a_batch_at_most)
{
	struct batch b = batch_new(1000, 1000);

	batch_answered(&b, 1000, 100000, false);
	assert_int_equal(b.size, 500);
}

SHOWS(a_time_out_halves)
{
	struct batch b = batch_new(100, 1000);

	batch_answered(&b, 100, 0, true);
	assert_int_equal(b.size, 50);
	batch_answered(&b, 30, 0, true); /* a smaller one timed out: half of that */
	assert_int_equal(b.size, 15);
}

SHOWS(a_server_whose_time_goes_by_rows_is_met_near_the_target)
{
	struct batch b = batch_new(100, 1000);

	for (int i = 0; i < 50; i++)
		batch_answered(&b, b.size, (int64_t)b.size * 7, false);
	assert_true((int64_t)b.size * 7 <= BATCH_TARGET_MS);
	assert_true((int64_t)b.size * 7 >= BATCH_TARGET_MS / 2);
}

SHOWS(a_limit_below_ten_is_kept)
{
	struct batch b = batch_new(100, 3);

	assert_int_equal(b.size, 3);
	batch_answered(&b, 3, 90000, false);
	assert_true(b.size >= 1 && b.size <= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_bad_row_of_n_stands_alone_after_2_log2_n_calls),
	    cmocka_unit_test(k_bad_rows_of_n_cost_no_more_than_k_times_one),
	    cmocka_unit_test(a_fast_server_gets_larger_batches_up_to_the_limit),
	    cmocka_unit_test(a_batch_that_was_not_full_says_nothing_about_a_larger_one),
	    cmocka_unit_test(a_slow_server_gets_smaller_batches_down_to_ten),
	    cmocka_unit_test(one_answer_halves_a_batch_at_most),
	    cmocka_unit_test(a_time_out_halves),
	    cmocka_unit_test(a_server_whose_time_goes_by_rows_is_met_near_the_target),
	    cmocka_unit_test(a_limit_below_ten_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
