/* write.c - rows go out, and what the answers mean.
 *
 * UpsertMultiple is one transaction: one bad row refuses all (Microsoft, "Use bulk operation
 * messages").  What a batch costs then is bounded:
 *
 *   a contact that is not there   the answer names it: its rows are taken out, and the rest goes on;
 *                                 when it happens again in the same batch, all its contacts are
 *                                 asked for, ASK_AT_ONCE a call: of n rows that is n / 200 calls
 *                                 and three writes; while one in twenty is missing, the next
 *                                 batches are asked for first, and cost one write
 *   anything else                 the loop halves the batch until the bad row stands alone
 *
 * A table whose state cannot be given at creation gets it by a second bulk call.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"
#include "loader.h"
#include "log.h"
#include "parked.h"

static struct activity_table *table_of(struct dataverse_loader *l, const struct load_job *job)
{
	return &l->tables[((const struct row *)job->records[0])->kind];
}

/* ---- requests --------------------------------------------------------------------------------- */

void write_members(struct dataverse_loader *l, const struct load_job *job, const struct row *row,
		   struct buffer *out)
{
	const struct activity_table *t = &l->tables[row->kind];
	bool complete = !l->flow->leave_open;

	if (job->step == STEP_COMPLETE) {
		buffer_puts(out, "\"statecode\":1");
		return;
	}
	buffer_printf(out, "%s,\"%s@odata.bind\":\"/%s(%s)\"%s", row->members, t->navigation,
		      l->contact->entity_set, winner_of(l->winners, row->contact),
		      complete && t->state_on_create ? ",\"statecode\":1" : "");
}

static void bulk_request(struct dataverse_loader *l, const struct load_job *job,
			 struct http_request *req, size_t headers)
{
	const struct activity_table *t = table_of(l, job);

	buffer_puts(&l->body, "{\"Targets\":[");
	for (size_t i = 0; i < job->count; i++) {
		const struct row *row = job->records[i];
		buffer_printf(&l->body,
			      "%s{\"@odata.type\":\"Microsoft.Dynamics.CRM.%s\",\"activityid\":"
			      "\"%s\",",
			      i ? "," : "", t->table->name, row->id);
		write_members(l, job, row, &l->body);
		buffer_puts(&l->body, "}");
	}
	buffer_puts(&l->body, "]}");
	l->url = xasprintf("%s/api/data/v9.2/%s/Microsoft.Dynamics.CRM.%s", l->dataverse.url,
			   t->table->entity_set,
			   job->step == STEP_COMPLETE ? "UpdateMultiple" : "UpsertMultiple");
	req->headers[headers] = "Content-Type: application/json; charset=utf-8";
}

/* The contacts of a job from `asked` on, each once, as many as a call may have. */
static void ask_request(struct dataverse_loader *l, struct load_job *job, struct http_request *req)
{
	const char *contacts[ASK_AT_ONCE];
	struct buffer url = BUFFER(64 * 1024);
	size_t n = 0;

	buffer_printf(&url,
		      "%s/api/data/v9.2/%s?$select=contactid&$filter=Microsoft.Dynamics.CRM.In("
		      "PropertyName='contactid',PropertyValues=[",
		      l->dataverse.url, l->contact->entity_set);
	if (job->asked >= job->count) /* rows of a partition that went were taken out */
		job->asked = 0;
	for (job->asking = job->asked; job->asking < job->count; job->asking++) {
		const struct row *row = job->records[job->asking];
		const char *contact = winner_of(l->winners, row->contact);
		size_t i = 0;
		while (i < n && strcmp(contacts[i], contact))
			i++;
		if (i < n)
			continue;
		if (n == ASK_AT_ONCE)
			break;
		contacts[n++] = contact;
		buffer_printf(&url, "%s'%s'", i ? "," : "", contact);
	}
	buffer_puts(&url, "])");
	l->url = url.data;
	req->method = "GET";
}

enum result write_request(void *state, struct load_job *job, struct http_request *req,
			  struct error *err)
{
	struct dataverse_loader *l = state;
	enum result r = oauth_ensure(&l->dataverse.oauth, l->stage->http, mono_now(), err);

	if (r == OK)
		r = winners_refresh(l, mono_now(), err);
	if (r != OK)
		return r;
	job->token = l->dataverse.oauth.serial;
	if (!job->full) {
		job->full = job->count;
		if (l->ask_first) {
			job->step = STEP_ASK;
			job->unknown = NAMED_TIMES;
			job->found = true; /* it was not refused: it goes out whatever the answer */
		}
	}
	free(l->url);
	l->url = NULL;
	buffer_reset(&l->body);
	*req = (struct http_request){.method = "POST",
				     .max_response_bytes = DATAVERSE_ANSWER_MAX_BYTES,
				     .timeout_ms = l->flow->request_timeout_ms};
	size_t n = dataverse_headers(&l->dataverse, NULL, req->headers);
	if (*l->bypass)
		req->headers[n++] = l->bypass;
	if (job->step == STEP_ASK) {
		ask_request(l, job, req);
		job->call = "ask";
	} else if (table_of(l, job)->bulk) {
		bulk_request(l, job, req, n);
		job->call = job->step == STEP_COMPLETE ? "UpdateMultiple" : "UpsertMultiple";
	} else {
		batch_request(l, job, req, n);
		job->call = "$batch";
	}
	if (l->body.overflow)
		return error_reject(err, "too-large", "a batch is larger than a request may be");
	req->url = l->url;
	req->body = l->body.data;
	req->body_len = l->body.len;
	if (job->step == STEP_ASK)
		req->body = NULL;
	l->requests++;
	return OK;
}

/* ---- answers ---------------------------------------------------------------------------------- */

void write_missing(struct load_verdict *v, const char *contact)
{
	v->result = REJECT;
	v->parent = parked_parent("contact", contact, strlen(contact));
	v->missing = contact;
	error_reject(&v->err, "contact_gone", "there is no contact %s", contact);
}

static struct load_verdict *verdicts_of(const struct load_job *job)
{
	struct load_verdict *v = xcalloc(job->count, sizeof *v);
	for (size_t i = 0; i < job->count; i++)
		v[i].result = RETRY;
	return v;
}

/* Does the answer name the id? Its letters may be of any case. */
static bool names(const struct buffer *body, const char *id)
{
	for (size_t i = 0; body->len >= 36 && i <= body->len - 36; i++)
		if (!strncasecmp(body->data + i, id, 36))
			return true;
	return false;
}

/* Takes out the rows of contacts that the answer names. False: it names none of ours. */
static bool take_out_named(struct dataverse_loader *l, struct load_job *job,
			   const struct http_response *res)
{
	struct load_verdict *v = verdicts_of(job);
	bool any = false;

	for (size_t i = 0; i < job->count; i++) {
		const struct row *row = job->records[i];
		const char *contact = winner_of(l->winners, row->contact);
		if (!names(&res->body, contact))
			continue;
		write_missing(&v[i], contact);
		any = true;
	}
	if (any)
		job->verdicts = v;
	else
		free(v);
	return any;
}

static enum result not_found(struct dataverse_loader *l, struct load_job *job,
			     const struct http_response *res, bool *again)
{
	if (job->count == 1) {
		const struct row *row = job->records[0];
		const char *contact = winner_of(l->winners, row->contact);
		if (names(&res->body, contact)) {
			job->parent = parked_parent("contact", contact, strlen(contact));
			job->missing = contact;
		}
		return REJECT;
	}
	if (job->unknown++ >= NAMED_TIMES) {
		job->step = STEP_ASK;
		job->asked = 0;
		job->found = false;
		*again = true;
		return OK;
	}
	take_out_named(l, job, res); /* else it is halved */
	return REJECT;
}

/* Who was asked for is there, or waits.  When all are asked for, the rest goes out. */
static enum result asked(struct dataverse_loader *l, struct load_job *job,
			 const struct http_response *res, bool *again, struct error *err)
{
	cJSON *json = json_parse(res->body.data ? res->body.data : "", res->body.len);
	const cJSON *rows = cJSON_GetObjectItemCaseSensitive(json, "value");
	struct load_verdict *v = verdicts_of(job);
	size_t end = job->asking < job->count ? job->asking : job->count, gone = 0;

	if (!cJSON_IsArray(rows)) {
		cJSON_Delete(json);
		free(v);
		return error_retry(err, "not-json", "dataverse answers 200 without \"value\"");
	}
	for (size_t i = job->asked; i < end; i++) {
		const struct row *row = job->records[i];
		const char *contact = winner_of(l->winners, row->contact);
		/* It may have lost a merge since it was asked for. */
		if (names(&res->body, contact) || names(&res->body, row->contact))
			continue;
		write_missing(&v[i], contact);
		gone++;
	}
	cJSON_Delete(json);
	l->ask_first = gone * ASK_FIRST_FROM >= end - job->asked && gone;
	job->step = end < job->count ? STEP_ASK : STEP_WRITE;
	job->asked = end - gone;
	job->found |= gone > 0;
	if (gone) {
		job->verdicts = v;
		return error_reject(err, "contact_gone", "contacts are not there");
	}
	free(v);
	/* All are there now, or it is something else. */
	if (job->step == STEP_WRITE && !job->found)
		return error_reject(err, "not-found", "a row named in the batch does not exist");
	*again = true;
	return OK;
}

static enum result done(struct dataverse_loader *l, struct load_job *job, bool *again)
{
	if (job->step == STEP_WRITE && !l->flow->leave_open && !table_of(l, job)->state_on_create) {
		job->step = STEP_COMPLETE;
		*again = true;
		return OK;
	}
	for (size_t i = 0; i < job->count; i++) {
		const struct row *row = job->records[i];
		l->redirected += winner_of(l->winners, row->contact) != row->contact;
	}
	l->rows += (int64_t)job->count;
	job->outcome = LOAD_CREATED;
	return OK;
}

static bool overloaded(enum result r, const struct http_response *res, const struct error *err)
{
	return r == RETRY &&
	       (!res->status || res->status >= 502 || !strcmp(err->reason, "sql-timeout") ||
		!strcmp(err->reason, "limit-time"));
}

/* The same rows once more would take as long: they go in halves, down to what batches have now. */
static bool too_many(const struct load_job *job, const struct batch *b,
		     const struct http_response *res, const struct error *err)
{
	bool slow = res->timed_out || res->status == 504 || !strcmp(err->reason, "sql-timeout");
	return slow && job->count > 1 && job->count > b->size;
}

enum result write_answer(void *state, struct load_job *job, const struct http_response *res,
			 mono_time now, bool *again, struct error *err)
{
	struct dataverse_loader *l = state;
	struct activity_table *t = table_of(l, job);
	enum result r = dataverse_answer(res, now, err);

	if (res->status == 401)
		oauth_forget(&l->dataverse.oauth, job->token);
	if (job->step == STEP_ASK && r == OK)
		return asked(l, job, res, again, err);
	if (job->step == STEP_ASK && r == REJECT) {
		/* That says nothing of the rows: halves are tried, and one alone. */
		job->step = STEP_WRITE;
		*again = job->count == 1;
		return *again ? OK : REJECT;
	}
	if (job->step == STEP_ASK)
		return r;
	bool too_much = overloaded(r, res, err);
	/* One that was full before rows were taken out of it says as much as a full one. */
	size_t rows = r == OK && job->full >= t->batch.size ? t->batch.size : job->count;
	if (r == OK || too_much)
		batch_answered(&t->batch, rows, res->server_ms, too_much);
	if (too_much && too_many(job, &t->batch, res, err))
		return REJECT;
	if (r == OK && !t->bulk)
		r = batch_answer(l, job, res, now, err);
	if (r == OK)
		return done(l, job, again);
	if (r != REJECT || job->verdicts)
		return r;
	if (t->bulk && !strcmp(err->reason, DATAVERSE_NO_BULK)) {
		log_info("the table has no bulk messages: $batch from now on", "table",
			 t->table->name, NULL);
		t->bulk = false;
		*again = true;
		return OK;
	}
	return strcmp(err->reason, "not-found") ? REJECT : not_found(l, job, res, again);
}
