/* command.h - the commands of `tideway`.
 *
 * To add one: a file in deploy/tideway/ with one function command_<name>(), its line in the table
 * of deploy/tideway.c, its declaration here, its line in README.md.
 */
#ifndef TIDEWAY_COMMAND_H
#define TIDEWAY_COMMAND_H

#include "config.h"
#include "http.h"
#include "kafka.h"
#include "options.h"
#include "pipeline.h"

struct command {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
};

int command_approve(int argc, char **argv);
int command_adopt(int argc, char **argv);
int command_check(int argc, char **argv);
int command_install(int argc, char **argv);
int command_logs(int argc, char **argv);
int command_metadata(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_rejected(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_schemas(int argc, char **argv);
int command_status(int argc, char **argv);
int command_test(int argc, char **argv);
int command_topics(int argc, char **argv);

/* Parses the options of a command; every command also has --config.  Returns false after printing
 * what there is to say; *status is then the exit status.  Operands as in options_parse. */
struct command_line {
	const char *name, *arguments, *synopsis;
	const struct option_spec *specs; /* ended by name NULL; at most 10 */
	struct option_list configs;
	bool config_optional;
	const char *operands[2];
	size_t operand_count;
};
bool command_parse(struct command_line *line, int argc, char **argv, int *status);

/* What ${VAR} is taken from. */
const char *command_env(const char *name);

/* The configuration, or NULL after printing its mistakes. */
struct config *command_config(const struct command_line *line, enum config_use use, int *status);

/* The flow called name, or, with name NULL, NULL.  false after printing that there is none. */
bool command_flow(const struct config *c, const char *name, const struct flow **out, int *status);

/* A producer for admin requests, after a broker has answered; NULL after printing why not. */
rd_kafka_t *command_kafka(const struct config *c, int *status);

/* Prints "tideway: text" and returns the exit status that fits. */
int command_fail(const struct error *err);

#endif
