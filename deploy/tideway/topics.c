/* tideway topics create - makes the topics of all flows with the settings that they need. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "clock.h"
#include "command.h"

enum { TOPICS_MAX = 8 };

/* A broker may say that a topic is created before it shows it: who starts a stage next would not find
 * it. */
static int wait_until_shown(rd_kafka_t *rk, const struct topic_spec *specs, size_t n)
{
	struct topic_state states[TOPICS_MAX];
	mono_time until = mono_add(mono_now(), ADMIN_TIMEOUT_MS);
	struct error err;
	size_t shown = 0;

	while (shown < n && mono_until(mono_now(), until)) {
		if (admin_look(rk, specs, n, states, &err) != OK)
			return command_fail(&err);
		for (shown = 0; shown < n && states[shown].exists; shown++)
			;
		if (shown < n)
			rd_kafka_poll(rk, 50);
	}
	if (shown == n)
		return EXIT_OK;
	fprintf(stderr, "tideway topics: %s was created, and the broker does not show it\n",
		specs[shown].name);
	return EXIT_TEMPORARY;
}

static int create_flow(rd_kafka_t *rk, const struct config *c, const struct flow *f)
{
	struct topic_spec specs[TOPICS_MAX];
	struct topic_state states[TOPICS_MAX];
	struct error err;
	size_t n = pipeline_topics(c, f, specs), created = 0;
	int status = EXIT_OK;

	if (admin_look(rk, specs, n, states, &err) != OK)
		return command_fail(&err);
	for (size_t i = 0; i < n; i++) {
		/* One that was made by somebody else, or with another number in mind. */
		if (specs[i].like >= 0 && states[specs[i].like].exists)
			specs[i].partitions = states[specs[i].like].partitions;
		if (states[i].exists && *states[i].wrong) {
			printf("%-50s MIS-SET: %s\n", specs[i].name, states[i].wrong);
			status = EXIT_PERMANENT;
		} else if (states[i].exists) {
			printf("%-50s is there, %d partitions\n", specs[i].name,
			       states[i].partitions);
		} else if (admin_create(rk, &specs[i], (int)c->replication, &err) != OK) {
			return command_fail(&err);
		} else {
			printf("%-50s created, %d partitions\n", specs[i].name,
			       specs[i].partitions);
			created++;
		}
	}
	int shown = created ? wait_until_shown(rk, specs, n) : EXIT_OK;
	return shown > status ? shown : status;
}

int command_topics(int argc, char **argv)
{
	const char *flow_name = NULL;
	struct option_spec specs[] = {{.name = "flow",
				       .arg = "NAME",
				       .help = "only this flow; default: all",
				       .text = &flow_name},
				      {0}};
	struct command_line line = {
	    .name = "tideway topics",
	    .arguments = "create",
	    .specs = specs,
	    .synopsis = "Creates the topics of all flows that do not exist yet, and says which of\n"
			"those that exist have settings under which records could be lost."};
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	if (line.operand_count != 1 || strcmp(line.operands[0], "create")) {
		fprintf(stderr, "tideway topics: say `tideway topics create`\n");
		return EXIT_PERMANENT;
	}
	const struct flow *only;
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
	rd_kafka_t *rk =
	    c && command_flow(c, flow_name, &only, &status) ? command_kafka(c, &status) : NULL;
	for (size_t i = 0; rk && i < c->flow_count; i++) {
		if (only && only != &c->flows[i])
			continue;
		int flow_status = create_flow(rk, c, &c->flows[i]);
		if (flow_status > status)
			status = flow_status;
	}
	if (rk)
		rd_kafka_destroy(rk);
	config_free(c);
	return status;
}
