/* window.c - see window.h.  A list a partition, a chain a key, and a queue a partition of what is
 * ready.  Neighbours that are done are one entry, so a record that takes long holds no memory but
 * that of what waits. */
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

struct list {
	struct window_item *head, *tail;
};

struct lane {
	struct list items; /* in the order of the topic */
	struct list loose; /* those without an offset */
	struct list ready; /* linked by next_ready */
	int64_t position;  /* when there are no items */
	int64_t limit;
	size_t busy, count;
};

struct window {
	struct window_key *keys;
	struct lane *lanes; /* by partition */
	size_t lane_count, turn;
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
			w->lanes[i] = (struct lane){.position = -1, .limit = INT64_MAX};
		w->lane_count = need;
	}
	return &w->lanes[partition];
}

static void append(struct list *l, struct window_item *item)
{
	item->p.before = l->tail;
	item->p.after = NULL;
	if (l->tail)
		l->tail->p.after = item;
	else
		l->head = item;
	l->tail = item;
}

static void take_out(struct list *l, struct window_item *item)
{
	if (item->p.before)
		item->p.before->p.after = item->p.after;
	else
		l->head = item->p.after;
	if (item->p.after)
		item->p.after->p.before = item->p.before;
	else
		l->tail = item->p.before;
}

static struct list *list_of(struct lane *l, const struct window_item *item)
{
	return item->offset == WINDOW_LOOSE ? &l->loose : &l->items;
}

static void push_ready(struct window *w, struct window_item *item, bool front)
{
	struct list *r = &lane_of(w, item->partition)->ready;

	item->p.state = READY;
	item->p.next_ready = front ? r->head : NULL;
	item->p.last_ready = front ? NULL : r->tail;
	if (item->p.next_ready)
		item->p.next_ready->p.last_ready = item;
	else
		r->tail = item;
	if (item->p.last_ready)
		item->p.last_ready->p.next_ready = item;
	else
		r->head = item;
	w->ready++;
}

static void take_out_ready(struct window *w, struct window_item *item)
{
	struct list *r = &lane_of(w, item->partition)->ready;

	if (item->p.last_ready)
		item->p.last_ready->p.next_ready = item->p.next_ready;
	else
		r->head = item->p.next_ready;
	if (item->p.next_ready)
		item->p.next_ready->p.last_ready = item->p.last_ready;
	else
		r->tail = item->p.last_ready;
	w->ready--;
}

/* An item became done: neighbours that are done, too, become one, and what is done at the front
 * moves the position. */
static void settle(struct lane *l, struct window_item *item)
{
	struct window_item *near = item->p.before;

	if (near && near->p.state == DONE) {
		take_out(&l->items, near);
		free(near);
	}
	near = item->p.after;
	if (near && near->p.state == DONE) {
		take_out(&l->items, item);
		free(item);
		item = near;
	}
	if (l->items.head != item)
		return;
	if (item->offset + 1 > l->position)
		l->position = item->offset + 1;
	take_out(&l->items, item);
	free(item);
}

struct window_item *window_last_of_key(struct window *w, const void *key, size_t key_len)
{
	struct window_key *k;
	HASH_FIND(hh, w->keys, key, key_len, k);
	return k ? k->tail : NULL;
}

bool window_is_busy(const struct window_item *item)
{
	return item->p.state == BUSY;
}

struct window_item *window_behind(const struct window_item *item)
{
	return item->p.behind;
}

struct window_item *window_add(struct window *w, int32_t partition, int64_t offset, const void *key,
			       size_t key_len, void *payload)
{
	struct window_item *item = xcalloc(1, sizeof *item);
	struct lane *l = lane_of(w, partition);
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
		push_ready(w, item, false);
	}
	k->tail = item;
	append(list_of(l, item), item);
	l->count++;
	w->count++;
	return item;
}

struct window_item *window_add_loose(struct window *w, int32_t partition, const void *key,
				     size_t key_len, void *payload)
{
	return window_add(w, partition, WINDOW_LOOSE, key, key_len, payload);
}

void window_add_done(struct window *w, int32_t partition, int64_t offset)
{
	struct window_item *item = xcalloc(1, sizeof *item);
	struct lane *l = lane_of(w, partition);

	item->partition = partition;
	item->offset = offset;
	item->p.state = DONE;
	append(&l->items, item);
	settle(l, item);
}

void window_move(struct window *w, struct window_item *item, int64_t offset)
{
	struct lane *l = lane_of(w, item->partition);

	assert(item->p.state != BUSY && item->p.state != DONE);
	if (item->offset == WINDOW_LOOSE) {
		take_out(&l->loose, item);
	} else {
		struct window_item *place = xcalloc(1, sizeof *place);
		place->partition = item->partition;
		place->offset = item->offset;
		place->p.state = DONE;
		place->p.before = item->p.before;
		place->p.after = item->p.after;
		*(place->p.before ? &place->p.before->p.after : &l->items.head) = place;
		*(place->p.after ? &place->p.after->p.before : &l->items.tail) = place;
		item->offset = offset;
		append(&l->items, item);
		settle(l, place);
		return;
	}
	item->offset = offset;
	append(&l->items, item);
}

void window_limit(struct window *w, int32_t partition, int64_t limit)
{
	lane_of(w, partition)->limit = limit;
}

bool window_held(const struct window *w, int32_t partition)
{
	if ((size_t)partition >= w->lane_count)
		return false;
	const struct lane *l = &w->lanes[partition];
	return l->ready.head && l->ready.head->offset >= l->limit;
}

struct window_item *window_take(struct window *w)
{
	for (size_t i = 0; i < w->lane_count; i++) {
		struct lane *l = &w->lanes[w->turn++ % w->lane_count];
		struct window_item *item = l->ready.head;
		if (!item || item->offset >= l->limit)
			continue;
		take_out_ready(w, item);
		item->p.state = BUSY;
		l->busy++;
		return item;
	}
	return NULL;
}

void window_untake(struct window *w, struct window_item *item)
{
	assert(item->p.state == BUSY && !item->orphan);
	lane_of(w, item->partition)->busy--;
	push_ready(w, item, true);
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
		push_ready(w, k->head, false);
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
	l->count--;
	item->p.state = DONE;
	if (item->offset != WINDOW_LOOSE) {
		settle(l, item);
		return payload;
	}
	take_out(&l->loose, item);
	free(item);
	return payload;
}

void window_end(struct window *w, int32_t partition, int64_t offset)
{
	struct lane *l = lane_of(w, partition);
	/* An end that lies behind outstanding records holds its place in the order, too. */
	if (l->items.head)
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
	if (l->position < 0 && l->items.head)
		return l->items.head->offset;
	return l->position;
}

const struct window_item *window_lowest(const struct window *w, int32_t partition)
{
	return (size_t)partition < w->lane_count ? w->lanes[partition].items.head : NULL;
}

static void drop_list(struct window *w, struct list *list, void (*free_payload)(void *payload))
{
	struct window_item *next;

	for (struct window_item *item = list->head; item; item = next) {
		next = item->p.after;
		item->p.before = item->p.after = NULL;
		switch (item->p.state) {
		case DONE:
			free(item);
			break;
		case BUSY:
			item->orphan = true;
			break;
		default:
			if (item->p.state == READY)
				take_out_ready(w, item);
			item->p.state = DONE; /* so that unchain does not make it ready */
			unchain(w, item);
			w->count--;
			if (free_payload)
				free_payload(item->payload);
			free(item);
		}
	}
}

void window_drop(struct window *w, int32_t partition, void (*free_payload)(void *payload))
{
	struct lane *l = lane_of(w, partition);

	drop_list(w, &l->items, free_payload);
	drop_list(w, &l->loose, free_payload);
	*l = (struct lane){.position = -1, .limit = INT64_MAX};
}

size_t window_count(const struct window *w)
{
	return w->count;
}

size_t window_ready_count(const struct window *w)
{
	return w->ready;
}

size_t window_busy_in(const struct window *w, int32_t partition)
{
	return (size_t)partition < w->lane_count ? w->lanes[partition].busy : 0;
}

size_t window_count_in(const struct window *w, int32_t partition)
{
	return (size_t)partition < w->lane_count ? w->lanes[partition].count : 0;
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
