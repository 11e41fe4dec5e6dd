#include "oauth.h"

#include "client.h"

#define TOKEN(text, life)                                                                          \
	ANSWER("200 OK", "", "{\"access_token\":\"" text "\",\"expires_in\":" life "}")

static struct oauth of(const struct server *s)
{
	return (struct oauth){.token_url = s->url,
			      .client_id = "me",
			      .client_secret = "s3cret&x",
			      .scope = "scope/.default"};
}

SHOWS(a_token_is_kept_until_shortly_before_its_end)
{
	mono_time now = {1000000};

	server_start(&server,
		     (const char *const[]){TOKEN("one", "100"), TOKEN("two", "100"), NULL});
	struct oauth o = of(&server);
	assert_int_equal(oauth_ensure(&o, h, now, &err), OK);
	assert_string_equal(o.header, "Authorization: Bearer one");
	assert_contains(server.requests[0], "grant_type=client_credentials");
	assert_contains(server.requests[0], "client_secret=s3cret%26x");
	assert_contains(server.requests[0], "scope=scope%2F.default");
	assert_int_equal(oauth_ensure(&o, h, mono_add(now, 79000), &err), OK);
	assert_int_equal(server.count, 1);
	assert_int_equal(oauth_ensure(&o, h, mono_add(now, 81000), &err), OK);
	assert_string_equal(o.header, "Authorization: Bearer two");
	oauth_free(&o);
	server_stop(&server);
}

SHOWS(a_forgotten_token_is_asked_for_again)
{
	mono_time now = {1000};

	server_start(&server,
		     (const char *const[]){TOKEN("one", "3599"), TOKEN("two", "3599"), NULL});
	struct oauth o = of(&server);
	assert_int_equal(oauth_ensure(&o, h, now, &err), OK);
	oauth_forget(&o, o.serial - 1); /* a late answer to an older one */
	assert_non_null(o.header);
	oauth_forget(&o, o.serial);
	assert_int_equal(oauth_ensure(&o, h, now, &err), OK);
	assert_string_equal(o.header, "Authorization: Bearer two");
	oauth_free(&o);
	server_stop(&server);
}

SHOWS(refused_credentials_are_fatal_and_not_shown)
{
	static const char *const codes[] = {"invalid_client", "unauthorized_client",
					    "invalid_scope"};

	for (int i = 0; i < 3; i++) {
		char answer[300];
		snprintf(
		    answer, sizeof answer,
		    ANSWER("400 Bad", "", "{\"error\":\"%s\",\"error_description\":\"s3cret&x\"}"),
		    codes[i]);
		server_start(&server, (const char *const[]){answer, NULL});
		struct oauth o = of(&server);
		assert_int_equal(oauth_ensure(&o, h, (mono_time){1}, &err), FATAL);
		assert_int_equal(err.exit_code, EXIT_PERMANENT);
		assert_contains(err.text, codes[i]);
		assert_null(strstr(err.text, "s3cret"));
		oauth_free(&o);
		server_stop(&server);
	}
}

SHOWS(nonsense_is_asked_for_again_later)
{
	static const char *const nonsense[] = {
	    ANSWER("200 OK", "", "not json"),
	    ANSWER("200 OK", "", "{\"access_token\":5,\"expires_in\":10}"),
	    ANSWER("200 OK", "", "{\"access_token\":\"a\\r\\nX: y\",\"expires_in\":10}"),
	    ANSWER("200 OK", "", "{\"access_token\":\"a\",\"expires_in\":-1}"),
	    ANSWER("200 OK", "", "{\"access_token\":\"\",\"expires_in\":10}"),
	    ANSWER("503 No", "Retry-After: 9\r\n", ""),
	    ""};
	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
		server_start(&server, (const char *const[]){nonsense[i], NULL});
		struct oauth o = of(&server);
		assert_int_equal(oauth_ensure(&o, h, (mono_time){1000}, &err), RETRY);
		assert_null(o.header);
		oauth_free(&o);
		server_stop(&server);
	}
}

SHOWS(a_token_that_still_lives_survives_a_failed_renewal)
{
	mono_time now = {1000000};

	server_start(&server, (const char *const[]){TOKEN("one", "100"), "", NULL});
	struct oauth o = of(&server);
	assert_int_equal(oauth_ensure(&o, h, now, &err), OK);
	assert_int_equal(oauth_ensure(&o, h, mono_add(now, 85000), &err), OK);
	assert_string_equal(o.header, "Authorization: Bearer one");
	oauth_free(&o);
	server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_token_is_kept_until_shortly_before_its_end),
	    cmocka_unit_test(a_forgotten_token_is_asked_for_again),
	    cmocka_unit_test(refused_credentials_are_fatal_and_not_shown),
	    cmocka_unit_test(nonsense_is_asked_for_again_later),
	    cmocka_unit_test(a_token_that_still_lives_survives_a_failed_renewal),
	};
	return cmocka_run_group_tests(tests, client_make, client_unmake);
}
