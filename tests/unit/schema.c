#include "schema.h"

#include "unit.h"

#define R(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define F(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define OPTIONAL(name, type) "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null}"
#define STAMP(unit) "{\"type\":\"long\",\"logicalType\":\"timestamp-" unit "\"}"

static void fits(const char *old, const char *next)
{
	char why[300];
	if (!schema_compatible(old, next, why, sizeof why))
		fail_msg("refused: %s", why);
}

static void differs(const char *old, const char *next, const char *field)
{
	char why[300] = "";
	if (schema_compatible(old, next, why, sizeof why))
		fail_msg("accepted a change of %s", field);
	assert_contains(why, field);
}

SHOWS(what_a_reader_can_read_fits)
{
	fits(R(F("a", "\"string\"")), R(F("a", "\"string\"")));
	fits(R(F("a", "\"string\"")), R(F("a", "\"string\"") "," OPTIONAL("b", "\"long\"")));
	fits(R(F("a", "\"int\"")), R(F("a", "\"long\"")));
	fits(R(F("a", "\"string\"") "," F("b", "\"int\"")), R(F("a", "\"string\"")));
	fits(R(F("a", "\"string\"")), R(OPTIONAL("a", "\"string\"")));
}

SHOWS(what_differs_is_named)
{
	differs(R(F("a", "\"string\"")), R(F("a", "\"string\"") "," F("new", "\"long\"")), "new");
	differs(R(F("amount", "\"string\"")), R(F("amount", "\"double\"")), "amount");
	differs(R(F("n", "\"long\"")), R(F("n", "\"int\"")), "n");
	differs(R(OPTIONAL("n", "\"long\"")), R(F("n", "\"long\"")), "n");
	differs(R(F("e", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a\",\"b\"]}")),
		R(F("e", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a\"]}")), "e");
}

SHOWS(what_hides_in_a_nullable_row_is_named)
{
	differs(R(OPTIONAL("row", "{\"type\":\"record\",\"name\":\"Row\",\"fields\":[" OPTIONAL(
				      "birthdate", "\"string\"") "]}")),
		R(OPTIONAL("row", "{\"type\":\"record\",\"name\":\"Row\",\"fields\":[" OPTIONAL(
				      "birthdate", "\"long\"") "]}")),
		"birthdate");
}

SHOWS(another_meaning_of_the_same_bytes_is_refused)
{
	/* A registry lets both pass. */
	differs(R(F("at", STAMP("millis"))), R(F("at", STAMP("micros"))), "at");
	differs(R(F("d", "{\"type\":\"int\",\"logicalType\":\"date\"}")),
		R(F("d", "{\"type\":\"int\",\"logicalType\":\"time-millis\"}")), "d");
	differs(R(F("at", STAMP("millis"))), R(F("at", "\"long\"")), "at");
}

SHOWS(garbage_is_not_compatible_with_anything)
{
	char why[300];

	assert_false(schema_compatible("", R(F("a", "\"int\"")), why, sizeof why));
	assert_false(schema_compatible(R(F("a", "\"int\"")), "{\"type\":5}", why, sizeof why));
	assert_false(schema_compatible("[1,2]", "[1,2]", why, sizeof why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_reader_can_read_fits),
	    cmocka_unit_test(what_differs_is_named),
	    cmocka_unit_test(what_hides_in_a_nullable_row_is_named),
	    cmocka_unit_test(another_meaning_of_the_same_bytes_is_refused),
	    cmocka_unit_test(garbage_is_not_compatible_with_anything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
