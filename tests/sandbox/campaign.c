/* sandbox-campaign - the Campaign Standard REST API, as far as Tideway and its tests use it, on
 * loopback, with a delivery simulator behind it.
 *
 * What it does and what it refuses is listed in campaign/COVERAGE.md.  The rule: 501 with the name
 * of what is not implemented, an error to an unknown property, never 200 to something ignored.
 */
#include "campaign/api.h"

#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROOT "/acme/campaign/"

/* ---- helpers of the API --------------------------------------------------------------------------- */

void acs_error(struct reply *rep, int status, const char *fmt, ...)
{
	char message[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	reply_header(rep, "Content-Type", "application/json");
	reply_json(rep, status, cJSON_CreateString(message));
}

void acs_not_implemented(struct reply *rep, const char *what)
{
	acs_error(rep, 501, "This sandbox does not implement %s.", what);
}

void acs_base(const struct request *req, char *out, size_t size)
{
	snprintf(out, size, "%s://%s/acme/campaign", req->scheme, req->host);
}

/* Errors of the gateway in front: "troubleshooting", "setting up API access". */
static void gateway_error(struct reply *rep, int status, const char *code, const char *message)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "error_code", code);
	cJSON_AddStringToObject(o, "message", message);
	reply_header(rep, "Content-Type", "application/json");
	reply_json(rep, status, o);
}

/* ---- tokens: IMS, "OAuth Server-to-Server" ---------------------------------------------------------- */

static char *parameter(const struct request *req, const char *name)
{
	struct request form = {.query = req->body};
	char *v = query_get(&form, name);
	return v ? v : query_get(req, name); /* Adobe documents both places */
}

static void token_error(struct reply *rep, const char *error, const char *description)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "error", error);
	if (description)
		cJSON_AddStringToObject(o, "error_description", description);
	reply_header(rep, "Content-Type", "application/json;charset=UTF-8");
	reply_json(rep, 400, o);
}

static void token(struct campaign *c, const struct request *req, struct reply *rep)
{
	char *grant = parameter(req, "grant_type"), *id = parameter(req, "client_id");
	char *secret = parameter(req, "client_secret"), *scope = parameter(req, "scope");

	snprintf(rep->route, sizeof rep->route, "token");
	if (strcmp(req->method, "POST"))
		reply_text(rep, 405, "%s", "");
	else if (!grant || strcmp(grant, "client_credentials"))
		token_error(rep, "unsupported_grant_type", NULL);
	else if (!id || strcmp(id, "sandbox") || !secret || strcmp(secret, "sandbox"))
		token_error(rep, "invalid_client", "invalid client_id or client_secret parameter");
	else if (!scope || !*scope)
		token_error(rep, "invalid_scope", NULL);
	else {
		cJSON *o = cJSON_CreateObject();
		char text[100];
		snprintf(text, sizeof text, "eyJ.ims.%lld.%lld.%lld", (long long)time(NULL),
			 ++c->tokens, c->token_epoch);
		cJSON_AddStringToObject(o, "access_token", text);
		cJSON_AddStringToObject(o, "token_type", "bearer");
		cJSON_AddNumberToObject(o, "expires_in", (double)c->token_lifetime);
		reply_header(rep, "Content-Type", "application/json;charset=UTF-8");
		reply_json(rep, 200, o);
	}
	free(grant);
	free(id);
	free(secret);
	free(scope);
}

static bool authorized(struct campaign *c, const struct request *req, struct reply *rep)
{
	const char *header = request_header(req, "Authorization"),
		   *key = request_header(req, "X-Api-Key");
	long long issued, serial, epoch;

	if (!header ||
	    sscanf(header, "Bearer eyJ.ims.%lld.%lld.%lld", &issued, &serial, &epoch) != 3 ||
	    epoch != c->token_epoch || time(NULL) >= issued + c->token_lifetime) {
		snprintf(rep->route, sizeof rep->route, "unauthorized");
		gateway_error(rep, 401, "401013", "Oauth token is not valid");
		return false;
	}
	if (!key || strcmp(key, "sandbox")) {
		snprintf(rep->route, sizeof rep->route, "unauthorized");
		gateway_error(rep, 403, "403023", "Profile is not valid");
		return false;
	}
	return true;
}

/* ---- routes ---------------------------------------------------------------------------------------- */

static void api(struct campaign *c, const char *rest, const struct request *req, struct reply *rep)
{
	bool ext = !strncmp(rest, "profileAndServicesExt/", 22);

	if (!ext && strncmp(rest, "profileAndServices/", 19)) {
		size_t n = strcspn(rest, "/");
		if (!strncmp(rest, "customResources", n) || !strncmp(rest, "workflow", n))
			acs_not_implemented(rep, rest);
		else
			acs_error(rep, 404,
				  "404 - Not Found (\"RST-360011 An error has occurred - please "
				  "contact your administrator. Error rc=-2003\")");
		return;
	}
	rest += ext ? 22 : 19;
	if (!strncmp(rest, "resourceType/", 13)) {
		struct resource *r = store_resource(&c->store, rest + 13, strlen(rest + 13));
		if (!r || (!ext && !r->built_in))
			acs_error(rep, 404, "RST-360000 The resource '%.80s' is unknown.",
				  rest + 13);
		else if (strcmp(req->method, "GET"))
			acs_error(rep, 405, "Method not allowed.");
		else
			acs_metadata(c, r, ext, req, rep);
		return;
	}
	acs_resource(c, rest, ext, req, rep);
}

static void handle(void *state, const struct request *req, struct reply *rep)
{
	struct campaign *c = state;
	bool get = !strcmp(req->method, "GET"), post = !strcmp(req->method, "POST");

	if (!strcmp(req->path, "/_sandbox/deliver") && post) {
		simulator_deliver(c, req, rep);
	} else if (!strcmp(req->path, "/_sandbox/events") && get) {
		simulator_events(c, rep);
	} else if (!strcmp(req->path, "/_sandbox/revoke-tokens") && post) {
		c->token_epoch++;
		rep->status = 204;
	} else if (!strcmp(req->path, "/ims/token/v3")) {
		token(c, req, rep);
	} else if (!strncmp(req->path, ROOT, sizeof ROOT - 1)) {
		if (authorized(c, req, rep))
			api(c, req->path + sizeof ROOT - 1, req, rep);
	} else if (strstr(req->path, "/campaign/")) {
		cJSON *o = cJSON_CreateObject();
		cJSON_AddNumberToObject(o, "code", 500);
		cJSON_AddStringToObject(
		    o, "message", "Oops. Something went wrong. Check your URI and try again.");
		reply_header(rep, "Content-Type", "application/json");
		reply_json(rep, 500, o);
	} else {
		reply_text(rep, 404, "%s", "");
	}
}

/* ---- the product ------------------------------------------------------------------------------------ */

static bool option(void *state, const char *name, const char *value, char *why, size_t size)
{
	struct campaign *c = state;
	char *end;

	if (!strcmp(name, "resources")) {
		c->resources_dir = value;
		return true;
	}
	if (!strcmp(name, "exports")) {
		c->exports = value;
		return true;
	}
	if (!strcmp(name, "external-id-key")) {
		c->store.no_external_key = !strcmp(value, "no");
		if (c->store.no_external_key || !strcmp(value, "yes"))
			return true;
		snprintf(why, size, "--external-id-key wants yes or no");
		return false;
	}
	long n = strtol(value, &end, 10);
	if (*end || n < 1) {
		snprintf(why, size, "--%s wants a positive number", name);
		return false;
	}
	*(!strcmp(name, "big-table") ? &c->big_table : &c->token_lifetime) = n;
	return true;
}

static const char *default_resources(void)
{
	static char path[PATH_MAX + 64];
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n < 0)
		return "resources";
	self[n] = 0;
	char *top = dirname(self); /* build, or build/sanitize */
	snprintf(path, sizeof path, "%s/../tests/sandbox/campaign/resources", top);
	if (access(path, R_OK))
		snprintf(path, sizeof path, "%s/../../tests/sandbox/campaign/resources", top);
	return path;
}

static bool open_product(void *state, struct server *srv, char *why, size_t size)
{
	struct campaign *c = state;

	c->server = srv;
	c->store.seed = server_seed(srv);
	if (!store_open(&c->store, c->resources_dir ? c->resources_dir : default_resources(),
			server_data(srv), why, size))
		return false;
	struct resource *profile = store_resource(&c->store, "profile", 7);
	if (!profile) {
		snprintf(why, size, "the resources have no profile");
		return false;
	}
	simulator_open(c);
	if (!store_count(&c->store, profile))
		simulator_profiles(c, server_contacts(srv));
	return true;
}

static void rows(void *state, cJSON *out)
{
	struct campaign *c = state;
	for (int i = 0; i < c->store.count; i++)
		cJSON_AddNumberToObject(out, c->store.resources[i].name,
					(double)store_count(&c->store, &c->store.resources[i]));
}

static void history(void *state, const char *key, cJSON *list)
{
	struct campaign *c = state;
	store_history_of(&c->store, key, list);
}

static void close_product(void *state)
{
	struct campaign *c = state;
	store_close(&c->store);
}

int main(int argc, char **argv)
{
	static struct campaign c = {.token_lifetime = 86399, .big_table = 100000};
	static const struct product_option options[] = {
	    {"resources", "DIR", "the resource files; default: those of the source tree"},
	    {"exports", "DIR", "where deliveries leave their log files; default: none"},
	    {"token-lifetime", "SECONDS", "of access tokens; default 86399"},
	    {"big-table", "ROWS", "lists of more need _forcePagination; default 100000"},
	    {"external-id-key", "yes|no", "is externalId an identification key? default yes"},
	    {NULL, NULL, NULL}};
	static const struct product product = {
	    .name = "sandbox-campaign",
	    .synopsis =
		"A part of the Campaign Standard REST API on loopback, for developing and testing\n"
		"against. Client id and secret are both `sandbox`. --contacts N makes N profiles\n"
		"that never came from Dynamics. To try it:\n\n"
		"  sandbox-campaign --listen 127.0.0.1:8081 --contacts 5 &\n"
		"  T=$(curl -s 127.0.0.1:8081/ims/token/v3 -d client_id=sandbox \\\n"
		"    -d client_secret=sandbox -d grant_type=client_credentials -d scope=openid \\\n"
		"    | jq -r .access_token)\n"
		"  curl -s -H \"Authorization: Bearer $T\" -H 'X-Api-Key: sandbox' \\\n"
		"    127.0.0.1:8081/acme/campaign/profileAndServicesExt/profile/\n\n"
		"More control: POST /_sandbox/deliver {\"name\":..,\"label\":..,\"campaign\":..} "
		"sends to\n"
		"every profile that may be mailed and exports the logs; GET /_sandbox/events says "
		"what\n"
		"really happened; POST /_sandbox/revoke-tokens.",
	    .options = options,
	    .option = option,
	    .open = open_product,
	    .handle = handle,
	    .rows = rows,
	    .history = history,
	    .close = close_product,
	    .state = &c};

	return server_main(argc, argv, &product);
}
