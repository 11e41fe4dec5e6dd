/* window.c - see window.h.  A list a partition, a chain a key, and a queue of what is ready. */
#include "window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "arena.h"

enum { WAITING, READY, BUSY, DONE };

struct window_key {
	UT_hash_handle hh;
	struct window_item *head, *tail;
	size_t len;
	char bytes[];
};

struct lane {
	struct window_item *head, *tail;
	int64_t position; /* when the list is empty */
	size_t busy, span;
};

struct window {
	struct window_key *keys;
	struct lane *lanes; /* by partition */
	size_t lane_count;
	struct window_item *ready_head, *ready_tail;
	size_t count, ready;
};

struct window *window_new(void)
{
	return xcalloc(1, sizeof(struct window));
}

static struct lane *lane_of(struct window *w, int32_t partition)
{
	size_t need = (size_t)partition + 1;
	if (w->lane_count < need) {
		w->lanes = xrealloc(w->lanes, need * sizeof *w->lanes);
		for (size_t i = w->lane_count; i < need; i++)
			w->lanes[i] = (struct lane){.position = -1};
		w->lane_count = need;
	}
	return &w->lanes[partition];
}

static void push_ready(struct window *w, struct window_item *item)
{
	item->p.state = READY;
	item->p.next_ready = NULL;
	if (w->ready_tail)
		w->ready_tail->p.next_ready = item;
	else
		w->ready_head = item;
	w->ready_tail = item;
	w->ready++;
}

static void append(struct lane *l, struct window_item *item)
{
	if (l->tail)
		l->tail->p.after = item;
	else
		l->head = item;
	l->tail = item;
	l->span++;
}

/* Drops what is done at the front; the position moves with it. */
static void advance(struct lane *l)
{
	while (l->head && l->head->p.state == DONE) {
		struct window_item *item = l->head;
		l->head = item->p.after;
		if (!l->head)
			l->tail = NULL;
		if (item->offset + 1 > l->position)
			l->position = item->offset + 1;
		l->span--;
		free(item);
	}
}

struct window_item *window_last_of_key(struct window *w, const void *key, size_t key_len)
{
	struct window_key *k;
	HASH_FIND(hh, w->keys, key, key_len, k);
	return k ? k->tail : NULL;
}

struct window_item *window_add(struct window *w, int32_t partition, int64_t offset, const void *key,
			       size_t key_len, void *payload)
{
	struct window_item *item = xcalloc(1, sizeof *item);
	struct window_key *k;

	HASH_FIND(hh, w->keys, key, key_len, k);
	if (!k) {
		k = xcalloc(1, sizeof *k + key_len + 1);
		k->len = key_len;
		if (key_len)
			memcpy(k->bytes, key, key_len);
		HASH_ADD_KEYPTR(hh, w->keys, k->bytes, key_len, k);
	}
	item->partition = partition;
	item->offset = offset;
	item->key = k->bytes;
	item->key_len = key_len;
	item->payload = payload;
	item->p.chain = k;
	if (k->tail) {
		k->tail->p.behind = item;
		item->p.state = WAITING;
	} else {
		k->head = item;
		push_ready(w, item);
	}
	k->tail = item;
	append(lane_of(w, partition), item);
	w->count++;
	return item;
}

void window_add_done(struct window *w, int32_t partition, int64_t offset)
{
	struct window_item *item = xcalloc(1, sizeof *item);
	struct lane *l = lane_of(w, partition);

	item->partition = partition;
	item->offset = offset;
	item->p.state = DONE;
	append(l, item);
	advance(l);
}

struct window_item *window_take(struct window *w)
{
	struct window_item *item = w->ready_head;

	if (!item)
		return NULL;
	w->ready_head = item->p.next_ready;
	if (!w->ready_head)
		w->ready_tail = NULL;
	w->ready--;
	item->p.state = BUSY;
	lane_of(w, item->partition)->busy++;
	return item;
}

void window_untake(struct window *w, struct window_item *item)
{
	assert(item->p.state == BUSY && !item->orphan);
	lane_of(w, item->partition)->busy--;
	item->p.state = READY;
	item->p.next_ready = w->ready_head;
	w->ready_head = item;
	if (!w->ready_tail)
		w->ready_tail = item;
	w->ready++;
}

/* Takes an item out of its key's chain; the one behind a removed head becomes ready. */
static void unchain(struct window *w, struct window_item *item)
{
	struct window_key *k = item->p.chain;
	struct window_item *before = NULL;

	if (k->head == item) {
		k->head = item->p.behind;
	} else {
		for (before = k->head; before->p.behind != item; before = before->p.behind)
			;
		before->p.behind = item->p.behind;
	}
	if (k->tail == item)
		k->tail = before;
	if (k->head && k->head->p.state == WAITING)
		push_ready(w, k->head);
	if (!k->head) {
		HASH_DEL(w->keys, k);
		free(k);
	}
	item->key = NULL;
	item->p.chain = NULL;
}

void *window_done(struct window *w, struct window_item *item)
{
	void *payload = item->payload;

	assert(item->p.state == BUSY);
	unchain(w, item);
	w->count--;
	if (item->orphan) {
		free(item);
		return payload;
	}
	struct lane *l = lane_of(w, item->partition);
	l->busy--;
	item->p.state = DONE;
	advance(l);
	return payload;
}

void window_end(struct window *w, int32_t partition, int64_t offset)
{
	struct lane *l = lane_of(w, partition);
	/* An end that lies behind outstanding records holds its place in the order, too. */
	if (l->head)
		window_add_done(w, partition, offset - 1);
	else if (offset > l->position)
		l->position = offset;
}

int64_t window_position(const struct window *w, int32_t partition)
{
	if ((size_t)partition >= w->lane_count)
		return -1;
	const struct lane *l = &w->lanes[partition];
	/* Before anything is done, the first outstanding record is where to go on. */
	if (l->position < 0 && l->head)
		return l->head->offset;
	return l->position;
}

static void forget_ready(struct window *w, struct window_item *item)
{
	struct window_item **at = &w->ready_head, *last = NULL;

	while (*at && *at != item) {
		last = *at;
		at = &(*at)->p.next_ready;
	}
	if (!*at)
		return;
	*at = item->p.next_ready;
	if (w->ready_tail == item)
		w->ready_tail = last;
	w->ready--;
}

void window_drop(struct window *w, int32_t partition, void (*free_payload)(void *payload))
{
	struct lane *l = lane_of(w, partition);
	struct window_item *next;

	for (struct window_item *item = l->head; item; item = next) {
		next = item->p.after;
		item->p.after = NULL;
		switch (item->p.state) {
		case DONE:
			free(item);
			break;
		case BUSY:
			item->orphan = true;
			break;
		default:
			if (item->p.state == READY)
				forget_ready(w, item);
			item->p.state = DONE; /* so that unchain does not make it ready */
			unchain(w, item);
			w->count--;
			if (free_payload)
				free_payload(item->payload);
			free(item);
		}
	}
	*l = (struct lane){.position = -1};
}

size_t window_count(const struct window *w)
{
	return w->count;
}

size_t window_span(const struct window *w, int32_t partition)
{
	return (size_t)partition < w->lane_count ? w->lanes[partition].span : 0;
}

size_t window_ready_count(const struct window *w)
{
	return w->ready;
}

size_t window_busy_in(const struct window *w, int32_t partition)
{
	return (size_t)partition < w->lane_count ? w->lanes[partition].busy : 0;
}

void window_free(struct window *w, void (*free_payload)(void *payload))
{
	if (!w)
		return;
	for (size_t i = 0; i < w->lane_count; i++)
		window_drop(w, (int32_t)i, free_payload);
	/* What is left are orphans. */
	struct window_key *k, *next;
	HASH_ITER(hh, w->keys, k, next)
	{
		struct window_item *behind;
		for (struct window_item *item = k->head; item; item = behind) {
			behind = item->p.behind;
			if (free_payload)
				free_payload(item->payload);
			free(item);
		}
		HASH_DEL(w->keys, k);
		free(k);
	}
	free(w->lanes);
	free(w);
}
