/* tideway schemas - the derived Avro schemas of the flows' topics, as files to read or to generate
 * code from. Stages register the same schemas themselves. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arena.h"
#include "command.h"
#include "json.h"
#include "mapping.h"
#include "metadata.h"

static int write_schema(const char *dir, const char *side, const char *name, const char *schema)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s.%s.avsc", dir, side, name);
	cJSON *json = json_parse(schema, strlen(schema));
	_cleanup_(freep) char *text = json ? cJSON_Print(json) : NULL;
	FILE *f = text ? fopen(path, "we") : NULL;
	bool good = f && fprintf(f, "%s\n", text) > 0;

	cJSON_Delete(json);
	if (f)
		good = !fclose(f) && good;
	if (!good) {
		fprintf(stderr, "tideway: %s cannot be written: %s\n", path, strerror(errno));
		return EXIT_PERMANENT;
	}
	printf("%s\n", path);
	return EXIT_OK;
}

static int write_flow(const struct config *c, const struct flow *f, const char *dir)
{
	struct table *table = NULL;
	struct resource *resource = NULL;
	struct mapping *m = NULL;
	struct problems problems = {0};
	struct error err;
	int status = EXIT_PERMANENT;

	if (table_load(c->metadata_dir, f->table, &table, &err) != OK ||
	    resource_load(c->metadata_dir, f->resource, &resource, &err) != OK) {
		command_fail(&err);
	} else if (!(m = mapping_compile(f, table, resource, &problems))) {
		fprintf(stderr, "tideway: the flow %s has mistakes: tideway check names them\n",
			f->name);
	} else {
		status = write_schema(dir, "crm", f->table, mapping_source(m)->record.json);
		if (!status)
			status =
			    write_schema(dir, "campaign", f->resource, mapping_target(m)->json);
	}
	mapping_free(m);
	table_free(table);
	resource_free(resource);
	problems_free(&problems);
	return status;
}

int command_schemas(int argc, char **argv)
{
	const char *flow_name = NULL;
	struct option_spec specs[] = {{.name = "flow",
				       .arg = "NAME",
				       .help = "only this flow; default: all",
				       .text = &flow_name},
				      {0}};
	struct command_line line = {
	    .name = "tideway schemas",
	    .arguments = "DIR",
	    .synopsis =
		"Writes the Avro schemas that follow from the mappings and the saved metadata\n"
		"into DIR, a file a topic: crm.<table>.avsc and campaign.<resource>.avsc.",
	    .specs = specs};
	const struct flow *only;
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	if (line.operand_count != 1) {
		fprintf(stderr, "tideway schemas: say `tideway schemas DIR`\n");
		return EXIT_PERMANENT;
	}
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
	if (!c)
		return status;
	if (command_flow(c, flow_name, &only, &status)) {
		mkdir(line.operands[0], 0777);
		for (size_t i = 0; i < c->flow_count && !status; i++)
			if (c->flows[i].kind != FLOW_EMAIL_EVENTS &&
			    (!only || only == &c->flows[i]))
				status = write_flow(c, &c->flows[i], line.operands[0]);
	}
	config_free(c);
	return status;
}
