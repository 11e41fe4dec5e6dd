#include "listing.h"

#include "unit.h"

static void is(const char *line, const char *name, int64_t size, const char *stamp)
{
	struct listing_file f;

	assert_true(listing_parse(line, &f));
	assert_string_equal(f.name, name);
	assert_int_equal(f.size, size);
	assert_string_equal(f.stamp, stamp);
}

SHOWS(a_line_of_openssh_has_size_time_and_name)
{
	is("-rw-r--r--    1 root     root         1234 Nov 24 00:39 acs_1.csv", "acs_1.csv", 1234,
	   "Nov 24 00:39");
	is("-rw-r--r--    1 1000     1000            0 Jan  1  2025 a b  c.csv", "a b  c.csv", 0,
	   "Jan 1 2025");
	is("-rw-r--r--    1 1000     1000            7 Jan  1  2025  begins with a blank",
	   " begins with a blank", 7, "Jan 1 2025");
	is("-rwxr--r-- 1 - - 99 Nov 24 00:39 x", "x", 99, "Nov 24 00:39");
}

SHOWS(names_of_users_and_groups_may_have_blanks)
{
	is("-rw-rw----    1 CORP\\svc campaign domain users 5000000000 Nov 24 00:39 acs_1.csv",
	   "acs_1.csv", 5000000000, "Nov 24 00:39");
	is("-rw-rw----    1 svc group 7 users 12 Nov 24 00:39 12 Nov 24 00:40 x",
	   "12 Nov 24 00:40 x", 12, "Nov 24 00:39");
}

SHOWS(what_is_no_file_or_of_another_form_is_none)
{
	static const char *const lines[] = {
	    "",
	    "drwxr-xr-x    2 root     root         4096 Nov 24 00:39 processed",
	    "lrwxrwxrwx    1 root     root            4 Nov 24 00:39 a -> b",
	    "-rw-r--r--    1 root     root         1234 Nov 24 00:39",
	    "-rw-r--r--    1 root     root         1234 Nov 24 00:39 ",
	    "-rw-r--r--    1 root     root         12x4 Nov 24 00:39 a",
	    "-rw-r--r--    1 root     root        -1234 Nov 24 00:39 a",
	    "-rw-r--r--    1 root     root 99999999999999999999 Nov 24 00:39 a",
	    "-rw-r--r--    1 root     root         1234 2026-11-24 00:39 a",
	    "-rw-r--r-- 1 1234 Nov 24 00:39 a",
	    "-rw-r--r--",
	    "-",
	    "11-24-26  12:39AM  1234 a.csv"};
	struct listing_file f;

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		if (listing_parse(lines[i], &f))
			fail_msg("\"%s\" was taken for a file", lines[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_of_openssh_has_size_time_and_name),
	    cmocka_unit_test(names_of_users_and_groups_may_have_blanks),
	    cmocka_unit_test(what_is_no_file_or_of_another_form_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
