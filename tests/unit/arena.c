#include "arena.h"

#include "unit.h"

SHOWS(what_is_allocated_is_aligned_and_does_not_overlap)
{
	struct arena a = {0};
	unsigned char *blocks[500];

	for (size_t i = 0; i < 500; i++) {
		size_t size = i * 37 % 5000 + 1;
		blocks[i] = arena_alloc(&a, size);
		assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
		memset(blocks[i], (int)(i & 0xff), size);
	}
	for (size_t i = 0; i < 500; i++)
		for (size_t k = 0; k < i * 37 % 5000 + 1; k++)
			assert_int_equal(blocks[i][k], i & 0xff);
	arena_free(&a);
}

SHOWS(texts_are_copied)
{
	struct arena a = {0};
	char source[] = "Łukasz";
	char *copy = arena_strndup(&a, source, sizeof source - 1);

	memset(source, 'x', sizeof source - 1);
	assert_string_equal(copy, "Łukasz");
	assert_string_equal(arena_strndup(&a, "abc", 2), "ab");
	assert_string_equal(arena_printf(&a, "%s-%d", "n", 7), "n-7");
	arena_free(&a);
}

SHOWS(a_reset_arena_is_used_again)
{
	struct arena a = {0};

	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 100; i++)
			memset(arena_alloc(&a, 20000), round, 20000);
		arena_reset(&a);
	}
	memset(arena_alloc(&a, 5 << 20), 1, 5 << 20); /* larger than any block */
	arena_free(&a);
	assert_null(a.first);
}

SHOWS(a_scope_frees_what_it_owns)
{
	/* Seen by the leak check of the sanitizers. */
	_cleanup_(freep) char *text = xasprintf("%d", 5);
	_cleanup_(freep) char *nothing = NULL;
	assert_string_equal(text, "5");
	assert_null(nothing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_allocated_is_aligned_and_does_not_overlap),
	    cmocka_unit_test(texts_are_copied),
	    cmocka_unit_test(a_reset_arena_is_used_again),
	    cmocka_unit_test(a_scope_frees_what_it_owns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
