/* window.h - what a loader has taken from its topic and not finished yet.  Pure: no I/O, no time.
 *
 * Two promises live here and nowhere else:
 *   - one record of a key is out at a time, in the order of the topic, whatever is in flight
 *   - a position is committable only when everything before it is done
 *
 * An item is WAITING (behind another of its key), READY, BUSY (taken by window_take) or done.
 */
#ifndef TIDEWAY_WINDOW_H
#define TIDEWAY_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window;

struct window_item {
	int32_t partition;
	int64_t offset;
	const char *key; /* key_len bytes, owned by the window */
	size_t key_len;
	void *payload; /* the caller's */
	bool orphan;   /* its partition was given up while it was busy */
	struct window_private {
		int state;
		struct window_item *after;  /* next of the same partition */
		struct window_item *behind; /* next of the same key */
		struct window_item *next_ready;
		struct window_key *chain;
	} p;
};

struct window *window_new(void);
void window_free(struct window *w, void (*free_payload)(void *payload));

/* Adds a record behind all others of its partition and its key.  The key is copied. */
struct window_item *window_add(struct window *w, int32_t partition, int64_t offset, const void *key,
			       size_t key_len, void *payload);
/* A record that needs nothing done: it only holds its place in the order. */
void window_add_done(struct window *w, int32_t partition, int64_t offset);
/* The last item of a key that is not done, or NULL. */
struct window_item *window_last_of_key(struct window *w, const void *key, size_t key_len);

/* The next READY item, now BUSY; NULL when there is none. */
struct window_item *window_take(struct window *w);
/* A busy item that was not begun goes back to the front. */
void window_untake(struct window *w, struct window_item *item);
/* Finished: acknowledged by the target, or its dead letter was.  The item is gone afterwards;
 * the next of its key becomes READY.  Returns the payload. */
void *window_done(struct window *w, struct window_item *item);

/* The reader saw the end of the partition at offset: with nothing outstanding, that is the
 * position (control records of transactions lie between the last record and the end). */
void window_end(struct window *w, int32_t partition, int64_t offset);
/* Everything below is done; -1 when nothing of the partition was seen. */
int64_t window_position(const struct window *w, int32_t partition);

/* The partition is given up: what is not busy is forgotten (payloads freed), what is busy becomes
 * an orphan: it still blocks its key and counts for no position. */
void window_drop(struct window *w, int32_t partition, void (*free_payload)(void *payload));

size_t window_count(const struct window *w); /* not done, orphans included */
/* Records of a partition from its position on, done or not: what a kill would repeat. */
size_t window_span(const struct window *w, int32_t partition);
size_t window_ready_count(const struct window *w);
size_t window_busy_in(const struct window *w, int32_t partition);

#endif
