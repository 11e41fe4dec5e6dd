/* rewind.h - where a stage goes on reading its topic, set from outside while it is stopped. */
#ifndef TIDEWAY_REWIND_H
#define TIDEWAY_REWIND_H

#include "command.h"

struct rewind {
	/* "beginning", a time with a zone, or offsets by partition: "0:120,3:77" */
	const char *from;
	bool loader;	     /* its offsets have marks (mark.h) */
	bool memory;	     /* it has loaded.<resource>: a complete replay ends with a sweep */
	bool force;	     /* what is unchanged is written, too */
	int64_t max_deletes; /* of the sweep, a partition; 0: one in a hundred, at least 100 */
};

/* Prints what it did, or why not; returns the exit status. */
int rewind_stage(rd_kafka_t *rk, const struct pipeline_stage *s, const struct rewind *how);

#endif
