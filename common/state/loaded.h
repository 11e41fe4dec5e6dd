/* loaded.h - what the target has, as far as a loader knows: one small entry a key.  Pure.
 *
 * A flat open-addressing table a partition, so that giving up a partition gives up its memory: 40
 * bytes an entry, at most 56 with the room between them.  The key itself is not kept, a
 * fingerprint of 96 bits stands for it (two of 15 million keys meet with a probability of 1e-15).
 *
 * The table answers one question: must this record be written?  It must never say "no" when the
 * target differs, so the rules of loaded_judge() stand in one place and are tested one by one:
 *
 *   - records are ordered by (epoch, version); what is older is never written
 *   - a delete has no version of its own, it takes the highest one seen.  So an upsert of the same
 *     version counts as older when it was observed before the delete: a dead letter that is sent
 *     again does not bring a deleted record back
 *   - a tombstone has no version at all: it is older when its offset is
 *   - equal means the same hash, an outcome that is sure, and a caller who allows it
 */
#ifndef TIDEWAY_LOADED_H
#define TIDEWAY_LOADED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loaded_entry {
	uint64_t hash; /* of what was written; of a deleted key, when the delete was observed */
	int64_t epoch, version;
	int64_t offset;	 /* of the record in the input; -1: not known */
	uint32_t parent; /* fingerprint of the parent's key, where the loader needs it */
	bool deleted;
	bool unsure;	 /* a write was refused or lost: the target may have anything */
	bool met;	 /* by the complete replay that is going on */
	uint8_t consent; /* flags that were written last, so that they are written once */
};

struct loaded;
struct loaded *loaded_new(void);
void loaded_free(struct loaded *t);

bool loaded_find(const struct loaded *t, const void *key, size_t len, struct loaded_entry *out);
void loaded_put(struct loaded *t, const void *key, size_t len, const struct loaded_entry *e);
/* A complete replay begins: nothing was met yet. */
void loaded_unmeet(struct loaded *t);
/* Offsets from `end` on are those of a topic that is no more. */
void loaded_forget_offsets(struct loaded *t, int64_t end);
/* Drops the entry of a key that was deleted long ago. */
void loaded_forget(struct loaded *t, const void *key, size_t len);

size_t loaded_count(const struct loaded *t); /* keys that the target has */
size_t loaded_unmet(const struct loaded *t); /* of those, not met */
size_t loaded_bytes(const struct loaded *t);

uint32_t loaded_fingerprint(const void *key, size_t len); /* of a parent's key */

/* What a record says, in short. */
struct loaded_change {
	bool is_delete, tombstone;
	int64_t epoch, version, observed_ms, offset;
	uint64_t hash;
};

enum loaded_verdict { LOADED_WRITE, LOADED_UNCHANGED, LOADED_OLDER };

/* known: NULL when the key was never loaded.  may_skip: false for a key with an unknown outcome
 * or a differing record before this one, for ranges with gaps, and for a forced replay. */
enum loaded_verdict loaded_judge(const struct loaded_entry *known, const struct loaded_change *c,
				 bool may_skip);
/* By the same rules: would c be older, were `before` what the target has?  The place in the topic
 * does not say so: what was a dead letter comes again behind newer versions. */
bool loaded_older(const struct loaded_change *c, const struct loaded_change *before);

#endif
