/* config.c - see config.h.  The whole file; its two large sections are read by connections.c and
 * flow.c. */
#include "config_reader.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "suggest.h"

struct owned {
	struct owned *next;
	char text[];
};

char *config_own(struct config *c, const char *s, size_t len)
{
	struct owned *o = xmalloc(sizeof *o + len + 1);
	memcpy(o->text, s, len);
	o->text[len] = 0;
	o->next = c->owned;
	c->owned = o;
	return o->text;
}

/* What is written of rows must mean the same on every machine. */
static void refuse_variables(struct reader *r, struct node n)
{
	const char *text = doc_text(n);

	if (text && strstr(text, "${"))
		problem(r->p, doc_place(n),
			"${…} is taken from the environment in connections only: here it would "
			"be written as it stands");
	for (size_t i = 0; i < doc_count(n); i++) {
		bool list = doc_kind(n) == DOC_LIST;
		if (!list)
			refuse_variables(r, doc_key(n, i));
		refuse_variables(r, list ? doc_item(n, i) : doc_value(n, i));
	}
}

static void check_connections_used(struct reader *r)
{
	bool tables = false, events = false;
	for (size_t i = 0; i < r->c->flow_count; i++) {
		tables |= r->c->flows[i].kind != FLOW_EMAIL_EVENTS;
		events |= r->c->flows[i].kind == FLOW_EMAIL_EVENTS;
	}
	struct place whole = {r->c->path, 0, 0};
	if ((tables || events) && !r->c->dataverse.url)
		problem(r->p, whole, "the flows need connections.dataverse");
	if (tables && !r->c->campaign.url)
		problem(r->p, whole, "the flows need connections.campaign");
	if (events && !r->c->logs.url)
		problem(r->p, whole, "the email-events flow needs connections.campaign_logs");
}

/* A link goes from a table to the resource that some flow fills; which table that is decides which
 * rows a lookup may name. */
static void resolve_link(const struct config *c, struct field_config *f)
{
	struct suggestion like = {.word = f->link};

	for (size_t j = 0; j < c->flow_count && !f->link_table; j++) {
		const struct flow *flow = &c->flows[j];
		if (flow->resource && !strcmp(flow->resource, f->link))
			f->link_table = flow->table;
		else if (flow->resource)
			suggest_from(&like, flow->resource);
	}
	f->link_like = f->link_table ? NULL : like.best;
}

static void resolve_links(struct config *c)
{
	for (size_t i = 0; i < c->flow_count; i++)
		for (size_t k = 0; k < c->flows[i].field_count; k++)
			if (c->flows[i].fields[k].link)
				resolve_link(c, &c->flows[i].fields[k]);
}

struct config *config_read(const char *const *paths, size_t count, env_lookup env,
			   enum config_use use, struct problems *problems)
{
	static const char *const keys[] = {"name",     "connections", "topics",
					   "metadata", "flows",	      NULL};
	static const char *const topic_keys[] = {"partitions", "replication", NULL};
	struct config *c = xcalloc(1, sizeof *c);
	struct reader r = {c, problems, env, use};
	struct node top[5] = {{0}};

	if (!count || count > 2) {
		problem(problems, (struct place){0}, "--config is given once or twice");
		count = 0;
	}
	for (size_t i = 0; i < count; i++) {
		struct document *doc = doc_load(paths[i], problems);
		if (!i || !c->doc) {
			c->doc = doc;
		} else if (doc) {
			doc_overlay(c->doc, doc, problems);
			doc_free(doc);
		}
	}
	if (c->doc) {
		struct node root = doc_root(c->doc);
		doc_only(root, problems, "the configuration", keys);
		for (size_t k = 0; keys[k]; k++)
			top[k] = doc_get(root, keys[k]);
	}
	if (!c->doc || doc_kind(doc_root(c->doc)) != DOC_MAP) {
		config_free(c);
		return NULL;
	}
	c->path = config_own(c, paths[0], strlen(paths[0]));
	c->name = doc_text(top[0]) ? doc_text(top[0]) : "tideway";
	if (!*c->name || c->name[strspn(c->name, "abcdefghijklmnopqrstuvwxyz0123456789-_")] ||
	    strlen(c->name) > 60)
		problem(problems, doc_place(top[0]),
			"\"name\" is made of a-z, 0-9, - and _, at most 60 of them");
	read_connections(&r, top[1]);
	if (use == CONFIG_MAPPING && !c->pseudonym_key)
		c->pseudonym_key = "no secret, for cases only";
	for (size_t k = 2; keys[k]; k++) /* a name has other letters anyway */
		refuse_variables(&r, top[k]);
	doc_only(top[2], problems, "topics", topic_keys);
	c->partitions = doc_int(top[2], "partitions", 4, 1, 1000, problems);
	c->replication = doc_int(top[2], "replication", 1, 1, 10, problems);
	/* The folder of saved metadata is named relative to the file that names it. */
	const char *dir = doc_text(top[3]) ? doc_text(top[3]) : "metadata";
	if (*dir != '/') {
		const char *beside = doc_there(top[3]) ? doc_place(top[3]).file : paths[0];
		_cleanup_(freep) char *copy = xstrdup(beside);
		_cleanup_(freep) char *full = xasprintf("%s/%s", dirname(copy), dir);
		dir = config_own(c, full, strlen(full));
	}
	c->metadata_dir = dir;
	if (doc_kind(top[4]) != DOC_MAP || !doc_count(top[4])) {
		problem(problems, doc_place(top[4]), "\"flows\" needs at least one flow");
	} else {
		for (size_t i = 0; i < doc_count(top[4]); i++) { /* names twice? */
			const char *a = doc_text(doc_key(top[4], i));
			for (size_t j = 0; a && j < i; j++) {
				const char *b = doc_text(doc_key(top[4], j));
				if (b && !strcmp(a, b))
					problem(problems, doc_place(doc_key(top[4], i)),
						"\"%s\" is given twice", a);
			}
		}
		c->flow_count = doc_count(top[4]);
		c->flows = xcalloc(c->flow_count, sizeof *c->flows);
		for (size_t i = 0; i < c->flow_count; i++)
			read_flow(&r, doc_key(top[4], i), doc_value(top[4], i), &c->flows[i]);
	}
	resolve_links(c);
	if (use != CONFIG_MAPPING)
		check_connections_used(&r);
	return c;
}

struct config *config_load(const char *const *paths, size_t count, env_lookup env,
			   enum config_use use, struct problems *problems)
{
	size_t before = problems->count;
	struct config *c = config_read(paths, count, env, use, problems);

	if (problems->count == before)
		return c;
	config_free(c);
	return NULL;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->flow_count; i++)
		flow_clear(&c->flows[i]);
	free(c->flows);
	free(c->kafka);
	doc_free(c->doc);
	for (struct owned *o = c->owned, *next; o; o = next) {
		next = o->next;
		free(o);
	}
	free(c);
}

const struct flow *config_flow(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->flow_count; i++)
		if (!strcmp(c->flows[i].name, name))
			return &c->flows[i];
	return NULL;
}

const char *config_kafka(const struct config *c, const char *name, const char *fallback)
{
	for (size_t i = 0; i < c->kafka_count; i++)
		if (!strcmp(c->kafka[i].name, name))
			return c->kafka[i].value;
	return fallback;
}
