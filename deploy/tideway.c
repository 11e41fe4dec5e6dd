/* tideway - what an operator says to the pipeline.  The table of commands; each is a file in
 * deploy/tideway/. */
#include "tideway/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "record.h"

static const struct command commands[] = {
    {"check", "find every mistake in the configuration before a process starts", command_check},
    {"plan", "what a mapping would do to Campaign, field by field; writes nothing", command_plan},
    {"test", "run your own cases against the mapping, without a broker", command_test},
    {"install", "dataverse: make what the flows need there", command_install},
    {"logs", "inspect: what a log export holds, what is wrong, what fits it", command_logs},
    {"metadata", "pull: save what both products say about tables and resources", command_metadata},
    {"schemas", "write the derived Avro schemas as files", command_schemas},
    {"topics", "create: make the topics with the right settings", command_topics},
    {"status", "how far each stage is, from the broker alone", command_status},
    {"replay", "let a stage read its topic again, or an extractor its source", command_replay},
    {"approve", "let an extractor delete what it holds back", command_approve},
    {"adopt", "tell load-campaign which keys Campaign has already", command_adopt},
    {"rejected", "ls: list the dead letters", command_rejected},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void help(void)
{
	printf("usage: tideway COMMAND [options]\n\n"
	       "Keeps Adobe Campaign and Microsoft Dynamics 365 in step over Apache Kafka.\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	printf("\n`tideway COMMAND --help` tells more. The stages are programs of their own:\n"
	       "extract-dataverse, transform-contact, load-campaign and so on.\n"
	       "exit status: 0 done, 1 there is something to look at, 100 usage or\n"
	       "configuration, 111 the world around (broker, registry, API) is away.\n");
}

const char *command_env(const char *name)
{
	return getenv(name);
}

bool command_parse(struct command_line *line, int argc, char **argv, int *status)
{
	struct option_spec specs[12] = {{.name = "config",
					 .arg = "FILE",
					 .help = "the configuration; a second one overrides",
					 .list = &line->configs}};
	struct option_table table = {line->name, line->arguments, line->synopsis, specs, NULL};
	struct error err;
	size_t n = 1;

	for (const struct option_spec *s = line->specs; s && s->name && n < 11; s++)
		specs[n++] = *s;
	switch (options_parse(&table, argc, argv, line->operands, 2, &line->operand_count, &err)) {
	case OPTIONS_DONE:
		*status = EXIT_OK;
		return false;
	case OPTIONS_BAD:
		*status = command_fail(&err);
		return false;
	case OPTIONS_RUN:
		break;
	}
	if (!line->configs.count && !line->config_optional) {
		fprintf(stderr, "%s: --config FILE is missing; see %s --help\n", line->name,
			line->name);
		*status = EXIT_PERMANENT;
		return false;
	}
	return true;
}

struct config *command_config(const struct command_line *line, enum config_use use, int *status)
{
	struct problems problems = {0};
	struct config *c =
	    config_load(line->configs.items, line->configs.count, command_env, use, &problems);

	for (size_t i = 0; i < problems.count; i++) {
		_cleanup_(freep) char *text = problem_text(&problems, i);
		fprintf(stderr, "%s\n", text);
	}
	if (!c)
		*status = EXIT_PERMANENT;
	problems_free(&problems);
	return c;
}

bool command_flow(const struct config *c, const char *name, const struct flow **out, int *status)
{
	*out = name ? config_flow(c, name) : NULL;
	if (!name || *out)
		return true;
	fprintf(stderr, "tideway: %s has no flow %s\n", c->path, name);
	*status = EXIT_PERMANENT;
	return false;
}

rd_kafka_t *command_kafka(const struct config *c, int *status)
{
	struct error err;
	char client[PIPELINE_NAME_MAX];

	snprintf(client, sizeof client, "%s.tideway", c->name);
	rd_kafka_t *rk = kafka_producer(c, client, NULL, NULL, &err);
	if (rk && kafka_wait_ready(rk, c, 10000, &err) == OK)
		return rk;
	if (rk)
		rd_kafka_destroy(rk);
	*status = command_fail(&err);
	return NULL;
}

int command_fail(const struct error *err)
{
	fprintf(stderr, "tideway: %s\n", err->text);
	return err->exit_code ? err->exit_code : EXIT_TEMPORARY;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		help();
		return EXIT_PERMANENT;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		help();
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("tideway " TIDEWAY_VERSION "\n");
		return EXIT_OK;
	}
	record_limit_allocations();
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "tideway: unknown command %s; see tideway --help\n", argv[1]);
	return EXIT_PERMANENT;
}
