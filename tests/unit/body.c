#include "body.h"

#include "contacts.h"

/* Maps a row (NULL: a delete) with these keys of the contacts flow: its patch, to be freed, and, if
 * wanted, what makes it; returns the hash. */
static uint64_t made(const char *flow, const char *row, char **patch, char **create)
{
	char overlay[2000];
	struct problems p = {0};
	struct mapped_change change;
	struct buffer scratch = BUFFER(100000);
	struct error err;
	struct body body;
	avro_value_t source, target;
	uint64_t hash;

	snprintf(overlay, sizeof overlay, "flows: {contacts: {%s}}\n", flow);
	struct config *c = fixture_config(overlay, &p);
	struct mapping *m =
	    c ? mapping_compile(config_flow(c, "contacts"), contact, profile, &p) : NULL;
	if (!m) {
		char *text = problem_text(&p, 0);
		fail_msg("refused: %s", text);
	}
	record_new(&mapping_source(m)->record, &source);
	record_new(mapping_target(m), &target);
	cJSON *json = cJSON_Parse("{\"id\":\"a\",\"epoch\":1,\"version\":2,\"modified_at\":null,"
				  "\"observed_at\":5,\"origin\":\"delta\"}");
	cJSON_AddStringToObject(json, "op", row ? "upsert" : "delete");
	if (row)
		cJSON_AddItemToObject(json, "row", cJSON_Parse(row));
	assert_int_equal(record_from_json(json, &source, &err), OK);
	cJSON_Delete(json);
	assert_int_equal(mapping_apply(m, &source, false, &target, &change, &err), OK);
	assert_true(change.emit);
	assert_int_equal(body_of(m, &target, &body, &err), OK);
	assert_int_equal(body_hash(m, &target, &scratch, &hash, &err), OK);
	*patch = cJSON_PrintUnformatted(body.patch);
	if (create)
		*create = body.create ? cJSON_PrintUnformatted(body.create) : NULL;
	body_free(&body);
	buffer_free(&scratch);
	avro_value_decref(&source);
	avro_value_decref(&target);
	mapping_free(m);
	config_free(c);
	return hash;
}

/* The bodies must be these. */
static void bodies(const char *flow, const char *row, const char *patch, const char *create)
{
	char *have, *creates;

	made(flow, row, &have, &creates);
	assert_string_equal(have, patch);
	if (create)
		assert_string_equal(creates, create);
	else
		assert_null(creates);
	free(have);
	free(creates);
}

/* Rows with equal hashes have equal patches, and these have or have not. */
static void hashes(const char *flow, const char *a, const char *b, bool same)
{
	char *one, *other;

	assert_int_equal(made(flow, a, &one, NULL) == made(flow, b, &other, NULL), same);
	if (same)
		assert_string_equal(one, other);
	free(one);
	free(other);
}

SHOWS(what_would_be_written_differently_has_another_hash)
{
	const char *const flow =
	    "fields: [{from: firstname, to: firstName}, {from: lastname, to: lastName}, {from: "
	    "jobtitle, to: cusJobTitle, on: create}, {from: donotemail, to: blackListEmail}, "
	    "{from: "
	    "address1_city, to: location.city, when_null: keep}, {from: birthdate, to: birthDate}, "
	    "{from: annualincome, to: cusAnnualIncome}]";
	const char *const rows[] = {
	    "{}",
	    "{\"firstname\":\"a\"}",
	    "{\"lastname\":\"a\"}",
	    "{\"firstname\":\"ab\",\"lastname\":\"c\"}",
	    "{\"firstname\":\"a\",\"lastname\":\"bc\"}",
	    "{\"donotemail\":true}",
	    "{\"address1_city\":\"a\"}",
	    "{\"birthdate\":\"1980-02-29\"}",
	    "{\"birthdate\":\"1980-03-01\"}",
	    "{\"annualincome\":\"1.5\"}",
	    "{\"annualincome\":\"2.5\"}",
	    NULL,
	};

	for (size_t i = 0; rows[i]; i++)
		for (size_t k = 0; rows[k]; k++)
			hashes(flow, rows[i], rows[k], i == k);
	hashes(flow, "{\"jobtitle\":\"Cook\"}", "{\"jobtitle\":\"Baker\"}", true);
	hashes(flow, "{\"donotemail\":false}", "{}", true);
}

SHOWS(null_clears_or_is_left_alone_as_the_mapping_says)
{
	bodies("fields: [{from: firstname, to: firstName}]", "{}", "{\"firstName\":\"\"}",
	       "{\"firstName\":\"\"}");
	bodies("fields: [{from: firstname, to: firstName, when_null: keep}]", "{}", "{}", "{}");
	bodies("fields: [{from: donotemail, to: blackListEmail}]", "{\"donotemail\":false}", "{}",
	       "{}");
}

SHOWS(what_is_set_at_creation_is_in_no_patch)
{
	bodies("fields: [{from: firstname, to: firstName}, {from: jobtitle, to: cusJobTitle, on: "
	       "create}, {from: address1_city, to: location.city, on: create}]",
	       "{\"firstname\":\"Ann\",\"jobtitle\":\"Cook\",\"address1_city\":\"Rome\"}",
	       "{\"firstName\":\"Ann\"}",
	       "{\"cusJobTitle\":\"Cook\",\"firstName\":\"Ann\",\"location\":{\"city\":\"Rome\"}}");
}

SHOWS(dates_have_the_form_of_campaign)
{
	bodies("fields: [{from: birthdate, to: birthDate}, {from: modifiedon, to: cusModifiedOn}]",
	       "{\"birthdate\":\"1980-02-29\",\"modifiedon\":\"2026-01-02T03:04:05Z\"}",
	       "{\"birthDate\":\"1980-02-29\",\"cusModifiedOn\":\"2026-01-02 03:04:05.000Z\"}",
	       "{\"birthDate\":\"1980-02-29\",\"cusModifiedOn\":\"2026-01-02 03:04:05.000Z\"}");
}

SHOWS(a_deactivation_touches_what_it_names_and_makes_nothing)
{
	static const char flow[] =
	    "deletes: deactivate, deactivate: {cusStatus: gone, location.city: Nowhere}, fields: "
	    "[{from: firstname, to: firstName}, {from: address1_line1, to: location.address1}]";

	bodies(flow, NULL, "{\"cusStatus\":\"gone\",\"location\":{\"city\":\"Nowhere\"}}", NULL);
	/* And at other times it leaves alone what only it names. */
	bodies(flow, "{\"firstname\":\"Ann\"}",
	       "{\"firstName\":\"Ann\",\"location\":{\"address1\":\"\"}}",
	       "{\"firstName\":\"Ann\",\"location\":{\"address1\":\"\"}}");
}

SHOWS(a_record_from_before_the_mapping_changed_clears_nothing)
{
	struct problems p = {0};
	struct error err;
	struct body body;
	struct record_class old;
	avro_value_t change, field, row;
	struct change_head head = {CHANGE_UPSERT, 1, 1, {-1}, {5}, ORIGIN_DELTA};
	char *schema =
	    change_target_schema("t", "{\"type\":\"record\",\"name\":\"profile\",\"fields\":[{"
				      "\"name\":\"firstName\",\"type\":[\"null\","
				      "\"string\"],\"default\":null},{\"name\":\"gone\","
				      "\"type\":[\"null\",\"string\"],\"default\":null}]}");
	struct config *c = fixture_config(NULL, &p);
	struct mapping *m = mapping_compile(config_flow(c, "contacts"), contact, profile, &p);

	assert_int_equal(record_class_new(&old, schema, &err), OK);
	free(schema);
	record_new(&old, &change);
	change_set_head(&change, "a", &head);
	field = record_field(&change, CHANGE_ROW);
	row = record_set_some(&field);
	field = record_field(&row, 0);
	record_set_null(&field);
	field = record_field(&row, 1);
	record_set_null(&field);
	assert_int_equal(body_of(m, &change, &body, &err), OK);
	char *text = cJSON_PrintUnformatted(body.patch);
	assert_string_equal(text, "{\"firstName\":\"\"}");
	free(text);
	body_free(&body);
	avro_value_decref(&change);
	record_class_free(&old);
	mapping_free(m);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_would_be_written_differently_has_another_hash),
	    cmocka_unit_test(null_clears_or_is_left_alone_as_the_mapping_says),
	    cmocka_unit_test(what_is_set_at_creation_is_in_no_patch),
	    cmocka_unit_test(dates_have_the_form_of_campaign),
	    cmocka_unit_test(a_deactivation_touches_what_it_names_and_makes_nothing),
	    cmocka_unit_test(a_record_from_before_the_mapping_changed_clears_nothing),
	};
	return cmocka_run_group_tests(tests, make, unmake);
}
