/* tideway metadata pull - asks both products about the tables and resources of the flows and
 * saves the answers as files beside the configuration. */
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "campaign.h"
#include "command.h"
#include "dataverse.h"

enum { PULLS_MAX = 64 };

struct names {
	const char *items[PULLS_MAX];
	size_t count;
};

struct puller {
	const struct config *c;
	struct dataverse dataverse;
	struct campaign campaign;
	struct names done_tables, done_resources; /* one may be called as the other */
	/* Asked first, saved then: a pull that fails half-way changes no file. */
	struct table *tables[PULLS_MAX];
	struct resource *resources[PULLS_MAX];
	size_t table_count, resource_count;
};

static bool is_done(struct names *done, const char *name)
{
	for (size_t i = 0; i < done->count; i++)
		if (!strcmp(done->items[i], name))
			return true;
	if (done->count < PULLS_MAX)
		done->items[done->count++] = name;
	return false;
}

static enum result pull_table(struct puller *p, const char *name, struct error *err)
{
	struct table *t = NULL;

	if (is_done(&p->done_tables, name))
		return OK;
	if (p->table_count == PULLS_MAX)
		return error_config(err, "too-many", "more than %d tables", PULLS_MAX);
	enum result r = dataverse_table(&p->dataverse, name, mono_now(), &t, err);
	if (r == OK)
		p->tables[p->table_count++] = t;
	return r;
}

static enum result pull_resource(struct puller *p, const char *name, struct error *err)
{
	struct resource *res = NULL;

	if (is_done(&p->done_resources, name))
		return OK;
	if (p->resource_count == PULLS_MAX)
		return error_config(err, "too-many", "more than %d resources", PULLS_MAX);
	enum result r = campaign_resource(&p->campaign, name, mono_now(), &res, err);
	if (r == OK)
		p->resources[p->resource_count++] = res;
	return r;
}

static enum result save_all(const struct puller *p, struct error *err)
{
	const char *dir = p->c->metadata_dir;
	enum result r = OK;

	for (size_t i = 0; i < p->table_count && r == OK; i++)
		if ((r = table_save(dir, p->tables[i], err)) == OK)
			printf("%s/dataverse.%s.json: %zu columns\n", dir, p->tables[i]->name,
			       p->tables[i]->column_count);
	for (size_t i = 0; i < p->resource_count && r == OK; i++)
		if ((r = resource_save(dir, p->resources[i], err)) == OK)
			printf("%s/campaign.%s.json: %zu attributes\n", dir, p->resources[i]->name,
			       p->resources[i]->attribute_count);
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
	if (r == OK)
		r = save_all(&p, err);
	for (size_t i = 0; i < p.table_count; i++)
		table_free(p.tables[i]);
	for (size_t i = 0; i < p.resource_count; i++)
		resource_free(p.resources[i]);
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
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
	if (!c)
		return status;
	if (pull(c, &err) != OK)
		status = command_fail(&err);
	config_free(c);
	return status;
}
