/* tideway replay - sets the committed offsets of a stage back, so that it reads its topic again.
 * What the sources said is in the topics: nothing is asked of Dynamics or Campaign.  Or from the
 * source itself: asks the extractor to read its table again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "arena.h"
#include "request.h"

static const struct pipeline_stage *find_stage(const struct pipeline *p, const char *name)
{
	for (int i = STAGE_TRANSFORM; i <= STAGE_LOAD; i++)
		if (!strcmp(p->stages[i].program, name))
			return &p->stages[i];
	return NULL;
}

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

static int rewind_stage(rd_kafka_t *rk, const struct pipeline_stage *s)
{
	struct topic_spec spec = {.settings = &(struct topic_setting){0}};
	struct topic_state state;
	struct error err;
	int64_t high;

	memcpy(spec.name, s->input, sizeof spec.name);
	if (admin_look(rk, &spec, 1, &state, &err) != OK)
		return command_fail(&err);
	if (!state.exists) {
		fprintf(stderr, "tideway: the topic %s does not exist\n", s->input);
		return EXIT_PERMANENT;
	}
	_cleanup_(freep) int64_t *offsets = xcalloc((size_t)state.partitions, sizeof *offsets);
	for (int i = 0; i < state.partitions; i++) {
		rd_kafka_resp_err_t code =
		    rd_kafka_query_watermark_offsets(rk, s->input, i, &offsets[i], &high, 15000);
		if (code) {
			fprintf(stderr, "tideway: reading the offsets of %s: %s\n", s->input,
				rd_kafka_err2str(code));
			return EXIT_TEMPORARY;
		}
	}
	if (admin_set_committed(rk, s->group, s->input, state.partitions, offsets, &err) != OK)
		return command_fail(&err);
	for (int i = 0; i < state.partitions; i++)
		printf("%s partition %d: next is offset %lld\n", s->input, i,
		       (long long)offsets[i]);
	printf("start %s, and it reads the topic from there\n", s->program);
	return EXIT_OK;
}

/* The extractor reads its table again.  It need not be stopped, nor run now. */
static int from_source(const struct config *c, const struct flow *f, const char *since)
{
	struct request q = {.kind = REQUEST_RESCAN};

	if (f->kind == FLOW_EMAIL_EVENTS) {
		fprintf(stderr, "tideway: %s reads files; put them into the folder again\n",
			f->name);
		return EXIT_PERMANENT;
	}
	if (since && (!datetime_parse(since, strlen(since), true, &q.since) || q.since.ms <= 0)) {
		fprintf(stderr, "tideway replay: --since wants a time with a zone, like "
				"2026-01-31T00:00:00Z\n");
		return EXIT_PERMANENT;
	}
	int status = request_send(c, f, &q);
	if (status == EXIT_OK)
		printf("%s: extract-dataverse reads %s of %s again and goes on with changes; "
		       "`tideway status` shows how far it is\n",
		       f->name, since ? "what was modified since" : "all rows", f->table);
	return status;
}

int command_replay(int argc, char **argv)
{
	const char *flow_name = NULL, *stage_name = NULL, *from = NULL, *since = NULL;
	struct option_spec specs[] = {
	    {.name = "flow", .arg = "NAME", .help = "the flow; no default", .text = &flow_name},
	    {.name = "stage",
	     .arg = "NAME",
	     .help = "a transformer or loader (not with source); no default",
	     .text = &stage_name},
	    {.name = "from",
	     .arg = "WHERE",
	     .help = "beginning (of its topic) or source; no default",
	     .text = &from},
	    {.name = "since",
	     .arg = "TIME",
	     .help = "with source: only rows modified since; default: all",
	     .text = &since},
	    {0}};
	struct command_line line = {
	    .name = "tideway replay",
	    .arguments = "",
	    .synopsis =
		"Sets a stage back to the beginning of its topic. The stage must be stopped:\n"
		"while its group has members they are named and nothing is done. Writes are\n"
		"keyed, so a replay ends in the same state that it found.\n\n"
		"With --from source the extractor reads all rows of its table again, while it\n"
		"goes on with changes, and finds what is gone; nothing has to be stopped.",
	    .specs = specs};
	const struct flow *flow;
	struct pipeline p;
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	bool source = from && !strcmp(from, "source");
	if (!flow_name || !from || (source ? stage_name != NULL : !stage_name || since) ||
	    (!source && strcmp(from, "beginning"))) {
		fprintf(stderr,
			"tideway replay: wants --flow NAME --stage NAME --from beginning, or "
			"--flow NAME --from source [--since TIME]\n");
		return EXIT_PERMANENT;
	}
	struct config *c = command_config(&line, &status);
	if (!c)
		return status;
	if (command_flow(c, flow_name, &flow, &status) && source) {
		status = from_source(c, flow, since);
	} else if (status == EXIT_OK) {
		pipeline_of(c, flow, &p);
		const struct pipeline_stage *s = find_stage(&p, stage_name);
		rd_kafka_t *rk = NULL;
		if (!s) {
			fprintf(stderr,
				"tideway: the stages of %s that can be replayed are %s and %s\n",
				flow_name, p.stages[1].program, p.stages[2].program);
			status = EXIT_PERMANENT;
		} else {
			rk = command_kafka(c, &status);
		}
		if (rk) {
			status = require_empty(rk, s);
			if (status == EXIT_OK)
				status = rewind_stage(rk, s);
			rd_kafka_destroy(rk);
		}
	}
	config_free(c);
	return status;
}
