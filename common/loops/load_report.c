/* load_report.c - what a loader says of its work: its numbers for the metrics endpoint, and the same in the
 * log, every ten seconds, every hour, at the end. */
#include "load.h"
#include "log.h"

enum { REPORT_MS = 10000, HOUR_MS = 3600000 };

static void collect_partitions(struct loop *l, struct load_gauges *g)
{
	for (size_t i = 0; i < l->partition_count; i++) {
		const struct partition *p = &l->partitions[i];
		if (!p->ours)
			continue;
		int64_t at = later_of(window_position(l->window, (int32_t)i), p->committed);
		g->partitions++;
		g->known_keys += p->loaded ? (int64_t)loaded_count(p->loaded) : 0;
		g->lag += kafka_lag(l->consumer, l->stage->self->input, (int32_t)i,
				    at < 0 ? p->next : at);
	}
}

static void collect(void *arg)
{
	struct loop *l = arg;

	l->gauges = (struct load_gauges){
	    .in_flight = (int64_t)l->in_flight,
	    .outstanding = (int64_t)window_count(l->window),
	    .parked = l->parked ? (int64_t)parked_count(l->parked) : 0,
	    .window = (int64_t)l->governor.window,
	    .pace = (int64_t)l->governor.pace,
	    .breaker = l->governor.breaker != BREAKER_CLOSED,
	};
	collect_partitions(l, &l->gauges);
}

void load_report_open(struct loop *l)
{
	struct metrics *m = l->stage->metrics;
	const struct load_gauges *g = &l->gauges;

	metrics_value(m, METRIC_INPUT, NULL, NULL, &l->records, "records");
	for (int i = 0; i < LOAD_COUNTS; i++)
		if (i != COUNT_CALLS)
			metrics_value(m, METRIC_RECORDS, load_count_names[i], NULL, &l->counts[i],
				      load_count_names[i]);
	metrics_tally(m, METRIC_REJECTED, NULL, &l->reasons, NULL);
	metrics_tally(m, METRIC_CALLS, NULL, &l->calls, "requests");
	metrics_value(m, METRIC_RETRIES, NULL, NULL, &l->retries, "retries");
	metrics_value(m, METRIC_UNKNOWN_ANSWERS, NULL, NULL, &l->unknown, "unknown_answers");
	metrics_value(m, METRIC_QUOTA_ANSWERS, NULL, NULL, &l->governor.quota_answers,
		      "quota_answers");
	metrics_value(m, METRIC_BREAKER_OPENED, NULL, NULL, &l->governor.opened, NULL);
	metrics_value(m, METRIC_TRANSACTIONS, "committed", NULL, &l->committed, NULL);
	metrics_value(m, METRIC_TRANSACTIONS, "aborted", NULL, &l->aborted, NULL);
	metrics_histogram(m, METRIC_LATENCY, &l->latency);
	metrics_histogram(m, METRIC_FRESHNESS, &l->freshness);
	metrics_value(m, METRIC_IN_FLIGHT, NULL, NULL, &g->in_flight, "in_flight");
	metrics_value(m, METRIC_OUTSTANDING, NULL, NULL, &g->outstanding, "outstanding");
	metrics_value(m, METRIC_PARKED, NULL, NULL, &g->parked, "waiting_for_parents");
	metrics_value(m, METRIC_KNOWN_KEYS, NULL, NULL, &g->known_keys, NULL);
	metrics_value(m, METRIC_WINDOW, NULL, NULL, &g->window, "window");
	metrics_value(m, METRIC_PACE, NULL, NULL, &g->pace, "pace");
	metrics_value(m, METRIC_BREAKER, NULL, NULL, &g->breaker, NULL);
	metrics_value(m, METRIC_PARTITIONS, NULL, NULL, &g->partitions, NULL);
	metrics_value(m, METRIC_LAG, NULL, NULL, &g->lag, "lag");
	metrics_collect(m, collect, l);
}

void load_report(struct loop *l, mono_time now)
{
	stage_turn(l->stage);
	if (l->governor.breaker == BREAKER_OPEN && !l->breaker_told)
		log_warn("the target is away: paused", "for_ms", log_int(l->governor.open_ms),
			 NULL);
	if (l->breaker_told && l->governor.breaker == BREAKER_CLOSED)
		log_info("the target is back", NULL);
	l->breaker_told = l->governor.breaker != BREAKER_CLOSED;
	if (now.ms - l->hour_reported.ms >= HOUR_MS) {
		stage_log_counts(l->stage, "hour", false, l->hour_counts);
		stage_log_words("rejected in the hour", "reason", &l->reasons, &l->hour_reasons);
		l->hour_reported = now;
	}
	if (now.ms - l->reported.ms < REPORT_MS)
		return;
	l->reported = now;
	stage_log_counts(l->stage, "progress", false, NULL);
	stage_log_counts(l->stage, "load", true, NULL);
}

static void log_histogram(const char *msg, const struct histogram *h)
{
	if (h->count)
		log_info(msg, "p50_ms", log_int(histogram_at(h, .5)), "p99_ms",
			 log_int(histogram_at(h, .99)), "max_ms", log_int(h->max_ms), "records",
			 log_int(h->count), NULL);
}

void load_report_end(struct loop *l)
{
	stage_log_counts(l->stage, "counts", false, NULL);
	log_histogram("latency", &l->latency);
	log_histogram("freshness", &l->freshness);
	stage_log_words("calls", "kind", &l->calls, NULL);
	stage_log_words("rejected in all", "reason", &l->reasons, NULL);
}
