/* campaign.c - see campaign.h. */
#include "campaign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"

enum { METADATA_TIMEOUT_MS = 60000 };

void campaign_init(struct campaign *c, struct http *h, const char *url, const char *token_url,
		   const char *client_id, const char *client_secret, const char *scope)
{
	*c = (struct campaign){.http = h,
			       .url = url,
			       .oauth = {.token_url = token_url,
					 .client_id = client_id,
					 .client_secret = client_secret,
					 .scope = scope},
			       .api_key = xasprintf("X-Api-Key: %s", client_id)};
}

void campaign_free(struct campaign *c)
{
	oauth_free(&c->oauth);
	free(c->api_key);
}

void campaign_url(const struct campaign *c, const char *path, const char *key, struct buffer *out)
{
	buffer_reset(out);
	buffer_printf(out, "%s/%s", c->url, path);
	if (key) {
		buffer_puts(out, "/");
		http_escape(out, key);
	}
}

size_t campaign_headers(const struct campaign *c, const char *headers[HTTP_HEADERS_MAX])
{
	size_t n = 0;
	headers[n++] = c->oauth.header;
	headers[n++] = c->api_key;
	headers[n++] = "Accept: application/json";
	headers[n++] = "Content-Type: application/json;charset=utf-8";
	headers[n++] = "Cache-Control: no-cache";
	return n;
}

/* ---- answers ---------------------------------------------------------------------------------- */

/* Texts of Campaign Standard, first match wins. Sources: "REST API limitations" of the migration
 * notes, column ACS, and the troubleshooting page. */
static const struct {
	const char *text;
	enum result result;
	const char *reason;
} texts[] = {
    {"Unable to find document", REJECT, "not-found"},
    {"duplicate key value", REJECT, "duplicate-key"},
    {"already exists", REJECT, "duplicate-key"},
    {"Unable to decrypt PKey", REJECT, "bad-pkey"}, /* v8 */
    {"XTK-170036", FATAL, "no-identification-key"},
    {"is unknown.", FATAL, "resource"},
    {"Unsupported endpoint", FATAL, "resource"}, /* v8 */
    {"still referenced", RETRY, "referenced"},
    {"Cannot update key", REJECT, "key-mismatch"},
    {"read-only", REJECT, "read-only"},
    {"is not valid for", REJECT, "invalid-value"},
    {"is not a valid constant", REJECT, "invalid-value"},
    {"RST-", REJECT, "refused"},
    {"XTK-", REJECT, "refused"},
    {"PGS-", REJECT, "refused"},
    {"An error has occurred - please contact", RETRY, CAMPAIGN_UNEXPLAINED}, /* v8 */
};

static enum result by_text(int status, const char *body, const char *message, struct error *err)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (!strstr(body, texts[i].text))
			continue;
		/* What quotes a value that says so is of the record. */
		if (!strcmp(texts[i].reason, "resource") && !strstr(message, texts[i].text))
			continue;
		if (texts[i].result == RETRY)
			return error_retry(err, texts[i].reason, "campaign answers %d: %s", status,
					   message);
		if (texts[i].result == FATAL)
			return error_config(err, texts[i].reason, "campaign answers %d: %s; %s",
					    status, message,
					    !strcmp(texts[i].reason, "resource")
						? "is the resource published in the API?"
						: "an administrator must make the key attribute an "
						  "identification key of the resource");
		return error_reject(err, texts[i].reason, "campaign answers %d: %s", status,
				    message);
	}
	return OK;
}

/* What the gateway in front of the application says: Adobe, "troubleshooting" and "setting up API
 * access". */
static const char *const gateway_texts[] = {
    "Oauth token is not valid", "Profile is not valid",
    "Oops. Something went wrong. Check your URI and try again.", NULL};

static const char *gateway_text(const char *message)
{
	for (size_t i = 0; message && gateway_texts[i]; i++)
		if (!strcmp(message, gateway_texts[i]))
			return gateway_texts[i];
	return NULL;
}

static bool is_gateway(const char *body, size_t len)
{
	cJSON *json = json_parse(body, len);
	bool gateway = gateway_text(json_string(json, "message")) != NULL;
	cJSON_Delete(json);
	return gateway;
}

static bool is_known(const char *text)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (strstr(text, texts[i].text))
			return true;
	return false;
}

/* Only texts that we know may be shown, and without what they quote: anything else may hold the
 * values of a record in a form that nobody foresaw. */
static void show(const char *body, size_t len, char *out, size_t size)
{
	cJSON *json = json_parse(body, len);
	const char *said = cJSON_IsString(json) ? json->valuestring : json ? "" : body;
	const char *code = json_string(json, "error_code");
	const char *gateway = gateway_text(json_string(json, "message"));

	*out = 0;
	if (gateway)
		snprintf(out, size, "%s", gateway);
	else if (code && strlen(code) < 12 && !code[strspn(code, "0123456789")])
		snprintf(out, size, "error code %s", code);
	else if (is_known(said))
		redact(out, size, said, strnlen(said, 1000));
	else
		snprintf(out, size, "a text of %zu bytes that is none of the known ones", len);
	cJSON_Delete(json);
}

/* A page of something between us and Campaign is no answer of it. */
static bool is_page(const struct http_response *res)
{
	const char *body = res->body.data ? res->body.data : "";
	return res->body.len && body[strspn(body, " \t\r\n")] == '<';
}

enum result campaign_answer(const struct http_response *res, mono_time now, struct error *err)
{
	const char *body = res->body.data ? res->body.data : "";
	char message[300], reason[48];

	if (res->status >= 200 && res->status < 300 && !is_page(res))
		return OK;
	if (!res->status && res->body.overflow)
		return error_retry(err, CAMPAIGN_UNKNOWN, "campaign: %s", res->failure);
	if (!res->status)
		return error_retry(err, "no-response", "campaign: %s", res->failure);
	show(body, res->body.len, message, sizeof message);
	snprintf(reason, sizeof reason, "http-%d", res->status);
	switch (res->status) {
	case 500:
		if (!is_gateway(body, res->body.len))
			break;
		/* fall through */
	case 401:
	case 403:
	case 408:
	case 429:
	case 502:
	case 503:
	case 504:
		error_retry(err, reason, "campaign answers %d: %s", res->status, message);
		if (res->retry_after_ms >= 0)
			err->not_before = mono_add(now, res->retry_after_ms);
		return RETRY;
	default:
		break;
	}
	enum result r = is_page(res) ? OK : by_text(res->status, body, message, err);
	if (r != OK)
		return r;
	/* Too large a body, address or header is this record's own, whoever says so.  Any other 4xx
	 * may be a proxy's that lets nobody through: none is documented. */
	if (res->status == 413 || res->status == 414 || res->status == 431)
		return error_reject(err, reason, "campaign answers %d: %s", res->status, message);
	return error_retry(err, CAMPAIGN_UNKNOWN, "campaign answers %d: %s", res->status, message);
}

/* ---- metadata --------------------------------------------------------------------------------- */

static enum result refused_at_start(struct error *err)
{
	struct error copy = *err;
	return error_config(
	    err, copy.reason,
	    "%s; check client_id (it is the API key, too), its product profile, and "
	    "that the resource is published",
	    copy.text);
}

static enum result get(struct campaign *c, const char *path, const char *key, mono_time now,
		       cJSON **json, int *status, struct error *err)
{
	struct buffer url = BUFFER(8192);
	struct http_response res = {0};

	*json = NULL;
	*status = 0;
	enum result r = oauth_ensure(&c->oauth, c->http, now, err);
	if (r != OK)
		return r;
	campaign_url(c, path, key, &url);
	struct http_request req = {.method = "GET",
				   .url = url.data,
				   .max_response_bytes = CAMPAIGN_METADATA_MAX_BYTES,
				   .timeout_ms = METADATA_TIMEOUT_MS};
	campaign_headers(c, req.headers);
	r = http_call(c->http, &req, &res, err);
	if (r == OK) {
		*status = res.status;
		r = campaign_answer(&res, now, err);
		/* At a start nothing is gained by asking again. */
		bool unknown = r == RETRY && !strcmp(err->reason, CAMPAIGN_UNKNOWN);
		if ((r == RETRY && res.status == 403) ||
		    (unknown && res.status >= 400 && res.status < 500))
			r = refused_at_start(err);
	} else {
		error_prefix(err, "campaign at %s", c->url);
	}
	if (r == OK) {
		*json = json_parse(res.body.data ? res.body.data : "", res.body.len);
		if (!cJSON_IsObject(*json)) {
			cJSON_Delete(*json);
			*json = NULL;
			r = error_retry(err, "not-json",
					"campaign answers %d without a JSON object", res.status);
		}
	}
	http_response_free(&res);
	buffer_free(&url);
	return r;
}

enum result campaign_record(struct campaign *c, const char *path, const char *key, mono_time now,
			    cJSON **json, struct error *err)
{
	int status;
	enum result r = get(c, path, key, now, json, &status, err);

	return r == REJECT && !strcmp(err->reason, "not-found") ? OK : r;
}

/* Fields of a resource or, nested, of an item like location.  Collections are left out: nothing is
 * mapped to them. */
static void read_fields(struct resource *r, const char *prefix, const cJSON *content)
{
	const cJSON *f, *v;

	cJSON_ArrayForEach(f, content)
	{
		const char *type = json_string(f, "type"), *raw = json_string(f, "resType");
		const cJSON *inner = cJSON_GetObjectItemCaseSensitive(f, "content");
		_cleanup_(freep) char *path =
		    xasprintf("%s%s%s", prefix, *prefix ? "." : "", f->string);
		if (cJSON_IsObject(inner)) {
			read_fields(r, path, inner);
			continue;
		}
		if (!type || !strcmp(type, "collection"))
			continue;
		/* "number" is told apart by the raw type, long or double. */
		bool number = !strcmp(type, "number") && raw;
		const cJSON *values = cJSON_GetObjectItemCaseSensitive(f, "values");
		struct attribute *a = resource_add(r, path,
						   values   ? "enumeration"
						   : number ? raw
							    : type);
		json_int(f, "length", &a->length);
		a->read_only = json_is_true(f, "readOnly");
		const char *target = json_string(f, "resTarget");
		a->target = target && a->type == ATTRIBUTE_LINK ? xstrdup(target) : NULL;
		cJSON_ArrayForEach(v, values)
		{
			const char *name = json_string(v, "name");
			name = name ? name : cJSON_GetStringValue(v);
			name = name ? name : v->string;
			if (name)
				attribute_add_value(a, name);
		}
	}
}

enum result campaign_resource(struct campaign *c, const char *name, mono_time now,
			      struct resource **out, struct error *err)
{
	/* A resource is under one of the two, never both. */
	static const char *const roots[] = {"profileAndServicesExt", "customResources"};
	enum result r = OK;

	for (size_t i = 0; i < 2; i++) {
		_cleanup_(freep) char *path = xasprintf("%s/resourceType/%s", roots[i], name);
		_cleanup_(freep) char *api = xasprintf("%s/%s", roots[i], name);
		cJSON *json;
		int status;
		r = get(c, path, NULL, now, &json, &status, err);
		if (r == OK) {
			struct resource *res = resource_new(name, api);
			read_fields(res, "", cJSON_GetObjectItemCaseSensitive(json, "content"));
			resource_sort(res);
			cJSON_Delete(json);
			*out = res;
			return OK;
		}
		if (status != 404)
			return r;
	}
	return error_config(err, "resource",
			    "campaign has no resource %s; is it published in the API?", name);
}
