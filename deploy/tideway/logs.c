/* tideway logs inspect FILE - what is in a log export, what is wrong with it, what fits it.
 *
 * With a flow the file is read exactly as extract-campaign-logs reads it: the same parser, the same
 * rules; nothing is written. Without one, the section of the configuration that fits is printed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "command.h"
#include "export_event.h"
#include "guess.h"
#include "json.h"
#include "seen.h"

enum { SHOWN_MAX = 10 };

struct inspection {
	const struct config *c;
	const struct flow *flow;
	struct export_columns columns;
	bool sending, print_events, stopped;
	struct seen *events;
	int64_t rows, rejected, repeated, kinds[EVENT_KINDS], skipped[EXPORT_SKIPS];
	wall_time first, last;
};

static void add(cJSON *json, const char *name, const char *text)
{
	if (*text)
		cJSON_AddStringToObject(json, name, text);
}

static void print_event(const struct inspection *x, const struct export_event *e)
{
	static const enum log_column shown[] = {
	    LOG_ID,	   LOG_BROADLOG_ID, LOG_DELIVERY,	LOG_CAMPAIGN,  LOG_URL,
	    LOG_URL_LABEL, LOG_DEVICE,	    LOG_FAILURE_REASON, LOG_MIRROR_URL};
	cJSON *json = cJSON_CreateObject();
	char time[25] = "";

	(void)x;
	datetime_format(e->time, 'T', time);
	add(json, "kind", event_kind_names[e->kind]);
	add(json, "time", time);
	add(json, "contact", e->contact);
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		if (shown[i] != LOG_FAILURE_REASON || e->kind == EVENT_BOUNCE)
			add(json, log_column_names[shown[i]], e->texts[shown[i]]);
	_cleanup_(freep) char *text = cJSON_PrintUnformatted(json);
	puts(text);
	cJSON_Delete(json);
}

static void take_event(struct inspection *x, const struct export_event *e)
{
	char id[200];
	int n = snprintf(id, sizeof id, "%d|%s", (int)e->kind, e->texts[LOG_ID]);

	if (!seen_add(x->events, id, (size_t)n)) {
		x->repeated++;
		return;
	}
	if (!x->first.ms || e->time.ms < x->first.ms)
		x->first = e->time;
	if (e->time.ms > x->last.ms)
		x->last = e->time;
	x->kinds[e->kind]++;
	if (x->print_events)
		print_event(x, e);
}

static bool on_row(void *arg, const struct export_row *row)
{
	struct inspection *x = arg;
	struct export_event e;
	enum export_skip skip;
	struct error err;

	if (!row->number) {
		if (export_header(x->flow, x->sending, row, &x->columns, &err) == OK)
			return true;
		fprintf(stderr, "refused: %s\n", err.text);
		fprintf(stderr, "the header has:");
		for (int i = 0; i < row->count; i++)
			fprintf(stderr, " \"%.60s\"", row->fields[i]);
		fprintf(stderr, "\n");
		x->stopped = true;
		return false;
	}
	x->rows++;
	if (export_event(x->flow, &x->columns, row, &e, &skip, &err) != OK) {
		if (x->rejected++ < SHOWN_MAX)
			fprintf(stderr, "row %" PRId64 ": %s: %s\n", row->number, err.reason,
				err.text);
	} else if (skip) {
		x->skipped[skip]++;
	} else {
		take_event(x, &e);
	}
	return true;
}

static bool read_file(struct inspection *x, const char *path)
{
	FILE *in = fopen(path, "rbe");
	struct error err;
	char bytes[65536];
	bool cut = false;
	size_t n;

	if (!in) {
		perror(path);
		return false;
	}
	struct export_reader *r = export_reader_new(&x->flow->exports, on_row, x);
	enum export_state s = EXPORT_READING;
	while (s == EXPORT_READING && (n = fread(bytes, 1, sizeof bytes, in)) > 0)
		s = export_feed(r, bytes, n, &err);
	if (s == EXPORT_READING)
		s = export_finish(r, &cut, &err);
	if (s == EXPORT_BROKEN)
		fprintf(stderr, "refused: %s\n", err.text);
	else if (cut)
		fprintf(stderr, "the file ends in the middle of its compression\n");
	x->rejected += cut;
	export_reader_free(r);
	fclose(in);
	return s == EXPORT_READING;
}

static void print_counts(const struct inspection *x)
{
	char first[25] = "-", last[25] = "-";

	if (x->first.ms) {
		datetime_format(x->first, 'T', first);
		datetime_format(x->last, 'T', last);
	}
	printf("%-16s %" PRId64 "\n", "rows", x->rows);
	for (int k = 0; k < EVENT_KINDS; k++)
		if (x->kinds[k])
			printf("%-16s %" PRId64 "%s\n", event_kind_names[k], x->kinds[k],
			       x->flow->activities[k].on ? "" : " (this kind is off)");
	for (int i = 1; i < EXPORT_SKIPS; i++)
		if (x->skipped[i])
			printf("%-16s %" PRId64 "\n", export_skip_names[i], x->skipped[i]);
	if (x->repeated)
		printf("%-16s %" PRId64 "\n", "repeated", x->repeated);
	if (x->rejected)
		printf("%-16s %" PRId64 "\n", "rejected", x->rejected);
	printf("events from %s to %s\n", first, last);
}

static int inspect(struct inspection *x, const char *path)
{
	const char *name = strrchr(path, '/');
	const struct log_files *kind = export_kind(x->flow, name ? name + 1 : path);

	if (!kind) {
		fprintf(stderr,
			"%s: its name fits neither files.sending.match nor files.tracking.match "
			"of the flow %s\n",
			path, x->flow->name);
		return EXIT_PERMANENT;
	}
	x->sending = kind == &x->flow->sending;
	x->events = seen_new();
	bool whole = read_file(x, path);
	seen_free(x->events);
	if (!x->stopped && !x->print_events)
		print_counts(x);
	return whole && !x->rejected ? EXIT_OK : 1;
}

int command_logs(int argc, char **argv)
{
	const char *flow_name = NULL;
	struct inspection x = {0};
	struct option_spec specs[] = {
	    {.name = "flow",
	     .arg = "NAME",
	     .help = "read it as this flow does; default: find out what fits",
	     .text = &flow_name},
	    {.name = "events",
	     .help = "print each event, a JSON object a line; default: not",
	     .flag = &x.print_events},
	    {0}};
	struct command_line line = {
	    .name = "tideway logs",
	    .arguments = "inspect FILE",
	    .synopsis =
		"Reads a log export of Campaign, CSV or TAB, .gz or not. With --config and\n"
		"--flow as extract-campaign-logs would: events of each kind, what is left out and\n"
		"why, which rows are rejected. Without: prints the section `files` that fits it,\n"
		"with a \"?\" for what only you can say. Writes nothing; exit status 1 when\n"
		"something is wrong or has to be said.",
	    .specs = specs,
	    .config_optional = true};
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	if (line.operand_count != 2 || strcmp(line.operands[0], "inspect")) {
		fprintf(stderr, "tideway logs: say `tideway logs inspect FILE`\n");
		return EXIT_PERMANENT;
	}
	if (!flow_name) {
		int asked = guess_print(line.operands[1]);
		return asked < 0 ? EXIT_PERMANENT : asked > 0;
	}
	if (!line.configs.count) {
		fprintf(stderr, "tideway logs: --flow needs --config FILE\n");
		return EXIT_PERMANENT;
	}
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
	if (!c)
		return status;
	x.c = c;
	if (command_flow(c, flow_name, &x.flow, &status) && x.flow->kind != FLOW_EMAIL_EVENTS) {
		fprintf(stderr, "tideway: %s is no flow of kind email-events\n", flow_name);
		status = EXIT_PERMANENT;
	} else if (x.flow) {
		status = inspect(&x, line.operands[1]);
	}
	config_free(c);
	return status;
}
