#include "config.h"

#include "fixture.h"

SHOWS(the_example_has_three_flows)
{
	struct problems p = {0};
	struct config *c = fixture_config(NULL, &p);

	assert_non_null(c);
	assert_string_equal(c->name, "tideway");
	assert_int_equal(c->flow_count, 3);
	const struct flow *f = config_flow(c, "contacts");
	assert_string_equal(f->table, "contact");
	assert_string_equal(f->key, "externalId");
	assert_int_equal(f->deletes, DELETES_APPLY);
	assert_int_equal(f->poll_ms, 60000);
	assert_int_equal(f->max_in_flight, 32);
	assert_string_equal(config_kafka(c, "bootstrap.servers", "?"), "127.0.0.1:1");
	assert_string_equal(config_kafka(c, "linger.ms", "none"), "none");
	f = config_flow(c, "email-events");
	assert_true(f->has_since);
	assert_true(f->activities[EVENT_CLICK].on);
	assert_string_equal(f->tracking.columns[LOG_URL_TYPE], "urlType");
	assert_null(config_flow(c, "nothing"));
	config_free(c);
}

SHOWS(tuning_has_the_defaults_of_the_page)
{
	struct problems p = {0};
	struct config *c =
	    fixture_config("flows: {contacts: {poll: ~, max_deletes: ~, max_in_flight: "
			   "~}, loyalty-cards: {changes: full}}\n",
			   &p);
	const struct flow *f = config_flow(c, "contacts");

	assert_int_equal(f->poll_ms, 60000);
	assert_int_equal(f->poll_min_ms, 5000);
	assert_int_equal(f->page_size, 5000);
	assert_int_equal(f->commit_interval_ms, 100);
	assert_int_equal(f->max_in_flight, 32);
	assert_int_equal(f->request_timeout_ms, 30000);
	assert_int_equal(f->overlap_ms, 300000);
	assert_int_equal(f->orphan_after_ms, 7 * 86400000);
	assert_true(f->max_deletes_share == 0.01 && f->max_deletes_count == -1);
	assert_false(f->insert_first || f->consent_both || f->v8 || f->filtered_out_delete);
	assert_null(f->filter_name);
	f = config_flow(c, "loyalty-cards"); /* a full read is heavy */
	assert_int_equal(f->poll_ms, 3600000);
	assert_int_equal(f->poll_min_ms, 3600000);
	config_free(c);
}

SHOWS(tuning_is_taken_as_it_is_written)
{
	struct problems p = {0};
	struct config *c = fixture_config(
	    "flows: {contacts: {poll: {min: 1s, max: 2m}, max_deletes: 2.5%, changes: modifiedon, "
	    "overlap: 10m, on_unknown: post, address: filter, address_filter: {name: byId, "
	    "parameter: id_parameter}}, loyalty-cards: {poll: 7s, max_deletes: 12}}\n",
	    &p);
	const struct flow *f = config_flow(c, "contacts");

	assert_int_equal(f->poll_min_ms, 1000);
	assert_int_equal(f->poll_ms, 120000);
	assert_true(f->max_deletes_share == 0.025);
	assert_int_equal(f->overlap_ms, 600000);
	assert_true(f->insert_first);
	assert_string_equal(f->filter_name, "byId");
	assert_string_equal(f->filter_parameter, "id_parameter");
	f = config_flow(c, "loyalty-cards"); /* one interval is both */
	assert_int_equal(f->poll_min_ms, 7000);
	assert_int_equal(f->poll_ms, 7000);
	assert_int_equal(f->max_deletes_count, 12);
	config_free(c);
	c = fixture_config("flows: {contacts: {max_deletes: 100%}}\n", &p);
	assert_true(config_flow(c, "contacts")->max_deletes_share == 1);
	config_free(c);
	c = fixture_config("flows: {contacts: {max_deletes: 0}}\n", &p);
	assert_int_equal(config_flow(c, "contacts")->max_deletes_count, 0);
	config_free(c);
}

/* The overlay must be refused, with the word. */
static void refused(const char *overlay, const char *word)
{
	struct problems p = {0};
	struct config *c = fixture_config(overlay, &p);

	if (c)
		fail_msg("accepted: %s", overlay);
	if (!fixture_says(&p, word)) {
		char *first = problem_text(&p, 0);
		fail_msg("\"%s\" is not said of %s, but: %s", word, overlay, first);
	}
	problems_free(&p);
}

SHOWS(mistakes_are_refused_by_name)
{
	refused("nonsense: 1\n", "nonsense");
	refused("name: Big Name\n", "name");
	refused("flows: {contacts: {pol: 5s}}\n", "pol");
	refused("flows: {contacts: {poll: 5}}\n", "poll");
	refused("flows: {contacts: {max_in_flight: 0}}\n", "max_in_flight");
	refused("flows: {Bad_Name: {kind: contacts}}\n", "name");
	refused("flows: {contacts: {kind: people}}\n", "kind");
	refused("flows: {contacts: {fields: {a: b}}}\n", "fields");
	refused("flows: {contacts: {fields: [{from: a}]}}\n", "to");
	refused("flows: {email-events: {since: yesterday}}\n", "since");
	refused("flows: {email-events: {files: {sending: {columns: {id: ~}}}}}\n", "id");
	refused("flows: {email-events: {activities: {opened: {table: x}}}}\n", "opened");
	refused("topics: {partitions: 0}\n", "partitions");
	refused("flows: {contacts: {max_deletes: 101%}}\n", "max_deletes");
	refused("flows: {contacts: {max_deletes: -1}}\n", "max_deletes");
	refused("flows: {contacts: {max_deletes: 5%%}}\n", "max_deletes");
	refused("flows: {contacts: {max_deletes: \"%\"}}\n", "max_deletes");
	refused("flows: {contacts: {poll: {min: 2m, max: 1m}}}\n",
		"\"min\" is longer than \"max\"");
	refused("flows: {contacts: {overlap: 5m}}\n", "overlap");
	refused("flows: {contacts: {page_size: 5001}}\n", "page_size");
	refused("flows: {contacts: {links: profile}}\n", "links");
	refused("flows: {contacts: {fields: []}}\n", "fields");
	refused("flows: {contacts: {address: filter}}\n", "address_filter");
	refused("flows: {contacts: {address_filter: {name: a, parameter: b}}}\n",
		"address: filter");
	refused("flows: {contacts: {address: filter, address_filter: {name: a}}}\n", "parameter");
	refused("flows: {contacts: {deactivate: {cusStatus: gone}}}\n", "deletes: deactivate");
	refused("flows: {contacts: {deletes: deactivate, deactivate: [a]}}\n", "deactivate");
	refused("flows: {contacts: {deletes: deactivate, deactivate: {}}}\n", "deactivate");
	refused("flows: {\"\": {kind: contacts}}\n", "name");
	refused("flows: {contacts: 5}\n", "a flow is a mapping");
	refused("flows: {another: {table: account}}\n", "kind");
	refused("connections: {dataverse: {url: \"ftp://x\"}}\n", "https://");
	refused("connections: {dataverse: {secret: x}}\n", "secret");
}

static struct flow contacts_with(const char *overlay)
{
	struct problems p = {0};
	struct config *c = fixture_config(overlay, &p);

	assert_non_null(c);
	struct flow f = *config_flow(c, "contacts"); /* its numbers outlive c */
	config_free(c);
	return f;
}

SHOWS(the_deletes_that_need_no_approval_are_a_share_or_a_number)
{
	struct flow f = contacts_with(NULL);

	assert_float_equal(f.max_deletes_share, 0.01, 1e-9);
	assert_int_equal(f.max_deletes_count, -1);
	f = contacts_with("flows: {contacts: {max_deletes: 2.5%}}\n");
	assert_float_equal(f.max_deletes_share, 0.025, 1e-9);
	assert_int_equal(f.max_deletes_count, -1);
	f = contacts_with("flows: {contacts: {max_deletes: 0}}\n");
	assert_int_equal(f.max_deletes_count, 0);
	f = contacts_with("flows: {contacts: {max_deletes: 500}}\n");
	assert_int_equal(f.max_deletes_count, 500);
	refused("flows: {contacts: {max_deletes: 101%}}\n", "max_deletes");
	refused("flows: {contacts: {max_deletes: -1}}\n", "max_deletes");
	refused("flows: {contacts: {max_deletes: many}}\n", "max_deletes");
}

SHOWS(several_mistakes_are_said_at_once)
{
	struct problems p = {0};

	assert_null(fixture_config("name: A\nflows: {contacts: {poll: x, key: [1]}}\n", &p));
	assert_true(p.count >= 3);
	problems_free(&p);
}

SHOWS(settings_that_carry_a_guarantee_are_refused_with_the_reason)
{
	static const char *const guarded[] = {"enable.auto.commit", "enable.auto.offset.store",
					      "auto.offset.reset",  "isolation.level",
					      "enable.idempotence", "transactional.id",
					      "group.id",	    "acks",
					      "partitioner"};
	for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++) {
		char overlay[200];
		snprintf(overlay, sizeof overlay, "connections: {kafka: {%s: x}}\n", guarded[i]);
		refused(overlay, guarded[i]);
	}
	/* librdkafka's other names for two of them */
	refused("connections: {kafka: {request.required.acks: 1}}\n", "acks");
}

SHOWS(variables_are_taken_in_connections_only)
{
	struct problems p = {0};
	struct config *c =
	    fixture_config("connections: {campaign: {client_id: \"a${X}b\"}}\nname: fixed\n", &p);

	assert_string_equal(c->campaign.credentials.client_id, "axb");
	config_free(c);
	refused("name: ${X}\n", "name");
	refused("connections: {campaign: {client_id: \"${X\"}}\n", "${");
}

static const char *nothing_set(const char *name)
{
	(void)name;
	return NULL;
}

static bool offline_takes(enum config_use use, const char *overlay)
{
	struct problems p = {0};
	const char *paths[2] = {"deploy/tideway.yaml"};
	char path[40];

	fixture_file(path, overlay);
	paths[1] = path;
	struct config *c = config_load(paths, 2, nothing_set, use, &p);
	unlink(path);
	bool taken = c != NULL;
	config_free(c);
	problems_free(&p);
	return taken;
}

SHOWS(a_variable_that_is_not_set_is_a_mistake)
{
	const char *paths[] = {"deploy/tideway.yaml"};
	struct problems p = {0};

	assert_null(config_load(paths, 1, (env_lookup)getenv, CONFIG_CONNECTS, &p));
	assert_true(fixture_says(&p, "deploy/tideway.yaml:"));
	problems_free(&p);
}

SHOWS(offline_a_variable_need_not_be_set)
{
	const char *paths[] = {"deploy/tideway.yaml"};
	struct problems p = {0};
	struct config *c = config_load(paths, 1, nothing_set, CONFIG_OFFLINE, &p);

	assert_non_null(c);
	config_free(c);
	c = config_load(paths, 1, nothing_set, CONFIG_MAPPING, &p);
	assert_non_null(c);
	config_free(c);
}

SHOWS(offline_a_secret_file_need_not_be_there)
{
	assert_true(offline_takes(CONFIG_OFFLINE, "connections: {campaign: {client_secret: ~, "
						  "client_secret_file: /nowhere/secret}}\n"));
}

SHOWS(offline_what_is_written_is_still_read)
{
	assert_false(offline_takes(CONFIG_OFFLINE, "connections: {campaign: {url: nonsense}}\n"));
	assert_false(offline_takes(CONFIG_OFFLINE, "connections: {kafka: {acks: 1}}\n"));
	assert_false(offline_takes(CONFIG_OFFLINE, "connections: ~\n"));
	assert_false(offline_takes(CONFIG_MAPPING, "connections: {campaign: {url: nonsense}}\n"));
}

SHOWS(a_mapping_needs_no_connections)
{
	assert_true(offline_takes(CONFIG_MAPPING, "connections: ~\n"));
	assert_true(offline_takes(CONFIG_MAPPING, "connections: {kafka: ~, registry: ~, dataverse: "
						  "~, campaign: {url: ~, token_url: ~, client_id: "
						  "~, client_secret: ~}, pseudonyms: {key: ~}, "
						  "campaign_logs: {url: ~, instance: ~}}\n"));
}

SHOWS(a_secret_can_stand_in_a_file)
{
	struct problems p = {0};
	char secret[40], overlay[200];

	fixture_file(secret, "s3cret\n");
	snprintf(overlay, sizeof overlay,
		 "connections: {campaign: {client_secret: ~, client_secret_file: %s}}\n", secret);
	struct config *c = fixture_config(overlay, &p);
	unlink(secret);
	if (!c) {
		/* Both are named: say which one counts. */
		assert_true(fixture_says(&p, "client_secret"));
		problems_free(&p);
		return;
	}
	assert_string_equal(c->campaign.credentials.client_secret, "s3cret");
	config_free(c);
	problems_free(&p);
}

SHOWS(a_secret_file_that_is_not_there_is_a_mistake)
{
	refused("connections: {registry: {user: me, password_file: /nowhere/secret}}\n",
		"/nowhere/secret");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_example_has_three_flows),
	    cmocka_unit_test(tuning_has_the_defaults_of_the_page),
	    cmocka_unit_test(tuning_is_taken_as_it_is_written),
	    cmocka_unit_test(mistakes_are_refused_by_name),
	    cmocka_unit_test(the_deletes_that_need_no_approval_are_a_share_or_a_number),
	    cmocka_unit_test(several_mistakes_are_said_at_once),
	    cmocka_unit_test(settings_that_carry_a_guarantee_are_refused_with_the_reason),
	    cmocka_unit_test(variables_are_taken_in_connections_only),
	    cmocka_unit_test(a_variable_that_is_not_set_is_a_mistake),
	    cmocka_unit_test(offline_a_variable_need_not_be_set),
	    cmocka_unit_test(offline_a_secret_file_need_not_be_there),
	    cmocka_unit_test(offline_what_is_written_is_still_read),
	    cmocka_unit_test(a_mapping_needs_no_connections),
	    cmocka_unit_test(a_secret_can_stand_in_a_file),
	    cmocka_unit_test(a_secret_file_that_is_not_there_is_a_mistake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
