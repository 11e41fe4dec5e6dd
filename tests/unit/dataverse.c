#include "dataverse.h"

#include "server.h"

static enum result answer(int status, const char *body, struct error *err)
{
	struct http_response res = {.status = status,
				    .sent = true,
				    .retry_after_ms = -1,
				    .body = {.data = (char *)body, .len = strlen(body)}};
	snprintf(res.failure, sizeof res.failure, "timed out");
	return dataverse_answer(&res, (mono_time){1000}, err);
}

static void means(int status, const char *code, enum result want, const char *reason)
{
	struct error err = {0};
	char body[300];

	snprintf(body, sizeof body, "{\"error\":{\"code\":\"%s\",\"message\":\"a 'text'\"}}", code);
	enum result r = answer(status, body, &err);
	if (r != want)
		fail_msg("%d %s means %s, not %s", status, code, result_name(r), result_name(want));
	if (reason)
		assert_string_equal(err.reason, reason);
}

SHOWS(each_documented_answer_has_its_meaning)
{
	struct error err;

	assert_int_equal(answer(200, "", &err), OK);
	assert_int_equal(answer(204, "", &err), OK);
	assert_int_equal(answer(0, "", &err), RETRY);
	means(401, "", RETRY, NULL);
	means(429, "0x80072322", RETRY, NULL);
	means(503, "", RETRY, NULL);
	means(500, "", RETRY, NULL);
	means(403, "0x80040220", FATAL, NULL);
	/* The code decides, whatever the status. */
	means(400, "0x80044352", RETRY, "expired-delta-token");
	means(500, "0x80044352", RETRY, "expired-delta-token");
	means(410, "0x80044352", RETRY, "expired-delta-token");
	means(404, "0x80040217", REJECT, "not-found");
	means(400, "0x80072322", RETRY, "limit-requests");
	means(400, "0x80072321", RETRY, "limit-time");
	means(400, "0x80072326", RETRY, "limit-concurrency");
	means(400, "0x80044151", RETRY, "sql-timeout");
	means(400, "0x80044150", RETRY, "sql-deadlock");
	/* The others go by the status. */
	means(429, "", RETRY, "http-429");
	means(408, "", RETRY, NULL);
	means(400, "0x80040203", REJECT, NULL);
	means(404, "0x80040203", REJECT, NULL);
	means(501, "", FATAL, NULL);
	means(302, "", FATAL, NULL);
	assert_int_equal(answer(404,
				"{\"error\":{\"code\":\"0x80060888\",\"message\":\"Resource not "
				"found for the segment 'contacts'.\"}}",
				&err),
			 FATAL);
}

SHOWS(an_answer_that_says_when_to_come_again_is_waited_for)
{
	static const struct {
		int status;
		const char *body;
	} busy[] = {
	    {429, ""}, {503, ""}, {500, "{\"error\":{\"code\":\"0x80072321\",\"message\":\"\"}}"}};

	for (size_t i = 0; i < sizeof busy / sizeof *busy; i++) {
		struct http_response res = {
		    .status = busy[i].status,
		    .retry_after_ms = 7000,
		    .body = {.data = (char *)busy[i].body, .len = strlen(busy[i].body)}};
		struct error err = {0};
		assert_int_equal(dataverse_answer(&res, (mono_time){1000}, &err), RETRY);
		assert_int_equal(err.not_before.ms, 8000);
	}
}

SHOWS(an_error_shows_no_values)
{
	struct error err;

	answer(
	    400,
	    "{\"error\":{\"code\":\"0x80040216\",\"message\":\"bad 'Müller' (ann@example.com)\"}}",
	    &err);
	assert_contains(err.text, "0x80040216");
	assert_null(strstr(err.text, "Müller"));
	assert_null(strstr(err.text, "ann"));
	/* A text that is not known, a plug-in's perhaps, is not shown at all. */
	answer(400, "{\"error\":{\"code\":\"0x80040265\",\"message\":\"Ann owes 5\"}}", &err);
	assert_null(strstr(err.text, "Ann"));
	/* Of a known one the values are taken out. */
	answer(404, "{\"error\":{\"code\":\"0x80040217\",\"message\":\"No 'Ann' here\"}}", &err);
	assert_contains(err.text, "here");
	assert_null(strstr(err.text, "Ann"));
}

SHOWS(a_deletion_is_told_from_a_row)
{
	cJSON *gone =
	    cJSON_Parse("{\"@odata.context\":\"https://x/$metadata#contacts/$deletedEntity\","
			"\"id\":\"6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21\",\"reason\":\"deleted\"}");
	cJSON *row = cJSON_Parse("{\"contactid\":\"6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21\"}");
	const char *id = NULL;

	assert_true(dataverse_is_delete(gone, &id));
	assert_string_equal(id, "6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21");
	assert_false(dataverse_is_delete(row, &id));
	/* "changed": it is out of sight, which is no deletion. */
	cJSON_ReplaceItemInObject(gone, "reason", cJSON_CreateString("changed"));
	assert_false(dataverse_is_delete(gone, &id));
	cJSON_Delete(gone);
	cJSON_Delete(row);
}

#define TOKEN ANSWER("200 OK", "", "{\"access_token\":\"t\",\"expires_in\":3599}")

static struct server server;
static struct dataverse d; /* of the page, until done() */

static struct http *h;

/* A server that gives a token and then this answer. */
static void serve(const char *answer)
{
	static const char *answers[] = {TOKEN, NULL, NULL};

	answers[1] = answer;
	h = http_new("test/1", NULL);
	server_start(&server, answers);
	dataverse_init(&d, h, server.url, server.url, "me", "pass", "scope");
}

static void served(void)
{
	http_free(h);
	server_stop(&server);
}

/* One page from a server that answers with body; returns the result. */
static enum result page(const char *body, struct dataverse_page *p, struct error *err)
{
	char *text = NULL;

	if (asprintf(&text, ANSWER("200 OK", "", "%s"), body) < 0)
		fail();
	serve(text);
	enum result r =
	    dataverse_page(&d, server.url, PAGE_OF_TRACKED_ROWS, 5000, (mono_time){1}, p, err);
	served();
	free(text);
	return r;
}

static void done(struct dataverse_page *p)
{
	dataverse_page_free(&d, p);
	dataverse_free(&d);
}

SHOWS(a_link_to_another_host_is_not_followed)
{
	struct dataverse_page p = {0};
	struct error err;

	assert_int_not_equal(
	    page("{\"value\":[],\"@odata.nextLink\":\"http://evil.example/x\"}", &p, &err), OK);
	done(&p);
	assert_int_not_equal(
	    page("{\"value\":[],\"@odata.deltaLink\":\"http://evil.example/x\"}", &p, &err), OK);
	done(&p);
}

SHOWS(a_host_that_only_begins_like_ours_is_another)
{
	struct dataverse_page p = {0};
	struct error err;

	serve(ANSWER("200 OK", "",
		     "{\"value\":[],\"@odata.nextLink\":\"http://org.example.evil.example/x\"}"));
	d.url = "http://org.example";
	assert_int_not_equal(dataverse_page(&d, server.url, true, 50, (mono_time){1}, &p, &err),
			     OK);
	served();
	done(&p);
}

SHOWS(an_organization_is_told_in_lower_case)
{
	char id[37];
	struct error err;

	serve(
	    ANSWER("200 OK", "", "{\"OrganizationId\":\"6F2D6C1E-3F0B-4D58-9A49-5A1F0C8B7E21\"}"));
	assert_int_equal(dataverse_whoami(&d, (mono_time){1}, id, &err), OK);
	assert_string_equal(id, "6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21");
	served();
	dataverse_free(&d);
}

SHOWS(only_a_row_that_is_not_found_is_not_there)
{
	static const struct {
		const char *answer;
		enum result result;
		bool there;
	} cases[] = {
	    {ANSWER("200 OK", "", "{\"contactid\":\"x\"}"), OK, true},
	    {ANSWER("404 No", "", "{\"error\":{\"code\":\"0x80040217\",\"message\":\"\"}}"), OK,
	     false},
	    {ANSWER("400 No", "", "{\"error\":{\"code\":\"0x80040203\",\"message\":\"\"}}"), REJECT,
	     false},
	    {ANSWER("503 No", "", ""), RETRY, false},
	};
	struct table *t = table_new("contact");

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error err;
		bool there;
		serve(cases[i].answer);
		assert_int_equal(dataverse_exists(&d, t, "6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21",
						  (mono_time){1}, &there, &err),
				 cases[i].result);
		assert_int_equal(there, cases[i].there);
		served();
		dataverse_free(&d);
	}
	table_free(t);
}

SHOWS(a_page_that_is_none_is_not_taken_for_the_last_one)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"value\":5}", "{\"value\":[}", "null"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct dataverse_page p = {0};
		struct error err;
		if (page(bad[i], &p, &err) == OK)
			fail_msg("taken for a page: %s", bad[i]);
		done(&p);
	}
}

SHOWS(numbers_of_a_page_keep_their_digits_and_its_preferences_are_sent)
{
	struct dataverse_page p = {0};
	struct error err;

	assert_int_equal(page("{\"value\":[{\"m\":922337203685477.5807}]}", &p, &err), OK);
	assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(p.rows, 0), "m")->valuestring,
			    "922337203685477.5807");
	assert_null(p.next);
	assert_null(p.delta);
	assert_contains(server.requests[1], "Authorization: Bearer t");
	assert_contains(server.requests[1], "odata.track-changes");
	assert_contains(server.requests[1], "odata.maxpagesize=5000");
	assert_contains(server.requests[1], "If-None-Match: null");
	done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_documented_answer_has_its_meaning),
	    cmocka_unit_test(an_answer_that_says_when_to_come_again_is_waited_for),
	    cmocka_unit_test(an_error_shows_no_values),
	    cmocka_unit_test(a_deletion_is_told_from_a_row),
	    cmocka_unit_test(a_link_to_another_host_is_not_followed),
	    cmocka_unit_test(a_host_that_only_begins_like_ours_is_another),
	    cmocka_unit_test(an_organization_is_told_in_lower_case),
	    cmocka_unit_test(only_a_row_that_is_not_found_is_not_there),
	    cmocka_unit_test(a_page_that_is_none_is_not_taken_for_the_last_one),
	    cmocka_unit_test(numbers_of_a_page_keep_their_digits_and_its_preferences_are_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
