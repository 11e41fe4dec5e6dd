/* parked.c - see parked.h. */
#include "parked.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>

#include "arena.h"

struct child {
	struct parked_child pub;
	struct family *family;
	struct child *older, *younger; /* of the family */
	struct child *before, *after;  /* of all, in the order of parking */
	UT_hash_handle hh;
	char bytes[];
};

struct family {
	uint32_t parent;
	struct child *children;
	UT_hash_handle hh;
};

/* Arrivals of a while, in two halves: the older one is thrown away whole. */
struct arrival {
	uint32_t parent;
	mono_time at; /* the last one */
	UT_hash_handle hh;
};

struct parked {
	struct child *by_key;
	struct family *families;
	struct child *first, *last;
	struct arrival *recent, *before_that;
	mono_time turned;
	int64_t remember_ms;
	size_t due;
};

struct parked *parked_new(int64_t remember_ms)
{
	struct parked *p = xcalloc(1, sizeof *p);
	p->remember_ms = remember_ms;
	return p;
}

uint32_t parked_parent(const char *resource, const char *key, size_t key_len)
{
	uint64_t seed = XXH3_64bits(resource, strlen(resource));
	uint32_t f = (uint32_t)XXH3_64bits_withSeed(key, key_len, seed);
	return f ? f : 1; /* 0 means none */
}

static struct child *find(const struct parked *p, const void *key, size_t key_len)
{
	struct child *c;
	HASH_FIND(hh, p->by_key, key, key_len, c);
	return c;
}

static void set_due(struct parked *p, struct child *c, bool due)
{
	p->due += (size_t)due - (size_t)c->pub.due;
	c->pub.due = due;
}

static void join_family(struct parked *p, struct child *c)
{
	struct family *f;

	HASH_FIND(hh, p->families, &c->pub.parent, sizeof c->pub.parent, f);
	if (!f) {
		f = xcalloc(1, sizeof *f);
		f->parent = c->pub.parent;
		HASH_ADD(hh, p->families, parent, sizeof f->parent, f);
	}
	c->family = f;
	c->older = NULL;
	c->younger = f->children;
	if (f->children)
		f->children->older = c;
	f->children = c;
}

static void leave_family(struct parked *p, struct child *c)
{
	struct family *f = c->family;

	if (c->younger)
		c->younger->older = c->older;
	if (c->older)
		c->older->younger = c->younger;
	else
		f->children = c->younger;
	if (f->children)
		return;
	HASH_DELETE(hh, p->families, f);
	free(f);
}

void parked_put(struct parked *p, const void *key, size_t key_len, int32_t partition,
		uint32_t parent, int64_t offset, int64_t since_ms, const struct loaded_change *says)
{
	/* As a tombstone: nothing is older than one. */
	static const struct loaded_change unknown = {.is_delete = true, .tombstone = true};
	struct child *c = find(p, key, key_len);

	if (c) {
		leave_family(p, c);
		set_due(p, c, false);
		c->pub.parent = parent;
		c->pub.offset = offset;
		c->pub.orphan = false;
		c->pub.says = says ? *says : unknown;
		join_family(p, c);
		return;
	}
	c = xcalloc(1, sizeof *c + key_len + 1);
	memcpy(c->bytes, key, key_len);
	c->pub = (struct parked_child){.parent = parent,
				       .partition = partition,
				       .offset = offset,
				       .since_ms = since_ms,
				       .tried_ms = since_ms,
				       .says = says ? *says : unknown,
				       .key = c->bytes,
				       .key_len = key_len};
	HASH_ADD_KEYPTR(hh, p->by_key, c->bytes, key_len, c);
	join_family(p, c);
	/* In the order of their waiting: of those that are read back some were parked anew. */
	c->before = p->last;
	while (c->before && c->before->pub.since_ms > since_ms)
		c->before = c->before->before;
	c->after = c->before ? c->before->after : p->first;
	*(c->before ? &c->before->after : &p->first) = c;
	*(c->after ? &c->after->before : &p->last) = c;
}

static void drop(struct parked *p, struct child *c)
{
	leave_family(p, c);
	set_due(p, c, false);
	*(c->before ? &c->before->after : &p->first) = c->after;
	*(c->after ? &c->after->before : &p->last) = c->before;
	HASH_DELETE(hh, p->by_key, c);
	free(c);
}

void parked_located(struct parked *p, const void *key, size_t key_len, int64_t offset)
{
	struct child *c = find(p, key, key_len);
	if (c)
		c->pub.offset = offset;
}

const struct parked_child *parked_find(const struct parked *p, const void *key, size_t key_len)
{
	struct child *c = find(p, key, key_len);
	return c ? &c->pub : NULL;
}

void parked_remove(struct parked *p, const void *key, size_t key_len)
{
	struct child *c = find(p, key, key_len);
	if (c)
		drop(p, c);
}

void parked_drop(struct parked *p, int32_t partition)
{
	for (struct child *c = p->first, *next; c; c = next) {
		next = c->after;
		if (c->pub.partition == partition)
			drop(p, c);
	}
}

static void forget(struct arrival **set)
{
	struct arrival *a, *next;
	HASH_ITER(hh, *set, a, next)
	{
		HASH_DELETE(hh, *set, a);
		free(a);
	}
	*set = NULL;
}

size_t parked_arrived(struct parked *p, uint32_t parent, mono_time now)
{
	struct arrival *a;
	struct family *f;
	size_t n = 0;

	if (now.ms - p->turned.ms > p->remember_ms) {
		forget(&p->before_that);
		p->before_that = p->recent;
		p->recent = NULL;
		p->turned = now;
	}
	HASH_FIND(hh, p->recent, &parent, sizeof parent, a);
	if (!a) {
		a = xcalloc(1, sizeof *a);
		a->parent = parent;
		HASH_ADD(hh, p->recent, parent, sizeof a->parent, a);
	}
	a->at = now;
	HASH_FIND(hh, p->families, &parent, sizeof parent, f);
	for (struct child *c = f ? f->children : NULL; c; c = c->younger, n++)
		set_due(p, c, true);
	return n;
}

bool parked_came(const struct parked *p, uint32_t parent, mono_time since)
{
	struct arrival *a;

	HASH_FIND(hh, p->recent, &parent, sizeof parent, a);
	if (!a)
		HASH_FIND(hh, p->before_that, &parent, sizeof parent, a);
	return a && a->at.ms >= since.ms;
}

void parked_set_due(struct parked *p, const void *key, size_t key_len, bool due)
{
	struct child *c = find(p, key, key_len);
	if (c)
		set_due(p, c, due);
}

size_t parked_expire(struct parked *p, int64_t before_ms)
{
	size_t n = 0;

	for (struct child *c = p->first; c && c->pub.since_ms < before_ms; c = c->after) {
		if (c->pub.orphan)
			continue;
		c->pub.orphan = true;
		set_due(p, c, true);
		n++;
	}
	return n;
}

size_t parked_retry(struct parked *p, int64_t now_ms, int64_t soonest_ms, int64_t latest_ms)
{
	size_t n = 0;

	for (struct child *c = p->first; c; c = c->after) {
		int64_t wait = (c->pub.tried_ms - c->pub.since_ms) / 4;
		wait = wait > latest_ms ? latest_ms : wait;
		wait = wait < soonest_ms ? soonest_ms : wait;
		if (c->pub.due || now_ms - c->pub.tried_ms < wait)
			continue;
		c->pub.tried_ms = now_ms;
		set_due(p, c, true);
		n++;
	}
	return n;
}

size_t parked_due(const struct parked *p, int32_t partition, int64_t *first, int64_t *last)
{
	size_t n = 0;

	if (!p->due)
		return 0;
	for (const struct child *c = p->first; c; c = c->after) {
		if (!c->pub.due || c->pub.partition != partition || c->pub.offset < 0)
			continue;
		if (!n || c->pub.offset < *first)
			*first = c->pub.offset;
		if (!n || c->pub.offset > *last)
			*last = c->pub.offset;
		n++;
	}
	return n;
}

size_t parked_due_count(const struct parked *p)
{
	return p->due;
}

size_t parked_count(const struct parked *p)
{
	return HASH_COUNT(p->by_key);
}

size_t parked_count_in(const struct parked *p, int32_t partition)
{
	size_t n = 0;

	for (const struct child *c = p->first; c; c = c->after)
		n += c->pub.partition == partition;
	return n;
}

void parked_free(struct parked *p)
{
	if (!p)
		return;
	while (p->first)
		drop(p, p->first);
	forget(&p->recent);
	forget(&p->before_that);
	free(p);
}
