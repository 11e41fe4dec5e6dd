/* load_loop.h - from a topic into an HTTP API, many requests in flight, in order per key.
 *
 * One application thread.  librdkafka's queue wakes curl_multi_poll through its event descriptor,
 * so nothing spins.  What a loader has done and how far it is, is committed in one Kafka
 * transaction behind the acknowledgement of the target; kill -9 repeats what was in flight, with
 * the same result, because a loader's writes are keyed.
 *
 * A loader may keep a memory of what its target has (loaded.h): then nothing is sent for what is
 * unchanged, and nothing older is ever written.  It may let records wait for their parents
 * (parked.h).  Both are off for a loader that does not ask for them.
 *
 *   load_loop.c     the loop, main
 *   load_intake.c   from the topic into the window
 *   load_send.c     jobs, requests, answers
 *   load_day.c      what may be sent on one day
 *   load_outcome.c  what came of a record
 *   load_commit.c   what is finished goes into topics, with the offsets
 *   load_group.c    partitions come and go: restoring, draining
 *   load_park.c     records that wait for their parent, sweeps
 *   load_report.c   counts in the log
 */
#ifndef TIDEWAY_LOAD_LOOP_H
#define TIDEWAY_LOAD_LOOP_H

#include "governor.h"
#include "stage.h"

enum load_outcome { LOAD_NOTHING, LOAD_CREATED, LOAD_UPDATED, LOAD_DELETED };

/* What became of one record of a batch whose answer tells them apart. */
struct load_verdict {
	enum result
	    result;	 /* OK: done; RETRY: it goes out again; REJECT: as err, or it is parked */
	uint32_t parent; /* with REJECT: it waits for that one. Not 0. */
	const char *missing;
	struct error err;
};

/* One request to be: the records it carries, and where a loader is with them. */
struct load_job {
	void **records; /* the loader's, from prepare() */
	size_t count;
	unsigned step;	       /* the loader's own: 0 at first */
	unsigned attempt;      /* answers of RETRY so far */
	unsigned unknown;      /* the loader's own: answers that nobody documented */
	unsigned token;	       /* the loader's own: which token the request went out with */
	size_t asked, asking;  /* the loader's own: of how many of its records more is known */
	bool found;	       /* the loader's own: asking was of use */
	size_t full;	       /* the loader's own: of how many records it was at first */
	bool known;	       /* loaded.h has the key, not deleted */
	uint32_t known_parent; /* and then: the parent that it needs, or 0 */
	uint8_t consent;       /* and then: the flags that were written last */
	bool doubtful;	       /* a request of this key may have reached the target, unanswered */

	const char *call;	   /* set by request(): what reports call it, a constant */
	enum load_outcome outcome; /* set by answer() with OK */
	/* Set by answer() with RETRY: the error is about this record, the target works. */
	bool about_record;
	/* Set by answer() with REJECT: the parent is not there, so the record waits for it. Not
	 * 0. missing: its name for the dead letter, when known; the loader's memory. */
	uint32_t parent;
	const char *missing;
	/* Set by answer() with REJECT, malloc'ed, one a record: it is known which are bad, so the
	 * batch is not halved. At least one must not be RETRY. */
	struct load_verdict *verdicts;
};

struct load_record {
	void *record;	/* the loader's */
	unsigned group; /* only records of one group share a request: below LOAD_GROUPS */
	bool is_delete; /* a tombstone right behind it says nothing new */

	/* With memory: */
	bool tombstone; /* a delete that says nothing but its key */
	int64_t epoch, version, observed_ms;
	uint64_t hash;	 /* of what would be written */
	uint32_t parent; /* fingerprint (parked_parent) of one that it cannot be without; or 0 */
	uint8_t consent; /* flags that would be written; the loader's own */
	bool partial;	 /* says only a part: flags that it does not name stay what they were */
};
enum { LOAD_GROUPS = 8 };

struct load_limits {
	struct governor_limits governor; /* of this process */
	int64_t per_day; /* requests of all loaders of the flow together, by UTC; 0: no limit */
};

struct loader {
	const char *program, *synopsis;
	bool batches; /* up to batch_size records a request, else one */
	bool memory;  /* keeps loaded.<resource> */
	/* Its records may wait for a parent of whose arrival no topic tells: they are tried again now
	 * and then.  The reason of the dead letter when they have waited too long; or NULL. */
	const char *parks;
	struct load_limits (*limits)(const struct stage *s, void *state);
	/* Records a request of the group at the moment, at most the flow's batch_size; may be NULL. */
	size_t (*batch_size)(void *state, unsigned group);
	enum result (*open)(struct stage *s, void **state, struct error *err);
	/* Reads one message (payload NULL: a tombstone).  OK, REJECT, or RETRY when the registry is
	 * away. record NULL with OK: nothing needs to be done. */
	enum result (*prepare)(void *state, const rd_kafka_message_t *msg, struct load_record *out,
			       struct error *err);
	/* With memory: what prepare() says of a message, but for the record itself, consent and
	 * parent, in a fraction of the time: enough to know that nothing needs to be written.  Any
	 * other result than OK: prepare() will say why. */
	enum result (*glance)(void *state, const rd_kafka_message_t *msg, struct load_record *out,
			      struct error *err);
	/* A delete of a key, for a sweep. NULL: the target keeps what the source has no more. */
	void *(*remove)(void *state, const void *key, size_t key_len);
	/* The later record is to be written instead of both: takes over from the earlier one what
	 * the later leaves alone.  false: both must be written.  NULL: always so. */
	bool (*merge)(void *state, const struct load_record *earlier, struct load_record *later);
	void (*release)(void *record);
	/* The request for the job's step.  Memory belongs to the loader until its next call.  OK
	 * with method NULL: nothing needs to be sent. */
	enum result (*request)(void *state, struct load_job *job, struct http_request *req,
			       struct error *err);
	/* OK: done, or, with *again, the next step goes out at once.  RETRY: the same again later.
	 * REJECT: a dead letter when the job has one record; else it is sent again in halves. */
	enum result (*answer)(void *state, struct load_job *job, const struct http_response *res,
			      mono_time now, bool *again, struct error *err);
	/* Names of the resources whose arrival records may wait for; returns how many, at most
	 * LOAD_PARENTS.  The topics loaded.<name> tell of them. NULL: none waits. */
	size_t (*parents)(void *state, const char **names);
	void (*close)(void *state);
};
enum { LOAD_PARENTS = FLOW_LINKS_MAX };

int load_main(int argc, char **argv, const struct loader *l);

#endif
