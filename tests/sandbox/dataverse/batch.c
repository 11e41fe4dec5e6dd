/* batch.c - $batch: many requests in one.
 *
 * Facts: "Execute batch operations using the Web API".  The whole of it is read (multipart.c) before
 * anything is carried out, so that a malformed batch changes nothing.  Then the requests run one
 * after the other, a change set in one transaction; the first error ends the batch, unless the
 * client prefers odata.continue-on-error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "multipart.h"
#include "text.h"
#include "write.h"

/* The addresses that the requests of the change set at work made, by their Content-ID. */
struct reference {
	const char *id;
	char *address;
};

struct batch {
	struct dataverse *d;
	const struct request *req;
	struct reply *rep;
	struct operations all;
	struct reference *references;
	size_t reference_count;
};

/* ---- carrying out -------------------------------------------------------------------------------------- */

const char *batch_reference(struct dataverse *d, const char *id, size_t len)
{
	const struct batch *b = d->batch;

	for (size_t i = 0; b && i < b->reference_count; i++)
		if (strlen(b->references[i].id) == len && !strncmp(b->references[i].id, id, len))
			return b->references[i].address;
	return NULL;
}

static void forget_references(struct batch *b)
{
	for (size_t i = 0; i < b->reference_count; i++)
		free(b->references[i].address);
	b->reference_count = 0;
}

static void remember(struct batch *b, const struct operation *op, const struct reply *rep)
{
	const char *address = header_value(rep->headers, rep->header_count, "OData-EntityId");

	if (op->content_id && op->change_set && address)
		b->references[b->reference_count++] =
		    (struct reference){op->content_id, strdup(address)};
}

/* Path and query of the URL, which may be whole, begin at the host, at the root, or at $1. */
static char *local_url(struct batch *b, const struct operation *op, struct reply *rep)
{
	const char *s = op->url;
	char root[400], *out;
	size_t n = strcspn(s, "/?");

	if (*s == '$' && strncmp(s, "$batch", 6)) {
		const char *made = batch_reference(b->d, s + 1, n - 1);
		if (!made) {
			api_error(
			    rep, 400, "",
			    "Content-ID Reference: '%.*s' does not exist in the batch context.",
			    n < 40 ? (int)n : 40, s);
			return NULL;
		}
		if (asprintf(&out, "%s%s", made, s + n) < 0)
			abort();
	} else {
		out = strdup(s);
	}
	int length = snprintf(root, sizeof root, "%s://%s", b->req->scheme, b->req->host);
	char *local = NULL;
	if (!strncasecmp(out, root, (size_t)length) && out[length] == '/')
		local = strdup(out + length);
	else if (*out == '/')
		local = strdup(out);
	else if (!strstr(out, "://") && asprintf(&local, "/api/data/v9.2/%s", out) < 0)
		abort();
	if (!local)
		api_error(rep, 400, E_QUERY, "The URL of a request in a batch is of another host.");
	free(out);
	return local;
}

static void run(struct batch *b, struct operation *op, struct reply *rep)
{
	char *url = local_url(b, op, rep);

	if (!url)
		return;
	char *question = strchr(url, '?');
	char *path = question ? strndup(url, (size_t)(question - url)) : strdup(url);
	struct request req = *b->req;
	req.method = op->method;
	req.path = path;
	req.query = question ? question + 1 : "";
	req.url = url;
	req.body = op->body;
	req.body_len = op->body_len;
	req.own = op->headers;
	req.own_count = op->header_count;
	req.is_part = true;
	api_dispatch(b->d, &req, rep);
	remember(b, op, rep);
	free(path);
	free(url);
}

/* ---- answering ----------------------------------------------------------------------------------------- */

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} known[] = {{200, "OK"},
		     {201, "Created"},
		     {204, "No Content"},
		     {304, "Not Modified"},
		     {400, "Bad Request"},
		     {401, "Unauthorized"},
		     {403, "Forbidden"},
		     {404, "Not Found"},
		     {405, "Method Not Allowed"},
		     {412, "Precondition Failed"},
		     {413, "Request Entity Too Large"},
		     {429, "Too Many Requests"},
		     {501, "Not Implemented"}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].status == status)
			return known[i].text;
	return "Error";
}

static void put_part(struct batch *b, struct text *o, const char *boundary,
		     const struct operation *op, const struct reply *rep)
{
	const char *location = header_value(rep->headers, rep->header_count, "OData-EntityId");
	char id[37];

	text_printf(o, "--%s\r\nContent-Type: application/http\r\n", boundary);
	text_puts(o, "Content-Transfer-Encoding: binary\r\n");
	if (op->content_id) {
		text_puts(o, "Content-ID: ");
		text_puts(o, op->content_id);
		text_puts(o, "\r\n");
	}
	text_printf(o, "\r\nHTTP/1.1 %d %s\r\n", rep->status, reason(rep->status));
	if (rep->status >= 400) {
		payload_new_id(b->d, id);
		text_printf(o, "REQ_ID: %s\r\n", id);
	}
	if (location) {
		text_puts(o, "Location: ");
		text_puts(o, location);
		text_puts(o, "\r\n");
	}
	for (size_t i = 0; i < rep->header_count; i++) {
		bool type = !strcasecmp(rep->headers[i].name, "Content-Type");
		text_puts(o, rep->headers[i].name);
		text_puts(o, ": ");
		text_puts(o, rep->headers[i].value);
		text_puts(o, type && rep->status == 200 &&
				     strstr(rep->headers[i].value, "application/json")
				 ? "; odata.streaming=true\r\n"
				 : "\r\n");
	}
	text_puts(o, "\r\n");
	if (rep->body)
		text_put(o, rep->body, rep->body_len);
	text_puts(o, "\r\n");
}

static void drop(struct reply *rep)
{
	header_free(rep->headers, &rep->header_count);
	free(rep->body);
}

/* Operations from `from` that belong to the same change set; the index behind them. *failed gets
 * the status of the error. */
static size_t run_change_set(struct batch *b, size_t from, const char *outer, struct text *o,
			     int *failed)
{
	struct text inside = {0};
	char id[37], boundary[80];
	size_t i = from;

	payload_new_id(b->d, id);
	snprintf(boundary, sizeof boundary, "changesetresponse_%s", id);
	store_begin(&b->d->store);
	for (; i < b->all.count && b->all.list[i].change_set == b->all.list[from].change_set; i++) {
		struct reply rep = {0};
		if (*failed)
			continue;
		run(b, &b->all.list[i], &rep);
		if (rep.status >= 400) { /* one part for the whole change set */
			*failed = rep.status;
			put_part(b, o, outer, &b->all.list[i], &rep);
		} else {
			put_part(b, &inside, boundary, &b->all.list[i], &rep);
		}
		drop(&rep);
	}
	store_end(&b->d->store, !*failed);
	forget_references(b);
	if (!*failed) {
		text_printf(o, "--%s\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n", outer,
			    boundary);
		text_put(o, inside.data, inside.len);
		text_printf(o, "--%s--\r\n", boundary);
	}
	free(inside.data);
	return i;
}

static void carry_out(struct batch *b)
{
	bool go_on = api_prefers(b->req, "odata.continue-on-error", NULL, 0);
	struct text o = {0};
	char id[37], boundary[80];
	int status = 200;

	payload_new_id(b->d, id);
	snprintf(boundary, sizeof boundary, "batchresponse_%s", id);
	for (size_t i = 0; i < b->all.count && status == 200;) {
		struct text part = {0};
		int failed = 0;
		if (b->all.list[i].change_set) {
			i = run_change_set(b, i, boundary, &part, &failed);
		} else {
			struct reply rep = {0};
			run(b, &b->all.list[i], &rep);
			failed = rep.status >= 400 ? rep.status : 0;
			put_part(b, &part, boundary, &b->all.list[i++], &rep);
			drop(&rep);
		}
		if (failed && !go_on) {
			status = failed;
			o.len = 0;
		}
		text_put(&o, part.data, part.len);
		free(part.data);
	}
	text_printf(&o, "--%s--\r\n", boundary);
	if (go_on)
		reply_header(b->rep, "Preference-Applied", "odata.continue-on-error");
	reply_header(b->rep, "OData-Version", "4.0");
	reply_header(b->rep, "Content-Type", "multipart/mixed; boundary=%s", boundary);
	b->rep->status = status;
	b->rep->body = o.data;
	b->rep->body_len = o.len;
}

void batch(struct dataverse *d, const struct request *req, struct reply *rep)
{
	struct batch b = {.d = d, .req = req, .rep = rep};

	snprintf(rep->route, sizeof rep->route, "$batch");
	if (multipart_read(&b.all, req, rep)) {
		b.references = calloc(REQUESTS_MAX, sizeof *b.references);
		d->batch = &b;
		carry_out(&b);
		d->batch = NULL;
		free(b.references);
	}
	multipart_free(&b.all);
}
