/* governor.h - how fast a loader may go: one for a process and credential.  Pure, given the time.
 *
 * Four brakes, each for another reason:
 *   window     requests in flight.  Halved when the target is overloaded (503, no answer in time),
 *              grows by one a window of good answers
 *   pace       requests a second.  A configured budget, and the rate that a quota of the target
 *              was found to allow: the first 429 sets it, each later one cuts it by a quarter, and it
 *              creeps up in between.  Loaders that share a quota come to equal shares: who is
 *              faster is cut more and gains less
 *   floor      Retry-After: before that time nothing is sent, by nobody of this process
 *   breaker    ten failures without a good answer between them open it: nothing is sent for a
 *              while (1 s, doubling to 60 s), then one request tries
 * and a budget a day, which its caller counts: it outlives the process.
 */
#ifndef TIDEWAY_GOVERNOR_H
#define TIDEWAY_GOVERNOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"

struct governor_limits {
	size_t max_in_flight;
	int64_t per_second; /* 0: no limit */
};

enum governor_answer {
	GOVERNOR_GOOD,	 /* the target works, whatever it said about the record */
	GOVERNOR_QUOTA,	 /* 429 */
	GOVERNOR_LOADED, /* 503, or nothing in time: too much at once, or away */
	GOVERNOR_FAILED, /* an error that it does not explain: not too much, but perhaps away */
};

enum governor_breaker { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };

enum { GOVERNOR_SLOTS = 20, GOVERNOR_SLOT_MS = 100 };

struct governor {
	struct governor_limits limits;
	double window;
	size_t in_flight;

	double pace;   /* requests a second; 0: no quota was met yet */
	double tokens; /* may go out now */
	double budget; /* the same, of the configured limit */
	mono_time filled;
	mono_time window_cut, pace_cut;
	mono_time floor;

	enum governor_breaker breaker;
	unsigned failures; /* since the last good answer */
	int64_t open_ms;
	mono_time open_until;

	bool day_full;
	mono_time day_ends;

	/* Good answers of the last two seconds. */
	uint32_t good[GOVERNOR_SLOTS];
	int64_t slot;

	/* For reports. */
	int64_t quota_answers, opened;
};

void governor_init(struct governor *g, const struct governor_limits *limits, mono_time now);

/* May one more request go out?  If not, *wait_ms says when to ask again (an answer may allow it
 * sooner). */
bool governor_may_send(struct governor *g, mono_time now, int64_t *wait_ms);
void governor_sent(struct governor *g, mono_time now);
/* sent: when the request went out, so that answers to requests of one moment cut once.
 * not_before: Retry-After, 0 when there was none. */
void governor_answered(struct governor *g, mono_time now, mono_time sent, enum governor_answer a,
		       mono_time not_before);
/* May one more go out before the day ends? */
void governor_day(struct governor *g, bool room, mono_time ends);
/* Nothing before then: credentials that were refused. */
void governor_pause(struct governor *g, mono_time until);

#endif
