/* A filter from a file, compiled against a table and asked about rows; the conversions of fields, too.
 * The first half of the input is the flow's filter, and the rest picks the values of the row. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const char *name, *kind, *avro;
} columns[] = {{"b", "Boolean", "\"boolean\""},
	       {"d", "DateTime/DateOnly", "\"int\""},
	       {"g", "Uniqueidentifier", "\"string\""},
	       {"m", "Money", "\"string\""},
	       {"n", "Integer", "\"int\""},
	       {"r", "Double", "\"double\""},
	       {"s", "String", "\"string\""},
	       {"t", "DateTime", "\"long\""}};
enum { COLUMNS = sizeof columns / sizeof *columns };

static struct table *make_table(void)
{
	struct table *t = table_new("t");

	for (size_t i = 0; i < COLUMNS; i++)
		table_add(t, columns[i].name, columns[i].kind);
	table_sort(t);
	return t;
}

static void make_class(struct record_class *out)
{
	struct buffer s = BUFFER(4096);
	struct error err;

	buffer_puts(&s, "{\"type\":\"record\",\"name\":\"t\",\"fields\":[");
	for (size_t i = 0; i < COLUMNS; i++)
		buffer_printf(&s, "%s{\"name\":\"%s\",\"type\":[\"null\",%s]}", i ? "," : "",
			      columns[i].name, columns[i].avro);
	buffer_puts(&s, "]}");
	if (record_class_new(out, s.data, &err) != OK)
		abort();
	buffer_free(&s);
}

static void fill(avro_value_t *row, const uint8_t *data, size_t size)
{
	static const char *const texts[] = {"", "-0.5", "123456789012345678901234567890", "ab",
					    "é"};

	for (size_t i = 0; i < COLUMNS; i++) {
		uint8_t v = i < size ? data[i] : 0;
		avro_value_t field = record_field(row, i), some;
		if (!v) {
			record_set_null(&field);
			continue;
		}
		some = record_set_some(&field);
		switch (avro_value_get_type(&some)) {
		case AVRO_STRING:
			/* Money is always a number. */
			record_set_text(
			    &some, texts[columns[i].kind[0] == 'M' ? 1 + v % 2 : v % 5],
			    strlen(texts[columns[i].kind[0] == 'M' ? 1 + v % 2 : v % 5]));
			break;
		case AVRO_BOOLEAN:
			avro_value_set_boolean(&some, v & 1);
			break;
		case AVRO_INT32:
			avro_value_set_int(&some, (int32_t)v << (v % 24));
			break;
		case AVRO_INT64:
			avro_value_set_long(&some, (int64_t)v << (v % 56));
			break;
		default:
			avro_value_set_double(&some, v / 3.0);
		}
	}
}

/* The same text as the conversions of a field. */
static void convert(struct node node, struct arena *a)
{
	for (enum kind in = TEXT; in < KINDS; in++) {
		struct problems problems = {0};
		struct conversions c;
		struct convert_context context = {.in = in, .pseudonym_key = "0123456789abcdef"};
		struct scalar s = {.kind = in, .text = in == TEXT ? " 0é" : "-1.5", .number = 1};
		struct misfit why;
		if (conversions_compile(node, &context, &c, &problems)) {
			conversions_apply(&c, &s, a, &why);
			conversions_free(&c);
		} else if (!problems.count) {
			abort();
		}
		problems_free(&problems);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct table *table;
	static struct record_class class;
	struct problems problems = {0};
	struct sources sources = {0};
	struct arena arena = {0};
	size_t tail = size < COLUMNS ? 0 : COLUMNS;
	avro_value_t row;

	if (!table) {
		table = make_table();
		make_class(&class);
	}
	struct document *doc = doc_load_text("f", (const char *)data, size - tail, &problems);
	if (doc) {
		struct filter *f = filter_compile(doc_root(doc), table, &sources, &problems);
		if (!f && !problems.count)
			abort();
		for (size_t i = 0; f && i < sources.count; i++)
			sources.items[i]->index =
			    (size_t)(sources.items[i]->column - table->columns);
		if (f) {
			record_new(&class, &row);
			fill(&row, data + size - tail, tail);
			filter_passes(f, &row, &arena);
			avro_value_decref(&row);
		}
		filter_free(f);
		convert(doc_root(doc), &arena);
	}
	doc_free(doc);
	free(sources.items);
	problems_free(&problems);
	arena_free(&arena);
	return 0;
}
