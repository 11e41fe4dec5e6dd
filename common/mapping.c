/* mapping.c - see mapping.h.
 *
 * A source value becomes a scalar (what it is, without Avro around it), replacements are looked up
 * by its text, and the scalar becomes what the attribute wants.  The same step compiles defaults
 * and replacement values, so that a value that cannot be written is found by `tideway check`.
 */
#include "mapping.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"

const char *const consent_flags[] = {"blackList",
				     "blackListEmail",
				     "blackListFax",
				     "blackListMobile",
				     "blackListPhone",
				     "blackListPostalMail",
				     "blackListPushnotification",
				     "ccpaOptOut",
				     NULL};

enum kind { NOTHING, TEXT, NUMBER, DECIMAL, REAL, FLAG, DAY, TIME };

struct scalar {
	enum kind kind;
	const char *text; /* TEXT, DECIMAL */
	int64_t number;	  /* NUMBER, FLAG, DAY, TIME */
	double real;
};

struct field {
	const struct field_config *config;
	const struct column *column;
	const struct attribute *attribute;
	size_t source;	     /* index in the row */
	size_t group, index; /* in the target: group SIZE_MAX for a member of the row itself */
	bool consent;
	struct scalar fallback; /* NOTHING when there is none */
};

struct mapping {
	const struct flow *flow;
	const struct table *table;
	const struct resource *resource;
	struct field *fields; /* in the order of the target */
	size_t field_count;
	const char **columns, **attributes;
	size_t column_count;
	struct table_class source;
	struct record_class target;
};

/* ---- values ----------------------------------------------------------------------------------- */

static struct scalar scalar_of(const struct field *f, const avro_value_t *field)
{
	struct scalar s = {.kind = NOTHING};
	avro_value_t some, inner;
	int flag = 0;

	if (!record_some(field, &some))
		return s;
	switch (f->column->type) {
	case COLUMN_STRING:
	case COLUMN_GUID:
		s.kind = TEXT;
		s.text = record_text(&some, NULL);
		break;
	case COLUMN_DECIMAL:
		s.kind = DECIMAL;
		s.text = record_text(&some, NULL);
		break;
	case COLUMN_BOOLEAN:
		avro_value_get_boolean(&some, &flag);
		s.kind = FLAG;
		s.number = flag;
		break;
	case COLUMN_INT:
	case COLUMN_LONG:
		s.kind = NUMBER;
		s.number = record_long(&some);
		break;
	case COLUMN_DOUBLE:
		s.kind = REAL;
		avro_value_get_double(&some, &s.real);
		break;
	case COLUMN_DATE:
		s.kind = DAY;
		s.number = record_long(&some);
		break;
	case COLUMN_DATETIME:
		s.kind = TIME;
		s.number = record_long(&some);
		break;
	case COLUMN_CHOICE:
		inner = record_field(&some, f->config->picklist_label ? 1 : 0);
		if (!f->config->picklist_label) {
			s.kind = NUMBER;
			s.number = record_long(&inner);
		} else if (record_some(&inner, &some)) {
			s.kind = TEXT;
			s.text = record_text(&some, NULL);
		}
		break;
	case COLUMN_LOOKUP:
		inner = record_field(&some, f->config->lookup_name ? 2 : 0);
		if (record_some(&inner, &some)) {
			s.kind = TEXT;
			s.text = record_text(&some, NULL);
		}
		break;
	default:
		break;
	}
	return s;
}

enum { SCALAR_TEXT = 48 };

/* A scalar as the text that `values` are compared with and string attributes hold. */
static const char *scalar_text(const struct scalar *s, char out[SCALAR_TEXT])
{
	char date[25];

	switch (s->kind) {
	case TEXT:
	case DECIMAL:
		return s->text;
	case NUMBER:
		snprintf(out, SCALAR_TEXT, "%lld", (long long)s->number);
		return out;
	case REAL:
		snprintf(out, SCALAR_TEXT, "%.15g", s->real);
		if (strtod(out, NULL) != s->real)
			snprintf(out, SCALAR_TEXT, "%.17g", s->real);
		return out;
	case FLAG:
		return s->number ? "true" : "false";
	case DAY:
		if (!date_format((int32_t)s->number, date))
			return "";
		snprintf(out, SCALAR_TEXT, "%s", date);
		return out;
	case TIME:
		if (!datetime_format((wall_time){s->number}, 'T', date))
			return "";
		snprintf(out, SCALAR_TEXT, "%s", date);
		return out;
	default:
		return "";
	}
}

/* Makes of s what the attribute wants. Returns NULL or what is wrong, as a reason and a text. */
struct misfit {
	const char *reason, *text;
};

static bool to_real(const struct scalar *s, double *out)
{
	if (s->kind == REAL)
		*out = s->real;
	else if (s->kind == NUMBER)
		*out = (double)s->number;
	else
		return (s->kind == DECIMAL || s->kind == TEXT) && text_to_double(s->text, out);
	return true;
}

static struct misfit fit(const struct attribute *a, struct scalar *s, char buf[SCALAR_TEXT])
{
	static const struct misfit good = {NULL, NULL};
	struct scalar out = {0};
	int32_t days;
	wall_time t;

	switch (a->type) {
	case ATTRIBUTE_STRING:
		out.kind = TEXT;
		out.text = scalar_text(s, buf);
		if (a->length && utf8_length(out.text) > (size_t)a->length)
			return (struct misfit){"too-long", "is longer than the attribute allows"};
		break;
	case ATTRIBUTE_ENUM:
		out.kind = TEXT;
		out.text = scalar_text(s, buf);
		for (size_t i = 0; i < a->value_count; i++)
			if (!strcmp(a->values[i], out.text)) {
				*s = out;
				return good;
			}
		return (struct misfit){"not-in-enumeration", "is none of the enumeration's values"};
	case ATTRIBUTE_BOOLEAN:
		out.kind = FLAG;
		if (s->kind == FLAG)
			out.number = s->number;
		else if (s->kind == TEXT && (!strcmp(s->text, "true") || !strcmp(s->text, "false")))
			out.number = s->text[0] == 't';
		else
			return (struct misfit){"not-a-boolean", "is neither true nor false"};
		break;
	case ATTRIBUTE_LONG:
		out.kind = NUMBER;
		if (s->kind == NUMBER)
			out.number = s->number;
		else if (s->kind != TEXT ||
			 !text_to_int(s->text, INT64_MIN, INT64_MAX, &out.number))
			return (struct misfit){"not-a-number", "is no whole number"};
		break;
	case ATTRIBUTE_DOUBLE:
		out.kind = REAL;
		if (!to_real(s, &out.real))
			return (struct misfit){"not-a-number", "is no number"};
		break;
	case ATTRIBUTE_DATE:
		out.kind = DAY;
		if (s->kind == DAY)
			out.number = s->number;
		else if (s->kind == TEXT && date_parse(s->text, strlen(s->text), &days))
			out.number = days;
		else
			return (struct misfit){"not-a-date", "is no date (YYYY-MM-DD)"};
		break;
	case ATTRIBUTE_DATETIME:
		out.kind = TIME;
		if (s->kind == TIME)
			out.number = s->number;
		else if (s->kind == TEXT && datetime_parse(s->text, strlen(s->text), true, &t))
			out.number = t.ms;
		else
			return (struct misfit){"not-a-time", "is no time with a zone"};
		break;
	default:
		return (struct misfit){"unsupported", "cannot be written"};
	}
	*s = out;
	return good;
}

static void put(avro_value_t *field, const struct scalar *s)
{
	if (s->kind == NOTHING) {
		record_set_null(field);
		return;
	}
	avro_value_t some = record_set_some(field);
	switch (avro_value_get_type(&some)) {
	case AVRO_STRING:
		record_set_text(&some, s->text, strlen(s->text));
		break;
	case AVRO_BOOLEAN:
		avro_value_set_boolean(&some, s->number != 0);
		break;
	case AVRO_INT32:
		avro_value_set_int(&some, (int32_t)s->number);
		break;
	case AVRO_INT64:
		avro_value_set_long(&some, s->number);
		break;
	default:
		avro_value_set_double(&some, s->real);
	}
}

/* ---- compiling -------------------------------------------------------------------------------- */

/* Can a column's values become the attribute's without knowing them? */
static bool convertible(const struct field_config *f, const struct column *c,
			const struct attribute *a)
{
	bool text = c->type == COLUMN_STRING || c->type == COLUMN_GUID ||
		    c->type == COLUMN_LOOKUP || (c->type == COLUMN_CHOICE && f->picklist_label);
	bool whole = c->type == COLUMN_INT || c->type == COLUMN_LONG ||
		     (c->type == COLUMN_CHOICE && !f->picklist_label);

	switch (a->type) {
	case ATTRIBUTE_STRING:
		return true;
	case ATTRIBUTE_ENUM:
		return text || f->value_count; /* texts are checked record by record */
	case ATTRIBUTE_BOOLEAN:
		return c->type == COLUMN_BOOLEAN || f->value_count;
	case ATTRIBUTE_LONG:
		return whole || f->value_count;
	case ATTRIBUTE_DOUBLE:
		return whole || c->type == COLUMN_DOUBLE || c->type == COLUMN_DECIMAL ||
		       f->value_count;
	case ATTRIBUTE_DATE:
		return c->type == COLUMN_DATE;
	case ATTRIBUTE_DATETIME:
		return c->type == COLUMN_DATETIME;
	default:
		return false;
	}
}

static bool is_consent(const struct resource *r, const char *path)
{
	if (strcmp(r->name, "profile"))
		return false;
	for (size_t i = 0; consent_flags[i]; i++)
		if (!strcmp(path, consent_flags[i]))
			return true;
	return false;
}

static void check_constant(const struct field *f, const char *what, const char *text,
			   struct scalar *out, struct problems *p)
{
	struct scalar s = {.kind = TEXT, .text = text};
	char buf[SCALAR_TEXT];
	struct misfit wrong = fit(f->attribute, &s, buf);

	if (wrong.reason)
		problem(p, f->config->at, "%s \"%s\" of %s %s (%s)", what, text, f->config->to,
			wrong.text, attribute_type_name(f->attribute->type));
	else if (f->consent && !s.number)
		problem(p, f->config->at,
			"%s \"%s\" of %s would re-subscribe people who opted out in Campaign: a "
			"consent flag is only written as true",
			what, text, f->config->to);
	else if (out)
		*out = s;
}

static const char *known_columns(const struct table *t, const char *like, char *out, size_t size)
{
	size_t n = strlen(like) < 4 ? strlen(like) : 4, shown = 0;

	*out = 0;
	for (size_t i = 0; i < t->column_count && shown < 5; i++)
		if (!strncmp(t->columns[i].name, like, n))
			snprintf(out + strlen(out), size - strlen(out), "%s%s",
				 shown++ ? ", " : "; similar are: ", t->columns[i].name);
	return out;
}

/* A replacement of a value that the column cannot have would never be used. */
static bool can_be(const struct field *f, const char *from)
{
	const struct column *c = f->column;

	if (c->type == COLUMN_BOOLEAN)
		return !strcmp(from, "true") || !strcmp(from, "false");
	if (c->type != COLUMN_CHOICE || !c->option_count)
		return true;
	for (size_t i = 0; i < c->option_count; i++) {
		char number[24];
		snprintf(number, sizeof number, "%lld", (long long)c->options[i].value);
		if (!strcmp(from, f->config->picklist_label ? c->options[i].label : number))
			return true;
	}
	return false;
}

static void compile_field(struct mapping *m, const struct field_config *config, struct problems *p)
{
	struct field *f = &m->fields[m->field_count];
	const char *dot = strchr(config->to, '.');
	char similar[300];

	if (!*config->from || !*config->to)
		return; /* said already */
	*f = (struct field){.config = config};
	f->column = table_column(m->table, config->from);
	f->attribute = resource_attribute(m->resource, config->to);
	if (!f->column)
		problem(p, config->at, "table %s has no column %s%s", m->table->name, config->from,
			known_columns(m->table, config->from, similar, sizeof similar));
	else if (f->column->type == COLUMN_OTHER || f->column->type == COLUMN_CHOICES)
		problem(p, config->at, "column %s is of type %s, which cannot be mapped",
			config->from, f->column->kind);
	if (!f->attribute)
		problem(p, config->at, "resource %s has no attribute %s", m->resource->name,
			config->to);
	else if (f->attribute->read_only)
		problem(p, config->at, "attribute %s is read-only", config->to);
	else if (f->attribute->type == ATTRIBUTE_OTHER)
		problem(p, config->at, "attribute %s is of type %s, which cannot be written",
			config->to, f->attribute->kind);
	if (dot && strchr(dot + 1, '.'))
		problem(p, config->at, "%s: one dot at most", config->to);
	if (!strcmp(config->to, m->flow->key))
		problem(p, config->at, "%s is the key of the flow: it holds the id of the row",
			config->to);
	for (size_t i = 0; i < m->field_count; i++)
		if (!strcmp(m->fields[i].config->to, config->to))
			problem(p, config->at, "%s is written twice, here and in line %d",
				config->to, m->fields[i].config->at.line);
	if (!f->column || !f->attribute || f->column->type == COLUMN_OTHER ||
	    f->column->type == COLUMN_CHOICES || f->attribute->type == ATTRIBUTE_OTHER)
		return;
	if (!convertible(config, f->column, f->attribute))
		problem(p, config->at, "%s is %s (%s) and %s is %s: this does not convert%s",
			config->from, column_type_name(f->column->type), f->column->kind,
			config->to, attribute_type_name(f->attribute->type),
			f->attribute->type == ATTRIBUTE_ENUM ? "; name each with \"values\"" : "");
	if (config->picklist_label && f->column->type != COLUMN_CHOICE)
		problem(p, config->at, "\"picklist\" is for choices, %s is %s", config->from,
			column_type_name(f->column->type));
	if ((config->lookup_name || config->link) && f->column->type != COLUMN_LOOKUP)
		problem(p, config->at, "%s is for lookups, %s is %s",
			config->link ? "a link" : "\"lookup\"", config->from,
			column_type_name(f->column->type));
	f->consent = is_consent(m->resource, config->to);
	if (config->fallback)
		check_constant(f, "the default", config->fallback, &f->fallback, p);
	for (size_t i = 0; i < config->value_count; i++) {
		if (!can_be(f, config->values[i].from))
			problem(p, config->at, "%s is never %s, by the saved metadata",
				config->from, config->values[i].from);
		check_constant(f, "the value", config->values[i].to, NULL, p);
	}
	m->field_count++;
}

static int by_target(const void *a, const void *b)
{
	return strcmp(((const struct field *)a)->config->to, ((const struct field *)b)->config->to);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *target_type(enum attribute_type t)
{
	static const char *const types[] = {
	    [ATTRIBUTE_STRING] = "string",  [ATTRIBUTE_BOOLEAN] = "boolean",
	    [ATTRIBUTE_LONG] = "long",	    [ATTRIBUTE_DOUBLE] = "double",
	    [ATTRIBUTE_DATE] = SCHEMA_DATE, [ATTRIBUTE_DATETIME] = SCHEMA_TIMESTAMP,
	    [ATTRIBUTE_ENUM] = "string"};
	return types[t];
}

/* Fields are sorted by target, so the members of a group ("location.") stand together. */
static char *target_schema(struct mapping *m)
{
	struct buffer row = BUFFER(1 << 20);
	size_t at = 0; /* index in the row */

	buffer_printf(&row, "{\"type\":\"record\",\"name\":\"%s\",\"fields\":[", m->resource->name);
	for (size_t i = 0; i < m->field_count; at++) {
		struct field *f = &m->fields[i];
		const char *dot = strchr(f->config->to, '.');
		size_t prefix = dot ? (size_t)(dot - f->config->to) + 1 : 0, inner = 0;
		buffer_puts(&row, at ? "," : "");
		if (!dot) {
			f->group = SIZE_MAX;
			f->index = at;
			change_field_schema(&row, f->config->to, target_type(f->attribute->type));
			i++;
			continue;
		}
		buffer_printf(&row,
			      "{\"name\":\"%.*s\",\"type\":[\"null\",{\"type\":\"record\","
			      "\"name\":\"%s_%.*s\",\"fields\":[",
			      (int)prefix - 1, f->config->to, m->resource->name, (int)prefix - 1,
			      f->config->to);
		for (;
		     i < m->field_count && !strncmp(m->fields[i].config->to, f->config->to, prefix);
		     i++, inner++) {
			buffer_puts(&row, inner ? "," : "");
			m->fields[i].group = at;
			m->fields[i].index = inner;
			change_field_schema(&row, m->fields[i].config->to + prefix,
					    target_type(m->fields[i].attribute->type));
		}
		buffer_puts(&row, "]}],\"default\":null}");
	}
	buffer_puts(&row, "]}");
	_cleanup_(freep) char *namespace = xasprintf("tideway.campaign.%s", m->resource->name);
	char *schema = change_schema(namespace, row.data);
	buffer_free(&row);
	return schema;
}

static void source_columns(struct mapping *m)
{
	size_t n = 0;

	m->columns = xcalloc(m->field_count, sizeof *m->columns);
	m->attributes = xcalloc(m->field_count, sizeof *m->attributes);
	for (size_t i = 0; i < m->field_count; i++) {
		m->columns[i] = m->fields[i].config->from;
		m->attributes[i] = m->fields[i].config->to;
	}
	qsort(m->columns, m->field_count, sizeof *m->columns, by_text);
	for (size_t i = 0; i < m->field_count; i++)
		if (!n || strcmp(m->columns[n - 1], m->columns[i]))
			m->columns[n++] = m->columns[i];
	m->column_count = n;
	for (size_t i = 0; i < m->field_count; i++)
		for (size_t j = 0; j < n; j++)
			if (!strcmp(m->columns[j], m->fields[i].config->from))
				m->fields[i].source = j;
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
	m->fields = xcalloc(flow->field_count, sizeof *m->fields);
	const struct attribute *key = resource_attribute(resource, flow->key);
	if (!key)
		problem(problems, flow->at, "resource %s has no attribute %s, the key of the flow",
			resource->name, flow->key);
	else if (key->type != ATTRIBUTE_STRING || (key->length && key->length < 36))
		problem(problems, flow->at, "the key %s must be a string of at least 36 characters",
			flow->key);
	if (flow->changes == CHANGES_TRACKING && !table->change_tracking)
		problem(problems, flow->at,
			"table %s has no change tracking: enable it in Dynamics (it cannot be undone) "
			"and run `tideway metadata pull`, or set \"changes\" to modifiedon, "
			"versionnumber or full",
			table->name);
	for (size_t i = 0; i < flow->field_count; i++)
		compile_field(m, &flow->fields[i], problems);
	if (problems->count > before) {
		mapping_free(m);
		return NULL;
	}
	qsort(m->fields, m->field_count, sizeof *m->fields, by_target);
	_cleanup_(freep) char *schema = target_schema(m);
	source_columns(m);
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
	table_class_free(&m->source);
	record_class_free(&m->target);
	free(m->columns);
	free(m->attributes);
	free(m->fields);
	free(m);
}

const char *const *mapping_columns(const struct mapping *m, size_t *n)
{
	*n = m->column_count;
	return m->columns;
}

const char *const *mapping_attributes(const struct mapping *m, size_t *n)
{
	*n = m->field_count;
	return m->attributes;
}

const struct table_class *mapping_source(const struct mapping *m)
{
	return &m->source;
}

const struct record_class *mapping_target(const struct mapping *m)
{
	return &m->target;
}

const struct attribute *mapping_attribute(const struct mapping *m, const char *path,
					  bool *null_keeps)
{
	for (size_t i = 0; i < m->field_count; i++)
		if (!strcmp(m->fields[i].config->to, path)) {
			*null_keeps = m->fields[i].consent;
			return m->fields[i].attribute;
		}
	return NULL;
}

/* ---- applying --------------------------------------------------------------------------------- */

static enum result apply_field(const struct field *f, const avro_value_t *row, avro_value_t *to,
			       struct error *err)
{
	char buf[SCALAR_TEXT], shown[SCALAR_TEXT];
	avro_value_t in = record_field(row, f->source);
	struct scalar s = scalar_of(f, &in);

	if (s.kind != NOTHING && f->config->value_count) {
		const char *text = scalar_text(&s, shown);
		for (size_t i = 0; i < f->config->value_count; i++)
			if (!strcmp(f->config->values[i].from, text)) {
				s = (struct scalar){.kind = TEXT, .text = f->config->values[i].to};
				break;
			}
	}
	if (s.kind == NOTHING)
		s = f->fallback;
	if (s.kind != NOTHING) {
		struct misfit wrong = fit(f->attribute, &s, buf);
		if (wrong.reason)
			return error_reject(err, wrong.reason, "%s to %s: the value %s",
					    f->config->from, f->config->to, wrong.text);
	}
	if (f->consent && s.kind != NOTHING && !s.number)
		s.kind = NOTHING;
	put(to, &s);
	return OK;
}

enum result mapping_apply(const struct mapping *m, const avro_value_t *source, avro_value_t *target,
			  struct error *err)
{
	struct change_head head;
	avro_value_t field = record_field(source, CHANGE_ROW), row, out, group = {0};
	size_t open = SIZE_MAX;

	change_get_head(source, &head);
	change_set_head(target, change_id(source, NULL), &head);
	if (head.op == CHANGE_DELETE)
		return OK;
	if (!record_some(&field, &row))
		return error_reject(err, "bad-change", "an upsert without a row");
	field = record_field(target, CHANGE_ROW);
	out = record_set_some(&field);
	for (size_t i = 0; i < m->field_count; i++) {
		const struct field *f = &m->fields[i];
		avro_value_t to;
		if (f->group == SIZE_MAX) {
			to = record_field(&out, f->index);
		} else {
			if (open != f->group) {
				avro_value_t member = record_field(&out, f->group);
				group = record_set_some(&member);
				open = f->group;
			}
			to = record_field(&group, f->index);
		}
		enum result r = apply_field(f, &row, &to, err);
		if (r != OK)
			return r;
	}
	return OK;
}
