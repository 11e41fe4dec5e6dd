/* pipeline.c - see pipeline.h. */
#include "pipeline.h"

#include <stdio.h>
#include <string.h>

static const char *const programs[][STAGES] = {
    [FLOW_CONTACTS] = {"extract-dataverse", "transform-contact", "load-campaign"},
    [FLOW_CUSTOM_ENTITY] = {"extract-dataverse", "transform-custom-entity", "load-campaign"},
    [FLOW_EMAIL_EVENTS] = {"extract-campaign-logs", "transform-marketing-event", "load-dataverse"},
};

#define DAY "86400000"
#define WEEK "604800000"
#define MONTH "2592000000"

/* A week of every change (replay from any time), then the last state of each key. Deleted keys
 * stay visible for 30 days, as long as a dead letter may be redriven. */
static const struct topic_setting changes[] = {
    {"cleanup.policy", "compact", SETTING_EQUAL},
    {"min.compaction.lag.ms", WEEK, SETTING_AT_LEAST},
    {"max.compaction.lag.ms", "691200000", SETTING_AT_MOST},
    {"segment.ms", DAY, SETTING_AT_MOST}, /* the active segment is never compacted */
    {"delete.retention.ms", MONTH, SETTING_AT_LEAST},
    {"min.cleanable.dirty.ratio", "0.1", SETTING_AT_MOST},
    {"max.message.bytes", KAFKA_MESSAGE_MAX, SETTING_AT_LEAST},
    {NULL, NULL, SETTING_EQUAL}};
static const struct topic_setting events[] = {
    {"cleanup.policy", "delete", SETTING_EQUAL},
    {"retention.ms", MONTH, SETTING_AT_LEAST},
    {"segment.ms", DAY, SETTING_AT_MOST},
    {"max.message.bytes", KAFKA_MESSAGE_MAX, SETTING_AT_LEAST},
    {NULL, NULL, SETTING_EQUAL}};
static const struct topic_setting state[] = {{"cleanup.policy", "compact", SETTING_EQUAL},
					     {"segment.ms", DAY, SETTING_AT_MOST},
					     {"min.cleanable.dirty.ratio", "0.1", SETTING_AT_MOST},
					     {NULL, NULL, SETTING_EQUAL}};

static void name(char out[PIPELINE_NAME_MAX], const char *a, const char *b, const char *c,
		 const char *d)
{
	snprintf(out, PIPELINE_NAME_MAX, "%s.%s%s%s%s%s", a, b, *c ? "." : "", c, *d ? "." : "", d);
}

void pipeline_of(const struct config *c, const struct flow *f, struct pipeline *out)
{
	char source[PIPELINE_NAME_MAX], target[PIPELINE_NAME_MAX];

	*out = (struct pipeline){0};
	if (f->kind == FLOW_EMAIL_EVENTS) {
		name(source, c->name, "campaign", "email-event", "");
		name(target, c->name, "crm", "email-activity", "");
	} else {
		name(source, c->name, "crm", f->table, "");
		name(target, c->name, "campaign", f->resource, "");
	}
	for (int i = 0; i < STAGES; i++) {
		struct pipeline_stage *s = &out->stages[i];
		s->program = programs[f->kind][i];
		name(s->group, c->name, f->name, s->program, "");
		name(s->rejected, c->name, "rejected", f->name, s->program);
	}
	name(out->stages[STAGE_EXTRACT].input, c->name, "checkpoint", f->name, "");
	memcpy(out->stages[STAGE_EXTRACT].output, source, sizeof source);
	memcpy(out->stages[STAGE_TRANSFORM].input, source, sizeof source);
	memcpy(out->stages[STAGE_TRANSFORM].output, target, sizeof target);
	memcpy(out->stages[STAGE_LOAD].input, target, sizeof target);
}

void pipeline_loaded(const struct config *c, const char *resource, char out[PIPELINE_NAME_MAX])
{
	name(out, c->name, "loaded", resource, "");
}

void pipeline_parked(const struct config *c, const char *resource, char out[PIPELINE_NAME_MAX])
{
	name(out, c->name, "parked", resource, "");
}

static void spec(struct topic_spec *t, const char *topic, int partitions, bool exact,
		 const struct topic_setting *settings)
{
	*t = (struct topic_spec){
	    .partitions = partitions, .exact_partitions = exact, .like = -1, .settings = settings};
	snprintf(t->name, sizeof t->name, "%s", topic);
}

size_t pipeline_topics(const struct config *c, const struct flow *f, struct topic_spec out[8])
{
	const struct topic_setting *kind = f->kind == FLOW_EMAIL_EVENTS ? events : changes;
	struct pipeline p;
	size_t n = 0;

	pipeline_of(c, f, &p);
	spec(&out[n++], p.stages[STAGE_EXTRACT].input, 1, true, state);
	spec(&out[n++], p.stages[STAGE_EXTRACT].output, (int)c->partitions, false, kind);
	spec(&out[n++], p.stages[STAGE_TRANSFORM].output, (int)c->partitions, false, kind);
	for (int i = 0; i < STAGES; i++)
		spec(&out[n++], p.stages[i].rejected, 1, false, events);
	for (int i = f->resource ? 0 : 1; i < 2; i++) {
		char topic[PIPELINE_NAME_MAX];
		(i ? pipeline_parked
		   : pipeline_loaded)(c, f->resource ? f->resource : PIPELINE_ACTIVITY, topic);
		spec(&out[n], topic, (int)c->partitions, false, state);
		out[n++].like = 2; /* the loader's input */
	}
	return n;
}
