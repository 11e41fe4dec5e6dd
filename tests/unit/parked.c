#include "parked.h"

#include "unit.h"

static void put(struct parked *p, const char *key, uint32_t parent, int64_t offset, int64_t since)
{
	parked_put(p, key, strlen(key), 0, parent, offset, since, NULL);
}

static bool due(const struct parked *p, const char *key)
{
	const struct parked_child *c = parked_find(p, key, strlen(key));
	return c && c->due;
}

SHOWS(a_parent_that_comes_makes_its_children_due)
{
	struct parked *p = parked_new(1000);
	int64_t first, last;

	put(p, "a", 1, 10, 0);
	put(p, "b", 2, 11, 0);
	put(p, "c", 1, 12, 0);
	put(p, "d", 1, -1, 0); /* not written yet: its place is not known */
	assert_int_equal(parked_due(p, 0, &first, &last), 0);
	assert_int_equal(parked_arrived(p, 1, (mono_time){1}), 3);
	assert_true(due(p, "a") && due(p, "c") && !due(p, "b"));
	assert_int_equal(parked_due(p, 0, &first, &last), 2);
	assert_true(first == 10 && last == 12);
	assert_int_equal(parked_due(p, 1, &first, &last), 0);
	parked_located(p, "d", 1, 9);
	assert_int_equal(parked_due(p, 0, &first, &last), 3);
	assert_true(first == 9);
	parked_remove(p, "a", 1);
	assert_int_equal(parked_due_count(p), 2);
	assert_int_equal(parked_count(p), 3);
	parked_free(p);
}

SHOWS(a_later_version_takes_the_place_and_keeps_its_age)
{
	struct parked *p = parked_new(1000);

	put(p, "a", 1, 10, 100);
	parked_arrived(p, 1, (mono_time){1});
	put(p, "a", 2, 20, 200); /* another parent: it waits again */
	const struct parked_child *c = parked_find(p, "a", 1);
	assert_true(c->offset == 20 && c->since_ms == 100 && c->parent == 2 && !c->due);
	assert_int_equal(parked_arrived(p, 1, (mono_time){2}), 0);
	assert_int_equal(parked_arrived(p, 2, (mono_time){2}), 1);
	assert_int_equal(parked_count(p), 1);
	parked_free(p);
}

SHOWS(who_waits_knows_what_is_older)
{
	struct parked *p = parked_new(1000);
	const struct loaded_change three = {.epoch = 1, .version = 3, .offset = 9},
				   five = {.epoch = 1, .version = 5, .offset = 8};

	parked_put(p, "a", 1, 0, 1, 10, 0, &five);
	assert_true(loaded_older(&three, &parked_find(p, "a", 1)->says));
	assert_false(loaded_older(&five, &parked_find(p, "a", 1)->says));
	parked_put(p, "a", 1, 0, 1, 11, 0, &three);
	assert_false(loaded_older(&three, &parked_find(p, "a", 1)->says));
	put(p, "a", 1, 12, 0); /* not known of which version */
	assert_false(loaded_older(&three, &parked_find(p, "a", 1)->says));
	parked_free(p);
}

SHOWS(arrivals_are_remembered_for_a_while)
{
	struct parked *p = parked_new(1000);

	parked_arrived(p, 7, (mono_time){5000});
	assert_true(parked_came(p, 7, (mono_time){0}));
	assert_false(parked_came(p, 8, (mono_time){0}));
	parked_arrived(p, 8, (mono_time){6500});
	assert_true(parked_came(p, 7, (mono_time){0})); /* at least so long */
	parked_arrived(p, 9, (mono_time){8000});
	assert_false(parked_came(p, 7, (mono_time){0}));
	assert_true(parked_came(p, 8, (mono_time){0}) && parked_came(p, 9, (mono_time){0}));
	parked_free(p);
}

SHOWS(an_arrival_is_told_from_one_before)
{
	struct parked *p = parked_new(1000);

	parked_arrived(p, 7, (mono_time){5000});
	assert_true(parked_came(p, 7, (mono_time){5000}));
	assert_false(parked_came(p, 7, (mono_time){5001}));
	parked_arrived(p, 7, (mono_time){5500}); /* it was deleted, and comes again */
	assert_true(parked_came(p, 7, (mono_time){5001}));
	parked_arrived(p, 8, (mono_time){6900});
	assert_true(parked_came(p, 7, (mono_time){5001}));
	parked_free(p);
}

SHOWS(who_waits_too_long_is_an_orphan_once)
{
	struct parked *p = parked_new(1000);

	put(p, "a", 1, 1, 100);
	put(p, "b", 1, 2, 200);
	assert_int_equal(parked_expire(p, 150), 1);
	assert_true(parked_find(p, "a", 1)->orphan && due(p, "a") && !due(p, "b"));
	assert_int_equal(parked_expire(p, 150), 0);
	assert_int_equal(parked_expire(p, 1000), 1);
	parked_free(p);
}

SHOWS(those_that_nobody_tells_of_are_tried_again)
{
	struct parked *p = parked_new(1000);

	put(p, "a", 1, 1, 100);
	put(p, "b", 2, 2, 200);
	parked_set_due(p, "a", 1, true);
	assert_int_equal(parked_retry(p, 1000000, 100, 5000), 1);
	assert_true(due(p, "a") && due(p, "b"));
	parked_set_due(p, "b", 1, false);
	assert_int_equal(parked_due_count(p), 1);
	parked_free(p);
}

SHOWS(a_later_version_of_an_orphan_waits_anew)
{
	struct parked *p = parked_new(1000);

	put(p, "a", 1, 1, 100);
	parked_expire(p, 150);
	put(p, "a", 2, 9, 300);
	assert_true(!parked_find(p, "a", 1)->orphan && !due(p, "a"));
	parked_free(p);
}

SHOWS(who_was_parked_anew_is_as_old_as_he_was)
{
	struct parked *p = parked_new(1000);
	int64_t first, last;

	/* As they are read back: "old" was parked a second time, behind the others. */
	put(p, "young", 1, 1, 900);
	put(p, "younger", 1, 2, 950);
	put(p, "old", 1, 3, 100);
	put(p, "youngest", 1, 4, 990);
	put(p, "oldest", 1, 5, 50);
	assert_int_equal(parked_expire(p, 500), 2);
	assert_true(due(p, "old") && due(p, "oldest") && !due(p, "young"));
	parked_remove(p, "oldest", 6);
	parked_remove(p, "young", 5);
	assert_int_equal(parked_expire(p, 1000), 2);
	assert_int_equal(parked_due(p, 0, &first, &last), 3);
	assert_true(first == 2 && last == 4);
	parked_free(p);
}

SHOWS(a_partition_that_goes_takes_its_records_along)
{
	struct parked *p = parked_new(1000);

	for (int i = 0; i < 1000; i++) {
		char key[12];
		int n = snprintf(key, sizeof key, "k%d", i);
		parked_put(p, key, (size_t)n, i % 2, (uint32_t)(i % 7 + 1), i, i, NULL);
	}
	parked_arrived(p, 3, (mono_time){1});
	parked_drop(p, 0);
	assert_int_equal(parked_count(p), 500);
	assert_int_equal(parked_count_in(p, 1), 500);
	assert_int_equal(parked_count_in(p, 0), 0);
	size_t left = parked_due_count(p);
	assert_true(left > 0 && left < 143);
	parked_drop(p, 1);
	assert_int_equal(parked_count(p) + parked_due_count(p), 0);
	parked_free(p);
}

SHOWS(who_waits_is_tried_ever_more_seldom)
{
	struct parked *p = parked_new(1000);
	int64_t at[40] = {0};
	int n = 0;

	parked_put(p, "k", 1, 0, 7, 5, 0, NULL);
	for (int64_t now = 0; now <= 100000; now += 10) {
		if (!parked_retry(p, now, 100, 5000))
			continue;
		assert_int_equal(parked_retry(p, now, 100, 5000), 0); /* it is due already */
		parked_set_due(p, "k", 1, false);
		at[n++] = now;
	}
	/* After 100, until a quarter of its age is more; then by a quarter; at last every 5000. */
	assert_int_equal(at[0], 100);
	assert_int_equal(at[1], 200);
	assert_int_equal(at[3], 400);
	for (int i = 5; i < n; i++) {
		int64_t wait = at[i - 1] / 4 < 5000 ? at[i - 1] / 4 : 5000;
		assert_in_range(at[i] - at[i - 1], wait, wait + 9);
	}
	assert_in_range(n, 30, 39);
	parked_free(p);
}

SHOWS(a_parents_fingerprint_names_its_resource_and_is_never_nothing)
{
	assert_int_not_equal(parked_parent("profile", "a", 1), parked_parent("cusShop", "a", 1));
	for (int i = 0; i < 100000; i++)
		assert_int_not_equal(parked_parent("profile", (char *)&i, sizeof i), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_parent_that_comes_makes_its_children_due),
	    cmocka_unit_test(a_later_version_takes_the_place_and_keeps_its_age),
	    cmocka_unit_test(who_waits_knows_what_is_older),
	    cmocka_unit_test(arrivals_are_remembered_for_a_while),
	    cmocka_unit_test(an_arrival_is_told_from_one_before),
	    cmocka_unit_test(who_waits_too_long_is_an_orphan_once),
	    cmocka_unit_test(those_that_nobody_tells_of_are_tried_again),
	    cmocka_unit_test(a_later_version_of_an_orphan_waits_anew),
	    cmocka_unit_test(who_was_parked_anew_is_as_old_as_he_was),
	    cmocka_unit_test(a_partition_that_goes_takes_its_records_along),
	    cmocka_unit_test(who_waits_is_tried_ever_more_seldom),
	    cmocka_unit_test(a_parents_fingerprint_names_its_resource_and_is_never_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
