/* tideway plan - what a mapping would do, before it does it.  Reads what the source said from the
 * topic, maps it with the file as it is now, asks Campaign what it has, and prints the difference.
 * Writes nothing, to no system. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

#include "arena.h"
#include "body.h"
#include "campaign.h"
#include "command.h"
#include "compare.h"
#include "json.h"
#include "mapping.h"
#include "price.h"
#include "wire.h"

enum { SAMPLE_DEFAULT = 100, READ_IDLE_MS = 15000 };

/* The last thing that the topic says of a key. */
struct row {
	char *key;
	void *value;
	size_t len;
	UT_hash_handle hh;
};

enum outcome { CREATE, UPDATE, DELETE, UNCHANGED, LEFT_OUT, REJECTED, OUTCOMES };

struct planner {
	const struct config *c;
	const struct flow *flow;
	struct table *table;
	struct resource *resource;
	struct mapping *mapping;
	/* which records */
	const char *key;
	long sample;
	wall_time since;
	struct row *rows;
	/* the work */
	struct http *http;
	struct registry *registry;
	struct wire *wire;
	struct campaign campaign;
	struct price *price;
	avro_value_t source, target;
	long counts[OUTCOMES], calls[OUTCOMES], gets, forced;
	bool said_missing, lacks;
};

/* ---- reading ---------------------------------------------------------------------------------- */

static bool wanted(const struct planner *p, const rd_kafka_message_t *m)
{
	rd_kafka_timestamp_type_t type;

	if (p->key)
		return strlen(p->key) == m->key_len && !strncasecmp(p->key, m->key, m->key_len);
	return p->since.ms < 0 || rd_kafka_message_timestamp(m, &type) >= p->since.ms;
}

static bool collect(void *arg, const rd_kafka_message_t *m)
{
	struct planner *p = arg;
	struct row *row;

	if (!m->key_len || !wanted(p, m))
		return true;
	HASH_FIND(hh, p->rows, m->key, m->key_len, row);
	/* Behind a delete its tombstone says nothing new; alone it is the delete. */
	if (row && !m->payload)
		return true;
	if (!row) {
		if (p->sample && HASH_COUNT(p->rows) >= (unsigned long)p->sample)
			return true;
		row = xcalloc(1, sizeof *row);
		row->key = xstrndup(m->key, m->key_len);
		HASH_ADD_KEYPTR(hh, p->rows, row->key, m->key_len, row);
	}
	free(row->value);
	row->value = m->len ? xmalloc(m->len) : NULL;
	row->len = m->len;
	if (m->len)
		memcpy(row->value, m->payload, m->len);
	return true;
}

static bool is_planned(void *arg, const void *key, size_t len)
{
	struct planner *p = arg;
	struct row *row;

	HASH_FIND(hh, p->rows, key, len, row);
	return row;
}

static enum result read_topics(struct planner *p, struct error *err)
{
	struct pipeline pipeline;
	char client[PIPELINE_NAME_MAX];

	pipeline_of(p->c, p->flow, &pipeline);
	snprintf(client, sizeof client, "%s.tideway", p->c->name);
	rd_kafka_t *reader = kafka_reader(p->c, client, err);
	if (!reader)
		return FATAL;
	enum result r = kafka_wait_ready(reader, p->c, 10000, err);
	if (r == OK)
		r = kafka_read_all(reader, pipeline.stages[STAGE_TRANSFORM].input, READ_IDLE_MS,
				   collect, p, err);
	if (r == OK)
		r = price_read(p->price, p->c, reader, p->wire, is_planned, p, err);
	rd_kafka_consumer_close(reader);
	rd_kafka_destroy(reader);
	return r;
}

/* ---- one record ------------------------------------------------------------------------------- */

/* A column that the topic does not have is null here, and would not be after the extractor has read
 * it: say so, once. */
static void say_missing(struct planner *p, const avro_value_t *written)
{
	size_t n, shown = 0;
	const char *const *columns = mapping_columns(p->mapping, &n);
	avro_value_t field = record_field(written, CHANGE_ROW), row;

	if (p->said_missing || !record_some(&field, &row))
		return;
	p->said_missing = true;
	for (size_t i = 0; i < n; i++)
		if (record_index(&row, columns[i]) < 0)
			printf("%s%s", shown++ ? ", " : "not in the topic yet, taken as null: ",
			       columns[i]);
	if (shown)
		printf("; extract-dataverse reads them when it is started with this file\n");
}

static enum result decode(struct planner *p, const struct row *row, struct error *err)
{
	avro_value_t *written;
	int32_t id;
	enum result r = wire_decode_as_written(p->wire, row->value, row->len, &written, &id, err);

	if (r != OK)
		return r;
	avro_value_reset(&p->source);
	if (!record_copy_by_name(written, &p->source))
		return error_reject(err, "wire-format", "schema %d is none of this table", id);
	say_missing(p, written);
	const char *schema = wire_written_schema(p->wire, row->value, row->len, &id);
	p->lacks = schema && mapping_lacks(p->mapping, schema);
	return OK;
}

static void print_new(void *arg, const char *path, const char *was, const char *now)
{
	(void)arg, (void)was;
	if (*now)
		printf("          %s: %s\n", path, now);
}

static void print_change(void *arg, const char *path, const char *was, const char *now)
{
	const char **head = arg;

	if (*head) /* the key, before the first of its changes */
		printf("update  %s\n", *head);
	*head = NULL;
	printf("          %s: \"%s\" -> \"%s\"\n", path, was, now);
}

/* As the loader finds it: by its key, or by a published filter. NULL: there is none. */
static enum result have(struct planner *p, const char *key, cJSON **record, struct error *err)
{
	const struct flow *f = p->flow;
	struct buffer path = BUFFER(8192);

	p->gets++;
	if (!f->filter_name)
		return campaign_record(&p->campaign, p->resource->path, key, mono_now(), record,
				       err);
	buffer_printf(&path, "%s/%s?%s=", p->resource->path, f->filter_name, f->filter_parameter);
	http_escape(&path, key);
	enum result r = campaign_record(&p->campaign, path.data, NULL, mono_now(), record, err);
	cJSON *list = *record;
	*record = cJSON_DetachItemFromArray(cJSON_GetObjectItemCaseSensitive(list, "content"), 0);
	cJSON_Delete(list);
	buffer_free(&path);
	return r;
}

static void add_price(struct planner *p, enum outcome outcome, const char *key,
		      const avro_value_t *change, const struct body *body, bool there)
{
	struct priced it = {key, change, body, there, outcome != UNCHANGED};
	bool forced;

	p->calls[outcome] += price_of(p->price, &it, &forced);
	p->forced += forced;
}

/* change: NULL for a tombstone alone. */
static enum result plan_delete(struct planner *p, const char *key, const avro_value_t *change,
			       const char *why, enum outcome *out, struct error *err)
{
	cJSON *record = NULL;
	enum result r = have(p, key, &record, err);

	*out = record ? DELETE : UNCHANGED;
	if (record)
		printf("delete  %s  (%s)\n", key, why);
	if (r == OK)
		add_price(p, *out, key, change, NULL, record);
	cJSON_Delete(record);
	return r;
}

static enum result plan_write(struct planner *p, const char *key, const char *why,
			      enum outcome *out, struct error *err)
{
	struct body body;
	cJSON *record = NULL;
	const char *head = key;
	enum result r = body_of(p->mapping, &p->target, &body, err);

	if (r != OK)
		return r;
	r = have(p, key, &record, err);
	*out = UNCHANGED;
	if (r == OK && !record && body.create) {
		*out = CREATE;
		printf("create  %s\n", key);
		compare_body(p->mapping, body.create, NULL, print_new, NULL);
	} else if (r == OK && record &&
		   compare_body(p->mapping, body.patch, record, print_change, &head)) {
		*out = UPDATE;
		if (why)
			printf("          (%s)\n", why);
	}
	if (r == OK)
		add_price(p, *out, key, &p->target, &body, record);
	cJSON_Delete(record);
	body_free(&body);
	return r;
}

static enum result plan_row(struct planner *p, const struct row *row, enum outcome *out,
			    struct error *err)
{
	struct mapped_change change;
	struct change_head head;
	enum result r;

	if (!row->value) {
		*out = LEFT_OUT;
		return mapping_passes_tombstones(p->mapping)
			   ? plan_delete(p, row->key, NULL, "deleted", out, err)
			   : OK;
	}
	r = decode(p, row, err);
	if (r != OK)
		return r;
	avro_value_reset(&p->target);
	r = mapping_apply(p->mapping, &p->source, p->lacks, &p->target, &change, err);
	if (r != OK)
		return r;
	if (!change.emit) {
		*out = LEFT_OUT;
		printf("leave   %s  (%s)\n", row->key, change.why);
		return OK;
	}
	change_get_head(&p->target, &head);
	return head.op == CHANGE_DELETE ? plan_delete(p, row->key, &p->target, change.why, out, err)
					: plan_write(p, row->key, change.why, out, err);
}

static enum result plan_rows(struct planner *p, struct error *err)
{
	for (struct row *row = p->rows; row; row = row->hh.next) {
		enum outcome outcome = UNCHANGED;
		enum result r = plan_row(p, row, &outcome, err);
		if (r == REJECT) {
			outcome = REJECTED;
			printf("reject  %s  %s: %s\n", row->key, err->reason, err->text);
		} else if (r != OK) {
			return r;
		}
		p->counts[outcome]++;
	}
	return OK;
}

static void print_summary(const struct planner *p)
{
	static const char *const names[OUTCOMES] = {"create",	 "update",   "delete",
						    "unchanged", "left out", "reject"};
	long calls = 0;

	printf("\n");
	for (int i = 0; i < OUTCOMES; i++) {
		printf("%-10s %ld\n", names[i], p->counts[i]);
		calls += p->calls[i];
	}
	/* What Campaign has already may be news to the loader: it writes it, to be sure. */
	printf("to do it would take %ld requests (create %ld, update %ld, delete %ld, unchanged "
	       "%ld); to "
	       "find out took %ld\n",
	       calls, p->calls[CREATE], p->calls[UPDATE], p->calls[DELETE], p->calls[UNCHANGED],
	       p->gets);
	if (p->forced)
		printf("%ld of them load-campaign has written so before, and somebody has changed "
		       "them in "
		       "Campaign: it writes them with their next change, or by `tideway replay "
		       "--flow %s --stage load-campaign --from beginning --force`\n",
		       p->forced, p->flow->name);
}

/* ---- the command ------------------------------------------------------------------------------ */

static bool compile(struct planner *p, int *status)
{
	struct problems problems = {0};
	struct error err;

	if (table_load(p->c->metadata_dir, p->flow->table, &p->table, &err) != OK ||
	    resource_load(p->c->metadata_dir, p->flow->resource, &p->resource, &err) != OK) {
		*status = command_fail(&err);
		return false;
	}
	p->mapping = mapping_compile(p->flow, p->table, p->resource, &problems);
	for (size_t i = 0; i < problems.count; i++) {
		_cleanup_(freep) char *text = problem_text(&problems, i);
		fprintf(stderr, "%s\n", text);
	}
	problems_free(&problems);
	if (!p->mapping)
		*status = EXIT_PERMANENT;
	return p->mapping;
}

static int run(struct planner *p)
{
	const struct connection *a = &p->c->campaign;
	const struct credentials *g = &p->c->registry.credentials;
	struct error err = {0};

	p->http = http_new("tideway/" TIDEWAY_VERSION, NULL);
	p->registry = registry_new(p->http, p->c->registry.url, g->client_id, g->client_secret);
	p->wire = wire_new(p->registry);
	p->price = price_new(p->flow, p->mapping);
	campaign_init(&p->campaign, p->http, a->url, a->credentials.token_url,
		      a->credentials.client_id, a->credentials.client_secret, a->credentials.scope);
	record_new(&mapping_source(p->mapping)->record, &p->source);
	record_new(mapping_target(p->mapping), &p->target);
	enum result r = read_topics(p, &err);
	if (r == OK)
		r = plan_rows(p, &err);
	bool absent = r == OK && p->key && !p->rows;
	if (absent)
		fprintf(
		    stderr,
		    "tideway plan: the topic has no row with the key %s: it was never read, or is "
		    "deleted and forgotten\n",
		    p->key);
	else if (r == OK)
		print_summary(p);
	avro_value_decref(&p->source);
	avro_value_decref(&p->target);
	price_free(p->price);
	campaign_free(&p->campaign);
	wire_free(p->wire);
	registry_free(p->registry);
	http_free(p->http);
	if (r != OK)
		return command_fail(&err);
	return absent || p->counts[REJECTED] ? 1 : EXIT_OK;
}

static void release(struct planner *p)
{
	struct row *row, *next;

	HASH_ITER(hh, p->rows, row, next)
	{
		HASH_DEL(p->rows, row);
		free(row->key);
		free(row->value);
		free(row);
	}
	mapping_free(p->mapping);
	table_free(p->table);
	resource_free(p->resource);
}

int command_plan(int argc, char **argv)
{
	const char *flow_name = NULL, *since = NULL;
	struct planner p = {.sample = -1, .since = {-1}};
	struct option_spec specs[] = {
	    {.name = "flow", .arg = "NAME", .help = "the flow; no default", .text = &flow_name},
	    {.name = "key",
	     .arg = "ID",
	     .help = "only this row; default: those of --sample",
	     .text = &p.key},
	    {.name = "sample",
	     .arg = "N",
	     .help = "the first N rows of the topic; 0 is all; default: 100",
	     .number = &p.sample},
	    {.name = "since",
	     .arg = "TIME",
	     .help = "rows that came since; default: whenever",
	     .text = &since},
	    {0}};
	struct command_line line = {
	    .name = "tideway plan",
	    .arguments = "",
	    .synopsis =
		"A dry run: maps rows from the topic with the file as it is now, compares with\n"
		"what Campaign has (one GET a row) and prints creates, updates field by field,\n"
		"deletes, rejects with their reasons, and the requests that it would take.\n"
		"Writes nothing. It prints personal data.",
	    .specs = specs};
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	if (!flow_name || (since && !datetime_parse(since, strlen(since), true, &p.since))) {
		fprintf(stderr, "tideway plan: wants --flow NAME%s\n",
			since ? "; --since wants a time with a zone, like 2026-01-31T00:00:00Z"
			      : "");
		return EXIT_PERMANENT;
	}
	if (p.sample < 0)
		p.sample = p.key || since ? 0 : SAMPLE_DEFAULT;
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
	if (!c)
		return status;
	p.c = c;
	if (command_flow(c, flow_name, &p.flow, &status)) {
		if (p.flow->kind == FLOW_EMAIL_EVENTS) {
			fprintf(stderr, "tideway plan: %s maps events; plan is for tables\n",
				flow_name);
			status = EXIT_PERMANENT;
		} else if (compile(&p, &status)) {
			status = run(&p);
		}
	}
	release(&p);
	config_free(c);
	return status;
}
