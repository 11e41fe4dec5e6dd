#include "registry.h"

#include "schema.h"
#include "client.h"

#define FOUND(id) ANSWER("200 OK", "", "{\"id\":" id "}")
#define MISSING ANSWER("404 Not Found", "", "{\"error_code\":40403,\"message\":\"no\"}")
#define CONFLICT ANSWER("409 Conflict", "", "{\"error_code\":409,\"message\":\"exists\"}")
#define LEVEL ANSWER("200 OK", "", "{\"compatibilityLevel\":\"BACKWARD_TRANSITIVE\"}")

static struct registry *start(const char *const *answers)
{
	server_start(&server, answers);
	return registry_new(h, server.url, "me", "pass");
}

static void stop(struct registry *r)
{
	registry_free(r);
	server_stop(&server);
}

SHOWS(a_schema_that_is_there_is_looked_up_only)
{
	struct registry *r = start((const char *const[]){FOUND("7"), NULL});
	int32_t id;

	assert_int_equal(schema_register(r, "t", "\"string\"", &id, &err), OK);
	assert_int_equal(id, 7);
	assert_contains(server.requests[0], "POST /subjects/t-value");
	assert_contains(server.requests[0], "Authorization: Basic");
	stop(r);
}

SHOWS(losing_the_race_of_a_first_registration_is_no_incompatibility)
{
	struct registry *r = start((const char *const[]){LEVEL, CONFLICT, FOUND("9"), NULL});
	int32_t id;

	assert_int_equal(registry_add(r, "t-value", "\"string\"", &id, &err), OK);
	assert_int_equal(id, 9);
	assert_contains(server.requests[0], "PUT /config/t-value");
	assert_contains(server.requests[0], "BACKWARD_TRANSITIVE");
	stop(r);
}

SHOWS(losing_the_race_of_the_compatibility_level_is_no_error)
{
	struct registry *r = start((const char *const[]){CONFLICT, LEVEL, FOUND("3"), NULL});
	int32_t id;

	assert_int_equal(registry_add(r, "t-value", "\"string\"", &id, &err), OK);
	assert_int_equal(id, 3);
	stop(r);
}

SHOWS(an_incompatible_schema_is_fatal)
{
	struct registry *r = start((const char *const[]){LEVEL, CONFLICT, MISSING, NULL});
	int32_t id;

	assert_int_equal(registry_add(r, "t-value", "\"string\"", &id, &err), FATAL);
	assert_int_equal(err.exit_code, EXIT_PERMANENT);
	assert_contains(err.text, "t-value");
	stop(r);
}

SHOWS(each_bad_answer_has_its_result)
{
	static const struct {
		const char *answer;
		enum result result;
	} bad[] = {{ANSWER("401 No", "", "{}"), FATAL},
		   {ANSWER("503 No", "", "{}"), RETRY},
		   {ANSWER("200 OK", "", "not json"), RETRY},
		   {ANSWER("200 OK", "", "{\"id\":-1}"), FATAL},
		   {ANSWER("200 OK", "", "{\"id\":\"x\"}"), FATAL},
		   {ANSWER("200 OK", "", "{\"id\":99999999999}"), FATAL},
		   {MISSING, REJECT},
		   {"", RETRY}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct registry *r = start((const char *const[]){bad[i].answer, NULL});
		int32_t id;
		if (registry_lookup(r, "s", "\"string\"", &id, &err) != bad[i].result)
			fail_msg("answer %zu has another result", i);
		stop(r);
	}
}

SHOWS(a_schema_comes_by_its_id)
{
	struct registry *r = start((const char *const[]){
	    ANSWER("200 OK", "", "{\"schema\":\"\\\"int\\\"\"}"), MISSING, NULL});
	char *schema = NULL;

	assert_int_equal(registry_schema(r, 12, &schema, &err), OK);
	assert_string_equal(schema, "\"int\"");
	assert_contains(server.requests[0], "GET /schemas/ids/12");
	free(schema);
	assert_int_equal(registry_schema(r, 13, &schema, &err), REJECT);
	stop(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_schema_that_is_there_is_looked_up_only),
	    cmocka_unit_test(losing_the_race_of_a_first_registration_is_no_incompatibility),
	    cmocka_unit_test(losing_the_race_of_the_compatibility_level_is_no_error),
	    cmocka_unit_test(an_incompatible_schema_is_fatal),
	    cmocka_unit_test(each_bad_answer_has_its_result),
	    cmocka_unit_test(a_schema_comes_by_its_id),
	};
	return cmocka_run_group_tests(tests, client_make, client_unmake);
}
