/* batch.c - rows by $batch, for tables without bulk messages.
 *
 * Each row is a request of its own within the batch and has an answer of its own, in order, because
 * the batch goes on behind errors (Microsoft, "Execute batch operations using the Web API").
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "arena.h"
#include "loader.h"

#define BOUNDARY "batch_tideway"

void batch_request(struct dataverse_loader *l, const struct load_job *job, struct http_request *req,
		   size_t headers)
{
	const char *host = strstr(l->dataverse.url, "//"),
		   *path = host ? strchr(host + 2, '/') : NULL;

	for (size_t i = 0; i < job->count; i++) {
		const struct row *row = job->records[i];
		const struct activity_table *t = &l->tables[row->kind];
		buffer_printf(&l->body,
			      "--" BOUNDARY "\r\nContent-Type: application/http\r\n"
			      "Content-Transfer-Encoding: binary\r\n\r\n"
			      "PATCH %s/api/data/v9.2/%s(%s) HTTP/1.1\r\n"
			      "Content-Type: application/json; type=entry\r\n\r\n{",
			      path ? path : "", t->table->entity_set, row->id);
		write_members(l, job, row, &l->body);
		buffer_puts(&l->body, "}\r\n");
	}
	buffer_puts(&l->body, "--" BOUNDARY "--\r\n");
	l->url = xasprintf("%s/api/data/v9.2/$batch", l->dataverse.url);
	req->headers[headers] = "Content-Type: multipart/mixed; boundary=\"" BOUNDARY "\"";
	req->headers[headers + 1] = "Prefer: odata.continue-on-error";
}

/* "multipart/mixed; boundary=batchresponse_...", quoted or not. */
static bool boundary_of(const char *content_type, char *out, size_t size)
{
	const char *b = strcasestr(content_type, "boundary=");

	if (!b)
		return false;
	b += strlen("boundary=");
	b += *b == '"';
	size_t n = strcspn(b, "\"; ");
	return n && (size_t)snprintf(out, size, "--%.*s", (int)n, b) < size;
}

/* The next part: from behind its boundary to before the following one; NULL at the end. */
static char *next_part(char **at, const char *boundary)
{
	char *begin = *at ? strstr(*at, boundary) : NULL;

	if (!begin)
		return NULL;
	begin += strlen(boundary);
	if (!strncmp(begin, "--", 2))
		return NULL;
	char *end = strstr(begin, boundary);
	if (!end)
		return NULL;
	*at = end;
	end[-1] = 0; /* the newline in front of the boundary */
	return begin;
}

/* A part: its headers, a blank line, the answer with a status line, headers, a blank line, a body. */
static bool read_part(char *part, struct http_response *out)
{
	char *status = strstr(part, "HTTP/1.");
	char *blank = status ? strstr(status, "\n\r\n") : NULL;
	char *bare = status ? strstr(status, "\n\n") : NULL;
	char *body = blank && (!bare || blank < bare) ? blank + 3 : bare ? bare + 2 : NULL;
	char *retry = status ? strcasestr(status, "\nRetry-After:") : NULL;

	*out = (struct http_response){.retry_after_ms = -1, .sent = true};
	if (!status || sscanf(status, "HTTP/1.%*d %d", &out->status) != 1)
		return false;
	if (retry && (!body || retry < body))
		out->retry_after_ms = strtoll(retry + strlen("\nRetry-After:"), NULL, 10) * 1000;
	out->body.data = body;
	out->body.len = body ? strlen(body) : 0;
	return true;
}

static void judge(struct dataverse_loader *l, const struct row *row,
		  const struct http_response *res, mono_time now, struct load_verdict *v)
{
	v->result = dataverse_answer(res, now, &v->err);
	/* A row that names a contact that is not there; any other is not found for another reason. */
	if (v->result == REJECT && !strcmp(v->err.reason, "not-found") && res->body.data &&
	    strcasestr(res->body.data, winner_of(l->winners, row->contact)))
		write_missing(v, winner_of(l->winners, row->contact));
}

enum result batch_answer(struct dataverse_loader *l, struct load_job *job,
			 const struct http_response *res, mono_time now, struct error *err)
{
	_cleanup_(freep) char *text = xstrndup(res->body.data ? res->body.data : "", res->body.len);
	struct load_verdict *v = xcalloc(job->count, sizeof *v);
	size_t counts[4] = {0}, n = 0;
	char boundary[90], *at = text, *part;
	struct http_response one;

	if (boundary_of(res->content_type, boundary, sizeof boundary))
		for (; n < job->count && (part = next_part(&at, boundary)); n++) {
			if (!read_part(part, &one))
				break;
			judge(l, job->records[n], &one, now, &v[n]);
			counts[v[n].result]++;
			if (v[n].result > REJECT || (v[n].result == RETRY && err))
				*err = v[n].err;
		}
	if (n < job->count) {
		free(v);
		return error_retry(err, "torn-batch",
				   "dataverse answers %zu of %zu parts of a batch", n, job->count);
	}
	if (counts[OK] == job->count || counts[FATAL] || counts[RETRY] == job->count) {
		free(v);
		return counts[FATAL] ? FATAL : counts[RETRY] ? RETRY : OK;
	}
	/* Rows are also done that still have to be completed: they go through once more. */
	for (size_t i = 0; i < job->count; i++)
		if (v[i].result == OK && job->step == STEP_WRITE && !l->flow->leave_open &&
		    !l->tables[((const struct row *)job->records[i])->kind].state_on_create)
			v[i].result = RETRY;
	job->verdicts = v;
	job->outcome = LOAD_CREATED; /* of those that are OK */
	return error_reject(err, "batch", "some rows of a batch are refused");
}
