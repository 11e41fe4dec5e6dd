/* clock.c - clocks and civil dates.  The calendar arithmetic is the well known era algorithm
 * (400-year cycles of 146,097 days); timegm() would do, but not below year 0 and not portably. */
#include "clock.h"

#include <stdio.h>
#include <time.h>

mono_time mono_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mono_time){(int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000};
}

wall_time wall_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (wall_time){(int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000};
}

int32_t days_from_civil(int year, int month, int day)
{
	year -= month <= 2;
	int era = (year >= 0 ? year : year - 399) / 400;
	int yoe = year - era * 400;
	int doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

void civil_from_days(int32_t days, int *year, int *month, int *day)
{
	int64_t z = (int64_t)days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int doe = (int)(z - era * 146097);
	int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = (int)(yoe + era * 400) + (*month <= 2);
}

/* Exactly n digits; advances *s. */
static bool digits(const char **s, const char *end, int n, int *out)
{
	int v = 0;
	for (int i = 0; i < n; i++, (*s)++) {
		if (*s >= end || **s < '0' || **s > '9')
			return false;
		v = v * 10 + (**s - '0');
	}
	*out = v;
	return true;
}

static bool literal(const char **s, const char *end, char c)
{
	if (*s >= end || **s != c)
		return false;
	(*s)++;
	return true;
}

static bool civil(const char **s, const char *end, int32_t *days)
{
	int y, m, d, cy, cm, cd;
	if (!digits(s, end, 4, &y) || !literal(s, end, '-') || !digits(s, end, 2, &m) ||
	    !literal(s, end, '-') || !digits(s, end, 2, &d))
		return false;
	if (y < 1 || m < 1 || m > 12 || d < 1 || d > 31)
		return false;
	*days = days_from_civil(y, m, d);
	civil_from_days(*days, &cy, &cm, &cd);
	return cy == y && cm == m && cd == d; /* 30 February comes back as another day */
}

bool date_parse(const char *s, size_t len, int32_t *days)
{
	const char *end = s + len;
	int32_t d;
	if (!civil(&s, end, &d) || s != end)
		return false;
	*days = d;
	return true;
}

bool date_format(int32_t days, char out[11])
{
	int y, m, d;
	civil_from_days(days, &y, &m, &d);
	if (y < 1 || y > 9999)
		return false;
	snprintf(out, 11, "%04u-%02u-%02u", (unsigned)y % 10000, (unsigned)m % 100,
		 (unsigned)d % 100);
	return true;
}

bool datetime_parse(const char *s, size_t len, bool zone_required, wall_time *out)
{
	const char *end = s + len;
	int32_t days;
	int h, m, sec, ms = 0, offset = 0;

	if (!civil(&s, end, &days))
		return false;
	if (!literal(&s, end, 'T') && !literal(&s, end, ' '))
		return false;
	if (!digits(&s, end, 2, &h) || !literal(&s, end, ':') || !digits(&s, end, 2, &m) ||
	    !literal(&s, end, ':') || !digits(&s, end, 2, &sec))
		return false;
	if (h > 23 || m > 59 || sec > 60)
		return false;
	if (literal(&s, end, '.')) {
		int scale = 100, n = 0;
		for (; s < end && *s >= '0' && *s <= '9'; s++, n++, scale /= 10)
			ms += (*s - '0') * scale;
		if (n == 0)
			return false;
	}
	if (s == end) {
		if (zone_required)
			return false;
	} else if (!literal(&s, end, 'Z')) {
		int oh, om, sign = *s == '-' ? -1 : 1;
		if (*s != '+' && *s != '-')
			return false;
		s++;
		if (!digits(&s, end, 2, &oh) || !literal(&s, end, ':') ||
		    !digits(&s, end, 2, &om) || oh > 23 || om > 59)
			return false;
		offset = sign * (oh * 60 + om);
	}
	if (s != end)
		return false;
	out->ms = ((((int64_t)days * 24 + h) * 60 + m - offset) * 60 + sec) * 1000 + ms;
	return true;
}

bool datetime_format(wall_time t, char sep, char out[25])
{
	int64_t ms = t.ms % 86400000, days = t.ms / 86400000;
	char date[11];

	if (ms < 0) {
		ms += 86400000;
		days--;
	}
	if (days < -800000 || days > 3000000 || !date_format((int32_t)days, date))
		return false;
	snprintf(out, 25, "%s%c%02u:%02u:%02u.%03uZ", date, sep, (unsigned)(ms / 3600000) % 100,
		 (unsigned)(ms / 60000 % 60), (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
	return true;
}
