/* tideway approve - lets an extractor delete what its guard holds back.  All rows are read once more
 * first, so that what came back meanwhile stays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "request.h"

static int approve(const struct config *c, const struct flow *f, int64_t deletes)
{
	int64_t held;
	int status = request_held(c, f, &held);

	if (status != EXIT_OK)
		return status;
	if (!held) {
		fprintf(stderr, "tideway: no deletes of %s are held back\n", f->name);
		return EXIT_PERMANENT;
	}
	if (deletes < 0)
		deletes = held;
	struct request q = {.kind = REQUEST_APPROVE, .deletes = deletes};
	status = request_send(c, f, &q);
	if (status == EXIT_OK)
		printf(
		    "%s: %lld deletes are held back; all rows are read once more, and if at most "
		    "%lld are gone then, they are deleted\n",
		    f->name, (long long)held, (long long)deletes);
	return status;
}

int command_approve(int argc, char **argv)
{
	const char *flow_name = NULL, *deletes = NULL;
	struct option_spec specs[] = {
	    {.name = "flow", .arg = "NAME", .help = "the flow; no default", .text = &flow_name},
	    {.name = "deletes",
	     .arg = "N",
	     .help = "at most so many; default: what is held back",
	     .text = &deletes},
	    {0}};
	struct command_line line = {
	    .name = "tideway approve",
	    .arguments = "",
	    .synopsis =
		"Lets extract-dataverse delete what it holds back. It does so when a full read\n"
		"finds more rows gone than `max_deletes` allows, because a role that was\n"
		"narrowed by mistake looks like deletion. All rows are read once more first.",
	    .specs = specs};
	const struct flow *flow;
	int64_t limit = -1;
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	if (!flow_name || (deletes && !text_to_int(deletes, 1, INT32_MAX, &limit))) {
		fprintf(stderr, "tideway approve: wants --flow NAME, and a number as --deletes\n");
		return EXIT_PERMANENT;
	}
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
	if (!c)
		return status;
	if (command_flow(c, flow_name, &flow, &status)) {
		if (flow->kind == FLOW_EMAIL_EVENTS) {
			fprintf(stderr, "tideway: %s has no deletes\n", flow_name);
			status = EXIT_PERMANENT;
		} else {
			status = approve(c, flow, limit);
		}
	}
	config_free(c);
	return status;
}
