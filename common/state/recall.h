/* recall.h - which events were written in the last so many days, and the how-manieth of its kind
 * each was.  Pure, given the time.
 *
 * Exports overlap, so an event is known by its id for as long as rows may come again.  Ids are held
 * in parts of a window: the oldest part is forgotten as a whole when all of it is too old, so what
 * is known reaches back one window, and at most an eighth more.
 *
 * Memory: 21 to 43 MB a million ids (seen.h), the same a million pairs that are counted.
 */
#ifndef TIDEWAY_RECALL_H
#define TIDEWAY_RECALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"

struct recall;
struct recall *recall_new(int64_t window_ms);
void recall_free(struct recall *r);
void recall_clear(struct recall *r);

bool recall_has(const struct recall *r, const void *id, size_t len);
/* when: of writing it, not of the event. */
void recall_add(struct recall *r, const void *id, size_t len, wall_time when);
size_t recall_count(const struct recall *r);

/* The number of the next event of a pair (a contact and a delivery, say), from 1; max when there
 * were that many. recall_counted() makes it known. */
int64_t recall_next(const struct recall *r, const void *pair, size_t len, int64_t max);
void recall_counted(struct recall *r, const void *pair, size_t len, int64_t number, wall_time when);

#endif
