#include "campaign.h"

#include "unit.h"

static enum result answer(int status, const char *body, int64_t retry_after_ms, struct error *err)
{
	struct http_response res = {.status = status,
				    .sent = true,
				    .retry_after_ms = retry_after_ms,
				    .body = {.data = (char *)body, .len = strlen(body)}};
	snprintf(res.failure, sizeof res.failure, "timed out");
	return campaign_answer(&res, (mono_time){1000}, err);
}

static void means(int status, const char *body, enum result want, const char *reason)
{
	struct error err = {0};
	enum result r = answer(status, body, -1, &err);

	if (r != want)
		fail_msg("%d %s means %s, not %s", status, body, result_name(r), result_name(want));
	if (reason)
		assert_string_equal(err.reason, reason);
}

/* The texts are those of Adobe's migration notes and troubleshooting page. */
SHOWS(each_documented_answer_has_its_meaning)
{
	means(200, "{}", OK, NULL);
	means(201, "", OK, NULL);
	means(204, "", OK, NULL);
	means(0, "", RETRY, "no-response");
	means(401, "{\"error_code\":\"401013\",\"message\":\"Oauth token is not valid\"}", RETRY,
	      "http-401");
	means(403, "{\"error_code\":\"403023\",\"message\":\"Profile is not valid\"}", RETRY,
	      "http-403");
	means(429, "", RETRY, "http-429");
	means(502, "{\"code\":502,\"message\":\"Oops. Something went wrong.\"}", RETRY, "http-502");
	means(503, "", RETRY, "http-503");
	means(404,
	      "\"RST-360011 An error has occurred - please contact your administrator. Unable to "
	      "find "
	      "document with path 'Service' from key 'adobe_nl:0' (document with schema 'service' "
	      "and "
	      "name 'adobe_nl')\"",
	      REJECT, "not-found");
	means(
	    500,
	    "\"A 'Service' with the same key 'SVC4' already exists. PGS-220000 PostgreSQL error\"",
	    REJECT, "duplicate-key");
	means(500, "\"'x' property is not valid for the 'profile' resource.\"", REJECT,
	      "invalid-value");
	means(500,
	      "\"RST-360011 The value 'invalid' is not valid for the 'nms:recipient:gender' "
	      "enumeration of the '@gender' field\"",
	      REJECT, "invalid-value");
	means(500,
	      "\"'O5i' attribute unknown (see definition of 'Profiles (nms:recipient)' schema). "
	      "XTK-170036 Unable to parse expression '@id = @O5i'.\"",
	      FATAL, "no-identification-key");
	means(400, "\"?\"", RETRY, CAMPAIGN_UNKNOWN);
	means(400, "\"RST-360011 The value 'x' is not valid for the 'y' enumeration\"", REJECT,
	      "invalid-value");
	means(413, "", REJECT, "http-413");
	means(414, "", REJECT, "http-414");
	means(500, "{\"code\":500,\"message\":\"Oops\"}", RETRY, "unknown-answer");
	means(500, "", RETRY, "unknown-answer");
	means(404, "<html>", RETRY, CAMPAIGN_UNKNOWN);
	means(404, "", RETRY, CAMPAIGN_UNKNOWN);
	means(404, "\"RST-360000 The resource 'cusX' is unknown.\"", FATAL, "resource");
	means(500,
	      "\"RST-360011 The value 'is unknown.' is not valid for the 'nms:recipient:gender' "
	      "enumeration of the '@gender' field\"",
	      REJECT, "invalid-value");
	means(302, "", RETRY, CAMPAIGN_UNKNOWN);
	means(500,
	      "\"RST-360011 An error has occurred - please contact your administrator. PGS-220000 "
	      "The "
	      "record of 'profile' is still referenced and cannot be deleted.\"",
	      RETRY, "referenced");
}

SHOWS(a_page_is_no_answer_of_campaign_whatever_its_status)
{
	means(200, "<html><body>Sign in</body></html>", RETRY, CAMPAIGN_UNKNOWN);
	means(201, "\n <!DOCTYPE html>", RETRY, CAMPAIGN_UNKNOWN);
	means(500, "<html>RST-360011 already exists</html>", RETRY, CAMPAIGN_UNKNOWN);
	means(503, "<html>", RETRY, "http-503");
	static const int proxies[] = {400, 405, 407, 409, 425};
	for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
		means(proxies[i], "<html>blocked</html>", RETRY, CAMPAIGN_UNKNOWN);
	means(413, "<html>too large</html>", REJECT, "http-413");
	struct http_response large = {
	    .sent = true, .retry_after_ms = -1, .body = {.overflow = true}};
	struct error err;
	assert_int_equal(campaign_answer(&large, (mono_time){0}, &err), RETRY);
	assert_string_equal(err.reason, CAMPAIGN_UNKNOWN);
}

/* The column v8 of the same table: most are not explained. */
SHOWS(v8_says_less)
{
	means(500, "\"An error has occurred - please contact your administrator.\"", RETRY,
	      CAMPAIGN_UNEXPLAINED);
	/* What stands between us and Campaign says nothing of a record. */
	means(500, "<html>An error has occurred - please contact your administrator.</html>", RETRY,
	      CAMPAIGN_UNKNOWN);
	means(500, "", RETRY, CAMPAIGN_UNKNOWN);
	means(404, "\"Unable to decrypt PKey. (PKey=@abc)\"", REJECT, "bad-pkey");
	means(404,
	      "\"Unable to find document with path 'Service' from key 'x' (document with schema "
	      "'service' and name 'x')\"",
	      REJECT, "not-found");
	means(404, "\"Unsupported endpoint. (endpoint=rest/x)\"", FATAL, "resource");
	means(429, "", RETRY, "http-429");
}

SHOWS(what_the_error_repeats_of_a_person_is_hidden)
{
	struct error err;

	answer(500, "\"PGS-220000 Key (semail)=(ann@example.com) already exists for 'Müller'\"", -1,
	       &err);
	assert_contains(err.text, "PGS-220000");
	assert_null(strstr(err.text, "ann"));
	assert_null(strstr(err.text, "Müller"));
	answer(500, "RST-1 not json: 'Müller'", -1, &err);
	assert_null(strstr(err.text, "Müller"));
}

SHOWS(retry_after_is_a_floor)
{
	struct error err;

	assert_int_equal(answer(429, "", 5000, &err), RETRY);
	assert_int_equal(err.not_before.ms, 6000);
}

SHOWS(garbage_of_any_kind_is_an_answer)
{
	struct error err;
	uint32_t seed = 1;

	for (int i = 0; i < 20000; i++) {
		char body[64];
		size_t n = 0;
		for (seed = seed * 1664525u + 1013904223u; n < (seed >> 8) % 60; n++) {
			seed = seed * 1664525u + 1013904223u;
			body[n] = (char)(seed >> 24 | 1);
		}
		body[n] = 0;
		if (i % 3 == 0 && n)
			body[0] = '"';
		enum result r = answer(500 + i % 5, body, -1, &err);
		assert_true(r == RETRY || r == REJECT || r == FATAL);
	}
}

SHOWS(urls_hold_the_key_escaped)
{
	struct campaign c = {.url = "https://x/acme/campaign"};
	struct buffer b = BUFFER(1000);

	campaign_url(&c, "profileAndServicesExt/profile", "a/b c", &b);
	assert_string_equal(b.data,
			    "https://x/acme/campaign/profileAndServicesExt/profile/a%2Fb%20c");
	campaign_url(&c, "profileAndServicesExt/profile", NULL, &b);
	assert_string_equal(b.data, "https://x/acme/campaign/profileAndServicesExt/profile");
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_documented_answer_has_its_meaning),
	    cmocka_unit_test(a_page_is_no_answer_of_campaign_whatever_its_status),
	    cmocka_unit_test(v8_says_less),
	    cmocka_unit_test(what_the_error_repeats_of_a_person_is_hidden),
	    cmocka_unit_test(retry_after_is_a_floor),
	    cmocka_unit_test(garbage_of_any_kind_is_an_answer),
	    cmocka_unit_test(urls_hold_the_key_escaped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
