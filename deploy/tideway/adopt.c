/* tideway adopt - tells load-campaign which keys Campaign has already: the base of a migration.
 *
 * A key that is adopted is PATCHed at its first change, never POSTed, also with on_unknown: post.
 * It came from elsewhere, so a sweep does not delete it.  What is remembered already stays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "arena.h"
#include "command.h"
#include "loaded_topic.h"

enum { KEY_MAX = 255, READ_IDLE_MS = 30000 };

struct adoption {
	rd_kafka_t *producer;
	struct loaded_topic *topic;
	char name[PIPELINE_NAME_MAX];
	int partitions;
	struct loaded *known; /* keys that have an entry */
	struct buffer value;
	long adopted, there, failed;
};

static bool note_known(void *arg, const rd_kafka_message_t *m)
{
	struct adoption *a = arg;
	struct loaded_entry e = {.offset = -1};

	if (m->payload)
		loaded_put(a->known, m->key, m->key_len, &e);
	else
		loaded_forget(a->known, m->key, m->key_len);
	return true;
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct adoption *a = opaque;
	(void)rk;
	a->failed += m->err != 0;
}

static enum result adopt(struct adoption *a, const char *key, size_t len, struct error *err)
{
	struct loaded_record r = {
	    .entry = {.offset = -1, .unsure = true}, .partitions = a->partitions, .at = wall_now()};
	struct loaded_entry before;
	rd_kafka_resp_err_t code;

	if (loaded_find(a->known, key, len, &before)) {
		a->there++;
		return OK;
	}
	enum result result = loaded_encode(a->topic, &r, &a->value, err);
	if (result != OK)
		return result;
	/* By the partitioner of the input: the same key, the same number of partitions. */
	while ((code = rd_kafka_producev(a->producer, RD_KAFKA_V_TOPIC(a->name),
					 RD_KAFKA_V_KEY((void *)key, len),
					 RD_KAFKA_V_VALUE(a->value.data, a->value.len),
					 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
					 RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		rd_kafka_poll(a->producer, 100);
	if (code)
		return error_restart(err, "produce", "writing %s: %s", a->name,
				     rd_kafka_err2str(code));
	rd_kafka_poll(a->producer, 0);
	loaded_put(a->known, key, len, &r.entry);
	a->adopted++;
	return OK;
}

static int adopt_file(struct adoption *a, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char line[KEY_MAX + 3];
	struct error err;
	long number = 0;
	int status = EXIT_OK;

	if (!f) {
		fprintf(stderr, "tideway adopt: %s cannot be read\n", path);
		return EXIT_PERMANENT;
	}
	while (status == EXIT_OK && fgets(line, sizeof line, f)) {
		size_t len = strcspn(line, "\r\n");
		bool whole = line[len] || feof(f);
		number++;
		line[len] = 0;
		if (!whole || len > KEY_MAX) {
			fprintf(stderr, "%s:%ld: a key has at most %d bytes; one key a line\n",
				path, number, KEY_MAX);
			status = EXIT_PERMANENT;
		} else if (len && adopt(a, line, len, &err) != OK) {
			status = command_fail(&err);
		}
	}
	if (f != stdin)
		fclose(f);
	return status;
}

static int run(const struct config *c, const struct flow *flow, const char *keys)
{
	struct adoption a = {.known = loaded_new(), .value = BUFFER(4096)};
	struct kafka_callbacks cb = {.delivered = on_delivered, .opaque = &a};
	struct http *http = http_new("tideway/" TIDEWAY_VERSION, NULL);
	struct registry *registry =
	    registry_new(http, c->registry.url, c->registry.credentials.client_id,
			 c->registry.credentials.client_secret);
	struct wire *wire = wire_new(registry);
	struct group_state *group = xcalloc(1, sizeof *group);
	struct pipeline p;
	struct error err;
	rd_kafka_t *reader = kafka_reader(c, c->name, &err);
	int status = EXIT_OK;

	pipeline_of(c, flow, &p);
	pipeline_loaded(c, flow->resource, a.name);
	enum result r = reader ? OK : FATAL;
	if (r == OK)
		r = (a.producer = kafka_producer(c, c->name, NULL, &cb, &err)) ? OK : FATAL;
	if (r == OK)
		r = kafka_wait_ready(a.producer, c, 10000, &err);
	if (r == OK)
		r = admin_group(a.producer, p.stages[STAGE_LOAD].group, group, &err);
	if (r == OK && group->member_count)
		r = error_config(&err, "members",
				 "%s runs: its memory is read when it starts, so stop it first",
				 p.stages[STAGE_LOAD].program);
	if (r == OK)
		r = kafka_partitions(reader, a.name, &a.partitions, &err);
	if (r == OK && !a.partitions)
		r = error_config(&err, "topic",
				 "the topic %s does not exist; `tideway topics create`", a.name);
	if (r == OK)
		r = loaded_topic_new(wire, registry, a.name, &a.topic, &err);
	if (r == OK)
		r = kafka_read_all(reader, a.name, READ_IDLE_MS, note_known, &a, &err);
	status = r == OK ? adopt_file(&a, keys) : command_fail(&err);
	if (a.producer && (rd_kafka_flush(a.producer, READ_IDLE_MS) || a.failed)) {
		fprintf(stderr, "tideway adopt: not all keys were written; do it again\n");
		status = EXIT_TEMPORARY;
	}
	if (status == EXIT_OK)
		printf("%s: %ld keys adopted, %ld were known already\n", flow->resource, a.adopted,
		       a.there);
	if (reader) {
		rd_kafka_consumer_close(reader);
		rd_kafka_destroy(reader);
	}
	if (a.producer)
		rd_kafka_destroy(a.producer);
	loaded_topic_free(a.topic);
	loaded_free(a.known);
	buffer_free(&a.value);
	free(group);
	wire_free(wire);
	registry_free(registry);
	http_free(http);
	return status;
}

int command_adopt(int argc, char **argv)
{
	const char *flow_name = NULL, *keys = NULL;
	struct option_spec specs[] = {
	    {.name = "flow", .arg = "NAME", .help = "the flow; no default", .text = &flow_name},
	    {.name = "keys",
	     .arg = "FILE",
	     .help = "one key a line; - is stdin; no default",
	     .text = &keys},
	    {0}};
	struct command_line line = {
	    .name = "tideway adopt",
	    .arguments = "",
	    .synopsis = "Tells load-campaign which keys Campaign has already, for a base that was\n"
			"loaded by something else: they are updated, never inserted, also with\n"
			"on_unknown: post. The loader of the flow must be stopped.",
	    .specs = specs};
	const struct flow *flow;
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	if (!flow_name || !keys) {
		fprintf(stderr, "tideway adopt: wants --flow NAME --keys FILE\n");
		return EXIT_PERMANENT;
	}
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
	if (!c)
		return status;
	if (command_flow(c, flow_name, &flow, &status) && !flow->resource) {
		fprintf(stderr, "tideway adopt: %s does not load Campaign\n", flow_name);
		status = EXIT_PERMANENT;
	} else if (flow) {
		status = run(c, flow, keys);
	}
	config_free(c);
	return status;
}
