#include "changed.h"

#include "arena.h"
#include "fixture.h"

static char *schema_of(const char *flow)
{
	char overlay[2000];
	struct problems p = {0};
	struct table *t;
	struct resource *r;
	struct error err;

	snprintf(overlay, sizeof overlay, "flows: {contacts: {%s}}\n", flow);
	struct config *c = fixture_config(overlay, &p);
	assert_int_equal(table_load("deploy/metadata", "contact", &t, &err), OK);
	assert_int_equal(resource_load("deploy/metadata", "profile", &r, &err), OK);
	struct mapping *m = mapping_compile(config_flow(c, "contacts"), t, r, &p);
	assert_non_null(m);
	char *schema = strdup(mapping_target(m)->json);
	mapping_free(m);
	table_free(t);
	resource_free(r);
	config_free(c);
	return schema;
}

static void write_down(void *arg, const char *field, const char *was, const char *now)
{
	struct buffer *b = arg;
	buffer_printf(b, "%s: %s -> %s\n", field, was ? was : "none", now ? now : "none");
}

static void differ(const char *old_flow, const char *new_flow, const char *want)
{
	struct buffer said = BUFFER(10000);
	char *a = schema_of(old_flow), *b = schema_of(new_flow);

	changed_fields(a, b, write_down, &said);
	assert_string_equal(said.data ? said.data : "", want);
	buffer_free(&said);
	free(a);
	free(b);
}

SHOWS(the_same_mapping_has_changed_nothing)
{
	differ(
	    "fields: [{from: firstname, to: firstName}, {from: address1_city, to: location.city}]",
	    "fields: [{from: address1_city, to: location.city}, {from: firstname, to: firstName}]",
	    "");
}

SHOWS(each_field_that_is_made_otherwise_is_named)
{
	differ("fields: [{from: firstname, to: firstName}, {from: fax, to: fax}, {from: "
	       "address1_city, to: location.city}]",
	       "fields: [{from: firstname, to: firstName, convert: trim}, {from: lastname, to: "
	       "lastName}, {from: address1_county, to: location.city}]",
	       "firstName: {from: firstname, to: firstName} -> {from: firstname, to: firstName, "
	       "convert: trim}\n"
	       "lastName: none -> {from: lastname, to: lastName}\n"
	       "location.city: {from: address1_city, to: location.city} -> {from: address1_county, "
	       "to: location.city}\n"
	       "fax: {from: fax, to: fax} -> none\n");
}

SHOWS(what_holds_for_whole_records_is_named)
{
	differ(
	    "fields: [{from: fax, to: fax}]",
	    "fields: [{from: fax, to: fax}], filter: {column: statecode, is: 0}, deletes: ignore",
	    ": table: contact, key: externalId, deletes: apply -> table: contact, key: "
	    "externalId, filter: {column: statecode, is: 0}, deletes: ignore\n");
}

SHOWS(the_memory_is_in_the_metadata_of_an_offset)
{
	char text[CHANGED_METADATA_MAX];

	changed_metadata(17, text);
	assert_int_equal(changed_schema_id(text, strlen(text)), 17);
	assert_int_equal(changed_schema_id("", 0), -1);
	assert_int_equal(changed_schema_id(NULL, 0), -1);
	assert_int_equal(changed_schema_id("schema=", 7), -1);
	assert_int_equal(changed_schema_id("of another tool", 15), -1);
	assert_int_equal(changed_schema_id("schema=99999999999999999", 24), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_same_mapping_has_changed_nothing),
	    cmocka_unit_test(each_field_that_is_made_otherwise_is_named),
	    cmocka_unit_test(what_holds_for_whole_records_is_named),
	    cmocka_unit_test(the_memory_is_in_the_metadata_of_an_offset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
