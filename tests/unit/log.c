#include "log.h"

#include <unistd.h>

#include "unit.h"

/* What the lines between begin and end said. */
static int saved;
static FILE *kept;

static void begin(void)
{
	kept = tmpfile();
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	dup2(fileno(kept), STDERR_FILENO);
}

static char *end(char *out, size_t size)
{
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(kept);
	size_t n = fread(out, 1, size - 1, kept);
	out[n] = 0;
	fclose(kept);
	return out;
}

SHOWS(a_line_is_logfmt_with_program_and_flow)
{
	char out[2000];

	log_setup(LOG_LEVEL_INFO, "load-campaign", "contacts");
	begin();
	log_info("started", "input", "topic", "count", log_int(-3), NULL);
	end(out, sizeof out);
	assert_contains(out, "level=info stage=load-campaign flow=contacts msg=started input=topic "
			     "count=-3\n");
	assert_true(!strncmp(out, "ts=20", 5));
}

SHOWS(values_cannot_break_the_line)
{
	char out[2000];

	log_setup(LOG_LEVEL_INFO, "p", "f");
	begin();
	log_info("x", "a", "two words", "b", "quote\" and \\ and\nline", "c", "", "d", NULL, NULL);
	end(out, sizeof out);
	assert_contains(out, "a=\"two words\"");
	assert_null(strchr(strchr(out, 'a'), '\n')[1] ? "more than one line" : NULL);
	assert_contains(out, "c=\"\"");
}

SHOWS(levels_below_are_dropped)
{
	char out[2000];
	enum log_level level;

	assert_true(log_level_parse("warn", &level));
	assert_false(log_level_parse("loud", &level));
	log_setup(level, "p", "f");
	begin();
	log_debug("no", NULL);
	log_info("no", NULL);
	log_warn("yes", NULL);
	log_error("yes", NULL);
	end(out, sizeof out);
	assert_null(strstr(out, "msg=no"));
	assert_contains(out, "level=warn");
	assert_contains(out, "level=error");
}

SHOWS(a_key_is_shown_by_its_hash)
{
	char first[20];

	snprintf(first, sizeof first, "%s", log_key("ann@example.com", 15));
	assert_int_equal(strlen(first), 8);
	assert_int_equal(strspn(first, "0123456789abcdef"), 8);
	assert_string_equal(first, log_key("ann@example.com", 15));
	assert_string_not_equal(first, log_key("bob@example.com", 15));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_is_logfmt_with_program_and_flow),
	    cmocka_unit_test(values_cannot_break_the_line),
	    cmocka_unit_test(levels_below_are_dropped),
	    cmocka_unit_test(a_key_is_shown_by_its_hash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
