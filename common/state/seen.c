/* seen.c - see seen.h. */
#include "seen.h"

#include <stdlib.h>
#include <xxhash.h>

#include "arena.h"

enum { FIRST_SIZE = 1024 };

struct seen {
	XXH128_hash_t *slots; /* {0, 0} is empty */
	size_t size, count;   /* size is a power of two */
};

struct seen *seen_new(void)
{
	struct seen *s = xcalloc(1, sizeof *s);
	s->size = FIRST_SIZE;
	s->slots = xcalloc(s->size, sizeof *s->slots);
	return s;
}

void seen_free(struct seen *s)
{
	if (!s)
		return;
	free(s->slots);
	free(s);
}

static XXH128_hash_t hash(const void *text, size_t len)
{
	XXH128_hash_t h = XXH3_128bits(text, len);
	if (!h.low64 && !h.high64)
		h.low64 = 1;
	return h;
}

/* The slot that holds h or the empty one where it belongs. */
static XXH128_hash_t *slot(const struct seen *s, XXH128_hash_t h)
{
	for (size_t i = h.low64 & (s->size - 1);; i = (i + 1) & (s->size - 1))
		if (XXH128_isEqual(s->slots[i], h) || (!s->slots[i].low64 && !s->slots[i].high64))
			return &s->slots[i];
}

static bool is_free(const XXH128_hash_t *h)
{
	return !h->low64 && !h->high64;
}

static void grow(struct seen *s)
{
	struct seen larger = {.size = s->size * 2, .count = s->count};

	larger.slots = xcalloc(larger.size, sizeof *larger.slots);
	for (size_t i = 0; i < s->size; i++)
		if (!is_free(&s->slots[i]))
			*slot(&larger, s->slots[i]) = s->slots[i];
	free(s->slots);
	*s = larger;
}

bool seen_has(const struct seen *s, const void *text, size_t len)
{
	return !is_free(slot(s, hash(text, len)));
}

bool seen_add(struct seen *s, const void *text, size_t len)
{
	XXH128_hash_t h = hash(text, len), *at = slot(s, h);

	if (!is_free(at))
		return false;
	*at = h;
	s->count++;
	if (s->count > s->size / 4 * 3)
		grow(s);
	return true;
}

size_t seen_count(const struct seen *s)
{
	return s->count;
}

void seen_clear(struct seen *s)
{
	free(s->slots);
	s->count = 0;
	s->size = FIRST_SIZE;
	s->slots = xcalloc(s->size, sizeof *s->slots);
}
