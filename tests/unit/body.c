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

/* The patch that a record of this schema becomes: a member of the row, its type, and its JSON. */
static void patch_of(const char *flow, const char *member, const char *type, const char *value,
		     const char *patch)
{
	char overlay[2000], row[500];
	struct problems p = {0};
	struct error err;
	struct body body;
	struct record_class other;
	avro_value_t change;

	snprintf(overlay, sizeof overlay, "flows: {contacts: {%s}}\n", flow);
	struct config *c = fixture_config(overlay, &p);
	struct mapping *m = mapping_compile(config_flow(c, "contacts"), contact, profile, &p);
	assert_non_null(m);
	snprintf(row, sizeof row,
		 "{\"type\":\"record\",\"name\":\"profile\",\"fields\":[{\"name\":\"%s\","
		 "\"type\":[\"null\",\"%s\"],\"default\":null}]}",
		 member, type);
	char *schema = change_target_schema("t", row);
	assert_int_equal(record_class_new(&other, schema, &err), OK);
	free(schema);
	record_new(&other, &change);
	snprintf(row, sizeof row,
		 "{\"op\":\"upsert\",\"id\":\"a\",\"epoch\":1,\"version\":1,\"observed_at\":5,"
		 "\"origin\":\"delta\",\"row\":{\"%s\":%s}}",
		 member, value);
	cJSON *json = cJSON_Parse(row);
	assert_int_equal(record_from_json(json, &change, &err), OK);
	cJSON_Delete(json);
	assert_int_equal(body_of(m, &change, &body, &err), OK);
	char *text = cJSON_PrintUnformatted(body.patch);
	assert_string_equal(text, patch);
	free(text);
	text = cJSON_PrintUnformatted(body.create);
	assert_string_equal(text, patch);
	free(text);
	body_free(&body);
	avro_value_decref(&change);
	record_class_free(&other);
	mapping_free(m);
	config_free(c);
}

SHOWS(a_record_from_before_the_mapping_changed_clears_nothing)
{
	static const char fields[] =
	    "fields: [{from: firstname, to: firstName}, {from: lastname, to: lastName}]";

	patch_of(fields, "firstName", "string", "null", "{\"firstName\":\"\"}");
	patch_of(fields, "gone", "string", "null", "{}");
	patch_of(fields, "gone", "string", "\"still here\"", "{}");
}

/* Whoever wrote the record: another mapping, another program. */
SHOWS(a_loader_never_gives_consent)
{
	static const char fields[] = "fields: [{from: donotemail, to: blackListEmail}]";
	static const char both[] = "consent: dynamics-to-campaign, fields: [{from: donotemail, to: "
				   "blackListEmail}]";

	patch_of(fields, "blackListEmail", "boolean", "true", "{\"blackListEmail\":true}");
	patch_of(fields, "blackListEmail", "boolean", "false", "{}");
	patch_of(fields, "blackListEmail", "boolean", "null", "{}");
	patch_of(fields, "blackListEmail", "string", "\"false\"", "{}");
	patch_of(fields, "blackListEmail", "string", "\"true\"", "{}");
	patch_of(fields, "blackListEmail", "long", "0", "{}");
	patch_of(both, "blackListEmail", "boolean", "false", "{\"blackListEmail\":false}");
	patch_of(both, "blackListEmail", "boolean", "null", "{}");
}

/* The parent that a card of this link waits for; "" for none. */
static void waits_for(const char *link, const char *row, const char *parent)
{
	char overlay[500], text[1000];
	struct problems p = {0};
	struct error err;
	struct table *table = NULL;
	struct resource *resource = NULL;
	struct mapped_change change;
	avro_value_t source, target, field, some;

	snprintf(overlay, sizeof overlay, "flows: {loyalty-cards: {links: [%s]}}\n", link);
	struct config *c = fixture_config(overlay, &p);
	const struct flow *flow = config_flow(c, "loyalty-cards");
	assert_int_equal(table_load("deploy/metadata", "new_loyaltycard", &table, &err), OK);
	assert_int_equal(resource_load("deploy/metadata", "cusLoyaltyCard", &resource, &err), OK);
	struct mapping *m = mapping_compile(flow, table, resource, &p);
	assert_non_null(m);
	record_new(&mapping_source(m)->record, &source);
	record_new(mapping_target(m), &target);
	snprintf(text, sizeof text,
		 "{\"op\":\"upsert\",\"id\":\"a\",\"epoch\":1,\"version\":1,\"observed_at\":5,"
		 "\"origin\":\"delta\",\"row\":%s}",
		 row);
	cJSON *json = cJSON_Parse(text);
	assert_int_equal(record_from_json(json, &source, &err), OK);
	cJSON_Delete(json);
	assert_int_equal(mapping_apply(m, &source, false, &target, &change, &err), OK);
	field = record_field(&target, CHANGE_ROW);
	assert_true(record_some(&field, &some));
	const char *key = body_parent(&flow->fields[flow->field_count - 1], &some);
	assert_string_equal(key ? key : "", parent);
	assert_null(body_parent(&flow->fields[0], &some)); /* which is no link */
	avro_value_decref(&source);
	avro_value_decref(&target);
	mapping_free(m);
	table_free(table);
	resource_free(resource);
	config_free(c);
}

SHOWS(a_record_waits_for_the_parent_that_it_needs)
{
	static const char row[] = "{\"new_contactid\":{\"id\":\"ann\",\"table\":\"contact\"}}";
	static const char join[] = "{from: new_contactid, to: profile, column: contactId}";
	static const char must[] =
	    "{from: new_contactid, to: profile, column: contactId, required: true}";
	static const char key[] = "{from: new_contactid, to: profile, mode: key, link: profile}";
	static const char pkey[] = "{from: new_contactid, to: profile, mode: pkey, link: profile}";

	waits_for(join, row, "");
	waits_for(must, row, "ann");
	waits_for(key, row, "ann");
	waits_for(pkey, row, "ann");
	waits_for(key, "{}", "");
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
	    cmocka_unit_test(a_loader_never_gives_consent),
	    cmocka_unit_test(a_record_waits_for_the_parent_that_it_needs),
	};
	return cmocka_run_group_tests(tests, make, unmake);
}
