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
#include "mark.h"
#include "extract_loop.h"

enum { LOOK_BACK = 20, LOOK_MS = 3000 };

/* A committed position, and the time of the last record before it. */
struct position {
	const struct pipeline_stage *stage;
	int partition;
	int64_t low, committed;
	int64_t last;	    /* -1: unknown */
	char progress[300]; /* what an extractor says of itself */
	bool done;
};

struct asker {
	const struct config *c;
	rd_kafka_t *admin, *reader;
	struct position *positions;
	size_t count;
	bool json;
};

static struct position *find(struct asker *a, const char *topic, int partition)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->positions[i].partition == partition &&
		    !strcmp(a->positions[i].stage->input, topic))
			return &a->positions[i];
	return NULL;
}

static void read_progress(const rd_kafka_message_t *m, struct position *p)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t size;

	if (!rd_kafka_message_headers(m, &headers) &&
	    !rd_kafka_header_get_last(headers, EXTRACT_PROGRESS, &value, &size))
		snprintf(p->progress, sizeof p->progress, "%.*s", (int)size, (const char *)value);
}

/* Reads all positions at once: each topic is the input of one stage.  The record before a position
 * is seldom the offset before it, because transactions leave their marks. */
static void read_last(struct asker *a)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)a->count);
	mono_time until = mono_add(mono_now(), LOOK_MS);
	size_t left = 0;

	for (size_t i = 0; i < a->count; i++) {
		struct position *p = &a->positions[i];
		if (p->committed <= p->low)
			continue;
		int64_t from =
		    p->committed - LOOK_BACK > p->low ? p->committed - LOOK_BACK : p->low;
		rd_kafka_topic_partition_list_add(list, p->stage->input, p->partition)->offset =
		    from;
		left++;
	}
	if (left)
		rd_kafka_assign(a->reader, list);
	while (left && mono_until(mono_now(), until)) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(a->reader, 100);
		struct position *p =
		    m && m->rkt ? find(a, rd_kafka_topic_name(m->rkt), m->partition) : NULL;
		if (p && !p->done) {
			rd_kafka_timestamp_type_t type;
			if (!m->err && m->offset < p->committed) {
				p->last = rd_kafka_message_timestamp(m, &type);
				read_progress(m, p);
			}
			p->done = m->err || m->offset + 1 >= p->committed;
			left -= p->done;
		}
		if (m)
			rd_kafka_message_destroy(m);
	}
	rd_kafka_assign(a->reader, NULL);
	rd_kafka_topic_partition_list_destroy(list);
}

struct stage_status {
	size_t members;
	char group[32];
	int64_t committed, backlog; /* -1: unknown */
	bool has_mark;
	struct mark mark; /* of a loader: the sum of its partitions */
};

/* Counts of an hour that is over are no counts of this one. */
static void add_mark(struct stage_status *out, const struct mark *m)
{
	int64_t hour = wall_now().ms / 3600000;

	if (!m->known)
		return;
	out->has_mark = true;
	out->mark.waiting += m->waiting;
	for (int i = 0; i < LOAD_COUNTS; i++) {
		out->mark.total[i] += m->total[i];
		out->mark.in_hour[i] += m->hour == hour ? m->in_hour[i] : 0;
	}
}

static enum result look_at_offsets(struct asker *a, const struct pipeline_stage *s, int partitions,
				   bool extractor, struct stage_status *out, struct error *err)
{
	struct admin_offset *offsets = xcalloc((size_t)partitions, sizeof *offsets);
	enum result r = OK;

	if (!extractor)
		r = admin_committed(a->admin, s->group, s->input, partitions, offsets, err);
	out->committed = out->backlog = 0;
	for (int i = 0; r == OK && i < partitions; i++) {
		int64_t low, end;
		/* The reader is read_committed: this is the last stable offset. */
		rd_kafka_resp_err_t code =
		    rd_kafka_query_watermark_offsets(a->reader, s->input, i, &low, &end, 15000);
		if (code) {
			r = error_restart(err, "broker", "reading the offsets of %s: %s", s->input,
					  rd_kafka_err2str(code));
			break;
		}
		if (offsets[i].metadata) {
			struct mark m =
			    mark_parse(offsets[i].metadata, strlen(offsets[i].metadata));
			add_mark(out, &m);
		}
		/* An extractor's own progress is the last record of its checkpoint topic. */
		int64_t at = extractor ? end : offsets[i].offset >= 0 ? offsets[i].offset : low;
		out->committed += at;
		out->backlog += end > at ? end - at : 0;
		a->positions = xrealloc(a->positions, (a->count + 1) * sizeof *a->positions);
		a->positions[a->count++] = (struct position){
		    .stage = s, .partition = i, .low = low, .committed = at, .last = -1};
	}
	admin_offsets_free(offsets, partitions);
	return r;
}

static enum result look(struct asker *a, const struct pipeline_stage *s, bool extractor,
			struct stage_status *out, struct error *err)
{
	struct group_state *group = xcalloc(1, sizeof *group);
	struct topic_spec spec = {.settings = &(struct topic_setting){0}};
	struct topic_state topic;
	enum result r = admin_group(a->admin, s->group, group, err);

	*out = (struct stage_status){.committed = -1, .backlog = -1};
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

static void print_json_counts(const char *name, const int64_t *counts)
{
	printf(",\"%s\":{", name);
	for (int i = 0; i < LOAD_COUNTS; i++)
		printf("%s\"%s\":%lld", i ? "," : "", load_count_names[i], (long long)counts[i]);
	printf("}");
}

/* What loaders did: in this hour, in all. */
static void print_counts(const struct flow *f, const struct stage_status *st)
{
	static const enum load_count columns[] = {COUNT_CREATED,   COUNT_UPDATED, COUNT_DELETED,
						  COUNT_UNCHANGED, COUNT_OLDER,	  COUNT_COALESCED,
						  COUNT_REJECTED,  COUNT_CALLS};

	for (int hour = 1; hour >= 0; hour--) {
		printf("%-16s %-9s", f->name, hour ? "this hour" : "in all");
		for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
			printf(" %9lld",
			       (long long)(hour ? st->mark.in_hour : st->mark.total)[columns[i]]);
		if (hour)
			printf("\n");
		else
			printf("  %lld waiting for their parent\n", (long long)st->mark.waiting);
	}
}

static void print(const struct asker *a, const struct flow *f, const struct pipeline_stage *s,
		  bool extractor, const struct stage_status *st, bool first)
{
	char backlog[24] = "-", committed[24] = "-", old[24];
	const char *progress = "";
	int64_t last = -1;

	for (size_t i = 0; i < a->count; i++)
		if (a->positions[i].stage == s && a->positions[i].last > last) {
			last = a->positions[i].last;
			progress = a->positions[i].progress;
		}
	if (a->json) { /* progress has no character that JSON escapes */
		printf("%s{\"flow\":\"%s\",\"stage\":\"%s\",\"members\":%zu,\"committed\":%lld,"
		       "\"backlog\":%lld,\"last_record_ms\":%lld,\"progress\":\"%s\"",
		       first ? "[" : ",\n ", f->name, s->program, st->members,
		       (long long)st->committed, extractor ? 0LL : (long long)st->backlog,
		       (long long)last, progress);
		if (st->has_mark) {
			printf(",\"waiting\":%lld", (long long)st->mark.waiting);
			print_json_counts("total", st->mark.total);
			print_json_counts("hour", st->mark.in_hour);
		}
		printf("}");
		return;
	}
	if (st->committed >= 0)
		snprintf(committed, sizeof committed, "%lld", (long long)st->committed);
	if (st->backlog >= 0 && !extractor)
		snprintf(backlog, sizeof backlog, "%lld", (long long)st->backlog);
	age(last, old, sizeof old);
	printf("%-16s %-26s %7zu %10s %8s %9s%s%s\n", f->name, s->program, st->members, committed,
	       backlog, old, *progress ? "  " : "", progress);
}

static int show(struct asker *a, const struct flow *only)
{
	size_t flows = a->c->flow_count;
	_cleanup_(freep) struct pipeline *pipelines = xcalloc(flows, sizeof *pipelines);
	_cleanup_(freep) struct stage_status *all = xcalloc(flows * STAGES, sizeof *all);
	bool first = true;
	struct error err;

	for (size_t i = 0; i < flows; i++) {
		if (only && only != &a->c->flows[i])
			continue;
		pipeline_of(a->c, &a->c->flows[i], &pipelines[i]);
		for (int s = 0; s < STAGES; s++)
			if (look(a, &pipelines[i].stages[s], s == STAGE_EXTRACT,
				 &all[i * STAGES + (size_t)s], &err) != OK)
				return command_fail(&err);
	}
	read_last(a);
	if (!a->json)
		printf("%-16s %-26s %7s %10s %8s %9s\n", "flow", "stage", "members", "position",
		       "backlog", "last");
	for (size_t i = 0; i < flows; i++) {
		if (only && only != &a->c->flows[i])
			continue;
		for (int s = 0; s < STAGES; s++) {
			print(a, &a->c->flows[i], &pipelines[i].stages[s], s == STAGE_EXTRACT,
			      &all[i * STAGES + (size_t)s], first);
			first = false;
		}
	}
	if (a->json) {
		printf("%s]\n", first ? "[" : "");
		return EXIT_OK;
	}
	bool any = false;
	for (size_t i = 0; i < flows; i++) {
		const struct stage_status *st = &all[i * STAGES + STAGE_LOAD];
		if (!st->has_mark)
			continue;
		if (!any)
			printf("\n%-26s %9s %9s %9s %9s %9s %9s %9s %9s\n", "loaded", "created",
			       "updated", "deleted", "unchanged", "older", "coalesced", "rejected",
			       "calls");
		any = true;
		print_counts(&a->c->flows[i], st);
	}
	return EXIT_OK;
}

int command_status(int argc, char **argv)
{
	const char *flow_name = NULL;
	bool json = false;
	struct option_spec specs[] = {
	    {.name = "flow",
	     .arg = "NAME",
	     .help = "only this flow; default: all",
	     .text = &flow_name},
	    {.name = "json", .help = "for machines; default: a table", .flag = &json},
	    {0}};
	struct command_line line = {
	    .name = "tideway status",
	    .arguments = "",
	    .synopsis =
		"Shows how far each stage is: members of its group, the sum of its committed\n"
		"offsets, how many offsets are left to read (0 when it has read all), and\n"
		"how old the last committed record is. An extractor has its last checkpoint.",
	    .specs = specs};
	const struct flow *flow;
	struct error err;
	char client[PIPELINE_NAME_MAX];
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
	if (!c)
		return status;
	struct asker a = {.c = c, .json = json};
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
	free(a.positions);
	config_free(c);
	return status;
}
