#include "pipeline.h"

#include "fixture.h"

SHOWS(names_begin_with_the_deployments)
{
	struct problems p = {0};
	struct config *c = fixture_config("name: stage\n", &p);
	struct pipeline line;

	pipeline_of(c, config_flow(c, "contacts"), &line);
	const struct pipeline_stage *s = line.stages;
	assert_string_equal(s[STAGE_EXTRACT].program, "extract-dataverse");
	assert_string_equal(s[STAGE_EXTRACT].input, "stage.checkpoint.contacts");
	assert_string_equal(s[STAGE_EXTRACT].output, "stage.crm.contact");
	assert_string_equal(s[STAGE_TRANSFORM].program, "transform-contact");
	assert_string_equal(s[STAGE_TRANSFORM].input, "stage.crm.contact");
	assert_string_equal(s[STAGE_TRANSFORM].output, "stage.campaign.profile");
	assert_string_equal(s[STAGE_LOAD].program, "load-campaign");
	assert_string_equal(s[STAGE_LOAD].input, "stage.campaign.profile");
	assert_string_equal(s[STAGE_LOAD].output, "");
	assert_string_equal(s[STAGE_LOAD].rejected, "stage.rejected.contacts.load-campaign");
	for (int i = 0; i < STAGES; i++)
		assert_int_equal(strncmp(s[i].group, "stage.", 6), 0);
	pipeline_of(c, config_flow(c, "email-events"), &line);
	assert_string_equal(line.stages[STAGE_EXTRACT].output, "stage.campaign.email-event");
	assert_string_equal(line.stages[STAGE_LOAD].input, "stage.crm.email-activity");
	assert_string_equal(line.stages[STAGE_LOAD].program, "load-dataverse");
	config_free(c);
}

static const char *setting(const struct topic_spec *t, const char *name)
{
	for (const struct topic_setting *s = t->settings; s->name; s++)
		if (!strcmp(s->name, name))
			return s->value;
	return "";
}

SHOWS(changes_are_compacted_events_and_dead_letters_are_kept_for_30_days)
{
	struct problems p = {0};
	struct config *c = fixture_config(NULL, &p);
	struct topic_spec topics[8];

	for (size_t f = 0; f < c->flow_count; f++) {
		size_t n = pipeline_topics(c, &c->flows[f], topics);
		assert_int_equal(n, c->flows[f].resource ? 8 : 7);
		for (size_t i = 0; i < n; i++) {
			const char *name = topics[i].name;
			bool events = strstr(name, ".campaign.email-event");
			bool checkpoint = strstr(name, ".checkpoint.");
			if (strstr(name, ".rejected.") || strstr(name, ".crm.email-activity") ||
			    events) {
				assert_string_equal(setting(&topics[i], "cleanup.policy"),
						    "delete");
				assert_string_equal(setting(&topics[i], "retention.ms"),
						    "2592000000");
			} else {
				assert_string_equal(setting(&topics[i], "cleanup.policy"),
						    "compact");
			}
			if (checkpoint)
				assert_true(topics[i].partitions == 1 &&
					    topics[i].exact_partitions);
			else if (!strstr(name, ".rejected."))
				assert_int_equal(topics[i].partitions, 4);
			if (strstr(name, ".crm.contact")) {
				assert_string_equal(setting(&topics[i], "min.compaction.lag.ms"),
						    "604800000");
				assert_string_equal(setting(&topics[i], "max.compaction.lag.ms"),
						    "691200000");
				assert_string_equal(setting(&topics[i], "delete.retention.ms"),
						    "2592000000");
			}
		}
	}
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_begin_with_the_deployments),
	    cmocka_unit_test(changes_are_compacted_events_and_dead_letters_are_kept_for_30_days),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
