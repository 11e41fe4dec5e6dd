/* governor.c - see governor.h.
 *
 * The numbers of the pace were chosen by simulation (tests/unit/governor.c) against a quota of 100
 * requests a second, kept by a bucket that holds a second's worth.
 */
#include "governor.h"

#include <string.h>

enum {
	OPENS_AFTER = 10,
	OPEN_FIRST_MS = 1000,
	OPEN_MAX_MS = 60000,
	QUOTA_PAUSE_MS = 1000, /* a 429 without Retry-After */
	CALM_MS = 20000,       /* without a 429 so long, the pace looks for a larger quota */
};
/* Gain: requests a second, each second, divided by the pace.  Who is slow gains more, so that
 * shares become equal also between two 429 (the bucket of a quota makes those rare). */
static const double cut = 0.75, gain = 150, gain_most = 0.4, gain_least = 0.004;
static const double pace_least = 0.2;

void governor_init(struct governor *g, const struct governor_limits *limits, mono_time now)
{
	memset(g, 0, sizeof *g);
	g->limits = *limits;
	g->window = (double)limits->max_in_flight;
	g->filled = now;
	g->budget = 1;
	g->slot = now.ms / GOVERNOR_SLOT_MS;
}

static void roll(struct governor *g, mono_time now)
{
	int64_t slot = now.ms / GOVERNOR_SLOT_MS;

	if (slot - g->slot > GOVERNOR_SLOTS)
		g->slot = slot - GOVERNOR_SLOTS;
	while (g->slot < slot)
		g->good[++g->slot % GOVERNOR_SLOTS] = 0;
}

/* Good answers of the last second. */
static double measured(struct governor *g, mono_time now)
{
	double n = 0;

	roll(g, now);
	for (int i = 0; i < 1000 / GOVERNOR_SLOT_MS; i++)
		n += g->good[(g->slot - i) % GOVERNOR_SLOTS];
	return n;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static void refill(struct governor *g, mono_time now)
{
	double s = (double)(now.ms - g->filled.ms) / 1000;

	if (s <= 0)
		return;
	g->filled = now;
	if (g->limits.per_second) {
		double rate = (double)g->limits.per_second;
		g->budget = least(g->budget + s * rate, rate / 10 > 1 ? rate / 10 : 1);
	}
	if (!g->pace)
		return;
	/* What a pause of the floor did not use may be caught up with, a second's worth. */
	g->tokens = least(g->tokens + s * g->pace, g->pace > 1 ? g->pace : 1);
	if (mono_until(now, g->floor))
		return;
	double more = gain / g->pace;
	if (more > gain_most * g->pace)
		more = gain_most * g->pace;
	if (more < gain_least * g->pace)
		more = gain_least * g->pace;
	for (int64_t calm = now.ms - g->pace_cut.ms; calm > CALM_MS && more < g->pace / 4;
	     calm -= 1000)
		more *= 1.2;
	g->pace += s * more;
}

bool governor_may_send(struct governor *g, mono_time now, int64_t *wait_ms)
{
	int64_t wait = 0;

	refill(g, now);
	if (g->breaker == BREAKER_OPEN && !mono_until(now, g->open_until))
		g->breaker = BREAKER_PROBING;
	if (g->breaker == BREAKER_OPEN)
		wait = mono_until(now, g->open_until);
	if (mono_until(now, g->floor) > wait)
		wait = mono_until(now, g->floor);
	if (!wait && g->day_full)
		wait = mono_until(now, g->day_ends);
	if (!wait && g->limits.per_second && g->budget < 1)
		wait = 1 + (int64_t)((1 - g->budget) * 1000 / (double)g->limits.per_second);
	if (!wait && g->pace && g->tokens < 1)
		wait = 1 + (int64_t)((1 - g->tokens) * 1000 / g->pace);
	*wait_ms = wait;
	if (wait)
		return false;
	if (g->breaker == BREAKER_PROBING ? g->in_flight : g->in_flight >= (size_t)g->window)
		*wait_ms = 1000; /* an answer comes first */
	return !*wait_ms;
}

void governor_sent(struct governor *g, mono_time now)
{
	refill(g, now);
	g->in_flight++;
	g->budget -= 1;
	g->tokens -= 1;
}

static void cut_window(struct governor *g, mono_time now, mono_time sent)
{
	if (sent.ms <= g->window_cut.ms)
		return; /* it was under way when the window was cut already */
	g->window_cut = now;
	g->window = g->window / 2 < 1 ? 1 : g->window / 2;
}

static void cut_pace(struct governor *g, mono_time now, mono_time sent)
{
	double rate = measured(g, now);

	if (g->pace && sent.ms <= g->pace_cut.ms)
		return;
	g->pace = (!g->pace || rate < g->pace ? rate : g->pace) * cut;
	if (g->pace < pace_least)
		g->pace = pace_least;
	g->tokens = 0;
	g->pace_cut = now;
}

static void failed(struct governor *g, mono_time now)
{
	g->failures++;
	if (g->breaker == BREAKER_PROBING) {
		g->open_ms = g->open_ms * 2 > OPEN_MAX_MS ? OPEN_MAX_MS : g->open_ms * 2;
	} else if (g->breaker == BREAKER_CLOSED && g->failures >= OPENS_AFTER) {
		g->open_ms = OPEN_FIRST_MS;
		g->opened++;
	} else {
		return;
	}
	g->breaker = BREAKER_OPEN;
	g->open_until = mono_add(now, g->open_ms);
	g->window = 1; /* what comes back from being away is met gently */
}

void governor_day(struct governor *g, bool room, mono_time ends)
{
	g->day_full = !room;
	g->day_ends = ends;
}

void governor_pause(struct governor *g, mono_time until)
{
	if (until.ms > g->floor.ms)
		g->floor = until;
}

void governor_answered(struct governor *g, mono_time now, mono_time sent, enum governor_answer a,
		       mono_time not_before)
{
	refill(g, now);
	g->in_flight--;
	governor_pause(g, not_before);
	switch (a) {
	case GOVERNOR_GOOD:
		roll(g, now);
		g->good[g->slot % GOVERNOR_SLOTS]++;
		g->failures = 0;
		g->breaker = BREAKER_CLOSED;
		g->window += 1 / g->window;
		if (g->window > (double)g->limits.max_in_flight)
			g->window = (double)g->limits.max_in_flight;
		break;
	case GOVERNOR_QUOTA:
		g->quota_answers++;
		if (!not_before.ms)
			governor_pause(g, mono_add(now, QUOTA_PAUSE_MS));
		g->failures = 0; /* it is there */
		if (g->breaker == BREAKER_PROBING)
			g->breaker = BREAKER_CLOSED;
		cut_pace(g, now, sent);
		break;
	case GOVERNOR_LOADED:
		cut_window(g, now, sent);
		failed(g, now);
		break;
	case GOVERNOR_FAILED:
		failed(g, now);
		break;
	}
}
