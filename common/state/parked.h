/* parked.h - records that wait for their parent: who waits for whom.  Pure.
 *
 * The records themselves are in the topic parked.<resource>, so that offsets of the input go on;
 * here is only an index: about 200 bytes a record.  A parent is known by a fingerprint of its
 * resource and key, because for the delete of a child that is all that is left of it; two parents
 * with one fingerprint cost a call, no more.
 *
 * A child and its parent come from two flows, so the parent may arrive between the refusal of the
 * child and our parking it.  Arrivals are therefore remembered for a while, and a child whose
 * parent has just come is due at once.
 */
#ifndef TIDEWAY_PARKED_H
#define TIDEWAY_PARKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "loaded.h"

/* Headers of a parked record, beside the two times: the parent's fingerprint and, where it is
 * known, its name; since when it waits (ms); its offset in the input; its place in the order of
 * versions: epoch, version, when it was observed (ms), 1 for a delete, 2 for a bare tombstone. */
#define PARKED_PARENT "tideway-parent"
#define PARKED_MISSING "tideway-parent-key"
#define PARKED_SINCE "tideway-parked-since"
#define PARKED_OFFSET "tideway-input-offset"
#define PARKED_ORDER "tideway-order"

struct parked_child {
	uint32_t parent;
	int32_t partition;
	int64_t offset; /* in the parked topic; -1: not written yet */
	int64_t since_ms, tried_ms;
	bool due;		   /* the parent has come, or it has waited too long */
	bool orphan;		   /* it has waited too long */
	struct loaded_change says; /* what is older is not written in its stead; no hash */
	const char *key;
	size_t key_len;
};

struct parked;
struct parked *parked_new(int64_t remember_ms); /* how long arrivals are remembered */
void parked_free(struct parked *p);

uint32_t parked_parent(const char *resource, const char *key, size_t key_len);

/* A later record of the same key takes the place of the one that waits, and keeps its `since`.
 * says: NULL when its place among the versions is not known. */
void parked_put(struct parked *p, const void *key, size_t key_len, int32_t partition,
		uint32_t parent, int64_t offset, int64_t since_ms,
		const struct loaded_change *says);
/* Where the record stands, when that is known. */
void parked_located(struct parked *p, const void *key, size_t key_len, int64_t offset);
const struct parked_child *parked_find(const struct parked *p, const void *key, size_t key_len);
void parked_remove(struct parked *p, const void *key, size_t key_len);
void parked_drop(struct parked *p, int32_t partition);

/* A parent is there now: its children are due.  Returns how many. */
size_t parked_arrived(struct parked *p, uint32_t parent, mono_time now);
/* Has it come within the last remember_ms, and not before `since`? */
bool parked_came(const struct parked *p, uint32_t parent, mono_time since);
void parked_set_due(struct parked *p, const void *key, size_t key_len, bool due);
/* Those that wait since before the time are due as orphans.  Returns how many. */
size_t parked_expire(struct parked *p, int64_t before_ms);
/* For want of anybody who tells of arrivals: each is due after a quarter of the time that it had
 * waited when it was tried last, within the two bounds.  Returns how many are, and were not. */
size_t parked_retry(struct parked *p, int64_t now_ms, int64_t soonest_ms, int64_t latest_ms);

/* The due ones of a partition: how many whose place is known, and from where to where they stand. */
size_t parked_due(const struct parked *p, int32_t partition, int64_t *first, int64_t *last);
size_t parked_due_count(const struct parked *p);
size_t parked_count(const struct parked *p);
size_t parked_count_in(const struct parked *p, int32_t partition);

#endif
