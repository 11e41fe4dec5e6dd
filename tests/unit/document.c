#include "document.h"

#include "unit.h"

static struct document *load(const char *text, struct problems *p)
{
	return doc_load_text("a.yaml", text, strlen(text), p);
}

static void says(const struct problems *p, size_t i, const char *want)
{
	assert_true(i < p->count);
	char *text = problem_text(p, i);
	if (!strstr(text, want))
		fail_msg("\"%s\" is not in \"%s\"", want, text);
	free(text);
}

SHOWS(every_node_knows_its_place)
{
	struct problems p = {0};
	struct document *d = load("name: x\nlist:\n  - one\n  - {a: b, c: 5}\n", &p);
	struct node list = doc_get(doc_root(d), "list");

	assert_int_equal(doc_kind(list), DOC_LIST);
	assert_int_equal(doc_count(list), 2);
	assert_string_equal(doc_text(doc_item(list, 0)), "one");
	struct node c = doc_get(doc_item(list, 1), "c");
	assert_int_equal(doc_place(c).line, 4);
	assert_int_equal(doc_place(c).column, 15);
	assert_string_equal(doc_place(c).file, "a.yaml");
	assert_false(doc_there(doc_get(doc_root(d), "nothing")));
	assert_false(doc_there(doc_item(list, 2)));
	doc_free(d);
}

SHOWS(what_is_no_yaml_has_a_place_too)
{
	struct problems p = {0};

	assert_null(load("a: [1, 2\nb: }", &p));
	assert_int_equal(p.count, 1);
	says(&p, 0, "a.yaml:2:");
	assert_null(load("", &p));
	says(&p, 1, "empty");
	assert_null(doc_load("/nowhere/x.yaml", &p));
	says(&p, 2, "/nowhere/x.yaml: cannot be read");
	problems_free(&p);
}

SHOWS(aliases_and_depth_are_refused_where_they_stand)
{
	struct problems p = {0};
	char deep[400] = "";

	assert_null(load("a: &x [1]\nb: *x\n", &p));
	says(&p, 0, "a.yaml:2:4: *x ");
	for (int i = 0; i < 60; i++)
		strcat(deep, "[");
	for (int i = 0; i < 60; i++)
		strcat(deep, "]");
	assert_null(load(deep, &p));
	says(&p, 1, "a.yaml:1:34: nested deeper than 32");
	assert_null(load("a: &a [*a]\n", &p)); /* a circle */
	says(&p, 2, "a.yaml:1:8: *a ");
	assert_null(load("[&a x, *a, *a]\n", &p));
	assert_int_equal(p.count, 5);
	problems_free(&p);
}

SHOWS(what_stands_behind_the_first_document_is_not_lost)
{
	struct problems p = {0};

	doc_free(load("---\na: 1\n...\n", &p));
	assert_int_equal(p.count, 0);
	assert_null(load("a: 1\n---\nb: 2\n", &p));
	says(&p, 0, "a.yaml:2:1: a second document begins here");
	assert_null(load("a: 1\n...\n}\n", &p));
	says(&p, 1, "a.yaml:3:1: ");
	problems_free(&p);
}

SHOWS(unknown_and_repeated_keys_are_found)
{
	static const char *const known[] = {"good", "fine", NULL};
	struct problems p = {0};
	struct document *d = load("good: 1\nbad: 2\ngood: 3\n", &p);

	doc_only(doc_root(d), &p, "this", known);
	assert_int_equal(p.count, 2);
	says(&p, 0, "a.yaml:2:1");
	says(&p, 0, "bad");
	says(&p, 1, "given twice");
	doc_free(d);
	problems_free(&p);
}

SHOWS(typed_members_say_what_is_wrong_and_yield_the_fallback)
{
	static const char *const choices[] = {"apply", "ignore", NULL};
	struct problems p = {0};
	struct document *d = load("n: 12\nbig: 99\ntext: [a]\nt: 30s\nms: 500ms\nbad: soon\n"
				  "c: ignore\nd: perhaps\nnull_one: ~\n",
				  &p);
	struct node m = doc_root(d);

	assert_int_equal(doc_int(m, "n", 5, 0, 50, &p), 12);
	assert_int_equal(doc_int(m, "none", 5, 0, 50, &p), 5);
	assert_int_equal(doc_duration(m, "t", 1, 0, 100000, &p), 30000);
	assert_int_equal(doc_duration(m, "ms", 1, 0, 100000, &p), 500);
	assert_int_equal(doc_choice(m, "c", 0, choices, &p), 1);
	assert_true(doc_is_null(doc_get(m, "null_one")));
	assert_int_equal(p.count, 0);
	assert_int_equal(doc_int(m, "big", 5, 0, 50, &p), 5);
	says(&p, 0, "a.yaml:2:6");
	assert_string_equal(doc_string(m, "text", "fb", &p), "fb");
	assert_int_equal(doc_duration(m, "bad", 7, 0, 100, &p), 7);
	assert_int_equal(doc_duration(m, "n", 7, 0, 100, &p), 7); /* a number without a unit */
	assert_int_equal(doc_choice(m, "d", 0, choices, &p), 0);
	assert_string_equal(doc_required(m, "missing", "this", &p), "");
	assert_int_equal(p.count, 6);
	says(&p, 5, "missing");
	doc_free(d);
	problems_free(&p);
}

SHOWS(a_second_file_is_laid_over_the_first)
{
	struct problems p = {0};
	struct document *d = load("a: {x: 1, y: {z: 2, w: [1, 2]}}\nb: old\n", &p);
	const char *text = "\n\nb: new\na: {y: {w: [9]}, added: {q: 1}}\nc: {d: e}\n";
	struct document *over = doc_load_text("b.yaml", text, strlen(text), &p);

	doc_overlay(d, over, &p);
	doc_free(over); /* nothing may point into it */
	struct node root = doc_root(d), y = doc_get(doc_get(root, "a"), "y");
	assert_int_equal(p.count, 0);
	assert_string_equal(doc_text(doc_get(doc_get(root, "a"), "x")), "1");
	assert_string_equal(doc_text(doc_get(y, "z")), "2");
	assert_int_equal(doc_count(doc_get(y, "w")), 1);
	assert_string_equal(doc_text(doc_item(doc_get(y, "w"), 0)), "9");
	assert_string_equal(doc_text(doc_get(root, "b")), "new");
	assert_string_equal(doc_text(doc_get(doc_get(root, "c"), "d")), "e");
	assert_string_equal(doc_place(doc_get(root, "b")).file, "b.yaml");
	assert_int_equal(doc_place(doc_get(root, "b")).line, 3);
	assert_string_equal(doc_place(doc_get(y, "z")).file, "a.yaml");
	doc_free(d);
}

SHOWS(a_second_file_replaces_what_is_whole_and_removes_what_is_null)
{
	struct problems p = {0};
	struct document *d =
	    load("f: {filter: {column: a, is: 1}, deactivate: {x: 1}, z: 1}\ng: 2\n", &p);
	const char *text = "f: {filter: {not: {column: b}}, deactivate: ~}\ng: ~\nh: ~\n";
	struct document *over = doc_load_text("b.yaml", text, strlen(text), &p);

	doc_overlay(d, over, &p);
	doc_free(over);
	struct node root = doc_root(d), f = doc_get(root, "f");
	assert_int_equal(p.count, 0);
	assert_int_equal(doc_count(doc_get(f, "filter")), 1);
	assert_true(doc_there(doc_get(doc_get(f, "filter"), "not")));
	assert_false(doc_there(doc_get(f, "deactivate")));
	assert_string_equal(doc_text(doc_get(f, "z")), "1");
	assert_false(doc_there(doc_get(root, "g")));
	doc_free(d);
}

SHOWS(an_overlay_that_repeats_a_key_or_is_no_mapping_is_said)
{
	struct problems p = {0};
	struct document *d = load("a: 1\n", &p);
	struct document *twice = doc_load_text("b.yaml", "a: 2\na: 3\n", 10, &p);
	struct document *list = doc_load_text("c.yaml", "[1]", 3, &p);

	doc_overlay(d, twice, &p);
	says(&p, 0, "b.yaml:2:1");
	doc_overlay(d, list, &p);
	says(&p, 1, "c.yaml");
	doc_free(d);
	doc_free(twice);
	doc_free(list);
	problems_free(&p);
}

SHOWS(endless_problems_are_counted_as_one_more)
{
	struct problems p = {0};

	for (int i = 0; i < 1000; i++)
		problem(&p, (struct place){"f", i, 1}, "number %d", i);
	assert_int_equal(p.count, PROBLEMS_MAX + 1);
	says(&p, PROBLEMS_MAX, "and more");
	problems_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_node_knows_its_place),
	    cmocka_unit_test(what_is_no_yaml_has_a_place_too),
	    cmocka_unit_test(aliases_and_depth_are_refused_where_they_stand),
	    cmocka_unit_test(what_stands_behind_the_first_document_is_not_lost),
	    cmocka_unit_test(unknown_and_repeated_keys_are_found),
	    cmocka_unit_test(typed_members_say_what_is_wrong_and_yield_the_fallback),
	    cmocka_unit_test(a_second_file_is_laid_over_the_first),
	    cmocka_unit_test(a_second_file_replaces_what_is_whole_and_removes_what_is_null),
	    cmocka_unit_test(an_overlay_that_repeats_a_key_or_is_no_mapping_is_said),
	    cmocka_unit_test(endless_problems_are_counted_as_one_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
