/* mapping_compile.c - the configuration of a flow and both sides' metadata become a mapping: fields
 * in the order of the target, columns numbered, schemas made.  See mapping_compile.h. */
#include "mapping_compile.h"

#include <stdlib.h>
#include <string.h>

#include "suggest.h"

/* ---- the schema of the target ----------------------------------------------------------------- */

static const char *target_type(enum attribute_type t)
{
	static const char *const types[] = {
	    [ATTRIBUTE_STRING] = "string",  [ATTRIBUTE_BOOLEAN] = "boolean",
	    [ATTRIBUTE_LONG] = "long",	    [ATTRIBUTE_DOUBLE] = "double",
	    [ATTRIBUTE_DATE] = SCHEMA_DATE, [ATTRIBUTE_DATETIME] = SCHEMA_TIMESTAMP,
	    [ATTRIBUTE_ENUM] = "string",    [ATTRIBUTE_LINK] = "string"};
	return types[t];
}

/* How a field is made stands in the schema, for whoever reads the topic; and because the registry
 * keeps schemas, it is also the memory of what the mapping was (changed.h). */
static void field_schema(struct buffer *row, const struct field *f, size_t prefix)
{
	struct buffer doc = BUFFER(64 * 1024);

	if (f->mapped.config)
		doc_flow_text(f->mapped.config->node, &doc);
	change_field_schema(row, f->to + prefix, target_type(f->mapped.attribute->type),
			    f->mapped.config && !doc.overflow ? doc.data : "of deactivate");
	buffer_free(&doc);
}

static void row_doc(const struct mapping *m, struct buffer *row)
{
	static const char *const keys[] = {"table",   "key",	    "filter",  "filtered_out",
					   "deletes", "deactivate", "consent", NULL};
	struct buffer doc = BUFFER(256 * 1024);

	for (size_t i = 0; keys[i]; i++) {
		struct node n = doc_get(m->flow->node, keys[i]);
		if (!doc_there(n))
			continue;
		buffer_printf(&doc, "%s%s: ", doc.len ? ", " : "", keys[i]);
		doc_flow_text(n, &doc);
	}
	change_doc(row, doc.data && !doc.overflow ? doc.data : "");
	buffer_free(&doc);
}

/* Fields are sorted by target, so the members of a group ("location.") stand together. */
char *target_schema(struct mapping *m)
{
	struct buffer row = BUFFER(4 << 20);
	size_t at = 0; /* index in the row */

	buffer_printf(&row, "{\"type\":\"record\",\"name\":\"%s\"", m->resource->name);
	row_doc(m, &row);
	buffer_puts(&row, ",\"fields\":[");
	for (size_t i = 0; i < m->field_count; at++) {
		struct field *f = &m->fields[i];
		const char *dot = strchr(f->to, '.');
		size_t prefix = dot ? (size_t)(dot - f->to) + 1 : 0, inner = 0;
		buffer_puts(&row, at ? "," : "");
		if (!dot) {
			f->group = GROUP_NONE;
			f->index = at;
			field_schema(&row, f, 0);
			i++;
			continue;
		}
		buffer_printf(&row,
			      "{\"name\":\"%.*s\",\"type\":[\"null\",{\"type\":\"record\","
			      "\"name\":\"%s_%.*s\",\"fields\":[",
			      (int)prefix - 1, f->to, m->resource->name, (int)prefix - 1, f->to);
		for (; i < m->field_count && !strncmp(m->fields[i].to, f->to, prefix);
		     i++, inner++) {
			buffer_puts(&row, inner ? "," : "");
			m->fields[i].group = (int)at;
			m->fields[i].index = inner;
			field_schema(&row, &m->fields[i], prefix);
		}
		buffer_puts(&row, "]}],\"default\":null}");
	}
	buffer_puts(&row, "]}");
	_cleanup_(freep) char *namespace = xasprintf("tideway.campaign.%s", m->resource->name);
	char *schema = change_target_schema(namespace, row.data);
	buffer_free(&row);
	return schema;
}

/* ---- compiling -------------------------------------------------------------------------------- */

static int by_target(const void *a, const void *b)
{
	return strcmp(((const struct field *)a)->to, ((const struct field *)b)->to);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const struct field *field_named(const struct mapping *m, const char *to)
{
	for (size_t i = 0; i < m->field_count; i++)
		if (!strcmp(m->fields[i].to, to))
			return &m->fields[i];
	return NULL;
}

/* An attribute that only deactivate names becomes a field that nothing fills. */
static void compile_deactivate(struct mapping *m, struct problems *p)
{
	const struct flow *flow = m->flow;

	m->deactivate =
	    xcalloc(flow->deactivate_count ? flow->deactivate_count : 1, sizeof *m->deactivate);
	for (size_t i = 0; i < flow->deactivate_count; i++) {
		const struct value_pair *v = &flow->deactivate[i];
		const struct attribute *a = target_attribute(m, v->from, v->at, p);
		m->deactivate[i].to = v->from;
		if (!a)
			continue;
		if (!v->to)
			problem(p, v->at, "\"deactivate\" sets a value; null would clear %s",
				v->from);
		else if (a->type == ATTRIBUTE_LINK)
			problem(p, v->at,
				"%s is a link, and \"deactivate\" sets values only: leave it out",
				v->from);
		else
			m->deactivate[i].value =
			    target_constant(m, a, v->to, "the value", v->at, p);
		if (flow->v8 && strchr(v->from, '.'))
			problem(p, v->at, "Campaign v8 does not update %s (it answers 500)",
				v->from);
		if (field_named(m, v->from))
			continue;
		const char *rule = contact_normalises(flow, v->from);
		struct field *f = &m->fields[m->field_count++];
		*f = (struct field){.to = v->from,
				    .mapped = {.attribute = a,
					       .null_keeps = true,
					       .consent = consent_guards(flow, v->from)}};
		if (rule)
			conversions_named(rule, &f->normalise);
	}
}

static void check_flow(const struct flow *flow, const struct table *table,
		       const struct resource *resource, struct problems *p)
{
	const struct attribute *key = resource_attribute(resource, flow->key);
	struct place at = doc_place(doc_get(flow->node, "key"));

	struct suggestion like = {.word = flow->key};
	char meant[100];

	contact_key_is_external_id(flow, p);
	for (size_t i = 0; !key && i < resource->attribute_count; i++)
		suggest_from(&like, resource->attributes[i].path);
	if (*flow->key && !key)
		problem(p, at, "resource %s has no attribute %s, the key of the flow%s",
			resource->name, flow->key, suggest_text(&like, meant, sizeof meant));
	else if (key && key->read_only)
		problem(
		    p, at,
		    "the key %s is read-only: Campaign would not take the id of the row; name an "
		    "identification key that can be written",
		    flow->key);
	else if (key && strchr(flow->key, '.'))
		problem(p, at,
			"the key %s is a part of the resource: name an identification key of the "
			"resource itself",
			flow->key);
	else if (key && (key->type != ATTRIBUTE_STRING || (key->length && key->length < 36)))
		problem(p, at, "the key %s must be a string of at least 36 characters", flow->key);
	if (flow->changes == CHANGES_TRACKING && !table->change_tracking)
		problem(
		    p, doc_place(doc_get(flow->node, "table")),
		    "table %s has no change tracking: enable it in Dynamics (it cannot be undone) "
		    "and run `tideway metadata pull`, or set \"changes\" to modifiedon, "
		    "versionnumber or full",
		    table->name);
	if (doc_there(doc_get(flow->node, "consent")) && strcmp(flow->resource, "profile"))
		problem(p, doc_place(doc_get(flow->node, "consent")),
			"\"consent\" is for flows to the resource profile");
}

/* Sorted, each once; every source gets its index. */
static void number_columns(struct mapping *m)
{
	size_t n = 0;

	m->columns = xcalloc(m->sources.count + 1, sizeof *m->columns);
	for (size_t i = 0; i < m->sources.count; i++)
		m->columns[i] = m->sources.items[i]->column->name;
	qsort(m->columns, m->sources.count, sizeof *m->columns, by_text);
	for (size_t i = 0; i < m->sources.count; i++)
		if (!n || strcmp(m->columns[n - 1], m->columns[i]))
			m->columns[n++] = m->columns[i];
	m->column_count = n;
	for (size_t i = 0; i < m->sources.count; i++)
		for (size_t j = 0; j < n; j++)
			if (!strcmp(m->columns[j], m->sources.items[i]->column->name))
				m->sources.items[i]->index = j;
}

static void number_attributes(struct mapping *m)
{
	m->attributes = xcalloc(m->field_count + 1, sizeof *m->attributes);
	for (size_t i = 0; i < m->field_count; i++)
		m->attributes[i] = m->fields[i].to;
	for (size_t i = 0; i < m->flow->deactivate_count; i++)
		m->deactivate[i].field = field_named(m, m->deactivate[i].to);
}

struct mapping *mapping_compile(const struct flow *flow, const struct table *table,
				const struct resource *resource, struct problems *problems)
{
	struct mapping *m = xcalloc(1, sizeof *m);
	size_t before = problems->count;
	struct error err;

	m->flow = flow;
	m->table = table;
	m->resource = resource;
	m->arena = xcalloc(1, sizeof *m->arena);
	m->fields = xcalloc(flow->field_count + flow->deactivate_count + 1, sizeof *m->fields);
	check_flow(flow, table, resource, problems);
	for (size_t i = 0; i < flow->field_count; i++) {
		struct field *f = &m->fields[m->field_count];
		if (field_compile(m, &flow->fields[i], f, problems)) {
			m->field_count++;
		} else {
			field_clear(f);
			*f = (struct field){0};
		}
	}
	compile_deactivate(m, problems);
	if (doc_there(flow->filter) && !doc_is_null(flow->filter))
		m->filter = filter_compile(flow->filter, table, &m->sources, problems);
	if (problems->count > before) {
		mapping_free(m);
		return NULL;
	}
	m->filter_source_count = m->sources.count;
	qsort(m->fields, m->field_count, sizeof *m->fields, by_target);
	for (size_t i = 0; i < m->field_count; i++)
		for (size_t k = 0; k < m->fields[i].source_count; k++)
			sources_add(&m->sources, &m->fields[i].sources[k]);
	m->merged.column = contact_merged_column(flow, table);
	if (m->merged.column)
		sources_add(&m->sources, &m->merged);
	number_columns(m);
	_cleanup_(freep) char *schema = target_schema(m);
	number_attributes(m);
	if (table_class_new(table, m->columns, m->column_count, &m->source, &err) != OK ||
	    record_class_new(&m->target, schema, &err) != OK) {
		problem(problems, flow->at, "%s", err.text);
		mapping_free(m);
		return NULL;
	}
	return m;
}

void mapping_free(struct mapping *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->field_count; i++)
		field_clear(&m->fields[i]);
	table_class_free(&m->source);
	record_class_free(&m->target);
	filter_free(m->filter);
	free(m->sources.items);
	free(m->deactivate);
	free(m->columns);
	free(m->attributes);
	free(m->fields);
	arena_free(m->arena);
	free(m->arena);
	free(m);
}
