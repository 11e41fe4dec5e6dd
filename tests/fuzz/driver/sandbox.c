/* sandbox.c - a sandbox's handlers without its sockets: an input is a request as text, "METHOD url",
 * header lines, an empty line, the body.
 *
 * The linker puts the functions named __wrap_ in the place of the server's (--wrap): main() of the
 * sandbox hands over its product instead of serving it, and headers come from the input.  A token
 * and a media type are added where the input has none, so that inputs get past the door.  Rows stay from one input to
 * the next; the sandbox must bear that too.
 *
 * An answer must be one: a status, JSON that is JSON, no line break in a header, and no 5xx but the
 * one that says what the sandbox means to refuse.
 */
#include "sandbox.h"

#include "../../sandbox/server/server.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int sandbox_main(int argc, char **argv);
int __wrap_server_main(int argc, char **argv, const struct product *p);
uint64_t __wrap_server_seed(const struct server *srv);
long __wrap_server_contacts(const struct server *srv);
const char *__wrap_server_data(const struct server *srv);
const char *__real_request_header(const struct request *req, const char *name);
const char *__wrap_request_header(const struct request *req, const char *name);

static const struct product *product;
static char bearer[2000];

/* The headers of the request that is being answered. */
static struct {
	char *name, *value;
} headers[32];
static size_t header_count;

uint64_t __wrap_server_seed(const struct server *srv)
{
	(void)srv;
	return 1;
}

long __wrap_server_contacts(const struct server *srv)
{
	(void)srv;
	return 5;
}

const char *__wrap_server_data(const struct server *srv)
{
	(void)srv;
	return NULL;
}

const char *__wrap_request_header(const struct request *req, const char *name)
{
	if (req->is_part)
		return __real_request_header(req, name);
	for (size_t i = 0; i < header_count; i++)
		if (!strcasecmp(headers[i].name, name))
			return headers[i].value;
	if (!strcasecmp(name, "Authorization") && *bearer)
		return bearer;
	if (!strcasecmp(name, "Content-Type"))
		return "application/json";
	return strcasecmp(name, "X-Api-Key") ? NULL : "sandbox";
}

static void fail(const char *what, const struct reply *rep)
{
	fprintf(stderr, "fuzz: %s: %d %.*s\n", what, rep->status, (int)rep->body_len,
		rep->body ? rep->body : "");
	abort();
}

static void judge(const struct reply *rep)
{
	const char *type = "";

	if (rep->status < 200 || rep->status > 599)
		fail("no status", rep);
	if (rep->status >= 500 && rep->status != 501 && rep->status != fuzzed.failure)
		fail("broke down", rep);
	if (rep->body_len && !rep->body)
		fail("no body", rep);
	for (size_t i = 0; i < rep->header_count; i++) {
		if (strpbrk(rep->headers[i].name, "\r\n:") ||
		    strpbrk(rep->headers[i].value, "\r\n"))
			fail("a header is more than one line", rep);
		if (!strcasecmp(rep->headers[i].name, "Content-Type"))
			type = rep->headers[i].value;
	}
	if (!strncmp(type, "application/json", 16) && rep->body_len) {
		const char *end;
		cJSON *json = cJSON_ParseWithLengthOpts(rep->body, rep->body_len, &end, false);
		if (!json || end != rep->body + rep->body_len)
			fail("JSON that is none", rep);
		cJSON_Delete(json);
	}
}

static void answered(struct reply *rep)
{
	for (size_t i = 0; i < rep->header_count; i++) {
		free(rep->headers[i].name);
		free(rep->headers[i].value);
	}
	free(rep->body);
	*rep = (struct reply){0};
}

/* Takes the first line off the text; NULL when there is none. */
static char *line(char **text)
{
	char *at = *text, *end = strchr(at, '\n');

	if (!end)
		return NULL;
	*text = end + 1;
	*end = 0;
	if (end > at && end[-1] == '\r')
		end[-1] = 0;
	return at;
}

/* What a URL or a header cannot hold never gets past the real server. */
static bool is_free_of(const char *s, const char *others)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || strchr(others, *s))
			return false;
	return true;
}

/* text: NUL terminated behind size bytes, and written into. */
static void request(char *text, size_t size, struct reply *rep)
{
	char *end = text + size, *first = line(&text), *l;
	char *url = first ? strchr(first, ' ') : NULL;

	if (!url || url == first || url[1] != '/' || !is_free_of(url + 1, " "))
		return;
	*url++ = 0;
	header_count = 0;
	while ((l = line(&text)) && *l) {
		char *colon = strchr(l, ':');
		if (!colon || !is_free_of(l, "") ||
		    header_count == sizeof headers / sizeof *headers)
			return;
		*colon++ = 0;
		headers[header_count].name = l;
		headers[header_count++].value = colon + strspn(colon, " ");
	}
	char *path = strdup(url), *query = strchr(path, '?');
	if (query)
		*query++ = 0;
	struct request req = {.method = first,
			      .path = path,
			      .query = query ? query : "",
			      .url = url,
			      .scheme = "http",
			      .host = "127.0.0.1",
			      .body = l ? text : end,
			      .body_len = l ? (size_t)(end - text) : 0,
			      .connection = headers};
	product->handle(product->state, &req, rep);
	judge(rep);
	free(path);
}

static void request_of(const char *s, struct reply *rep)
{
	char *text = strdup(s);
	request(text, strlen(s), rep);
	free(text);
}

int __wrap_server_main(int argc, char **argv, const struct product *p)
{
	char why[300] = "";
	struct reply rep = {0};

	(void)argc, (void)argv;
	product = p;
	if (!p->option(p->state, fuzzed.option, fuzzed.folder, why, sizeof why) ||
	    !p->open(p->state, NULL, why, sizeof why)) {
		fprintf(stderr, "fuzz: %s\n", why);
		exit(1);
	}
	request_of(fuzzed.token, &rep);
	cJSON *json = cJSON_Parse(rep.body);
	snprintf(bearer, sizeof bearer, "Bearer %s",
		 cJSON_GetStringValue(cJSON_GetObjectItem(json, "access_token")));
	cJSON_Delete(json);
	answered(&rep);
	for (int i = 0; i < 2; i++) {
		request_of(fuzzed.rows[i], &rep);
		if (rep.status / 100 != 2)
			fail("no row to begin with", &rep);
		answered(&rep);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reply rep = {0};

	if (!product)
		sandbox_main(1, (char *[]){"fuzz", NULL});
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = 0;
	request(text, size, &rep);
	answered(&rep);
	free(text);
	return 0;
}
