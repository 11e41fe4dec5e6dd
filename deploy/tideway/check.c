/* tideway check - every mistake in one run: file, line, column, and what to do.
 *
 * First the file alone, then against the saved metadata, then, where the systems answer, the saved
 * metadata against the live one: a column that was dropped last night is a mistake of today. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "campaign.h"
#include "command.h"
#include "dataverse.h"
#include "json.h"
#include "mapping.h"
#include "requests.h"

struct checker {
	const struct config *c;
	struct problems problems;
	/* live */
	struct http *http;
	struct dataverse dataverse;
	struct campaign campaign;
	char *notes[2]; /* what could not be asked: Dynamics, Campaign */
};

/* ---- against the saved metadata --------------------------------------------------------------- */

/* Two flows of one table or one resource would write one topic with two minds. */
static void check_alone(struct checker *k, const struct flow *f)
{
	for (const struct flow *other = k->c->flows; other < f; other++) {
		if (other->kind == FLOW_EMAIL_EVENTS)
			continue;
		bool table = !strcmp(other->table, f->table);
		if (table || !strcmp(other->resource, f->resource))
			problem(&k->problems,
				doc_place(doc_get(f->node, table ? "table" : "resource")),
				"the %s %s belongs to the flow %s already: one flow a table and a "
				"resource; a field can be written to several attributes",
				table ? "table" : "resource", table ? f->table : f->resource,
				other->name);
	}
}

/* The columns that a way to find changes needs. */
static void check_changes(struct checker *k, const struct flow *f, const struct table *t)
{
	if (f->changes == CHANGES_MODIFIEDON && !table_column(t, "modifiedon"))
		problem(
		    &k->problems, doc_place(doc_get(f->node, "changes")),
		    "table %s has no column modifiedon: set \"changes\" to versionnumber or full",
		    f->table);
}

static void live_table(struct checker *k, struct place at, bool tracked, const struct table *saved,
		       const char *const *columns, size_t n);
static void live_resource(struct checker *k, struct place at, const struct resource *saved,
			  const char *const *attributes, size_t n);
static void probe_key(struct checker *k, const struct flow *f, const struct resource *r);

static void check_table_flow(struct checker *k, const struct flow *f)
{
	struct table *table = NULL;
	struct resource *resource = NULL;
	struct mapping *m = NULL;
	struct error err;
	size_t n;

	check_alone(k, f);
	if (*f->table && table_load(k->c->metadata_dir, f->table, &table, &err) != OK)
		problem(&k->problems, doc_place(doc_get(f->node, "table")), "%s", err.text);
	if (*f->resource && resource_load(k->c->metadata_dir, f->resource, &resource, &err) != OK)
		problem(&k->problems, doc_place(doc_get(f->node, "resource")), "%s", err.text);
	if (table)
		check_changes(k, f, table);
	if (table && resource)
		m = mapping_compile(f, table, resource, &k->problems);
	if (m) {
		const char *const *columns = mapping_columns(m, &n);
		live_table(k, f->at, f->changes == CHANGES_TRACKING, table, columns, n);
		const char *const *attributes = mapping_attributes(m, &n);
		live_resource(k, f->at, resource, attributes, n);
	}
	if (m)
		probe_key(k, f, resource);
	mapping_free(m);
	table_free(table);
	resource_free(resource);
}

static void check_activity(struct checker *k, const struct activity_config *a)
{
	const char *columns[ACTIVITY_TEXTS + 1] = {a->time}, *named[ACTIVITY_TEXTS + 1];
	struct problems *p = &k->problems;
	struct table *table = NULL;
	struct error err;
	size_t before = p->count, n = 0;

	if (table_load(k->c->metadata_dir, a->table, &table, &err) != OK) {
		problem(p, a->at, "%s", err.text);
		return;
	}
	memcpy(columns + 1, a->columns, sizeof a->columns);
	for (size_t i = 0; i < ACTIVITY_TEXTS + 1; i++) {
		const struct column *col = columns[i] ? table_column(table, columns[i]) : NULL;
		if (columns[i])
			named[n++] = columns[i];
		if (columns[i] && !col)
			problem(p, a->at, "table %s has no column %s", a->table, columns[i]);
		else if (col && i == 0 && col->type != COLUMN_DATETIME)
			problem(p, a->at, "column %s is %s, must be a date and time", columns[i],
				column_type_name(col->type));
		else if (col && i > 0 && col->type != COLUMN_STRING)
			problem(p, a->at, "column %s is %s, must be a text", columns[i],
				column_type_name(col->type));
	}
	if (p->count == before)
		live_table(k, a->at, false, table, named, n);
	table_free(table);
}

/* ---- against the live systems ----------------------------------------------------------------- */

/* True when the system was asked and is the one to blame; what is away is noted once. */
static bool blame(struct checker *k, int side, enum result r, const struct error *err)
{
	static const char *const names[] = {"Dynamics", "Campaign"};

	if (r == RETRY && !k->notes[side])
		k->notes[side] = xasprintf("%s is not reachable: checked against saved metadata "
					   "only (%s)",
					   names[side], err->text);
	return r != OK && r != RETRY;
}

static void live_table(struct checker *k, struct place at, bool tracked, const struct table *saved,
		       const char *const *columns, size_t n)
{
	struct table *live = NULL;
	struct error err;

	if (!k->http || k->notes[0])
		return;
	enum result r = dataverse_table(&k->dataverse, saved->name, mono_now(), &live, &err);
	if (r == OK)
		r = table_same(saved, live, columns, n, &err);
	if (blame(k, 0, r, &err))
		problem(&k->problems, at, "live: %s", err.text);
	if (r == OK && tracked && saved->change_tracking && !live->change_tracking)
		problem(&k->problems, at,
			"live: table %s has no change tracking any more: enable it in Dynamics, or "
			"set \"changes\" of the flow to modifiedon, versionnumber or full",
			saved->name);
	table_free(live);
}

static void live_resource(struct checker *k, struct place at, const struct resource *saved,
			  const char *const *attributes, size_t n)
{
	struct resource *live = NULL;
	struct error err;

	if (!k->http || k->notes[1])
		return;
	enum result r = campaign_resource(&k->campaign, saved->name, mono_now(), &live, &err);
	if (r == OK)
		r = resource_same(saved, live, attributes, n, &err);
	if (blame(k, 1, r, &err))
		problem(&k->problems, at, "live: %s", err.text);
	resource_free(live);
}

/* Without an identification key Campaign happily makes duplicates. A key that nobody has must be
 * answered by the documented 404: no record with it. */
static void probe_key(struct checker *k, const struct flow *f, const struct resource *r)
{
	char nobody[] = "tideway-check-00000000-0000-4000-8000-000000000000";
	_cleanup_(freep) char *path =
	    f->filter_name
		? xasprintf("%s/%s?%s=%s", r->path, f->filter_name, f->filter_parameter, nobody)
		: NULL;
	struct error err;

	if (!k->http || k->notes[1] || k->problems.count)
		return;
	cJSON *record = NULL;
	enum result result = campaign_record(&k->campaign, path ? path : r->path,
					     path ? NULL : nobody, mono_now(), &record, &err);
	cJSON_Delete(record);
	if (result == RETRY)
		blame(k, 1, result, &err);
	else if (result != OK)
		problem(&k->problems, f->at, "live: %s", err.text);
}

static void open_live(struct checker *k)
{
	const struct connection *d = &k->c->dataverse, *a = &k->c->campaign;

	k->http = http_new("tideway/" TIDEWAY_VERSION, NULL);
	dataverse_init(&k->dataverse, k->http, d->url, d->credentials.token_url,
		       d->credentials.client_id, d->credentials.client_secret,
		       d->credentials.scope);
	campaign_init(&k->campaign, k->http, a->url, a->credentials.token_url,
		      a->credentials.client_id ? a->credentials.client_id : "",
		      a->credentials.client_secret, a->credentials.scope);
}

static void close_live(struct checker *k)
{
	if (!k->http)
		return;
	dataverse_free(&k->dataverse);
	campaign_free(&k->campaign);
	http_free(k->http);
}

/* ---- the command ------------------------------------------------------------------------------ */

/* What is asked of Dynamics a day, with the rows of tables that are read in full. */
static struct requests count_requests(struct checker *k)
{
	int64_t *rows = xcalloc(k->c->flow_count + 1, sizeof *rows);
	struct error ignored; /* then it is not known */

	for (size_t i = 0; i < k->c->flow_count; i++) {
		const struct flow *f = &k->c->flows[i];
		rows[i] = -1;
		if (f->kind != FLOW_EMAIL_EVENTS && f->changes == CHANGES_FULL && k->http &&
		    !k->notes[0] &&
		    dataverse_count(&k->dataverse, f->table, mono_now(), &rows[i], &ignored) != OK)
			rows[i] = -1;
	}
	struct requests r = requests_of(k->c, rows);
	free(rows);
	return r;
}

/* A file's name need not be UTF-8. */
static void add_text(cJSON *object, const char *name, const char *text)
{
	_cleanup_(freep) char *clean = utf8_replaced(text);

	cJSON_AddStringToObject(object, name, clean);
}

static void print_json(struct checker *k)
{
	cJSON *all = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(all, "mistakes");
	cJSON *notes = cJSON_AddArrayToObject(all, "notes");

	for (size_t i = 0; i < k->problems.count; i++) {
		const struct problem *p = &k->problems.items[i];
		cJSON *one = cJSON_CreateObject();
		add_text(one, "file", p->at.file ? p->at.file : "");
		cJSON_AddNumberToObject(one, "line", p->at.line);
		cJSON_AddNumberToObject(one, "column", p->at.column);
		add_text(one, "text", p->text);
		cJSON_AddItemToArray(list, one);
	}
	for (int i = 0; i < 2; i++) {
		if (!k->notes[i])
			continue;
		_cleanup_(freep) char *clean = utf8_replaced(k->notes[i]);
		cJSON_AddItemToArray(notes, cJSON_CreateString(clean));
	}
	if (k->c && !k->problems.count) {
		struct requests r = count_requests(k);
		cJSON_AddItemToObject(all, "requests_a_day", requests_json(&r));
	}
	_cleanup_(freep) char *text = cJSON_Print(all);
	puts(text);
	cJSON_Delete(all);
}

static void print_text(struct checker *k)
{
	size_t n = k->problems.count, flows = k->c ? k->c->flow_count : 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *text = problem_text(&k->problems, i);
		fprintf(stderr, "%s\n", text);
	}
	for (int i = 0; i < 2; i++)
		if (k->notes[i])
			printf("%s\n", k->notes[i]);
	if (n) {
		fprintf(stderr, "%zu mistake%s\n", n, n == 1 ? "" : "s");
	} else {
		printf("%s: %zu flow%s, no mistakes\n", k->c->path, flows, flows == 1 ? "" : "s");
		struct requests r = count_requests(k);
		requests_print(&r);
	}
}

/* In the order of the files, then of the lines. */
static int by_place(const void *a, const void *b)
{
	const struct place *x = &((const struct problem *)a)->at;
	const struct place *y = &((const struct problem *)b)->at;
	int order = strcmp(x->file ? x->file : "", y->file ? y->file : "");

	return order ? order : x->line != y->line ? x->line - y->line : x->column - y->column;
}

int command_check(int argc, char **argv)
{
	bool json = false, offline = false;
	struct option_spec specs[] = {{.name = "json",
				       .help = "one JSON object on stdout; default: lines of text",
				       .flag = &json},
				      {.name = "offline",
				       .help = "ask no live system; default: those that answer",
				       .flag = &offline},
				      {0}};
	struct command_line line = {
	    .name = "tideway check",
	    .arguments = "",
	    .synopsis =
		"Finds every mistake in the configuration: keys that are not known, columns\n"
		"and attributes that do not exist, types that do not convert, values that\n"
		"would re-subscribe somebody. Against the saved metadata, and where Dynamics\n"
		"and Campaign answer, the saved metadata against theirs. Writes nothing.",
	    .specs = specs};
	struct checker k = {0};
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	struct config *c = config_read(line.configs.items, line.configs.count, command_env,
				       offline ? CONFIG_OFFLINE : CONFIG_CONNECTS, &k.problems);
	k.c = c;
	if (c)
		kafka_check(c, &k.problems);
	/* Connections with mistakes in them lead nowhere. */
	if (c && !offline && !k.problems.count)
		open_live(&k);
	for (size_t i = 0; c && i < c->flow_count; i++) {
		const struct flow *f = &c->flows[i];
		if (f->kind != FLOW_EMAIL_EVENTS)
			check_table_flow(&k, f);
		for (int n = 0; f->kind == FLOW_EMAIL_EVENTS && n < EVENT_KINDS; n++)
			if (f->activities[n].on)
				check_activity(&k, &f->activities[n]);
	}
	if (k.problems.count) {
		qsort(k.problems.items, k.problems.count, sizeof *k.problems.items, by_place);
		status = EXIT_PERMANENT;
	}
	if (json)
		print_json(&k);
	else
		print_text(&k);
	close_live(&k);
	free(k.notes[0]);
	free(k.notes[1]);
	problems_free(&k.problems);
	config_free(c);
	return status;
}
