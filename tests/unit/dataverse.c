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
	cJSON_Delete(gone);
	cJSON_Delete(row);
}

#define TOKEN ANSWER("200 OK", "", "{\"access_token\":\"t\",\"expires_in\":3599}")

static struct server server;
static struct dataverse d; /* of the page, until done() */

/* One page from a server that answers with body; returns the result. */
static enum result page(const char *body, struct dataverse_page *p, struct error *err)
{
	struct http *h = http_new("test/1", NULL);
	char *text = NULL;

	if (asprintf(&text, ANSWER("200 OK", "", "%s"), body) < 0)
		fail();
	server_start(&server, (const char *const[]){TOKEN, text, NULL});
	dataverse_init(&d, h, server.url, server.url, "me", "pass", "scope");
	enum result r =
	    dataverse_page(&d, server.url, PAGE_OF_TRACKED_ROWS, 5000, (mono_time){1}, p, err);
	http_free(h);
	server_stop(&server);
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
	done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_documented_answer_has_its_meaning),
	    cmocka_unit_test(an_error_shows_no_values),
	    cmocka_unit_test(a_deletion_is_told_from_a_row),
	    cmocka_unit_test(a_link_to_another_host_is_not_followed),
	    cmocka_unit_test(a_page_that_is_none_is_not_taken_for_the_last_one),
	    cmocka_unit_test(numbers_of_a_page_keep_their_digits_and_its_preferences_are_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
