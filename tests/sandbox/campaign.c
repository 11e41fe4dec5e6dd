/* sandbox-campaign - the Campaign REST API, as Standard and as v8 speak it, on loopback, with a
 * delivery simulator behind it.
 *
 * What it does and what it refuses is listed in campaign/COVERAGE.md.  The rule: 501 with the name
 * of what is not implemented, an error to an unknown property, never 200 to something ignored.
 */
#include "campaign/simulator.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool control(struct campaign *c, const struct request *req, struct reply *rep)
{
	bool get = !strcmp(req->method, "GET"), post = !strcmp(req->method, "POST");

	if (!strcmp(req->path, "/_sandbox/events") && get)
		simulator_events(c, req, rep);
	else if (!strcmp(req->path, "/_sandbox/deliver") && post)
		simulator_deliver(c, req, rep);
	else if (!strcmp(req->path, "/_sandbox/advance") && post)
		simulator_advance(c, req, rep);
	else if (!strcmp(req->path, "/_sandbox/export") && post)
		simulator_export(c, req, rep);
	else if (!strcmp(req->path, "/_sandbox/export/continue") && post)
		simulator_continue(c, rep);
	else if (!strcmp(req->path, "/_sandbox/privacy") && post)
		privacy_set(c, req, rep);
	else if (!strcmp(req->path, "/_sandbox/revoke-tokens") && post) {
		c->token_epoch++;
		rep->status = 204;
	} else {
		return false;
	}
	return true;
}

static void handle(void *state, const struct request *req, struct reply *rep)
{
	struct campaign *c = state;
	const char *slash = *req->path == '/' ? strchr(req->path + 1, '/') : NULL;

	if (control(c, req, rep) || gateway_token(c, req, rep))
		return;
	if (!slash || strncmp(slash, "/campaign/", 10)) {
		reply_text(rep, 404, "%s", "");
		return;
	}
	if (gateway_admits(c, req, rep))
		route_answer(c, slash + 10, req, rep);
}

/* ---- the product ------------------------------------------------------------------------------- */

static bool choice(const char *name, const char *value, const char *no, const char *yes, bool *out,
		   char *why, size_t size)
{
	*out = !strcmp(value, yes);
	if (*out || !strcmp(value, no))
		return true;
	snprintf(why, size, "--%s wants %s or %s", name, no, yes);
	return false;
}

static bool option_retry_after(struct campaign *c, const char *value, char *why, size_t size)
{
	char *end;

	c->retry_after = !strcmp(value, "none")	  ? -1
			 : !strcmp(value, "date") ? -2
						  : strtol(value, &end, 10);
	if (c->retry_after < 0 || (*value && !*end && c->retry_after <= 86400))
		return true;
	snprintf(why, size, "--retry-after wants none, date or a number of seconds");
	return false;
}

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
	if (!strcmp(name, "dialect"))
		return choice(name, value, "acs", "v8", &c->store.v8, why, size);
	if (!strcmp(name, "external-id-key"))
		return choice(name, value, "yes", "no", &c->store.no_external_key, why, size);
	if (!strcmp(name, "custom-keys"))
		return choice(name, value, "yes", "no", &c->store.no_custom_keys, why, size);
	if (!strcmp(name, "retry-after"))
		return option_retry_after(c, value, why, size);
	if (!strcmp(name, "clock")) {
		if (time_parse(value, &c->store.clock_fixed_ms))
			return true;
		snprintf(why, size, "--clock wants a time like \"2026-01-02 03:04:05.678Z\"");
		return false;
	}
	long n = strtol(value, &end, 10);
	if (*end || n < 1) {
		snprintf(why, size, "--%s wants a positive number", name);
		return false;
	}
	if (!strcmp(name, "tps"))
		c->tps = true;
	*(!strcmp(name, "big-table")	    ? &c->big_table
	  : !strcmp(name, "token-lifetime") ? &c->token_lifetime
					    : &c->rate) = n;
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
	const char *dir = c->resources_dir ? c->resources_dir : default_resources();

	c->server = srv;
	c->store.seed = server_seed(srv);
	if (c->tps && !c->store.v8) {
		snprintf(why, size, "--tps is a limit of v8; see --dialect and --rate");
		return false;
	}
	if (!store_open(&c->store, dir, server_data(srv), why, size) ||
	    !workflow_read(c, dir, why, size))
		return false;
	struct resource *profile = store_resource(&c->store, "profile", 7);
	if (!profile) {
		snprintf(why, size, "the resources have no profile");
		return false;
	}
	simulator_open(c);
	privacy_open(c);
	if (!profile->rows)
		simulator_profiles(c, server_contacts(srv));
	return true;
}

static void rows(void *state, cJSON *out)
{
	struct campaign *c = state;
	for (int i = 0; i < c->store.count; i++)
		cJSON_AddNumberToObject(out, c->store.resources[i].name,
					(double)c->store.resources[i].rows);
}

static void history(void *state, const char *key, cJSON *list)
{
	struct campaign *c = state;
	store_history_of(&c->store, key, list);
}

static void close_product(void *state)
{
	struct campaign *c = state;
	export_close(c);
	workflow_free(c);
	store_close(&c->store);
}

int main(int argc, char **argv)
{
	static struct campaign c = {
	    .token_lifetime = 86399, .big_table = 100000, .retry_after = -1};
	static const struct product_option options[] = {
	    {"resources", "DIR", "the resource files; default: those of the source tree"},
	    {"exports", "DIR", "where deliveries leave their log files; default: none"},
	    {"dialect", "acs|v8", "Campaign Standard or v8; default acs"},
	    {"external-id-key", "yes|no", "is externalId an identification key? default yes"},
	    {"custom-keys", "yes|no", "do URLs of custom resources take keys? default yes"},
	    {"big-table", "ROWS", "lists of more need _forcePagination; default 100000"},
	    {"token-lifetime", "SECONDS", "of access tokens; default 86399"},
	    {"rate", "N", "more requests a second are answered 429; default: all are taken"},
	    {"tps", "N", "the same, as v8 calls it"},
	    {"retry-after", "WHAT", "of a 429: none (default), date, or seconds"},
	    {"clock", "TIME", "holds the clock there; /_sandbox/advance moves it"},
	    {NULL, NULL, NULL}};
	static const struct product product = {
	    .name = "sandbox-campaign",
	    .synopsis =
		"The REST API of Campaign Standard, or of v8, on loopback, for developing and\n"
		"testing against. Organisation acme; client id and secret are both `sandbox`.\n"
		"--contacts N makes N profiles that never came from Dynamics. To try it:\n\n"
		"  sandbox-campaign --listen 127.0.0.1:8081 --contacts 5 --exports . &\n"
		"  T=$(curl -s 127.0.0.1:8081/ims/token/v3 -d client_id=sandbox \\\n"
		"    -d client_secret=sandbox -d grant_type=client_credentials -d scope=openid \\\n"
		"    | jq -r .access_token)\n"
		"  curl -s -H \"Authorization: Bearer $T\" -H 'X-Api-Key: sandbox' \\\n"
		"    127.0.0.1:8081/acme/campaign/profileAndServicesExt/profile/\n\n"
		"More control; members of the bodies are listed in campaign/COVERAGE.md, and an\n"
		"unknown one is 400:\n"
		"  POST /_sandbox/deliver  {\"name\":.., \"rates\":{\"late\":0.1}, ..}: sends to "
		"every\n"
		"    profile that may be mailed, simulates what happens, exports the logs\n"
		"  POST /_sandbox/advance  {\"hours\":72, \"export\":true}: moves the clock; late\n"
		"    bounces and opens, Sent that becomes Failed and Sent again, privacy requests\n"
		"  POST /_sandbox/export   {\"separator\":\"\\t\", \"gz\":true, ..}: the logs once "
		"more;\n"
		"    POST /_sandbox/export/continue lets files grow that were begun with "
		"\"steps\"\n"
		"  GET /_sandbox/events    what really happened; ?after=SEQ&limit=N, ?count=true\n"
		"  POST /_sandbox/privacy  {\"name\":.., \"status\":..}\n"
		"  POST /_sandbox/revoke-tokens",
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
