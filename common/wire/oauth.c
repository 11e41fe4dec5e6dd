/* oauth.c - see oauth.h. */
#include "oauth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"

enum { TOKEN_RESPONSE_MAX = 64 * 1024, TOKEN_TIMEOUT_MS = 20000 };

/* Codes of RFC 6749 section 5.2 that a restart does not heal. */
static bool is_refusal(const char *code)
{
	static const char *const codes[] = {
	    "invalid_client",	      "unauthorized_client", "invalid_scope", "invalid_grant",
	    "unsupported_grant_type", "invalid_request",     "bad_request",   NULL};
	for (size_t i = 0; code && codes[i]; i++)
		if (!strcmp(code, codes[i]))
			return true;
	return false;
}

static enum result read_answer(struct oauth *o, const struct http_response *res, mono_time now,
			       struct error *err)
{
	cJSON *json = json_parse(res->body.data ? res->body.data : "", res->body.len);
	const char *token = json_string(json, "access_token");
	const char *code = json_string(json, "error");
	int64_t seconds = 0;
	enum result r;

	if (res->status == 200 && token && *token && strlen(token) < 32768 &&
	    !strpbrk(token, "\r\n") && json_int(json, "expires_in", &seconds) && seconds > 0) {
		int64_t early = seconds * 1000 / 5;
		free(o->header);
		o->header = xasprintf("Authorization: Bearer %s", token);
		o->serial++;
		o->expires_at = mono_add(now, seconds * 1000);
		o->renew_at = mono_add(now, seconds * 1000 - (early < 300000 ? early : 300000));
		r = OK;
	} else if ((res->status == 400 || res->status == 401) && is_refusal(code)) {
		r = error_config(err, "token-refused",
				 "%s refuses the credentials with %s; check client_id, "
				 "client_secret and scope",
				 o->token_url, code);
	} else {
		r = error_retry(err, "token", "%s answered %d without a usable token", o->token_url,
				res->status);
		if (res->retry_after_ms > 0)
			err->not_before = mono_add(mono_now(), res->retry_after_ms);
	}
	cJSON_Delete(json);
	return r;
}

enum result oauth_ensure(struct oauth *o, struct http *h, mono_time now, struct error *err)
{
	struct buffer form = BUFFER(64 * 1024);
	struct http_response res;

	if (o->header && now.ms < o->renew_at.ms)
		return OK;
	if (o->header && now.ms < o->expires_at.ms && now.ms < o->not_before.ms)
		return OK;
	if (now.ms < o->not_before.ms) {
		error_retry(err, "token", "waiting to ask %s for a token again", o->token_url);
		err->not_before = o->not_before;
		return RETRY;
	}
	buffer_puts(&form, "grant_type=client_credentials&client_id=");
	http_escape(&form, o->client_id);
	buffer_puts(&form, "&client_secret=");
	http_escape(&form, o->client_secret);
	buffer_puts(&form, "&scope=");
	http_escape(&form, o->scope);
	struct http_request req = {
	    .method = "POST",
	    .url = o->token_url,
	    .headers = {"Content-Type: application/x-www-form-urlencoded",
			"Accept: application/json"},
	    .body = form.data,
	    .body_len = form.len,
	    .max_response_bytes = TOKEN_RESPONSE_MAX,
	    .timeout_ms = TOKEN_TIMEOUT_MS,
	};
	enum result r = http_call(h, &req, &res, err);
	if (r == OK)
		r = read_answer(o, &res, now, err);
	else
		error_prefix(err, "asking %s for a token", o->token_url);
	if (r == RETRY) {
		o->not_before = mono_add(now, 1000);
		if (err->not_before.ms > o->not_before.ms)
			o->not_before = err->not_before;
		err->not_before = o->not_before;
		if (o->header && now.ms < o->expires_at.ms)
			r = OK;
	}
	http_response_free(&res);
	buffer_free(&form);
	return r;
}

void oauth_forget(struct oauth *o, unsigned serial)
{
	if (serial != o->serial)
		return;
	free(o->header);
	o->header = NULL;
}

void oauth_free(struct oauth *o)
{
	oauth_forget(o, o->serial);
}
