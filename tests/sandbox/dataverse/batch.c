/* batch.c - $batch: many requests in one.
 *
 * Facts: "Execute batch operations using the Web API".  The whole of it is read before anything is
 * carried out, so that a malformed batch changes nothing.  Then the requests run one after the
 * other, a change set in one transaction; the first error ends the batch, unless the client
 * prefers odata.continue-on-error.
 */
#include "write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text.h"

enum { REQUESTS_MAX = 1000, HEADERS_MAX = 32, REQUEST_LINE_MAX = 65536 + 64, BOUNDARY_MAX = 200 };

struct operation {
	char *method, *url, *body, *content_id;
	size_t body_len;
	struct reply_header headers[HEADERS_MAX];
	size_t header_count;
	int change_set; /* 0: none */
};

/* The addresses that the requests of the change set at work made, by their Content-ID. */
struct reference {
	const char *id;
	char *address;
};

struct batch {
	struct dataverse *d;
	const struct request *req;
	struct reply *rep;
	struct operation *operations;
	size_t count;
	int change_sets;
	struct reference *references;
	size_t reference_count;
};

static bool malformed(struct batch *b, const char *why)
{
	api_error(b->rep, 400, E_QUERY, "Malformed batch: %s", why);
	return false;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

struct slice {
	const char *at, *end;
};

/* The next line without its end (CR LF or LF); false at the end. */
static bool next_line(struct slice *s, struct slice *line)
{
	if (s->at >= s->end)
		return false;
	const char *feed = memchr(s->at, '\n', (size_t)(s->end - s->at));
	const char *end = feed ? feed : s->end;
	line->at = s->at;
	line->end = end > s->at && end[-1] == '\r' && feed ? end - 1 : end;
	s->at = feed ? feed + 1 : s->end;
	return true;
}

static char *copy(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return strndup(at, (size_t)(end - at));
}

static void free_headers(struct reply_header *headers, size_t *count)
{
	for (size_t i = 0; i < *count; i++) {
		free(headers[i].name);
		free(headers[i].value);
	}
	*count = 0;
}

static const char *header(const struct reply_header *headers, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcasecmp(headers[i].name, name))
			return headers[i].value;
	return NULL;
}

/* Up to and with the empty line.  One that is repeated is joined by a comma. */
static bool take_headers(struct batch *b, struct slice *s, struct reply_header *headers,
			 size_t *count)
{
	struct slice line;

	while (next_line(s, &line) && line.at < line.end) {
		const char *colon = memchr(line.at, ':', (size_t)(line.end - line.at));
		if (!colon || colon == line.at)
			return malformed(b, "a header without a colon.");
		for (const char *c = line.at; c < line.end; c++)
			if ((unsigned char)*c < 0x20 && *c != '\t')
				return malformed(b, "a control character in a header.");
		char *name = copy(line.at, colon), *value = copy(colon + 1, line.end);
		size_t same = 0;
		while (same < *count && strcasecmp(headers[same].name, name))
			same++;
		if (same < *count) {
			char *joined;
			if (asprintf(&joined, "%s,%s", headers[same].value, value) < 0)
				abort();
			free(headers[same].value);
			free(name);
			free(value);
			headers[same].value = joined;
			continue;
		}
		if (*count == HEADERS_MAX) {
			free(name);
			free(value);
			return malformed(b, "too many headers in a part.");
		}
		headers[(*count)++] = (struct reply_header){name, value};
	}
	return true;
}

/* multipart/mixed; boundary="..": the boundary, or false. */
static bool boundary_of(const char *type, char out[BOUNDARY_MAX + 1])
{
	const char *at = type && !strncasecmp(type, "multipart/mixed", 15) ? type + 15 : NULL;

	while (at && *at) {
		at += strspn(at, "; \t");
		if (!strncasecmp(at, "boundary=", 9)) {
			at += 9;
			bool quoted = *at == '"';
			at += quoted;
			size_t n = strcspn(at, quoted ? "\"" : "; \t");
			if (!n || n > BOUNDARY_MAX || (quoted && at[n] != '"'))
				return false;
			snprintf(out, BOUNDARY_MAX + 1, "%.*s", (int)n, at);
			return true;
		}
		at += strcspn(at, ";");
	}
	return false;
}

/* Is the line "--boundary", or "--boundary--"? */
static bool is_delimiter(const struct slice *line, const char *boundary, bool *last)
{
	size_t n = strlen(boundary), len = (size_t)(line->end - line->at);

	while (len && (line->at[len - 1] == ' ' || line->at[len - 1] == '\t'))
		len--;
	if (len < n + 2 || strncmp(line->at, "--", 2) || strncmp(line->at + 2, boundary, n))
		return false;
	*last = len == n + 4 && !strncmp(line->at + n + 2, "--", 2);
	return len == n + 2 || *last;
}

/* The next part's inside.  1: there is one, 0: the end was reached, -1: answered. */
static int next_part(struct batch *b, struct slice *s, const char *boundary, bool *last,
		     struct slice *part)
{
	struct slice line;

	if (*last)
		return 0;
	part->at = part->end = s->at;
	while (next_line(s, &line)) {
		if (is_delimiter(&line, boundary, last)) {
			/* the line break before the delimiter belongs to the delimiter */
			if (part->end > part->at && part->end[-1] == '\n')
				part->end--;
			if (part->end > part->at && part->end[-1] == '\r')
				part->end--;
			return 1;
		}
		part->end = s->at;
	}
	malformed(b, "the closing boundary is missing.");
	return -1;
}

/* Moves behind the first delimiter; what stands before it is a preamble. */
static bool find_first(struct batch *b, struct slice *s, const char *boundary, bool *last)
{
	struct slice line;

	while (next_line(s, &line))
		if (is_delimiter(&line, boundary, last))
			return true;
	return malformed(b, "the boundary of its Content-Type is not in the body.");
}

static bool take_request_line(struct batch *b, const struct slice *line, struct operation *op)
{
	const char *first = memchr(line->at, ' ', (size_t)(line->end - line->at)),
		   *last = line->end;

	if (line->end - line->at > REQUEST_LINE_MAX)
		return malformed(b, "a URL of more than 65,536 characters.");
	while (last > line->at && last[-1] != ' ')
		last--;
	if (!first || last <= first + 1 || line->end - last != 8 || strncmp(last, "HTTP/1.1", 8) ||
	    memchr(line->at, 0, (size_t)(line->end - line->at)))
		return malformed(b, "a request line is not of the form METHOD URL HTTP/1.1.");
	op->method = copy(line->at, first);
	op->url = copy(first, last);
	if (!*op->url || strchr(op->url, ' '))
		return malformed(b, "a blank in the URL of a request line.");
	return true;
}

static bool in_change_set(struct batch *b, const struct operation *op)
{
	static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
	bool known = false;

	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		known |= !strcmp(methods[i], op->method);
	if (known)
		return true;
	api_error(b->rep, 400, E_QUERY,
		  "An invalid HTTP method '%.20s' was detected for a request in a change set. "
		  "Requests in change sets only support the HTTP methods 'POST', 'PUT', 'DELETE', "
		  "and 'PATCH'.",
		  op->method);
	return false;
}

static bool take_content_id(struct batch *b, struct operation *op, const char *id)
{
	if (!id)
		return true;
	for (struct operation *o = b->operations; op->change_set && o < op; o++)
		if (o->change_set == op->change_set && o->content_id && !strcmp(o->content_id, id))
			return malformed(b, "the same Content-ID twice in a change set.");
	op->content_id = strdup(id);
	return true;
}

static bool take_operation(struct batch *b, struct slice s, const char *content_id, int change_set)
{
	struct slice line = {s.at, s.at};

	if (b->count == REQUESTS_MAX)
		return malformed(b, "more than 1000 requests.");
	struct operation *op = &b->operations[b->count++];
	*op = (struct operation){.change_set = change_set};
	while (next_line(&s, &line) && line.at == line.end)
		;
	if (!take_request_line(b, &line, op) || !take_content_id(b, op, content_id) ||
	    (change_set && !in_change_set(b, op)) ||
	    !take_headers(b, &s, op->headers, &op->header_count))
		return false;
	op->body_len = (size_t)(s.end - s.at);
	op->body = malloc(op->body_len + 1);
	memcpy(op->body, s.at, op->body_len);
	op->body[op->body_len] = 0;
	return true;
}

static bool take_parts(struct batch *b, struct slice s, const char *boundary, int change_set);

static bool take_part(struct batch *b, struct slice part, int change_set)
{
	struct reply_header headers[HEADERS_MAX];
	size_t count = 0;
	char boundary[BOUNDARY_MAX + 1];
	bool good = take_headers(b, &part, headers, &count);
	const char *type = header(headers, count, "Content-Type");
	const char *encoding = header(headers, count, "Content-Transfer-Encoding");

	if (!good) {
		/* said */
	} else if (type && !strncasecmp(type, "multipart/", 10)) {
		if (change_set)
			good = malformed(b, "a change set within a change set.");
		else if (!boundary_of(type, boundary))
			good = malformed(b, "a change set without a boundary.");
		else
			good = take_parts(b, part, boundary, ++b->change_sets);
	} else if (!type || strncasecmp(type, "application/http", 16)) {
		good = malformed(b, "a part is neither application/http nor multipart/mixed.");
	} else if (!encoding || strcasecmp(encoding, "binary")) {
		good = malformed(b, "a part without Content-Transfer-Encoding: binary.");
	} else {
		good = take_operation(b, part, header(headers, count, "Content-ID"), change_set);
	}
	free_headers(headers, &count);
	return good;
}

static bool take_parts(struct batch *b, struct slice s, const char *boundary, int change_set)
{
	struct slice part;
	bool last = false;
	int more;

	if (!find_first(b, &s, boundary, &last))
		return false;
	while ((more = next_part(b, &s, boundary, &last, &part)) > 0)
		if (!take_part(b, part, change_set))
			return false;
	return more == 0;
}

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
	const char *address = header(rep->headers, rep->header_count, "OData-EntityId");

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
	const char *location = header(rep->headers, rep->header_count, "OData-EntityId");
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
	free_headers(rep->headers, &rep->header_count);
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
	for (; i < b->count && b->operations[i].change_set == b->operations[from].change_set; i++) {
		struct reply rep = {0};
		if (*failed)
			continue;
		run(b, &b->operations[i], &rep);
		if (rep.status >= 400) { /* one part for the whole change set */
			*failed = rep.status;
			put_part(b, o, outer, &b->operations[i], &rep);
		} else {
			put_part(b, &inside, boundary, &b->operations[i], &rep);
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
	for (size_t i = 0; i < b->count && status == 200;) {
		struct text part = {0};
		int failed = 0;
		if (b->operations[i].change_set) {
			i = run_change_set(b, i, boundary, &part, &failed);
		} else {
			struct reply rep = {0};
			run(b, &b->operations[i], &rep);
			failed = rep.status >= 400 ? rep.status : 0;
			put_part(b, &part, boundary, &b->operations[i++], &rep);
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
	char boundary[BOUNDARY_MAX + 1];
	struct slice body = {req->body, req->body + req->body_len};

	snprintf(rep->route, sizeof rep->route, "$batch");
	if (!boundary_of(request_header(req, "Content-Type"), boundary)) {
		malformed(&b, "its Content-Type is not multipart/mixed with a boundary.");
		return;
	}
	b.operations = calloc(REQUESTS_MAX, sizeof *b.operations);
	b.references = calloc(REQUESTS_MAX, sizeof *b.references);
	d->batch = &b;
	if (take_parts(&b, body, boundary, 0))
		carry_out(&b);
	d->batch = NULL;
	for (size_t i = 0; i < b.count; i++) {
		struct operation *op = &b.operations[i];
		free(op->method);
		free(op->url);
		free(op->body);
		free(op->content_id);
		free_headers(op->headers, &op->header_count);
	}
	free(b.operations);
	forget_references(&b);
	free(b.references);
}
