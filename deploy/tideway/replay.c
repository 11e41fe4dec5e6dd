/* tideway replay - sets the committed offsets of a stage back, so that it reads its topic again.
 * What the sources said is in the topics: nothing is asked of Dynamics or Campaign.  Or from the
 * source itself: asks the extractor to read its table again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "metadata.h"
#include "request.h"
#include "rewind.h"

static const struct pipeline_stage *find_stage(const struct pipeline *p, const char *name)
{
	for (int i = STAGE_TRANSFORM; i <= STAGE_LOAD; i++)
		if (!strcmp(p->stages[i].program, name))
			return &p->stages[i];
	return NULL;
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
	struct table *table = NULL;
	struct error err;
	if (since && table_load(c->metadata_dir, f->table, &table, &err) != OK)
		return command_fail(&err);
	bool modified = !since || table_column(table, "modifiedon");
	table_free(table);
	if (!modified) {
		fprintf(stderr,
			"tideway replay: %s has no modifiedon: without --since all its rows are "
			"read\n",
			f->table);
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
	const char *max_deletes = NULL;
	bool force = false;
	struct option_spec specs[] = {
	    {.name = "flow", .arg = "NAME", .help = "the flow; no default", .text = &flow_name},
	    {.name = "stage",
	     .arg = "NAME",
	     .help = "a transformer or loader (not with source); no default",
	     .text = &stage_name},
	    {.name = "from",
	     .arg = "WHERE",
	     .help = "beginning, TIME, P:OFFSET,.. or source; no default",
	     .text = &from},
	    {.name = "force",
	     .help = "a loader writes what is unchanged, too; default: not",
	     .flag = &force},
	    {.name = "max-deletes",
	     .arg = "N",
	     .help = "of the sweep, a partition; default: 1 %, at least 100",
	     .text = &max_deletes},
	    {.name = "since",
	     .arg = "TIME",
	     .help = "with source: only rows modified since; default: all",
	     .text = &since},
	    {0}};
	struct command_line line = {
	    .name = "tideway replay",
	    .arguments = "",
	    .synopsis =
		"Sets a stage back in its topic. The stage must be stopped: while its group\n"
		"has members they are named and nothing is done. load-campaign sends nothing\n"
		"for what is unchanged; --force wins attributes back that somebody edited in\n"
		"Campaign. A replay from the beginning ends with a sweep: what Campaign was\n"
		"given and the topic has no more is deleted.\n\n"
		"With --from source the extractor reads all rows of its table again, while it\n"
		"goes on with changes, and finds what is gone; nothing has to be stopped.",
	    .specs = specs};
	const struct flow *flow;
	struct pipeline p;
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	bool source = from && !strcmp(from, "source");
	struct rewind how = {.from = from, .force = force};
	if (!flow_name || !from ||
	    (source ? stage_name || force || max_deletes : !stage_name || since) ||
	    (max_deletes && !text_to_int(max_deletes, 0, INT64_MAX, &how.max_deletes))) {
		fprintf(stderr,
			"tideway replay: wants --flow NAME --stage NAME --from WHERE [--force], or "
			"--flow NAME --from source [--since TIME]\n");
		return EXIT_PERMANENT;
	}
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
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
			how.loader = s == &p.stages[STAGE_LOAD];
			how.memory = how.loader && flow->resource;
			if (force && !how.memory) {
				fprintf(stderr, "tideway replay: --force is for load-campaign\n");
				status = EXIT_PERMANENT;
			} else {
				status = rewind_stage(rk, s, &how);
			}
			rd_kafka_destroy(rk);
		}
	}
	config_free(c);
	return status;
}
