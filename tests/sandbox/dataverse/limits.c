/* limits.c - the three service protection limits, and the web servers that they are counted on.
 *
 * Facts: "Service protection API limits", "Send parallel requests".  Each user has, on each web
 * server, a number of requests and a sum of execution time in a sliding window, and a number of
 * requests at once.  A client that keeps the affinity cookie stays on one server and meets its
 * limits early; one that drops it is spread over all of them.
 *
 * The first two limits begin a penalty: until it is over everything is refused, and every request
 * that is sent in spite of it makes it longer.
 */
#include "limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What each request sent during a penalty adds to it. */
#define LONGER_MS 1000

struct limits_event {
	double at_ms, took_ms;
};

static struct limits_bucket *bucket_of(struct limits *l, int user, int server)
{
	for (int i = 0; i < l->count; i++)
		if (l->buckets[i].user == user && l->buckets[i].server == server)
			return &l->buckets[i];
	l->buckets = realloc(l->buckets, (size_t)(l->count + 1) * sizeof *l->buckets);
	l->buckets[l->count] = (struct limits_bucket){.user = user, .server = server};
	return &l->buckets[l->count++];
}

/* Forgets what left the window; *took_ms is the sum of the rest. */
static size_t events(struct limits_bucket *b, double from_ms, double *took_ms)
{
	size_t gone = 0;

	while (gone < b->count && b->events[gone].at_ms <= from_ms)
		gone++;
	memmove(b->events, b->events + gone, (b->count - gone) * sizeof *b->events);
	b->count -= gone;
	*took_ms = 0;
	for (size_t i = 0; i < b->count; i++)
		*took_ms += b->events[i].took_ms;
	return b->count;
}

static void remember(struct limits_bucket *b, double now_ms)
{
	if (b->count == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 64;
		b->events = realloc(b->events, b->cap * sizeof *b->events);
	}
	b->events[b->count++] = (struct limits_event){now_ms, 0};
}

/* The penalty ends when enough of the window has passed that the limit is met again. */
static double recovers(const struct limits_bucket *b, double window_ms, double too_many,
		       double too_much_ms)
{
	double at = 0;

	for (size_t i = 0; i < b->count && (too_many >= 0 || too_much_ms >= 0); i++) {
		too_many--;
		too_much_ms -= b->events[i].took_ms;
		at = b->events[i].at_ms + window_ms;
	}
	return at;
}

enum limits_verdict limits_admit(struct limits *l, int user, int *server, double now_ms,
				 int *ticket, long *retry_after_s)
{
	int at = *server >= 0 && *server < l->servers ? *server : l->next++ % l->servers;
	struct limits_bucket *b = bucket_of(l, user, at);
	enum limits_verdict verdict = LIMIT_NONE;
	double took = 0;

	*server = at;
	*ticket = (int)(b - l->buckets);
	if (l->concurrent && b->running >= l->concurrent) {
		*retry_after_s = 1;
		return LIMIT_CONCURRENT;
	}
	if (now_ms < b->blocked_until_ms) {
		double window = b->blocked_by == LIMIT_REQUESTS ? l->requests_window_ms
								: l->time_window_ms;
		b->blocked_until_ms = fmin(b->blocked_until_ms + LONGER_MS, now_ms + window);
		verdict = b->blocked_by;
	} else if (l->requests || l->time_ms > 0) {
		double longest = fmax(l->requests_window_ms, l->time_window_ms);
		double n = (double)events(b, now_ms - longest, &took);
		if (l->requests) {
			double recent = 0;
			for (size_t i = 0; i < b->count; i++)
				recent += b->events[i].at_ms > now_ms - l->requests_window_ms;
			if (recent >= (double)l->requests) {
				verdict = LIMIT_REQUESTS;
				b->blocked_until_ms =
				    recovers(b, l->requests_window_ms,
					     n - recent + recent - (double)l->requests, -1);
			}
		}
		if (!verdict && l->time_ms > 0 && took >= l->time_ms) {
			verdict = LIMIT_TIME;
			b->blocked_until_ms =
			    recovers(b, l->time_window_ms, -1, took - l->time_ms);
		}
		b->blocked_by = verdict;
	}
	if (verdict) {
		double left = ceil((b->blocked_until_ms - now_ms) / 1000);
		*retry_after_s = left < 1 ? 1 : (long)left;
		return verdict;
	}
	b->running++;
	if (l->requests || l->time_ms > 0)
		remember(b, now_ms);
	return LIMIT_NONE;
}

void limits_settle(struct limits *l, int ticket, double began_ms, double took_ms)
{
	struct limits_bucket *b = &l->buckets[ticket];

	b->running--;
	for (size_t i = b->count; i-- > 0;)
		if (b->events[i].at_ms == began_ms && b->events[i].took_ms == 0) {
			b->events[i].took_ms = took_ms;
			return;
		}
}

void limits_left(struct limits *l, int ticket, double now_ms, long *requests, double *seconds)
{
	struct limits_bucket *b = &l->buckets[ticket];
	double took;
	long n = (long)events(b, now_ms - fmax(l->requests_window_ms, l->time_window_ms), &took);

	*requests = l->requests > n ? l->requests - n : 0;
	*seconds = l->time_ms > took ? (l->time_ms - took) / 1000 : 0;
}

int limits_server(const struct limits *l, int ticket)
{
	return l->buckets[ticket].server;
}

void limits_free(struct limits *l)
{
	for (int i = 0; i < l->count; i++)
		free(l->buckets[i].events);
	free(l->buckets);
}
