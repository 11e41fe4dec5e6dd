#include "mapping.h"

#include "contacts.h"
#include "wire.h"

/* The contacts flow with only these fields. */
static struct config *config_of(const char *fields)
{
	struct problems p = {0};
	char overlay[2000];

	snprintf(overlay, sizeof overlay, "flows: {contacts: {fields: [%s]}}\n", fields);
	struct config *c = fixture_config(overlay, &p);
	if (!c)
		fail_msg("the fields are no configuration: %s", fields);
	return c;
}

static void refused(const char *fields, const char *word)
{
	struct problems p = {0};
	struct config *c = config_of(fields);
	struct mapping *m = mapping_compile(config_flow(c, "contacts"), contact, profile, &p);

	if (m)
		fail_msg("accepted: %s", fields);
	if (!fixture_says(&p, word)) {
		char *text = problem_text(&p, 0);
		fail_msg("\"%s\" is not said of %s, but %s", word, fields, text);
	}
	problems_free(&p);
	config_free(c);
}

SHOWS(mappings_that_cannot_be_are_refused)
{
	refused("{from: forename, to: firstName}", "forename");
	refused("{from: firstname, to: forename}", "forename");
	refused("{from: firstname, to: firstName}, {from: lastname, to: firstName}", "firstName");
	refused("{from: firstname, to: birthDate}", "birthDate");
	refused("{from: firstname, to: age}", "age");
	refused("{from: firstname, to: externalId}", "externalId");
	refused("{from: firstname, to: location}", "location");
	refused("{from: donotemail, to: firstName, picklist: label}", "donotemail");
	refused("{from: firstname, to: firstName, lookup: name}", "firstname");
	refused("{from: gendercode, to: gender, values: {1: man}}", "man");
	refused("{from: gendercode, to: gender, values: {7: male}}", "7");
	refused("{from: gendercode, to: gender, default: neither}", "neither");
	refused("{from: birthdate, to: cusChildren}", "birthdate");
}

SHOWS(consent_is_never_given_by_accident)
{
	/* Whatever says false in so many words, for each of the eight. */
	static const char *const says_false[] = {
	    "{from: donotemail, to: %s, default: false}",
	    "{constant: \"false\", to: %s}",
	    "{from: donotemail, to: %s, values: {true: false}}",
	    "{from: gendercode, to: %s, values: {1: true}, otherwise: false}",
	    "{from: donotemail, to: %s, when_null: clear}",
	};
	for (size_t i = 0; consent_flags[i]; i++)
		for (size_t k = 0; k < sizeof says_false / sizeof *says_false; k++) {
			char fields[200];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(fields, sizeof fields, says_false[k], consent_flags[i]);
#pragma GCC diagnostic pop
			refused(fields, consent_flags[i]);
		}
}

SHOWS(the_eight_flags_are_these)
{
	static const char *const eight[] = {"blackList",
					    "blackListEmail",
					    "blackListFax",
					    "blackListMobile",
					    "blackListPhone",
					    "blackListPostalMail",
					    "blackListPushnotification",
					    "ccpaOptOut"};
	for (size_t k = 0; k < 8; k++) {
		bool found = false;
		for (size_t i = 0; consent_flags[i]; i++)
			found |= !strcmp(consent_flags[i], eight[k]);
		if (!found)
			fail_msg("%s is not guarded", eight[k]);
	}
}

/* Whatever is made of a change can be written. */
static void is_avro(avro_value_t *target)
{
	struct buffer out = BUFFER(1 << 20);
	struct error err;

	if (wire_encode(1, target, &out, &err) != OK)
		fail_msg("no Avro: %s", err.text);
	buffer_free(&out);
}

/* Maps one row, given as JSON of the source record's row; returns the target's row. */
static enum result map(const char *fields, const char *row, char *out, size_t size,
		       struct error *err)
{
	struct problems p = {0};
	struct config *c = config_of(fields);
	struct mapping *m = mapping_compile(config_flow(c, "contacts"), contact, profile, &p);
	avro_value_t source, target;

	if (!m) {
		char *text = problem_text(&p, 0);
		fail_msg("refused: %s", text);
	}
	record_new(&mapping_source(m)->record, &source);
	record_new(mapping_target(m), &target);
	cJSON *json =
	    cJSON_Parse("{\"op\":\"upsert\",\"id\":\"6f2d6c1e-3f0b-4d58-9a49-5a1f0c8b7e21\","
			"\"epoch\":1,\"version\":2,\"modified_at\":null,\"observed_at\":5,"
			"\"origin\":\"delta\"}");
	cJSON_AddItemToObject(json, "row", row ? cJSON_Parse(row) : cJSON_CreateNull());
	if (!row)
		cJSON_SetValuestring(cJSON_GetObjectItem(json, "op"), "delete");
	enum result r = record_from_json(json, &source, err);
	if (r != OK)
		fail_msg("the row is no source record: %s", err->text);
	cJSON_Delete(json);
	struct mapped_change change;
	r = mapping_apply(m, &source, false, &target, &change, err);
	if (r == OK) {
		is_avro(&target);
		json = record_to_json(&target);
		char *text = cJSON_PrintUnformatted(cJSON_GetObjectItem(json, "row"));
		snprintf(out, size, "%s", text);
		free(text);
		cJSON_Delete(json);
	}
	avro_value_decref(&source);
	avro_value_decref(&target);
	mapping_free(m);
	config_free(c);
	return r;
}

static void maps(const char *fields, const char *row, const char *want)
{
	struct error err;
	char out[4000];

	if (map(fields, row, out, sizeof out, &err) != OK)
		fail_msg("rejected: %s", err.text);
	assert_string_equal(out, want);
}

static void rejects(const char *fields, const char *row, const char *word)
{
	struct error err;
	char out[4000];

	if (map(fields, row, out, sizeof out, &err) != REJECT)
		fail_msg("not rejected: %s", row);
	assert_contains(err.text, word);
}

SHOWS(no_false_gets_past_the_guard_however_it_is_made)
{
	static const struct {
		const char *field, *row;
	} made[] = {
	    {"{from: donotemail, to: %s}", "{\"donotemail\":false}"},
	    {"{from: donotemail, to: %s}", "{}"},
	    {"{from: donotemail, to: %s, convert: invert}", "{\"donotemail\":true}"},
	    {"{any: [donotemail, donotfax], to: %s}", "{\"donotemail\":false,\"donotfax\":false}"},
	    {"{from: nickname, to: %s, values: {yes: true}, otherwise: ~}",
	     "{\"nickname\":\"no\"}"},
	};
	for (size_t i = 0; consent_flags[i]; i++)
		for (size_t k = 0; k < sizeof made / sizeof *made; k++) {
			char field[200], want[100];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(field, sizeof field, made[k].field, consent_flags[i]);
#pragma GCC diagnostic pop
			snprintf(want, sizeof want, "{\"%s\":null}", consent_flags[i]);
			maps(field, made[k].row, want);
		}
}

SHOWS(fields_are_renamed_and_nested)
{
	maps("{from: firstname, to: firstName}", "{\"firstname\":\"Ann 😀\"}",
	     "{\"firstName\":\"Ann 😀\"}");
	maps("{from: address1_city, to: location.city}, {from: address1_line1, to: "
	     "location.address1}",
	     "{\"address1_city\":\"Köln\",\"address1_line1\":null}",
	     "{\"location\":{\"address1\":null,\"city\":\"Köln\"}}");
}

SHOWS(choices_are_mapped_by_value_label_or_replacement)
{
	static const char row[] = "{\"gendercode\":{\"value\":2,\"label\":\"Female\"}}";

	maps("{from: gendercode, to: cusStatus}", row, "{\"cusStatus\":\"2\"}");
	maps("{from: gendercode, to: cusStatus, picklist: label}", row,
	     "{\"cusStatus\":\"Female\"}");
	maps("{from: gendercode, to: gender, values: {1: male, 2: female}, default: unknown}", row,
	     "{\"gender\":\"female\"}");
	maps("{from: gendercode, to: gender, values: {1: male, 2: female}, default: unknown}",
	     "{\"gendercode\":null}", "{\"gender\":\"unknown\"}");
}

SHOWS(a_flag_of_consent_is_true_or_left_alone)
{
	maps("{from: donotemail, to: blackListEmail}", "{\"donotemail\":true}",
	     "{\"blackListEmail\":true}");
	maps("{from: donotemail, to: blackListEmail}", "{\"donotemail\":false}",
	     "{\"blackListEmail\":null}");
	maps("{from: donotemail, to: blackListEmail}", "{\"donotemail\":null}",
	     "{\"blackListEmail\":null}");
}

SHOWS(a_loader_leaves_flags_alone_and_clears_the_rest)
{
	struct problems p = {0};
	struct config *c = fixture_config(NULL, &p);
	struct mapping *m = mapping_compile(config_flow(c, "contacts"), contact, profile, &p);

	assert_non_null(m);
	assert_true(mapping_attribute(m, "blackListEmail")->null_keeps);
	assert_false(mapping_attribute(m, "location.city")->null_keeps);
	assert_null(mapping_attribute(m, "age"));
	mapping_free(m);
	config_free(c);
}

SHOWS(a_text_that_is_too_long_is_rejected_not_cut)
{
	char row[400];

	maps("{from: firstname, to: firstName}",
	     "{\"firstname\":\"éééééééééééééééééééééééééééééé\"}", /* 30 characters, 60 bytes */
	     "{\"firstName\":\"éééééééééééééééééééééééééééééé\"}");
	snprintf(row, sizeof row, "{\"firstname\":\"%s\"}", "1234567890123456789012345678901");
	rejects("{from: firstname, to: firstName}", row, "firstName");
}

SHOWS(a_value_that_the_target_does_not_know_is_rejected)
{
	rejects("{from: nickname, to: gender, values: {m: male}}", "{\"nickname\":\"f\"}",
		"gender");
}

SHOWS(money_fits_a_text_exactly_and_a_number_nearly)
{
	maps("{from: annualincome, to: cusStatus}", "{\"annualincome\":\"922337203685477.5807\"}",
	     "{\"cusStatus\":\"922337203685477.5807\"}");
	maps("{from: annualincome, to: cusAnnualIncome}", "{\"annualincome\":\"-1.5000\"}",
	     "{\"cusAnnualIncome\":-1.5}");
}

SHOWS(a_delete_stays_a_delete)
{
	maps("{from: firstname, to: firstName}", NULL, "null");
}

/* What these keys of the flow make of a change; "delete" and "tombstone" as the topic gets them. */
static const char *becomes(const char *flow, const char *change, bool lacks, bool *passes)
{
	char overlay[500];
	struct problems p = {0};
	struct error err;
	struct mapped_change out;
	struct change_head head;
	avro_value_t source, target;

	snprintf(overlay, sizeof overlay,
		 "flows: {contacts: {fields: [{from: firstname, to: firstName}], %s}}\n", flow);
	struct config *c = fixture_config(overlay, &p);
	struct mapping *m = mapping_compile(config_flow(c, "contacts"), contact, profile, &p);
	assert_non_null(m);
	record_new(&mapping_source(m)->record, &source);
	record_new(mapping_target(m), &target);
	cJSON *json = cJSON_Parse(change);
	assert_int_equal(record_from_json(json, &source, &err), OK);
	cJSON_Delete(json);
	assert_int_equal(mapping_apply(m, &source, lacks, &target, &out, &err), OK);
	const char *what = "nothing";
	if (out.emit) {
		is_avro(&target);
		change_get_head(&target, &head);
		what = head.op == CHANGE_DELETE	  ? out.tombstone ? "delete, tombstone" : "delete"
		       : head.op == CHANGE_UPDATE ? "update"
						  : "upsert";
		assert_true(head.op == CHANGE_DELETE || !out.tombstone);
	}
	*passes = mapping_passes_tombstones(m);
	avro_value_decref(&source);
	avro_value_decref(&target);
	mapping_free(m);
	config_free(c);
	return what;
}

SHOWS(a_key_is_forgotten_only_behind_a_delete)
{
#define HEAD "\"id\":\"a\",\"epoch\":1,\"version\":2,\"observed_at\":5,\"origin\":\"delta\""
	static const char gone[] = "{\"op\":\"delete\"," HEAD "}";
	static const char merged[] = "{\"op\":\"upsert\"," HEAD ",\"row\":{\"merged\":true}}";
	static const char out[] = "{\"op\":\"upsert\"," HEAD ",\"row\":{\"firstname\":\"Ann\"}}";
#undef HEAD
	static const struct {
		const char *flow, *change, *becomes;
		bool passes;
	} rows[] = {
	    /* Behind a delete of the source comes its own tombstone. */
	    {"deletes: apply", gone, "delete", true},
	    {"deletes: apply", merged, "delete, tombstone", true},
	    {"deletes: ignore", gone, "nothing", false},
	    {"deletes: ignore", merged, "nothing", false},
	    {"deletes: deactivate, deactivate: {cusStatus: gone}", gone, "update", false},
	    {"deletes: deactivate, deactivate: {cusStatus: gone}", merged, "update", false},
	    {"deletes: deactivate, deactivate: {cusStatus: gone, location.city: none}", out,
	     "upsert", false},
	    {"filter: {column: firstname, is: Bob}", out, "nothing", true},
	    {"filter: {column: firstname, is: Bob}, filtered_out: delete", out, "delete, tombstone",
	     true},
	    {"filter: {column: firstname, is: Ann}, filtered_out: delete", out, "upsert", true},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool passes;
		const char *what = becomes(rows[i].flow, rows[i].change, false, &passes);
		if (strcmp(what, rows[i].becomes) || passes != rows[i].passes)
			fail_msg("%s: %s, and a tombstone %s", rows[i].flow, what,
				 passes ? "passes" : "stays out");
	}
}

SHOWS(a_row_without_a_column_of_the_filter_is_not_judged)
{
	static const char row[] = "{\"op\":\"upsert\",\"id\":\"a\",\"epoch\":1,\"version\":2,"
				  "\"observed_at\":5,\"origin\":\"delta\",\"row\":{}}";
	static const char flow[] = "filter: {column: firstname, is: Bob}, filtered_out: delete";
	bool passes;

	assert_string_equal(becomes(flow, row, false, &passes), "delete, tombstone");
	assert_string_equal(becomes(flow, row, true, &passes), "nothing");
}

SHOWS(an_extractor_selects_what_is_mapped_and_no_more)
{
	struct problems p = {0};
	struct config *c =
	    config_of("{from: lastname, to: lastName}, {from: firstname, to: firstName}, "
		      "{from: firstname, to: cusStatus}");
	struct mapping *m = mapping_compile(config_flow(c, "contacts"), contact, profile, &p);
	size_t n;
	const char *const *columns = mapping_columns(m, &n);

	assert_int_equal(n, 3);
	assert_string_equal(columns[0], "firstname");
	assert_string_equal(columns[1], "lastname");
	assert_string_equal(columns[2], "merged"); /* who lost a merge must be known */
	const char *const *attributes = mapping_attributes(m, &n);
	assert_int_equal(n, 3);
	assert_string_equal(attributes[0], "cusStatus");
	assert_string_equal(attributes[1], "firstName");
	assert_string_equal(attributes[2], "lastName");
	mapping_free(m);
	config_free(c);
}

SHOWS(the_same_mapping_makes_the_same_schema)
{
	char *first = NULL;

	for (int i = 0; i < 2; i++) {
		struct problems p = {0};
		/* The order of the fields does not matter. */
		struct config *c =
		    config_of(i ? "{from: lastname, to: lastName}, {from: fax, to: fax}"
				: "{from: fax, to: fax}, {from: lastname, to: lastName}");
		struct mapping *m =
		    mapping_compile(config_flow(c, "contacts"), contact, profile, &p);
		if (first)
			assert_string_equal(mapping_target(m)->json, first);
		else
			first = strdup(mapping_target(m)->json);
		mapping_free(m);
		config_free(c);
	}
	free(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mappings_that_cannot_be_are_refused),
	    cmocka_unit_test(consent_is_never_given_by_accident),
	    cmocka_unit_test(no_false_gets_past_the_guard_however_it_is_made),
	    cmocka_unit_test(the_eight_flags_are_these),
	    cmocka_unit_test(fields_are_renamed_and_nested),
	    cmocka_unit_test(choices_are_mapped_by_value_label_or_replacement),
	    cmocka_unit_test(a_flag_of_consent_is_true_or_left_alone),
	    cmocka_unit_test(a_loader_leaves_flags_alone_and_clears_the_rest),
	    cmocka_unit_test(a_text_that_is_too_long_is_rejected_not_cut),
	    cmocka_unit_test(a_value_that_the_target_does_not_know_is_rejected),
	    cmocka_unit_test(money_fits_a_text_exactly_and_a_number_nearly),
	    cmocka_unit_test(a_delete_stays_a_delete),
	    cmocka_unit_test(a_key_is_forgotten_only_behind_a_delete),
	    cmocka_unit_test(a_row_without_a_column_of_the_filter_is_not_judged),
	    cmocka_unit_test(an_extractor_selects_what_is_mapped_and_no_more),
	    cmocka_unit_test(the_same_mapping_makes_the_same_schema),
	};
	return cmocka_run_group_tests(tests, make, unmake);
}
