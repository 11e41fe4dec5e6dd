#include "governor.h"

#include "unit.h"

static mono_time at(int64_t ms)
{
	return (mono_time){1000000 + ms};
}

static struct governor fresh(size_t max, int64_t per_second)
{
	struct governor g;
	struct governor_limits limits = {max, per_second};
	governor_init(&g, &limits, at(0));
	return g;
}

static bool may(struct governor *g, int64_t ms)
{
	int64_t wait;
	return governor_may_send(g, at(ms), &wait);
}

/* Sends and gets the answer 20 ms later. */
static void one(struct governor *g, int64_t ms, enum governor_answer a)
{
	governor_sent(g, at(ms));
	governor_answered(g, at(ms + 20), at(ms), a, (mono_time){0});
}

SHOWS(no_more_are_in_flight_than_allowed)
{
	struct governor g = fresh(3, 0);

	for (int i = 0; i < 3; i++) {
		assert_true(may(&g, 0));
		governor_sent(&g, at(0));
	}
	assert_false(may(&g, 0));
	governor_answered(&g, at(5), at(0), GOVERNOR_GOOD, (mono_time){0});
	assert_true(may(&g, 5));
}

SHOWS(errors_that_nobody_explains_open_the_breaker_and_leave_the_window)
{
	struct governor g = fresh(32, 0);

	for (int i = 0; i < 9; i++)
		one(&g, i * 100, GOVERNOR_FAILED);
	assert_true(may(&g, 1000) && (int)g.window == 32);
	one(&g, 1000, GOVERNOR_GOOD);
	for (int i = 0; i < 9; i++)
		one(&g, 1100 + i * 100, GOVERNOR_FAILED);
	assert_true(may(&g, 2000));
	one(&g, 2000, GOVERNOR_FAILED);
	assert_false(may(&g, 2500));
	assert_true(may(&g, 3100));
}

SHOWS(overload_halves_the_window_once_a_moment_and_good_answers_let_it_grow)
{
	struct governor g = fresh(32, 0);

	for (int i = 0; i < 8; i++)
		governor_sent(&g, at(i));
	for (int i = 0; i < 8; i++) /* of one moment: one cut */
		governor_answered(&g, at(100 + i), at(i), GOVERNOR_LOADED, (mono_time){0});
	assert_int_equal((int)g.window, 16);
	one(&g, 200, GOVERNOR_LOADED);
	assert_int_equal((int)g.window, 8);
	for (int i = 0; i < 10; i++)
		one(&g, 300 + i, GOVERNOR_GOOD);
	assert_int_equal((int)g.window, 9);
	for (int i = 0; i < 2000; i++)
		one(&g, 400 + i, GOVERNOR_GOOD);
	assert_int_equal((int)g.window, 32);
}

SHOWS(retry_after_holds_everybody)
{
	struct governor g = fresh(8, 0);
	int64_t wait;

	governor_sent(&g, at(0));
	governor_answered(&g, at(10), at(0), GOVERNOR_QUOTA, at(5010));
	assert_false(governor_may_send(&g, at(5009), &wait));
	assert_int_equal(wait, 1);
	assert_true(may(&g, 5010) || may(&g, 10010)); /* then the pace decides */
	struct governor h = fresh(8, 0);
	governor_sent(&h, at(0));
	governor_answered(&h, at(10), at(0), GOVERNOR_LOADED, at(3000));
	assert_false(may(&h, 2999));
	assert_true(may(&h, 3000));
}

SHOWS(a_429_without_retry_after_waits_a_second)
{
	struct governor g = fresh(8, 0);

	for (int i = 0; i < 20; i++)
		one(&g, 100 * i, GOVERNOR_GOOD);
	one(&g, 2000, GOVERNOR_QUOTA);
	assert_true(g.pace > 5); /* which alone would let one go in 200 ms */
	assert_false(may(&g, 3019));
	assert_true(may(&g, 3020));
}

SHOWS(the_breaker_opens_lets_one_try_and_closes)
{
	struct governor g = fresh(8, 0);

	for (int i = 0; i < 10; i++) {
		assert_true(may(&g, 100 * i));
		one(&g, 100 * i, GOVERNOR_LOADED);
	}
	assert_int_equal(g.breaker, BREAKER_OPEN);
	assert_false(may(&g, 1900));
	assert_true(may(&g, 1920)); /* the probe */
	governor_sent(&g, at(1920));
	assert_false(may(&g, 1921)); /* and only that */
	governor_answered(&g, at(1930), at(1920), GOVERNOR_LOADED, (mono_time){0});
	assert_false(may(&g, 3900)); /* twice as long */
	assert_true(may(&g, 3930));
	governor_sent(&g, at(3930));
	governor_answered(&g, at(3940), at(3930), GOVERNOR_GOOD, (mono_time){0});
	assert_int_equal(g.breaker, BREAKER_CLOSED);
	assert_true(may(&g, 3940));
	assert_int_equal(g.opened, 1);
}

SHOWS(what_comes_back_is_met_gently)
{
	struct governor g = fresh(64, 0);

	for (int i = 0; i < 64; i++)
		governor_sent(&g, at(0));
	for (int i = 0; i < 64; i++) /* of one moment: the window is cut once by them */
		governor_answered(&g, at(1000), at(0), GOVERNOR_LOADED, (mono_time){0});
	assert_int_equal(g.breaker, BREAKER_OPEN);
	assert_true(may(&g, 2000));
	one(&g, 2000, GOVERNOR_GOOD);
	assert_true(g.window <= 2);
}

SHOWS(a_target_that_is_away_for_long_is_asked_once_a_minute)
{
	struct governor g = fresh(8, 0);
	int asked = 0;

	for (int64_t ms = 0; ms < 3600000; ms += 50)
		if (may(&g, ms)) {
			one(&g, ms, GOVERNOR_LOADED);
			asked++;
		}
	assert_true(asked > 50 && asked < 90);
}

SHOWS(a_refusal_among_failures_is_a_sign_of_life)
{
	for (int a = GOVERNOR_GOOD; a <= GOVERNOR_QUOTA; a++) {
		struct governor g = fresh(8, 0);
		for (int i = 0; i < 100; i++) {
			one(&g, 100 * i, i % 9 == 8 ? (enum governor_answer)a : GOVERNOR_LOADED);
			assert_int_equal(g.breaker, BREAKER_CLOSED);
		}
	}
}

SHOWS(the_budgets_of_a_second_and_of_a_day_hold)
{
	struct governor g = fresh(100, 50);
	int sent = 0;

	for (int64_t ms = 0; ms < 10000; ms++)
		while (may(&g, ms)) {
			one(&g, ms, GOVERNOR_GOOD);
			sent++;
		}
	assert_true(sent >= 495 && sent <= 506);

	struct governor day = fresh(100, 0);
	int64_t wait;
	governor_day(&day, false, at(86400000));
	assert_false(governor_may_send(&day, at(1000), &wait));
	assert_int_equal(wait, 86400000 - 1000);
	governor_day(&day, true, at(2 * 86400000));
	assert_true(may(&day, 86400000));
}

/* A server that keeps a quota: a bucket of a second's worth, or so many a whole second. */
struct quota {
	double rate, left;
	int64_t filled, second;
	bool whole_seconds;
	long refused, served;
};

static bool admits(struct quota *q, int64_t ms)
{
	if (q->whole_seconds && ms / 1000 != q->second) {
		q->second = ms / 1000;
		q->left = q->rate;
	} else if (!q->whole_seconds) {
		q->left += (double)(ms - q->filled) / 1000 * q->rate;
		q->filled = ms;
		if (q->left > q->rate)
			q->left = q->rate;
	}
	bool good = q->left >= 1;
	q->left -= good;
	q->refused += !good;
	q->served += good;
	return good;
}

/* n loaders with endless work at one quota; answers after latency ms.  served[] of the part after
 * `from`; returns how many went out within a Retry-After. */
enum { CLIENTS = 2, FLIGHT = 64 };
static long simulate(struct governor *g, size_t n, struct quota *q, int64_t latency, int64_t begin,
		     int64_t from, int64_t to, long served[CLIENTS])
{
	struct {
		int64_t sent;
		bool good;
	} flight[CLIENTS][FLIGHT];
	size_t flying[CLIENTS] = {0};
	int64_t floor[CLIENTS] = {0};
	long early = 0;

	for (int64_t ms = begin; ms < to; ms++) {
		if (ms == from) {
			memset(served, 0, sizeof(long) * CLIENTS);
			q->refused = q->served = 0;
		}
		for (size_t c = 0; c < n; c++) {
			size_t kept = 0;
			for (size_t i = 0; i < flying[c]; i++) {
				if (ms - flight[c][i].sent < latency) {
					flight[c][kept++] = flight[c][i];
					continue;
				}
				mono_time until = at(flight[c][i].good ? -1000000 : ms + 1000);
				governor_answered(
				    &g[c], at(ms), at(flight[c][i].sent),
				    flight[c][i].good ? GOVERNOR_GOOD : GOVERNOR_QUOTA, until);
				served[c] += flight[c][i].good;
				if (!flight[c][i].good)
					floor[c] = ms + 1000;
			}
			flying[c] = kept;
			while (may(&g[c], ms)) {
				early += ms < floor[c];
				governor_sent(&g[c], at(ms));
				flight[c][flying[c]].sent = ms;
				flight[c][flying[c]++].good = admits(q, ms);
			}
		}
	}
	return early;
}

SHOWS(alone_it_uses_95_percent_of_a_quota_and_sends_nothing_within_retry_after)
{
	static const int64_t latencies[] = {5, 20, 200};

	for (size_t i = 0; i < 3; i++) {
		struct governor g = fresh(32, 0);
		struct quota q = {.rate = 100, .left = 100};
		long served[CLIENTS] = {0};
		long early = simulate(&g, 1, &q, latencies[i], 0, 10000, 130000, served);
		assert_int_equal(early, 0);
		if (served[0] < 0.95 * 100 * 120 || q.refused * 50 > q.served)
			fail_msg("latency %d: %ld served, %ld refused", (int)latencies[i],
				 served[0], q.refused);
	}
}

SHOWS(two_that_share_a_quota_have_equal_shares_within_a_minute)
{
	static const int64_t latencies[] = {5, 20, 100, 200};

	for (size_t i = 0; i < 4; i++) {
		for (int64_t joins = 0; joins <= 40000; joins += 8000) {
			struct governor g[2] = {fresh(32, 0), fresh(32, 0)};
			struct quota q = {.rate = 100, .left = 100};
			long served[CLIENTS] = {0};
			if (joins)
				simulate(g, 1, &q, latencies[i], 0, -1, joins, served);
			simulate(g, 2, &q, latencies[i], joins, joins + 30000, joins + 60000,
				 served);
			double all = (double)(served[0] + served[1]),
			       share = (double)served[0] / all;
			if (share < 0.4 || share > 0.6 || all < 0.9 * 3000 ||
			    (double)q.refused > 0.02 * all)
				fail_msg("latency %d, the second after %d ms: share %.2f of %.0f, "
					 "%ld refused",
					 (int)latencies[i], (int)joins, share, all, q.refused);
		}
	}
}

SHOWS(a_quota_that_was_raised_is_found)
{
	struct governor g = fresh(64, 0);
	struct quota q = {.rate = 50, .left = 50};
	long served[CLIENTS] = {0};

	simulate(&g, 1, &q, 20, 0, -1, 30000, served);
	q.rate = 1000;
	simulate(&g, 1, &q, 20, 30000, 150000, 151000, served);
	assert_true(served[0] > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_more_are_in_flight_than_allowed),
	    cmocka_unit_test(errors_that_nobody_explains_open_the_breaker_and_leave_the_window),
	    cmocka_unit_test(overload_halves_the_window_once_a_moment_and_good_answers_let_it_grow),
	    cmocka_unit_test(retry_after_holds_everybody),
	    cmocka_unit_test(a_429_without_retry_after_waits_a_second),
	    cmocka_unit_test(the_breaker_opens_lets_one_try_and_closes),
	    cmocka_unit_test(what_comes_back_is_met_gently),
	    cmocka_unit_test(a_target_that_is_away_for_long_is_asked_once_a_minute),
	    cmocka_unit_test(a_refusal_among_failures_is_a_sign_of_life),
	    cmocka_unit_test(the_budgets_of_a_second_and_of_a_day_hold),
	    cmocka_unit_test(
		alone_it_uses_95_percent_of_a_quota_and_sends_nothing_within_retry_after),
	    cmocka_unit_test(two_that_share_a_quota_have_equal_shares_within_a_minute),
	    cmocka_unit_test(a_quota_that_was_raised_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
