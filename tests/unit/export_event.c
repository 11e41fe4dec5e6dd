#include "export_event.h"

#include "unit.h"

SHOWS(names_tell_which_export_a_file_is_and_hidden_ones_are_none)
{
	struct flow f = {.sending = {.match = "*.csv"}, .tracking = {.match = "t_*"}};

	assert_ptr_equal(export_kind(&f, "a.csv"), &f.sending);
	assert_ptr_equal(export_kind(&f, "t_1.csv"), &f.sending); /* the first that fits */
	assert_ptr_equal(export_kind(&f, "t_1.csv.gz"), &f.tracking);
	assert_null(export_kind(&f, "a.csv.part"));
	assert_null(export_kind(&f, ".a.csv"));
	f.sending.match = NULL;
	assert_null(export_kind(&f, "a.csv"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_tell_which_export_a_file_is_and_hidden_ones_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
