/* multipart.c - reads the body of a $batch.
 *
 * Facts: "Execute batch operations using the Web API", OData 4.0 protocol, 11.7 "Batch requests".
 * Lines end with CR LF or LF.  Every limit is one of the product, or of what a header may be.
 */
#include "multipart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "write.h"

enum { REQUEST_LINE_MAX = 65536 + 64, BOUNDARY_MAX = 200 };

struct reader {
	struct operations *all;
	struct reply *rep;
};

static bool malformed(struct reader *r, const char *why)
{
	api_error(r->rep, 400, E_QUERY, "Malformed batch: %s", why);
	return false;
}

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

void header_free(struct reply_header *headers, size_t *count)
{
	for (size_t i = 0; i < *count; i++) {
		free(headers[i].name);
		free(headers[i].value);
	}
	*count = 0;
}

const char *header_value(const struct reply_header *headers, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcasecmp(headers[i].name, name))
			return headers[i].value;
	return NULL;
}

/* Up to and with the empty line.  One that is repeated is joined by a comma. */
static bool take_headers(struct reader *r, struct slice *s, struct reply_header *headers,
			 size_t *count)
{
	struct slice line;

	while (next_line(s, &line) && line.at < line.end) {
		const char *colon = memchr(line.at, ':', (size_t)(line.end - line.at));
		if (!colon || colon == line.at)
			return malformed(r, "a header without a colon.");
		for (const char *c = line.at; c < line.end; c++)
			if ((unsigned char)*c < 0x20 && *c != '\t')
				return malformed(r, "a control character in a header.");
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
			return malformed(r, "too many headers in a part.");
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
static int next_part(struct reader *r, struct slice *s, const char *boundary, bool *last,
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
	malformed(r, "the closing boundary is missing.");
	return -1;
}

/* Moves behind the first delimiter; what stands before it is a preamble. */
static bool find_first(struct reader *r, struct slice *s, const char *boundary, bool *last)
{
	struct slice line;

	while (next_line(s, &line))
		if (is_delimiter(&line, boundary, last))
			return true;
	return malformed(r, "the boundary of its Content-Type is not in the body.");
}

static bool take_request_line(struct reader *r, const struct slice *line, struct operation *op)
{
	const char *first = memchr(line->at, ' ', (size_t)(line->end - line->at)),
		   *last = line->end;

	if (line->end - line->at > REQUEST_LINE_MAX)
		return malformed(r, "a URL of more than 65,536 characters.");
	while (last > line->at && last[-1] != ' ')
		last--;
	if (!first || last <= first + 1 || line->end - last != 8 || strncmp(last, "HTTP/1.1", 8) ||
	    memchr(line->at, 0, (size_t)(line->end - line->at)))
		return malformed(r, "a request line is not of the form METHOD URL HTTP/1.1.");
	op->method = copy(line->at, first);
	op->url = copy(first, last);
	if (!*op->url || strchr(op->url, ' '))
		return malformed(r, "a blank in the URL of a request line.");
	return true;
}

static bool in_change_set(struct reader *r, const struct operation *op)
{
	static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
	bool known = false;

	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		known |= !strcmp(methods[i], op->method);
	if (known)
		return true;
	api_error(r->rep, 400, E_QUERY,
		  "An invalid HTTP method '%.20s' was detected for a request in a change set. "
		  "Requests in change sets only support the HTTP methods 'POST', 'PUT', 'DELETE', "
		  "and 'PATCH'.",
		  op->method);
	return false;
}

static bool take_content_id(struct reader *r, struct operation *op, const char *id)
{
	if (!id)
		return true;
	for (struct operation *o = r->all->list; op->change_set && o < op; o++)
		if (o->change_set == op->change_set && o->content_id && !strcmp(o->content_id, id))
			return malformed(r, "the same Content-ID twice in a change set.");
	op->content_id = strdup(id);
	return true;
}

static bool take_operation(struct reader *r, struct slice s, const char *content_id, int change_set)
{
	struct slice line = {s.at, s.at};

	if (r->all->count == REQUESTS_MAX)
		return malformed(r, "more than 1000 requests.");
	struct operation *op = &r->all->list[r->all->count++];
	*op = (struct operation){.change_set = change_set};
	while (next_line(&s, &line) && line.at == line.end)
		;
	if (!take_request_line(r, &line, op) || !take_content_id(r, op, content_id) ||
	    (change_set && !in_change_set(r, op)) ||
	    !take_headers(r, &s, op->headers, &op->header_count))
		return false;
	op->body_len = (size_t)(s.end - s.at);
	op->body = malloc(op->body_len + 1);
	memcpy(op->body, s.at, op->body_len);
	op->body[op->body_len] = 0;
	return true;
}

static bool take_parts(struct reader *r, struct slice s, const char *boundary, int change_set);

static bool take_part(struct reader *r, struct slice part, int change_set)
{
	struct reply_header headers[HEADERS_MAX];
	size_t count = 0;
	char boundary[BOUNDARY_MAX + 1];
	bool good = take_headers(r, &part, headers, &count);
	const char *type = header_value(headers, count, "Content-Type");
	const char *encoding = header_value(headers, count, "Content-Transfer-Encoding");

	if (!good) {
		/* said */
	} else if (type && !strncasecmp(type, "multipart/", 10)) {
		if (change_set)
			good = malformed(r, "a change set within a change set.");
		else if (!boundary_of(type, boundary))
			good = malformed(r, "a change set without a boundary.");
		else
			good = take_parts(r, part, boundary, ++r->all->change_sets);
	} else if (!type || strncasecmp(type, "application/http", 16)) {
		good = malformed(r, "a part is neither application/http nor multipart/mixed.");
	} else if (!encoding || strcasecmp(encoding, "binary")) {
		good = malformed(r, "a part without Content-Transfer-Encoding: binary.");
	} else {
		good =
		    take_operation(r, part, header_value(headers, count, "Content-ID"), change_set);
	}
	header_free(headers, &count);
	return good;
}

static bool take_parts(struct reader *r, struct slice s, const char *boundary, int change_set)
{
	struct slice part;
	bool last = false;
	int more;

	if (!find_first(r, &s, boundary, &last))
		return false;
	while ((more = next_part(r, &s, boundary, &last, &part)) > 0)
		if (!take_part(r, part, change_set))
			return false;
	return more == 0;
}

bool multipart_read(struct operations *o, const struct request *req, struct reply *rep)
{
	struct reader r = {o, rep};
	struct slice body = {req->body, req->body + req->body_len};
	char boundary[BOUNDARY_MAX + 1];

	*o = (struct operations){0};
	if (!boundary_of(request_header(req, "Content-Type"), boundary))
		return malformed(&r, "its Content-Type is not multipart/mixed with a boundary.");
	o->list = calloc(REQUESTS_MAX, sizeof *o->list);
	return take_parts(&r, body, boundary, 0);
}

void multipart_free(struct operations *o)
{
	for (size_t i = 0; i < o->count; i++) {
		struct operation *op = &o->list[i];
		free(op->method);
		free(op->url);
		free(op->body);
		free(op->content_id);
		header_free(op->headers, &op->header_count);
	}
	free(o->list);
}
