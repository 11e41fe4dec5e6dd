/* extract_loop.h - poll a source, write what is new, remember where.
 *
 * One member of a consumer group on the flow's one-partition checkpoint topic extracts, the
 * others stand by.  The order of a term is fixed, each step measured to be needed:
 *   1. win the partition (cooperative-sticky: a joiner does not take it from a working leader)
 *   2. a NEW producer with the flow's one transactional id, init_transactions: fences a zombie
 *      and aborts what it left open
 *   3. only then read the checkpoint to its end, rebuild memory
 *   4. extract; every step's records and checkpoint go out in one transaction
 * A standby never initialises a producer: that would fence the leader.
 */
#ifndef TIDEWAY_EXTRACT_LOOP_H
#define TIDEWAY_EXTRACT_LOOP_H

#include "stage.h"

struct extract_output;

/* Writes one record; value NULL is a tombstone.  source.ms < 0: not known.  RETRY never comes. */
enum result extract_emit(struct extract_output *o, const char *key, const void *value, size_t len,
			 wall_time source, wall_time observed, struct error *err);
/* Writes a checkpoint under key; value NULL forgets it.  progress (may be NULL) is for whoever asks
 * `tideway status`: it travels in a header, so that no schema is needed to read it. */
enum result extract_checkpoint(struct extract_output *o, const char *key, avro_value_t *value,
			       const char *progress, struct error *err);
#define EXTRACT_PROGRESS "tideway-progress"
/* What an operator wants lies beside the checkpoints, in one order with them: records whose key
 * begins so, written by `tideway`, forgotten by extract_checkpoint(.., NULL) when it is done. */
#define EXTRACT_REQUEST "request/"
/* Writes a dead letter for something of the source that cannot be a record. */
enum result extract_reject(struct extract_output *o, const char *key, const void *value, size_t len,
			   const char *where, int64_t line, const struct error *why,
			   struct error *err);
/* True when so much is written, or for so long, that a long step had better commit: the broker
 * gives up a transaction that stays open. */
bool extract_full(const struct extract_output *o);
/* Commits what the step wrote so far, its checkpoint included; the step goes on. */
enum result extract_commit(struct extract_output *o, struct error *err);
/* Waits until what was committed before can be read: the broker answers a commit before the marks of
 * it are in all partitions, and takes the next transaction's first record only after. */
enum result extract_settle(struct extract_output *o, struct error *err);

struct extractor {
	const char *program, *synopsis;
	const char *checkpoint_schema; /* Avro, from schemas/ */
	enum result (*open)(struct stage *s, void **state, const struct record_class **out,
			    struct error *err);
	/* Before a term: forget everything of the last one. */
	void (*reset)(void *state);
	/* For each checkpoint record, oldest first; value NULL: key is forgotten. */
	enum result (*restore)(void *state, const char *key, const avro_value_t *value,
			       struct error *err);
	/* A request of an operator, at any time of a term; may be NULL.  value NULL: it is done. */
	enum result (*request)(void *state, const char *key, const avro_value_t *value,
			       struct error *err);
	/* After the last checkpoint, before the first step.  schema_id: of the output.  RETRY: called
	 * again later. */
	enum result (*begin)(void *state, int32_t schema_id, struct error *err);
	/* One page, one file or a part of it.  *wait_ms: until the next step.  RETRY: nothing of
	 * this step is written, it is tried again. */
	enum result (*step)(void *state, struct extract_output *o, int64_t *wait_ms,
			    struct error *err);
	void (*close)(void *state);
};

int extract_main(int argc, char **argv, const struct extractor *x);

#endif
