/* tideway check - every mistake in one run: file, line, column, and what to do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "command.h"
#include "mapping.h"

static void metadata_problem(struct problems *p, const struct flow *f, const struct error *err)
{
	problem(p, f->at, "%s", err->text);
}

/* A parent must be loaded by some flow, or the join never finds it. */
static void check_links(const struct config *c, const struct flow *f, struct problems *p)
{
	for (size_t i = 0; i < f->field_count; i++) {
		bool loaded = !f->fields[i].link;
		for (size_t j = 0; j < c->flow_count && !loaded; j++)
			loaded = c->flows[j].resource &&
				 !strcmp(c->flows[j].resource, f->fields[i].link);
		if (!loaded)
			problem(p, f->fields[i].at, "the link leads to %s, which no flow loads",
				f->fields[i].link);
	}
}

/* The columns that a way to find changes needs. */
static void check_changes(const struct flow *f, const struct table *t, struct problems *p)
{
	if (f->changes == CHANGES_MODIFIEDON && !table_column(t, "modifiedon"))
		problem(p, f->at,
			"table %s has no column modifiedon: set \"changes\" to "
			"versionnumber or full",
			f->table);
}

static void check_table_flow(const struct config *c, const struct flow *f, struct problems *p)
{
	struct table *table = NULL;
	struct resource *resource = NULL;
	struct error err;

	if (table_load(c->metadata_dir, f->table, &table, &err) != OK)
		metadata_problem(p, f, &err);
	if (resource_load(c->metadata_dir, f->resource, &resource, &err) != OK)
		metadata_problem(p, f, &err);
	if (table)
		check_changes(f, table, p);
	if (table && resource)
		mapping_free(mapping_compile(f, table, resource, p));
	check_links(c, f, p);
	table_free(table);
	resource_free(resource);
}

static void check_activity(const struct config *c, const struct activity_config *a,
			   struct problems *p)
{
	const char *columns[] = {a->time, a->campaign, a->delivery, a->tracking_url, a->mirror_url};
	struct table *table = NULL;
	struct error err;

	if (table_load(c->metadata_dir, a->table, &table, &err) != OK) {
		problem(p, a->at, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < 5; i++) {
		const struct column *col = columns[i] ? table_column(table, columns[i]) : NULL;
		if (columns[i] && !col)
			problem(p, a->at, "table %s has no column %s", a->table, columns[i]);
		else if (col && i == 0 && col->type != COLUMN_DATETIME)
			problem(p, a->at, "column %s is %s, must be a date and time", columns[i],
				column_type_name(col->type));
		else if (col && i > 0 && col->type != COLUMN_STRING)
			problem(p, a->at, "column %s is %s, must be a text", columns[i],
				column_type_name(col->type));
	}
	table_free(table);
}

/* Reads count, too.  Microsoft, "requests limits and allocations": the base of a tenant. */
enum { REQUESTS_A_DAY = 500000 };

static void print_requests(const struct config *c)
{
	int64_t quiet = 0, busy = 0;

	for (size_t i = 0; i < c->flow_count; i++) {
		const struct flow *f = &c->flows[i];
		if (f->kind == FLOW_EMAIL_EVENTS)
			continue;
		quiet += 86400000 / f->poll_ms;
		busy += 86400000 / f->poll_min_ms;
	}
	if (busy)
		printf(
		    "asking Dynamics for changes takes %lld requests a day when all is quiet, %lld "
		    "when something always changes: %.1f and %.1f %% of the %d that a tenant has "
		    "at least\n",
		    (long long)quiet, (long long)busy, 100.0 * (double)quiet / REQUESTS_A_DAY,
		    100.0 * (double)busy / REQUESTS_A_DAY, REQUESTS_A_DAY);
}

int command_check(int argc, char **argv)
{
	struct command_line line = {
	    .name = "tideway check",
	    .arguments = "",
	    .synopsis =
		"Finds every mistake in the configuration, against the saved metadata: keys\n"
		"that are not known, columns and attributes that do not exist, types that\n"
		"do not convert, values that would re-subscribe somebody. Writes nothing."};
	struct problems problems = {0};
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	struct config *c = command_config(&line, &status);
	if (!c)
		return status;
	kafka_check(c, &problems);
	for (size_t i = 0; i < c->flow_count; i++) {
		const struct flow *f = &c->flows[i];
		if (f->kind != FLOW_EMAIL_EVENTS)
			check_table_flow(c, f, &problems);
		for (int k = 0; f->kind == FLOW_EMAIL_EVENTS && k < EVENT_KINDS; k++)
			if (f->activities[k].on)
				check_activity(c, &f->activities[k], &problems);
	}
	for (size_t i = 0; i < problems.count; i++) {
		_cleanup_(freep) char *text = problem_text(&problems, i);
		fprintf(stderr, "%s\n", text);
	}
	if (problems.count) {
		fprintf(stderr, "%zu mistake%s\n", problems.count, problems.count == 1 ? "" : "s");
		status = EXIT_PERMANENT;
	} else {
		printf("%s: %zu flow%s, no mistakes\n", c->path, c->flow_count,
		       c->flow_count == 1 ? "" : "s");
		print_requests(c);
	}
	problems_free(&problems);
	config_free(c);
	return status;
}
