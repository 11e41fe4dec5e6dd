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

/* Forgets what left both windows; what is in each of the rest. */
static void look(const struct limits *l, struct limits_bucket *b, double now_ms, double *requests,
		 double *took_ms)
{
	double longest = fmax(l->requests_window_ms, l->time_window_ms);
	size_t gone = 0;

	while (gone < b->count && b->events[gone].at_ms <= now_ms - longest)
		gone++;
	b->count -= gone;
	if (gone && b->count)
		memmove(b->events, b->events + gone, b->count * sizeof *b->events);
	*requests = *took_ms = 0;
	for (size_t i = 0; i < b->count; i++) {
		double age = now_ms - b->events[i].at_ms;
		*requests += age < l->requests_window_ms;
		*took_ms += age < l->time_window_ms ? b->events[i].took_ms : 0;
	}
}

static void remember(struct limits_bucket *b, double now_ms)
{
	if (b->count == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 64;
		b->events = realloc(b->events, b->cap * sizeof *b->events);
	}
	b->events[b->count++] = (struct limits_event){now_ms, 0};
}

/* The penalty ends when enough has left the window that the limit is met again. */
static double recovers(const struct limits_bucket *b, double now_ms, double window_ms,
		       double too_many, double too_much_ms)
{
	double at = now_ms;

	for (size_t i = 0; i < b->count && (too_many >= 0 || too_much_ms >= 0); i++) {
		if (now_ms - b->events[i].at_ms >= window_ms)
			continue;
		too_many--;
		too_much_ms -= b->events[i].took_ms;
		at = b->events[i].at_ms + window_ms;
	}
	return at;
}

/* Is a limit exceeded that begins a penalty? */
static enum limits_verdict exceeded(const struct limits *l, struct limits_bucket *b, double now_ms)
{
	double requests, took_ms;

	look(l, b, now_ms, &requests, &took_ms);
	if (l->requests && requests >= (double)l->requests) {
		b->blocked_until_ms =
		    recovers(b, now_ms, l->requests_window_ms, requests - (double)l->requests, -1);
		return LIMIT_REQUESTS;
	}
	if (l->time_ms > 0 && took_ms >= l->time_ms) {
		b->blocked_until_ms =
		    recovers(b, now_ms, l->time_window_ms, -1, took_ms - l->time_ms);
		return LIMIT_TIME;
	}
	return LIMIT_NONE;
}

enum limits_verdict limits_admit(struct limits *l, int user, int *server, double now_ms,
				 int *ticket, long *retry_after_s)
{
	int at = *server >= 0 && *server < l->servers ? *server : l->next++ % l->servers;
	struct limits_bucket *b = bucket_of(l, user, at);
	enum limits_verdict verdict;

	*server = at;
	*ticket = (int)(b - l->buckets);
	if (l->concurrent && b->running >= l->concurrent) {
		*retry_after_s = 1;
		return LIMIT_CONCURRENT;
	}
	if (now_ms < b->blocked_until_ms) {
		double window =
		    b->blocked_by == LIMIT_REQUESTS ? l->requests_window_ms : l->time_window_ms;
		b->blocked_until_ms = fmin(b->blocked_until_ms + LONGER_MS, now_ms + window);
		verdict = b->blocked_by;
	} else {
		verdict = b->blocked_by = exceeded(l, b, now_ms);
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
	double made, took_ms;

	look(l, &l->buckets[ticket], now_ms, &made, &took_ms);
	*requests = (double)l->requests > made ? l->requests - (long)made : 0;
	*seconds = l->time_ms > took_ms ? (l->time_ms - took_ms) / 1000 : 0;
}

void limits_free(struct limits *l)
{
	for (int i = 0; i < l->count; i++)
		free(l->buckets[i].events);
	free(l->buckets);
}
