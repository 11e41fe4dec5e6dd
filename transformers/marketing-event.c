/* transform-marketing-event - email events of Campaign become rows for the timeline in Dynamics.
 *
 * A kind that the flow does not name, and an event before `since`, come to nothing.  The row's id
 * is the UUIDv5 of the event's id: writing it twice is writing it once.  The subject has the form
 * that the hosted integration gives it, so that existing views and processes go on working.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "arena.h"
#include "embed.h"
#include "event.h"
#include "transform_loop.h"

EMBED(email_event_avsc, "schemas/email-event.avsc");
EMBED(email_activity_avsc, "schemas/email-activity.avsc");

enum { SUBJECT_MAX = 400, SUBJECT_BYTES = 4 * SUBJECT_MAX }; /* characters, and their bytes */

struct events {
	const struct flow *flow;
	struct record_class in, out;
	uuid_t namespace;
	char activity_id[37];
};

static enum result event_open(struct stage *s, void **state, const struct record_class **in,
			      const struct record_class **out, struct error *err)
{
	struct events *e = xcalloc(1, sizeof *e);
	enum result r = record_class_new(&e->in, email_event_avsc, err);

	if (r == OK)
		r = record_class_new(&e->out, email_activity_avsc, err);
	e->flow = s->flow;
	uuid_parse(EVENT_UUID_NAMESPACE, e->namespace);
	*state = e;
	*in = &e->in;
	*out = &e->out;
	return r;
}

static const char *optional_text(const avro_value_t *event, size_t i)
{
	avro_value_t f = record_field(event, i), some;
	return record_some(&f, &some) ? record_text(&some, NULL) : NULL;
}

static const char *text_of(const avro_value_t *event, size_t i)
{
	avro_value_t f = record_field(event, i);
	return record_text(&f, NULL);
}

static void put(avro_value_t *activity, size_t i, const char *text)
{
	avro_value_t f = record_field(activity, i);
	if (!text) {
		record_set_null(&f);
		return;
	}
	avro_value_t some = record_set_some(&f);
	record_set_text(&some, text, strlen(text));
}

static void subject(const char *campaign, const char *delivery, char out[SUBJECT_BYTES + 1])
{
	size_t characters = 0, at = 0;

	snprintf(out, SUBJECT_BYTES + 1, "Campaign Name: %s; Delivery Name: %s",
		 campaign ? campaign : "", delivery ? delivery : "");
	while (out[at] && characters + (((unsigned char)out[at] & 0xc0) != 0x80) <= SUBJECT_MAX)
		characters += ((unsigned char)out[at++] & 0xc0) != 0x80;
	out[at] = 0;
}

static enum result event_process(void *state, const avro_value_t *in, struct transformed *out,
				 struct error *err)
{
	struct events *e = state;
	avro_value_t f = record_field(in, EVENT_F_KIND);
	int kind = record_enum(&f);
	f = record_field(in, EVENT_F_TIME);
	int64_t time = record_long(&f);
	const char *campaign = optional_text(in, EVENT_F_CAMPAIGN);
	const char *delivery = optional_text(in, EVENT_F_DELIVERY);
	const char *id = text_of(in, EVENT_F_ID);
	char line[SUBJECT_BYTES + 1];
	uuid_t uuid;

	(void)err;
	if (kind < 0 || kind >= EVENT_KINDS || !e->flow->activities[kind].on ||
	    time < e->flow->since.ms) {
		out->emit = false;
		return OK;
	}
	uuid_generate_sha1(uuid, e->namespace, id, strlen(id));
	uuid_unparse_lower(uuid, e->activity_id);
	subject(campaign, delivery, line);
	put(out->value, ACTIVITY_F_ID, e->activity_id);
	put(out->value, ACTIVITY_F_EVENT_ID, id);
	f = record_field(out->value, ACTIVITY_F_KIND);
	avro_value_set_enum(&f, kind);
	put(out->value, ACTIVITY_F_TABLE, e->flow->activities[kind].table);
	put(out->value, ACTIVITY_F_CONTACT, text_of(in, EVENT_F_CONTACT));
	put(out->value, ACTIVITY_F_SUBJECT, line);
	f = record_field(out->value, ACTIVITY_F_TIME);
	avro_value_set_long(&f, time);
	put(out->value, ACTIVITY_F_CAMPAIGN, campaign);
	put(out->value, ACTIVITY_F_DELIVERY, delivery);
	put(out->value, ACTIVITY_F_TRACKING_URL,
	    kind == EVENT_CLICK ? optional_text(in, EVENT_F_URL) : NULL);
	put(out->value, ACTIVITY_F_MIRROR_URL, NULL);
	out->key = e->activity_id;
	return OK;
}

static void event_close(void *state)
{
	struct events *e = state;
	record_class_free(&e->in);
	record_class_free(&e->out);
	free(e);
}

static const struct transformer marketing_event = {
    .program = "transform-marketing-event",
    .synopsis = "Turns email events of Campaign (<name>.campaign.email-event) into rows for the\n"
		"timeline of contacts (<name>.crm.email-activity), for the kinds that the flow\n"
		"names and from `since` on, exactly once.",
    .open = event_open,
    .process = event_process,
    .close = event_close,
};

int main(int argc, char **argv)
{
	return transform_main(argc, argv, &marketing_event);
}
