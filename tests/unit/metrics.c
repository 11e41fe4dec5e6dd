#include "metrics.h"

#include <ctype.h>

#include "unit.h"

static struct buffer out;

static const char *render(struct metrics *m)
{
	buffer_free(&out);
	out = BUFFER(1 << 20);
	assert_true(metrics_render(m, &out));
	return out.data;
}

static int times(const char *text, const char *part)
{
	int n = 0;

	for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
		n++;
	return n;
}

SHOWS(a_family_is_described_once_and_its_samples_stand_together)
{
	struct metrics *m = metrics_new("contacts", "load-campaign");
	int64_t created = 3, updated = 4, retries = 5;

	metrics_value(m, METRIC_RECORDS, "created", NULL, &created, NULL);
	metrics_value(m, METRIC_RETRIES, NULL, NULL, &retries, NULL);
	metrics_value(m, METRIC_RECORDS, "updated", NULL, &updated, NULL);
	created++; /* the number stays where it is counted */
	const char *text = render(m);
	assert_string_equal(
	    text, "# HELP tideway_records_total What came of records.\n"
		  "# TYPE tideway_records_total counter\n"
		  "tideway_records_total{flow=\"contacts\",stage=\"load-campaign\",outcome="
		  "\"created\"} 4\n"
		  "tideway_records_total{flow=\"contacts\",stage=\"load-campaign\",outcome="
		  "\"updated\"} 4\n"
		  "# HELP tideway_retries_total Calls that have to be sent again.\n"
		  "# TYPE tideway_retries_total counter\n"
		  "tideway_retries_total{flow=\"contacts\",stage=\"load-campaign\"} 5\n");
	metrics_free(m);
}

SHOWS(label_values_are_escaped)
{
	struct metrics *m = metrics_new("a\"b", "c\\d\ne");
	int64_t one = 1;

	metrics_value(m, METRIC_RETRIES, NULL, NULL, &one, NULL);
	assert_contains(render(m), "{flow=\"a\\\"b\",stage=\"c\\\\d\\ne\"} 1\n");
	metrics_free(m);
}

SHOWS(a_tally_is_a_sample_a_word)
{
	struct metrics *m = metrics_new("f", "s");
	struct tally t = {.count = 0};

	metrics_tally(m, METRIC_REQUESTS, "campaign", &t, NULL);
	tally_add(&t, "200", 7);
	tally_add(&t, "404", 2);
	assert_contains(render(m),
			"{flow=\"f\",stage=\"s\",target=\"campaign\",status=\"200\"} 7\n");
	assert_contains(render(m),
			"{flow=\"f\",stage=\"s\",target=\"campaign\",status=\"404\"} 2\n");
	metrics_free(m);
}

SHOWS(buckets_of_a_histogram_are_cumulative_and_end_with_all)
{
	struct metrics *m = metrics_new("f", "s");
	struct histogram h = {0};
	const char *text, *p;
	int64_t before = 0;
	int buckets = 0;

	metrics_histogram(m, METRIC_LATENCY, &h);
	for (int64_t ms = 1; ms <= 2000; ms++)
		histogram_add(&h, ms);
	histogram_add(&h, INT64_C(100) * 86400000);
	text = render(m);
	assert_int_equal(times(text, "# TYPE tideway_latency_seconds histogram\n"), 1);
	for (p = text; (p = strstr(p, "le=\"")); buckets++) {
		double bound = strtod(p + 4, NULL);
		int64_t n = strtoll(strchr(p, '}') + 1, NULL, 10);
		assert_true(n >= before);
		if (bound <= 2)
			assert_int_equal(n, (int64_t)(bound * 1000 + .5));
		before = n;
		p = strchr(p, '}');
	}
	assert_true(buckets > 10);
	assert_contains(text, ",le=\"0.005\"} 5\n");
	assert_contains(text, ",le=\"+Inf\"} 2001\n");
	assert_contains(text, "tideway_latency_seconds_count{flow=\"f\",stage=\"s\"} 2001\n");
	assert_contains(text, "tideway_latency_seconds_sum{flow=\"f\",stage=\"s\"} 8642001\n");
	metrics_free(m);
}

SHOWS(every_bound_is_one_of_the_histogram)
{
	for (int i = 0; i < METRICS; i++)
		for (const int64_t *b = metric_families[i].bounds_ms; b && *b; b++)
			assert_true(histogram_is_bound(*b) && (!b[1] || b[1] > *b));
}

SHOWS(names_follow_prometheus)
{
	for (int i = 0; i < METRICS; i++) {
		const struct metric_family *f = &metric_families[i];
		size_t len = f->name ? strlen(f->name) : 0;
		assert_true(len && f->help && *f->help);
		assert_int_equal(strspn(f->name, "abcdefghijklmnopqrstuvwxyz_"), len);
		assert_int_equal(f->type == METRIC_COUNTER,
				 len > 6 && !strcmp(f->name + len - 6, "_total"));
		assert_true(!f->ms || strstr(f->name, "_seconds"));
		assert_int_equal(f->type == METRIC_HISTOGRAM, f->bounds_ms != NULL);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(f->name, metric_families[j].name);
	}
}

static void look(void *arg)
{
	++*(int64_t *)arg;
}

SHOWS(what_is_found_out_is_found_out_before_each_look)
{
	struct metrics *m = metrics_new("f", "s");
	int64_t looks = 0;

	metrics_value(m, METRIC_LAG, NULL, NULL, &looks, NULL);
	metrics_collect(m, look, &looks);
	assert_contains(render(m), "tideway_lag_records{flow=\"f\",stage=\"s\"} 1\n");
	assert_contains(render(m), "tideway_lag_records{flow=\"f\",stage=\"s\"} 2\n");
	metrics_free(m);
}

SHOWS(times_are_seconds_and_process_has_no_labels)
{
	struct metrics *m = metrics_new("f", "s");
	int64_t started = 1767225600007, cpu = -1500;

	metrics_value(m, METRIC_START_TIME, NULL, NULL, &started, NULL);
	metrics_value(m, METRIC_CPU, NULL, NULL, &cpu, NULL);
	assert_contains(render(m), "\nprocess_start_time_seconds 1767225600.007\n");
	assert_contains(render(m), "\nprocess_cpu_seconds_total -1.500\n");
	metrics_free(m);
}

SHOWS(the_log_has_the_same_numbers)
{
	struct metrics *m = metrics_new("f", "s");
	struct tally calls = {.count = 0};
	int64_t created = 3, lag = 9, since[METRICS_LOGGED_MAX] = {0};
	struct metrics_logged l;

	metrics_value(m, METRIC_RECORDS, "created", NULL, &created, "created");
	metrics_value(m, METRIC_LAG, NULL, NULL, &lag, "lag");
	metrics_tally(m, METRIC_CALLS, NULL, &calls, "requests");
	tally_add(&calls, "patch", 2);
	tally_add(&calls, "post", 1);
	metrics_logged(m, false, since, &l);
	assert_int_equal(l.count, 2);
	assert_string_equal(l.names[0], "created");
	assert_int_equal(l.values[0], 3);
	assert_string_equal(l.names[1], "requests");
	assert_int_equal(l.values[1], 3);
	created = 10;
	metrics_logged(m, false, since, &l);
	assert_int_equal(l.values[0], 7);
	assert_int_equal(l.values[1], 0);
	metrics_logged(m, true, NULL, &l);
	assert_int_equal(l.count, 1);
	assert_int_equal(l.values[0], 9);
	metrics_free(m);
}

SHOWS(a_page_that_does_not_fit_is_told)
{
	struct metrics *m = metrics_new("f", "s");
	struct buffer small = BUFFER(50);
	int64_t n = 1;

	metrics_value(m, METRIC_LAG, NULL, NULL, &n, NULL);
	assert_false(metrics_render(m, &small));
	buffer_free(&small);
	metrics_free(m);
}

static int teardown(void **state)
{
	(void)state;
	buffer_free(&out);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_family_is_described_once_and_its_samples_stand_together),
	    cmocka_unit_test(label_values_are_escaped),
	    cmocka_unit_test(a_tally_is_a_sample_a_word),
	    cmocka_unit_test(buckets_of_a_histogram_are_cumulative_and_end_with_all),
	    cmocka_unit_test(every_bound_is_one_of_the_histogram),
	    cmocka_unit_test(names_follow_prometheus),
	    cmocka_unit_test(what_is_found_out_is_found_out_before_each_look),
	    cmocka_unit_test(times_are_seconds_and_process_has_no_labels),
	    cmocka_unit_test(the_log_has_the_same_numbers),
	    cmocka_unit_test(a_page_that_does_not_fit_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
