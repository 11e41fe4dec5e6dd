#include "loaded.h"

#include "unit.h"

static void put(struct loaded *t, const char *key, struct loaded_entry e)
{
	loaded_put(t, key, strlen(key), &e);
}

SHOWS(what_is_put_in_comes_out)
{
	struct loaded *t = loaded_new();
	struct loaded_entry e;

	assert_false(loaded_find(t, "a", 1, &e));
	put(t, "a",
	    (struct loaded_entry){.hash = UINT64_MAX,
				  .epoch = -7,
				  .version = INT64_MAX,
				  .offset = ((int64_t)1 << 40) - 2,
				  .parent = 0xffffffff,
				  .unsure = true,
				  .consent = 0x81});
	put(t, "b", (struct loaded_entry){.offset = -1, .deleted = true});
	assert_true(loaded_find(t, "a", 1, &e));
	assert_true(e.hash == UINT64_MAX && e.epoch == -7 && e.version == INT64_MAX);
	assert_true(e.offset == ((int64_t)1 << 40) - 2 && e.parent == 0xffffffff);
	assert_true(e.unsure && !e.deleted && !e.met && e.consent == 0x81);
	assert_true(loaded_find(t, "b", 1, &e));
	assert_true(e.offset == -1 && e.deleted && !e.unsure);
	assert_int_equal(loaded_count(t), 1);
	loaded_free(t);
}

/* Against a plain array, over growing, overwriting and forgetting. */
SHOWS(a_million_steps_agree_with_a_model)
{
	enum { KEYS = 5000 };
	static struct loaded_entry model[KEYS];
	static bool there[KEYS];
	struct loaded *t = loaded_new();
	uint32_t seed = 7;

	for (int step = 0; step < 1000000; step++) {
		char key[24];
		struct loaded_entry e = {0};
		seed = seed * 1664525u + 1013904223u;
		size_t k = (seed >> 12) % KEYS;
		snprintf(key, sizeof key, "key-%zu", k);
		if ((seed & 0xf00) == 0) {
			loaded_forget(t, key, strlen(key));
			there[k] = false;
		} else if (seed & 0x800) {
			model[k] = (struct loaded_entry){.hash = seed,
							 .epoch = seed % 5,
							 .version = step,
							 .offset = step % 1000 - 1,
							 .deleted = seed & 0x100,
							 .met = seed & 0x200};
			put(t, key, model[k]);
			there[k] = true;
		}
		assert_int_equal(loaded_find(t, key, strlen(key), &e), there[k]);
		if (there[k] && (e.hash != model[k].hash || e.version != model[k].version ||
				 e.epoch != model[k].epoch || e.offset != model[k].offset ||
				 e.deleted != model[k].deleted || e.met != model[k].met))
			fail_msg("step %d: another entry came out", step);
	}
	size_t live = 0, unmet = 0;
	for (size_t k = 0; k < KEYS; k++) {
		live += there[k] && !model[k].deleted;
		unmet += there[k] && !model[k].deleted && !model[k].met;
	}
	assert_int_equal(loaded_count(t), live);
	assert_int_equal(loaded_unmet(t), unmet);
	loaded_unmeet(t);
	assert_int_equal(loaded_unmet(t), live);
	loaded_free(t);
}

SHOWS(a_key_takes_at_most_64_bytes_in_all)
{
	struct loaded *t = loaded_new();

	for (int i = 0; i < 1000000; i++) {
		char key[40];
		int n = snprintf(key, sizeof key, "00000000-0000-4000-8000-%012d", i);
		struct loaded_entry e = {.hash = (uint64_t)i, .epoch = 1, .version = i};
		loaded_put(t, key, (size_t)n, &e);
		if (i > 10000 && i % 997 == 0 && loaded_bytes(t) > 64 * (size_t)i)
			fail_msg("%zu bytes for %d keys", loaded_bytes(t), i);
	}
	print_message("%.1f bytes a key\n", (double)loaded_bytes(t) / 1e6);
	loaded_free(t);
}

SHOWS(offsets_of_a_topic_that_is_no_more_are_forgotten)
{
	struct loaded *t = loaded_new();
	struct loaded_entry e;

	put(t, "a", (struct loaded_entry){.offset = 9, .version = 3, .epoch = 2});
	put(t, "b", (struct loaded_entry){.offset = 10, .version = 4, .epoch = 2});
	loaded_forget_offsets(t, 10);
	assert_true(loaded_find(t, "a", 1, &e) && e.offset == 9);
	assert_true(loaded_find(t, "b", 1, &e) && e.offset == -1 && e.version == 4 && e.epoch == 2);
	loaded_free(t);
}

SHOWS(more_epochs_than_fit_stay_in_order_with_what_comes)
{
	struct loaded *t = loaded_new();
	struct loaded_entry e;

	for (int i = 0; i < 6000; i++) {
		char key[16];
		snprintf(key, sizeof key, "%d", i);
		put(t, key, (struct loaded_entry){.epoch = i, .version = 1});
	}
	assert_true(loaded_find(t, "5999", 4, &e));
	assert_true(e.epoch < 6000);
	loaded_free(t);
}

/* ---- the judge -------------------------------------------------------------------------------- */

static const struct loaded_entry has = {.hash = 11, .epoch = 5, .version = 100, .offset = 40};
static const struct loaded_entry gone = {
    .hash = 5000, .epoch = 5, .version = 100, .offset = 40, .deleted = true};

static enum loaded_verdict upsert(const struct loaded_entry *e, int64_t epoch, int64_t version,
				  uint64_t hash, bool may_skip)
{
	struct loaded_change c = {.epoch = epoch, .version = version, .hash = hash, .offset = 50};
	return loaded_judge(e, &c, may_skip);
}

SHOWS(an_unknown_key_is_written)
{
	assert_int_equal(upsert(NULL, 1, 1, 1, true), LOADED_WRITE);
}

SHOWS(the_same_content_is_unchanged_whatever_its_version)
{
	assert_int_equal(upsert(&has, 5, 100, 11, true), LOADED_UNCHANGED);
	assert_int_equal(upsert(&has, 5, 101, 11, true), LOADED_UNCHANGED);
	assert_int_equal(upsert(&has, 6, 1, 11, true), LOADED_UNCHANGED);
	assert_int_equal(upsert(&has, 5, 100, 12, true), LOADED_WRITE); /* another mapping */
}

SHOWS(unchanged_is_written_where_skipping_is_off)
{
	struct loaded_entry unsure = has;

	unsure.unsure = true;
	assert_int_equal(upsert(&has, 5, 101, 11, false), LOADED_WRITE);
	assert_int_equal(upsert(&unsure, 5, 101, 11, true), LOADED_WRITE);
	struct loaded_change again = {.is_delete = true, .epoch = 5, .version = 100, .offset = 50};
	struct loaded_entry doubt = gone;
	doubt.unsure = true;
	assert_int_equal(loaded_judge(&gone, &again, true), LOADED_UNCHANGED);
	assert_int_equal(loaded_judge(&gone, &again, false), LOADED_WRITE);
	assert_int_equal(loaded_judge(&doubt, &again, true), LOADED_WRITE);
}

SHOWS(an_older_version_is_never_written)
{
	assert_int_equal(upsert(&has, 5, 99, 12, true), LOADED_OLDER);
	assert_int_equal(upsert(&has, 4, 1000, 12, false), LOADED_OLDER);
	assert_int_equal(upsert(&has, 6, 1, 12, true), LOADED_WRITE); /* a new epoch */
	struct loaded_change del = {.is_delete = true, .epoch = 5, .version = 99, .offset = 50};
	assert_int_equal(loaded_judge(&has, &del, true), LOADED_OLDER);
}

SHOWS(what_comes_later_in_the_topic_may_be_older)
{
	const struct loaded_change five = {.epoch = 5, .version = 5, .offset = 50, .hash = 1},
				   three = {.epoch = 5, .version = 3, .offset = 60, .hash = 2},
				   same = {.epoch = 5, .version = 5, .offset = 60, .hash = 2},
				   restored = {.epoch = 6, .version = 1, .offset = 60};
	struct loaded_change gone3 = {.is_delete = true, .epoch = 5, .version = 3, .offset = 60},
			     gone5 = {.is_delete = true,
				      .epoch = 5,
				      .version = 5,
				      .observed_ms = 9,
				      .offset = 50},
			     tombstone = {.is_delete = true, .tombstone = true, .offset = 60};

	assert_true(loaded_older(&three, &five) && loaded_older(&gone3, &five));
	assert_true(!loaded_older(&five, &three) && !loaded_older(&restored, &five));
	assert_false(loaded_older(&same, &five)); /* another mapping */
	assert_true(loaded_older(&same, &gone5)); /* observed before it was deleted */
	gone5.observed_ms = 0;
	assert_false(loaded_older(&same, &gone5));
	/* A tombstone has no version: its place is its order. */
	assert_false(loaded_older(&tombstone, &five));
	assert_false(loaded_older(&three, &tombstone));
}

SHOWS(a_delete_takes_the_version_it_deletes)
{
	struct loaded_change del = {.is_delete = true, .epoch = 5, .version = 100, .offset = 50};

	assert_int_equal(loaded_judge(&has, &del, true), LOADED_WRITE);
	assert_int_equal(loaded_judge(&gone, &del, true), LOADED_UNCHANGED);
}

SHOWS(a_dead_letter_that_is_sent_again_brings_nothing_back)
{
	struct loaded_change c = {
	    .epoch = 5, .version = 100, .observed_ms = 4000, .hash = 1, .offset = 60};

	assert_int_equal(loaded_judge(&gone, &c, false), LOADED_OLDER);
	c.version = 99;
	assert_int_equal(loaded_judge(&gone, &c, false), LOADED_OLDER);
	c.version = 101; /* created again */
	assert_int_equal(loaded_judge(&gone, &c, true), LOADED_WRITE);
	c.version = 100; /* let through by another filter: observed together with the delete */
	c.observed_ms = 5000;
	assert_int_equal(loaded_judge(&gone, &c, true), LOADED_WRITE);
}

SHOWS(a_tombstone_alone_is_a_delete_in_the_order_of_the_topic)
{
	struct loaded_change t = {.is_delete = true, .tombstone = true, .offset = 41};

	assert_int_equal(loaded_judge(&has, &t, true), LOADED_WRITE);
	assert_int_equal(loaded_judge(&gone, &t, true), LOADED_UNCHANGED);
	t.offset = 39;
	assert_int_equal(loaded_judge(&has, &t, true), LOADED_OLDER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_put_in_comes_out),
	    cmocka_unit_test(a_million_steps_agree_with_a_model),
	    cmocka_unit_test(a_key_takes_at_most_64_bytes_in_all),
	    cmocka_unit_test(offsets_of_a_topic_that_is_no_more_are_forgotten),
	    cmocka_unit_test(more_epochs_than_fit_stay_in_order_with_what_comes),
	    cmocka_unit_test(an_unknown_key_is_written),
	    cmocka_unit_test(the_same_content_is_unchanged_whatever_its_version),
	    cmocka_unit_test(unchanged_is_written_where_skipping_is_off),
	    cmocka_unit_test(an_older_version_is_never_written),
	    cmocka_unit_test(what_comes_later_in_the_topic_may_be_older),
	    cmocka_unit_test(a_delete_takes_the_version_it_deletes),
	    cmocka_unit_test(a_dead_letter_that_is_sent_again_brings_nothing_back),
	    cmocka_unit_test(a_tombstone_alone_is_a_delete_in_the_order_of_the_topic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
