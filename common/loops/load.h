/* load.h - what the files of the load loop share (load_loop.h lists them).  Not for stages. */
#ifndef TIDEWAY_LOAD_H
#define TIDEWAY_LOAD_H

#include "histogram.h"
#include "load_loop.h"
#include "loaded_topic.h"
#include "mark.h"
#include "parked.h"
#include "window.h"

enum {
	LOAD_COMMIT_MS = 500,
	LOAD_DRAIN_MS = 10000,
	LOAD_POLL_AT_LEAST_MS = 1000,
	LOAD_LINGER_MS = 100, /* how long a batch waits to be filled */
	LOAD_LEASE = 5000,    /* offsets that may be sent before the next commit, at least */
	LOAD_IDLE_MS = 1000,  /* without a record so long, the lease is given back */
	LOAD_OUTCOMES_MAX = 20000,
	LOAD_WINDOW_MAX = 20000, /* records in memory */
};

/* The payload of a window item. */
struct load_item {
	rd_kafka_message_t *msg; /* for the dead letter and for parking; NULL: of a sweep */
	struct load_record r;
	const struct loader *loader;
	struct error *why; /* a dead letter when it is its key's turn */
	/* A differing record of the key came before and may have reached the target: equal to
	 * what loaded.h remembers does not mean unchanged. */
	bool no_skip;
	bool parked;  /* parked.<resource> has a record of the key */
	bool swept;   /* a complete replay did not meet the key */
	bool expired; /* it waited too long for its parent */
	bool older;   /* it came behind a newer version, and is judged when that is done */
	/* It goes instead of one that was tried so often. */
	unsigned attempt, unknown;
	int64_t input_offset;
};

struct job {
	struct job *next;
	struct load_job pub;
	struct window_item **slots; /* beside pub.records */
	unsigned group;
	mono_time due;	       /* waiting: when to send again; open: when to send at the latest */
	mono_time sent, begun; /* its request; the first one */
};

/* What is finished and not committed yet. */
struct outcome {
	struct outcome *next;
	enum { OUTCOME_STATE, OUTCOME_FORGET, OUTCOME_DEAD, OUTCOME_PARK, OUTCOME_UNPARK } kind;
	int32_t partition;
	int64_t offset; /* of the input; a dead letter goes out when the position is behind it */
	struct loaded_entry entry;
	rd_kafka_message_t *msg; /* of a dead letter or parked record */
	struct error why;
	uint32_t parent;
	char *missing;
	int64_t since_ms;
	struct loaded_change says; /* of a parked record */
	size_t key_len;
	char key[];
};

struct partition {
	bool ours;
	int64_t committed;
	struct mark mark; /* as it will be committed next */
	int64_t committed_ahead;
	bool mark_changed; /* it is committed although the position is not */
	int64_t next;	   /* behind the last record that was read */
	mono_time last_record;
	struct loaded *loaded;
	/* After a take-over from an owner that left requests behind: */
	bool reading_ahead; /* until `next` reaches the mark's ahead, or the end */
	mono_time held_until;
	bool check_gap;
	int64_t no_skip_below; /* offsets that are written although the hash says unchanged */
	int64_t doubt_below;   /* offsets whose records may have been sent by an owner before us */
	bool full;	       /* paused, until the record that holds it up is done */
	bool leaving;	       /* nothing more is sent */
	bool in_doubt; /* something was sent, got no answer, and is left to the next owner */
	bool sweeping; /* the deletes of a sweep are on their way */
	size_t sweep_left;
};

struct loop {
	struct stage *stage;
	const struct loader *loader;
	void *state;
	rd_kafka_t *consumer, *producer;
	rd_kafka_t *reader, *watcher; /* of our own topics */
	rd_kafka_t *arrivals;	      /* reads the parents' loaded.<resource> */
	int wake[2];		      /* librdkafka writes, curl_multi_poll reads */

	struct window *window;
	size_t window_max, batch_max;
	struct job *open[LOAD_GROUPS];
	struct job *waiting;
	bool retries_next; /* new records and retries take turns */
	size_t in_flight;
	struct load_limits limits;
	struct governor governor;
	bool breaker_told;

	struct partition *partitions;
	size_t partition_count;
	int input_partitions;

	struct loaded_topic *loaded_topic;
	char loaded_name[PIPELINE_NAME_MAX], parked_name[PIPELINE_NAME_MAX];
	struct parked *parked;
	const char *parents[LOAD_PARENTS]; /* resources */
	char parent_topics[LOAD_PARENTS][PIPELINE_NAME_MAX];
	size_t parent_count;
	bool arrivals_from_start;
	mono_time parked_looked, parked_tried;
	bool day_full_told, day_calls_told;

	struct outcome *outcomes, **outcomes_end;
	size_t outcome_count;
	mono_time committed_at, aborted_at;
	bool commit_now;		       /* a record waits for a lease */
	char refused_topic[PIPELINE_NAME_MAX]; /* of a commit: whose message failed first */
	struct buffer encoded;

	rd_kafka_message_t *stalled;
	mono_time stalled_until;
	unsigned stall_attempt;
	uint32_t seed;
	bool paused;
	bool drained; /* nothing was left in the consumer's queue */
	mono_time polled, turned, reported, hour_reported;
	enum result broken;
	struct error err;

	/* For reports. */
	int64_t records, retries, unknown;
	int64_t counts[LOAD_COUNTS];
	int64_t committed, aborted;	     /* transactions */
	struct histogram latency, freshness; /* from the topic, from the source, to the answer */
	struct tally reasons, calls;
	int64_t hour_counts[METRICS_LOGGED_MAX];
	struct tally hour_reasons;
	struct load_gauges {
		int64_t in_flight, outstanding, parked, known_keys, window, pace, breaker;
		int64_t partitions, lag;
	} gauges;
};

static inline int64_t later_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* load_loop.c */
enum result load_give_up(struct loop *l, const struct error *err);
struct partition *load_partition(struct loop *l, int32_t id);
void load_item_free(void *payload);
void load_count(struct loop *l, int32_t partition, enum load_count what, int64_t n);
/* Takes answers while something blocking goes on. */
void load_tick(void *loop);

/* load_intake.c */
/* An item of a message; the message is taken over. false: it must wait, the registry is away. */
bool load_prepare(struct loop *l, rd_kafka_message_t *m, struct load_item *out);
enum result load_take_messages(struct loop *l);
bool load_has_room(const struct loop *l);
/* A partition that is held up by one record is paused after a while. */
void load_bound_spans(struct loop *l);

/* load_report.c */
void load_report_open(struct loop *l);
void load_report(struct loop *l, mono_time now);
void load_report_end(struct loop *l);

/* load_send.c */
void load_send(struct loop *l, mono_time now);
void load_take_answers(struct loop *l);
void load_release_partition(struct loop *l, int32_t partition);
int64_t load_next_wait(struct loop *l, mono_time now);
void load_free_jobs(struct loop *l);

/* load_day.c: rows_per_day and max_requests_per_day. */
bool load_day_has_rows(struct loop *l);
void load_day_row(struct loop *l, int32_t partition);
void load_day_row_back(struct loop *l, int32_t partition); /* it was not written after all */
/* Tells the governor whether a request may go out; before requests are made. */
void load_day_turn(struct loop *l, mono_time now);
void load_day_call(struct loop *l);

/* load_outcome.c: what came of a record is remembered, and its item is finished. */
/* Must it be written?  e: what the target has; deleted where nothing is known. */
enum loaded_verdict load_judge(struct loop *l, int32_t partition, const void *key, size_t key_len,
			       const struct load_item *it, struct loaded_entry *e);
struct loaded_change load_change_of(const struct load_item *it);
/* Of one key: must it not be written over `before`, though it came later? */
bool load_is_older(const struct load_item *it, const struct load_item *before);
/* Something newer of its key waits for a parent. */
bool load_is_past(struct loop *l, const struct window_item *slot);
/* Nothing is to be written: the target has it, or something newer.  That is counted and remembered. */
bool load_needless(struct loop *l, int32_t partition, const void *key, size_t key_len,
		   const struct load_item *it, struct loaded_entry *was);
void load_written(struct loop *l, const struct window_item *slot, const struct load_job *job);
/* begun: when the first request went out whose answers say that the parent is not there. */
void load_park(struct loop *l, struct window_item *slot, const struct load_job *job,
	       mono_time begun);
void load_reject(struct loop *l, struct window_item *slot, const struct load_job *job,
		 const struct error *why);
void load_finish(struct loop *l, struct window_item *slot);

/* load_commit.c: what is finished is written down at the next commit. */
void load_keep_state(struct loop *l, int32_t partition, const void *key, size_t key_len,
		     const struct loaded_entry *e);
void load_forget_state(struct loop *l, int32_t partition, const void *key, size_t key_len);
/* Takes the item's message. */
void load_dead_letter(struct loop *l, const struct window_item *slot, struct load_item *it,
		      const struct error *why);
void load_keep_parked(struct loop *l, const struct window_item *slot, struct load_item *it,
		      uint32_t parent, const char *missing, int64_t since_ms);
void load_unpark(struct loop *l, int32_t partition, const void *key, size_t key_len);
/* OK, or RETRY when it was aborted. FATAL is in l->err. */
enum result load_commit(struct loop *l);
bool load_commit_is_due(struct loop *l, mono_time now);
void load_drop_outcomes(struct loop *l, int32_t partition);
void load_on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque);

/* load_group.c */
void load_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
		       rd_kafka_topic_partition_list_t *partitions, void *opaque);
void load_drain(struct loop *l, const rd_kafka_topic_partition_list_t *partitions);
/* Limits of what may be sent: leases, and what holds a partition after a take-over. */
void load_set_limits(struct loop *l, mono_time now);
/* The first record after a take-over shows whether records are missing. */
void load_saw_offset(struct loop *l, int32_t partition, int64_t offset, int64_t timestamp_ms);

/* load_park.c */
enum result load_park_open(struct loop *l, struct error *err);
enum result load_park_restore(struct loop *l, int32_t partition, struct error *err);
/* Listens to arrivals, releases who is due, expires who waited too long, sweeps. */
void load_park_turn(struct loop *l, mono_time now);

#endif
