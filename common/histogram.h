/* histogram.h - how long things took, in buckets that grow by a fifth.  Pure; 1 ms to 30 days. */
#ifndef TIDEWAY_HISTOGRAM_H
#define TIDEWAY_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 120 };

struct histogram {
	int64_t buckets[HISTOGRAM_BUCKETS];
	int64_t count, max_ms;
};

void histogram_add(struct histogram *h, int64_t ms);
/* At least this share (0 to 1) took at most so long: the upper end of a bucket, or the maximum.
 * 0 of an empty one. */
int64_t histogram_at(const struct histogram *h, double share);

#endif
