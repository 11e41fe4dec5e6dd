/* mapping_field.c - one field: does what is written of it fit both sides?  See mapping_compile.h. */
#include "mapping_compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fit.h"
#include "json.h"
#include "suggest.h"

void field_clear(struct field *f)
{
	conversions_free(&f->convert);
	conversions_free(&f->normalise);
	free(f->sources);
	free(f->values);
}

/* ---- the target ------------------------------------------------------------------------------- */

const struct attribute *target_attribute(const struct mapping *m, const char *path, struct place at,
					 struct problems *p)
{
	const struct resource *r = m->resource;
	const struct attribute *a = resource_attribute(r, path);
	struct suggestion like = {.word = path};
	const char *dot = strchr(path, '.'), *part = NULL;
	size_t len = strlen(path);
	char meant[100];

	for (size_t i = 0; !a && i < r->attribute_count; i++) {
		const char *other = r->attributes[i].path;
		suggest_from(&like, other);
		if (!part && !strncmp(other, path, len) && other[len] == '.')
			part = other;
	}
	if (part)
		problem(p, at, "%s has parts, and each is an attribute of its own, like %s", path,
			part);
	else if (!a)
		problem(p, at, "resource %s has no attribute %s%s", r->name, path,
			suggest_text(&like, meant, sizeof meant));
	else if (a->read_only)
		problem(p, at, "attribute %s is read-only", path);
	else if (a->type == ATTRIBUTE_OTHER)
		problem(p, at, "attribute %s is of type %s, which cannot be written", path,
			a->kind);
	else if (dot && strchr(dot + 1, '.'))
		problem(p, at, "%s: one dot at most", path);
	else if (!strcmp(path, m->flow->key))
		problem(p, at, "%s is the key of the flow: it holds the id of the row", path);
	else
		return a;
	return NULL;
}

struct scalar target_constant(const struct mapping *m, const struct attribute *a, const char *text,
			      const char *what, struct place at, struct problems *p)
{
	struct scalar s = {.kind = TEXT, .text = text};
	struct misfit why;

	if (!fit(a, false, &s, m->arena, &why))
		problem(p, at, "%s \"%s\" of %s %s (%s)", what, text, a->path, why.text,
			attribute_type_name(a->type));
	else if (consent_flag(m->flow, a->path) && !s.number)
		problem(
		    p, at,
		    "%s \"%s\" of %s would re-subscribe people who opted out in Campaign, and no "
		    "column says so; leave it out: a consent flag is only cleared by the value of "
		    "a column",
		    what, text, a->path);
	else
		return s;
	return (struct scalar){.kind = NOTHING};
}

/* What stands for a value of a column.  In the declared direction it may clear a consent flag; all
 * other constants stand for a column that says nothing. */
static struct scalar target_value(const struct mapping *m, const struct attribute *a,
				  const struct value_pair *v, struct problems *p)
{
	struct scalar s = {.kind = TEXT, .text = v->to};
	struct misfit why;

	if (!consent_flag(m->flow, a->path) || !fit(a, false, &s, m->arena, &why) || s.number)
		return target_constant(m, a, v->to, "the value", v->at, p);
	if (!consent_guards(m->flow, a->path))
		return s;
	problem(p, v->at,
		"the value \"%s\" of %s would re-subscribe people who opted out in Campaign: a "
		"consent flag is only written as true; leave it out, or declare \"consent: "
		"dynamics-to-campaign\"",
		v->to, a->path);
	return (struct scalar){.kind = NOTHING};
}

static void check_link(const struct field_config *c, const struct attribute *a, struct problems *p)
{
	bool link = a->type == ATTRIBUTE_LINK;

	if (!c->link && link)
		problem(p, field_place(c, "to"),
			"%s is a link: write it under \"links\", with mode: key or pkey", c->to);
	if (c->link && c->link_mode == LINK_JOIN && a->type != ATTRIBUTE_STRING)
		problem(p, field_place(c, "column"),
			"the column of a link with mode: join is a text, %s is %s", c->to,
			attribute_type_name(a->type));
	if (c->link && c->link_mode != LINK_JOIN && !link)
		problem(p, field_place(c, "link"),
			"%s is %s, no link; a plain column is for mode: join", c->to,
			attribute_type_name(a->type));
	if (c->link && *c->link && link && a->target && strcmp(a->target, c->link))
		problem(p, field_place(c, "link"),
			"the link %s leads to %s, not to %s; write \"to: %s\", or name the link "
			"that leads to %s",
			c->to, a->target, c->link, a->target, c->link);
}

/* ---- the source ------------------------------------------------------------------------------- */

/* The columns, each readable; false after a problem. */
static bool find_columns(const struct mapping *m, const struct field_config *c, struct field *f,
			 struct problems *p)
{
	static const char *const keys[] = {"from", "concat", "any"};
	size_t before = p->count;

	f->sources = xcalloc(c->from_count ? c->from_count : 1, sizeof *f->sources);
	for (size_t i = 0; i < c->from_count; i++) {
		struct node list = doc_get(c->node, keys[c->source]);
		struct node at = c->source == SOURCE_COLUMN ? list : doc_item(list, i);
		struct source *s = &f->sources[f->source_count++];
		*s = (struct source){.label = c->picklist_label,
				     .name = c->lookup_name,
				     .only_table = c->link ? c->link_table : NULL,
				     .separator = c->separator ? c->separator : ","};
		s->column = source_column(m->table, c->from[i], doc_place(at), p);
		if (s->column && c->source == SOURCE_ANY && s->column->type != COLUMN_BOOLEAN)
			problem(p, doc_place(at), "\"any\" is for true and false, and %s is %s",
				c->from[i], column_type_name(s->column->type));
	}
	return p->count == before;
}

/* picklist and lookup must be of use to at least one column. */
static void check_sides(const struct field_config *c, struct field *f, struct problems *p)
{
	bool choice = false, lookup = false, several = false;

	for (size_t i = 0; i < f->source_count; i++) {
		enum column_type t = f->sources[i].column->type;
		choice |= t == COLUMN_CHOICE || t == COLUMN_CHOICES;
		several |= t == COLUMN_CHOICES;
		lookup |= t == COLUMN_LOOKUP;
	}
	if (f->source_count == 1)
		source_sides(f->sources, field_place(c, "picklist"), field_place(c, "lookup"), p);
	if (f->source_count > 1 && c->picklist_label && !choice)
		problem(p, field_place(c, "picklist"), "none of the columns is a choice");
	if (f->source_count > 1 && c->lookup_name && !lookup)
		problem(p, field_place(c, "lookup"), "none of the columns is a lookup");
	if (c->separator && c->source != SOURCE_CONCAT && !several)
		problem(p, field_place(c, "separator"),
			"\"separator\" is for \"concat\" and for multi-select choices");
}

/* A parent must be loaded by some flow, or the link leads nowhere; and it must be the parent that
 * the lookup names. */
static void check_parent(const struct field_config *c, const struct column *lookup,
			 struct problems *p)
{
	bool found = !lookup->target_count;

	if (lookup->type != COLUMN_LOOKUP) {
		problem(p, field_place(c, "from"), "a link is made of a lookup, and %s is %s",
			lookup->name, column_type_name(lookup->type));
		return;
	}
	if (!*c->link)
		return; /* said already */
	if (!c->link_table) {
		problem(p, field_place(c, "to"), "the link leads to %s, which no flow loads%s%s%s",
			c->link, c->link_like ? "; did you mean \"" : "",
			c->link_like ? c->link_like : "", c->link_like ? "\"?" : "");
		return;
	}
	for (size_t i = 0; i < lookup->target_count && !found; i++)
		found = !strcmp(lookup->targets[i].table, c->link_table);
	if (!found)
		problem(p, field_place(c, "to"),
			"%s is loaded from the table %s, and %s never names a row of it", c->link,
			c->link_table, lookup->name);
}

static enum kind source_gives(const struct field_config *c, const struct field *f)
{
	switch (c->source) {
	case SOURCE_CONCAT:
	case SOURCE_CONSTANT:
		return TEXT;
	case SOURCE_ANY:
		return FLAG;
	default:
		/* The items of a multi-select are converted one by one. */
		return f->sources[0].column->type == COLUMN_CHOICES && !c->picklist_label
			   ? NUMBER
			   : source_kind(&f->sources[0]);
	}
}

static bool is_multi(const struct field *f)
{
	return f->source_count == 1 && f->sources[0].column->type == COLUMN_CHOICES;
}

/* ---- what stands in between ------------------------------------------------------------------- */

/* What reaches `values` is of this kind: a replacement of anything else would never be used. */
static void compile_from(struct field *f, size_t i, enum kind kind, struct problems *p)
{
	const struct value_pair *v = &f->mapped.config->values[i];
	struct replacement *r = &f->values[i];
	const struct source *one = f->source_count == 1 && !f->convert.count ? f->sources : NULL;
	const char *name = one ? one->column->name : "what comes of the columns";

	if (one && source_is_id(one)) {
		r->from = (struct scalar){.kind = TEXT, .text = r->id};
		if (!id_parse(v->from, r->id))
			problem(
			    p, v->at,
			    "%s holds ids, and \"%s\" is none (8-4-4-4-12 hexadecimal digits)%s",
			    name, v->from,
			    one->column->type == COLUMN_LOOKUP
				? "; a name is replaced with \"lookup: name\""
				: "");
	} else if (!scalar_parse(kind, v->from, &r->from)) {
		bool choice =
		    one && !one->label &&
		    (one->column->type == COLUMN_CHOICE || one->column->type == COLUMN_CHOICES);
		problem(p, v->at, "%s is %s, and \"%s\" is not%s", name, kind_name(kind), v->from,
			choice ? "; a label is replaced with \"picklist: label\"" : "");
		r->from = (struct scalar){.kind = NOTHING};
		return;
	} else if (one && !source_has_option(one, &r->from)) {
		problem(p, v->at, "%s is never %s, by the saved metadata", name, v->from);
	}
	for (size_t k = 0; k < i; k++)
		if (f->values[k].from.kind != NOTHING &&
		    strcmp(f->mapped.config->values[k].from, v->from) &&
		    scalar_equal(&f->values[k].from, &r->from))
			problem(p, v->at, "\"%s\" says the same as \"%s\" of \"values\"", v->from,
				f->mapped.config->values[k].from);
}

/* An item of a multi-select is joined first: alone it need not fit, but be a part of what does. */
static struct scalar item_constant(const struct field *f, const char *text, const char *what,
				   struct place at, struct problems *p)
{
	const struct attribute *a = f->mapped.attribute;
	bool part = a->type != ATTRIBUTE_ENUM;

	for (size_t i = 0; i < a->value_count && !part; i++)
		part = strstr(a->values[i], text);
	if (!part)
		problem(p, at, "%s \"%s\" is in none of the values of %s (enumeration)", what, text,
			a->path);
	else if (a->type == ATTRIBUTE_STRING && a->length && !f->mapped.config->truncate &&
		 utf8_length(text) > (size_t)a->length)
		problem(p, at, "%s \"%s\" of %s is longer than the attribute allows (%lld)", what,
			text, a->path, (long long)a->length);
	return (struct scalar){.kind = TEXT, .text = text};
}

/* kind: what comes out of the conversions; NOTHING when they are wrong themselves. */
static void compile_values(const struct mapping *m, struct field *f, enum kind kind,
			   struct problems *p)
{
	const struct field_config *c = f->mapped.config;
	bool multi = is_multi(f);

	f->values = xcalloc(c->value_count ? c->value_count : 1, sizeof *f->values);
	for (size_t i = 0; i < c->value_count; i++) {
		const struct value_pair *v = &c->values[i];
		if (kind != NOTHING)
			compile_from(f, i, kind, p);
		if (!v->to)
			continue;
		f->values[i].to = multi ? item_constant(f, v->to, "the value", v->at, p)
					: target_value(m, f->mapped.attribute, v, p);
	}
	if (c->otherwise)
		f->otherwise = multi ? item_constant(f, c->otherwise, "otherwise",
						     field_place(c, "otherwise"), p)
				     : target_constant(m, f->mapped.attribute, c->otherwise,
						       "otherwise", field_place(c, "otherwise"), p);
	if (c->fallback)
		f->fallback = target_constant(m, f->mapped.attribute, c->fallback, "the default",
					      field_place(c, "default"), p);
	if (c->constant)
		f->constant = target_constant(m, f->mapped.attribute, c->constant, "the constant",
					      field_place(c, "constant"), p);
}

static bool is_named(const struct field *f, const struct scalar *from)
{
	for (size_t i = 0; i < f->mapped.config->value_count; i++)
		if (scalar_equal(&f->values[i].from, from))
			return true;
	return false;
}

/* Does `values` let nothing through?  The choices of a multi-select are joined after it.  kind: what
 * comes to it. */
static bool replaces_all(const struct field *f, enum kind kind)
{
	const struct field_config *c = f->mapped.config;
	const struct column *column = f->source_count == 1 ? f->sources[0].column : NULL;

	if (!c->value_count || is_multi(f))
		return false;
	if (c->has_otherwise)
		return true;
	if (kind == FLAG)
		return is_named(f, &(struct scalar){.kind = FLAG, .number = true}) &&
		       is_named(f, &(struct scalar){.kind = FLAG});
	if (f->convert.count || !column || column->type != COLUMN_CHOICE || !column->option_count)
		return false;
	for (size_t i = 0; i < column->option_count; i++)
		if (!is_named(f, &(struct scalar){.kind = kind,
						  .text = column->options[i].label,
						  .number = column->options[i].value}))
			return false;
	return true;
}

/* What `values` gives fits already; what it lets through must, too. */
static void check_kinds(const struct field *f, enum kind in, struct problems *p)
{
	const struct field_config *c = f->mapped.config;
	const struct attribute *a = f->mapped.attribute;
	enum kind out = is_multi(f) ? TEXT : f->convert.count ? f->convert.out : in;
	const char *hint;

	if (c->link || replaces_all(f, out) || fits_kind(a, out, &hint))
		return;
	if (is_multi(f))
		hint = NULL;
	else if (c->value_count)
		hint = "\"otherwise\", for what \"values\" does not name";
	problem(p, field_place(c, "to"), "%s is %s%s and %s is %s: this does not convert%s%s",
		c->from_count == 1 ? c->from[0] : "what comes of the columns", kind_name(out),
		f->convert.count ? " after \"convert\"" : "", c->to, attribute_type_name(a->type),
		hint ? "; try " : "", hint ? hint : "");
}

/* Characters of every text that comes of the field; 0: it depends. */
static size_t sure_length(const struct field *f, enum kind out)
{
	const struct field_config *c = f->mapped.config;

	if (c->source != SOURCE_COLUMN || c->value_count || is_multi(f))
		return 0;
	if (f->convert.length)
		return f->convert.length;
	if (out == DAY)
		return 10;
	if (out == TIME)
		return 24;
	return !f->convert.count && source_is_id(f->sources) ? 36 : 0;
}

/* Without this each and every record would be rejected. */
static void check_length(const struct field *f, enum kind out, struct place at, struct problems *p)
{
	const struct attribute *a = f->mapped.attribute;
	size_t length = sure_length(f, out);

	if (a->type == ATTRIBUTE_STRING && a->length && length > (size_t)a->length &&
	    !f->mapped.config->truncate)
		problem(p, at,
			"what goes to %s has %zu characters, and it takes %lld, so every record "
			"would be "
			"rejected: take a longer attribute, or the start with {first: %lld}",
			f->to, length, (long long)a->length, (long long)a->length);
}

static void check_policies(const struct mapping *m, const struct field *f, struct problems *p)
{
	const struct field_config *c = f->mapped.config;
	const struct attribute *a = f->mapped.attribute;

	if (c->truncate && (a->type != ATTRIBUTE_STRING || !a->length))
		problem(p, field_place(c, "too_long"),
			"\"too_long\" is for texts whose length is known, %s is %s", c->to,
			attribute_type_name(a->type));
	if (consent_flag(m->flow, c->to) && doc_there(doc_get(c->node, "when_null")) &&
	    c->when_null == NULL_CLEAR)
		problem(
		    p, field_place(c, "when_null"),
		    "%s is a consent flag: null leaves it alone; clearing it would re-subscribe "
		    "people who opted out in Campaign",
		    c->to);
	if (consent_flag(m->flow, c->to) && c->create_only && c->source != SOURCE_CONSTANT)
		problem(p, field_place(c, "on"),
			"%s is a consent flag: with \"on: create\" who opts out in Dynamics later "
			"would "
			"still be mailed",
			c->to);
	if (m->flow->v8 && strchr(c->to, '.') && !c->create_only)
		problem(p, field_place(c, "to"),
			"Campaign v8 does not update %s (it answers 500): add \"on: create\", or "
			"leave it out",
			c->to);
}

bool field_compile(struct mapping *m, const struct field_config *c, struct field *f,
		   struct problems *p)
{
	static const char *const to_keys[] = {"to", "column", "link"};
	size_t before = p->count;
	struct place to = field_place(c, to_keys[!c->link ? 0 : c->link_mode == LINK_JOIN ? 1 : 2]);

	*f = (struct field){.to = c->to, .mapped.config = c};
	if (!*c->to || (c->source != SOURCE_CONSTANT && !c->from_count))
		return false; /* said already */
	for (size_t i = 0; i < m->field_count; i++)
		if (!strcmp(m->fields[i].to, c->to))
			problem(p, to, "%s is written twice, here and in line %d%s%s", c->to,
				m->fields[i].mapped.config->at.line,
				strcmp(m->fields[i].mapped.config->at.file, to.file) ? " of " : "",
				strcmp(m->fields[i].mapped.config->at.file, to.file)
				    ? m->fields[i].mapped.config->at.file
				    : "");
	bool there = find_columns(m, c, f, p);
	f->mapped.attribute = target_attribute(m, c->to, to, p);
	if (!there || !f->mapped.attribute)
		return false;
	f->consent = consent_guards(m->flow, c->to);
	f->mapped.create_only = c->create_only;
	f->mapped.consent = f->consent;
	f->mapped.null_keeps = consent_flag(m->flow, c->to) || c->when_null == NULL_KEEP;
	check_link(c, f->mapped.attribute, p);
	if (f->source_count)
		check_sides(c, f, p);
	if (c->link)
		check_parent(c, f->sources[0].column, p);
	struct convert_context context = {
	    .in = source_gives(c, f),
	    .wall_clock = f->source_count == 1 &&
			  !strcmp(f->sources[0].column->kind, "DateTime/TimeZoneIndependent"),
	    .pseudonym_key = m->flow->pseudonym_key};
	bool converts = conversions_compile(c->convert, &context, &f->convert, p);
	const char *rule = contact_normalises(m->flow, c->to);
	if (rule)
		conversions_named(rule, &f->normalise);
	compile_values(m, f, converts ? f->convert.out : NOTHING, p);
	if (converts && c->source != SOURCE_CONSTANT)
		check_kinds(f, context.in, p);
	if (converts)
		check_length(f, f->convert.out, to, p);
	check_policies(m, f, p);
	return p->count == before;
}
