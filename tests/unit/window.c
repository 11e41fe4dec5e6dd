#include "window.h"

#include "unit.h"

enum { PARTITIONS = 3, KEYS = 12, RECORDS = 20000 };

static void no_free(void *payload)
{
	(void)payload;
}

SHOWS(one_record_of_a_key_is_out_at_a_time_in_order)
{
	struct window *w = window_new();

	window_add(w, 0, 10, "a", 1, (void *)10);
	window_add(w, 0, 11, "a", 1, (void *)11);
	window_add(w, 0, 12, "b", 1, (void *)12);
	struct window_item *first = window_take(w), *second = window_take(w);
	assert_int_equal(first->offset, 10);
	assert_int_equal(second->offset, 12);
	assert_null(window_take(w));
	assert_int_equal(window_position(w, 0), 10);
	window_done(w, second);
	assert_int_equal(window_position(w, 0), 10);
	assert_ptr_equal(window_done(w, first), (void *)10);
	assert_int_equal(window_position(w, 0), 11);
	struct window_item *third = window_take(w);
	assert_int_equal(third->offset, 11);
	window_done(w, third);
	assert_int_equal(window_position(w, 0), 13);
	assert_int_equal(window_count(w), 0);
	window_free(w, no_free);
}

SHOWS(the_end_of_a_partition_is_a_position_only_when_all_is_done)
{
	struct window *w = window_new();

	assert_int_equal(window_position(w, 0), -1);
	window_add(w, 0, 5, "a", 1, NULL);
	window_end(w, 0, 9);
	assert_int_equal(window_position(w, 0), 5);
	window_done(w, window_take(w));
	assert_int_equal(window_position(w, 0), 9);
	window_add_done(w, 0, 9);
	assert_int_equal(window_position(w, 0), 10);
	window_free(w, no_free);
}

SHOWS(an_untaken_record_comes_first_again)
{
	struct window *w = window_new();

	window_add(w, 0, 1, "a", 1, NULL);
	window_add(w, 0, 2, "b", 1, NULL);
	struct window_item *a = window_take(w);
	window_untake(w, a);
	assert_ptr_equal(window_take(w), a);
	assert_int_equal(window_ready_count(w), 1);
	window_free(w, no_free);
}

SHOWS(a_dropped_partition_leaves_orphans_that_block_their_key)
{
	struct window *w = window_new();

	window_add(w, 0, 1, "a", 1, NULL);
	window_add(w, 0, 2, "a", 1, NULL);
	struct window_item *busy = window_take(w);
	assert_int_equal(window_busy_in(w, 0), 1);
	window_drop(w, 0, no_free);
	assert_true(busy->orphan);
	assert_int_equal(window_position(w, 0), -1);
	/* The partition comes back before the answer does. */
	window_add(w, 0, 1, "a", 1, NULL);
	assert_null(window_take(w));
	window_done(w, busy);
	assert_int_equal(window_position(w, 0), 1);
	assert_int_equal(window_take(w)->offset, 1);
	window_free(w, no_free);
}

SHOWS(a_key_is_bytes)
{
	struct window *w = window_new();

	window_add(w, 0, 1, "a\0b", 3, NULL);
	window_add(w, 0, 2, "a\0c", 3, NULL);
	window_add(w, 0, 3, "", 0, NULL);
	assert_non_null(window_take(w));
	assert_non_null(window_take(w));
	assert_non_null(window_take(w));
	assert_null(window_last_of_key(w, "a", 1));
	assert_int_equal(window_last_of_key(w, "a\0c", 3)->offset, 2);
	window_free(w, no_free);
}

SHOWS(nothing_at_or_above_the_limit_of_its_partition_is_taken)
{
	struct window *w = window_new();

	window_add(w, 0, 5, "a", 1, NULL);
	window_add(w, 1, 7, "b", 1, NULL);
	window_limit(w, 0, 5);
	assert_true(window_held(w, 0));
	assert_false(window_held(w, 1));
	assert_int_equal(window_take(w)->offset, 7);
	assert_null(window_take(w));
	window_limit(w, 0, 6);
	assert_false(window_held(w, 0));
	assert_int_equal(window_take(w)->offset, 5);
	window_add_loose(w, 0, "c", 1, NULL);
	window_limit(w, 0, INT64_MIN);
	assert_null(window_take(w));
	window_limit(w, 0, 0);
	assert_int_equal(window_take(w)->offset, WINDOW_LOOSE);
	window_free(w, no_free);
}

SHOWS(a_record_that_waits_moves_to_a_later_offset)
{
	struct window *w = window_new();

	window_add(w, 0, 1, "a", 1, NULL);
	struct window_item *b = window_add(w, 0, 2, "b", 1, NULL);
	window_add(w, 0, 3, "c", 1, NULL);
	window_move(w, b, 4);
	assert_int_equal(window_take(w)->offset, 1);
	assert_int_equal(window_take(w)->offset, 4); /* it keeps its turn */
	window_done(w, window_take(w));
	assert_int_equal(window_position(w, 0), 1);
	assert_int_equal(window_lowest(w, 0)->offset, 1);
	window_free(w, no_free);

	w = window_new();
	struct window_item *first = window_add(w, 0, 1, "a", 1, NULL);
	window_move(w, first, 2);
	assert_int_equal(window_position(w, 0), 2); /* what was replaced is done */
	window_done(w, window_take(w));
	assert_int_equal(window_position(w, 0), 3);
	window_free(w, no_free);
}

SHOWS(a_loose_item_blocks_its_key_and_counts_for_no_position)
{
	struct window *w = window_new();
	struct window_item *loose = window_add_loose(w, 0, "a", 1, NULL);

	assert_int_equal(window_position(w, 0), -1);
	window_add(w, 0, 9, "a", 1, NULL);
	assert_ptr_equal(window_take(w), loose);
	assert_null(window_take(w));
	assert_int_equal(window_behind(loose)->offset, 9);
	assert_true(window_is_busy(loose));
	window_done(w, loose);
	assert_int_equal(window_take(w)->offset, 9);
	assert_int_equal(window_count_in(w, 0), 1);
	/* One that waits is replaced by a record with an offset; a busy one becomes an orphan. */
	struct window_item *waits = window_add_loose(w, 0, "b", 1, NULL);
	window_move(w, waits, 10);
	assert_int_equal(window_take(w)->offset, 10);
	window_add_loose(w, 0, "c", 1, NULL);
	struct window_item *busy = window_take(w);
	window_add_loose(w, 0, "d", 1, NULL);
	window_drop(w, 0, no_free);
	assert_true(busy->orphan);
	window_done(w, busy);
	assert_null(window_take(w));
	window_free(w, no_free);
}

SHOWS(partitions_take_turns)
{
	struct window *w = window_new();

	for (int i = 0; i < 4; i++) {
		char key[2] = {(char)('a' + i), 0};
		window_add(w, 0, i, key, 1, NULL);
		key[0] = (char)('p' + i);
		window_add(w, 1, i, key, 1, NULL);
	}
	int32_t last = -1;
	for (int i = 0; i < 8; i++) {
		struct window_item *item = window_take(w);
		assert_int_not_equal(item->partition, last);
		last = item->partition;
	}
	window_free(w, no_free);
}

/* The model: every record with its state, looked through from end to end. */
struct model {
	int partition, key, state; /* 0 waiting, 1 out, 2 done */
	int64_t offset;
	struct window_item *item;
};

SHOWS(whatever_the_order_of_answers_the_promises_hold)
{
	static struct model all[RECORDS];
	struct window *w = window_new();
	int64_t next[PARTITIONS] = {0};
	size_t begun = 0, oldest = 0;
	uint32_t seed = 12345;

	for (int step = 0; step < 60000; step++) {
		seed = seed * 1664525u + 1013904223u;
		unsigned dice = seed >> 16 & 3;
		if (dice == 0 && begun < RECORDS) {
			struct model *m = &all[begun++];
			char key[20];
			m->key = (int)(seed >> 20) % KEYS;
			m->partition = m->key % PARTITIONS; /* a key has one partition */
			m->offset = next[m->partition]++;
			int n = snprintf(key, sizeof key, "key-%d", m->key);
			struct window_item *last = window_last_of_key(w, key, (size_t)n);
			if (last && !window_is_busy(last) && seed >> 28 & 1) {
				((struct model *)last->payload)->state = 2; /* replaced */
				last->payload = m;
				window_move(w, last, m->offset);
				m->item = last;
			} else {
				m->item = window_add(w, m->partition, m->offset, key, (size_t)n, m);
			}
		} else if (dice == 1) {
			struct window_item *item = window_take(w);
			struct model *m = item ? item->payload : NULL;
			for (size_t i = oldest; i < begun; i++) {
				if (!m && all[i].state == 0) {
					bool blocked = false;
					for (size_t k = oldest; k < i; k++)
						blocked |=
						    all[k].key == all[i].key && all[k].state != 2;
					assert_true(blocked);
				}
				if (m && &all[i] < m && all[i].key == m->key)
					assert_int_equal(all[i].state, 2);
			}
			if (m)
				m->state = 1;
		} else {
			size_t out = 0, pick = 0;
			for (size_t i = oldest; i < begun; i++)
				out += all[i].state == 1;
			pick = out ? (seed >> 8) % out : 0;
			for (size_t i = oldest; out && i < begun; i++)
				if (all[i].state == 1 && pick-- == 0) {
					all[i].state = 2;
					assert_ptr_equal(window_done(w, all[i].item), &all[i]);
					break;
				}
		}
		while (oldest < begun && all[oldest].state == 2)
			oldest++;
		for (int p = 0; p < PARTITIONS; p++) {
			int64_t want = next[p] ? next[p] : -1;
			for (size_t i = begun; i-- > oldest;)
				if (all[i].partition == p && all[i].state != 2)
					want = all[i].offset;
			assert_int_equal(window_position(w, p), want);
		}
	}
	window_free(w, no_free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_record_of_a_key_is_out_at_a_time_in_order),
	    cmocka_unit_test(the_end_of_a_partition_is_a_position_only_when_all_is_done),
	    cmocka_unit_test(an_untaken_record_comes_first_again),
	    cmocka_unit_test(a_dropped_partition_leaves_orphans_that_block_their_key),
	    cmocka_unit_test(a_key_is_bytes),
	    cmocka_unit_test(nothing_at_or_above_the_limit_of_its_partition_is_taken),
	    cmocka_unit_test(a_record_that_waits_moves_to_a_later_offset),
	    cmocka_unit_test(a_loose_item_blocks_its_key_and_counts_for_no_position),
	    cmocka_unit_test(partitions_take_turns),
	    cmocka_unit_test(whatever_the_order_of_answers_the_promises_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
