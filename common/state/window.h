/* window.h - what a loader has taken from its topic and not finished yet.  Pure: no I/O, no time.
 *
 * Three promises live here and nowhere else:
 *   - one record of a key is out at a time, in the order of the topic, whatever is in flight
 *   - a position is committable only when everything before it is done
 *   - nothing at or above a partition's limit is taken (mark.h says why there is one)
 *
 * An item is WAITING (behind another of its key), READY, BUSY (taken by window_take) or done.
 * A loose item has no offset: it blocks its key and belongs to its partition, but counts for no
 * position (a record that had waited for its parent, a delete of a sweep).
 */
#ifndef TIDEWAY_WINDOW_H
#define TIDEWAY_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window;

enum { WINDOW_LOOSE = -1 }; /* the offset of a loose item */

struct window_item {
	int32_t partition;
	int64_t offset;
	const char *key; /* key_len bytes, owned by the window */
	size_t key_len;
	void *payload; /* the caller's */
	bool orphan;   /* its partition was given up while it was busy */
	struct window_private {
		int state;
		struct window_item *before, *after; /* of the same partition */
		struct window_item *behind;	    /* next of the same key */
		struct window_item *next_ready, *last_ready;
		struct window_key *chain;
	} p;
};

struct window *window_new(void);
void window_free(struct window *w, void (*free_payload)(void *payload));

/* Adds a record behind all others of its partition and its key.  The key is copied. */
struct window_item *window_add(struct window *w, int32_t partition, int64_t offset, const void *key,
			       size_t key_len, void *payload);
struct window_item *window_add_loose(struct window *w, int32_t partition, const void *key,
				     size_t key_len, void *payload);
/* A record that needs nothing done: it only holds its place in the order. */
void window_add_done(struct window *w, int32_t partition, int64_t offset);
/* The last item of a key that is not done, or NULL. */
struct window_item *window_last_of_key(struct window *w, const void *key, size_t key_len);
bool window_is_busy(const struct window_item *item);
/* The one behind a busy item, of the same key, or NULL. */
struct window_item *window_behind(const struct window_item *item);

/* A later record takes the place of one that is not busy: it moves to the later offset, and its
 * old offset is done.  The partition must be the same. The payload is the caller's to change. */
void window_move(struct window *w, struct window_item *item, int64_t offset);

/* Only items below the limit of their partition are taken.  At first there is no limit;
 * INT64_MIN holds everything, also what is loose. */
void window_limit(struct window *w, int32_t partition, int64_t limit);
/* The next READY item, now BUSY; NULL when there is none.  Partitions take turns. */
struct window_item *window_take(struct window *w);
/* Is there a ready item of this partition that only its limit holds? */
bool window_held(const struct window *w, int32_t partition);
/* A busy item that was not begun goes back to the front. */
void window_untake(struct window *w, struct window_item *item);
/* Finished: acknowledged by the target, or given up.  The item is gone afterwards; the next of
 * its key becomes READY.  Returns the payload. */
void *window_done(struct window *w, struct window_item *item);

/* The reader saw the end of the partition at offset: with nothing outstanding, that is the
 * position (control records of transactions lie between the last record and the end). */
void window_end(struct window *w, int32_t partition, int64_t offset);
/* Everything below is done; -1 when nothing of the partition was seen. */
int64_t window_position(const struct window *w, int32_t partition);
/* The lowest record that is not done, or NULL. */
const struct window_item *window_lowest(const struct window *w, int32_t partition);

/* The partition is given up: what is not busy is forgotten (payloads freed), what is busy becomes
 * an orphan: it still blocks its key and counts for no position. */
void window_drop(struct window *w, int32_t partition, void (*free_payload)(void *payload));

size_t window_count(const struct window *w); /* not done, orphans included */
size_t window_ready_count(const struct window *w);
size_t window_busy_in(const struct window *w, int32_t partition);
size_t window_count_in(const struct window *w, int32_t partition); /* not done, without orphans */

#endif
