/* batch.c - see batch.h. */
#include "batch.h"

static size_t clamp(const struct batch *b, size_t n)
{
	size_t low = b->max < BATCH_MIN ? b->max : BATCH_MIN;
	return n < low ? low : n > b->max ? b->max : n;
}

struct batch batch_new(size_t start, size_t max)
{
	struct batch b = {.max = max ? max : 1};
	b.size = clamp(&b, start);
	return b;
}

void batch_answered(struct batch *b, size_t rows, int64_t server_ms, bool overloaded)
{
	if (overloaded) {
		b->size = clamp(b, (rows < b->size ? rows : b->size) / 2);
		return;
	}
	/* As many as would take the target time, by this answer; halved at most. */
	if (server_ms > BATCH_TARGET_MS) {
		size_t fits = (size_t)((int64_t)rows * BATCH_TARGET_MS / server_ms);
		if (fits < b->size)
			b->size = clamp(b, fits < b->size / 2 ? b->size / 2 : fits);
		return;
	}
	/* A batch that was not full says nothing about a larger one. */
	if (rows >= b->size && server_ms < BATCH_TARGET_MS / 2)
		b->size = clamp(b, b->size + b->size / 2);
}

size_t batch_half(size_t count)
{
	return count / 2;
}
