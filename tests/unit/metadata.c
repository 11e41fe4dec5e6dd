#include "metadata.h"

#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static char dir[] = "/tmp/tideway-meta-XXXXXX";

static int make(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int unmake(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void put(const char *name, const char *text)
{
	char path[100];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

static void drop(const char *name)
{
	char path[100];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	unlink(path);
}

static void set(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
}

SHOWS(a_table_is_saved_and_loaded_the_same)
{
	struct table *t = table_new("contact"), *back;
	struct error err;

	set(&t->entity_set, "contacts");
	set(&t->primary_id, "contactid");
	t->change_tracking = true;
	struct column *c = table_add(t, "gendercode", "Picklist");
	column_add_option(c, 1, "Männlich \"x\"");
	column_add_option(c, 2, "Female");
	c = table_add(t, "parentcustomerid", "Customer");
	column_add_target(c, "account", "parentcustomerid_account");
	table_add(t, "firstname", "String")->max_length = 50;
	table_sort(t);
	assert_int_equal(table_save(dir, t, &err), OK);
	assert_int_equal(table_load(dir, "contact", &back, &err), OK);
	assert_string_equal(back->entity_set, "contacts");
	assert_true(back->change_tracking);
	assert_int_equal(back->column_count, 3);
	const struct column *g = table_column(back, "gendercode");
	assert_int_equal(g->type, COLUMN_CHOICE);
	assert_int_equal(g->option_count, 2);
	assert_string_equal(g->options[0].label, "Männlich \"x\"");
	assert_string_equal(table_column(back, "parentcustomerid")->targets[0].navigation,
			    "parentcustomerid_account");
	assert_int_equal(table_column(back, "firstname")->max_length, 50);
	assert_null(table_column(back, "nothing"));
	table_free(t);
	table_free(back);
	drop("dataverse.contact.json");
}

SHOWS(a_file_that_is_missing_or_damaged_says_how_to_make_it)
{
	static const char *const bad[] = {"",
					  "{",
					  "[]",
					  "{}",
					  "{\"columns\":5}",
					  "null",
					  "{\"table\":\"t\",\"columns\":{\"a\":5}}"};
	struct table *t = NULL;
	struct resource *r = NULL;
	struct error err;

	assert_int_equal(table_load(dir, "t", &t, &err), FATAL);
	assert_int_equal(err.exit_code, EXIT_PERMANENT);
	assert_contains(err.text, "metadata pull");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		put("dataverse.t.json", bad[i]);
		put("campaign.t.json", bad[i]);
		if (table_load(dir, "t", &t, &err) != FATAL)
			fail_msg("taken for a table: %s", bad[i]);
		if (resource_load(dir, "t", &r, &err) != FATAL)
			fail_msg("taken for a resource: %s", bad[i]);
	}
	drop("dataverse.t.json");
	drop("campaign.t.json");
}

static struct resource *profile(int64_t length, const char *kind, const char *gender)
{
	struct resource *r = resource_new("profile", "profileAndServicesExt/profile");
	resource_add(r, "firstName", kind)->length = length;
	attribute_add_value(resource_add(r, "gender", "enumeration"), gender);
	resource_sort(r);
	return r;
}

static void compare(struct resource *saved, struct resource *live, const char *word)
{
	static const char *const paths[] = {"firstName", "gender"};
	struct error err;
	enum result r = resource_same(saved, live, paths, 2, &err);

	assert_int_equal(r, word ? FATAL : OK);
	if (word) {
		assert_contains(err.text, word);
		assert_int_equal(err.exit_code, EXIT_PERMANENT);
	}
	resource_free(saved);
	resource_free(live);
}

SHOWS(a_live_resource_that_takes_less_than_the_saved_one_is_refused)
{
	compare(profile(30, "string", "male"), profile(30, "string", "male"), NULL);
	compare(profile(30, "string", "male"), profile(40, "string", "male"), NULL);
	compare(profile(30, "string", "male"), profile(20, "string", "male"), "firstName");
	compare(profile(30, "string", "male"), profile(30, "long", "male"), "firstName");
	compare(profile(30, "string", "male"), profile(30, "string", "m"), "gender");
	compare(profile(30, "string", "male"), resource_new("profile", "x"), "firstName");
}

SHOWS(a_live_table_with_another_type_is_refused)
{
	static const char *const columns[] = {"n"};
	struct table *saved = table_new("t"), *live = table_new("t");
	struct error err;

	set(&saved->entity_set, "ts");
	set(&live->entity_set, "ts");
	set(&saved->primary_id, "tid");
	set(&live->primary_id, "tid");
	table_add(saved, "n", "Integer");
	table_sort(saved);
	assert_int_equal(table_same(saved, live, columns, 1, &err), FATAL);
	assert_contains(err.text, "column n");
	table_add(live, "n", "Decimal");
	table_sort(live);
	assert_int_equal(table_same(saved, live, columns, 1, &err), FATAL);
	assert_contains(err.text, "Decimal");
	assert_int_equal(table_same(saved, saved, columns, 1, &err), OK);
	set(&live->entity_set, "others");
	assert_int_equal(table_same(saved, live, columns, 0, &err), FATAL);
	assert_contains(err.text, "entity set");
	table_free(saved);
	table_free(live);
}

SHOWS(a_time_of_another_behaviour_is_another_type)
{
	static const char *const columns[] = {"at"};
	struct table *saved = table_new("t"), *live = table_new("t");
	struct error err;

	table_add(saved, "at", "DateTime");
	table_add(live, "at", "DateTime/TimeZoneIndependent");
	assert_int_equal(table_same(saved, live, columns, 1, &err), FATAL);
	assert_contains(err.text, "TimeZoneIndependent");
	table_free(saved);
	table_free(live);
}

SHOWS(types_of_both_products_are_known)
{
	assert_int_equal(column_type_of("Money"), COLUMN_DECIMAL);
	assert_int_equal(column_type_of("DateTime/DateOnly"), COLUMN_DATE);
	assert_int_equal(column_type_of("DateTime"), COLUMN_DATETIME);
	assert_int_equal(column_type_of("State"), COLUMN_CHOICE);
	assert_int_equal(column_type_of("Image"), COLUMN_OTHER);
	assert_int_equal(attribute_type_of("double"), ATTRIBUTE_DOUBLE);
	assert_int_equal(attribute_type_of("blob"), ATTRIBUTE_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_table_is_saved_and_loaded_the_same),
	    cmocka_unit_test(a_file_that_is_missing_or_damaged_says_how_to_make_it),
	    cmocka_unit_test(a_live_resource_that_takes_less_than_the_saved_one_is_refused),
	    cmocka_unit_test(a_live_table_with_another_type_is_refused),
	    cmocka_unit_test(a_time_of_another_behaviour_is_another_type),
	    cmocka_unit_test(types_of_both_products_are_known),
	};
	return cmocka_run_group_tests(tests, make, unmake);
}
