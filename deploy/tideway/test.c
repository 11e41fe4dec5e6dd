/* tideway test DIR - your own cases against your own mapping, without a broker and without a call.
 *
 * A case is a file DIR/<what it shows>.yaml:
 *
 *   flow: contacts
 *   input: {firstname: Ann, gendercode: 2, donotemail: true}   # columns; the others are null
 *   expected: {firstName: Ann, gender: female, blackListEmail: true}
 *   absent: [blackListPhone]                                    # must be left alone
 *
 * Only what `expected` names is compared; ~ means "written as empty".  `input: deleted` is a delete in
 * Dynamics.  Instead of `expected`: `rejected: too-long` (the reason), or `becomes: delete`,
 * `becomes: nothing`; with `becomes: update` (a deactivation) `expected` names what is set. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "body.h"
#include "command.h"
#include "compare.h"
#include "json.h"
#include "mapping.h"
#include "scalar.h"

enum becomes { RECORD, DELETE, NOTHING_AT_ALL, UPDATE };
static const char *const outcomes[] = {"record", "delete", "nothing", "update", NULL};
static const char any_id[] = "00000000-0000-4000-8000-000000000000";

/* The mapping of one flow, compiled once. */
struct prepared {
	const struct flow *flow;
	struct table *table;
	struct resource *resource;
	struct mapping *mapping;
};

struct tester {
	const struct config *c;
	struct prepared *flows; /* beside c->flows */
	struct problems problems;
	long passed, failed;
};

/* ---- the input -------------------------------------------------------------------------------- */

static cJSON *choice_json(const struct column *c, struct node node, struct problems *p)
{
	const char *text = doc_text(node);
	int64_t value;
	const char *label = NULL;

	if (!text || !text_to_int(text, INT32_MIN, INT32_MAX, &value)) {
		problem(p, doc_place(node), "a choice is given by its value, a number");
		return NULL;
	}
	for (size_t i = 0; i < c->option_count; i++)
		if (c->options[i].value == value)
			label = c->options[i].label;
	if (!label && c->option_count)
		problem(p, doc_place(node), "%s is never %s, by the saved metadata", c->name, text);
	cJSON *json = cJSON_CreateObject();
	cJSON_AddNumberToObject(json, "value", (double)value);
	if (label)
		cJSON_AddStringToObject(json, "label", label);
	return json;
}

static cJSON *lookup_json(const struct column *c, struct node node, struct problems *p)
{
	static const char *const keys[] = {"id", "table", "name", NULL};
	cJSON *json = cJSON_CreateObject();
	bool map = doc_kind(node) == DOC_MAP;

	if (map)
		doc_only(node, p, "a lookup", keys);
	for (int i = 0; keys[i]; i++) {
		const char *text = map	    ? doc_string(node, keys[i], NULL, p)
				   : i == 0 ? doc_text(node)
				   : i == 1 && c->target_count == 1 ? c->targets[0].table
								    : NULL;
		char id[37];
		if (i == 0 && (!text || !id_parse(text, id)))
			problem(
			    p, doc_place(node),
			    "a lookup is given by its id (8-4-4-4-12 hexadecimal digits), or as "
			    "{id: …, table: account, name: …}");
		if (text)
			cJSON_AddStringToObject(json, keys[i], text);
	}
	return json;
}

/* A value of the case as record_from_json() takes it; NULL after a problem. */
static cJSON *column_json(const struct column *c, struct node node, struct problems *p)
{
	const char *text = doc_text(node);
	cJSON *list, *item;
	int64_t n;
	double d;

	if (doc_is_null(node))
		return cJSON_CreateNull();
	switch (c->type) {
	case COLUMN_CHOICE:
		return choice_json(c, node, p);
	case COLUMN_CHOICES:
		if (doc_kind(node) != DOC_LIST)
			break;
		list = cJSON_CreateArray();
		for (size_t i = 0; i < doc_count(node); i++)
			if ((item = choice_json(c, doc_item(node, i), p)))
				cJSON_AddItemToArray(list, item);
		return list;
	case COLUMN_LOOKUP:
		return lookup_json(c, node, p);
	case COLUMN_BOOLEAN:
		if (text && (!strcmp(text, "true") || !strcmp(text, "false")))
			return cJSON_CreateBool(*text == 't');
		break;
	case COLUMN_INT:
		if (text && text_to_int(text, INT32_MIN, INT32_MAX, &n))
			return cJSON_CreateNumber((double)n);
		break;
	case COLUMN_LONG: /* as text: a double does not hold every one */
		if (text && text_to_int(text, INT64_MIN, INT64_MAX, &n))
			return cJSON_CreateString(text);
		break;
	case COLUMN_DOUBLE:
		if (text && text_to_double(text, &d))
			return cJSON_CreateNumber(d);
		break;
	default:
		if (text)
			return cJSON_CreateString(text);
	}
	problem(p, doc_place(node), "%s is %s%s", c->name, column_type_name(c->type),
		c->type == COLUMN_CHOICES ? ", given as a list of values: [1, 3]" : "");
	return NULL;
}

static cJSON *row_json(const struct prepared *f, struct node input, struct problems *p)
{
	cJSON *row = cJSON_CreateObject();
	size_t n;
	const char *const *read = mapping_columns(f->mapping, &n);

	for (size_t i = 0; i < doc_count(input); i++) {
		struct node key = doc_key(input, i);
		const char *name = doc_text(key) ? doc_text(key) : "";
		const struct column *c = source_column(f->table, name, doc_place(key), p);
		cJSON *value = c ? column_json(c, doc_value(input, i), p) : NULL;
		bool used = false;
		for (size_t k = 0; k < n && !used; k++)
			used = !strcmp(read[k], name);
		if (value && used) /* what the mapping does not read never comes to it */
			cJSON_AddItemToObject(row, name, value);
		else
			cJSON_Delete(value);
	}
	return row;
}

static enum result make_input(const struct prepared *f, struct node input, avro_value_t *source,
			      struct problems *p, struct error *err)
{
	const char *text = doc_text(input);
	bool deleted = text && !strcmp(text, "deleted");
	size_t before = p->count;
	cJSON *change = cJSON_CreateObject();

	if (!deleted && doc_kind(input) != DOC_MAP)
		problem(p, doc_place(input),
			"\"input\" is a mapping of columns and values, or deleted");
	cJSON_AddStringToObject(change, "op", deleted ? "delete" : "upsert");
	cJSON_AddStringToObject(change, "id", any_id);
	cJSON_AddNumberToObject(change, "epoch", 1);
	cJSON_AddNumberToObject(change, "version", 1);
	cJSON_AddNumberToObject(change, "observed_at", 0);
	cJSON_AddStringToObject(change, "origin", "delta");
	if (!deleted)
		cJSON_AddItemToObject(change, "row", row_json(f, input, p));
	enum result r = p->count == before ? record_from_json(change, source, err) : OK;
	cJSON_Delete(change);
	return r;
}

/* ---- what came of it -------------------------------------------------------------------------- */

static const cJSON *member(const cJSON *body, const char *path)
{
	const char *dot = strchr(path, '.');

	if (!dot)
		return cJSON_GetObjectItemCaseSensitive(body, path);
	_cleanup_(freep) char *group = xstrndup(path, (size_t)(dot - path));
	return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(body, group),
						dot + 1);
}

/* NULL after a problem: a name that is not mapped is a mistake of the case. */
static const struct mapped *expected_attribute(const struct prepared *f, struct node key,
					       struct problems *p)
{
	const char *path = doc_text(key) ? doc_text(key) : "";
	const struct mapped *to = mapping_attribute(f->mapping, path);

	if (!to)
		problem(p, doc_place(key), "the flow %s writes no attribute %s", f->flow->name,
			path);
	return to;
}

/* What is written, as a case names it: of a link the key that it is set to. */
static char *written(const struct mapped *to, const cJSON *have)
{
	const cJSON *key = to && to->attribute->type == ATTRIBUTE_LINK
			       ? cJSON_GetObjectItemCaseSensitive(have, "PKey")
			       : NULL;
	return compare_text(key ? key : have);
}

static bool is_as_wanted(const struct mapped *to, const char *want, const char *got)
{
	return to->attribute->type == ATTRIBUTE_LINK ? !strcmp(want, got)
						     : compare_same(to->attribute, want, got);
}

static void compare_case(const struct prepared *f, struct node map, const cJSON *body,
			 struct buffer *why, struct problems *p)
{
	struct node expected = doc_get(map, "expected"), absent = doc_get(map, "absent");

	for (size_t i = 0; i < doc_count(expected); i++) {
		struct node key = doc_key(expected, i), value = doc_value(expected, i);
		const struct mapped *to = expected_attribute(f, key, p);
		const cJSON *have = to ? member(body, doc_text(key)) : NULL;
		const char *want = doc_is_null(value) ? "" : doc_text(value);
		_cleanup_(freep) char *got = written(to, have);
		if (!to)
			continue;
		if (!have)
			buffer_printf(why, "  %s is left alone, wanted \"%s\"\n", doc_text(key),
				      want ? want : "?");
		else if (!want || !is_as_wanted(to, want, got))
			buffer_printf(why, "  %s is \"%s\", wanted \"%s\"\n", doc_text(key), got,
				      want ? want : "?");
	}
	for (size_t i = 0; i < doc_count(absent); i++) {
		struct node key = doc_item(absent, i);
		const struct mapped *to = expected_attribute(f, key, p);
		const cJSON *have = to ? member(body, doc_text(key)) : NULL;
		_cleanup_(freep) char *got = written(to, have);
		if (have)
			buffer_printf(why, "  %s is written as \"%s\", wanted left alone\n",
				      doc_text(key), got);
	}
}

static enum becomes what(const struct mapped_change *change, const avro_value_t *target)
{
	struct change_head head;

	if (!change->emit)
		return NOTHING_AT_ALL;
	change_get_head(target, &head);
	return head.op == CHANGE_DELETE ? DELETE : head.op == CHANGE_UPDATE ? UPDATE : RECORD;
}

/* Writes into why what is not as expected. */
static void judge(const struct prepared *f, struct node map, const avro_value_t *source,
		  avro_value_t *target, struct buffer *why, struct problems *p)
{
	const char *rejected = doc_string(map, "rejected", NULL, p);
	int wanted = doc_choice(map, "becomes", RECORD, outcomes, p);
	struct mapped_change change;
	struct error err;
	struct body body;
	enum result r = mapping_apply(f->mapping, source, false, target, &change, &err);

	if (r != OK || rejected) {
		if (r == OK)
			buffer_printf(why, "  it is mapped, wanted rejected: %s\n", rejected);
		else if (!rejected || strcmp(rejected, err.reason))
			buffer_printf(why, "  rejected: %s (%s)%s%s\n", err.reason, err.text,
				      rejected ? ", wanted " : "", rejected ? rejected : "");
		return;
	}
	enum becomes is = what(&change, target);
	if ((int)is != wanted) {
		buffer_printf(why, "  becomes: %s%s%s%s, wanted %s\n", outcomes[is],
			      change.why ? " (" : "", change.why ? change.why : "",
			      change.why ? ")" : "", outcomes[wanted]);
		return;
	}
	if (is == DELETE || is == NOTHING_AT_ALL)
		return;
	if (body_of(f->mapping, target, &body, &err) != OK) {
		buffer_printf(why, "  rejected: %s (%s)\n", err.reason, err.text);
		return;
	}
	compare_case(f, map, body.create ? body.create : body.patch, why, p);
	body_free(&body);
}

/* What a case says must be looked at, or it would pass whatever it says. */
static void check_case(struct node map, struct problems *p)
{
	static const char *const members[] = {"expected", "absent"};
	struct node expected = doc_get(map, "expected"), absent = doc_get(map, "absent");
	const char *becomes = doc_text(doc_get(map, "becomes"));
	bool rejected = doc_there(doc_get(map, "rejected"));
	bool record =
	    !rejected && (!becomes || !strcmp(becomes, "record") || !strcmp(becomes, "update"));

	if (!doc_there(expected) && !doc_there(absent) && !becomes && !rejected)
		problem(p, doc_place(map), "a case needs expected, absent, becomes or rejected");
	if (rejected && becomes)
		problem(p, doc_place(doc_get(map, "becomes")),
			"a case that is rejected becomes nothing else: leave \"becomes\" out");
	if (doc_there(expected) && doc_kind(expected) != DOC_MAP)
		problem(p, doc_place(expected),
			"\"expected\" is a mapping of attributes and values");
	if (doc_there(absent) && doc_kind(absent) != DOC_LIST)
		problem(p, doc_place(absent), "\"absent\" is a list of attributes");
	for (int i = 0; i < 2 && record; i++)
		if (doc_kind(doc_get(map, members[i])) > DOC_SCALAR &&
		    !doc_count(doc_get(map, members[i])))
			problem(p, doc_place(doc_get(map, members[i])),
				"\"%s\" names nothing, so any record would pass: leave it out, or "
				"name an attribute",
				members[i]);
	for (int i = 0; i < 2 && !record; i++)
		if (doc_there(doc_get(map, members[i])))
			problem(p, doc_place(doc_get(map, members[i])),
				"\"%s\" is of a record that is written; this case expects %s",
				members[i], rejected ? "a reject" : "none");
}

/* ---- cases ------------------------------------------------------------------------------------ */

static struct prepared *prepare(struct tester *t, const char *name, struct place at)
{
	const struct flow *flow = config_flow(t->c, name);
	struct error err;

	if (!flow || flow->kind == FLOW_EMAIL_EVENTS) {
		if (*name)
			problem(&t->problems, at, "there is no flow %s of a table", name);
		return NULL;
	}
	struct prepared *f = &t->flows[flow - t->c->flows];
	if (f->flow)
		return f->mapping ? f : NULL;
	f->flow = flow;
	if (table_load(t->c->metadata_dir, flow->table, &f->table, &err) != OK ||
	    resource_load(t->c->metadata_dir, flow->resource, &f->resource, &err) != OK)
		problem(&t->problems, flow->at, "%s", err.text);
	else
		f->mapping = mapping_compile(flow, f->table, f->resource, &t->problems);
	return f->mapping ? f : NULL;
}

static void run_case(struct tester *t, const char *name, struct node map)
{
	static const char *const keys[] = {"flow",    "input",	  "expected", "absent",
					   "becomes", "rejected", NULL};
	struct buffer why = BUFFER(64 * 1024);
	size_t before = t->problems.count;
	avro_value_t source, target;
	struct error err;

	if (doc_kind(map) != DOC_MAP)
		problem(&t->problems, doc_place(map),
			"a case is a mapping with flow, input and "
			"expected");
	doc_only(map, &t->problems, "a case", keys);
	const char *flow = doc_required(map, "flow", "a case", &t->problems);
	check_case(map, &t->problems);
	struct prepared *f = prepare(t, flow, doc_place(doc_get(map, "flow")));
	if (!f || t->problems.count > before)
		return;
	record_new(&mapping_source(f->mapping)->record, &source);
	record_new(mapping_target(f->mapping), &target);
	if (make_input(f, doc_get(map, "input"), &source, &t->problems, &err) != OK)
		problem(&t->problems, doc_place(doc_get(map, "input")), "%s", err.text);
	else if (t->problems.count == before)
		judge(f, map, &source, &target, &why, &t->problems);
	avro_value_decref(&source);
	avro_value_decref(&target);
	if (why.len) {
		printf("FAILED  %s\n%s", name, why.data);
		t->failed++;
	} else if (t->problems.count == before) {
		t->passed++;
	}
	buffer_free(&why);
}

static int is_case(const struct dirent *e)
{
	size_t n = strlen(e->d_name);
	return *e->d_name != '.' && n > 5 && !strcmp(e->d_name + n - 5, ".yaml");
}

static int run_folder(struct tester *t, const char *folder)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, is_case, alphasort);

	if (n < 0) {
		fprintf(stderr, "tideway: the folder %s cannot be read\n", folder);
		return EXIT_PERMANENT;
	}
	for (int i = 0; i < n; i++) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
		struct document *doc = doc_load(path, &t->problems);
		_cleanup_(freep) char *name =
		    xstrndup(entries[i]->d_name, strlen(entries[i]->d_name) - 5);
		if (doc)
			run_case(t, name, doc_root(doc));
		doc_free(doc);
		free(entries[i]);
	}
	free(entries);
	for (size_t i = 0; i < t->problems.count; i++) {
		_cleanup_(freep) char *text = problem_text(&t->problems, i);
		fprintf(stderr, "%s\n", text);
	}
	printf("%ld passed, %ld failed\n", t->passed, t->failed);
	if (t->problems.count)
		return EXIT_PERMANENT;
	if (!n)
		fprintf(stderr, "tideway: there is no case (*.yaml) in %s\n", folder);
	return t->failed || !n ? 1 : EXIT_OK;
}

int command_test(int argc, char **argv)
{
	struct command_line line = {
	    .name = "tideway test",
	    .arguments = "DIR",
	    .synopsis =
		"Runs the cases in DIR against the mapping: each file <what it shows>.yaml has a\n"
		"flow, an input (columns of the table) and what is expected: attributes and\n"
		"values, a reject, a delete. Needs the saved metadata, no broker, no system.\n"
		"exit status: 0 all passed, 1 some failed, 100 mistakes in the files."};
	struct tester t = {0};
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	if (line.operand_count != 1) {
		fprintf(stderr, "tideway test: say `tideway test DIR`\n");
		return EXIT_PERMANENT;
	}
	struct config *c = command_config(&line, CONFIG_MAPPING, &status);
	if (!c)
		return status;
	t.c = c;
	t.flows = xcalloc(c->flow_count, sizeof *t.flows);
	status = run_folder(&t, line.operands[0]);
	for (size_t i = 0; i < c->flow_count; i++) {
		mapping_free(t.flows[i].mapping);
		table_free(t.flows[i].table);
		resource_free(t.flows[i].resource);
	}
	free(t.flows);
	problems_free(&t.problems);
	config_free(c);
	return status;
}
