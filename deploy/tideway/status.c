/* tideway status - per flow and stage: members, committed position, backlog, and how old the last
 * committed record is.  From the broker alone: it tells the truth also when nothing runs.
 *
 * Backlog is an upper bound: offsets hold control records of transactions, too.  It reaches 0,
 * because a stage that has read everything commits the end of its partition. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "arena.h"
#include "command.h"

enum { LOOK_BACK = 20, LOOK_MS = 3000 };

struct asker {
	const struct config *c;
	rd_kafka_t *admin, *reader;
	bool json;
	bool first;
};

/* Time stamp of the last record before `committed`, or -1. */
static int64_t last_timestamp(rd_kafka_t *reader, const char *topic, int partition, int64_t low,
			      int64_t committed)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	int64_t from = committed - LOOK_BACK > low ? committed - LOOK_BACK : low, found = -1;
	mono_time until = mono_add(mono_now(), LOOK_MS);
	bool more = committed > low;

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = from;
	rd_kafka_assign(reader, list);
	while (more && mono_until(mono_now(), until)) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(reader, 100);
		if (!m)
			continue;
		if (m->err) {
			more = m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF;
		} else if (m->offset < committed) {
			rd_kafka_timestamp_type_t type;
			found = rd_kafka_message_timestamp(m, &type);
			more = m->offset + 1 < committed;
		} else {
			more = false;
		}
		rd_kafka_message_destroy(m);
	}
	rd_kafka_assign(reader, NULL);
	rd_kafka_topic_partition_list_destroy(list);
	return found;
}

struct stage_status {
	size_t members;
	char group[32];
	int64_t committed, backlog, last; /* -1: unknown */
};

static enum result look_at_offsets(struct asker *a, const struct pipeline_stage *s, int partitions,
				   bool extractor, struct stage_status *out, struct error *err)
{
	_cleanup_(freep) int64_t *offsets = xcalloc((size_t)partitions, sizeof *offsets);
	enum result r = OK;

	if (!extractor)
		r = admin_committed(a->admin, s->group, s->input, partitions, offsets, err);
	out->committed = out->backlog = 0;
	for (int i = 0; r == OK && i < partitions; i++) {
		int64_t low, end;
		/* The reader is read_committed: this is the last stable offset. */
		rd_kafka_resp_err_t code =
		    rd_kafka_query_watermark_offsets(a->reader, s->input, i, &low, &end, 15000);
		if (code)
			return error_restart(err, "broker", "reading the offsets of %s: %s", s->input,
					     rd_kafka_err2str(code));
		/* An extractor's own progress is the last record of its checkpoint topic. */
		int64_t at = extractor ? end : offsets[i] >= 0 ? offsets[i] : low;
		out->committed += at;
		out->backlog += end > at ? end - at : 0;
		int64_t t = last_timestamp(a->reader, s->input, i, low, at);
		if (t > out->last)
			out->last = t;
	}
	return r;
}

static enum result look(struct asker *a, const struct pipeline_stage *s, bool extractor,
			struct stage_status *out, struct error *err)
{
	struct group_state *group = xcalloc(1, sizeof *group);
	struct topic_spec spec = {.settings = &(struct topic_setting){0}};
	struct topic_state topic;
	enum result r = admin_group(a->admin, s->group, group, err);

	*out = (struct stage_status){.last = -1, .committed = -1, .backlog = -1};
	out->members = group->member_count;
	memcpy(out->group, group->state, sizeof out->group);
	free(group);
	memcpy(spec.name, s->input, sizeof spec.name);
	if (r == OK)
		r = admin_look(a->admin, &spec, 1, &topic, err);
	if (r == OK && topic.exists)
		r = look_at_offsets(a, s, topic.partitions, extractor, out, err);
	return r;
}

static void age(int64_t last, char *out, size_t size)
{
	int64_t s = last < 0 ? -1 : (wall_now().ms - last) / 1000;

	if (s < 0)
		snprintf(out, size, "-");
	else if (s < 120)
		snprintf(out, size, "%llds", (long long)s);
	else if (s < 7200)
		snprintf(out, size, "%lldm", (long long)s / 60);
	else
		snprintf(out, size, "%lldh", (long long)s / 3600);
}

static void print(struct asker *a, const struct flow *f, const struct pipeline_stage *s,
		  bool extractor, const struct stage_status *st)
{
	char backlog[24] = "-", committed[24] = "-", old[24];

	if (a->json) {
		printf("%s{\"flow\":\"%s\",\"stage\":\"%s\",\"members\":%zu,\"committed\":%lld,"
		       "\"backlog\":%lld,\"last_record_ms\":%lld}",
		       a->first ? "[" : ",\n ", f->name, s->program, st->members,
		       (long long)st->committed, extractor ? 0LL : (long long)st->backlog,
		       (long long)st->last);
		a->first = false;
		return;
	}
	if (st->committed >= 0)
		snprintf(committed, sizeof committed, "%lld", (long long)st->committed);
	if (st->backlog >= 0 && !extractor)
		snprintf(backlog, sizeof backlog, "%lld", (long long)st->backlog);
	age(st->last, old, sizeof old);
	printf("%-16s %-26s %7zu %10s %8s %9s\n", f->name, s->program, st->members, committed,
	       backlog, old);
}

static int show(struct asker *a, const struct flow *only)
{
	struct error err;

	if (!a->json)
		printf("%-16s %-26s %7s %10s %8s %9s\n", "flow", "stage", "members", "position",
		       "backlog", "last");
	for (size_t i = 0; i < a->c->flow_count; i++) {
		const struct flow *f = &a->c->flows[i];
		struct pipeline p;
		if (only && only != f)
			continue;
		pipeline_of(a->c, f, &p);
		for (int s = 0; s < STAGES; s++) {
			struct stage_status st;
			if (look(a, &p.stages[s], s == STAGE_EXTRACT, &st, &err) != OK)
				return command_fail(&err);
			print(a, f, &p.stages[s], s == STAGE_EXTRACT, &st);
		}
	}
	if (a->json)
		printf("%s]\n", a->first ? "[" : "");
	return EXIT_OK;
}

int command_status(int argc, char **argv)
{
	const char *flow_name = NULL;
	bool json = false;
	struct option_spec specs[] = {
	    {.name = "flow", .arg = "NAME", .help = "only this flow; default: all", .text = &flow_name},
	    {.name = "json", .help = "for machines; default: a table", .flag = &json},
	    {0}};
	struct command_line line = {
	    .name = "tideway status",
	    .arguments = "",
	    .synopsis = "Shows how far each stage is: members of its group, the sum of its committed\n"
			"offsets, how many offsets are left to read (0 when it has read all), and\n"
			"how old the last committed record is. An extractor has its last checkpoint.",
	    .specs = specs};
	const struct flow *flow;
	struct error err;
	char client[PIPELINE_NAME_MAX];
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	struct config *c = command_config(&line, &status);
	if (!c)
		return status;
	struct asker a = {.c = c, .json = json, .first = true};
	if (command_flow(c, flow_name, &flow, &status) && (a.admin = command_kafka(c, &status))) {
		snprintf(client, sizeof client, "%s.tideway", c->name);
		a.reader = kafka_reader(c, client, &err);
		status = a.reader ? show(&a, flow) : command_fail(&err);
	}
	if (a.reader) {
		rd_kafka_consumer_close(a.reader);
		rd_kafka_destroy(a.reader);
	}
	if (a.admin)
		rd_kafka_destroy(a.admin);
	config_free(c);
	return status;
}
