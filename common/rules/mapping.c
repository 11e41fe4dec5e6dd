/* mapping.c - see mapping.h: a mapping that stands is applied to records. */
#include "mapping.h"

#include <string.h>
#include <strings.h>

#include "fit.h"
#include "mapping_compile.h"

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

const struct mapped *mapping_attribute(const struct mapping *m, const char *path)
{
	for (size_t i = 0; i < m->field_count; i++)
		if (!strcmp(m->fields[i].to, path))
			return &m->fields[i].mapped;
	return NULL;
}

bool mapping_passes_tombstones(const struct mapping *m)
{
	return m->flow->deletes == DELETES_APPLY;
}

/* ---- a value ---------------------------------------------------------------------------------- */

/* convert, values, otherwise. */
static bool replace(const struct field *f, struct scalar *s, struct arena *a, struct misfit *why)
{
	const struct field_config *c = f->mapped.config;

	if (!conversions_apply(&f->convert, s, a, why))
		return false;
	if (s->kind == NOTHING || !c->value_count)
		return true;
	bool ids = f->source_count == 1 && !f->convert.count && source_is_id(&f->sources[0]);
	for (size_t i = 0; i < c->value_count; i++)
		if (ids ? !strcasecmp(f->values[i].from.text, s->text)
			: scalar_equal(&f->values[i].from, s)) {
			*s = f->values[i].to;
			return true;
		}
	if (c->has_otherwise)
		*s = f->otherwise;
	return true;
}

static bool choices(const struct field *f, const avro_value_t *row, struct scalar *out,
		    struct arena *a, struct misfit *why)
{
	struct joiner all = {a, f->sources[0].separator, NULL};
	avro_value_t list;
	size_t n = source_items(&f->sources[0], row, &list);

	for (size_t i = 0; i < n; i++) {
		struct scalar item = source_item(&f->sources[0], &list, i);
		if (!replace(f, &item, a, why))
			return false;
		if (item.kind != NOTHING)
			join(&all, scalar_text(&item, a));
	}
	*out = (struct scalar){.kind = all.text ? TEXT : NOTHING, .text = all.text};
	return true;
}

/* True when one is; nothing when none says anything. */
static struct scalar any_of(const struct field *f, const avro_value_t *row, struct arena *a)
{
	struct scalar out = {.kind = NOTHING};

	for (size_t i = 0; i < f->source_count; i++) {
		struct scalar s = source_read(&f->sources[i], row, a);
		if (s.kind != NOTHING) {
			out.kind = FLAG;
			out.number |= s.number;
		}
	}
	return out;
}

static struct scalar concat_of(const struct field *f, const avro_value_t *row, struct arena *a)
{
	const char *separator = f->mapped.config->separator;
	struct joiner all = {a, separator ? separator : " ", NULL};

	for (size_t i = 0; i < f->source_count; i++) {
		struct scalar s = source_read(&f->sources[i], row, a);
		join(&all, scalar_text(&s, a));
	}
	return (struct scalar){.kind = all.text ? TEXT : NOTHING, .text = all.text};
}

static bool compute(const struct field *f, const avro_value_t *row, struct scalar *s,
		    struct arena *a, struct misfit *why)
{
	const struct field_config *c = f->mapped.config;

	if (c->source == SOURCE_CONSTANT) {
		*s = f->constant;
		return true;
	}
	if (c->source == SOURCE_COLUMN && f->sources[0].column->type == COLUMN_CHOICES)
		return choices(f, row, s, a, why);
	*s = c->source == SOURCE_ANY	  ? any_of(f, row, a)
	     : c->source == SOURCE_CONCAT ? concat_of(f, row, a)
					  : source_read(&f->sources[0], row, a);
	return replace(f, s, a, why);
}

static enum result apply_field(const struct field *f, const avro_value_t *row, avro_value_t *to,
			       struct arena *a, struct error *err)
{
	const struct field_config *c = f->mapped.config;
	const char *from = c->from_count ? c->from[0] : "constant";
	struct scalar s = {.kind = NOTHING};
	struct misfit why;

	if (!compute(f, row, &s, a, &why))
		return error_reject(err, why.reason, "%s to %s: the value %s", from, f->to,
				    why.text);
	if (s.kind == NOTHING)
		s = f->fallback;
	if (f->normalise.count && s.kind == TEXT)
		conversions_apply(&f->normalise, &s, a, &why);
	if (s.kind != NOTHING && !fit(f->mapped.attribute, c->truncate, &s, a, &why))
		return error_reject(err, why.reason, "%s to %s: the value %s", from, f->to,
				    why.text);
	if (s.kind == NOTHING && c->required)
		return error_reject(err, "required",
				    "%s to %s: there is no value, and it is "
				    "required",
				    from, f->to);
	/* The guard stands behind everything that could have made a false of it. */
	if (f->consent && s.kind != NOTHING && !s.number)
		s.kind = NOTHING;
	scalar_put(to, &s);
	return OK;
}

/* ---- a record --------------------------------------------------------------------------------- */

/* Where a field goes; opens its group when it is not open yet. */
struct place_in {
	avro_value_t row, group;
	int open;
};

static avro_value_t member(struct place_in *in, const struct field *f)
{
	if (f->group == GROUP_NONE)
		return record_field(&in->row, f->index);
	if (in->open != f->group) {
		avro_value_t outer = record_field(&in->row, (size_t)f->group);
		in->group = record_set_some(&outer);
		in->open = f->group;
	}
	return record_field(&in->group, f->index);
}

static struct place_in row_of(avro_value_t *target)
{
	avro_value_t field = record_field(target, CHANGE_ROW);
	return (struct place_in){.row = record_set_some(&field), .open = GROUP_NONE};
}

static enum result map_row(const struct mapping *m, const avro_value_t *row, avro_value_t *target,
			   struct error *err)
{
	struct place_in in = row_of(target);

	for (size_t i = 0; i < m->field_count; i++) {
		const struct field *f = &m->fields[i];
		avro_value_t to = member(&in, f);
		enum result r = OK;
		if (f->mapped.config)
			r = apply_field(f, row, &to, m->arena, err);
		else
			record_set_null(&to);
		if (r != OK)
			return r;
	}
	return OK;
}

/* An update with the given members, the others null. */
static void deactivate(const struct mapping *m, avro_value_t *target)
{
	struct place_in in = row_of(target);

	for (size_t i = 0; i < m->field_count; i++) {
		const struct field *f = &m->fields[i];
		struct scalar value = {.kind = NOTHING};
		struct misfit why;
		avro_value_t to = member(&in, f);
		for (size_t k = 0; k < m->flow->deactivate_count; k++)
			if (m->deactivate[k].field == f)
				value = m->deactivate[k].value;
		if (value.kind == TEXT)
			conversions_apply(&f->normalise, &value, m->arena, &why);
		scalar_put(&to, &value);
	}
}

/* A record that is gone, whatever the reason, goes as `deletes` says. */
static void leave(const struct mapping *m, const avro_value_t *source, struct change_head *head,
		  avro_value_t *target, struct mapped_change *out)
{
	switch (m->flow->deletes) {
	case DELETES_APPLY:
		/* Behind a delete of the source comes its own tombstone. */
		out->tombstone = head->op != CHANGE_DELETE;
		head->op = CHANGE_DELETE;
		change_set_head(target, change_id(source, NULL), head);
		break;
	case DELETES_IGNORE:
		out->emit = false;
		break;
	case DELETES_DEACTIVATE:
		head->op = CHANGE_UPDATE;
		change_set_head(target, change_id(source, NULL), head);
		deactivate(m, target);
	}
}

static bool is_merged(const struct mapping *m, const avro_value_t *row)
{
	if (!m->merged.column)
		return false;
	struct scalar s = source_read(&m->merged, row, m->arena);
	return s.kind == FLAG && s.number;
}

const char *mapping_lacks(const struct mapping *m, const char *schema)
{
	for (size_t i = 0; i < m->filter_source_count; i++) {
		const char *column = m->sources.items[i]->column->name;
		if (!change_schema_has(schema, column))
			return column;
	}
	return NULL;
}

enum result mapping_apply(const struct mapping *m, const avro_value_t *source, bool lacks,
			  avro_value_t *target, struct mapped_change *out, struct error *err)
{
	struct change_head head;
	avro_value_t field = record_field(source, CHANGE_ROW), row;

	arena_reset(m->arena);
	*out = (struct mapped_change){.emit = true};
	change_get_head(source, &head);
	if (head.op == CHANGE_DELETE) {
		out->why = "deleted";
		leave(m, source, &head, target, out);
		return OK;
	}
	if (!record_some(&field, &row))
		return error_reject(err, "bad-change", "an upsert without a row");
	if (is_merged(m, &row)) {
		out->why = "merged";
		leave(m, source, &head, target, out);
		return OK;
	}
	if (lacks) {
		out->why = "not-read-yet";
		out->emit = false;
		return OK;
	}
	if (m->filter && !filter_passes(m->filter, &row, m->arena)) {
		out->why = "filtered-out";
		out->emit = out->tombstone = m->flow->filtered_out_delete;
		head.op = CHANGE_DELETE;
		if (out->emit)
			change_set_head(target, change_id(source, NULL), &head);
		return OK;
	}
	change_set_head(target, change_id(source, NULL), &head);
	return map_row(m, &row, target, err);
}
