/* batch.h - how many rows a call has, and how a refused batch is taken apart.  Pure.
 *
 * A bulk call is one transaction of the target: too large, and it runs into the target's time-outs
 * and uses its execution time in one piece; too small, and the overhead of a call is paid for every
 * few rows.  Microsoft names 100 to 1000 rows as a start and no number that fits everybody, because
 * plug-ins decide; so the time that the server takes decides here.
 *
 * A refused batch is halved until the bad row stands alone: of n rows with one bad among them that
 * takes 2 * ceil(log2(n)) calls after the first.
 */
#ifndef TIDEWAY_BATCH_H
#define TIDEWAY_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BATCH_MIN = 10, BATCH_TARGET_MS = 2000 };

struct batch {
	size_t size, max;
};

struct batch batch_new(size_t start, size_t max);
/* A call of so many rows was answered.  overloaded: it was too much (a time-out of the server). */
void batch_answered(struct batch *b, size_t rows, int64_t server_ms, bool overloaded);
/* How many of count rows (at least 2) go into the first half. */
size_t batch_half(size_t count);

#endif
