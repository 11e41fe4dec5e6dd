/* load-dataverse - email activities onto the timeline of contacts in Dynamics.
 *
 * Rows go out by UpsertMultiple, one table a call.  Their activityid is given, the UUIDv5 of the
 * event: writing a batch twice is writing it once, so a lost answer is simply sent again.  A
 * standard table's batch is one transaction: one bad row fails all, so the loop halves a refused
 * batch until the bad row stands alone.  (Microsoft, "use bulk operation messages".)
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "dataverse.h"
#include "embed.h"
#include "event.h"
#include "load_loop.h"

EMBED(email_activity_avsc, "schemas/email-activity.avsc");

struct activity_table {
	const struct activity_config *config; /* NULL: the kind is off */
	struct table *table;
	const char *navigation; /* to bind the contact by */
	bool actual_end, sort_date;
};

struct dataverse_loader {
	struct stage *stage;
	struct dataverse dataverse;
	struct table *contact;
	struct activity_table tables[EVENT_KINDS];
	struct record_class class;
	avro_value_t activity;
	char *url;
	struct buffer body;
};

/* ---- open ------------------------------------------------------------------------------------- */

static void dataverse_close(void *state)
{
	struct dataverse_loader *l = state;

	for (int k = 0; k < EVENT_KINDS; k++)
		table_free(l->tables[k].table);
	table_free(l->contact);
	if (l->activity.self)
		avro_value_decref(&l->activity);
	record_class_free(&l->class);
	dataverse_free(&l->dataverse);
	buffer_free(&l->body);
	free(l->url);
	free(l);
}

/* The navigation property is taken from metadata: its name has a pattern, but no promise. */
static enum result open_table(struct dataverse_loader *l, enum event_kind kind, struct error *err)
{
	struct stage *s = l->stage;
	struct activity_table *t = &l->tables[kind];
	const struct activity_config *a = &s->flow->activities[kind];
	const char *columns[] = {"activityid", "subject",   "regardingobjectid", a->time,
				 a->campaign,  a->delivery, a->tracking_url,	 a->mirror_url};
	const char *used[8];
	size_t n = 0;
	struct table *live = NULL;
	enum result r = table_load(s->config->metadata_dir, a->table, &t->table, err);

	for (size_t i = 0; r == OK && i < 8; i++) {
		if (!columns[i])
			continue;
		if (!table_column(t->table, columns[i]))
			r = error_config(err, "config", "%s:%d: table %s has no column %s",
					 a->at.file, a->at.line, a->table, columns[i]);
		used[n++] = columns[i];
	}
	if (r == OK)
		r = dataverse_table(&l->dataverse, a->table, mono_now(), &live, err);
	if (r == OK)
		r = table_same(t->table, live, used, n, err);
	table_free(live);
	if (r != OK)
		return r;
	t->config = a;
	t->actual_end = table_column(t->table, "actualend");
	t->sort_date = table_column(t->table, "sortdate");
	const struct column *regarding = table_column(t->table, "regardingobjectid");
	for (size_t i = 0; i < regarding->target_count; i++)
		if (!strcmp(regarding->targets[i].table, "contact"))
			t->navigation = regarding->targets[i].navigation;
	if (!t->navigation)
		return error_config(err, "metadata", "table %s cannot be regarding a contact",
				    a->table);
	return OK;
}

static enum result dataverse_open(struct stage *s, void **state, struct error *err)
{
	const struct connection *c = &s->config->dataverse;
	struct dataverse_loader *l = xcalloc(1, sizeof *l);
	enum result r;

	l->stage = s;
	l->body = BUFFER((size_t)64 << 20);
	dataverse_init(&l->dataverse, s->http, c->url, c->credentials.token_url,
		       c->credentials.client_id, c->credentials.client_secret,
		       c->credentials.scope);
	r = record_class_new(&l->class, email_activity_avsc, err);
	if (r == OK) {
		record_new(&l->class, &l->activity);
		r = table_load(s->config->metadata_dir, "contact", &l->contact, err);
	}
	for (int k = 0; r == OK && k < EVENT_KINDS; k++)
		if (s->flow->activities[k].on)
			r = open_table(l, (enum event_kind)k, err);
	if (r != OK) {
		dataverse_close(l);
		return r;
	}
	*state = l;
	return OK;
}

/* ---- a record --------------------------------------------------------------------------------- */

static const char *text_of(const avro_value_t *activity, size_t i)
{
	avro_value_t f = record_field(activity, i), some;
	return record_some(&f, &some) ? record_text(&some, NULL) : NULL;
}

static void add(cJSON *row, const char *column, const char *text)
{
	if (column && text)
		cJSON_AddStringToObject(row, column, text);
}

/* A record is the JSON text of its row. */
static enum result dataverse_prepare(void *state, const rd_kafka_message_t *m,
				     struct load_record *out, struct error *err)
{
	struct dataverse_loader *l = state;
	avro_value_t f;
	char text[600], time[25];
	int32_t id = -1;

	if (!m->payload)
		return OK; /* nothing is ever deleted here */
	enum result r = wire_decode(l->stage->wire, m->payload, m->len, id, &l->activity, err);
	if (r != OK)
		return r;
	f = record_field(&l->activity, ACTIVITY_F_KIND);
	int kind = record_enum(&f);
	const struct activity_table *t = &l->tables[kind];
	if (!t->config || strcmp(t->config->table, text_of(&l->activity, ACTIVITY_F_TABLE)))
		return error_reject(err, "kind-off", "the kind %s is off, or has another table now",
				    event_kind_names[kind]);
	f = record_field(&l->activity, ACTIVITY_F_TIME);
	if (!datetime_format((wall_time){record_long(&f)}, 'T', time))
		return error_reject(err, "bad-date", "the time of the event is out of range");

	cJSON *row = cJSON_CreateObject();
	snprintf(text, sizeof text, "Microsoft.Dynamics.CRM.%s", t->table->name);
	add(row, "@odata.type", text);
	add(row, "activityid", text_of(&l->activity, ACTIVITY_F_ID));
	add(row, "subject", text_of(&l->activity, ACTIVITY_F_SUBJECT));
	snprintf(text, sizeof text, "/%s(%s)", l->contact->entity_set,
		 text_of(&l->activity, ACTIVITY_F_CONTACT));
	char bind[300];
	snprintf(bind, sizeof bind, "%s@odata.bind", t->navigation);
	add(row, bind, text);
	add(row, t->config->time, time);
	add(row, t->actual_end ? "actualend" : NULL, time);
	add(row, t->sort_date ? "sortdate" : NULL, time);
	add(row, t->config->campaign, text_of(&l->activity, ACTIVITY_F_CAMPAIGN));
	add(row, t->config->delivery, text_of(&l->activity, ACTIVITY_F_DELIVERY));
	add(row, t->config->tracking_url, text_of(&l->activity, ACTIVITY_F_TRACKING_URL));
	add(row, t->config->mirror_url, text_of(&l->activity, ACTIVITY_F_MIRROR_URL));
	out->record = cJSON_PrintUnformatted(row);
	out->group = (unsigned)kind;
	cJSON_Delete(row);
	return OK;
}

/* ---- requests --------------------------------------------------------------------------------- */

/* The table of a job is in the row's @odata.type; all rows of a job have the same. */
static const struct activity_table *table_of(const struct dataverse_loader *l, const char *row)
{
	for (int k = 0; k < EVENT_KINDS; k++) {
		char type[300];
		if (!l->tables[k].config)
			continue;
		snprintf(type, sizeof type, "{\"@odata.type\":\"Microsoft.Dynamics.CRM.%s\"",
			 l->tables[k].table->name);
		if (!strncmp(row, type, strlen(type)))
			return &l->tables[k];
	}
	return NULL;
}

static struct governor_limits dataverse_limits(const struct stage *s)
{
	const struct connection *c = &s->config->dataverse;
	return (struct governor_limits){(size_t)s->flow->max_in_flight, c->max_requests_per_second,
					c->max_requests_per_day};
}

static enum result dataverse_request(void *state, struct load_job *job,
				     struct http_request *req, struct error *err)
{
	struct dataverse_loader *l = state;
	const struct activity_table *t = table_of(l, job->records[0]);
	enum result r = oauth_ensure(&l->dataverse.oauth, l->stage->http, mono_now(), err);

	if (r != OK)
		return r;
	job->token = l->dataverse.oauth.serial;
	buffer_reset(&l->body);
	buffer_puts(&l->body, "{\"Targets\":[");
	for (size_t i = 0; i < job->count; i++) {
		buffer_puts(&l->body, i ? "," : "");
		buffer_puts(&l->body, job->records[i]);
	}
	buffer_puts(&l->body, "]}");
	free(l->url);
	l->url = xasprintf("%s/api/data/v9.2/%s/Microsoft.Dynamics.CRM.UpsertMultiple",
			   l->dataverse.url, t->table->entity_set);
	*req = (struct http_request){.method = "POST",
				     .url = l->url,
				     .body = l->body.data,
				     .body_len = l->body.len,
				     .max_response_bytes = DATAVERSE_ANSWER_MAX_BYTES,
				     .timeout_ms = l->stage->flow->request_timeout_ms};
	size_t n = dataverse_headers(&l->dataverse, NULL, req->headers);
	req->headers[n] = "Content-Type: application/json; charset=utf-8";
	job->call = "upsert-multiple";
	job->token = l->dataverse.oauth.serial;
	return OK;
}

static enum result dataverse_result(void *state, struct load_job *job,
				    const struct http_response *res, mono_time now, bool *again,
				    struct error *err)
{
	struct dataverse_loader *l = state;

	(void)again;
	job->outcome = LOAD_CREATED;
	if (res->status == 401)
		oauth_forget(&l->dataverse.oauth, job->token);
	return dataverse_answer(res, now, err);
}

static const struct loader dataverse_loader = {
    .program = "load-dataverse",
    .synopsis = "Writes email activities to the timeline of contacts in Dynamics 365 by\n"
		"UpsertMultiple. Their ids are made of the events' ids, so nothing is ever\n"
		"there twice.",
    .batches = true,
    .limits = dataverse_limits,
    .open = dataverse_open,
    .prepare = dataverse_prepare,
    .release = free,
    .request = dataverse_request,
    .answer = dataverse_result,
    .close = dataverse_close,
};

int main(int argc, char **argv)
{
	return load_main(argc, argv, &dataverse_loader);
}
