/* route.c - from a method and a path to what changes rows. */
#include "query.h"
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

/* A write has no options but those of the row it gives back and of the row that $ref names. */
static bool options_known(struct write *w, const char *rest)
{
	static const char *const of_rows[] = {"$select", "$expand", NULL};
	static const char *const of_references[] = {"$id", NULL}, *const none[] = {NULL};
	bool post = !strcmp(w->req->method, "POST"), patch = !strcmp(w->req->method, "PATCH");
	size_t n = strlen(rest);
	bool row = (post && !strpbrk(rest, "/($")) || (patch && n && rest[n - 1] == ')');

	return query_only(w->req,
			  row					    ? of_rows
			  : n > 5 && !strcmp(rest + n - 5, "/$ref") ? of_references
								    : none,
			  w->rep);
}

/* Headers that ask for something which would otherwise be passed over in silence. */
static bool headers_known(struct write *w)
{
	const char *duplicates = request_header(w->req, "MSCRM.SuppressDuplicateDetection");
	const char *none = request_header(w->req, "If-None-Match");
	bool post = !strcmp(w->req->method, "POST"), patch = !strcmp(w->req->method, "PATCH");

	if (request_header(w->req, "x-ms-transfer-mode") ||
	    request_header(w->req, "x-ms-file-name")) {
		api_not_implemented(w->rep, "file and image columns");
		return false;
	}
	if (post && request_header(w->req, "If-Match")) {
		api_not_implemented(w->rep, "If-Match in a POST");
		return false;
	}
	if (!patch && none && strcmp(none, "null")) {
		api_not_implemented(w->rep, "If-None-Match in any write but PATCH");
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

	if (!headers_known(&w) || !options_known(&w, rest))
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
