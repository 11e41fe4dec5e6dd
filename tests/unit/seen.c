#include "seen.h"

#include "unit.h"

SHOWS(what_was_added_is_known_and_nothing_else)
{
	struct seen *s = seen_new();
	char text[40];

	for (int i = 0; i < 50000; i++) {
		int n = snprintf(text, sizeof text, "acme|send|%d", i * 7);
		assert_true(seen_add(s, text, (size_t)n));
	}
	assert_int_equal(seen_count(s), 50000);
	for (int i = 0; i < 350000; i++) {
		int n = snprintf(text, sizeof text, "acme|send|%d", i);
		assert_int_equal(seen_has(s, text, (size_t)n), i % 7 == 0);
	}
	assert_false(seen_add(s, "acme|send|7", 11));
	assert_int_equal(seen_count(s), 50000);
	seen_clear(s);
	assert_int_equal(seen_count(s), 0);
	assert_false(seen_has(s, "acme|send|7", 11));
	assert_true(seen_add(s, "acme|send|7", 11));
	seen_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_added_is_known_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
