#include "tally.h"

#include "unit.h"

SHOWS(words_are_counted_in_the_order_in_which_they_came)
{
	struct tally t = {.count = 0};

	tally_add(&t, "too-long", 1);
	tally_add(&t, "bad-date", 2);
	tally_add(&t, "too-long", 3);
	assert_int_equal(t.count, 2);
	assert_string_equal(t.of[0].word, "too-long");
	assert_int_equal(t.of[0].n, 4);
	assert_int_equal(tally_total(&t), 6);
}

SHOWS(what_comes_when_all_places_are_taken_is_other)
{
	struct tally t = {.count = 0};
	char word[100];

	for (int i = 0; i < 1000; i++) {
		snprintf(word, sizeof word, "http-%d", i);
		tally_add(&t, word, 1);
	}
	tally_add(&t, "http-0", 1);
	assert_int_equal(t.count, TALLY_WORDS);
	assert_string_equal(t.of[TALLY_WORDS - 1].word, TALLY_OTHER);
	assert_int_equal(t.of[TALLY_WORDS - 1].n, 1000 - (TALLY_WORDS - 1));
	assert_int_equal(t.of[0].n, 2);
	assert_int_equal(tally_total(&t), 1001);
}

SHOWS(a_long_word_is_cut_and_stays_one)
{
	struct tally t = {.count = 0};
	char word[100];

	memset(word, 'x', sizeof word - 1);
	word[sizeof word - 1] = 0;
	tally_add(&t, word, 1);
	tally_add(&t, word, 1);
	assert_int_equal(t.count, 1);
	assert_int_equal(strlen(t.of[0].word), TALLY_WORD_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_are_counted_in_the_order_in_which_they_came),
	    cmocka_unit_test(what_comes_when_all_places_are_taken_is_other),
	    cmocka_unit_test(a_long_word_is_cut_and_stays_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
