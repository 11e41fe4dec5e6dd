/* load_report.c - what a loader says of its work in the log: every ten seconds, every hour, at the end. */
#include "load.h"
#include "log.h"

enum { REPORT_MS = 10000, HOUR_MS = 3600000 };

/* In milliseconds; -1: nothing was written. */
static int64_t percentile(const struct loop *l, int percent)
{
	int64_t all = 0, n = 0;
	double edge = 1;

	for (size_t i = 0; i < LOAD_LATENCIES; i++)
		all += l->latency[i];
	for (size_t i = 0; all && i < LOAD_LATENCIES; i++, edge *= 1.0905) {
		n += l->latency[i];
		if (n * 100 >= all * percent)
			return (int64_t)edge;
	}
	return -1;
}

static void report_counts(struct loop *l, const char *msg, const int64_t *counts)
{
	log_info(msg, "records", log_int(l->records), "created", log_int(counts[COUNT_CREATED]),
		 "updated", log_int(counts[COUNT_UPDATED]), "deleted",
		 log_int(counts[COUNT_DELETED]), "unchanged", log_int(counts[COUNT_UNCHANGED]),
		 "older", log_int(counts[COUNT_OLDER]), "coalesced",
		 log_int(counts[COUNT_COALESCED]), "parked", log_int(counts[COUNT_PARKED]),
		 "rejected", log_int(counts[COUNT_REJECTED]), "requests",
		 log_int(counts[COUNT_CALLS]), "retries", log_int(l->retries), "unknown_answers",
		 log_int(l->unknown), "quota_answers", log_int(l->governor.quota_answers), NULL);
}

void load_report(struct loop *l, mono_time now)
{
	if (l->governor.breaker == BREAKER_OPEN && !l->breaker_told)
		log_warn("the target is away: paused", "for_ms", log_int(l->governor.open_ms),
			 NULL);
	if (l->breaker_told && l->governor.breaker == BREAKER_CLOSED)
		log_info("the target is back", NULL);
	l->breaker_told = l->governor.breaker != BREAKER_CLOSED;
	if (now.ms - l->hour_reported.ms >= HOUR_MS) {
		int64_t hour[LOAD_COUNTS];
		for (int i = 0; i < LOAD_COUNTS; i++) {
			hour[i] = l->counts[i] - l->hour_counts[i];
			l->hour_counts[i] = l->counts[i];
		}
		report_counts(l, "hour", hour);
		l->hour_reported = now;
	}
	if (now.ms - l->reported.ms < REPORT_MS)
		return;
	l->reported = now;
	report_counts(l, "progress", l->counts);
	log_info("load", "in_flight", log_int((int64_t)l->in_flight), "outstanding",
		 log_int((int64_t)window_count(l->window)), "waiting_for_parents",
		 log_int(l->parked ? (int64_t)parked_count(l->parked) : 0), "window",
		 log_int((int64_t)l->governor.window), "pace", log_int((int64_t)l->governor.pace),
		 NULL);
}

void load_report_end(struct loop *l)
{
	report_counts(l, "counts", l->counts);
	log_info("latency", "p50_ms", log_int(percentile(l, 50)), "p99_ms",
		 log_int(percentile(l, 99)), NULL);
	for (size_t i = 0; i < LOAD_CALLS && l->calls[i].name; i++)
		log_info("calls", "kind", l->calls[i].name, "count", log_int(l->calls[i].n), NULL);
	for (size_t i = 0; i < LOAD_REASONS && *l->reasons[i].reason; i++)
		log_info("rejected in all", "reason", l->reasons[i].reason, "count",
			 log_int(l->reasons[i].n), NULL);
}
