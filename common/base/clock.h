/* clock.h - two clocks that cannot be mixed up, and the date formats of both products.
 *
 * Time is an argument: below main nothing asks what time it is, so that rules about time are
 * tested without waiting.  mono_time is for deadlines and intervals, wall_time for what is
 * written down.  Both count milliseconds.
 */
#ifndef TIDEWAY_CLOCK_H
#define TIDEWAY_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	int64_t ms; /* since some fixed point in the past */
} mono_time;

typedef struct {
	int64_t ms; /* since 1970-01-01T00:00:00Z, negative before */
} wall_time;

mono_time mono_now(void);
wall_time wall_now(void);

static inline mono_time mono_add(mono_time t, int64_t ms)
{
	return (mono_time){t.ms + ms};
}

/* Milliseconds from now until t, 0 when t is past. */
static inline int64_t mono_until(mono_time now, mono_time t)
{
	return t.ms > now.ms ? t.ms - now.ms : 0;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar, and back. */
int32_t days_from_civil(int year, int month, int day);
void civil_from_days(int32_t days, int *year, int *month, int *day);

/* "YYYY-MM-DD" and nothing else; refuses days that do not exist. */
bool date_parse(const char *s, size_t len, int32_t *days);
/* Years 0001 to 9999; out is "YYYY-MM-DD". Returns false outside. */
bool date_format(int32_t days, char out[11]);

/* ISO 8601 with T or blank, optional fraction (digits behind milliseconds are cut), then Z, an
 * offset, or nothing (taken as UTC: Dataverse does so for TimeZoneIndependent columns).
 * zone_required refuses the last. */
bool datetime_parse(const char *s, size_t len, bool zone_required, wall_time *out);
/* "YYYY-MM-DDTHH:MM:SS.mmmZ"; sep is 'T' or ' ' (Campaign writes a blank). */
bool datetime_format(wall_time t, char sep, char out[25]);

#endif
