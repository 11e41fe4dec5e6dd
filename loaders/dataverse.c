/* load-dataverse - email activities onto the timeline of contacts in Dynamics.
 *
 * Rows go out by UpsertMultiple, one table a call, as many as the server's time allows.  Their
 * activityid is given, the UUIDv5 of the event: writing a batch twice is writing it once, so a lost
 * answer is simply sent again.  An event whose contact is not there waits (parked.email-activity)
 * and is tried again now and then; after `orphan_after` it is a dead letter, contact_gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "dataverse/loader.h"
#include "embed.h"
#include "log.h"

EMBED(email_activity_avsc, "schemas/email-activity.avsc");

enum { IN_FLIGHT_WITHOUT_HINT = 4, BODY_MAX = 8 << 20 };

static void dataverse_close(void *state)
{
	struct dataverse_loader *l = state;

	log_info("timeline", "rows", log_int(l->rows), "requests", log_int(l->requests),
		 "to_winners", log_int(l->redirected), "there_before", log_int(l->there_before),
		 NULL);
	for (int k = 0; k < EVENT_KINDS; k++)
		table_free(l->tables[k].table);
	table_free(l->contact);
	winners_free(l->winners);
	cutover_free(l->cutover);
	if (l->activity.self)
		avro_value_decref(&l->activity);
	record_class_free(&l->class);
	dataverse_free(&l->dataverse);
	buffer_free(&l->body);
	free(l->url);
	free(l);
}

static enum result dataverse_open(struct stage *s, void **state, struct error *err)
{
	const struct connection *c = &s->config->dataverse;
	struct dataverse_loader *l = xcalloc(1, sizeof *l);

	l->stage = s;
	l->flow = s->flow;
	l->body = BUFFER(BODY_MAX);
	l->winners = winners_new();
	if (s->flow->bypass_logic)
		snprintf(l->bypass, sizeof l->bypass, "MSCRM.BypassBusinessLogicExecution: %s",
			 s->flow->bypass_logic);
	dataverse_init(&l->dataverse, s->http, c->url, c->credentials.token_url,
		       c->credentials.client_id, c->credentials.client_secret,
		       c->credentials.scope);
	enum result r = record_class_new(&l->class, email_activity_avsc, err);
	if (r == OK) {
		record_new(&l->class, &l->activity);
		r = table_load(s->config->metadata_dir, "contact", &l->contact, err);
	}
	for (int k = 0; r == OK && k < EVENT_KINDS; k++)
		if (s->flow->activities[k].on)
			r = table_open(l, (enum event_kind)k, err);
	if (r == OK)
		r = winners_refresh(l, mono_now(), err);
	if (r == OK)
		r = cutover_open(l, err);
	if (r != OK) {
		dataverse_close(l);
		return r;
	}
	metrics_value(s->metrics, METRIC_SKIPPED, "there_before", NULL, &l->there_before, NULL);
	*state = l;
	return OK;
}

/* More than the server recommends makes it slower (Microsoft, "Send parallel requests"). */
static struct load_limits dataverse_limits(const struct stage *s, void *state)
{
	const struct dataverse_loader *l = state;
	const struct connection *c = &s->config->dataverse;
	int64_t n = s->flow->max_in_flight	? s->flow->max_in_flight
		    : l->dataverse.dop_hint > 0 ? l->dataverse.dop_hint
						: IN_FLIGHT_WITHOUT_HINT;

	log_info("parallel requests", "at_most", log_int(n), "hint", log_int(l->dataverse.dop_hint),
		 NULL);
	return (struct load_limits){{(size_t)n, c->max_requests_per_second},
				    c->max_requests_per_day};
}

static size_t dataverse_batch_size(void *state, unsigned group)
{
	return ((const struct dataverse_loader *)state)->tables[group].batch.size;
}

/* The same event twice: its id is the same, and so is the row. */
static bool same_event(void *state, const struct load_record *earlier, struct load_record *later)
{
	(void)state;
	return earlier->group == later->group;
}

static const struct loader dataverse_loader = {
    .program = "load-dataverse",
    .synopsis = "Writes email activities to the timeline of contacts in Dynamics 365 by\n"
		"UpsertMultiple. Their ids are made of the events' ids, so nothing is ever\n"
		"there twice.",
    .batches = true,
    .parks = "contact_gone",
    .limits = dataverse_limits,
    .batch_size = dataverse_batch_size,
    .open = dataverse_open,
    .prepare = row_prepare,
    .merge = same_event,
    .release = row_release,
    .request = write_request,
    .answer = write_answer,
    .close = dataverse_close,
};

int main(int argc, char **argv)
{
	return load_main(argc, argv, &dataverse_loader);
}
