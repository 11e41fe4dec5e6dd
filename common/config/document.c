/* document.c - see document.h. */
#include "document.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "arena.h"
#include "suggest.h"

struct document {
	char *file, *over; /* over: the file laid over this one */
	int own;	   /* nodes behind this one are of the file laid over it */
	yaml_document_t document;
};

void problem(struct problems *p, struct place at, const char *fmt, ...)
{
	va_list ap;
	char *text;

	if (p->count > PROBLEMS_MAX)
		return;
	if (p->count == PROBLEMS_MAX) {
		text = xstrdup("and more");
	} else {
		va_start(ap, fmt);
		if (vasprintf(&text, fmt, ap) < 0)
			text = xstrdup(fmt);
		va_end(ap);
	}
	p->items = xrealloc(p->items, (p->count + 1) * sizeof *p->items);
	/* The document may be gone when the list is printed. */
	at.file = at.file ? xstrdup(at.file) : NULL;
	p->items[p->count++] = (struct problem){at, text};
}

void problem_move(struct problem *p, struct place at)
{
	free((char *)p->at.file);
	p->at = (struct place){at.file ? xstrdup(at.file) : NULL, at.line, at.column};
}

char *problem_text(const struct problems *p, size_t i)
{
	const struct problem *it = &p->items[i];
	if (!it->at.file)
		return xstrdup(it->text);
	if (!it->at.line)
		return xasprintf("%s: %s", it->at.file, it->text);
	return xasprintf("%s:%d:%d: %s", it->at.file, it->at.line, it->at.column, it->text);
}

void problems_free(struct problems *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].text);
		free((char *)p->items[i].at.file);
	}
	free(p->items);
	*p = (struct problems){0};
}

static yaml_node_t *raw(struct node n)
{
	return doc_there(n) ? yaml_document_get_node(&n.doc->document, n.index) : NULL;
}

/* The first node that is too deep, or 0. Called when there are no aliases, so it is a tree. */
static int too_deep(struct document *doc, int index, int depth)
{
	yaml_node_t *node = yaml_document_get_node(&doc->document, index);
	int found = 0;

	if (depth > DOC_DEPTH_MAX)
		return index;
	if (node->type == YAML_SEQUENCE_NODE) {
		for (yaml_node_item_t *i = node->data.sequence.items.start;
		     i < node->data.sequence.items.top && !found; i++)
			found = too_deep(doc, *i, depth + 1);
	} else if (node->type == YAML_MAPPING_NODE) {
		for (yaml_node_pair_t *i = node->data.mapping.pairs.start;
		     i < node->data.mapping.pairs.top && !found; i++) {
			found = too_deep(doc, i->key, depth + 1);
			if (!found)
				found = too_deep(doc, i->value, depth + 1);
		}
	}
	return found;
}

static struct place place_of(const char *file, const yaml_mark_t *mark)
{
	return (struct place){file, (int)mark->line + 1, (int)mark->column + 1};
}

static void not_yaml(const char *name, const yaml_parser_t *parser, struct problems *problems)
{
	problem(problems, place_of(name, &parser->problem_mark), "%s%s%s",
		parser->problem ? parser->problem : "not YAML", parser->context ? ", " : "",
		parser->context ? parser->context : "");
}

/* The document API puts what an alias names in its place, without a mark of it, and reads one
 * document of several; so the file is read once more, as events. */
static void check_events(const char *name, const char *text, size_t len, struct problems *problems)
{
	yaml_parser_t parser;
	yaml_event_type_t type = YAML_NO_EVENT;
	int documents = 0;

	if (!yaml_parser_initialize(&parser))
		exit(EXIT_TEMPORARY);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (type != YAML_STREAM_END_EVENT && documents < 2) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			not_yaml(name, &parser, problems);
			break;
		}
		type = event.type;
		documents += type == YAML_DOCUMENT_START_EVENT;
		if (type == YAML_ALIAS_EVENT)
			problem(problems, place_of(name, &event.start_mark),
				"*%s stands for what is written elsewhere: write it out, aliases "
				"are not read",
				(const char *)event.data.alias.anchor);
		if (documents > 1)
			problem(problems, place_of(name, &event.start_mark),
				"a second document begins here, and a file has one: what stands "
				"behind it would not be read");
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
}

struct document *doc_load_text(const char *name, const char *text, size_t len,
			       struct problems *problems)
{
	struct document *doc = xcalloc(1, sizeof *doc);
	yaml_parser_t parser;
	struct place whole = {name, 0, 0};

	if (!yaml_parser_initialize(&parser))
		exit(EXIT_TEMPORARY);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &doc->document)) {
		not_yaml(name, &parser, problems);
		yaml_parser_delete(&parser);
		free(doc);
		return NULL;
	}
	yaml_parser_delete(&parser);
	doc->file = xstrdup(name);
	doc->own = (int)(doc->document.nodes.top - doc->document.nodes.start);
	yaml_node_t *root = yaml_document_get_root_node(&doc->document);
	size_t before = problems->count;
	if (!root)
		problem(problems, whole, "the file is empty");
	else
		check_events(name, text, len, problems);
	int deep = problems->count == before ? too_deep(doc, 1, 0) : 0;
	if (deep)
		problem(problems, doc_place((struct node){doc, deep}), "nested deeper than %d",
			DOC_DEPTH_MAX);
	if (problems->count == before)
		return doc;
	doc_free(doc);
	return NULL;
}

struct document *doc_load(const char *path, struct problems *problems)
{
	struct place whole = {path, 0, 0};
	FILE *f = fopen(path, "re");
	struct document *doc = NULL;

	if (!f) {
		problem(problems, whole, "cannot be read: %s", strerror(errno));
		return NULL;
	}
	_cleanup_(freep) char *text = xmalloc(DOC_FILE_MAX + 1);
	size_t len = fread(text, 1, DOC_FILE_MAX + 1, f);
	if (ferror(f))
		problem(problems, whole, "cannot be read: %s", strerror(errno));
	else if (len > DOC_FILE_MAX)
		problem(problems, whole, "is larger than %d bytes", DOC_FILE_MAX);
	else
		doc = doc_load_text(path, text, len, problems);
	fclose(f);
	return doc;
}

void doc_free(struct document *doc)
{
	if (!doc)
		return;
	yaml_document_delete(&doc->document);
	free(doc->file);
	free(doc->over);
	free(doc);
}

/* ---- a second file over the first ------------------------------------------------------------- */

static int no_memory_if_zero(int index)
{
	if (!index)
		exit(EXIT_TEMPORARY);
	return index;
}

static yaml_node_t *at(struct document *doc, int index)
{
	return yaml_document_get_node(&doc->document, index);
}

/* A copy of a node, with its marks; returns its index. Adding may move all nodes. */
static int copy(struct document *to, struct document *from, int index)
{
	yaml_document_t *d = &to->document;
	yaml_node_t *n = at(from, index);
	int made;

	if (n->type == YAML_SCALAR_NODE) {
		made = yaml_document_add_scalar(d, NULL, n->data.scalar.value,
						(int)n->data.scalar.length, n->data.scalar.style);
	} else if (n->type == YAML_SEQUENCE_NODE) {
		made = yaml_document_add_sequence(d, NULL, n->data.sequence.style);
		for (yaml_node_item_t *i = n->data.sequence.items.start;
		     made && i < n->data.sequence.items.top; i++)
			no_memory_if_zero(
			    yaml_document_append_sequence_item(d, made, copy(to, from, *i)));
	} else {
		made = yaml_document_add_mapping(d, NULL, n->data.mapping.style);
		for (yaml_node_pair_t *i = n->data.mapping.pairs.start;
		     made && i < n->data.mapping.pairs.top; i++) {
			int key = copy(to, from, i->key), value = copy(to, from, i->value);
			no_memory_if_zero(yaml_document_append_mapping_pair(d, made, key, value));
		}
	}
	at(to, no_memory_if_zero(made))->start_mark = n->start_mark;
	return made;
}

/* What means something as a whole: half of another filter would be none. */
static bool is_whole(const char *name)
{
	return !strcmp(name, "filter") || !strcmp(name, "deactivate") || !strcmp(name, "values");
}

static void drop(struct document *doc, int map, size_t k)
{
	yaml_node_t *node = at(doc, map);
	yaml_node_pair_t *pair = node->data.mapping.pairs.start + k;

	memmove(pair, pair + 1, (size_t)(node->data.mapping.pairs.top - pair - 1) * sizeof *pair);
	node->data.mapping.pairs.top--;
}

static void merge(struct document *to, int map, struct node over, struct problems *problems)
{
	for (size_t i = 0; i < doc_count(over); i++) {
		struct node key = doc_key(over, i), value = doc_value(over, i);
		const char *name = doc_text(key);
		struct node here = {to, map};
		size_t k = 0;

		for (size_t j = 0; name && j < i; j++) {
			const char *other = doc_text(doc_key(over, j));
			if (other && !strcmp(name, other))
				problem(problems, doc_place(key), "\"%s\" is given twice", name);
		}
		for (; k < doc_count(here); k++) {
			const char *other = doc_text(doc_key(here, k));
			if (name && other && !strcmp(name, other))
				break;
		}
		if (k < doc_count(here) && doc_is_null(value)) {
			drop(to, map, k);
		} else if (k < doc_count(here) && doc_kind(value) == DOC_MAP && name &&
			   !is_whole(name) && doc_kind(doc_value(here, k)) == DOC_MAP) {
			merge(to, doc_value(here, k).index, value, problems);
		} else {
			int new_key = copy(to, over.doc, key.index);
			int new_value = copy(to, over.doc, value.index);
			if (k < doc_count(here)) {
				yaml_node_pair_t *pair = &at(to, map)->data.mapping.pairs.start[k];
				*pair = (yaml_node_pair_t){new_key, new_value};
			} else {
				no_memory_if_zero(yaml_document_append_mapping_pair(
				    &to->document, map, new_key, new_value));
			}
		}
	}
}

void doc_overlay(struct document *doc, struct document *over, struct problems *problems)
{
	free(doc->over);
	doc->over = xstrdup(over->file);
	if (doc_kind(doc_root(doc)) == DOC_MAP && doc_kind(doc_root(over)) == DOC_MAP)
		merge(doc, 1, doc_root(over), problems);
	else
		problem(problems, (struct place){over->file, 0, 0},
			"both files must be mappings (key: value)");
}

/* ---- nodes ------------------------------------------------------------------------------------ */

struct node doc_root(struct document *doc)
{
	return (struct node){doc, doc ? 1 : 0};
}

enum doc_kind doc_kind(struct node n)
{
	yaml_node_t *node = raw(n);
	if (!node)
		return DOC_NONE;
	return node->type == YAML_SCALAR_NODE	  ? DOC_SCALAR
	       : node->type == YAML_SEQUENCE_NODE ? DOC_LIST
						  : DOC_MAP;
}

struct place doc_place(struct node n)
{
	yaml_node_t *node = raw(n);
	if (!node)
		return (struct place){n.doc ? n.doc->file : NULL, 0, 0};
	return place_of(n.index > n.doc->own ? n.doc->over : n.doc->file, &node->start_mark);
}

const char *doc_text(struct node n)
{
	yaml_node_t *node = raw(n);
	if (!node || node->type != YAML_SCALAR_NODE)
		return NULL;
	/* A NUL inside a scalar would hide the rest of it. */
	const char *s = (const char *)node->data.scalar.value;
	return strlen(s) == node->data.scalar.length ? s : NULL;
}

bool doc_is_null(struct node n)
{
	yaml_node_t *node = raw(n);
	if (!node || node->type != YAML_SCALAR_NODE ||
	    node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	const char *s = (const char *)node->data.scalar.value;
	return !*s || !strcmp(s, "~") || !strcmp(s, "null") || !strcmp(s, "Null") ||
	       !strcmp(s, "NULL");
}

size_t doc_count(struct node n)
{
	yaml_node_t *node = raw(n);
	if (!node || node->type == YAML_SCALAR_NODE)
		return 0;
	if (node->type == YAML_SEQUENCE_NODE)
		return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	return (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
}

struct node doc_item(struct node n, size_t i)
{
	yaml_node_t *node = raw(n);
	if (!node || node->type != YAML_SEQUENCE_NODE || i >= doc_count(n))
		return (struct node){0};
	return (struct node){n.doc, node->data.sequence.items.start[i]};
}

struct node doc_key(struct node n, size_t i)
{
	yaml_node_t *node = raw(n);
	if (!node || node->type != YAML_MAPPING_NODE || i >= doc_count(n))
		return (struct node){0};
	return (struct node){n.doc, node->data.mapping.pairs.start[i].key};
}

struct node doc_value(struct node n, size_t i)
{
	yaml_node_t *node = raw(n);
	if (!node || node->type != YAML_MAPPING_NODE || i >= doc_count(n))
		return (struct node){0};
	return (struct node){n.doc, node->data.mapping.pairs.start[i].value};
}

struct node doc_get(struct node map, const char *key)
{
	for (size_t i = 0; i < doc_count(map); i++) {
		const char *k = doc_text(doc_key(map, i));
		if (k && !strcmp(k, key))
			return doc_value(map, i);
	}
	return (struct node){map.doc, 0};
}

void doc_only(struct node map, struct problems *p, const char *what, const char *const *known)
{
	if (doc_kind(map) != DOC_MAP) {
		if (doc_there(map))
			problem(p, doc_place(map), "%s must be a mapping (key: value)", what);
		return;
	}
	for (size_t i = 0; i < doc_count(map); i++) {
		const char *k = doc_text(doc_key(map, i));
		bool found = false, twice = false;
		for (const char *const *n = known; k && *n && !found; n++)
			found = !strcmp(k, *n);
		for (size_t j = 0; k && j < i && !twice; j++) {
			const char *other = doc_text(doc_key(map, j));
			twice = other && !strcmp(k, other);
		}
		if (twice)
			problem(p, doc_place(doc_key(map, i)), "\"%s\" is given twice", k);
		if (found)
			continue;
		char list[600] = "", meant[100];
		struct suggestion like = {.word = k ? k : ""};
		for (const char *const *n = known; *n; n++) {
			suggest_from(&like, *n);
			snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
				 *list ? ", " : "", *n);
		}
		problem(p, doc_place(doc_key(map, i)), "unknown key \"%s\" in %s%s; known are: %s",
			k ? k : "?", what, suggest_text(&like, meant, sizeof meant), list);
	}
}

const char *doc_string(struct node map, const char *key, const char *fallback, struct problems *p)
{
	struct node n = doc_get(map, key);
	if (!doc_there(n) || doc_is_null(n))
		return fallback;
	if (!doc_text(n))
		problem(p, doc_place(n), "\"%s\" must be a text", key);
	return doc_text(n) ? doc_text(n) : fallback;
}

const char *doc_required(struct node map, const char *key, const char *what, struct problems *p)
{
	const char *s = doc_string(map, key, NULL, p);
	struct node n = doc_get(map, key);
	if (!doc_there(n) || doc_is_null(n))
		problem(p, doc_place(map), "%s needs \"%s\"", what, key);
	else if (s && !*s)
		problem(p, doc_place(doc_get(map, key)), "\"%s\" must not be empty", key);
	return s ? s : "";
}

static bool whole_number(const char *s, int64_t *out, const char **rest)
{
	char *end;
	errno = 0;
	long long v = strtoll(s, &end, 10);
	if (errno || end == s)
		return false;
	*out = v;
	*rest = end;
	return true;
}

int64_t doc_int(struct node map, const char *key, int64_t fallback, int64_t min, int64_t max,
		struct problems *p)
{
	struct node n = doc_get(map, key);
	const char *s = doc_text(n), *rest;
	int64_t v;
	if (!doc_there(n))
		return fallback;
	if (s && whole_number(s, &v, &rest) && !*rest && v >= min && v <= max)
		return v;
	problem(p, doc_place(n), "\"%s\" must be a whole number from %lld to %lld", key,
		(long long)min, (long long)max);
	return fallback;
}

int64_t doc_duration(struct node map, const char *key, int64_t fallback_ms, int64_t min_ms,
		     int64_t max_ms, struct problems *p)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	struct node n = doc_get(map, key);
	const char *s = doc_text(n), *rest;
	int64_t v;

	if (!doc_there(n))
		return fallback_ms;
	if (s && whole_number(s, &v, &rest) && v >= 0 && v < INT32_MAX)
		for (size_t i = 0; i < sizeof units / sizeof *units; i++)
			if (!strcmp(rest, units[i].unit) && v * units[i].ms >= min_ms &&
			    v * units[i].ms <= max_ms)
				return v * units[i].ms;
	problem(p, doc_place(n),
		"\"%s\" must be a duration like 500ms, 30s, 5m, 2h or 30d, from %lldms to %lldms",
		key, (long long)min_ms, (long long)max_ms);
	return fallback_ms;
}

int doc_choice(struct node map, const char *key, int fallback, const char *const *names,
	       struct problems *p)
{
	struct node n = doc_get(map, key);
	const char *s = doc_text(n);
	struct suggestion like = {.word = s ? s : ""};
	char list[600] = "", meant[100];

	if (!doc_there(n))
		return fallback;
	for (int i = 0; names[i]; i++) {
		if (s && !strcmp(s, names[i]))
			return i;
		suggest_from(&like, names[i]);
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "",
			 names[i]);
	}
	problem(p, doc_place(n), "\"%s\" must be one of: %s%s", key, list,
		suggest_text(&like, meant, sizeof meant));
	return fallback;
}

bool doc_flag(struct node map, const char *key, bool fallback, struct problems *p)
{
	static const char *const names[] = {"false", "true", NULL};
	return doc_choice(map, key, fallback, names, p);
}

void doc_flow_text(struct node n, struct buffer *out)
{
	bool list = doc_kind(n) == DOC_LIST;
	const char *text = doc_text(n);

	if (doc_kind(n) != DOC_LIST && doc_kind(n) != DOC_MAP) {
		/* Quoted where a plain text would read as something else. */
		bool plain = text && *text && !text[strcspn(text, " \t\n\"'{}[],:#&*!|>%@`~")];
		buffer_printf(out, plain || doc_is_null(n) ? "%s" : "'%s'", text ? text : "");
		return;
	}
	buffer_puts(out, list ? "[" : "{");
	for (size_t i = 0; i < doc_count(n); i++) {
		buffer_puts(out, i ? ", " : "");
		if (!list) {
			doc_flow_text(doc_key(n, i), out);
			buffer_puts(out, ": ");
		}
		doc_flow_text(list ? doc_item(n, i) : doc_value(n, i), out);
	}
	buffer_puts(out, list ? "]" : "}");
}
