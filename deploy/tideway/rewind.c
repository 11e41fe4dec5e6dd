/* rewind.c - see rewind.h.
 *
 * What a loader does with a replay is in the mark beside the offset: until where it is forced, and
 * whether it ends with a sweep.  A mark of an owner that was killed keeps saying so. */
#include "rewind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "arena.h"
#include "json.h"
#include "mark.h"

enum { TIMEOUT_MS = 15000 };

struct place_in {
	int64_t low, high, next;
};

static int require_empty(rd_kafka_t *rk, const struct pipeline_stage *s)
{
	struct group_state *group = xcalloc(1, sizeof *group);
	struct error err;
	int status = EXIT_OK;

	if (admin_group(rk, s->group, group, &err) != OK) {
		status = command_fail(&err);
	} else if (group->member_count) {
		fprintf(stderr,
			"tideway: the group %s has %zu member%s; stop %s first, then replay:\n",
			s->group, group->member_count, group->member_count == 1 ? "" : "s",
			group->member_count == 1 ? "it" : "them");
		for (size_t i = 0; i < group->member_count && i < 64; i++)
			fprintf(stderr, "  %s at %s, %d partitions\n",
				*group->members[i].instance ? group->members[i].instance
							    : group->members[i].client,
				group->members[i].host, group->members[i].partitions);
		status = EXIT_PERMANENT;
	}
	free(group);
	return status;
}

static int bad_from(const char *from)
{
	fprintf(stderr,
		"tideway replay: --from %s is neither beginning, nor a time with a zone like "
		"2026-01-31T00:00:00Z, nor offsets of partitions like 0:120,3:77\n",
		from);
	return EXIT_PERMANENT;
}

/* Partitions that are not named stay where they are. */
static int by_offsets(const char *from, struct place_in *places, int partitions)
{
	for (const char *at = from; *at;) {
		char *end;
		long long partition = strtoll(at, &end, 10), offset = -1;
		if (end != at && *end == ':') {
			at = end + 1;
			offset = strtoll(at, &end, 10);
		}
		if (end == at || offset < 0 || (*end && *end != ',') || (*end == ',' && !end[1]))
			return bad_from(from);
		if (partition < 0 || partition >= partitions || offset < places[partition].low ||
		    offset > places[partition].high) {
			fprintf(stderr,
				"tideway replay: there is no offset %lld in partition %lld\n",
				offset, partition);
			return EXIT_PERMANENT;
		}
		places[partition].next = offset;
		at = *end ? end + 1 : end;
	}
	return EXIT_OK;
}

static int by_time(rd_kafka_t *rk, const struct pipeline_stage *s, wall_time since,
		   struct place_in *places, int partitions)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);

	for (int i = 0; i < partitions; i++)
		rd_kafka_topic_partition_list_add(list, s->input, i)->offset = since.ms;
	rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(rk, list, TIMEOUT_MS);
	for (int i = 0; i < list->cnt && !code; i++) {
		struct place_in *p = &places[list->elems[i].partition];
		p->next = list->elems[i].offset >= 0 ? list->elems[i].offset : p->high;
	}
	rd_kafka_topic_partition_list_destroy(list);
	if (!code)
		return EXIT_OK;
	fprintf(stderr, "tideway: looking for a time in %s: %s\n", s->input,
		rd_kafka_err2str(code));
	return EXIT_TEMPORARY;
}

static int find_places(rd_kafka_t *rk, const struct pipeline_stage *s, const struct rewind *how,
		       const struct admin_offset *now, struct place_in *places, int partitions)
{
	wall_time since;

	for (int i = 0; i < partitions; i++) {
		struct place_in *p = &places[i];
		rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
		    rk, s->input, i, &p->low, &p->high, TIMEOUT_MS);
		if (code) {
			fprintf(stderr, "tideway: reading the offsets of %s: %s\n", s->input,
				rd_kafka_err2str(code));
			return EXIT_TEMPORARY;
		}
		p->next = now[i].offset >= p->low ? now[i].offset : p->low;
	}
	if (!strcmp(how->from, "beginning")) {
		for (int i = 0; i < partitions; i++)
			places[i].next = places[i].low;
		return EXIT_OK;
	}
	if (datetime_parse(how->from, strlen(how->from), true, &since))
		return by_time(rk, s, since, places, partitions);
	return by_offsets(how->from, places, partitions);
}

static char *mark_of(const struct rewind *how, const struct place_in *at,
		     const struct admin_offset *now)
{
	bool complete = !strcmp(how->from, "beginning");
	struct mark m = mark_parse(now->metadata, now->metadata ? strlen(now->metadata) : 0);
	char text[MARK_TEXT_MAX];

	if (!m.known && now->offset >= 0)
		return NULL; /* the loader takes it for what it is: not known */
	bool left_behind = m.known && m.ahead > now->offset;
	m.ahead = left_behind && m.ahead > at->next ? m.ahead : at->next;
	m.force = how->force && at->next < at->high ? at->high : 0;
	m.sweep_from = how->memory && complete ? at->next : 0;
	m.sweep_end = how->memory && complete ? at->high + 1 : 0;
	m.sweep_max = m.sweep_end ? how->max_deletes : 0;
	return xstrndup(text, mark_format(&m, text));
}

int rewind_stage(rd_kafka_t *rk, const struct pipeline_stage *s, const struct rewind *how)
{
	struct topic_spec spec = {.settings = &(struct topic_setting){0}};
	struct topic_state state;
	struct error err;
	int status = require_empty(rk, s);

	if (status != EXIT_OK)
		return status;
	memcpy(spec.name, s->input, sizeof spec.name);
	if (admin_look(rk, &spec, 1, &state, &err) != OK)
		return command_fail(&err);
	if (!state.exists) {
		fprintf(stderr, "tideway: the topic %s does not exist\n", s->input);
		return EXIT_PERMANENT;
	}
	int n = state.partitions;
	struct admin_offset *offsets = xcalloc((size_t)n, sizeof *offsets);
	_cleanup_(freep) struct place_in *places = xcalloc((size_t)n, sizeof *places);
	if (admin_committed(rk, s->group, s->input, n, offsets, &err) != OK)
		status = command_fail(&err);
	if (status == EXIT_OK)
		status = find_places(rk, s, how, offsets, places, n);
	for (int i = 0; i < n && status == EXIT_OK; i++) {
		char *mark = how->loader ? mark_of(how, &places[i], &offsets[i]) : NULL;
		free(offsets[i].metadata);
		offsets[i] = (struct admin_offset){places[i].next, mark};
	}
	if (status == EXIT_OK &&
	    admin_set_committed(rk, s->group, s->input, n, offsets, &err) != OK)
		status = command_fail(&err);
	for (int i = 0; i < n && status == EXIT_OK; i++)
		printf("%s partition %d: next is offset %lld\n", s->input, i,
		       (long long)places[i].next);
	if (status == EXIT_OK)
		printf("start %s, and it reads the topic from there\n", s->program);
	admin_offsets_free(offsets, n);
	return status;
}
