/* load_loop.h - from a topic into an HTTP API, many requests in flight, in order per key.
 *
 * One application thread.  librdkafka's queue wakes curl_multi_poll through its event descriptor,
 * so nothing spins.  At least once: offsets are committed only up to the lowest record that is not
 * acknowledged; kill -9 repeats what was in flight, with the same result, because a loader's
 * writes are keyed.
 */
#ifndef TIDEWAY_LOAD_LOOP_H
#define TIDEWAY_LOAD_LOOP_H

#include "stage.h"

/* One request to be: the records it carries, and where a loader is with them. */
struct load_job {
	void **records; /* the loader's, from prepare() */
	size_t count;
	unsigned step;	  /* the loader's own: 0 at first */
	unsigned attempt; /* answers of RETRY so far */
	unsigned token;	  /* the loader's own: which token the request went out with */
	int64_t seen;	  /* the loader's own */
};

struct load_record {
	void *record;	/* the loader's */
	unsigned group; /* only records of one group share a request: below LOAD_GROUPS */
	bool is_delete; /* a tombstone right behind it says nothing new */
};
enum { LOAD_GROUPS = 8 };

struct loader {
	const char *program, *synopsis;
	bool batches; /* up to batch_size records a request, else one */
	enum result (*open)(struct stage *s, void **state, struct error *err);
	/* Reads one message (payload NULL: a tombstone).  OK, REJECT, or RETRY when the registry is
	 * away. record NULL with OK: nothing needs to be done. */
	enum result (*prepare)(void *state, const rd_kafka_message_t *msg, struct load_record *out,
			       struct error *err);
	void (*release)(void *record);
	/* The request for the job's step.  Memory belongs to the loader until its next call. */
	enum result (*request)(void *state, struct load_job *job, struct http_request *req,
			       struct error *err);
	/* OK: done, or, with *again, the next step goes out at once.  RETRY: the same again later.
	 * REJECT: a dead letter when the job has one record; else it is sent again in halves. */
	enum result (*answer)(void *state, struct load_job *job, const struct http_response *res,
			      mono_time now, bool *again, struct error *err);
	void (*close)(void *state);
};

int load_main(int argc, char **argv, const struct loader *l);

#endif
