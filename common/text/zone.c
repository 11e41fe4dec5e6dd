/* zone.c - see zone.h. */
#include "zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arena.h"

enum { DAY_S = 86400, STEP_S = 7 * DAY_S, CHANGES_MAX = 1024 };
static const int64_t first_s = -2208988800; /* 1900-01-01 */
static const int64_t last_s = 4102444800;   /* 2100-01-01 */

struct shift {
	int64_t from_s;
	int64_t offset_s;
};

struct zone {
	struct shift changes[CHANGES_MAX];
	size_t count;
};

/* Is it a zone, and the same one on every machine?  Beside the zones lie tables and lists, the zone of
 * the machine, and zones that count leap seconds, which no other clock of ours does.  The header is
 * RFC 8536's. */
static bool exists(const char *name)
{
	static const char *const others[] = {"localtime", "posixrules", "right/", NULL};
	const char *dir = getenv("TZDIR");
	char magic[4];

	/* A name is a path below the database; it must not lead out of it. */
	if (!*name || *name == '/' || strstr(name, "..") || strlen(name) > 64)
		return false;
	for (size_t i = 0; others[i]; i++)
		if (!strncmp(name, others[i], strlen(others[i])))
			return false;
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir ? dir : "/usr/share/zoneinfo", name);
	FILE *f = fopen(path, "re");
	bool zone = f && fread(magic, 1, 4, f) == 4 && !memcmp(magic, "TZif", 4);
	if (f)
		fclose(f);
	return zone;
}

static int64_t libc_offset(int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;

	return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

/* The first second of (from, to] with another offset than from. */
static int64_t change_between(int64_t from, int64_t to)
{
	int64_t before = libc_offset(from);

	while (to - from > 1) {
		int64_t middle = from + (to - from) / 2;
		if (libc_offset(middle) == before)
			from = middle;
		else
			to = middle;
	}
	return to;
}

static void ask_libc(struct zone *z)
{
	int64_t at = first_s;

	z->changes[z->count++] = (struct shift){INT64_MIN, libc_offset(at)};
	while (at < last_s && z->count < CHANGES_MAX) {
		if (libc_offset(at + STEP_S) != z->changes[z->count - 1].offset_s) {
			at = change_between(at, at + STEP_S);
			z->changes[z->count++] = (struct shift){at, libc_offset(at)};
		} else {
			at += STEP_S;
		}
	}
}

struct zone *zone_new(const char *name)
{
	const char *old = getenv("TZ");
	_cleanup_(freep) char *saved = old ? xstrdup(old) : NULL;

	if (!exists(name))
		return NULL;
	struct zone *z = xcalloc(1, sizeof *z);
	setenv("TZ", name, 1);
	tzset();
	ask_libc(z);
	if (saved)
		setenv("TZ", saved, 1);
	else
		unsetenv("TZ");
	tzset();
	return z;
}

void zone_free(struct zone *z)
{
	free(z);
}

static int64_t floor_s(int64_t ms)
{
	return ms / 1000 - (ms % 1000 < 0);
}

int64_t zone_offset_ms(const struct zone *z, wall_time utc)
{
	int64_t s = floor_s(utc.ms);
	size_t low = 0, high = z->count;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		if (z->changes[middle].from_s <= s)
			low = middle;
		else
			high = middle;
	}
	return z->changes[low].offset_s * 1000;
}

wall_time zone_local(const struct zone *z, wall_time utc)
{
	return (wall_time){utc.ms + zone_offset_ms(z, utc)};
}

wall_time zone_utc(const struct zone *z, wall_time local)
{
	/* Offsets a day before and after are those around a change, if there is one near. */
	int64_t before = zone_offset_ms(z, (wall_time){local.ms - 86400000});
	int64_t after = zone_offset_ms(z, (wall_time){local.ms + 86400000});
	wall_time early = {local.ms - before}, late = {local.ms - after};

	if (zone_offset_ms(z, early) == before || zone_offset_ms(z, late) != after)
		return early;
	return late;
}
