/* sandbox-dataverse - the Dataverse Web API, as far as Tideway and its tests use it, on loopback.
 *
 * What it does and what it refuses is listed in dataverse/COVERAGE.md.  The rule: 501 with the
 * name of what is not implemented, 400 to an unknown property, never 200 to something ignored.
 */
#include "dataverse/protect.h"
#include "dataverse/query.h"
#include "dataverse/write.h"

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

enum { URL_MAX = 32768 };

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
	if (!*rest)
		api_read_collection(d, t, req, rep);
	else if (!strcmp(rest, "/$count"))
		api_read_count(d, t, req, rep);
	else
		api_not_implemented(rep, rest);
}

static void on_row(struct dataverse *d, struct table *t, const char *key, const struct request *req,
		   struct reply *rep)
{
	size_t len = key_length(key);
	struct key k;

	if (!key_parse(d, t, key, len, true, &k, rep))
		return;
	if (!key_find(d, t, &k))
		key_absent(t, &k, rep);
	else if (key[len + 1] == '/' && (request_header(req, "Range") ||
					 !strncmp(req->query, "size=", 5))) /* a download */
		api_not_implemented(rep, "file and image columns");
	else if (key[len + 1] == '/')
		api_read_behind(d, t, k.id, key + len + 1, req, rep);
	else if (key[len + 1])
		api_error(rep, 400, E_QUERY, "Bad Request - Error in query syntax.");
	else
		api_read_row(d, t, k.id, req, rep);
	key_free(&k);
}

static bool is_definition(const char *path, size_t n)
{
	static const char *const sets[] = {"EntityDefinitions", "RelationshipDefinitions",
					   "GlobalOptionSetDefinitions"};

	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		if (strlen(sets[i]) == n && !strncmp(path, sets[i], n))
			return true;
	return false;
}

static void api_get(struct dataverse *d, const char *rest, const struct request *req,
		    struct reply *rep)
{
	static const char *const none[] = {NULL}, *const of_model[] = {"annotations", NULL};
	size_t n = strcspn(rest, "(/");

	if (!*rest) {
		if (query_only(req, none, rep))
			service_document(d, req, rep);
		return;
	}
	if (!strcmp(rest, "WhoAmI") || !strcmp(rest, "WhoAmI()")) {
		if (query_only(req, none, rep))
			whoami(d, req, rep);
		return;
	}
	if (!strcmp(rest, "$metadata")) {
		if (query_only(req, of_model, rep))
			api_csdl(d, req, rep);
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
	if (!privilege(d, t, "Read", rep))
		return;
	if (rest[n] == '(')
		on_row(d, t, rest + n + 1, req, rep);
	else
		on_set(d, t, rest + n, req, rep);
}

/* "Include additional details with errors" in "Compose HTTP requests and handle errors". What needs a
 * plug-in's trace is not there. */
static void annotate_error(const struct request *req, struct reply *rep)
{
	static const char name[] = "@Microsoft.PowerApps.CDS.HelpLink";
	char list[2000], link[200];
	cJSON *json, *error;

	if (rep->status < 400 || !rep->body ||
	    !api_prefers(req, "odata.include-annotations", list, sizeof list) ||
	    (!query_wants(list, name + 1)))
		return;
	json = cJSON_ParseWithLength(rep->body, rep->body_len);
	error = cJSON_GetObjectItemCaseSensitive(json, "error");
	const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "code"));
	if (code) {
		snprintf(link, sizeof link,
			 "http://go.microsoft.com/fwlink/?LinkID=398563&error="
			 "Microsoft.Crm.CrmException%%3a%s&client=platform",
			 strncmp(code, "0x", 2) ? code : code + 2);
		cJSON_AddStringToObject(error, name, link);
		free(rep->body);
		rep->body = cJSON_PrintUnformatted(json);
		rep->body_len = strlen(rep->body);
	}
	cJSON_Delete(json);
}

void api_dispatch(struct dataverse *d, const struct request *req, struct reply *rep)
{
	static const char *const impersonation[] = {"CallerObjectId", "MSCRMCallerID"};
	char *path = url_decode(req->path, strlen(req->path), false);

	for (size_t i = 0; i < sizeof impersonation / sizeof *impersonation; i++)
		if (request_header(req, impersonation[i])) {
			api_not_implemented(rep, impersonation[i]);
			annotate_error(req, rep);
			free(path);
			return;
		}
	if (!path) {
		api_error(rep, 400, E_QUERY, "A malformed escape in the path.");
	} else if (strncmp(path, API, sizeof API - 1) ||
		   (path[sizeof API - 1] && path[sizeof API - 1] != '/')) {
		api_error(rep, 404, E_QUERY, "No part of the Web API: this is " API "/.");
	} else {
		const char *rest = path[sizeof API - 1] ? path + sizeof API : "";
		bool definition = is_definition(rest, strcspn(rest, "(/"));
		if (definition && d->store.depth && strcmp(req->method, "GET"))
			api_not_implemented(rep, "changes of definitions in a change set");
		else if (definition)
			api_definitions(d, rest, req, rep);
		else if (api_function(d, rest, req, rep))
			; /* done */
		else if (!strcmp(req->method, "GET"))
			api_get(d, rest, req, rep);
		else
			route_write(d, rest, req, rep);
	}
	annotate_error(req, rep);
	free(path);
}

/* ---- control ------------------------------------------------------------------------------------ */

static bool control(struct dataverse *d, const struct request *req, struct reply *rep)
{
	bool mine = !strcmp(req->path, "/_sandbox/privileges") && !strcmp(req->method, "POST");

	if (mine)
		privilege_control(d, req, rep);
	return mine || api_control(d, req->path, req, rep);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n > m && !strcmp(s + n - m, end);
}

static void handle(void *state, const struct request *req, struct reply *rep)
{
	struct dataverse *d = state;

	if (control(d, req, rep))
		return;
	if (strlen(req->url) > URL_MAX) { /* the limit of "Query data using the Web API" */
		reply_text(rep, 414, "%s", "");
		return;
	}
	if (ends_with(req->path, "/oauth2/v2.0/token")) {
		token_endpoint(d, req->path, req, rep);
	} else if (ends_with(req->path, "/oauth2/token")) {
		api_not_implemented(rep, "the v1.0 token endpoint");
	} else if (!strncmp(req->path, "/api/data/v", 11) &&
		   strncmp(req->path, API, sizeof API - 1)) {
		if (token_authorized(d, req, rep))
			api_not_implemented(rep, "another version of the Web API than v9.2");
	} else if (!strncmp(req->path, API, sizeof API - 1)) {
		if (token_authorized(d, req, rep)) {
			snprintf(d->user, sizeof d->user, "%s", d->users[d->caller]);
			snprintf(d->store.owner, sizeof d->store.owner, "%s", d->user);
			api_dispatch(d, req, rep);
		}
	} else if (!strncmp(req->path, "/api/search/", 12)) {
		if (token_authorized(d, req, rep))
			api_not_implemented(rep, "the search API");
	} else {
		rep->status = 404;
	}
}

static bool admit(void *state, const struct request *req, struct reply *rep, double now_ms,
		  int *ticket)
{
	return protect_admit(state, req, rep, now_ms, ticket);
}

static void settle(void *state, int ticket, double began_ms, double now_ms, struct reply *rep)
{
	protect_settle(state, ticket, began_ms, now_ms, rep);
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
	} else if (!strcmp(name, "tenant")) {
		d->tenant = value;
	} else if (!strcmp(name, "no-bulk")) {
		if (d->no_bulk_count == sizeof d->no_bulk / sizeof *d->no_bulk) {
			snprintf(why, size, "too many --no-bulk");
			return false;
		}
		d->no_bulk[d->no_bulk_count++] = value;
	} else if (!strcmp(name, "deny")) {
		if (!privilege_deny(d, value)) {
			snprintf(why, size, "--deny wants a name like prvCreateContact");
			return false;
		}
	} else if (!strcmp(name, "token-lifetime")) {
		d->token_lifetime = strtol(value, NULL, 10);
		if (d->token_lifetime < 1) {
			snprintf(why, size, "--token-lifetime wants seconds");
			return false;
		}
	} else if (!protect_option(d, name, value)) {
		snprintf(why, size, "--%s does not understand %s", name, value);
		return false;
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
	snprintf(d->users[0], sizeof *d->users, "%s", d->user);
	rng_guid(&r, d->business_unit);
	if (!*d->organization)
		rng_guid(&r, d->organization);
	for (int i = 1; i < USERS; i++)
		rng_guid(&r, d->users[i]);
	if (!store_open(&d->store, d->tables_dir ? d->tables_dir : default_tables(),
			server_data(srv), why, size))
		return false;
	for (int i = 0; i < d->no_bulk_count; i++) {
		struct table *t = store_table(&d->store, d->no_bulk[i]);
		if (!t) {
			snprintf(why, size, "--no-bulk: there is no table %s", d->no_bulk[i]);
			return false;
		}
		cJSON_DeleteItemFromObjectCaseSensitive((cJSON *)t->json, "bulk");
		cJSON_AddFalseToObject((cJSON *)t->json, "bulk");
	}
	sample_rows(d);
	fixed_make(d);
	snprintf(d->store.owner, sizeof d->store.owner, "%s", d->user);
	if (server_contacts(srv) && store_is_empty(&d->store))
		sample_make(d, server_contacts(srv), server_seed(srv));
	for (int i = 0; i < d->store.count; i++)
		store_index(&d->store, &d->store.tables[i]);
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
	limits_free(&d->limits);
	sqlite3_close(d->backup);
}

int main(int argc, char **argv)
{
	static struct dataverse d = {
	    .token_lifetime = 3599,
	    .dop_hint = 4,
	    .limits = {.servers = 1, .requests_window_ms = 300e3, .time_window_ms = 300e3}};
	static const struct product_option options[] = {
	    {"tables", "DIR", "the table files; default: those of the source tree"},
	    {"organization", "GUID", "the OrganizationId; default: from the seed"},
	    {"token-lifetime", "SECONDS", "of access tokens; default 3599"},
	    {"tenant", "NAME", "the only tenant there is; default: any"},
	    {"deny", "PRIVILEGE", "take prvCreateContact or another one away; may be repeated"},
	    {"no-bulk", "TABLE", "no CreateMultiple and kin for this table; may be repeated"},
	    {"limit-requests", "N[/S]", "requests of a user in S seconds (300); default: no limit"},
	    {"limit-time", "MS[/S]", "execution time of a user in S seconds (300)"},
	    {"limit-concurrent", "N", "requests of a user at once"},
	    {"servers", "N", "web servers that count on their own; default 1"},
	    {"dop-hint", "N", "x-ms-dop-hint; default 4"},
	    {NULL, NULL, NULL}};
	static const struct product product = {
	    .name = "sandbox-dataverse",
	    .synopsis =
		"The Dataverse Web API (v9.2) on loopback, for developing and testing against. "
		"Client\n"
		"id and secret are both `sandbox`. To try it:\n\n"
		"  sandbox-dataverse --listen 127.0.0.1:8080 --contacts 100 &\n"
		"  T=$(curl -s 127.0.0.1:8080/any/oauth2/v2.0/token -d client_id=sandbox \\\n"
		"    -d client_secret=sandbox -d grant_type=client_credentials \\\n"
		"    -d scope=http://127.0.0.1:8080/.default | jq -r .access_token)\n"
		"  get() { curl -sg -H \"Authorization: Bearer $T\" -H \"Prefer: $2\" \\\n"
		"    \"127.0.0.1:8080/api/data/v9.2/$1\"; }\n"
		"  get "
		"'contacts?$select=fullname&$top=3&$expand=parentcustomerid_account($select=name)'"
		"\n"
		"  get 'contacts?$filter=contains(fullname,%27ann%27)&$count=true' \\\n"
		"    'odata.include-annotations=\"*\"'\n"
		"  get 'contacts?$select=fullname' odata.track-changes   then follow the links\n"
		"  get 'EntityDefinitions?$select=LogicalName,EntitySetName'\n\n"
		"Tables are the JSON files of --tables; the metadata API makes more of them, kept "
		"with\n"
		"the data. Which endpoint does what, and what is answered 501: COVERAGE.md beside "
		"them.\n\n"
		"The client ids sandbox1 .. sandbox9 are other users with the same secret. A "
		"client\n"
		"that keeps the cookie ARRAffinity stays on one of the --servers.\n\n"
		"Control, each a POST beside the API:\n"
		"  /_sandbox/expire-delta-tokens   delta links given out so far are too old "
		"(0x80044352)\n"
		"  /_sandbox/revoke-tokens         access tokens given out so far are no good "
		"(401)\n"
		"  /_sandbox/restrict {\"table\":\"contact\",\"fraction\":0.5,\"level\":\"user\"}\n"
		"      the caller reads this part of the rows only; without organization-level "
		"read\n"
		"      change tracking is answered 403; "
		"{\"fraction\":1,\"level\":\"organization\"} undoes it\n"
		"  /_sandbox/privileges {\"deny\":[\"prvCreateContact\"]}   what the caller may "
		"not "
		"do (403)\n"
		"  /_sandbox/backup, /_sandbox/restore   all rows and the version counter, kept "
		"and\n"
		"      brought back, as when an environment is restored",
	    .options = options,
	    .option = option,
	    .open = open_product,
	    .handle = handle,
	    .admit = admit,
	    .settle = settle,
	    .rows = rows,
	    .history = history,
	    .close = close_product,
	    .state = &d};

	return server_main(argc, argv, &product);
}
