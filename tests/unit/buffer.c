#include "buffer.h"

#include "unit.h"

SHOWS(it_grows_to_its_limit_and_not_beyond)
{
	struct buffer b = BUFFER(1000);

	for (int i = 0; i < 100; i++)
		assert_true(buffer_append(&b, "0123456789", 10));
	assert_int_equal(b.len, 1000);
	assert_false(b.overflow);
	assert_false(buffer_append(&b, "x", 1));
	assert_true(b.overflow);
	assert_int_equal(b.len, 1000);
	buffer_free(&b);
}

SHOWS(an_overflow_is_remembered_until_reset)
{
	struct buffer b = BUFFER(4);

	assert_false(buffer_puts(&b, "hello"));
	assert_true(buffer_puts(&b, "a")); /* it fits; that something is missing stays known */
	assert_true(b.overflow);
	buffer_reset(&b);
	assert_false(b.overflow);
	assert_true(buffer_puts(&b, "a"));
	assert_string_equal(b.data, "a");
	buffer_free(&b);
}

SHOWS(formatted_texts_of_any_length_fit)
{
	struct buffer b = BUFFER(1 << 20);
	char word[3000];

	memset(word, 'w', sizeof word - 1);
	word[sizeof word - 1] = 0;
	assert_true(buffer_printf(&b, "<%s>", word));
	assert_int_equal(b.len, sizeof word + 1);
	assert_int_equal(strlen(b.data), b.len);
	assert_true(buffer_printf(&b, "%d", 12));
	assert_string_equal(b.data + b.len - 3, ">12");
	buffer_free(&b);
}

SHOWS(an_absurd_size_is_refused)
{
	struct buffer b = BUFFER(100);

	assert_null(buffer_reserve(&b, SIZE_MAX));
	assert_null(buffer_reserve(&b, SIZE_MAX - 5));
	assert_true(b.overflow);
	buffer_free(&b);
}

SHOWS(reserved_room_is_the_callers_to_fill)
{
	struct buffer b = BUFFER(100);
	char *at = buffer_reserve(&b, 5);

	memcpy(at, "abcde", 5);
	b.len += 5;
	assert_true(buffer_puts(&b, "f"));
	assert_string_equal(b.data, "abcdef");
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_grows_to_its_limit_and_not_beyond),
	    cmocka_unit_test(an_overflow_is_remembered_until_reset),
	    cmocka_unit_test(formatted_texts_of_any_length_fit),
	    cmocka_unit_test(an_absurd_size_is_refused),
	    cmocka_unit_test(reserved_room_is_the_callers_to_fill),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
