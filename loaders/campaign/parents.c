/* parents.c - links: whom a record needs, and PKeys.
 *
 *   join, 0 or 1   the parent's key stands in a plain column: it is needed for nothing
 *   join, 1        the record can be made without it, but is hidden until it is there: no later
 *                  version can be written, and no delete
 *   key            the parent's key stands in the link: without the parent the record is refused
 *   pkey           the same with the parent's PKey, which is looked up once and kept in memory:
 *                  PKeys are never stored, they do not outlive their context
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "arena.h"
#include "writing.h"

enum { PKEYS_MAX = 20000 };

struct pkey {
	UT_hash_handle hh;
	char *value;
	char name[]; /* resource/key */
};

enum result parents_open(struct campaign_loader *l, struct error *err)
{
	const struct flow *f = l->stage->flow;
	enum result r = OK;

	for (size_t i = 0; i < f->field_count && r == OK; i++) {
		const struct field_config *c = &f->fields[i];
		struct resource *res = NULL;
		if (!c->link)
			continue;
		assert(l->link_count < LOAD_PARENTS); /* flow.c refuses more */
		struct link *link = &l->links[l->link_count++];
		*link = (struct link){.config = c};
		for (size_t k = 0; k < l->stage->config->flow_count; k++) {
			const struct flow *other = &l->stage->config->flows[k];
			if (other->resource && !strcmp(other->resource, c->link))
				link->flow = other;
		}
		r = resource_load(l->stage->config->metadata_dir, c->link, &res, err);
		if (r == OK)
			link->path = xstrdup(res->path);
		resource_free(res);
	}
	return r;
}

static void forget_all(struct campaign_loader *l)
{
	struct pkey *p, *next;
	HASH_ITER(hh, l->pkeys, p, next)
	{
		HASH_DEL(l->pkeys, p);
		free(p->value);
		free(p);
	}
}

void parents_close(struct campaign_loader *l)
{
	forget_all(l);
	for (size_t i = 0; i < l->link_count; i++)
		free(l->links[i].path);
}

size_t parents_names(void *state, const char **names)
{
	const struct campaign_loader *l = state;
	size_t n = 0;

	for (size_t i = 0; i < l->link_count; i++) {
		bool there = !body_needs(l->links[i].config);
		for (size_t k = 0; k < n && !there; k++)
			there = !strcmp(names[k], l->links[i].config->link);
		if (!there)
			names[n++] = l->links[i].config->link;
	}
	return n;
}

void parents_of(struct campaign_loader *l, const avro_value_t *row, struct write *w)
{
	w->parents = l->link_count ? xcalloc(l->link_count, sizeof *w->parents) : NULL;
	for (size_t i = 0; i < l->link_count; i++) {
		const char *key = body_parent(l->links[i].config, row);
		if (key)
			w->parents[w->parent_count++] =
			    (struct parent){.link = &l->links[i], .key = xstrdup(key)};
	}
}

uint32_t parent_fingerprint(const struct parent *p)
{
	return parked_parent(p->link->config->link, p->key, strlen(p->key));
}

uint32_t parents_needed(const struct write *w)
{
	for (size_t i = 0; i < w->parent_count; i++)
		if (w->parents[i].link->config->required)
			return parent_fingerprint(&w->parents[i]);
	return 0;
}

/* ---- look-ups --------------------------------------------------------------------------------- */

static struct pkey *cached(struct campaign_loader *l, const struct parent *p, char **name)
{
	struct pkey *k;

	*name = xasprintf("%s/%s", p->link->config->link, p->key);
	HASH_FIND_STR(l->pkeys, *name, k);
	return k;
}

bool parents_next(struct campaign_loader *l, struct write *w)
{
	for (size_t i = 0; i < w->parent_count; i++) {
		struct parent *p = &w->parents[i];
		if (p->seen || (!w->find_missing && p->link->config->link_mode != LINK_PKEY))
			continue;
		_cleanup_(freep) char *name = NULL;
		struct pkey *k = w->find_missing ? NULL : cached(l, p, &name);
		if (k) {
			p->pkey = xstrdup(k->value);
			p->seen = true;
			continue;
		}
		w->asked = i;
		return true;
	}
	return false;
}

void parent_found(struct campaign_loader *l, struct parent *p, const char *pkey)
{
	_cleanup_(freep) char *name = NULL;
	struct pkey *k = cached(l, p, &name);

	p->seen = true;
	free(p->pkey);
	p->pkey = xstrdup(pkey);
	if (HASH_COUNT(l->pkeys) >= PKEYS_MAX) {
		forget_all(l);
		k = NULL;
	}
	if (!k) {
		k = xcalloc(1, sizeof *k + strlen(name) + 1);
		memcpy(k->name, name, strlen(name) + 1);
		HASH_ADD_STR(l->pkeys, name, k);
	}
	free(k->value);
	k->value = xstrdup(pkey);
}

void parents_forget(struct campaign_loader *l, struct write *w)
{
	for (size_t i = 0; i < w->parent_count; i++) {
		struct parent *p = &w->parents[i];
		_cleanup_(freep) char *name = NULL;
		struct pkey *k = cached(l, p, &name);
		if (k) {
			HASH_DEL(l->pkeys, k);
			free(k->value);
			free(k);
		}
		free(p->pkey);
		p->pkey = NULL;
		p->seen = false;
	}
}
