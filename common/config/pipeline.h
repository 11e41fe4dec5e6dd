/* pipeline.h - which topics and groups a flow has.  The only place where their names are made.
 *
 *   crm.<table> ─ transform ─ campaign.<resource>      contacts, custom-entity
 *   campaign.email-event ─ transform ─ crm.email-activity      email-events
 *   rejected.<flow>.<stage>, checkpoint.<flow>
 *   loaded.<resource>, parked.<resource>      the memory of load-campaign
 *   parked.email-activity      events whose contact is not there (yet)
 *
 * Everything begins with the deployment's name, so that several share a cluster and ACLs go by
 * prefix.
 */
#ifndef TIDEWAY_PIPELINE_H
#define TIDEWAY_PIPELINE_H

#include "config.h"

enum { STAGE_EXTRACT, STAGE_TRANSFORM, STAGE_LOAD, STAGES };
enum { PIPELINE_NAME_MAX = 250 }; /* Kafka's limit is 249 */

struct pipeline_stage {
	const char *program;		/* "load-campaign" */
	char group[PIPELINE_NAME_MAX];	/* consumer group; also the base of transactional ids */
	char input[PIPELINE_NAME_MAX];	/* an extractor's is its checkpoint topic */
	char output[PIPELINE_NAME_MAX]; /* "" for a loader */
	char rejected[PIPELINE_NAME_MAX];
};

struct pipeline {
	struct pipeline_stage stages[STAGES];
};

void pipeline_of(const struct config *c, const struct flow *f, struct pipeline *out);

/* Settings that a topic must have.  A stage that finds another value exits 100. */
struct topic_setting {
	const char *name, *value;
	enum { SETTING_EQUAL, SETTING_AT_LEAST, SETTING_AT_MOST } must;
};
enum { TOPIC_SETTINGS_MAX = 8 };
struct topic_spec {
	char name[PIPELINE_NAME_MAX];
	int partitions; /* as created; of a checkpoint topic exactly 1 */
	bool exact_partitions;
	int like; /* index of the topic that it must have as many partitions as; -1: none */
	const struct topic_setting *settings; /* ended by name NULL */
};

/* What stands for a resource in the names of topics where Dynamics is written. */
#define PIPELINE_ACTIVITY "email-activity"

void pipeline_loaded(const struct config *c, const char *resource, char out[PIPELINE_NAME_MAX]);
void pipeline_parked(const struct config *c, const char *resource, char out[PIPELINE_NAME_MAX]);

/* The topics of one flow; returns how many (at most 8). */
size_t pipeline_topics(const struct config *c, const struct flow *f, struct topic_spec out[8]);

/* The largest message that a topic takes and a producer sends: a value of WIRE_VALUE_MAX, its key and
 * its headers. */
#define KAFKA_MESSAGE_MAX "9437184"

#endif
