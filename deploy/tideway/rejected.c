/* tideway rejected ls - the dead letters, one a line.  Values are not shown: they hold personal
 * data; topic, partition and offset say where to look. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "command.h"
#include "reject.h"

struct listing {
	const char *flow, *stage;
	long count;
};

static const char *header(const rd_kafka_message_t *m, const char *name, char *out, size_t size)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t n;

	snprintf(out, size, "?");
	if (!rd_kafka_message_headers(m, &headers) &&
	    !rd_kafka_header_get_last(headers, name, &value, &n))
		snprintf(out, size, "%.*s", (int)n, (const char *)value);
	return out;
}

static bool print(void *arg, const rd_kafka_message_t *m)
{
	struct listing *l = arg;
	char at[32], reason[64], text[700], topic[256], partition[16], offset[32], time[25] = "?";

	header(m, REJECT_AT, at, sizeof at);
	datetime_format((wall_time){strtoll(at, NULL, 10)}, 'T', time);
	printf("%s %s %s %s %s/%s/%s key=%.*s: %s\n", time, l->flow, l->stage,
	       header(m, REJECT_REASON, reason, sizeof reason),
	       header(m, REJECT_TOPIC, topic, sizeof topic),
	       header(m, REJECT_PARTITION, partition, sizeof partition),
	       header(m, REJECT_OFFSET, offset, sizeof offset), (int)m->key_len,
	       m->key ? (const char *)m->key : "", header(m, REJECT_TEXT, text, sizeof text));
	l->count++;
	return true;
}

/* asked_for: by name. Of all flows some may not have their topics yet. */
static int list_flow(rd_kafka_t *reader, const struct config *c, const struct flow *f,
		     bool asked_for, long *total)
{
	struct pipeline p;
	struct error err;

	pipeline_of(c, f, &p);
	for (int i = 0; i < STAGES; i++) {
		struct listing l = {f->name, p.stages[i].program, 0};
		enum result r =
		    kafka_read_all(reader, p.stages[i].rejected, 15000, print, &l, &err);
		if (r != OK && !asked_for && !strcmp(err.reason, "no-topic"))
			return EXIT_OK;
		if (r != OK)
			return command_fail(&err);
		*total += l.count;
	}
	return EXIT_OK;
}

int command_rejected(int argc, char **argv)
{
	const char *flow_name = NULL;
	struct option_spec specs[] = {{.name = "flow",
				       .arg = "NAME",
				       .help = "only this flow; default: all",
				       .text = &flow_name},
				      {0}};
	struct command_line line = {
	    .name = "tideway rejected",
	    .arguments = "ls",
	    .synopsis = "Lists the dead letters: time, flow, stage, reason, where the record came\n"
			"from (topic/partition/offset), its key, and what was wrong.",
	    .specs = specs};
	const struct flow *flow;
	struct error err;
	char client[PIPELINE_NAME_MAX];
	long total = 0;
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	if (line.operand_count != 1 || strcmp(line.operands[0], "ls")) {
		fprintf(stderr, "tideway rejected: say `tideway rejected ls`\n");
		return EXIT_PERMANENT;
	}
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
	if (!c)
		return status;
	if (command_flow(c, flow_name, &flow, &status)) {
		snprintf(client, sizeof client, "%s.tideway", c->name);
		rd_kafka_t *reader = kafka_reader(c, client, &err);
		if (!reader || kafka_wait_ready(reader, c, 10000, &err) != OK)
			status = command_fail(&err);
		for (size_t i = 0; status == EXIT_OK && i < c->flow_count; i++)
			if (!flow || flow == &c->flows[i])
				status = list_flow(reader, c, &c->flows[i], flow, &total);
		if (reader) {
			rd_kafka_consumer_close(reader);
			rd_kafka_destroy(reader);
		}
		if (status == EXIT_OK)
			printf("%ld dead letter%s\n", total, total == 1 ? "" : "s");
	}
	config_free(c);
	return status;
}
