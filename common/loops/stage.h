/* stage.h - what the main of every stage shares: options, configuration, signals, connections.
 *
 * To add a stage:
 *   1. one file in extractors/, transformers/ or loaders/, named for the system or entity;
 *      the binary is called <verb>-<file>
 *   2. in it: the types, the functions of struct extractor, transformer or loader, the struct,
 *      and a main() of one line
 *   3. its place in a flow: the table `programs` in pipeline.c
 *   4. golden cases in tests/cases/<binary>/, a line in README.md
 * The Makefile finds the file by itself.
 */
#ifndef TIDEWAY_STAGE_H
#define TIDEWAY_STAGE_H

#include <signal.h>

#include "config.h"
#include "endpoint.h"
#include "http.h"
#include "kafka.h"
#include "mapping.h"
#include "metrics.h"
#include "pipeline.h"
#include "process.h"
#include "wire.h"

struct stage {
	const char *program;
	const char *instance; /* --instance, or NULL */
	const char *records;  /* a transformer's --records, or NULL */
	struct config *config;
	const struct flow *flow;
	struct pipeline pipeline;
	const struct pipeline_stage *self;
	struct http *http;
	struct registry *registry;
	struct wire *wire;

	/* What the stage counts; whoever counts puts it in when it opens. */
	struct metrics *metrics;
	struct endpoint *endpoint; /* NULL without --metrics */
	struct buffer page;
	struct process_use use;
	int64_t started_ms, shown_ms;

	/* Filled by stage_mapping(). */
	struct table *table;
	struct resource *resource;
	struct mapping *mapping;
};

struct stage_program {
	const char *name;     /* "load-campaign" */
	int position;	      /* STAGE_EXTRACT, STAGE_TRANSFORM or STAGE_LOAD */
	const char *synopsis; /* for --help */
	/* Runs until asked to stop (OK) or until it cannot go on (RETRY and FATAL end the process:
	 * 111, and err->exit_code). */
	enum result (*run)(struct stage *s, void *arg, struct error *err);
	void *arg;
};

/* Set by SIGTERM and SIGINT. */
extern volatile sig_atomic_t stage_stop;

/* Parses, loads, runs, logs the one last error, returns the exit status. */
int stage_main(int argc, char **argv, const struct stage_program *program);

/* Loads the saved metadata of the flow's table and resource and compiles its mapping.  FATAL 100
 * after printing each problem on stderr. */
enum result stage_mapping(struct stage *s, struct error *err);

/* Waits for the broker, then requires the topics of this stage to be there and right. */
enum result stage_require_topics(struct stage *s, rd_kafka_t *rk, struct error *err);

/* Hands the numbers to the metrics endpoint, when it has older ones.  To be called in every turn of a
 * loop and in whatever takes long; it costs a look at the clock. */
void stage_turn(struct stage *s);
/* A log line of the numbers that have a name in the log: those that grow, or gauges.  since: see
 * metrics_logged(). */
void stage_log_counts(struct stage *s, const char *msg, bool gauges, int64_t *since);
/* A log line a word: `msg NAME=word count=n`.  since: counts to be subtracted and set anew, or NULL. */
void stage_log_words(const char *msg, const char *name, const struct tally *t, struct tally *since);

/* @locality any of librdkafka's threads */
void stage_log_kafka(const rd_kafka_t *rk, int level, const char *facility, const char *text);

/* Milliseconds to wait before attempt n (from 1): 200 ms doubling to 30 s, with a fifth of jitter
 * drawn from *seed. */
int64_t stage_backoff_ms(unsigned attempt, uint32_t *seed);

/* Where a group member begins in a partition: its committed offset, or the beginning.  Sets the
 * offsets of `partitions` in place. */
rd_kafka_resp_err_t stage_positions(rd_kafka_t *consumer,
				    rd_kafka_topic_partition_list_t *partitions);

/* What an error that a consumer gave instead of a record means, where it means the same to every loop:
 * FATAL when it is fenced or may not read, OK after a log line when librdkafka goes on by itself. */
enum result stage_consumer_error(const rd_kafka_message_t *m, struct error *err);
/* FATAL 100: the committed offset is gone from the topic, and records with it. */
enum result stage_offset_lost(const struct stage *s, const rd_kafka_message_t *m,
			      struct error *err);

/* One log line for an error that is not the end. */
void stage_log_error(const char *msg, enum result r, const struct error *err);

#endif
