/* tideway metadata pull - asks both products about the tables and resources of the flows and
 * saves the answers as files beside the configuration. */
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "campaign.h"
#include "command.h"
#include "dataverse.h"

struct puller {
	const struct config *c;
	struct dataverse dataverse;
	struct campaign campaign;
	const char *done[64];
	size_t done_count;
};

static bool is_done(struct puller *p, const char *name)
{
	for (size_t i = 0; i < p->done_count; i++)
		if (!strcmp(p->done[i], name))
			return true;
	if (p->done_count < 64)
		p->done[p->done_count++] = name;
	return false;
}

static enum result pull_table(struct puller *p, const char *name, struct error *err)
{
	struct table *t = NULL;

	if (is_done(p, name))
		return OK;
	enum result r = dataverse_table(&p->dataverse, name, mono_now(), &t, err);
	if (r == OK)
		r = table_save(p->c->metadata_dir, t, err);
	if (r == OK)
		printf("%s/dataverse.%s.json: %zu columns\n", p->c->metadata_dir, name,
		       t->column_count);
	table_free(t);
	return r;
}

static enum result pull_resource(struct puller *p, const char *name, struct error *err)
{
	struct resource *res = NULL;

	if (is_done(p, name))
		return OK;
	enum result r = campaign_resource(&p->campaign, name, mono_now(), &res, err);
	if (r == OK)
		r = resource_save(p->c->metadata_dir, res, err);
	if (r == OK)
		printf("%s/campaign.%s.json: %zu attributes\n", p->c->metadata_dir, name,
		       res->attribute_count);
	resource_free(res);
	return r;
}

static enum result pull_flow(struct puller *p, const struct flow *f, struct error *err)
{
	enum result r = OK;

	if (f->kind != FLOW_EMAIL_EVENTS) {
		r = pull_table(p, f->table, err);
		return r == OK ? pull_resource(p, f->resource, err) : r;
	}
	r = pull_table(p, "contact", err); /* its entity set, to bind rows to contacts */
	for (int k = 0; r == OK && k < EVENT_KINDS; k++)
		if (f->activities[k].on)
			r = pull_table(p, f->activities[k].table, err);
	return r;
}

static enum result pull(const struct config *c, struct error *err)
{
	struct puller p = {.c = c};
	struct http *http = http_new("tideway/" TIDEWAY_VERSION, NULL);
	const struct connection *d = &c->dataverse, *a = &c->campaign;
	enum result r = OK;

	dataverse_init(&p.dataverse, http, d->url, d->credentials.token_url,
		       d->credentials.client_id, d->credentials.client_secret,
		       d->credentials.scope);
	campaign_init(&p.campaign, http, a->url, a->credentials.token_url,
		      a->credentials.client_id ? a->credentials.client_id : "",
		      a->credentials.client_secret, a->credentials.scope);
	for (size_t i = 0; i < c->flow_count && r == OK; i++)
		r = pull_flow(&p, &c->flows[i], err);
	dataverse_free(&p.dataverse);
	campaign_free(&p.campaign);
	http_free(http);
	return r;
}

int command_metadata(int argc, char **argv)
{
	struct command_line line = {
	    .name = "tideway metadata",
	    .arguments = "pull",
	    .synopsis = "Reads from Dynamics and Campaign what tables and resources the flows use\n"
			"and writes one file each into the metadata folder beside the\n"
			"configuration. Keep the files in version control."};
	struct error err;
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	if (line.operand_count != 1 || strcmp(line.operands[0], "pull")) {
		fprintf(stderr, "tideway metadata: say `tideway metadata pull`\n");
		return EXIT_PERMANENT;
	}
	struct config *c = command_config(&line, &status);
	if (!c)
		return status;
	if (pull(c, &err) != OK)
		status = command_fail(&err);
	config_free(c);
	return status;
}
