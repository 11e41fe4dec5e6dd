/* options.c - long options only: `--name value` and `--name=value`. */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void options_help(const struct option_table *table)
{
	printf("usage: %s [options]%s%s\n\n%s\n\n", table->program, *table->arguments ? " " : "",
	       table->arguments, table->synopsis);
	for (const struct option_spec *s = table->specs; s->name; s++) {
		char left[40];
		snprintf(left, sizeof left, "--%s%s%s", s->name, s->arg ? " " : "",
			 s->arg ? s->arg : "");
		printf("  %-20s  %s\n", left, s->help);
	}
	printf("  %-20s  %s\n  %-20s  %s\n", "--help", "print this and exit", "--version",
	       "print the version and exit");
	if (table->footer)
		printf("\n%s\n", table->footer);
}

static const struct option_spec *find(const struct option_table *table, const char *name,
				      size_t len)
{
	for (const struct option_spec *s = table->specs; s->name; s++)
		if (strlen(s->name) == len && !strncmp(s->name, name, len))
			return s;
	return NULL;
}

static bool store(const struct option_spec *s, const char *value, const char *program,
		  struct error *err)
{
	if (s->text) {
		*s->text = value;
	} else if (s->list) {
		if (s->list->count == OPTION_LIST_MAX) {
			error_config(err, "usage", "--%s is given more than %d times", s->name,
				     OPTION_LIST_MAX);
			return false;
		}
		s->list->items[s->list->count++] = value;
	} else {
		char *end;
		errno = 0;
		*s->number = strtol(value, &end, 10);
		if (errno || end == value || *end) {
			error_config(err, "usage",
				     "--%s wants a whole number, not \"%s\"; see %s --help",
				     s->name, value, program);
			return false;
		}
	}
	return true;
}

enum options_outcome options_parse(const struct option_table *table, int argc, char **argv,
				   const char **operands, size_t max, size_t *count,
				   struct error *err)
{
	size_t n = 0;
	bool only_operands = false;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		if (only_operands || strncmp(word, "--", 2)) {
			if (word[0] == '-' && word[1] && !only_operands) {
				error_config(err, "usage", "unknown option %s; see %s --help", word,
					     table->program);
				return OPTIONS_BAD;
			}
			if (n == max) {
				error_config(err, "usage",
					     "unexpected argument \"%s\"; see %s --help", word,
					     table->program);
				return OPTIONS_BAD;
			}
			operands[n++] = word;
			continue;
		}
		if (!word[2]) {
			only_operands = true;
			continue;
		}
		if (!strcmp(word, "--help")) {
			options_help(table);
			return OPTIONS_DONE;
		}
		if (!strcmp(word, "--version")) {
			printf("%s %s\n", table->program, TIDEWAY_VERSION);
			return OPTIONS_DONE;
		}
		const char *name = word + 2, *equals = strchr(name, '=');
		const struct option_spec *s =
		    find(table, name, equals ? (size_t)(equals - name) : strlen(name));
		if (!s) {
			error_config(err, "usage", "unknown option %s; see %s --help", word,
				     table->program);
			return OPTIONS_BAD;
		}
		if (s->flag) {
			if (equals) {
				error_config(err, "usage", "--%s takes no value", s->name);
				return OPTIONS_BAD;
			}
			*s->flag = true;
			continue;
		}
		const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
		if (!value) {
			error_config(err, "usage", "--%s wants %s; see %s --help", s->name, s->arg,
				     table->program);
			return OPTIONS_BAD;
		}
		if (!store(s, value, table->program, err))
			return OPTIONS_BAD;
	}
	if (count)
		*count = n;
	return OPTIONS_RUN;
}
