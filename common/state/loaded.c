/* loaded.c - see loaded.h.
 *
 * 64 shards of linear probing: each grows by itself, by a quarter, so that growing needs little
 * memory beside the table.  An entry's last word holds offset + 1 (40 bits), the index of its
 * epoch (12 bits: a snapshot of the source each), the loader's flags (8) and ours (4).
 */
#include "loaded.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "arena.h"

enum { SHARDS = 64, EPOCHS_MAX = 4096, SHARD_MIN = 8 };
enum { USED = 1, DELETED = 2, UNSURE = 4, MET = 8 };
enum { CONSENT_AT = 4, EPOCH_AT = 12, OFFSET_AT = 24 };

struct slot {
	uint64_t key;
	uint32_t key_more, parent;
	uint64_t hash;
	int64_t version;
	uint64_t word;
};
_Static_assert(sizeof(struct slot) == 40, "an entry is 40 bytes");

struct shard {
	struct slot *slots;
	size_t cap, used;
};

struct loaded {
	struct shard shards[SHARDS];
	int64_t *epochs;
	size_t epoch_count;
	size_t count, unmet;
};

struct loaded *loaded_new(void)
{
	return xcalloc(1, sizeof(struct loaded));
}

void loaded_free(struct loaded *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < SHARDS; i++)
		free(t->shards[i].slots);
	free(t->epochs);
	free(t);
}

uint32_t loaded_fingerprint(const void *key, size_t len)
{
	return (uint32_t)XXH3_64bits(key, len);
}

static bool live(const struct slot *s)
{
	return (s->word & (USED | DELETED)) == USED;
}

/* The slot of the key, or the free one where it would go. */
static struct slot *probe(const struct shard *s, XXH128_hash_t h)
{
	size_t i = (size_t)(((unsigned __int128)h.low64 * s->cap) >> 64);

	for (;; i = i + 1 == s->cap ? 0 : i + 1) {
		struct slot *at = &s->slots[i];
		if (!(at->word & USED) ||
		    (at->key == h.low64 && at->key_more == (uint32_t)h.high64))
			return at;
	}
}

static const struct shard *shard_of(const struct loaded *t, XXH128_hash_t h)
{
	return &t->shards[h.high64 >> 58];
}

static void grow(struct shard *s)
{
	struct shard next = {.cap = s->cap < SHARD_MIN ? SHARD_MIN : s->cap + s->cap / 4};

	next.slots = xcalloc(next.cap, sizeof *next.slots);
	for (size_t i = 0; i < s->cap; i++) {
		const struct slot *from = &s->slots[i];
		if (!(from->word & USED))
			continue;
		XXH128_hash_t h = {.low64 = from->key, .high64 = from->key_more};
		*probe(&next, h) = *from;
		next.used++;
	}
	free(s->slots);
	*s = next;
}

static size_t epoch_index(struct loaded *t, int64_t epoch)
{
	for (size_t i = t->epoch_count; i-- > 0;)
		if (t->epochs[i] == epoch)
			return i;
	if (t->epoch_count == EPOCHS_MAX) {
		/* A snapshot a day for eleven years. The oldest ones become one: they are ordered
		 * against what comes, no more among themselves. */
		for (size_t i = 0; i + 1 < EPOCHS_MAX; i++)
			if (t->epochs[i] < epoch)
				return i;
		return EPOCHS_MAX - 1;
	}
	t->epochs = xrealloc(t->epochs, (t->epoch_count + 1) * sizeof *t->epochs);
	t->epochs[t->epoch_count] = epoch;
	return t->epoch_count++;
}

static void unpack(const struct loaded *t, const struct slot *s, struct loaded_entry *e)
{
	*e = (struct loaded_entry){.hash = s->hash,
				   .epoch = t->epochs[s->word >> EPOCH_AT & (EPOCHS_MAX - 1)],
				   .version = s->version,
				   .offset = (int64_t)(s->word >> OFFSET_AT) - 1,
				   .parent = s->parent,
				   .deleted = s->word & DELETED,
				   .unsure = s->word & UNSURE,
				   .met = s->word & MET,
				   .consent = (uint8_t)(s->word >> CONSENT_AT)};
}

bool loaded_find(const struct loaded *t, const void *key, size_t len, struct loaded_entry *out)
{
	XXH128_hash_t h = XXH3_128bits(key, len);
	const struct shard *s = shard_of(t, h);

	if (!s->cap)
		return false;
	const struct slot *at = probe(s, h);
	if (!(at->word & USED))
		return false;
	unpack(t, at, out);
	return true;
}

void loaded_put(struct loaded *t, const void *key, size_t len, const struct loaded_entry *e)
{
	XXH128_hash_t h = XXH3_128bits(key, len);
	struct shard *s = (struct shard *)shard_of(t, h);

	if (s->used * 8 >= s->cap * 7)
		grow(s);
	struct slot *at = probe(s, h);
	if (at->word & USED) {
		t->count -= live(at);
		t->unmet -= live(at) && !(at->word & MET);
	} else {
		s->used++;
	}
	*at = (struct slot){.key = h.low64,
			    .key_more = (uint32_t)h.high64,
			    .parent = e->parent,
			    .hash = e->hash,
			    .version = e->version};
	at->word = (uint64_t)(e->offset + 1) << OFFSET_AT |
		   (uint64_t)epoch_index(t, e->epoch) << EPOCH_AT |
		   (uint64_t)e->consent << CONSENT_AT | USED | (e->deleted ? DELETED : 0u) |
		   (e->unsure ? UNSURE : 0u) | (e->met ? MET : 0u);
	t->count += live(at);
	t->unmet += live(at) && !(at->word & MET);
}

void loaded_forget(struct loaded *t, const void *key, size_t len)
{
	XXH128_hash_t h = XXH3_128bits(key, len);
	struct shard *s = (struct shard *)shard_of(t, h);

	if (!s->cap)
		return;
	struct slot *at = probe(s, h);
	if (!(at->word & USED))
		return;
	t->count -= live(at);
	t->unmet -= live(at) && !(at->word & MET);
	at->word = 0;
	s->used--;
	/* Those behind it must stay within reach of their place. */
	size_t hole = (size_t)(at - s->slots), i = hole;
	for (;;) {
		i = i + 1 == s->cap ? 0 : i + 1;
		struct slot *next = &s->slots[i];
		if (!(next->word & USED))
			return;
		struct slot moved = *next;
		next->word = 0;
		XXH128_hash_t k = {.low64 = moved.key, .high64 = moved.key_more};
		*probe(s, k) = moved;
	}
}

void loaded_unmeet(struct loaded *t)
{
	for (size_t i = 0; i < SHARDS; i++)
		for (size_t k = 0; k < t->shards[i].cap; k++)
			t->shards[i].slots[k].word &= ~(uint64_t)MET;
	t->unmet = t->count;
}

void loaded_forget_offsets(struct loaded *t, int64_t end)
{
	for (size_t i = 0; i < SHARDS; i++)
		for (size_t k = 0; k < t->shards[i].cap; k++) {
			struct slot *s = &t->shards[i].slots[k];
			if ((int64_t)(s->word >> OFFSET_AT) > end)
				s->word &= (1u << OFFSET_AT) - 1;
		}
}

size_t loaded_count(const struct loaded *t)
{
	return t->count;
}

size_t loaded_unmet(const struct loaded *t)
{
	return t->unmet;
}

size_t loaded_bytes(const struct loaded *t)
{
	size_t bytes = sizeof *t + t->epoch_count * sizeof *t->epochs;
	for (size_t i = 0; i < SHARDS; i++)
		bytes += t->shards[i].cap * sizeof(struct slot);
	return bytes;
}

/* ---- the question ----------------------------------------------------------------------------- */

static int order(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

enum loaded_verdict loaded_judge(const struct loaded_entry *known, const struct loaded_change *c,
				 bool may_skip)
{
	if (!known)
		return LOADED_WRITE;
	if (c->tombstone) {
		if (known->deleted)
			return LOADED_UNCHANGED;
		return c->offset < known->offset ? LOADED_OLDER : LOADED_WRITE;
	}
	int than = order(c->epoch, known->epoch);
	than = than ? than : order(c->version, known->version);
	if (than < 0)
		return LOADED_OLDER;
	if (known->deleted) {
		if (c->is_delete)
			return known->unsure || !may_skip ? LOADED_WRITE : LOADED_UNCHANGED;
		return !than && c->observed_ms < (int64_t)known->hash ? LOADED_OLDER : LOADED_WRITE;
	}
	if (c->is_delete || known->unsure || !may_skip || c->hash != known->hash)
		return LOADED_WRITE;
	return LOADED_UNCHANGED;
}

bool loaded_older(const struct loaded_change *c, const struct loaded_change *before)
{
	const struct loaded_entry e = {.deleted = before->is_delete,
				       .epoch = before->epoch,
				       .version = before->version,
				       .offset = before->offset,
				       .hash = before->is_delete ? (uint64_t)before->observed_ms
								 : before->hash};

	return !before->tombstone && loaded_judge(&e, c, false) == LOADED_OLDER;
}
