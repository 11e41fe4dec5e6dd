/* The steps of load-campaign as a walk: what goes out, what is answered, what goes out then. */
#include "../../loaders/campaign/writing.h"

#include <stdlib.h>

#include "arena.h"
#include "unit.h"

#define LIST_OF(pkey) "{\"content\":[{\"PKey\":\"" pkey "\"}]}"
#define NOBODY "{\"content\":[]}"
#define UNHEARD "\"a text that nobody has documented\""
#define NO_SUCH "\"RST-360011 Unable to find document with path 'X' from key 'k'\""
#define BAD_PKEY "\"'x' attribute unknown. XTK-170036 Unable to parse expression '@id = @x'.\""

struct walk {
	struct field_config link_config;
	struct flow flow;
	struct resource resource;
	struct stage stage;
	struct campaign_loader loader;
	struct write *write;
	void *records[1];
	struct load_job job;
	struct error err;
};

/* A child by a filter, with a parent that it cannot be without. */
static struct walk *begin(bool is_delete, enum link_mode mode)
{
	struct walk *k = xcalloc(1, sizeof *k);

	k->link_config = (struct field_config){
	    .link = "profile", .to = "holder", .required = true, .link_mode = mode};
	k->flow = (struct flow){.key = "id",
				.filter_name = "byId",
				.filter_parameter = "id_parameter",
				.request_timeout_ms = 1000};
	k->resource.path = "cusX";
	k->stage = (struct stage){.flow = &k->flow, .resource = &k->resource};
	k->loader.stage = &k->stage;
	k->loader.url = k->loader.body = (struct buffer)BUFFER(8192);
	k->loader.campaign.url = "https://x";
	k->loader.campaign.api_key = "X-Api-Key: x";
	k->loader.campaign.oauth.header = "Authorization: Bearer x";
	k->loader.campaign.oauth.renew_at.ms = INT64_MAX;
	k->loader.links[0] = (struct link){.config = &k->link_config, .path = "profile"};
	k->loader.link_count = 1;
	k->write = write_delete("k", 1);
	if (!is_delete) {
		k->write->patch = xstrdup("{\"a\":1}");
		k->write->create = xstrdup("{\"a\":1}");
		k->write->parents = xcalloc(1, sizeof *k->write->parents);
		k->write->parents[0] =
		    (struct parent){.link = &k->loader.links[0], .key = xstrdup("p1")};
		k->write->parent_count = 1;
	}
	k->records[0] = k->write;
	k->job = (struct load_job){.records = k->records, .count = 1};
	return k;
}

static void end(struct walk *k)
{
	struct campaign_loader *l = &k->loader;

	write_free(k->write);
	for (size_t i = 0; i < l->link_count; i++)
		l->links[i].path = NULL; /* not ours to free */
	parents_close(l);
	buffer_free(&l->url);
	buffer_free(&l->body);
	free(k);
}

/* The next request must be this call; what does its answer lead to?  OK and *again: another. */
static enum result step(struct walk *k, const char *call, int status, const char *body, bool *again)
{
	struct http_request req = {0};
	struct http_response res = {.status = status,
				    .sent = true,
				    .retry_after_ms = -1,
				    .body = {.data = (char *)body, .len = strlen(body)}};

	k->err = (struct error){0};
	assert_int_equal(steps_request(&k->loader, &k->job, &req, &k->err), OK);
	assert_non_null(req.method);
	assert_string_equal(k->job.call, call);
	*again = false;
	enum result r = steps_answer(&k->loader, &k->job, &res, (mono_time){1}, again, &k->err);
	k->job.attempt += r == RETRY;
	return r;
}

static void goes_on(struct walk *k, const char *call, int status, const char *body)
{
	bool again;
	assert_int_equal(step(k, call, status, body, &again), OK);
	assert_true(again);
}

static enum result ends(struct walk *k, const char *call, int status, const char *body)
{
	bool again;
	enum result r = step(k, call, status, body, &again);
	assert_false(again);
	return r;
}

SHOWS(only_an_empty_list_means_that_there_is_none)
{
	static const char *const no_lists[] = {"",     "{}",	"[]",
					       "null", "\"x\"", "{\"content\":[{}]}"};

	for (int is_delete = 0; is_delete < 2; is_delete++) {
		struct walk *k = begin(is_delete, LINK_JOIN);
		for (size_t i = 0; i < sizeof no_lists / sizeof *no_lists; i++) {
			assert_int_equal(ends(k, "find", 200, no_lists[i]), RETRY);
			assert_string_equal(k->err.reason, CAMPAIGN_UNKNOWN);
		}
		if (is_delete) {
			assert_int_equal(ends(k, "find", 200, NOBODY), OK);
			assert_int_equal(k->job.outcome, LOAD_NOTHING);
		} else {
			goes_on(k, "find", 200, NOBODY);
			assert_int_equal(ends(k, "post", 201, "{}"), OK);
			assert_int_equal(k->job.outcome, LOAD_CREATED);
		}
		end(k);
	}
}

SHOWS(a_parent_is_missing_when_campaign_says_so_and_not_when_it_says_nothing)
{
	struct walk *k = begin(false, LINK_PKEY);

	assert_int_equal(ends(k, "pkey", 200, ""), RETRY);
	assert_int_equal(ends(k, "pkey", 404, NO_SUCH), REJECT);
	assert_int_equal(k->job.parent, parents_needed(k->write));
	end(k);
}

SHOWS(look_ups_do_not_count_as_records_that_go_through)
{
	struct walk *k = begin(false, LINK_JOIN);

	for (int i = 0; i < 20; i++) {
		goes_on(k, "find", 200, NOBODY);
		assert_int_equal(ends(k, "post", 500, UNHEARD), RETRY);
		k->job.known = k->job.doubtful = false; /* of another matter: hidden ones */
		k->job.step = 0;
	}
	k->loader.successes++;
	goes_on(k, "find", 200, NOBODY);
	assert_int_equal(ends(k, "post", 500, UNHEARD), REJECT);
	end(k);
}

SHOWS(a_delete_of_what_is_not_known_is_sent)
{
	struct walk *k = begin(true, LINK_JOIN);

	k->flow.insert_first = true;
	goes_on(k, "find", 200, LIST_OF("@p"));
	assert_int_equal(ends(k, "delete", 200, ""), OK);
	assert_int_equal(k->job.outcome, LOAD_DELETED);
	end(k);
}

SHOWS(what_is_in_doubt_is_not_inserted_blindly)
{
	struct walk *k = begin(false, LINK_JOIN);

	k->flow.insert_first = k->job.doubtful = true;
	goes_on(k, "find", 200, LIST_OF("@p"));
	assert_int_equal(ends(k, "patch", 200, "{}"), OK);
	end(k);
}

static struct walk *hidden(bool known)
{
	struct walk *k = begin(false, LINK_JOIN);

	k->job.known = known;
	k->job.doubtful = !known;
	k->job.known_parent = known ? parents_needed(k->write) : 0;
	goes_on(k, "find", 200, NOBODY);
	return k;
}

SHOWS(a_child_that_may_be_hidden_waits_for_its_parent)
{
	for (int known = 0; known < 2; known++) {
		struct walk *k = hidden(known);
		assert_int_equal(ends(k, "pkey", 200, NOBODY), REJECT);
		assert_int_equal(k->job.parent, parents_needed(k->write));
		assert_string_equal(k->job.missing, "p1");
		end(k);
	}
}

SHOWS(with_its_parent_there_a_second_look_decides)
{
	for (int known = 0; known < 2; known++) {
		struct walk *k = hidden(known); /* it came between the two */
		goes_on(k, "pkey", 200, "{\"PKey\":\"@parent\"}");
		goes_on(k, "find", 200, LIST_OF("@p"));
		assert_int_equal(ends(k, "patch", 200, "{}"), OK);
		end(k);
		k = hidden(known); /* somebody removed the child */
		goes_on(k, "pkey", 200, "{\"PKey\":\"@parent\"}");
		goes_on(k, "find", 200, NOBODY);
		assert_int_equal(ends(k, "post", 201, "{}"), OK);
		end(k);
	}
}

SHOWS(one_that_moved_waits_for_the_parent_that_it_had)
{
	struct walk *k = begin(false, LINK_JOIN);

	k->job.known = true;
	k->job.known_parent = parents_needed(k->write) ^ 1;
	assert_int_equal(ends(k, "find", 200, NOBODY), REJECT);
	assert_int_equal(k->job.parent, k->job.known_parent);
	end(k);
}

SHOWS(a_parents_key_that_looks_like_a_pkey_ends_nothing)
{
	struct walk *k = begin(false, LINK_KEY);

	k->flow.filter_name = NULL;
	k->flow.insert_first = true;
	for (int i = 0; i < 20; i++)
		assert_int_equal(ends(k, "post", 500, BAD_PKEY), RETRY);
	k->loader.successes++;
	assert_int_equal(ends(k, "post", 500, BAD_PKEY), REJECT);
	assert_string_equal(k->err.reason, "bad-pkey");
	end(k);
	/* Without such a parent, and with nobody written, it is the resource. */
	k = begin(false, LINK_JOIN);
	k->flow.filter_name = NULL;
	assert_int_equal(ends(k, "patch", 500, BAD_PKEY), FATAL);
	end(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_an_empty_list_means_that_there_is_none),
	    cmocka_unit_test(
		a_parent_is_missing_when_campaign_says_so_and_not_when_it_says_nothing),
	    cmocka_unit_test(look_ups_do_not_count_as_records_that_go_through),
	    cmocka_unit_test(a_delete_of_what_is_not_known_is_sent),
	    cmocka_unit_test(what_is_in_doubt_is_not_inserted_blindly),
	    cmocka_unit_test(a_child_that_may_be_hidden_waits_for_its_parent),
	    cmocka_unit_test(with_its_parent_there_a_second_look_decides),
	    cmocka_unit_test(one_that_moved_waits_for_the_parent_that_it_had),
	    cmocka_unit_test(a_parents_key_that_looks_like_a_pkey_ends_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
