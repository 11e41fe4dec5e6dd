/* filter.c - see filter.h. */
#include "filter.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "suggest.h"

enum { FILTER_DEPTH_MAX = 16, FILTER_NODES_MAX = 1000 };

enum operation { ALL, ANY, NOT, TEST };

enum comparison {
	IS,
	IS_NOT,
	IN,
	NOT_IN,
	EXISTS,
	BEFORE,
	AFTER,
	AT_LEAST,
	AT_MOST,
	STARTS_WITH,
	CONTAINS,
	COMPARISONS
};
static const char *const comparisons[] = {"is",	     "is_not",	    "in",	"not_in",
					  "exists",  "before",	    "after",	"at_least",
					  "at_most", "starts_with", "contains", NULL};

struct filter {
	enum operation operation;
	struct filter **children;
	size_t child_count;
	/* TEST */
	struct source source;
	enum comparison comparison;
	struct scalar *operands;
	size_t operand_count;
	char (*ids)[37]; /* what operands without their braces point to */
};

struct builder {
	const struct table *table;
	struct sources *sources;
	struct problems *problems;
	size_t nodes;
};

void filter_free(struct filter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->child_count; i++)
		filter_free(f->children[i]);
	free(f->children);
	free(f->operands);
	free(f->ids);
	free(f);
}

/* ---- operands --------------------------------------------------------------------------------- */

static void add_operand(struct builder *b, struct filter *f, struct node node, enum kind kind)
{
	const char *text = doc_text(node);
	struct scalar *to = &f->operands[f->operand_count];

	if (!text || doc_is_null(node)) {
		problem(b->problems, doc_place(node),
			"\"%s\" compares with a value; null is asked for with \"exists: false\"",
			comparisons[f->comparison]);
		return;
	}
	if (f->comparison != EXISTS && source_is_id(&f->source)) {
		char *id = f->ids[f->operand_count];
		*to = (struct scalar){.kind = TEXT, .text = id};
		if (id_parse(text, id))
			f->operand_count++;
		else
			problem(
			    b->problems, doc_place(node),
			    "%s holds ids, and \"%s\" is none (8-4-4-4-12 hexadecimal digits)%s",
			    f->source.column->name, text,
			    f->source.column->type == COLUMN_LOOKUP
				? "; a name is asked for with \"lookup: name\""
				: "");
		return;
	}
	if (!*text && kind == TEXT) {
		bool part = f->comparison == STARTS_WITH || f->comparison == CONTAINS;
		problem(
		    b->problems, doc_place(node),
		    part ? "every text has the empty one in it; ask for a value with \"exists: "
			   "true\""
			 : "an empty text is null, and equal to nothing; ask for it with \"exists: "
			   "false\"");
		return;
	}
	if (!scalar_parse(kind, text, to))
		problem(b->problems, doc_place(node), "%s is %s, and \"%s\" is not",
			f->comparison == EXISTS ? "\"exists\"" : f->source.column->name,
			kind_name(kind), text);
	else if (!source_has_option(&f->source, to))
		problem(b->problems, doc_place(node), "%s is never %s, by the saved metadata",
			f->source.column->name, text);
	else
		f->operand_count++;
}

/* Which kinds a comparison is for. */
static const char *unfit(enum comparison c, const struct source *s, enum kind kind)
{
	bool several = s->column->type == COLUMN_CHOICES;

	switch (c) {
	case BEFORE:
	case AFTER:
		return kind == DAY || kind == TIME ? NULL : "dates and times";
	case AT_LEAST:
	case AT_MOST:
		return kind == NUMBER || kind == DECIMAL || kind == REAL ? NULL : "numbers";
	case STARTS_WITH:
		return kind == TEXT && !several && !source_is_id(s) ? NULL : "texts";
	case CONTAINS:
		return kind == TEXT && !source_is_id(s) ? NULL : "texts and multi-select choices";
	case EXISTS:
		return NULL;
	default:
		return several ? "single values; ask a multi-select choice with \"contains\""
			       : NULL;
	}
}

static void read_comparison(struct builder *b, struct filter *f, struct node node)
{
	enum kind kind = source_kind(&f->source);
	const char *name = comparisons[f->comparison];
	bool list = f->comparison == IN || f->comparison == NOT_IN;
	const char *only = unfit(f->comparison, &f->source, kind);

	if (only) {
		problem(b->problems, doc_place(node), "\"%s\" is for %s, and %s is %s", name, only,
			f->source.column->name, column_type_name(f->source.column->type));
		return;
	}
	if (f->comparison == EXISTS)
		kind = FLAG;
	else if (f->source.column->type == COLUMN_CHOICES)
		kind = f->source.label ? TEXT : NUMBER;
	if (list != (doc_kind(node) == DOC_LIST) || (list && !doc_count(node))) {
		problem(b->problems, doc_place(node), "\"%s\" takes %s", name,
			list ? "a list of values" : "one value");
		return;
	}
	f->operands = xcalloc(list ? doc_count(node) : 1, sizeof *f->operands);
	f->ids = xcalloc(list ? doc_count(node) : 1, sizeof *f->ids);
	for (size_t i = 0; list && i < doc_count(node); i++)
		add_operand(b, f, doc_item(node, i), kind);
	if (!list)
		add_operand(b, f, node, kind);
}

/* ---- the tree --------------------------------------------------------------------------------- */

static void read_test(struct builder *b, struct filter *f, struct node map)
{
	static const char *const keys[] = {"column", "picklist", "lookup", NULL};
	static const char *const picklist[] = {"value", "label", NULL};
	static const char *const lookup[] = {"id", "name", NULL};
	const char *known[COMPARISONS + 4];
	struct problems *p = b->problems;
	struct node found = {0};
	size_t given = 0, n = 0, before = p->count;

	for (size_t i = 0; keys[i]; i++)
		known[n++] = keys[i];
	for (size_t i = 0; i < COMPARISONS; i++) {
		struct node at = doc_get(map, comparisons[i]);
		known[n++] = comparisons[i];
		if (doc_there(at)) {
			given++;
			found = at;
			f->comparison = (enum comparison)i;
		}
	}
	known[n] = NULL;
	doc_only(map, p, "a comparison", known);
	bool misspelt = p->count > before;
	const char *name = doc_required(map, "column", "a comparison", p);
	f->source.label = doc_choice(map, "picklist", 0, picklist, p);
	f->source.name = doc_choice(map, "lookup", 0, lookup, p);
	f->source.separator = ",";
	if (given > 1 || (!given && !misspelt))
		problem(p, doc_place(map),
			"a comparison has a column and exactly one of is, is_not, in, not_in, "
			"exists, before, after, at_least, at_most, starts_with, contains");
	if (!*name)
		return;
	f->source.column = source_column(b->table, name, doc_place(doc_get(map, "column")), p);
	if (!f->source.column)
		return;
	source_sides(&f->source, doc_place(doc_get(map, "picklist")),
		     doc_place(doc_get(map, "lookup")), p);
	if (given == 1)
		read_comparison(b, f, found);
	sources_add(b->sources, &f->source);
}

static struct filter *build(struct builder *b, struct node node, int depth);

static void read_children(struct builder *b, struct filter *f, struct node node, int depth)
{
	bool list = doc_kind(node) == DOC_LIST;
	size_t n = list ? doc_count(node) : 1;

	if (f->operation != NOT && (!list || !n)) {
		problem(b->problems, doc_place(node), "\"%s\" takes a list of comparisons",
			f->operation == ALL ? "all" : "any");
		return;
	}
	if (f->operation == NOT && list) {
		problem(b->problems, doc_place(node),
			"\"not\" takes one comparison; write not: {any: [...]}");
		return;
	}
	f->children = xcalloc(n, sizeof *f->children);
	for (size_t i = 0; i < n; i++) {
		struct filter *child = build(b, list ? doc_item(node, i) : node, depth + 1);
		if (child)
			f->children[f->child_count++] = child;
	}
}

static struct filter *build(struct builder *b, struct node node, int depth)
{
	static const char *const groups[] = {"all", "any", "not"};

	if (depth > FILTER_DEPTH_MAX || ++b->nodes > FILTER_NODES_MAX) {
		problem(b->problems, doc_place(node),
			"a filter has at most %d levels and %d comparisons", FILTER_DEPTH_MAX,
			FILTER_NODES_MAX);
		return NULL;
	}
	if (doc_kind(node) != DOC_MAP) {
		problem(b->problems, doc_place(node),
			"a filter is {column: …, is: …}, or one of all, any and not");
		return NULL;
	}
	struct filter *f = xcalloc(1, sizeof *f);
	f->operation = TEST;
	for (int i = 0; i < 3; i++)
		if (doc_there(doc_get(node, groups[i])) && f->operation == TEST)
			f->operation = (enum operation)i;
	if (f->operation == TEST)
		read_test(b, f, node);
	else if (doc_count(node) != 1)
		problem(b->problems, doc_place(node),
			"\"%s\" stands alone; put what is beside it into its list",
			groups[f->operation]);
	else
		read_children(b, f, doc_get(node, groups[f->operation]), depth);
	return f;
}

struct filter *filter_compile(struct node node, const struct table *t, struct sources *sources,
			      struct problems *p)
{
	struct builder b = {t, sources, p, 0};
	size_t before = p->count;
	struct filter *f = build(&b, node, 0);

	if (p->count == before)
		return f;
	/* What it would read is gone with it. */
	sources->count = 0;
	filter_free(f);
	return NULL;
}

/* ---- a row ------------------------------------------------------------------------------------ */

static bool equal(const struct filter *f, const struct scalar *a, const struct scalar *b)
{
	if (a->kind == TEXT && source_is_id(&f->source))
		return !strcasecmp(a->text, b->text);
	return scalar_equal(a, b);
}

static bool one_of(const struct filter *f, const struct scalar *s)
{
	for (size_t i = 0; i < f->operand_count; i++)
		if (equal(f, s, &f->operands[i]))
			return true;
	return false;
}

static bool chosen(const struct filter *f, const avro_value_t *row)
{
	avro_value_t list;
	size_t n = source_items(&f->source, row, &list);

	for (size_t i = 0; i < n; i++) {
		struct scalar item = source_item(&f->source, &list, i);
		if (item.kind != NOTHING && equal(f, &item, &f->operands[0]))
			return true;
	}
	return false;
}

static bool test(const struct filter *f, const avro_value_t *row, struct arena *a)
{
	const struct scalar *operand = f->operands;

	if (f->comparison == CONTAINS && f->source.column->type == COLUMN_CHOICES)
		return chosen(f, row);
	struct scalar s = source_read(&f->source, row, a);
	bool there = s.kind != NOTHING;
	switch (f->comparison) {
	case IS:
	case IN:
		return there && one_of(f, &s);
	case IS_NOT:
	case NOT_IN:
		return !there || !one_of(f, &s);
	case EXISTS:
		return there == (operand->number != 0);
	case BEFORE:
		return there && s.number < operand->number;
	case AFTER:
		return there && s.number > operand->number;
	case AT_LEAST:
		return there && scalar_compare_numbers(&s, operand) >= 0;
	case AT_MOST:
		return there && scalar_compare_numbers(&s, operand) <= 0;
	case STARTS_WITH:
		return there && !strncmp(s.text, operand->text, strlen(operand->text));
	case CONTAINS:
		return there && strstr(s.text, operand->text);
	default:
		return false;
	}
}

bool filter_passes(const struct filter *f, const avro_value_t *row, struct arena *a)
{
	switch (f->operation) {
	case NOT:
		return !filter_passes(f->children[0], row, a);
	case TEST:
		return test(f, row, a);
	default:
		for (size_t i = 0; i < f->child_count; i++)
			if (filter_passes(f->children[i], row, a) != (f->operation == ALL))
				return f->operation == ANY;
		return f->operation == ALL;
	}
}
