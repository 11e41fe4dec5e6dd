#include "options.h"

#include "unit.h"

struct given {
	const char *text;
	struct option_list list;
	bool flag;
	long number;
	const char *operands[2];
	size_t count;
	struct error err;
};

static enum options_outcome parse(struct given *g, int argc, const char *const *words)
{
	char *argv[20] = {"program"};
	const struct option_spec specs[] = {
	    {.name = "text", .arg = "T", .help = "a text; default: none", .text = &g->text},
	    {.name = "list", .arg = "L", .help = "a list; default: none", .list = &g->list},
	    {.name = "flag", .help = "a flag; default: off", .flag = &g->flag},
	    {.name = "number", .arg = "N", .help = "a number; default: 0", .number = &g->number},
	    {0}};
	const struct option_table table = {"program", "WORD", "Does things.", specs, NULL};

	for (int i = 0; i < argc; i++)
		argv[i + 1] = (char *)words[i];
	return options_parse(&table, argc + 1, argv, g->operands, 2, &g->count, &g->err);
}

#define PARSE(g, ...)                                                                              \
	parse(g, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                    \
	      (const char *[]){__VA_ARGS__})

SHOWS(every_kind_of_option_is_read)
{
	struct given g = {0};

	assert_int_equal(PARSE(&g, "--text", "a", "one", "--list=x", "--list", "y", "--flag",
			       "--number", "-5", "two"),
			 OPTIONS_RUN);
	assert_string_equal(g.text, "a");
	assert_int_equal(g.list.count, 2);
	assert_string_equal(g.list.items[1], "y");
	assert_true(g.flag);
	assert_int_equal(g.number, -5);
	assert_int_equal(g.count, 2);
	assert_string_equal(g.operands[1], "two");
}

static void refused(struct given *g, enum options_outcome outcome, const char *word)
{
	assert_int_equal(outcome, OPTIONS_BAD);
	assert_contains(g->err.text, word);
}

SHOWS(what_is_wrong_is_named)
{
	struct given g = {0};

	refused(&g, PARSE(&g, "--nonsense"), "--nonsense");
	refused(&g, PARSE(&g, "--text"), "--text");
	refused(&g, PARSE(&g, "--number", "5x"), "--number");
	refused(&g, PARSE(&g, "--number", "99999999999999999999"), "--number");
	refused(&g, PARSE(&g, "--flag=yes"), "--flag");
	refused(&g, PARSE(&g, "a", "b", "surplus"), "surplus");
	refused(&g,
		PARSE(&g, "--list", "1", "--list", "2", "--list", "3", "--list", "4", "--list", "5",
		      "--list", "6", "--list", "7", "--list", "8", "--list", "9"),
		"--list");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_kind_of_option_is_read),
	    cmocka_unit_test(what_is_wrong_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
