/* route.c - from a method and a path to what changes rows. */
#include "write.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BOUND "/Microsoft.Dynamics.CRM."

static void wrong_method(struct write *w)
{
	api_error(w->rep, 405, E_QUERY, "The requested resource does not support http method '%s'.",
		  w->req->method);
}

static void on_set(struct write *w, struct table *t, const char *rest)
{
	bool post = !strcmp(w->req->method, "POST");

	if (!strncmp(rest, BOUND, sizeof BOUND - 1) && post) {
		const char *name = rest + sizeof BOUND - 1;
		snprintf(w->rep->route, sizeof w->rep->route, "%s %.40s", t->set, name);
		bulk(w, t, name);
	} else if (*rest) {
		api_error(w->rep, 404, E_QUERY, "Resource not found for the segment '%.100s'.",
			  rest + 1);
	} else if (!post) {
		wrong_method(w);
	} else if (write_allowed(w, t) && privilege(w->d, t, "Create", w->rep)) {
		write_create(w, t);
	}
}

static void on_row(struct write *w, struct table *t, struct key *k, const char *rest)
{
	bool patch = !strcmp(w->req->method, "PATCH"), del = !strcmp(w->req->method, "DELETE");
	size_t n = strlen(rest);
	struct nav nav;

	if (!write_allowed(w, t))
		return;
	if (!*rest && patch)
		write_patch(w, t, k);
	else if (!*rest && del)
		write_delete(w, t, k);
	else if (!*rest)
		wrong_method(w);
	else if (n > 5 && !strcmp(rest + n - 5, "/$ref"))
		associate(w, t, k, rest + 1);
	else if (!strncmp(rest, BOUND, sizeof BOUND - 1) || strchr(rest + 1, '/') ||
		 nav_find(&w->d->store, t, rest + 1, n - 1, &nav))
		api_not_implemented(w->rep, rest + 1);
	else
		write_property(w, t, k, rest + 1);
}

/* Headers that ask for something which would otherwise be passed over in silence. */
static bool headers_known(struct write *w)
{
	const char *duplicates = request_header(w->req, "MSCRM.SuppressDuplicateDetection");

	if (request_header(w->req, "x-ms-transfer-mode") ||
	    request_header(w->req, "x-ms-file-name")) {
		api_not_implemented(w->rep, "file and image columns");
		return false;
	}
	if (duplicates && !strcasecmp(duplicates, "false")) {
		api_not_implemented(w->rep, "MSCRM.SuppressDuplicateDetection: false (duplicate "
					    "detection rules)");
		return false;
	}
	return true;
}

void route_write(struct dataverse *d, const char *rest, const struct request *req,
		 struct reply *rep)
{
	struct write w = {.d = d, .req = req, .rep = rep};
	size_t n = strcspn(rest, "(/");
	struct key k;

	if (!headers_known(&w))
		return;
	if (!strcmp(rest, "$batch")) {
		if (strcmp(req->method, "POST"))
			wrong_method(&w);
		else if (req->is_part)
			api_error(rep, 400, E_QUERY, "A batch cannot contain another batch.");
		else
			batch(d, req, rep);
		return;
	}
	if (!strcmp(rest, "Merge") && !strcmp(req->method, "POST")) {
		merge(&w);
		return;
	}
	if (!strcmp(rest, "BulkDelete")) {
		api_not_implemented(rep, "BulkDelete");
		return;
	}
	struct table *t = store_set(&d->store, rest, n);
	if (!t) {
		api_error(rep, 404, E_QUERY, "Resource not found for the segment '%.*s'.",
			  n < 100 ? (int)n : 100, rest);
		return;
	}
	snprintf(rep->route, sizeof rep->route, "%s", t->set);
	if (rest[n] != '(') {
		on_set(&w, t, rest + n);
		return;
	}
	const char *key = rest + n + 1;
	size_t len = key_length(key);
	if (!key_parse(d, t, key, len, true, &k, rep))
		return;
	on_row(&w, t, &k, key + len + 1);
	key_free(&k);
}
