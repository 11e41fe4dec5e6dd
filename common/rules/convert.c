/* convert.c - see convert.h: steps are found, fitted to each other, and done in order. */
#include "convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert_steps.h"
#include "suggest.h"
#include "zone.h"

static const struct conversion_kind *find(const char *name, struct node at, struct problems *p)
{
	struct suggestion like = {.word = name};
	char known[300] = "", meant[100];

	for (size_t i = 0; i < conversion_kind_count; i++) {
		if (!strcmp(conversion_kinds[i].name, name))
			return &conversion_kinds[i];
		suggest_from(&like, conversion_kinds[i].name);
		snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
			 conversion_kinds[i].name);
	}
	problem(p, doc_place(at), "unknown conversion \"%s\"%s; known are: %s", name,
		suggest_text(&like, meant, sizeof meant), known);
	return NULL;
}

/* "trim" or {first: 10}. */
static bool compile_step(struct node node, struct convert_context *context, struct conversion *step,
			 struct problems *p)
{
	bool map = doc_kind(node) == DOC_MAP && doc_count(node) == 1;
	const char *name = map ? doc_text(doc_key(node, 0)) : doc_text(node);
	struct node argument = map ? doc_value(node, 0) : (struct node){0};

	if (!name) {
		problem(p, doc_place(node),
			"a conversion is a name, or a name and its argument: trim, {first: 10}");
		return false;
	}
	step->is = find(name, map ? doc_key(node, 0) : node, p);
	if (!step->is)
		return false;
	if (context->in != NOTHING && !(step->is->takes & BIT(context->in))) {
		problem(p, doc_place(node), "%s cannot be applied to %s", name,
			kind_name(context->in));
		return false;
	}
	/* Without an argument the place is that of the name. */
	if (!doc_there(argument))
		argument = (struct node){node.doc, 0};
	size_t before = p->count;
	bool good = step->is->read(argument, context, step, p);
	for (size_t i = before; i < p->count; i++)
		if (!p->items[i].at.line)
			problem_move(&p->items[i], doc_place(node));
	context->in = step->is->gives;
	context->wall_clock = false;
	return good;
}

bool conversions_compile(struct node node, const struct convert_context *context,
			 struct conversions *out, struct problems *p)
{
	struct convert_context now = *context;
	bool list = doc_kind(node) == DOC_LIST;
	size_t n = !doc_there(node) ? 0 : list ? doc_count(node) : 1, before = p->count;

	*out = (struct conversions){.out = context->in};
	if (!n)
		return true;
	out->steps = xcalloc(n, sizeof *out->steps);
	for (size_t i = 0; i < n; i++)
		/* What follows a step that is wrong cannot be judged. */
		if (!compile_step(list ? doc_item(node, i) : node, &now, &out->steps[out->count++],
				  p))
			now.in = NOTHING;
	out->out = now.in;
	if (out->steps[n - 1].is)
		out->length = out->steps[n - 1].is->length;
	if (p->count == before)
		return true;
	conversions_free(out);
	return false;
}

void conversions_named(const char *name, struct conversions *out)
{
	*out =
	    (struct conversions){.steps = xcalloc(1, sizeof *out->steps), .count = 1, .out = TEXT};
	for (size_t i = 0; i < conversion_kind_count; i++)
		if (!strcmp(conversion_kinds[i].name, name))
			out->steps[0].is = &conversion_kinds[i];
}

void conversions_free(struct conversions *c)
{
	for (size_t i = 0; i < c->count; i++)
		zone_free(c->steps[i].zone);
	free(c->steps);
	*c = (struct conversions){0};
}

bool conversions_apply(const struct conversions *c, struct scalar *s, struct arena *a,
		       struct misfit *why)
{
	for (size_t i = 0; i < c->count && s->kind != NOTHING; i++) {
		if (s->kind == REAL && !isfinite(s->real)) {
			*why = (struct misfit){"not-a-number", "is no finite number"};
			return false;
		}
		if (!c->steps[i].is->apply(&c->steps[i], s, a, why))
			return false;
	}
	return true;
}
