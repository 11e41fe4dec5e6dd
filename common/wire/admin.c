/* admin.c - see admin.h.  librdkafka answers each request with an event on a queue. */
#include "admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"

enum { MOVING_ATTEMPTS = 20, MOVING_MS = 250 };

struct call {
	rd_kafka_queue_t *queue;
	rd_kafka_AdminOptions_t *options;
	rd_kafka_event_t *event;
};

static struct call call_begin(rd_kafka_t *rk, rd_kafka_admin_op_t op)
{
	char why[128];
	struct call c = {rd_kafka_queue_new(rk), rd_kafka_AdminOptions_new(rk, op), NULL};
	rd_kafka_AdminOptions_set_request_timeout(c.options, ADMIN_TIMEOUT_MS, why, sizeof why);
	return c;
}

static enum result call_wait(struct call *c, const char *what, struct error *err)
{
	c->event = rd_kafka_queue_poll(c->queue, ADMIN_TIMEOUT_MS + 2000);
	if (!c->event)
		return error_restart(err, "broker", "%s: the broker does not answer", what);
	if (rd_kafka_event_error(c->event))
		return error_restart(err, "broker", "%s: %s", what,
				     rd_kafka_event_error_string(c->event));
	return OK;
}

static void call_end(struct call *c)
{
	if (c->event)
		rd_kafka_event_destroy(c->event);
	rd_kafka_AdminOptions_destroy(c->options);
	rd_kafka_queue_destroy(c->queue);
}

/* ---- topics ----------------------------------------------------------------------------------- */

static void compare(const struct topic_setting *s, const char *value, struct topic_state *state)
{
	double have = strtod(value, NULL), want = strtod(s->value, NULL);
	bool bad = s->must == SETTING_EQUAL	 ? strcmp(value, s->value) != 0
		   : s->must == SETTING_AT_LEAST ? have < want && have >= 0 /* -1: no limit */
						 : have > want;
	if (bad && !*state->wrong)
		snprintf(state->wrong, sizeof state->wrong, "%s is %s, must be %s%s", s->name,
			 value,
			 s->must == SETTING_EQUAL      ? ""
			 : s->must == SETTING_AT_LEAST ? "at least "
						       : "at most ",
			 s->value);
}

static enum result look_at_settings(rd_kafka_t *rk, const struct topic_spec *specs, size_t n,
				    struct topic_state *states, struct error *err)
{
	rd_kafka_ConfigResource_t **resources = xcalloc(n, sizeof *resources);
	size_t asked = 0, count;

	for (size_t i = 0; i < n; i++)
		if (states[i].exists)
			resources[asked++] =
			    rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, specs[i].name);
	enum result r = OK;
	if (asked) {
		struct call c = call_begin(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
		rd_kafka_DescribeConfigs(rk, resources, asked, c.options, c.queue);
		r = call_wait(&c, "reading the settings of topics", err);
		const rd_kafka_ConfigResource_t **got =
		    r == OK ? rd_kafka_DescribeConfigs_result_resources(
				  rd_kafka_event_DescribeConfigs_result(c.event), &count)
			    : NULL;
		for (size_t j = 0; got && j < count; j++) {
			size_t i = 0, entries;
			while (i < n && strcmp(specs[i].name, rd_kafka_ConfigResource_name(got[j])))
				i++;
			/* Without the right to describe configurations we cannot judge them. */
			if (i == n || rd_kafka_ConfigResource_error(got[j]))
				continue;
			const rd_kafka_ConfigEntry_t **e =
			    rd_kafka_ConfigResource_configs(got[j], &entries);
			for (size_t k = 0; k < entries; k++)
				for (const struct topic_setting *s = specs[i].settings; s->name;
				     s++)
					if (!strcmp(s->name, rd_kafka_ConfigEntry_name(e[k])) &&
					    rd_kafka_ConfigEntry_value(e[k]))
						compare(s, rd_kafka_ConfigEntry_value(e[k]),
							&states[i]);
		}
		call_end(&c);
	}
	rd_kafka_ConfigResource_destroy_array(resources, asked);
	free(resources);
	return r;
}

enum result admin_look(rd_kafka_t *rk, const struct topic_spec *specs, size_t n,
		       struct topic_state *states, struct error *err)
{
	const struct rd_kafka_metadata *meta;
	/* All topics at once: asking for a missing one by name may create it on some clusters. */
	rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 1, NULL, &meta, ADMIN_TIMEOUT_MS);

	if (code)
		return error_restart(err, "broker", "reading the list of topics: %s",
				     rd_kafka_err2str(code));
	for (size_t i = 0; i < n; i++) {
		states[i] = (struct topic_state){0};
		for (int t = 0; t < meta->topic_cnt; t++)
			if (!strcmp(meta->topics[t].topic, specs[i].name) && !meta->topics[t].err) {
				states[i].exists = true;
				states[i].partitions = meta->topics[t].partition_cnt;
			}
		if (states[i].exists && specs[i].exact_partitions &&
		    states[i].partitions != specs[i].partitions)
			snprintf(states[i].wrong, sizeof states[i].wrong,
				 "has %d partitions, must have %d", states[i].partitions,
				 specs[i].partitions);
	}
	rd_kafka_metadata_destroy(meta);
	return look_at_settings(rk, specs, n, states, err);
}

enum result admin_create(rd_kafka_t *rk, const struct topic_spec *spec, int replication,
			 struct error *err)
{
	char why[256] = "";
	rd_kafka_NewTopic_t *t =
	    rd_kafka_NewTopic_new(spec->name, spec->partitions, replication, why, sizeof why);

	if (!t)
		return error_config(err, "topic", "%s: %s", spec->name, why);
	for (const struct topic_setting *s = spec->settings; s->name; s++)
		rd_kafka_NewTopic_set_config(t, s->name, s->value);
	struct call c = call_begin(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_CreateTopics(rk, &t, 1, c.options, c.queue);
	enum result r = call_wait(&c, "creating a topic", err);
	if (r == OK) {
		size_t n;
		const rd_kafka_topic_result_t **res = rd_kafka_CreateTopics_result_topics(
		    rd_kafka_event_CreateTopics_result(c.event), &n);
		rd_kafka_resp_err_t code =
		    n ? rd_kafka_topic_result_error(res[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
		if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
			r = error_config(err, "topic", "creating %s: %s", spec->name,
					 n && rd_kafka_topic_result_error_string(res[0])
					     ? rd_kafka_topic_result_error_string(res[0])
					     : rd_kafka_err2str(code));
	}
	call_end(&c);
	rd_kafka_NewTopic_destroy(t);
	return r;
}

enum result admin_require(rd_kafka_t *rk, const struct topic_spec *specs, size_t n,
			  struct error *err)
{
	struct topic_state *states = xcalloc(n, sizeof *states);
	enum result r = admin_look(rk, specs, n, states, err);

	for (size_t i = 0; i < n && r == OK; i++)
		if (!states[i].exists)
			r = error_config(err, "topic",
					 "the topic %s does not exist; `tideway topics create` "
					 "makes it",
					 specs[i].name);
		else if (*states[i].wrong)
			r = error_config(err, "topic",
					 "the topic %s: %s; change it with "
					 "kafka-configs or create it anew",
					 specs[i].name, states[i].wrong);
	free(states);
	return r;
}

/* ---- groups ----------------------------------------------------------------------------------- */

/* *moving: its coordinator is just being found or loaded, as after a broker's start. */
static enum result describe(rd_kafka_t *rk, const char *group, struct group_state *out,
			    bool *moving, struct error *err)
{
	struct call c = call_begin(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);

	memset(out, 0, sizeof *out);
	rd_kafka_DescribeConsumerGroups(rk, &group, 1, c.options, c.queue);
	enum result r = call_wait(&c, "describing a consumer group", err);
	size_t n = 0;
	const rd_kafka_ConsumerGroupDescription_t **d =
	    r == OK ? rd_kafka_DescribeConsumerGroups_result_groups(
			  rd_kafka_event_DescribeConsumerGroups_result(c.event), &n)
		    : NULL;
	const rd_kafka_error_t *e = n ? rd_kafka_ConsumerGroupDescription_error(d[0]) : NULL;
	if (e && rd_kafka_error_code(e) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) {
		snprintf(out->state, sizeof out->state, "Dead"); /* never used: Kafka 4 says so */
	} else if (e) {
		rd_kafka_resp_err_t code = rd_kafka_error_code(e);
		*moving = code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
			  code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
			  code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
		r = error_restart(err, "broker", "describing the group %s: %s", group,
				  rd_kafka_error_string(e));
	} else if (n) {
		snprintf(out->state, sizeof out->state, "%s",
			 rd_kafka_consumer_group_state_name(
			     rd_kafka_ConsumerGroupDescription_state(d[0])));
		out->member_count = rd_kafka_ConsumerGroupDescription_member_count(d[0]);
		for (size_t i = 0; i < out->member_count && i < 64; i++) {
			const rd_kafka_MemberDescription_t *m =
			    rd_kafka_ConsumerGroupDescription_member(d[0], i);
			const rd_kafka_MemberAssignment_t *a =
			    rd_kafka_MemberDescription_assignment(m);
			const char *instance = rd_kafka_MemberDescription_group_instance_id(m);
			struct group_member *to = &out->members[i];
			snprintf(to->client, sizeof to->client, "%s",
				 rd_kafka_MemberDescription_client_id(m));
			snprintf(to->host, sizeof to->host, "%s",
				 rd_kafka_MemberDescription_host(m));
			snprintf(to->instance, sizeof to->instance, "%s", instance ? instance : "");
			to->partitions = a ? rd_kafka_MemberAssignment_partitions(a)->cnt : 0;
		}
	}
	call_end(&c);
	return r;
}

enum result admin_group(rd_kafka_t *rk, const char *group, struct group_state *out,
			struct error *err)
{
	for (int attempt = 1;; attempt++) {
		bool moving = false;
		enum result r = describe(rk, group, out, &moving, err);
		if (!moving || attempt == MOVING_ATTEMPTS)
			return r;
		usleep(MOVING_MS * 1000);
	}
}

void admin_offsets_free(struct admin_offset *offsets, int partitions)
{
	for (int i = 0; offsets && i < partitions; i++)
		free(offsets[i].metadata);
	free(offsets);
}

enum result admin_committed(rd_kafka_t *rk, const char *group, const char *topic, int partitions,
			    struct admin_offset *offsets, struct error *err)
{
	struct call c = call_begin(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
	size_t n = 0;

	for (int i = 0; i < partitions; i++) {
		rd_kafka_topic_partition_list_add(list, topic, i);
		offsets[i] = (struct admin_offset){.offset = -1};
	}
	rd_kafka_ListConsumerGroupOffsets_t *ask =
	    rd_kafka_ListConsumerGroupOffsets_new(group, list);
	rd_kafka_ListConsumerGroupOffsets(rk, &ask, 1, c.options, c.queue);
	enum result r = call_wait(&c, "reading committed offsets", err);
	const rd_kafka_group_result_t **g =
	    r == OK ? rd_kafka_ListConsumerGroupOffsets_result_groups(
			  rd_kafka_event_ListConsumerGroupOffsets_result(c.event), &n)
		    : NULL;
	if (n && rd_kafka_group_result_error(g[0]) &&
	    rd_kafka_error_code(rd_kafka_group_result_error(g[0])) !=
		RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
		r = error_restart(err, "broker", "reading committed offsets of %s: %s", group,
				  rd_kafka_error_string(rd_kafka_group_result_error(g[0])));
	const rd_kafka_topic_partition_list_t *got =
	    n ? rd_kafka_group_result_partitions(g[0]) : NULL;
	for (int i = 0; got && i < got->cnt; i++) {
		const rd_kafka_topic_partition_t *e = &got->elems[i];
		if (e->partition >= partitions || e->offset < 0)
			continue;
		offsets[e->partition].offset = e->offset;
		if (e->metadata_size)
			offsets[e->partition].metadata = xstrndup(e->metadata, e->metadata_size);
	}
	rd_kafka_ListConsumerGroupOffsets_destroy(ask);
	rd_kafka_topic_partition_list_destroy(list);
	call_end(&c);
	return r;
}

enum result admin_set_committed(rd_kafka_t *rk, const char *group, const char *topic,
				int partitions, const struct admin_offset *offsets,
				struct error *err)
{
	struct call c = call_begin(rk, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
	size_t n = 0;

	for (int i = 0; i < partitions; i++) {
		rd_kafka_topic_partition_t *e = rd_kafka_topic_partition_list_add(list, topic, i);
		e->offset = offsets[i].offset;
		if (offsets[i].metadata) {
			e->metadata = xstrdup(offsets[i].metadata);
			e->metadata_size = strlen(offsets[i].metadata);
		}
	}
	rd_kafka_AlterConsumerGroupOffsets_t *ask =
	    rd_kafka_AlterConsumerGroupOffsets_new(group, list);
	rd_kafka_AlterConsumerGroupOffsets(rk, &ask, 1, c.options, c.queue);
	enum result r = call_wait(&c, "setting committed offsets", err);
	const rd_kafka_group_result_t **g =
	    r == OK ? rd_kafka_AlterConsumerGroupOffsets_result_groups(
			  rd_kafka_event_AlterConsumerGroupOffsets_result(c.event), &n)
		    : NULL;
	if (n && rd_kafka_group_result_error(g[0]))
		r = error_config(err, "group", "setting the offsets of %s: %s", group,
				 rd_kafka_error_string(rd_kafka_group_result_error(g[0])));
	const rd_kafka_topic_partition_list_t *got =
	    n ? rd_kafka_group_result_partitions(g[0]) : NULL;
	for (int i = 0; r == OK && got && i < got->cnt; i++)
		if (got->elems[i].err)
			r = error_config(err, "group", "setting the offset of %s, partition %d: %s",
					 group, got->elems[i].partition,
					 rd_kafka_err2str(got->elems[i].err));
	rd_kafka_AlterConsumerGroupOffsets_destroy(ask);
	rd_kafka_topic_partition_list_destroy(list);
	call_end(&c);
	return r;
}
