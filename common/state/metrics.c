/* metrics.c - see metrics.h.
 *
 * Prometheus, "Exposition formats", text format 0.0.4: HELP and TYPE once before all samples of a
 * family; in label values \, " and newline are escaped, in help \ and newline; the buckets of a
 * histogram are cumulative and end with +Inf.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

/* From the topic to the answer: a server's time, queueing, a back-off. */
static const int64_t latency_bounds[] = {5,    10,   25,    50,	   100,	  250,	  500,	  1000,
					 2500, 5000, 10000, 30000, 60000, 300000, 900000, 0};
/* From the source to the target: polls and workflows, up to a week of waiting for a parent. */
static const int64_t freshness_bounds[] = {250,	     500,      1000,	  2500,	  5000,	   10000,
					   30000,    60000,    300000,	  900000, 1800000, 3600000,
					   14400000, 86400000, 604800000, 0};

const struct metric_family metric_families[METRICS] = {
    [METRIC_INPUT] = {.name = "tideway_input_records_total",
		      .type = METRIC_COUNTER,
		      .help = "Records of the input topic that are done with, whatever came of "
			      "them."},
    [METRIC_RECORDS] = {.name = "tideway_records_total",
			.type = METRIC_COUNTER,
			.labels = {"outcome"},
			.help = "What came of records."},
    [METRIC_REJECTED] = {.name = "tideway_rejected_total",
			 .type = METRIC_COUNTER,
			 .labels = {"reason"},
			 .help = "Dead letters by reason."},
    [METRIC_SKIPPED] = {.name = "tideway_skipped_total",
			.type = METRIC_COUNTER,
			.labels = {"reason"},
			.help = "What was read and not wanted, by reason."},
    [METRIC_EVENTS] = {.name = "tideway_events_total",
		       .type = METRIC_COUNTER,
		       .labels = {"kind"},
		       .help = "Marketing events that were seen for the first time."},
    [METRIC_FILES] = {.name = "tideway_files_total",
		      .type = METRIC_COUNTER,
		      .labels = {"outcome"},
		      .help = "Export files."},
    [METRIC_CALLS] = {.name = "tideway_calls_total",
		      .type = METRIC_COUNTER,
		      .labels = {"call"},
		      .help = "Requests of a loader for its records, by kind."},
    [METRIC_RETRIES] = {.name = "tideway_retries_total",
			.type = METRIC_COUNTER,
			.help = "Calls that have to be sent again."},
    [METRIC_UNKNOWN_ANSWERS] = {.name = "tideway_unknown_answers_total",
				.type = METRIC_COUNTER,
				.help = "Answers to calls that no document describes, or that ask "
					"to try again while the target works."},
    [METRIC_QUOTA_ANSWERS] = {.name = "tideway_quota_answers_total",
			      .type = METRIC_COUNTER,
			      .help = "Answers to calls that say that a quota is used up (429)."},
    [METRIC_REQUESTS] = {.name = "tideway_requests_total",
			 .type = METRIC_COUNTER,
			 .labels = {"target", "status"},
			 .help = "All requests to the outside that have ended, by target and "
				 "HTTP status."},
    [METRIC_TRANSACTIONS] = {.name = "tideway_transactions_total",
			     .type = METRIC_COUNTER,
			     .labels = {"outcome"},
			     .help = "Kafka transactions that have ended."},
    [METRIC_LATENCY] = {.name = "tideway_latency_seconds",
			.type = METRIC_HISTOGRAM,
			.ms = true,
			.bounds_ms = latency_bounds,
			.help = "From a record's time in the topic to the target's "
				"acknowledgement."},
    [METRIC_FRESHNESS] = {.name = "tideway_freshness_seconds",
			  .type = METRIC_HISTOGRAM,
			  .ms = true,
			  .bounds_ms = freshness_bounds,
			  .help = "From the time at the source (of an event, of a change) to the "
				  "target's acknowledgement."},
    [METRIC_IN_FLIGHT] = {.name = "tideway_in_flight_requests",
			  .type = METRIC_GAUGE,
			  .help = "Calls that are out and not answered."},
    [METRIC_OUTSTANDING] = {.name = "tideway_outstanding_records",
			    .type = METRIC_GAUGE,
			    .help = "Records that were read and are not done with."},
    [METRIC_PARKED] = {.name = "tideway_parked_records",
		       .type = METRIC_GAUGE,
		       .help = "Records that wait for their parent."},
    [METRIC_KNOWN_KEYS] = {.name = "tideway_known_keys",
			   .type = METRIC_GAUGE,
			   .help = "Keys that the target has, as the loader remembers it."},
    [METRIC_WINDOW] = {.name = "tideway_window_requests",
		       .type = METRIC_GAUGE,
		       .help = "Calls that may be out at a time."},
    [METRIC_PACE] = {.name = "tideway_pace_requests_per_second",
		     .type = METRIC_GAUGE,
		     .help = "Calls a second that a quota was found to allow; 0: none was met."},
    [METRIC_BREAKER] = {.name = "tideway_breaker_open",
			.type = METRIC_GAUGE,
			.help = "1 while nothing is sent because the target is away."},
    [METRIC_BREAKER_OPENED] = {.name = "tideway_breaker_opened_total",
			       .type = METRIC_COUNTER,
			       .help = "How often the target was taken to be away."},
    [METRIC_PARTITIONS] = {.name = "tideway_assigned_partitions",
			   .type = METRIC_GAUGE,
			   .help = "Partitions of the input that are this process's."},
    [METRIC_LAG] = {.name = "tideway_lag_records",
		    .type = METRIC_GAUGE,
		    .help = "Offsets between what is done with and the end, in the partitions "
			    "that are this process's."},
    [METRIC_LEADING] = {.name = "tideway_leading",
			.type = METRIC_GAUGE,
			.help = "1 in the extractor that works, 0 in one that stands by."},
    [METRIC_STEPS] = {.name = "tideway_steps_total",
		      .type = METRIC_COUNTER,
		      .labels = {"outcome"},
		      .help = "Pages or parts of files that an extractor has read."},
    [METRIC_LAST_STEP] = {.name = "tideway_last_step_timestamp_seconds",
			  .type = METRIC_GAUGE,
			  .ms = true,
			  .help = "When a step of the extractor last went well; 0: not yet."},
    [METRIC_HELD_DELETES] = {.name = "tideway_held_deletes",
			     .type = METRIC_GAUGE,
			     .help = "Deletes that wait for `tideway approve`."},
    [METRIC_BUILD] = {.name = "tideway_build_info",
		      .type = METRIC_GAUGE,
		      .labels = {"version", "librdkafka"},
		      .help = "Always 1; versions are in the labels."},
    [METRIC_SHOWN_AT] = {.name = "tideway_snapshot_timestamp_seconds",
			 .type = METRIC_GAUGE,
			 .ms = true,
			 .help = "When the process last put these numbers together: at most a "
				 "second ago, or it is in a long wait."},
    [METRIC_START_TIME] = {.name = "process_start_time_seconds",
			   .type = METRIC_GAUGE,
			   .ms = true,
			   .help = "When the process started."},
    [METRIC_CPU] = {.name = "process_cpu_seconds_total",
		    .type = METRIC_COUNTER,
		    .ms = true,
		    .help = "Processor time of all threads."},
    [METRIC_RESIDENT] = {.name = "process_resident_memory_bytes",
			 .type = METRIC_GAUGE,
			 .help = "Memory in RAM."},
    [METRIC_VIRTUAL] = {.name = "process_virtual_memory_bytes",
			.type = METRIC_GAUGE,
			.help = "Memory that is mapped."},
    [METRIC_OPEN_FILES] = {.name = "process_open_fds",
			   .type = METRIC_GAUGE,
			   .help = "Open file descriptors."},
    [METRIC_MAX_FILES] = {.name = "process_max_fds",
			  .type = METRIC_GAUGE,
			  .help = "File descriptors that may be open."},
};

/* Where a number, or several, of a family are. */
struct entry {
	enum metric family;
	const char *values[METRIC_LABELS];
	const int64_t *value;
	const struct tally *tally;
	const struct histogram *histogram;
	const char *log;
};

struct collector {
	void (*fn)(void *arg);
	void *arg;
};

struct metrics {
	const char *flow, *stage;
	struct entry *entries;
	size_t count;
	struct collector *collectors;
	size_t collector_count;
};

struct metrics *metrics_new(const char *flow, const char *stage)
{
	struct metrics *m = xcalloc(1, sizeof *m);

	m->flow = flow;
	m->stage = stage;
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	free(m->entries);
	free(m->collectors);
	free(m);
}

static void add(struct metrics *m, struct entry e)
{
	m->entries = xrealloc(m->entries, (m->count + 1) * sizeof *m->entries);
	m->entries[m->count++] = e;
}

void metrics_value(struct metrics *m, enum metric f, const char *a, const char *b,
		   const int64_t *value, const char *log)
{
	add(m, (struct entry){.family = f, .values = {a, b}, .value = value, .log = log});
}

void metrics_tally(struct metrics *m, enum metric f, const char *a, const struct tally *t,
		   const char *log)
{
	add(m, (struct entry){.family = f, .values = {a}, .tally = t, .log = log});
}

void metrics_histogram(struct metrics *m, enum metric f, const struct histogram *h)
{
	add(m, (struct entry){.family = f, .histogram = h});
}

void metrics_collect(struct metrics *m, void (*fn)(void *arg), void *arg)
{
	m->collectors = xrealloc(m->collectors, (m->collector_count + 1) * sizeof *m->collectors);
	m->collectors[m->collector_count++] = (struct collector){fn, arg};
}

static void collect(struct metrics *m)
{
	for (size_t i = 0; i < m->collector_count; i++)
		m->collectors[i].fn(m->collectors[i].arg);
}

/* ---- Prometheus -------------------------------------------------------------------------------- */

static void put_escaped(struct buffer *out, const char *text, bool quotes)
{
	const char *special = quotes ? "\\\n\"" : "\\\n";

	for (;;) {
		size_t plain = strcspn(text, special);
		buffer_append(out, text, plain);
		text += plain;
		if (!*text)
			return;
		buffer_append(out, "\\", 1);
		buffer_append(out, *text == '\n' ? "n" : text, 1);
		text++;
	}
}

static void put_label(struct buffer *out, bool *first, const char *name, const char *value)
{
	buffer_append(out, *first ? "{" : ",", 1);
	buffer_puts(out, name);
	buffer_append(out, "=\"", 2);
	put_escaped(out, value, true);
	buffer_append(out, "\"", 1);
	*first = false;
}

/* The name and the labels; more is one beside those of the family. */
static void put_name(const struct metrics *m, const struct entry *e, const char *suffix,
		     const char *word, const char *le, struct buffer *out)
{
	const struct metric_family *f = &metric_families[e->family];
	bool first = true;

	buffer_puts(out, f->name);
	buffer_puts(out, suffix);
	if (strncmp(f->name, "process_", 8)) {
		put_label(out, &first, "flow", m->flow);
		put_label(out, &first, "stage", m->stage);
	}
	for (int i = 0; i < METRIC_LABELS && f->labels[i]; i++) {
		bool last = i + 1 == METRIC_LABELS || !f->labels[i + 1];
		const char *value = word && last ? word : e->values[i];
		put_label(out, &first, f->labels[i], value ? value : "");
	}
	if (le)
		put_label(out, &first, "le", le);
	buffer_puts(out, first ? " " : "} ");
}

/* A time in seconds without the noise of floating point. */
static void put_number(struct buffer *out, int64_t n, bool ms)
{
	int64_t size = n < 0 ? -n : n;

	if (!ms || !(n % 1000))
		buffer_printf(out, "%" PRId64, ms ? n / 1000 : n);
	else
		buffer_printf(out, "%s%" PRId64 ".%03d", n < 0 ? "-" : "", size / 1000,
			      (int)(size % 1000));
}

static void put_sample(const struct metrics *m, const struct entry *e, const char *suffix,
		       const char *word, const char *le, int64_t n, bool ms, struct buffer *out)
{
	put_name(m, e, suffix, word, le, out);
	put_number(out, n, ms);
	buffer_puts(out, "\n");
}

static void put_histogram(const struct metrics *m, const struct entry *e, struct buffer *out)
{
	const struct metric_family *f = &metric_families[e->family];
	const struct histogram *h = e->histogram;

	for (const int64_t *bound = f->bounds_ms; *bound; bound++) {
		struct buffer le = BUFFER(32);
		put_number(&le, *bound, true);
		put_sample(m, e, "_bucket", NULL, le.data, histogram_within(h, *bound), false, out);
		buffer_free(&le);
	}
	put_sample(m, e, "_bucket", NULL, "+Inf", h->count, false, out);
	put_sample(m, e, "_sum", NULL, NULL, h->sum_ms, true, out);
	put_sample(m, e, "_count", NULL, NULL, h->count, false, out);
}

static void put_entry(const struct metrics *m, const struct entry *e, struct buffer *out)
{
	bool ms = metric_families[e->family].ms;

	if (e->histogram)
		put_histogram(m, e, out);
	for (size_t i = 0; e->tally && i < e->tally->count; i++)
		put_sample(m, e, "", e->tally->of[i].word, NULL, e->tally->of[i].n, ms, out);
	if (e->value)
		put_sample(m, e, "", NULL, NULL, *e->value, ms, out);
}

bool metrics_render(struct metrics *m, struct buffer *out)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};

	collect(m);
	buffer_reset(out);
	for (int f = 0; f < METRICS; f++) {
		const struct metric_family *family = &metric_families[f];
		bool told = false;
		for (size_t i = 0; i < m->count; i++) {
			const struct entry *e = &m->entries[i];
			if ((int)e->family != f)
				continue;
			if (!told) {
				buffer_printf(out, "# HELP %s ", family->name);
				put_escaped(out, family->help, false);
				buffer_printf(out, "\n# TYPE %s %s\n", family->name,
					      types[family->type]);
			}
			told = true;
			put_entry(m, e, out);
		}
	}
	return !out->overflow;
}

/* ---- the log ----------------------------------------------------------------------------------- */

void metrics_logged(struct metrics *m, bool gauges, int64_t *since, struct metrics_logged *out)
{
	out->count = 0;
	collect(m);
	for (size_t i = 0; i < m->count && out->count < METRICS_LOGGED_MAX; i++) {
		const struct entry *e = &m->entries[i];
		bool gauge = metric_families[e->family].type == METRIC_GAUGE;
		if (!e->log || gauge != gauges)
			continue;
		int64_t n = e->tally ? tally_total(e->tally) : *e->value;
		out->names[out->count] = e->log;
		out->values[out->count] = since ? n - since[out->count] : n;
		if (since)
			since[out->count] = n;
		out->count++;
	}
}
