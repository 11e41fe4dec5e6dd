/* token.c - who is asking: the token endpoint, and the tokens that come back.
 *
 * Facts: "Microsoft identity platform and the OAuth 2.0 client credentials flow", "Microsoft Entra
 * authentication and authorization error codes", "Use OAuth authentication with Microsoft
 * Dataverse".  A token is a signed JWT, so that it outlives a restart of the sandbox as it would
 * outlive one of the product, and cannot be made up.
 *
 * The client ids sandbox, sandbox1 .. sandbox9 are ten application users of one secret, because
 * the limits of limits.c are those of a user.
 */
#include "write.h"

#include <ctype.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define CLIENT "sandbox"
#define SECRET "sandbox"

static char *form_value(const struct request *req, const char *name)
{
	struct request form = {.query = req->body};
	return query_get(&form, name);
}

static int user_of(const char *client)
{
	size_t n = sizeof CLIENT - 1;

	if (strncmp(client, CLIENT, n))
		return -1;
	if (!client[n])
		return 0;
	return client[n] >= '1' && client[n] <= '9' && !client[n + 1] ? client[n] - '0' : -1;
}

static void token_guid(struct dataverse *d, char out[37])
{
	struct rng r = {server_seed(d->server) ^ (uint64_t)++d->tokens << 20 ^ 0x70c3};
	rng_guid(&r, out);
}

/* ---- the token ------------------------------------------------------------------------------------ */

/* base64url without padding, as JWT wants it */
static char *encode(const void *data, size_t len)
{
	gnutls_datum_t in = {(unsigned char *)data, (unsigned)len}, out;

	if (gnutls_base64_encode2(&in, &out) < 0)
		abort();
	char *text = strndup((char *)out.data, out.size);
	gnutls_free(out.data);
	for (char *c = text; *c; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c == '=' ? 0 : *c;
	return text;
}

static char *decode(const char *text, size_t len)
{
	char *padded = malloc(len + 4);
	gnutls_datum_t in, out;

	for (size_t i = 0; i < len; i++)
		padded[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	while (len % 4)
		padded[len++] = '=';
	in = (gnutls_datum_t){(unsigned char *)padded, (unsigned)len};
	bool good = gnutls_base64_decode2(&in, &out) >= 0;
	free(padded);
	if (!good)
		return NULL;
	char *plain = strndup((char *)out.data, out.size);
	gnutls_free(out.data);
	return plain;
}

static char *signature(struct dataverse *d, const char *text, size_t len)
{
	unsigned char mac[32];
	char key[40];

	snprintf(key, sizeof key, "sandbox %llu", (unsigned long long)server_seed(d->server));
	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, strlen(key), text, len, mac) < 0)
		abort();
	return encode(mac, sizeof mac);
}

static char *token_text(struct dataverse *d, const char *client, const char *tenant,
			const char *audience)
{
	static const char head[] = "{\"typ\":\"JWT\",\"alg\":\"HS256\"}";
	cJSON *o = cJSON_CreateObject();
	double now = (double)time(NULL);
	char *text, id[37];

	token_guid(d, id);
	cJSON_AddStringToObject(o, "aud", audience);
	cJSON_AddNumberToObject(o, "iat", now);
	cJSON_AddNumberToObject(o, "nbf", now);
	cJSON_AddNumberToObject(o, "exp", now + (double)d->token_lifetime);
	cJSON_AddStringToObject(o, "appid", client);
	cJSON_AddStringToObject(o, "tid", tenant);
	cJSON_AddStringToObject(o, "uti", id);
	cJSON_AddNumberToObject(o, "epoch", (double)d->token_epoch);
	char *json = cJSON_PrintUnformatted(o), *first = encode(head, sizeof head - 1);
	char *second = encode(json, strlen(json));
	if (asprintf(&text, "%s.%s", first, second) < 0)
		abort();
	char *last = signature(d, text, strlen(text)), *whole;
	if (asprintf(&whole, "%s.%s", text, last) < 0)
		abort();
	free(first);
	free(second);
	free(last);
	free(text);
	free(json);
	cJSON_Delete(o);
	return whole;
}

enum verdict { NONE, INVALID, EXPIRED, GOOD };

/* What the Authorization header is worth; *user is set when it is good. */
static enum verdict judge(struct dataverse *d, const struct request *req, int *user)
{
	const char *header = request_header(req, "Authorization");

	if (!header || strncasecmp(header, "Bearer ", 7))
		return NONE;
	header += 7 + strspn(header + 7, " ");
	const char *dot = strchr(header, '.'), *last = strrchr(header, '.');
	if (!dot || dot == last)
		return INVALID;
	char *signed_ = signature(d, header, (size_t)(last - header));
	bool good = !strcmp(signed_, last + 1);
	free(signed_);
	if (!good)
		return INVALID;
	char *plain = decode(dot + 1, (size_t)(last - dot - 1));
	cJSON *json = plain ? cJSON_Parse(plain) : NULL;
	free(plain);
	const char *client = cJSON_GetStringValue(cJSON_GetObjectItem(json, "appid"));
	double exp = cJSON_GetNumberValue(cJSON_GetObjectItem(json, "exp"));
	double epoch = cJSON_GetNumberValue(cJSON_GetObjectItem(json, "epoch"));
	enum verdict verdict = GOOD;
	if (!client || epoch != (double)d->token_epoch)
		verdict = INVALID;
	else if (!(exp > (double)time(NULL)))
		verdict = EXPIRED;
	else
		*user = user_of(client);
	cJSON_Delete(json);
	return verdict;
}

int token_user(struct dataverse *d, const struct request *req)
{
	int user = -1;
	return judge(d, req, &user) == GOOD ? user : -1;
}

bool token_authorized(struct dataverse *d, const struct request *req, struct reply *rep)
{
	enum verdict verdict = judge(d, req, &d->caller);

	if (verdict == GOOD)
		return true;
	snprintf(rep->route, sizeof rep->route, "unauthorized");
	/* Clients find the tenant and the resource in here, so both stay in every challenge. */
	reply_header(rep, "WWW-Authenticate",
		     "Bearer authorization_uri=%s://%s/%s/oauth2/authorize, resource_id=%s://%s/%s",
		     req->scheme, req->host, d->tenant ? d->tenant : "sandbox", req->scheme,
		     req->host,
		     verdict == EXPIRED
			 ? ", error=invalid_token, error_description=The access token has expired"
		     : verdict == INVALID ? ", error=invalid_token, error_description=Error during "
					    "token validation!"
					  : "");
	reply_text(rep, 401, "%s", "");
	return false;
}

/* ---- the endpoint ---------------------------------------------------------------------------------- */

static void refuse(struct dataverse *d, struct reply *rep, const char *error, int code,
		   const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static void refuse(struct dataverse *d, struct reply *rep, const char *error, int code,
		   const char *fmt, ...)
{
	cJSON *o = cJSON_CreateObject(), *codes = cJSON_CreateArray();
	char text[600], description[1000], trace[37], correlation[37], when[32];
	time_t now = time(NULL);
	struct tm tm;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	token_guid(d, trace);
	token_guid(d, correlation);
	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%SZ", gmtime_r(&now, &tm));
	snprintf(description, sizeof description,
		 "AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s", code, text,
		 trace, correlation, when);
	cJSON_AddStringToObject(o, "error", error);
	cJSON_AddStringToObject(o, "error_description", description);
	cJSON_AddItemToArray(codes, cJSON_CreateNumber(code));
	cJSON_AddItemToObject(o, "error_codes", codes);
	cJSON_AddStringToObject(o, "timestamp", when);
	cJSON_AddStringToObject(o, "trace_id", trace);
	cJSON_AddStringToObject(o, "correlation_id", correlation);
	reply_header(rep, "Content-Type", "application/json; charset=utf-8");
	reply_header(rep, "Cache-Control", "no-store, no-cache");
	reply_json(rep, !strcmp(error, "invalid_client") ? 401 : 400, o);
}

/* HTTP Basic: id and secret, each form-encoded (RFC 6749, 2.3.1). */
static void basic_credentials(const struct request *req, char **id, char **secret)
{
	const char *header = request_header(req, "Authorization");

	if (!header || strncasecmp(header, "Basic ", 6))
		return;
	char *plain = decode(header + 6, strcspn(header + 6, "="));
	char *colon = plain ? strchr(plain, ':') : NULL;
	if (colon) {
		free(*id);
		free(*secret);
		*id = url_decode(plain, (size_t)(colon - plain), true);
		*secret = url_decode(colon + 1, strlen(colon + 1), true);
	}
	free(plain);
}

struct form {
	char *grant, *id, *secret, *scope, *assertion;
	char tenant[100];
};

static void missing(struct dataverse *d, struct reply *rep, const char *name)
{
	refuse(d, rep, "invalid_request", 900144,
	       "The request body must contain the following parameter: '%s'.", name);
}

static bool scope_is_ours(const struct request *req, const char *scope)
{
	char root[300];
	size_t n = (size_t)snprintf(root, sizeof root, "%s://%s", req->scheme, req->host);

	/* A resource with its own slash gives two of them, which Entra accepts. */
	return !strncmp(scope, root, n) &&
	       (!strcmp(scope + n, "/.default") || !strcmp(scope + n, "//.default"));
}

static void grant(struct dataverse *d, const struct form *f, const struct request *req,
		  struct reply *rep)
{
	if (d->tenant && strcasecmp(d->tenant, f->tenant)) {
		refuse(
		    d, rep, "invalid_request", 90002,
		    "Tenant '%s' not found. Check to make sure you have the correct tenant ID and "
		    "are signing into the correct cloud.",
		    f->tenant);
	} else if (!f->grant || !*f->grant) {
		missing(d, rep, "grant_type");
	} else if (strcmp(f->grant, "client_credentials")) {
		refuse(d, rep, "unsupported_grant_type", 70003,
		       "The app requested an unsupported grant type '%.100s'.", f->grant);
	} else if (!f->id || !*f->id) {
		missing(d, rep, "client_id");
	} else if (user_of(f->id) < 0) {
		refuse(d, rep, "unauthorized_client", 700016,
		       "Application with identifier '%.100s' was not found in the directory '%s'. "
		       "This can happen if the application has not been installed by the "
		       "administrator of the tenant or consented to by any user in the tenant. You "
		       "may have sent your authentication request to the wrong tenant.",
		       f->id, f->tenant);
	} else if (f->assertion) {
		api_not_implemented(rep, "client_assertion (certificate credentials)");
	} else if (!f->secret || !*f->secret) {
		refuse(
		    d, rep, "invalid_client", 7000218,
		    "The request body must contain the following parameter: 'client_assertion' or "
		    "'client_secret'.");
	} else if (strcmp(f->secret, SECRET)) {
		refuse(
		    d, rep, "invalid_client", 7000215,
		    "Invalid client secret provided. Ensure the secret being sent in the request "
		    "is the client secret value, not the client secret ID, for a secret added to "
		    "app '%s'.",
		    f->id);
	} else if (!f->scope || !*f->scope) {
		missing(d, rep, "scope");
	} else if (!scope_is_ours(req, f->scope)) {
		refuse(d, rep, "invalid_scope", 70011,
		       "The provided value for the input parameter 'scope' is not valid. The scope "
		       "%.200s is not valid.",
		       f->scope);
	} else {
		char audience[300];
		cJSON *o = cJSON_CreateObject();
		snprintf(audience, sizeof audience, "%s://%s", req->scheme, req->host);
		char *text = token_text(d, f->id, f->tenant, audience);
		cJSON_AddStringToObject(o, "token_type", "Bearer");
		cJSON_AddNumberToObject(o, "expires_in", (double)d->token_lifetime);
		cJSON_AddNumberToObject(o, "ext_expires_in", (double)d->token_lifetime);
		cJSON_AddStringToObject(o, "access_token", text);
		free(text);
		reply_header(rep, "Content-Type", "application/json; charset=utf-8");
		reply_header(rep, "Cache-Control", "no-store, no-cache");
		reply_json(rep, 200, o);
	}
}

void token_endpoint(struct dataverse *d, const char *path, const struct request *req,
		    struct reply *rep)
{
	const char *type = request_header(req, "Content-Type");
	struct form f = {0};

	snprintf(rep->route, sizeof rep->route, "token");
	snprintf(f.tenant, sizeof f.tenant, "%.*s", (int)strcspn(path + 1, "/"), path + 1);
	if (strcmp(req->method, "POST")) {
		refuse(d, rep, "invalid_request", 900561,
		       "The endpoint only accepts POST requests. Received a %s request.",
		       req->method);
		return;
	}
	/* Of any other body Entra sees no parameters at all. */
	if (type && !strncasecmp(type, "application/x-www-form-urlencoded", 33)) {
		f.grant = form_value(req, "grant_type");
		f.id = form_value(req, "client_id");
		f.secret = form_value(req, "client_secret");
		f.scope = form_value(req, "scope");
		f.assertion = form_value(req, "client_assertion");
		basic_credentials(req, &f.id, &f.secret);
	}
	grant(d, &f, req, rep);
	free(f.grant);
	free(f.id);
	free(f.secret);
	free(f.scope);
	free(f.assertion);
}
