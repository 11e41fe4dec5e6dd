/* sandbox-dataverse - the Dataverse Web API, as far as Tideway and its tests use it, on loopback.
 *
 * What it does and what it refuses is listed in dataverse/COVERAGE.md.  The rule: 501 with the
 * name of what is not implemented, 400 to an unknown property, never 200 to something ignored.
 */
#include "dataverse/key.h"

#include <ctype.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define API "/api/data/v9.2"

/* ---- helpers of the API --------------------------------------------------------------------------- */

void api_headers(struct reply *rep)
{
	reply_header(rep, "OData-Version", "4.0");
	reply_header(rep, "Content-Type", "application/json; odata.metadata=minimal");
}

void api_error(struct reply *rep, int status, const char *code, const char *fmt, ...)
{
	cJSON *o = cJSON_CreateObject(), *e = cJSON_AddObjectToObject(o, "error");
	char message[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	cJSON_AddStringToObject(e, "code", code);
	cJSON_AddStringToObject(e, "message", message);
	api_headers(rep);
	reply_json(rep, status, o);
}

void api_not_implemented(struct reply *rep, const char *what)
{
	api_error(rep, 501, E_UNIMPLEMENTED, "This sandbox does not implement %s.", what);
}

void api_root(const struct request *req, char *out, size_t size)
{
	snprintf(out, size, "%s://%s" API, req->scheme, req->host);
}

bool api_prefers(const struct request *req, const char *name, char *value, size_t size)
{
	const char *s = request_header(req, "Prefer");
	size_t n = strlen(name);

	while (s && *s) {
		s += strspn(s, " ,;");
		const char *end = s;
		for (bool quoted = false; *end && (quoted || (*end != ',' && *end != ';')); end++)
			quoted ^= *end == '"';
		if (!strncasecmp(s, name, n) && (s + n == end || s[n] == '=')) {
			const char *v = s + n == end ? end : s + n + 1;
			size_t len = (size_t)(end - v);
			if (len && *v == '"')
				v++, len -= len > 1 ? 2 : 1;
			if (value)
				snprintf(value, size, "%.*s", (int)len, v);
			return true;
		}
		s = end;
	}
	return false;
}

/* ---- tokens: "Microsoft identity platform and the OAuth 2.0 client credentials flow" --------------- */

static char *form_value(const struct request *req, const char *name)
{
	struct request form = {.query = req->body};
	return query_get(&form, name);
}

static void token_error(struct reply *rep, const char *error, int code, const char *text)
{
	cJSON *o = cJSON_CreateObject(), *codes = cJSON_CreateArray();
	char description[300];

	snprintf(description, sizeof description,
		 "AADSTS%d: %s\r\nTrace ID: 00000000-0000-4000-8000-000000000000", code, text);
	cJSON_AddStringToObject(o, "error", error);
	cJSON_AddStringToObject(o, "error_description", description);
	cJSON_AddItemToArray(codes, cJSON_CreateNumber(code));
	cJSON_AddItemToObject(o, "error_codes", codes);
	cJSON_AddStringToObject(o, "timestamp", "2026-01-01 00:00:00Z");
	cJSON_AddStringToObject(o, "trace_id", "00000000-0000-4000-8000-000000000000");
	cJSON_AddStringToObject(o, "correlation_id", "00000000-0000-4000-8000-000000000000");
	reply_header(rep, "Content-Type", "application/json; charset=utf-8");
	reply_json(rep, !strcmp(error, "invalid_client") ? 401 : 400, o);
}

static void token(struct dataverse *d, const struct request *req, struct reply *rep)
{
	char *grant = form_value(req, "grant_type"), *id = form_value(req, "client_id");
	char *secret = form_value(req, "client_secret"), *scope = form_value(req, "scope");
	char want[500];

	snprintf(rep->route, sizeof rep->route, "token");
	snprintf(want, sizeof want, "%s://%s/.default", req->scheme, req->host);
	if (strcmp(req->method, "POST"))
		reply_text(rep, 405, "%s", "");
	else if (!grant || strcmp(grant, "client_credentials"))
		token_error(rep, "unsupported_grant_type", 70003,
			    "The app requested an unsupported grant type.");
	else if (!id || !secret || strcmp(id, "sandbox"))
		token_error(rep, "unauthorized_client", 700016,
			    "Application was not found in the directory.");
	else if (strcmp(secret, "sandbox"))
		token_error(rep, "invalid_client", 7000215, "Invalid client secret provided.");
	else if (!scope || strcmp(scope, want))
		token_error(rep, "invalid_scope", 70011,
			    "The provided value for the input parameter 'scope' is not valid.");
	else {
		cJSON *o = cJSON_CreateObject();
		char text[100];
		snprintf(text, sizeof text, "eyJ.sandbox.%lld.%ld.%lld", (long long)time(NULL),
			 ++d->tokens, (long long)d->token_epoch);
		cJSON_AddStringToObject(o, "token_type", "Bearer");
		cJSON_AddNumberToObject(o, "expires_in", (double)d->token_lifetime);
		cJSON_AddStringToObject(o, "access_token", text);
		reply_header(rep, "Content-Type", "application/json; charset=utf-8");
		reply_json(rep, 200, o);
	}
	free(grant);
	free(id);
	free(secret);
	free(scope);
}

static bool authorized(struct dataverse *d, const struct request *req, struct reply *rep)
{
	const char *header = request_header(req, "Authorization");
	long long issued, epoch;
	long serial;

	if (header &&
	    sscanf(header, "Bearer eyJ.sandbox.%lld.%ld.%lld", &issued, &serial, &epoch) == 3 &&
	    epoch == d->token_epoch && time(NULL) < issued + d->token_lifetime)
		return true;
	snprintf(rep->route, sizeof rep->route, "unauthorized");
	reply_header(
	    rep, "WWW-Authenticate",
	    "Bearer authorization_uri=%s://%s/sandbox/oauth2/authorize, resource_id=%s://%s/",
	    req->scheme, req->host, req->scheme, req->host);
	reply_text(rep, 401, "%s", "");
	return false;
}

/* ---- routes ---------------------------------------------------------------------------------------- */

static void whoami(struct dataverse *d, const struct request *req, struct reply *rep)
{
	cJSON *o = cJSON_CreateObject();
	char root[400], context[500];

	api_root(req, root, sizeof root);
	snprintf(context, sizeof context, "%s/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse",
		 root);
	cJSON_AddStringToObject(o, "@odata.context", context);
	cJSON_AddStringToObject(o, "BusinessUnitId", d->business_unit);
	cJSON_AddStringToObject(o, "UserId", d->user);
	cJSON_AddStringToObject(o, "OrganizationId", d->organization);
	snprintf(rep->route, sizeof rep->route, "WhoAmI");
	api_headers(rep);
	reply_header(rep, "x-ms-dop-hint", "4");
	reply_json(rep, 200, o);
}

static void service_document(struct dataverse *d, const struct request *req, struct reply *rep)
{
	cJSON *o = cJSON_CreateObject(), *list;
	char root[400], context[500];

	api_root(req, root, sizeof root);
	snprintf(context, sizeof context, "%s/$metadata", root);
	cJSON_AddStringToObject(o, "@odata.context", context);
	list = cJSON_AddArrayToObject(o, "value");
	for (int i = 0; i < d->store.count; i++) {
		cJSON *e = cJSON_CreateObject();
		cJSON_AddStringToObject(e, "name", d->store.tables[i].set);
		cJSON_AddStringToObject(e, "kind", "EntitySet");
		cJSON_AddStringToObject(e, "url", d->store.tables[i].set);
		cJSON_AddItemToArray(list, e);
	}
	snprintf(rep->route, sizeof rep->route, "service document");
	api_headers(rep);
	reply_json(rep, 200, o);
}

static void on_set(struct dataverse *d, struct table *t, const char *rest,
		   const struct request *req, struct reply *rep)
{
	bool get = !strcmp(req->method, "GET"), post = !strcmp(req->method, "POST");

	if (!*rest && get) {
		api_read_collection(d, t, req, rep);
	} else if (!*rest && post) {
		api_create(d, t, req, rep);
	} else if (!strcmp(rest, "/$count") && get) {
		api_read_count(d, t, req, rep);
	} else if (!strcmp(rest, "/Microsoft.Dynamics.CRM.UpsertMultiple") && post) {
		snprintf(rep->route, sizeof rep->route, "%s UpsertMultiple", t->set);
		api_multiple(d, t, true, req, rep);
	} else if (!strcmp(rest, "/Microsoft.Dynamics.CRM.CreateMultiple") && post) {
		snprintf(rep->route, sizeof rep->route, "%s CreateMultiple", t->set);
		api_multiple(d, t, false, req, rep);
	} else if (!*rest) {
		api_error(rep, 405, E_QUERY,
			  "The requested resource does not support http method '%s'.", req->method);
	} else {
		api_not_implemented(rep, rest);
	}
}

static void on_row(struct dataverse *d, struct table *t, const char *key, const struct request *req,
		   struct reply *rep)
{
	size_t len = key_length(key);
	struct key k;

	if (!key_parse(d, t, key, len, true, &k, rep))
		return;
	if (!strcmp(req->method, "GET")) {
		if (!key_find(d, t, &k))
			key_absent(t, &k, rep);
		else if (key[len + 1] == '/')
			api_read_behind(d, t, k.id, key + len + 1, req, rep);
		else if (key[len + 1])
			api_error(rep, 400, E_QUERY, "Bad Request - Error in query syntax.");
		else
			api_read_row(d, t, k.id, req, rep);
	} else if (key[len + 1]) {
		api_not_implemented(rep, key + len + 1);
	} else if (!k.primary) {
		api_not_implemented(rep, "writing by an alternate key");
	} else if (!strcmp(req->method, "PATCH")) {
		api_patch(d, t, k.id, req, rep);
	} else if (!strcmp(req->method, "DELETE")) {
		api_delete(d, t, k.id, req, rep);
	} else {
		api_error(rep, 405, E_QUERY,
			  "The requested resource does not support http method '%s'.", req->method);
	}
	key_free(&k);
}

static void api(struct dataverse *d, const char *rest, const struct request *req, struct reply *rep)
{
	size_t n = strcspn(rest, "(/");

	if (!authorized(d, req, rep))
		return;
	if (!*rest && !strcmp(req->method, "GET")) {
		service_document(d, req, rep);
		return;
	}
	if (!strcmp(rest, "WhoAmI") || !strcmp(rest, "WhoAmI()")) {
		whoami(d, req, rep);
		return;
	}
	if (n == 17 && !strncmp(rest, "EntityDefinitions", 17) && !strcmp(req->method, "GET")) {
		api_definitions(d, rest + 17, req, rep);
		return;
	}
	if (*rest == '$') {
		api_not_implemented(rep, rest);
		return;
	}
	struct table *t = store_set(&d->store, rest, n);
	if (!t) {
		api_error(rep, 404, E_QUERY, "Resource not found for the segment '%.*s'.",
			  (int)(n < 100 ? n : 100), rest);
		return;
	}
	snprintf(rep->route, sizeof rep->route, "%s", t->set);
	if (rest[n] == '(')
		on_row(d, t, rest + n + 1, req, rep);
	else
		on_set(d, t, rest + n, req, rep);
}

static void handle(void *state, const struct request *req, struct reply *rep)
{
	struct dataverse *d = state;
	char *path = url_decode(req->path, strlen(req->path), false);
	size_t n = path ? strlen(path) : 0;

	if (!path) {
		reply_text(rep, 400, "%s", "malformed escape in the path");
	} else if (!strcmp(path, "/_sandbox/expire-delta-tokens") && !strcmp(req->method, "POST")) {
		d->store.expired = d->store.version++; /* tokens of later reads are above it */
		rep->status = 204;
	} else if (!strcmp(path, "/_sandbox/revoke-tokens") && !strcmp(req->method, "POST")) {
		d->token_epoch++;
		rep->status = 204;
	} else if (n > 18 && !strcmp(path + n - 18, "/oauth2/v2.0/token")) {
		token(d, req, rep);
	} else if (!strncmp(path, API "/", sizeof API) || !strcmp(path, API)) {
		api(d, path[sizeof API - 1] ? path + sizeof API : "", req, rep);
	} else {
		reply_text(rep, 404, "%s", "");
	}
	free(path);
}

/* ---- the product ------------------------------------------------------------------------------------ */

static bool option(void *state, const char *name, const char *value, char *why, size_t size)
{
	struct dataverse *d = state;

	if (!strcmp(name, "tables")) {
		d->tables_dir = value;
	} else if (!strcmp(name, "organization")) {
		if (!is_guid(value)) {
			snprintf(why, size, "--organization wants a GUID");
			return false;
		}
		snprintf(d->organization, sizeof d->organization, "%s", value);
	} else {
		d->token_lifetime = strtol(value, NULL, 10);
		if (d->token_lifetime < 1) {
			snprintf(why, size, "--token-lifetime wants seconds");
			return false;
		}
	}
	return true;
}

static const char *default_tables(void)
{
	static char path[PATH_MAX + 64];
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n < 0)
		return "tables";
	self[n] = 0;
	char *top = dirname(self); /* build, or build/sanitize */
	snprintf(path, sizeof path, "%s/../tests/sandbox/dataverse/tables", top);
	if (access(path, R_OK))
		snprintf(path, sizeof path, "%s/../../tests/sandbox/dataverse/tables", top);
	return path;
}

static bool open_product(void *state, struct server *srv, char *why, size_t size)
{
	struct dataverse *d = state;
	struct rng r = {server_seed(srv) ^ 0x0b5};

	d->server = srv;
	rng_guid(&r, d->user);
	rng_guid(&r, d->business_unit);
	if (!*d->organization)
		rng_guid(&r, d->organization);
	if (!store_open(&d->store, d->tables_dir ? d->tables_dir : default_tables(),
			server_data(srv), why, size))
		return false;
	if (server_contacts(srv) && store_is_empty(&d->store))
		sample_make(d, server_contacts(srv), server_seed(srv));
	return true;
}

static void rows(void *state, cJSON *out)
{
	struct dataverse *d = state;
	for (int i = 0; i < d->store.count; i++)
		cJSON_AddNumberToObject(out, d->store.tables[i].name,
					(double)store_count(&d->store, &d->store.tables[i]));
}

static void history(void *state, const char *key, cJSON *list)
{
	struct dataverse *d = state;
	store_history(&d->store, key, list);
}

static void close_product(void *state)
{
	struct dataverse *d = state;
	store_close(&d->store);
}

int main(int argc, char **argv)
{
	static struct dataverse d = {.token_lifetime = 3599};
	static const struct product_option options[] = {
	    {"tables", "DIR", "the table files; default: those of the source tree"},
	    {"organization", "GUID", "the OrganizationId; default: from the seed"},
	    {"token-lifetime", "SECONDS", "of access tokens; default 3599"},
	    {NULL, NULL, NULL}};
	static const struct product product = {
	    .name = "sandbox-dataverse",
	    .synopsis =
		"A part of the Dataverse Web API (v9.2) on loopback, for developing and testing\n"
		"against. Client id and secret are both `sandbox`. To try it:\n\n"
		"  sandbox-dataverse --listen 127.0.0.1:8080 --contacts 100 &\n"
		"  T=$(curl -s 127.0.0.1:8080/any/oauth2/v2.0/token -d client_id=sandbox \\\n"
		"    -d client_secret=sandbox -d grant_type=client_credentials \\\n"
		"    -d scope=http://127.0.0.1:8080/.default | jq -r .access_token)\n"
		"  curl -s -H \"Authorization: Bearer $T\" \\\n"
		"    '127.0.0.1:8080/api/data/v9.2/contacts?$select=fullname&$top=3'\n\n"
		"More control: POST /_sandbox/expire-delta-tokens, POST /_sandbox/revoke-tokens.",
	    .options = options,
	    .option = option,
	    .open = open_product,
	    .handle = handle,
	    .rows = rows,
	    .history = history,
	    .close = close_product,
	    .state = &d};

	return server_main(argc, argv, &product);
}
