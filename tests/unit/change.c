#include "change.h"

#include "arena.h"
#include "fixture.h"
#include "json.h"

static struct table *contact;
static struct table_class class;
static avro_value_t change;
static struct buffer scratch = {.max = 1 << 20};

static int make(void **state)
{
	static const char *const columns[] = {"annualincome",	 "birthdate",  "donotemail",
					      "firstname",	 "gendercode", "modifiedon",
					      "parentcustomerid"};
	struct error err;
	(void)state;
	if (table_load("deploy/metadata", "contact", &contact, &err) != OK ||
	    table_class_new(contact, columns, 7, &class, &err) != OK)
		return -1;
	record_new(&class.record, &change);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	avro_value_decref(&change);
	table_class_free(&class);
	table_free(contact);
	buffer_free(&scratch);
	return 0;
}

#define ID "\"contactid\":\"6F2D6C1E-3F0B-4D58-9A49-5A1F0C8B7E21\",\"@odata.etag\":\"W/\\\"1\\\"\","
#define VERSION "\"versionnumber\":1002520"

/* Dynamics sends every selected column, null if it is empty; row lies over that. */
static enum result read_row(const char *row, char id[37], struct error *err)
{
	cJSON *json = json_parse_exact(&scratch, row, strlen(row));
	assert_non_null(json);
	for (size_t i = 0; i < class.column_count; i++)
		if (!cJSON_HasObjectItem(json, class.columns[i].property))
			cJSON_AddNullToObject(json, class.columns[i].property);
	enum result r =
	    change_from_row(&class, json, 77, (wall_time){5000}, ORIGIN_DELTA, &change, id, err);
	cJSON_Delete(json);
	return r;
}

static char *field(const char *name)
{
	cJSON *json = record_to_json(&change);
	char *text =
	    cJSON_PrintUnformatted(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "row"), name));
	cJSON_Delete(json);
	return text;
}

static void is(const char *name, const char *want)
{
	char *text = field(name);
	assert_string_equal(text, want);
	free(text);
}

SHOWS(a_row_of_dynamics_becomes_a_change)
{
	struct change_head head;
	struct error err;
	char id[37];

	assert_int_equal(
	    read_row(
		"{" ID VERSION
		",\"firstname\":\"Zoë \\\"Z\\\"\",\"annualincome\":922337203685477.5807,"
		"\"birthdate\":\"1969-12-31\",\"donotemail\":true,\"gendercode\":2,"
		"\"gendercode@OData.Community.Display.V1.FormattedValue\":\"Female\","
		"\"modifiedon\":\"2026-01-31T12:00:00Z\",\"_parentcustomerid_value\":"
		"\"AAAAAAAA-0000-4000-8000-000000000001\","
		"\"_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname\":\"account\","
		"\"_parentcustomerid_value@OData.Community.Display.V1.FormattedValue\":\"ACME\"}",
		id, &err),
	    OK);
	assert_string_equal(id, "6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21");
	change_get_head(&change, &head);
	assert_int_equal(head.op, CHANGE_UPSERT);
	assert_int_equal(head.epoch, 77);
	assert_int_equal(head.version, 1002520);
	assert_int_equal(head.origin, ORIGIN_DELTA);
	assert_int_equal(head.observed.ms, 5000);
	assert_true(head.modified.ms == 1769860800000);
	assert_string_equal(change_id(&change, NULL), id);
	is("firstname", "\"Zoë \\\"Z\\\"\"");
	is("annualincome", "\"922337203685477.5807\"");
	is("birthdate", "-1");
	is("donotemail", "true");
	is("gendercode", "{\"value\":2,\"label\":\"Female\"}");
	is("parentcustomerid",
	   "{\"id\":\"aaaaaaaa-0000-4000-8000-000000000001\",\"table\":\"account\","
	   "\"name\":\"ACME\"}");
}

SHOWS(a_row_without_a_selected_column_is_rejected)
{
	cJSON *json = cJSON_Parse("{" ID "\"versionnumber\":\"1\",\"firstname\":null}");
	struct error err;
	char id[37];

	assert_int_equal(
	    change_from_row(&class, json, 1, (wall_time){1}, ORIGIN_DELTA, &change, id, &err),
	    REJECT);
	assert_contains(err.text, "annualincome");
	cJSON_Delete(json);
}

/* A table with a column of each type that the saved metadata can hold. */
static void read_all_types(const char *row, const char *want)
{
	static const struct {
		const char *name, *kind;
	} kinds[] = {{"a_bigint", "BigInt"},
		     {"a_boolean", "Boolean"},
		     {"a_choice", "Picklist"},
		     {"a_customer", "Customer"},
		     {"a_date", "DateTime/DateOnly"},
		     {"a_decimal", "Decimal"},
		     {"a_double", "Double"},
		     {"a_file", "FileType"},
		     {"a_guid", "Uniqueidentifier"},
		     {"a_lookup", "Lookup"},
		     {"a_memo", "Memo"},
		     {"a_money", "Money"},
		     {"a_state", "State"},
		     {"a_status", "Status"},
		     {"a_string", "String"},
		     {"a_table", "EntityName"},
		     {"a_time", "DateTime"},
		     {"a_wall", "DateTime/TimeZoneIndependent"},
		     {"an_image", "ImageType"},
		     {"an_integer", "Integer"},
		     {"an_owner", "Owner"},
		     {"some_choices", "MultiSelectPicklistType"}};
	enum { KINDS = sizeof kinds / sizeof *kinds };
	const char *names[KINDS];
	struct table *t = table_new("new_all");
	struct table_class all;
	struct error err;
	avro_value_t value;
	char id[37];

	free(t->primary_id);
	t->primary_id = xstrdup("new_allid");
	for (size_t i = 0; i < KINDS; i++) {
		struct column *c = table_add(t, kinds[i].name, kinds[i].kind);
		assert_int_not_equal(c->type, COLUMN_OTHER);
		names[i] = kinds[i].name;
		if (!strcmp(kinds[i].kind, "MultiSelectPicklistType")) {
			column_add_option(c, 2, "Hiking; far");
			column_add_option(c, 9, "Swimming");
		}
	}
	table_sort(t);
	assert_int_equal(table_class_new(t, names, KINDS, &all, &err), OK);
	record_new(&all.record, &value);
	cJSON *json = json_parse_exact(&scratch, row, strlen(row));
	assert_non_null(json);
	for (size_t i = 0; i < KINDS; i++)
		if (!cJSON_HasObjectItem(json, all.columns[i].property))
			cJSON_AddNullToObject(json, all.columns[i].property);
	assert_int_equal(
	    change_from_row(&all, json, 1, (wall_time){1}, ORIGIN_DELTA, &value, id, &err), OK);
	cJSON *out = record_to_json(&value);
	char *text = cJSON_PrintUnformatted(cJSON_GetObjectItem(out, "row"));
	assert_string_equal(text, want);
	free(text);
	cJSON_Delete(out);
	cJSON_Delete(json);
	avro_value_decref(&value);
	table_class_free(&all);
	table_free(t);
}

SHOWS(every_type_that_can_be_read_is_read)
{
	read_all_types("{\"new_allid\":\"6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21\"," VERSION
		       ",\"a_bigint\":9223372036854775807,\"a_boolean\":false,\"a_choice\":-1,"
		       "\"_a_customer_value\":\"aaaaaaaa-0000-4000-8000-000000000001\","
		       "\"_a_customer_value@Microsoft.Dynamics.CRM.lookuplogicalname\":\"account\","
		       "\"a_date\":\"1970-01-02\",\"a_decimal\":0.10000,\"a_double\":1.5,"
		       "\"a_file\":\"AAAAAAAA-0000-4000-8000-000000000002\","
		       "\"a_guid\":\"AAAAAAAA-0000-4000-8000-000000000003\","
		       "\"_a_lookup_value\":\"aaaaaaaa-0000-4000-8000-000000000004\","
		       "\"a_memo\":\"line\\nline\",\"a_money\":922337203685477.5807,\"a_state\":0,"
		       "\"a_status\":1,\"a_string\":\"\",\"a_table\":\"contact\","
		       "\"a_time\":\"1970-01-01T00:00:01Z\",\"a_wall\":\"1970-01-01T00:00:02Z\","
		       "\"an_imageid\":\"aaaaaaaa-0000-4000-8000-000000000005\",\"an_integer\":-5,"
		       "\"_an_owner_value\":\"aaaaaaaa-0000-4000-8000-000000000006\","
		       "\"_an_owner_value@Microsoft.Dynamics.CRM.lookuplogicalname\":\"team\","
		       "\"_an_owner_value@OData.Community.Display.V1.FormattedValue\":\"Sales\","
		       "\"some_choices\":\"2,9,77\"}",
		       "{\"a_bigint\":9223372036854775807,\"a_boolean\":false,"
		       "\"a_choice\":{\"value\":-1,\"label\":null},"
		       "\"a_customer\":{\"id\":\"aaaaaaaa-0000-4000-8000-000000000001\","
		       "\"table\":\"account\",\"name\":null},"
		       "\"a_date\":1,\"a_decimal\":\"0.10000\",\"a_double\":1.5,"
		       "\"a_file\":\"aaaaaaaa-0000-4000-8000-000000000002\","
		       "\"a_guid\":\"aaaaaaaa-0000-4000-8000-000000000003\","
		       "\"a_lookup\":{\"id\":\"aaaaaaaa-0000-4000-8000-000000000004\","
		       "\"table\":null,\"name\":null},"
		       "\"a_memo\":\"line\\nline\",\"a_money\":\"922337203685477.5807\","
		       "\"a_state\":{\"value\":0,\"label\":null},"
		       "\"a_status\":{\"value\":1,\"label\":null},\"a_string\":\"\","
		       "\"a_table\":\"contact\",\"a_time\":1000,\"a_wall\":2000,"
		       "\"an_image\":\"aaaaaaaa-0000-4000-8000-000000000005\",\"an_integer\":-5,"
		       "\"an_owner\":{\"id\":\"aaaaaaaa-0000-4000-8000-000000000006\","
		       "\"table\":\"team\",\"name\":\"Sales\"},"
		       "\"some_choices\":[{\"value\":2,\"label\":\"Hiking; far\"},"
		       "{\"value\":9,\"label\":\"Swimming\"},{\"value\":77,\"label\":null}]}");
}

SHOWS(a_column_of_a_type_that_cannot_be_read_is_refused_by_name)
{
	static const char *const names[] = {"rules", "nothing"};
	struct table *t = table_new("new_all");
	struct table_class none;
	struct error err;

	table_add(t, "rules", "CalendarRules");
	assert_int_equal(table_class_new(t, names, 1, &none, &err), FATAL);
	assert_contains(err.text, "rules has a type");
	assert_int_equal(table_class_new(t, names + 1, 1, &none, &err), FATAL);
	assert_contains(err.text, "nothing does not exist");
	table_free(t);
}

SHOWS(what_is_null_is_null)
{
	struct error err;
	char id[37];

	assert_int_equal(
	    read_row("{" ID VERSION ",\"firstname\":null,\"gendercode\":null}", id, &err), OK);
	is("firstname", "null");
	is("gendercode", "null");
	is("birthdate", "null");
}

SHOWS(a_row_that_is_not_what_the_metadata_says_is_rejected_by_column)
{
	static const struct {
		const char *row, *word;
	} bad[] = {
	    {"{" ID VERSION ",\"firstname\":5.5}",
	     NULL}, /* a number is read as text, as it stands */
	    {"{" ID VERSION ",\"donotemail\":\"yes\"}", "donotemail"},
	    {"{" ID VERSION ",\"birthdate\":\"31.12.1969\"}", "birthdate"},
	    {"{" ID VERSION ",\"annualincome\":\"1e5\"}", "annualincome"},
	    {"{" ID VERSION ",\"gendercode\":\"male\"}", "gendercode"},
	    {"{" ID VERSION ",\"modifiedon\":\"yesterday\"}", "modifiedon"},
	    {"{" ID VERSION ",\"firstname\":{\"a\":1}}", "firstname"},
	    {"{" ID "\"versionnumber\":\"x\"}", "version"},
	    {"{" ID "\"firstname\":\"x\"}", "version"},
	    {"{" VERSION "}", "contactid"},
	    {"{\"contactid\":\"no-guid\"," VERSION "}", "contactid"},
	};
	struct error err;
	char id[37];

	for (size_t i = 1; i < sizeof bad / sizeof *bad; i++) {
		if (read_row(bad[i].row, id, &err) != REJECT)
			fail_msg("accepted: %s", bad[i].row);
		assert_contains(err.text, bad[i].word);
	}
}

SHOWS(a_rejected_row_shows_no_value)
{
	struct error err;
	char id[37];

	assert_int_equal(read_row("{" ID VERSION ",\"birthdate\":\"secret value\"}", id, &err),
			 REJECT);
	assert_null(strstr(err.text, "secret"));
}

SHOWS(a_delete_has_no_row)
{
	struct change_head head = {CHANGE_DELETE, 3, 9, {-1}, {5}, ORIGIN_DELTA}, back;

	avro_value_reset(&change);
	change_set_head(&change, "6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21", &head);
	change_get_head(&change, &back);
	assert_int_equal(back.op, CHANGE_DELETE);
	assert_int_equal(back.modified.ms, -1);
	cJSON *json = record_to_json(&change);
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(json, "row")));
	cJSON_Delete(json);
}

SHOWS(the_same_columns_make_the_same_bytes)
{
	static const char *const columns[] = {"annualincome",	 "birthdate",  "donotemail",
					      "firstname",	 "gendercode", "modifiedon",
					      "parentcustomerid"};
	struct table_class again;
	struct error err;

	assert_int_equal(table_class_new(contact, columns, 7, &again, &err), OK);
	assert_string_equal(again.record.json, class.record.json);
	table_class_free(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_row_of_dynamics_becomes_a_change),
	    cmocka_unit_test(every_type_that_can_be_read_is_read),
	    cmocka_unit_test(a_column_of_a_type_that_cannot_be_read_is_refused_by_name),
	    cmocka_unit_test(what_is_null_is_null),
	    cmocka_unit_test(a_row_without_a_selected_column_is_rejected),
	    cmocka_unit_test(a_row_that_is_not_what_the_metadata_says_is_rejected_by_column),
	    cmocka_unit_test(a_rejected_row_shows_no_value),
	    cmocka_unit_test(a_delete_has_no_row),
	    cmocka_unit_test(the_same_columns_make_the_same_bytes),
	};
	return cmocka_run_group_tests(tests, make, unmake);
}
