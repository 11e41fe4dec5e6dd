#include "http.h"

#include "clock.h"
#include "client.h"

static struct http_response res;

static enum result get(size_t max, int64_t timeout_ms)
{
	struct http_request req = {.method = "GET",
				   .url = server.url,
				   .headers = {"X-Test: yes"},
				   .max_response_bytes = max,
				   .timeout_ms = timeout_ms};
	memset(&res, 0, sizeof res);
	return http_call(h, &req, &res, &err);
}

SHOWS(an_answer_arrives_whole_whatever_its_status)
{
	server_start(&server,
		     (const char *const[]){ANSWER("503 Busy", "Retry-After: 7\r\n", "busy"),
					   ANSWER("200 OK", "", "{\"a\":1}"), NULL});
	assert_int_equal(get(1000, 5000), OK);
	assert_int_equal(res.status, 503);
	assert_int_equal(res.retry_after_ms, 7000);
	assert_string_equal(res.body.data, "busy");
	http_response_free(&res);
	assert_int_equal(get(1000, 5000), OK);
	assert_int_equal(res.status, 200);
	assert_int_equal(res.retry_after_ms, -1);
	assert_string_equal(res.content_type, "application/json");
	http_response_free(&res);
	assert_contains(server.requests[1], "X-Test: yes");
	assert_contains(server.requests[1], "User-Agent: test/1");
	server_stop(&server);
}

SHOWS(retry_after_may_be_a_date)
{
	server_start(&server,
		     (const char *const[]){
			 ANSWER("429 Slow", "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n", ""),
			 ANSWER("429 Slow", "Retry-After: Thu, 01 Jan 1998 00:00:00 GMT\r\n", ""),
			 ANSWER("429 Slow", "Retry-After: soon\r\n", ""),
			 ANSWER("429 Slow", "Retry-After: -5\r\n", ""), NULL});
	assert_int_equal(get(1000, 5000), OK);
	assert_int_equal(res.retry_after_ms, 86400000); /* a day at most */
	http_response_free(&res);
	assert_int_equal(get(1000, 5000), OK);
	assert_int_equal(res.retry_after_ms, 0);
	http_response_free(&res);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(get(1000, 5000), OK);
		assert_true(res.retry_after_ms <= 0);
		http_response_free(&res);
	}
	server_stop(&server);
}

SHOWS(a_redirect_is_an_answer_and_not_followed)
{
	server_start(&server, (const char *const[]){ANSWER("302 Found", "Location: /login\r\n", ""),
						    ANSWER("200 OK", "", "come in"), NULL});
	assert_int_equal(get(1000, 5000), OK);
	assert_int_equal(res.status, 302);
	http_response_free(&res);
	server_stop(&server);
}

SHOWS(a_torn_answer_is_none)
{
	server_start(&server,
		     (const char *const[]){
			 "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "",
			 "this is no http\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Len", NULL});
	for (int i = 0; i < 4; i++) {
		enum result r = get(1000, 5000);
		if (r != RETRY || res.status)
			fail_msg("answer %d: result %d, status %d, %s", i, r, res.status, err.text);
		assert_true(*err.text);
		http_response_free(&res);
	}
	server_stop(&server);
}

SHOWS(a_body_over_the_cap_is_refused)
{
	server_start(&server, (const char *const[]){
				  ANSWER("200 OK", "", "0123456789012345678901234567890"), NULL});
	assert_int_equal(get(10, 5000), RETRY);
	assert_string_equal(err.reason, "response-too-large");
	assert_true(res.body.len <= 10);
	http_response_free(&res);
	server_stop(&server);
}

SHOWS(a_server_that_says_nothing_is_given_up)
{
	server_start(&server, (const char *const[]){"hang", NULL});
	mono_time began = mono_now();
	assert_int_equal(get(1000, 300), RETRY);
	assert_string_equal(err.reason, "timed-out");
	assert_true(mono_now().ms - began.ms < 5000);
	http_response_free(&res);
	server_stop(&server);
}

SHOWS(a_connection_that_was_refused_was_surely_not_sent)
{
	struct http_request req = {.method = "POST",
				   .url = "http://127.0.0.1:1/",
				   .max_response_bytes = 100,
				   .timeout_ms = 2000};
	memset(&res, 0, sizeof res);
	assert_int_equal(http_call(h, &req, &res, &err), RETRY);
	assert_false(res.sent);
	http_response_free(&res);
	server_start(&server,
		     (const char *const[]){"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", NULL});
	assert_int_equal(get(1000, 5000), RETRY);
	assert_true(res.sent);
	http_response_free(&res);
	server_stop(&server);
}

SHOWS(many_are_in_flight_and_each_finds_its_tag)
{
	int tags[4];
	bool seen[4] = {false};
	int done = 0;

	server_start(&server,
		     (const char *const[]){ANSWER("200 OK", "", "a"), ANSWER("200 OK", "", "b"), "",
					   ANSWER("404 No", "", "c"), NULL});
	for (int i = 0; i < 4; i++) {
		struct http_request req = {.method = "POST",
					   .url = server.url,
					   .body = "x",
					   .body_len = 1,
					   .max_response_bytes = 100,
					   .timeout_ms = 5000};
		http_start(h, &req, &tags[i]);
	}
	assert_int_equal(http_in_flight(h), 4);
	for (mono_time end = mono_add(mono_now(), 10000);
	     done < 4 && mono_until(mono_now(), end);) {
		struct http_response *r;
		void *tag;
		http_wait(h, -1, 200);
		while ((r = http_next(h, &tag))) {
			seen[(int *)tag - tags] = true;
			done++;
		}
	}
	for (int i = 0; i < 4; i++)
		assert_true(seen[i]);
	assert_int_equal(http_in_flight(h), 0);
	server_stop(&server);
}

static int64_t counted(struct http *c, const char *target, const char *status)
{
	for (int i = 0; i < HTTP_TARGETS; i++) {
		const struct tally *t = http_statuses(c, i);
		if (!http_target(c, i) || strcmp(http_target(c, i), target))
			continue;
		for (size_t j = 0; j < t->count; j++)
			if (!strcmp(t->of[j].word, status))
				return t->of[j].n;
	}
	return 0;
}

SHOWS(requests_are_counted_by_target_and_status)
{
	struct http *c = http_new("test/1", NULL);
	struct http_request req = {.method = "GET", .max_response_bytes = 100, .timeout_ms = 5000};
	char api[100], token[100];
	void *tag;

	server_start(&server, (const char *const[]){
				  ANSWER("200 OK", "", "a"), ANSWER("404 No", "", "b"),
				  ANSWER("200 OK", "", "c"), ANSWER("200 OK", "", "d"), "", NULL});
	snprintf(api, sizeof api, "%s/api", server.url);
	snprintf(token, sizeof token, "%s/api/token", server.url);
	http_name_target(c, "api", api);
	http_name_target(c, "api-token", token);
	http_name_target(c, "not configured", NULL);
	const char *const urls[] = {api, api, token, server.url, api};
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		req.url = urls[i];
		if (i % 2) {
			http_start(c, &req, c);
			for (int n = 0; n < 50 && !http_next(c, &tag); n++)
				http_wait(c, -1, 200);
			continue;
		}
		memset(&res, 0, sizeof res);
		http_call(c, &req, &res, &err);
		http_response_free(&res);
	}
	assert_int_equal(counted(c, "api", "200"), 1);
	assert_int_equal(counted(c, "api", "404"), 1);
	assert_int_equal(counted(c, "api", "none"), 1);
	assert_int_equal(counted(c, "api-token", "200"), 1);
	assert_int_equal(counted(c, "other", "200"), 1);
	server_stop(&server);
	http_free(c);
}

SHOWS(keys_are_escaped)
{
	struct buffer b = BUFFER(1000);

	http_escape(&b, "a-b_c.d~e/f?g=h i%é");
	assert_string_equal(b.data, "a-b_c.d~e%2Ff%3Fg%3Dh%20i%25%C3%A9");
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_arrives_whole_whatever_its_status),
	    cmocka_unit_test(retry_after_may_be_a_date),
	    cmocka_unit_test(a_redirect_is_an_answer_and_not_followed),
	    cmocka_unit_test(a_torn_answer_is_none),
	    cmocka_unit_test(a_body_over_the_cap_is_refused),
	    cmocka_unit_test(a_server_that_says_nothing_is_given_up),
	    cmocka_unit_test(a_connection_that_was_refused_was_surely_not_sent),
	    cmocka_unit_test(many_are_in_flight_and_each_finds_its_tag),
	    cmocka_unit_test(requests_are_counted_by_target_and_status),
	    cmocka_unit_test(keys_are_escaped),
	};
	return cmocka_run_group_tests(tests, client_make, client_unmake);
}
