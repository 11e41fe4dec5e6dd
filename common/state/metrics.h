/* metrics.h - the numbers of a stage by name: one table, from which the metrics endpoint and the log
 * are written.  Pure.
 *
 * The numbers stay where they are counted, as plain fields of who counts them; the table only knows
 * where.  So nothing is counted twice, and counting costs an addition.  What the counts are called
 * is one list too: load_count_names and export_skip_names are words of labels here, of pairs in the
 * log, and of `tideway status`.
 *
 * A stage puts its numbers in when it has opened: an open that fails may be tried again, and what it
 * had made is gone.
 *
 * To add a metric: a line in enum metric and in the table of metrics.c, a call of metrics_value(),
 * metrics_tally() or metrics_histogram() where the stage opens, a row in deploy/METRICS.md
 * (tests/reference fails until it is there).
 *
 * Every sample bears the labels flow and stage, except those that begin with "process_".  Labels are
 * bounded: words of the program, of the configuration, or of a tally.
 */
#ifndef TIDEWAY_METRICS_H
#define TIDEWAY_METRICS_H

#include "buffer.h"
#include "histogram.h"
#include "tally.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum metric {
	METRIC_INPUT,
	METRIC_RECORDS,
	METRIC_REJECTED,
	METRIC_SKIPPED,
	METRIC_EVENTS,
	METRIC_FILES,
	METRIC_CALLS,
	METRIC_RETRIES,
	METRIC_UNKNOWN_ANSWERS,
	METRIC_QUOTA_ANSWERS,
	METRIC_REQUESTS,
	METRIC_TRANSACTIONS,
	METRIC_LATENCY,
	METRIC_FRESHNESS,
	METRIC_IN_FLIGHT,
	METRIC_OUTSTANDING,
	METRIC_PARKED,
	METRIC_KNOWN_KEYS,
	METRIC_WINDOW,
	METRIC_PACE,
	METRIC_BREAKER,
	METRIC_BREAKER_OPENED,
	METRIC_PARTITIONS,
	METRIC_LAG,
	METRIC_LEADING,
	METRIC_STEPS,
	METRIC_LAST_STEP,
	METRIC_HELD_DELETES,
	METRIC_BUILD,
	METRIC_SHOWN_AT,
	METRIC_START_TIME,
	METRIC_CPU,
	METRIC_RESIDENT,
	METRIC_VIRTUAL,
	METRIC_OPEN_FILES,
	METRIC_MAX_FILES,
	METRICS
};

enum { METRIC_LABELS = 2, METRIC_BOUNDS = 16 };

struct metric_family {
	const char *name;
	enum metric_type type;
	const char *labels[METRIC_LABELS]; /* NULL: none */
	bool ms;			   /* counted in ms, shown in seconds */
	const int64_t *bounds_ms;	   /* of a histogram, ended by 0 */
	const char *help;
};
extern const struct metric_family metric_families[METRICS];

struct metrics;

/* The texts live as long as the table. */
struct metrics *metrics_new(const char *flow, const char *stage);
void metrics_free(struct metrics *m);

/* A number and the values of its labels (NULL where the family has none); it stays where it is until
 * metrics_free().  log: what it is called in the log, or NULL. */
void metrics_value(struct metrics *m, enum metric f, const char *a, const char *b,
		   const int64_t *value, const char *log);
/* A number for each word: the word is the last label, a the one before it, if there are two.  In the
 * log: the sum under `log`, and each word in a line of metrics_log_words(). */
void metrics_tally(struct metrics *m, enum metric f, const char *a, const struct tally *t,
		   const char *log);
void metrics_histogram(struct metrics *m, enum metric f, const struct histogram *h);
/* Called before the numbers are read: for those that are not kept, but found out. */
void metrics_collect(struct metrics *m, void (*fn)(void *arg), void *arg);

/* All numbers in Prometheus' text format 0.0.4.  False: they do not fit into the buffer. */
bool metrics_render(struct metrics *m, struct buffer *out);

/* What the numbers with a name in the log are now: name and value, in the order in which they were
 * given.  gauges: those that go up and down, else those that only grow.  since: what they were then,
 * to be subtracted and set anew, METRICS_LOGGED_MAX of them; or NULL. */
enum { METRICS_LOGGED_MAX = 24 };
struct metrics_logged {
	const char *names[METRICS_LOGGED_MAX];
	int64_t values[METRICS_LOGGED_MAX];
	size_t count;
};
void metrics_logged(struct metrics *m, bool gauges, int64_t *since, struct metrics_logged *out);

#endif
