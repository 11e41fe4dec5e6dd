/* scalar.c - see scalar.h. */
#include "scalar.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "suggest.h"

const char *kind_name(enum kind k)
{
	static const char *const names[] = {"nothing",		"a text",	  "a whole number",
					    "a decimal number", "a number",	  "true or false",
					    "a date",		"a date and time"};
	return names[k];
}

/* ---- texts ------------------------------------------------------------------------------------ */

const char *real_text(double d, struct arena *a)
{
	char text[32];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	return arena_strndup(a, text, strlen(text));
}

const char *scalar_text(const struct scalar *s, struct arena *a)
{
	char date[25];

	switch (s->kind) {
	case TEXT:
	case DECIMAL:
		return s->text;
	case NUMBER:
		return arena_printf(a, "%lld", (long long)s->number);
	case REAL:
		return real_text(s->real, a);
	case FLAG:
		return s->number ? "true" : "false";
	case DAY:
		return date_format((int32_t)s->number, date) ? arena_strndup(a, date, 10) : "";
	case TIME:
		return datetime_format((wall_time){s->number}, 'T', date)
			   ? arena_strndup(a, date, 24)
			   : "";
	default:
		return "";
	}
}

void join(struct joiner *j, const char *text)
{
	if (!*text)
		return;
	if (j->text)
		j->text = arena_printf(j->arena, "%s%s%s", j->text, j->separator, text);
	else
		j->text = arena_strndup(j->arena, text, strlen(text));
}

/* ---- numbers ---------------------------------------------------------------------------------- */

static const char *skip_zeroes(const char *s)
{
	while (*s == '0')
		s++;
	return s;
}

/* Digits before the point decide by their count, then all by their order. */
static int magnitude_compare(const char *a, const char *b)
{
	a = skip_zeroes(a);
	b = skip_zeroes(b);
	size_t n = strspn(a, "0123456789"), m = strspn(b, "0123456789");
	if (n != m)
		return n < m ? -1 : 1;
	int order = strncmp(a, b, n);
	a += n + (a[n] == '.');
	b += n + (b[n] == '.');
	while (!order && (*a || *b)) {
		char x = *a ? *a++ : '0', y = *b ? *b++ : '0';
		order = (x > y) - (x < y);
	}
	return (order > 0) - (order < 0);
}

int decimal_compare(const char *a, const char *b)
{
	bool minus_a = *a == '-', minus_b = *b == '-';
	int order = magnitude_compare(a + minus_a, b + minus_b);

	if (minus_a != minus_b) {
		/* -0 is 0 */
		bool zeroes = !strpbrk(a, "123456789") && !strpbrk(b, "123456789");
		return zeroes ? 0 : minus_a ? -1 : 1;
	}
	return minus_a ? -order : order;
}

static double as_real(const struct scalar *s)
{
	return s->kind == REAL	    ? s->real
	       : s->kind == DECIMAL ? strtod(s->text, NULL)
				    : (double)s->number;
}

int scalar_compare_numbers(const struct scalar *a, const struct scalar *b)
{
	char text_a[24], text_b[24];

	if (a->kind == REAL || b->kind == REAL) {
		double x = as_real(a), y = as_real(b);
		return (x > y) - (x < y);
	}
	if (a->kind != DECIMAL && b->kind != DECIMAL)
		return (a->number > b->number) - (a->number < b->number);
	snprintf(text_a, sizeof text_a, "%lld", (long long)a->number);
	snprintf(text_b, sizeof text_b, "%lld", (long long)b->number);
	return decimal_compare(a->kind == DECIMAL ? a->text : text_a,
			       b->kind == DECIMAL ? b->text : text_b);
}

bool scalar_parse(enum kind kind, const char *text, struct scalar *out)
{
	wall_time t;
	int32_t days;

	*out = (struct scalar){.kind = kind, .text = text};
	switch (kind) {
	case TEXT:
		return true;
	case NUMBER:
		return text_to_int(text, INT64_MIN, INT64_MAX, &out->number);
	case DECIMAL:
		return text_is_decimal(text);
	case REAL:
		return text_to_double(text, &out->real);
	case FLAG:
		out->number = *text == 't';
		return !strcmp(text, "true") || !strcmp(text, "false");
	case DAY:
		if (!date_parse(text, strlen(text), &days))
			return false;
		out->number = days;
		return true;
	case TIME:
		if (date_parse(text, strlen(text), &days))
			t.ms = days * INT64_C(86400000);
		else if (!datetime_parse(text, strlen(text), true, &t))
			return false;
		out->number = t.ms;
		return true;
	default:
		return false;
	}
}

bool scalar_equal(const struct scalar *a, const struct scalar *b)
{
	return a->kind == TEXT ? !strcmp(a->text, b->text) : !scalar_compare_numbers(a, b);
}

/* ---- columns ---------------------------------------------------------------------------------- */

const struct column *source_column(const struct table *t, const char *name, struct place at,
				   struct problems *p)
{
	const struct column *c = table_column(t, name);
	struct suggestion like = {.word = name};
	char meant[100];

	if (c && c->type != COLUMN_OTHER)
		return c;
	for (size_t i = 0; !c && i < t->column_count; i++)
		suggest_from(&like, t->columns[i].name);
	if (c)
		problem(p, at, "column %s is of type %s, which cannot be mapped", name, c->kind);
	else
		problem(p, at, "table %s has no column %s%s", t->name, name,
			suggest_text(&like, meant, sizeof meant));
	return NULL;
}

void source_sides(const struct source *s, struct place picklist, struct place lookup,
		  struct problems *p)
{
	const struct column *c = s->column;

	if (s->label && c->type != COLUMN_CHOICE && c->type != COLUMN_CHOICES)
		problem(p, picklist, "\"picklist\" is for choices, and %s is %s", c->name,
			column_type_name(c->type));
	if (s->name && c->type != COLUMN_LOOKUP)
		problem(p, lookup, "\"lookup\" is for lookups, and %s is %s", c->name,
			column_type_name(c->type));
}

void sources_add(struct sources *all, struct source *s)
{
	all->items = xrealloc(all->items, (all->count + 1) * sizeof *all->items);
	all->items[all->count++] = s;
}

enum kind source_kind(const struct source *s)
{
	static const enum kind kinds[] = {
	    [COLUMN_STRING] = TEXT,	[COLUMN_GUID] = TEXT,	 [COLUMN_BOOLEAN] = FLAG,
	    [COLUMN_INT] = NUMBER,	[COLUMN_LONG] = NUMBER,	 [COLUMN_DOUBLE] = REAL,
	    [COLUMN_DECIMAL] = DECIMAL, [COLUMN_DATE] = DAY,	 [COLUMN_DATETIME] = TIME,
	    [COLUMN_CHOICE] = NUMBER,	[COLUMN_CHOICES] = TEXT, [COLUMN_LOOKUP] = TEXT,
	    [COLUMN_OTHER] = NOTHING};
	return s->column->type == COLUMN_CHOICE && s->label ? TEXT : kinds[s->column->type];
}

bool source_is_id(const struct source *s)
{
	return s->column->type == COLUMN_GUID || (s->column->type == COLUMN_LOOKUP && !s->name);
}

bool id_parse(const char *text, char id[37])
{
	bool braces = *text == '{';
	size_t len = strlen(text);

	if (len != 36u + 2 * braces || (braces && text[37] != '}'))
		return false;
	for (size_t i = 0; i < 36; i++)
		id[i] = (char)tolower((unsigned char)text[i + braces]);
	id[36] = 0;
	return text_is_guid(id);
}

bool source_has_option(const struct source *s, const struct scalar *v)
{
	const struct column *c = s->column;

	if ((c->type != COLUMN_CHOICE && c->type != COLUMN_CHOICES) || !c->option_count)
		return true;
	for (size_t i = 0; i < c->option_count; i++)
		if (s->label ? !strcmp(c->options[i].label, v->text)
			     : c->options[i].value == v->number)
			return true;
	return false;
}

static struct scalar text_of(const avro_value_t *field)
{
	avro_value_t some;
	struct scalar s = {.kind = NOTHING};

	if (!record_some(field, &some))
		return s;
	s.text = record_text(&some, NULL);
	s.kind = *s.text ? TEXT : NOTHING; /* Dynamics keeps an empty text as null */
	return s;
}

static struct scalar choice_of(const struct source *s, const avro_value_t *choice)
{
	avro_value_t inner = record_field(choice, s->label ? 1 : 0);

	if (s->label)
		return text_of(&inner);
	return (struct scalar){.kind = NUMBER, .number = record_long(&inner)};
}

static struct scalar lookup_of(const struct source *s, const avro_value_t *reference)
{
	avro_value_t inner = record_field(reference, 1);
	struct scalar table = text_of(&inner);

	if (s->only_table && table.kind == TEXT && strcmp(table.text, s->only_table))
		return (struct scalar){.kind = NOTHING};
	inner = record_field(reference, s->name ? 2 : 0);
	return text_of(&inner);
}

size_t source_items(const struct source *s, const avro_value_t *row, avro_value_t *list)
{
	avro_value_t field = record_field(row, s->index);
	size_t n = 0;

	if (record_some(&field, list))
		avro_value_get_size(list, &n);
	return n;
}

struct scalar source_item(const struct source *s, const avro_value_t *list, size_t i)
{
	avro_value_t item;

	avro_value_get_by_index(list, i, &item, NULL);
	return choice_of(s, &item);
}

struct scalar source_read(const struct source *s, const avro_value_t *row, struct arena *a)
{
	struct scalar out = {.kind = NOTHING};
	avro_value_t field = record_field(row, s->index), some;
	int flag = 0;

	if (!record_some(&field, &some))
		return out;
	switch (s->column->type) {
	case COLUMN_CHOICE:
		return choice_of(s, &some);
	case COLUMN_LOOKUP:
		return lookup_of(s, &some);
	case COLUMN_CHOICES: {
		struct joiner all = {a, s->separator, NULL};
		size_t n;
		avro_value_get_size(&some, &n);
		for (size_t i = 0; i < n; i++) {
			struct scalar item = source_item(s, &some, i);
			join(&all, scalar_text(&item, a));
		}
		out.text = all.text;
		out.kind = all.text ? TEXT : NOTHING;
		return out;
	}
	default:
		break;
	}
	out.kind = source_kind(s);
	if (out.kind == TEXT || out.kind == DECIMAL) {
		out.text = record_text(&some, NULL);
		out.kind = *out.text ? out.kind : NOTHING;
	} else if (out.kind == FLAG) {
		avro_value_get_boolean(&some, &flag);
		out.number = flag;
	} else if (out.kind == REAL) {
		avro_value_get_double(&some, &out.real);
	} else {
		out.number = record_long(&some);
	}
	return out;
}

void scalar_put(avro_value_t *field, const struct scalar *s)
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
