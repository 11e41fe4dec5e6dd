#include "known.h"

#include <stdio.h>
#include <string.h>

#include "fixture.h"

static char *id_of(unsigned n, char id[37])
{
	snprintf(id, 37, "%08x-0000-4000-8000-%012x", n * 2654435761u, n);
	return id;
}

SHOWS(what_was_not_met_is_told_by_its_id)
{
	struct known *k = known_new();
	char id[37];
	size_t at = 0;

	assert_true(known_put(k, "aaaaaaaa-0000-4000-8000-00000000000a", 5, true));
	assert_true(known_put(k, "bbbbbbbb-0000-4000-8000-00000000000b", 6, false));
	assert_int_equal(known_alive(k), 2);
	assert_int_equal(known_unmet(k), 1);
	assert_true(known_next_unmet(k, &at, id));
	assert_string_equal(id, "bbbbbbbb-0000-4000-8000-00000000000b");
	assert_true(known_gone(k, id));
	assert_false(known_next_unmet(k, &at, id));
	assert_int_equal(known_alive(k), 1);
	known_free(k);
}

SHOWS(the_last_word_about_an_id_counts)
{
	struct known *k = known_new();
	const char *id = "AAAAAAAA-0000-4000-8000-00000000000a";

	known_put(k, id, 5, false);
	known_gone(k, id);
	assert_int_equal(known_version(k, id), -1);
	assert_int_equal(known_alive(k), 0);
	known_put(k, "aaaaaaaa-0000-4000-8000-00000000000a", 7, false);
	assert_int_equal(known_version(k, id), 7);
	known_put(k, id, 8, true);
	assert_int_equal(known_unmet(k), 0);
	assert_int_equal(known_alive(k), 1);
	known_free(k);
}

SHOWS(a_new_pass_has_met_nobody)
{
	struct known *k = known_new();
	char id[37];

	for (unsigned i = 0; i < 100; i++)
		known_put(k, id_of(i, id), i, i % 2);
	known_unmeet(k);
	assert_int_equal(known_unmet(k), 100);
	assert_int_equal(known_version(k, id_of(7, id)), 7);
	known_clear(k);
	assert_int_equal(known_alive(k), 0);
	known_free(k);
}

SHOWS(a_hundred_thousand_ids_are_each_found_again)
{
	enum { N = 100000 };
	struct known *k = known_new();
	char id[37];
	size_t at = 0, found = 0;

	for (unsigned i = 0; i < N; i++)
		known_put(k, id_of(i, id), i, i % 3 == 0);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(known_version(k, id_of(i, id)), i);
	assert_int_equal(known_version(k, id_of(N + 1, id)), -1);
	while (known_next_unmet(k, &at, id))
		found++;
	assert_int_equal(found, known_unmet(k));
	assert_int_equal(found, N - (N + 2) / 3);
	known_free(k);
}

SHOWS(what_is_no_guid_is_not_taken)
{
	struct known *k = known_new();

	assert_false(known_put(k, "", 1, true));
	assert_false(known_put(k, "{aaaaaaaa-0000-4000-8000-00000000000a}", 1, true));
	assert_false(known_gone(k, "not-a-guid"));
	assert_int_equal(known_version(k, "x"), -1);
	known_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_not_met_is_told_by_its_id),
	    cmocka_unit_test(the_last_word_about_an_id_counts),
	    cmocka_unit_test(a_new_pass_has_met_nobody),
	    cmocka_unit_test(a_hundred_thousand_ids_are_each_found_again),
	    cmocka_unit_test(what_is_no_guid_is_not_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
