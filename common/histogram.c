/* histogram.c - see histogram.h. */
#include "histogram.h"

static int64_t next_bound(int64_t bound)
{
	return bound + (bound < 5 ? 1 : bound / 5);
}

void histogram_add(struct histogram *h, int64_t ms)
{
	int64_t bound = 1;
	int i = 0;

	if (ms < 0) /* clocks differ */
		ms = 0;
	for (; ms > bound && i < HISTOGRAM_BUCKETS - 1; i++)
		bound = next_bound(bound);
	h->buckets[i]++;
	h->count++;
	h->max_ms = ms > h->max_ms ? ms : h->max_ms;
}

int64_t histogram_at(const struct histogram *h, double share)
{
	int64_t bound = 1, below = 0;

	for (int i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		below += h->buckets[i];
		if (below > 0 && (double)below >= share * (double)h->count)
			return bound < h->max_ms ? bound : h->max_ms;
		bound = next_bound(bound);
	}
	return h->max_ms;
}
