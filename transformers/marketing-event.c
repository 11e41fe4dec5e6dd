/* transform-marketing-event - email events of Campaign become rows for the timeline in Dynamics.
 *
 * A kind that the flow does not name, an event before `since`, and an open or click behind the first
 * `at_most` of its contact and delivery come to nothing.  The extractor, which sees all of them,
 * has numbered them, so nothing needs to be remembered here.  The row's id is the UUIDv5 of the
 * event's id: writing it twice is writing it once.  The subject has the form that the hosted
 * integration gives it, so that existing views and processes go on working.
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
	struct buffer url;
};

/* Where in an event each text of an activity comes from, in the order of enum activity_text. */
static const size_t text_fields[ACTIVITY_TEXTS] = {
    EVENT_F_CAMPAIGN,	  EVENT_F_DELIVERY,	  EVENT_F_URL,
    EVENT_F_MIRROR_URL,	  EVENT_F_CAMPAIGN_LABEL, EVENT_F_DELIVERY_LABEL,
    EVENT_F_URL_LABEL,	  EVENT_F_URL_CATEGORY,	  EVENT_F_DEVICE,
    EVENT_F_FAILURE_TYPE, EVENT_F_FAILURE_REASON, EVENT_F_FAILURE_TEXT,
    EVENT_F_BROADLOG};

static enum result event_open(struct stage *s, void **state, const struct record_class **in,
			      const struct record_class **out, struct error *err)
{
	struct events *e = xcalloc(1, sizeof *e);
	enum result r = record_class_new(&e->in, email_event_avsc, err);

	if (r == OK)
		r = record_class_new(&e->out, email_activity_avsc, err);
	e->flow = s->flow;
	e->url = BUFFER(WIRE_VALUE_MAX);
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

/* Without what stands behind ? or #: it may name the one who clicked. */
static const char *without_query(struct events *e, const char *url)
{
	buffer_reset(&e->url);
	buffer_append(&e->url, url, strcspn(url, "?#"));
	return e->url.data ? e->url.data : "";
}

/* `privacy: strict`.  A click on the mirror page has its URL for a target; a link without a label has its
 * URL for one; an SMTP answer names the address. */
static const char *strict(struct events *e, const avro_value_t *in, enum activity_text text,
			  const char *s)
{
	const char *type = optional_text(in, EVENT_F_URL_TYPE);
	bool mirror = type && !strcmp(type, "mirror-page");

	switch (text) {
	case ACTIVITY_MIRROR_URL:
	case ACTIVITY_FAILURE_TEXT:
		return NULL;
	case ACTIVITY_TRACKING_URL:
		return mirror ? NULL : without_query(e, s);
	case ACTIVITY_URL_LABEL:
		return !strstr(s, "://") ? s : mirror ? NULL : without_query(e, s);
	default:
		return s;
	}
}

/* Only what a column of the flow is for leaves Campaign. */
static const char *text_for(struct events *e, const avro_value_t *in, int kind,
			    enum activity_text text)
{
	const char *s = optional_text(in, text_fields[text]);

	if (!s || (text >= ACTIVITY_TRACKING_URL && !e->flow->activities[kind].columns[text]))
		return NULL;
	return e->flow->strict_privacy ? strict(e, in, text, s) : s;
}

static bool is_wanted(const struct events *e, const avro_value_t *in, int kind, int64_t time)
{
	avro_value_t f = record_field(in, EVENT_F_ORDINAL);
	const struct activity_config *a;

	if (kind < 0 || kind >= EVENT_KINDS)
		return false;
	a = &e->flow->activities[kind];
	return a->on && time >= e->flow->since.ms && (!a->at_most || record_long(&f) <= a->at_most);
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
	if (!is_wanted(e, in, kind, time)) {
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
	for (int i = 0; i < ACTIVITY_TEXTS; i++)
		put(out->value, ACTIVITY_F_FIRST_TEXT + (size_t)i,
		    text_for(e, in, kind, (enum activity_text)i));
	out->key = e->activity_id;
	return OK;
}

static void event_close(void *state)
{
	struct events *e = state;
	record_class_free(&e->in);
	record_class_free(&e->out);
	buffer_free(&e->url);
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
