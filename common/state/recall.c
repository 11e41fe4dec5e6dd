/* recall.c - see recall.h. */
#include "recall.h"

#include <stdlib.h>
#include <xxhash.h>

#include "arena.h"
#include "seen.h"

enum { PARTS = 9, FIRST_SIZE = 64 };

/* Two pairs with one 64-bit hash would be counted as one: among ten million pairs that happens with
 * a probability of 3 in a million, and costs an open. */
struct count {
	uint64_t pair; /* 0: empty */
	int64_t number;
};

struct part {
	int64_t age; /* time divided by the width of a part; -1: empty */
	struct seen *ids;
	struct count *counts;
	size_t size, used;
};

struct recall {
	int64_t width_ms;
	struct part parts[PARTS];
};

static void part_clear(struct part *p)
{
	seen_free(p->ids);
	free(p->counts);
	*p = (struct part){.age = -1};
}

struct recall *recall_new(int64_t window_ms)
{
	struct recall *r = xcalloc(1, sizeof *r);

	r->width_ms = window_ms / (PARTS - 1) + 1;
	for (int i = 0; i < PARTS; i++)
		r->parts[i].age = -1;
	return r;
}

void recall_clear(struct recall *r)
{
	for (int i = 0; i < PARTS; i++)
		part_clear(&r->parts[i]);
}

void recall_free(struct recall *r)
{
	if (!r)
		return;
	recall_clear(r);
	free(r);
}

/* The part of a time, made empty when it held an older one.  A time that is older than all is kept
 * with the oldest: clocks of brokers and readers differ. */
static struct part *part_of(struct recall *r, wall_time when)
{
	int64_t age = when.ms < 0 ? 0 : when.ms / r->width_ms;
	struct part *p = &r->parts[age % PARTS];

	if (p->age < age) {
		part_clear(p);
		p->age = age;
		p->ids = seen_new();
		p->size = FIRST_SIZE;
		p->counts = xcalloc(p->size, sizeof *p->counts);
	}
	return p;
}

bool recall_has(const struct recall *r, const void *id, size_t len)
{
	for (int i = 0; i < PARTS; i++)
		if (r->parts[i].ids && seen_has(r->parts[i].ids, id, len))
			return true;
	return false;
}

void recall_add(struct recall *r, const void *id, size_t len, wall_time when)
{
	seen_add(part_of(r, when)->ids, id, len);
}

size_t recall_count(const struct recall *r)
{
	size_t n = 0;

	for (int i = 0; i < PARTS; i++)
		n += r->parts[i].ids ? seen_count(r->parts[i].ids) : 0;
	return n;
}

static struct count *find(const struct part *p, uint64_t pair)
{
	for (size_t i = pair & (p->size - 1);; i = (i + 1) & (p->size - 1))
		if (p->counts[i].pair == pair || !p->counts[i].pair)
			return &p->counts[i];
}

static uint64_t pair_of(const void *pair, size_t len)
{
	uint64_t h = XXH3_64bits(pair, len);
	return h ? h : 1;
}

int64_t recall_next(const struct recall *r, const void *pair, size_t len, int64_t max)
{
	uint64_t h = pair_of(pair, len);
	int64_t last = 0;

	for (int i = 0; i < PARTS; i++) {
		const struct part *p = &r->parts[i];
		int64_t number = p->ids ? find(p, h)->number : 0;
		last = number > last ? number : last;
	}
	return last < max ? last + 1 : max;
}

static void grow(struct part *p)
{
	struct part larger = {.size = p->size * 2};

	larger.counts = xcalloc(larger.size, sizeof *larger.counts);
	for (size_t i = 0; i < p->size; i++)
		if (p->counts[i].pair)
			*find(&larger, p->counts[i].pair) = p->counts[i];
	free(p->counts);
	p->counts = larger.counts;
	p->size = larger.size;
}

void recall_counted(struct recall *r, const void *pair, size_t len, int64_t number, wall_time when)
{
	struct part *p = part_of(r, when);
	uint64_t h = pair_of(pair, len);
	struct count *c = find(p, h);

	if (!c->pair) {
		if (++p->used > p->size / 4 * 3) {
			grow(p);
			c = find(p, h);
		}
		c->pair = h;
	}
	c->number = number > c->number ? number : c->number;
}
