/* options.h - the command line: one table that parses, prints --help, and is the documentation. */
#ifndef TIDEWAY_OPTIONS_H
#define TIDEWAY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

enum { OPTION_LIST_MAX = 8 };

/* A list option may be given several times. */
struct option_list {
	const char *items[OPTION_LIST_MAX];
	size_t count;
};

struct option_spec {
	const char *name;  /* without the dashes; NULL ends the table */
	const char *arg;   /* how the value is called in --help; NULL for a flag */
	const char *help;  /* one line; names the default */
	const char **text; /* exactly one of these four is set */
	struct option_list *list;
	bool *flag;
	long *number;
};

struct option_table {
	const char *program;
	const char *arguments; /* behind the options in the usage line, "" when none */
	const char *synopsis;  /* what it does, a few lines */
	const struct option_spec *specs;
	const char *footer; /* exit codes, examples; may be NULL */
};

enum options_outcome { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_BAD };

/* Parses argv[1..]; --help and --version are answered on stdout (OPTIONS_DONE).  Values point
 * into argv.  Operands (words that are no options) are stored in operands, at most max of them.
 * OPTIONS_BAD fills err with what is wrong and how to see the help. */
enum options_outcome options_parse(const struct option_table *table, int argc, char **argv,
				   const char **operands, size_t max, size_t *count,
				   struct error *err);
void options_help(const struct option_table *table);

#endif
