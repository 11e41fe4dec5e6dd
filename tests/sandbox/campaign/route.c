/* route.c - which part of the API answers a path, and what all parts need for that.
 *
 * "Endpoints", "Must-read" (.json), "Interacting with custom resources".
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const root_names[] = {"profileAndServices", "profileAndServicesExt", "customResources"};

void acs_base(const struct request *req, char *out, size_t size)
{
	snprintf(out, size, "%s://%.200s/acme/campaign", req->scheme, req->host);
}

void acs_href(const struct call *call, const struct resource *r, int64_t id, char pkey[100],
	      char *out, size_t size)
{
	char base[400];

	store_pkey(&call->c->store, resource_kind(&call->c->store, r), id, pkey);
	if (call->within) {
		snprintf(out, size, "%s%s", call->within, pkey);
		return;
	}
	acs_base(call->req, base, sizeof base);
	snprintf(out, size, "%s/%s/%s/%s", base, root_names[call->root], r->name, pkey);
}

void acs_reply(struct reply *rep, int status, cJSON *json)
{
	reply_header(rep, "Content-Type", "application/json");
	reply_json(rep, status, json);
}

static bool is_utf8(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		int more = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
		if (more && (*p < 0xc2 || *p > 0xf4))
			return false;
		p++;
		for (; more; more--, p++)
			if ((*p & 0xc0) != 0x80)
				return false;
	}
	return true;
}

cJSON *acs_body(const struct call *call, bool *empty)
{
	const struct request *req = call->req;
	const char *end = NULL;

	if (empty && !req->body_len) {
		*empty = true;
		return NULL;
	}
	bool text = !memchr(req->body, 0, req->body_len) && is_utf8(req->body);
	cJSON *json =
	    text ? cJSON_ParseWithLengthOpts(req->body, req->body_len + 1, &end, 1) : NULL;
	if (cJSON_IsObject(json))
		return json;
	cJSON_Delete(json);
	fail_detail(call, "The body is no JSON object.");
	return NULL;
}

bool is_method(const struct call *call, const char *method)
{
	return !strcmp(call->req->method, method);
}

enum root root_of(const struct resource *r, enum root here)
{
	if (r->built_in)
		return here == ROOT_PLAIN ? ROOT_PLAIN : ROOT_EXT;
	return r->of_profile ? ROOT_EXT : ROOT_CUSTOM;
}

bool field_shown(const struct call *call, const struct field *f)
{
	bool extension = f->extension || (f->v8_extension && call->c->store.v8);
	return !extension || call->root != ROOT_PLAIN;
}

/* Only lists and filters have parameters; elsewhere one would be passed over. */
static bool no_parameters(const struct call *call)
{
	const char *s = call->req->query;
	char name[80];

	if (!*s)
		return true;
	snprintf(name, sizeof name, "the parameter %.*s here", (int)strcspn(s, "=&") % 60, s);
	return acs_not_implemented(call->rep, name);
}

/* ---- one record ------------------------------------------------------------------------------- */

static void one(const struct call *call, struct resource *r, const char *id)
{
	struct record rec = record_new(r);

	if (is_method(call, "GET") && !no_parameters(call)) {
		; /* answered */
	} else if (is_method(call, "PATCH")) {
		write_patch(call, r, id);
	} else if (is_method(call, "GET")) {
		if (record_find(call, r, id, &rec))
			acs_reply(call->rep, 200, record_json(call, r, &rec, call->c->store.v8));
	} else if (is_method(call, "DELETE")) {
		write_delete(call, r, id);
	} else {
		fail_method(call);
	}
	record_free(r, &rec);
}

/* tail: "/.." */
static void inside(const struct call *call, struct resource *r, const char *tail)
{
	if (is_method(call, "GET") && list_answer(call, r, tail))
		return;
	tail += strspn(tail, "/");
	size_t n = strcspn(tail, "/");
	char *id = url_decode(tail, n, false);
	tail += n + (tail[n] == '/');
	if (!id || !*id)
		fail_url(call);
	else if (*tail)
		collection_answer(call, r, id, tail);
	else
		one(call, r, id);
	free(id);
}

static void resource(const struct call *call, const char *rest)
{
	size_t n = strcspn(rest, "/"), len = n;
	char name[100];

	if (len > 5 && !strncmp(rest + len - 5, ".json", 5))
		len -= 5;
	snprintf(name, sizeof name, "%.*s", (int)(len < 99 ? len : 99), rest);
	struct resource *r = store_resource(&call->c->store, name, strlen(name));
	const char *tail = rest + n;

	if (!r || r->nested ||
	    (r->built_in ? call->root == ROOT_CUSTOM
			 : call->root != (r->of_profile ? ROOT_EXT : ROOT_CUSTOM))) {
		fail_resource(call, name);
		return;
	}
	snprintf(call->rep->route, sizeof call->rep->route, "%s", r->name);
	if (!is_method(call, "GET") && !no_parameters(call))
		return;
	bool slash = !strcmp(tail, "/") && json_flag(r->json, "postWithSlash");
	if (is_method(call, "POST") && (!*tail || slash))
		write_create(call, r, -1, NULL);
	else if (is_method(call, "POST") && !strcmp(tail, "/"))
		fail_url(call);
	else if (!strcmp(tail, "/metadata")) {
		if (no_parameters(call))
			metadata_answer(call, r, "");
	} else if (!tail[strspn(tail, "/")] && !is_method(call, "GET"))
		fail_method(call);
	else if (tail[strspn(tail, "/")])
		inside(call, r, tail);
	else
		list_answer(call, r, "");
}

/* rest: the undecoded path behind the root */
static void root_answer(const struct call *call, const char *rest)
{
	if (!*rest || !strncmp(rest, "resourceType/", 13)) {
		if (!no_parameters(call))
			return;
		if (*rest)
			metadata_answer(call, NULL, rest + 13);
		else
			metadata_resources(call);
	} else if (!strncmp(rest, "history", 7) && call->root == ROOT_PLAIN && strchr("/", rest[7]))
		history_answer(call, rest + 7);
	else
		resource(call, rest);
}

/* The prefix of a path, whole; what is behind it, or NULL. */
static const char *behind(const char *path, const char *name)
{
	size_t n = strlen(name);
	if (strncmp(path, name, n) || (path[n] && path[n] != '/'))
		return NULL;
	return path + n + (path[n] == '/');
}

void route_answer(struct campaign *c, const char *path, const struct request *req,
		  struct reply *rep)
{
	struct call call = {.c = c, .req = req, .rep = rep};
	const char *rest;

	for (int i = 0; i < 3; i++)
		if ((rest = behind(path, root_names[i]))) {
			call.root = (enum root)i;
			root_answer(&call, rest);
			return;
		}
	if ((rest = behind(path, "workflow"))) {
		if (no_parameters(&call))
			workflow_answer(&call, rest);
	} else if ((rest = behind(path, "privacy"))) {
		if (no_parameters(&call))
			privacy_answer(&call, rest);
	} else if (!strncmp(path, "mc", 2))
		acs_not_implemented(rep, "transactional messages");
	else
		fail_url(&call);
}
