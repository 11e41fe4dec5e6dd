/* registry.c - see registry.h. */
#include "registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"

#define COMPATIBILITY "BACKWARD_TRANSITIVE"

enum {
	REGISTRY_RESPONSE_MAX = 4 << 20,
	REGISTRY_TIMEOUT_MS = 15000,
	CONFLICTS_MAX = 5, /* of processes that set up a subject at the same moment */
};

struct registry {
	struct http *http;
	char *url;
	char *user, *password; /* NULL when the registry wants none */
};

struct registry *registry_new(struct http *h, const char *url, const char *user,
			      const char *password)
{
	struct registry *r = xcalloc(1, sizeof *r);
	r->http = h;
	r->url = xstrdup(url);
	r->user = user ? xstrdup(user) : NULL;
	r->password = password ? xstrdup(password) : NULL;
	return r;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	free(r->url);
	free(r->user);
	free(r->password);
	free(r);
}

/* One request; path is printf'ed with one argument, percent-encoded.  OK for any answer below 500
 * that is JSON; the caller deletes *json. */
static enum result call(struct registry *r, const char *method, const char *before,
			const char *subject, const char *after, cJSON *body, int *status,
			cJSON **json, struct error *err)
{
	struct buffer url = BUFFER(8192);
	struct http_response res;

	*json = NULL;
	buffer_printf(&url, "%s%s", r->url, before);
	http_escape(&url, subject);
	buffer_puts(&url, after);
	_cleanup_(freep) char *text = body ? cJSON_PrintUnformatted(body) : NULL;
	cJSON_Delete(body);
	struct http_request req = {
	    .method = method,
	    .url = url.data,
	    .headers = {"Accept: application/vnd.schemaregistry.v1+json, application/json",
			"Content-Type: application/vnd.schemaregistry.v1+json"},
	    .user = r->user,
	    .password = r->password,
	    .body = text,
	    .body_len = text ? strlen(text) : 0,
	    .max_response_bytes = REGISTRY_RESPONSE_MAX,
	    .timeout_ms = REGISTRY_TIMEOUT_MS,
	};
	enum result result = http_call(r->http, &req, &res, err);
	if (result == OK) {
		*status = res.status;
		*json = json_parse(res.body.data ? res.body.data : "", res.body.len);
		if (res.status == 401 || res.status == 403)
			result = error_config(err, "registry-refused",
					      "the schema registry at %s answers %d; check user "
					      "and password",
					      r->url, res.status);
		else if (res.status >= 500 || res.status == 429 || !*json)
			result =
			    error_retry(err, "registry", "the schema registry at %s answers %d%s",
					r->url, res.status, *json ? "" : " without JSON");
	} else {
		error_prefix(err, "the schema registry at %s", r->url);
	}
	if (result != OK) {
		cJSON_Delete(*json);
		*json = NULL;
	}
	http_response_free(&res);
	buffer_free(&url);
	return result;
}

static cJSON *schema_body(const char *schema)
{
	cJSON *body = cJSON_CreateObject();
	cJSON_AddStringToObject(body, "schema", schema);
	return body;
}

static enum result unexpected(struct registry *r, int status, const cJSON *json, struct error *err)
{
	const char *message = json_string(json, "message");
	return error_config(err, "registry", "the schema registry at %s answers %d: %s", r->url,
			    status, message ? message : "?");
}

enum result registry_lookup(struct registry *r, const char *subject, const char *schema,
			    int32_t *id, struct error *err)
{
	cJSON *json;
	int status;
	int64_t n;
	enum result result =
	    call(r, "POST", "/subjects/", subject, "", schema_body(schema), &status, &json, err);

	if (result != OK)
		return result;
	if (status == 404)
		result = error_reject(err, "not-registered", "not registered under %s", subject);
	else if (status != 200 || !json_int(json, "id", &n) || n < 0 || n > INT32_MAX)
		result = unexpected(r, status, json, err);
	else
		*id = (int32_t)n;
	cJSON_Delete(json);
	return result;
}

enum result registry_latest(struct registry *r, const char *subject, char **schema,
			    struct error *err)
{
	cJSON *json;
	int status;
	enum result result =
	    call(r, "GET", "/subjects/", subject, "/versions/latest", NULL, &status, &json, err);
	const char *text = result == OK ? json_string(json, "schema") : NULL;

	*schema = NULL;
	if (result != OK)
		return result;
	if (status == 200 && text)
		*schema = xstrdup(text);
	else if (status != 404)
		result = unexpected(r, status, json, err);
	cJSON_Delete(json);
	return result;
}

/* Per subject, because the global level may be NONE.  Of processes that do this at the same moment
 * all but one get 409; for them it is there at the next look. */
static enum result set_compatibility(struct registry *r, const char *subject, struct error *err)
{
	cJSON *json;
	int status;

	for (int attempt = 0;; attempt++) {
		cJSON *config = cJSON_CreateObject();
		cJSON_AddStringToObject(config, "compatibility", COMPATIBILITY);
		enum result result =
		    call(r, "PUT", "/config/", subject, "", config, &status, &json, err);
		if (result != OK)
			return result;
		if (status != 200 && (status != 409 || attempt == CONFLICTS_MAX))
			result = unexpected(r, status, json, err);
		cJSON_Delete(json);
		if (result != OK || status == 200)
			return result;
		result = call(r, "GET", "/config/", subject, "", NULL, &status, &json, err);
		if (result != OK)
			return result;
		const char *level = status == 200 ? json_string(json, "compatibilityLevel") : NULL;
		bool set = level && !strcmp(level, COMPATIBILITY);
		cJSON_Delete(json);
		if (set)
			return OK;
	}
}

enum result registry_add(struct registry *r, const char *subject, const char *schema, int32_t *id,
			 struct error *err)
{
	cJSON *json;
	int status;
	int64_t n;
	enum result result = set_compatibility(r, subject, err);

	if (result != OK)
		return result;
	result = call(r, "POST", "/subjects/", subject, "/versions", schema_body(schema), &status,
		      &json, err);
	if (result != OK)
		return result;
	if (status == 200 && json_int(json, "id", &n) && n >= 0 && n <= INT32_MAX) {
		*id = (int32_t)n;
	} else if (status == 409) {
		struct error ignored;
		const char *message = json_string(json, "message");
		if (registry_lookup(r, subject, schema, id, &ignored) != OK)
			result = error_config(err, "incompatible-schema",
					      "%s: the registry refuses the new schema as "
					      "incompatible: %s",
					      subject, message ? message : "?");
	} else {
		result = unexpected(r, status, json, err);
	}
	cJSON_Delete(json);
	return result;
}

enum result registry_schema(struct registry *r, int32_t id, char **schema, struct error *err)
{
	char number[16];
	cJSON *json;
	int status;

	snprintf(number, sizeof number, "%d", id);
	enum result result = call(r, "GET", "/schemas/ids/", number, "", NULL, &status, &json, err);
	const char *text = result == OK ? json_string(json, "schema") : NULL;
	if (result != OK)
		return result;
	if (status == 200 && text)
		*schema = xstrdup(text);
	else if (status == 404)
		result = error_reject(err, "unknown-schema", "the registry has no schema %d", id);
	else
		result = unexpected(r, status, json, err);
	cJSON_Delete(json);
	return result;
}
