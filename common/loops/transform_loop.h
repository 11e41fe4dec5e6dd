/* transform_loop.h - consume, transform, produce, exactly once.
 *
 * Records, dead letters and input offsets go out in one Kafka transaction, committed at every
 * commit interval.  kill -9 at any point leaves the transaction open; the broker or the successor
 * aborts it, and read_committed readers never saw it.
 */
#ifndef TIDEWAY_TRANSFORM_LOOP_H
#define TIDEWAY_TRANSFORM_LOOP_H

#include "stage.h"

/* What came of one record. value is filled in place; key defaults to the input's. */
struct transformed {
	avro_value_t *value;
	const char *key; /* valid until the next call */
	bool lacks;	 /* given: what lacks() said of the record's schema */
	bool emit;	 /* true; false: nothing comes of it, it is counted as skipped */
	bool tombstone;	 /* false; true: one with the same key goes out behind it */
};

struct transformer {
	const char *program, *synopsis;
	/* Makes the state and says which classes it reads and writes (both live as long as it). */
	enum result (*open)(struct stage *s, void **state, const struct record_class **in,
			    const struct record_class **out, struct error *err);
	/* OK or REJECT; pure. */
	enum result (*process)(void *state, const avro_value_t *in, struct transformed *out,
			       struct error *err);
	/* NULL, or: a column that records of this schema lack and cannot be judged without, or NULL.
	 * Asked once for each schema other than the reader's. */
	const char *(*lacks)(void *state, const char *written_schema);
	/* NULL, or whether a tombstone of the source is one for the output, too. */
	bool (*tombstone)(void *state);
	void (*close)(void *state);
};

int transform_main(int argc, char **argv, const struct transformer *t);

#endif
