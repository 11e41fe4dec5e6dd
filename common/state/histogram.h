/* histogram.h - how long things took, in buckets that grow by a tenth.  Pure; 1 ms to 30 days.
 *
 * Among the bounds are round ones (50 ms, 1 s, 15 min, 1 day), so that what is asked of a service, and
 * what metrics show with few buckets, is counted exactly.
 */
#ifndef TIDEWAY_HISTOGRAM_H
#define TIDEWAY_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 230 };

struct histogram {
	int64_t buckets[HISTOGRAM_BUCKETS]; /* the last one: longer than all bounds */
	int64_t count, sum_ms, max_ms;
};

void histogram_add(struct histogram *h, int64_t ms);
/* At least this share (0 to 1) took at most so long: the upper end of a bucket, or the maximum.
 * 0 of an empty one. */
int64_t histogram_at(const struct histogram *h, double share);
/* How many took at most so long: exact for a bound, else those of the bounds below. */
int64_t histogram_within(const struct histogram *h, int64_t ms);
bool histogram_is_bound(int64_t ms);

#endif
