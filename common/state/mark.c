/* mark.c - see mark.h.  Words of name=number, the first one says that it is ours. */
#include "mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OURS "tideway-load/1"

const char *const load_count_names[] = {"created",   "updated", "deleted",  "unchanged", "older",
					"coalesced", "parked",	"rejected", "calls",	 NULL};

enum { HOUR_MS = 3600000 };

/* Numbers divided by commas; false when there are not exactly n. */
static bool numbers(const char *text, int64_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *end;
		if (*text < '0' || *text > '9')
			return false;
		out[i] = strtoll(text, &end, 10);
		if (*end != (i + 1 < n ? ',' : 0))
			return false;
		text = end + 1;
	}
	return true;
}

static bool word(struct mark *m, const char *name, const char *value)
{
	const struct {
		const char *name;
		int64_t *to;
		size_t n;
	} words[] = {{"ahead", &m->ahead, 1},	     {"oldest", &m->oldest_ms, 1},
		     {"force", &m->force, 1},	     {"waiting", &m->waiting, 1},
		     {"hour", &m->hour, 1},	     {"day", &m->day, 1},
		     {"rows", &m->rows_in_day, 1},   {"requests", &m->calls_in_day, 1},
		     {"all", m->total, LOAD_COUNTS}, {"now", m->in_hour, LOAD_COUNTS}};
	int64_t sweep[3];

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(name, words[i].name))
			return numbers(value, words[i].to, words[i].n);
	if (strcmp(name, "sweep"))
		return false;
	if (!numbers(value, sweep, 3))
		return false;
	m->sweep_from = sweep[0];
	m->sweep_end = sweep[1];
	m->sweep_max = sweep[2];
	return true;
}

struct mark mark_parse(const char *text, size_t len)
{
	struct mark m = {0}, nothing = {0};
	char copy[MARK_TEXT_MAX], *save = NULL;

	if (!text || len >= sizeof copy || memchr(text, 0, len))
		return nothing;
	memcpy(copy, text, len);
	copy[len] = 0;
	char *w = strtok_r(copy, " ", &save);
	if (!w || strcmp(w, OURS))
		return nothing;
	while ((w = strtok_r(NULL, " ", &save))) {
		char *value = strchr(w, '=');
		if (!value)
			return nothing;
		*value = 0;
		/* A word that is not known is of a later version: what it promises is not. */
		if (!word(&m, w, value + 1))
			return nothing;
	}
	m.known = true;
	return m;
}

static size_t put(char *out, size_t at, const char *name, const int64_t *n, size_t count)
{
	int len = snprintf(out + at, MARK_TEXT_MAX - at, " %s=", name);

	for (size_t i = 0; i < count; i++)
		len += snprintf(out + at + len, MARK_TEXT_MAX - at - (size_t)len, "%s%" PRId64,
				i ? "," : "", n[i]);
	return at + (size_t)len;
}

size_t mark_format(const struct mark *m, char out[MARK_TEXT_MAX])
{
	const int64_t sweep[] = {m->sweep_from, m->sweep_end, m->sweep_max};
	size_t at = (size_t)snprintf(out, MARK_TEXT_MAX, OURS);

	at = put(out, at, "ahead", &m->ahead, 1);
	at = put(out, at, "oldest", &m->oldest_ms, 1);
	if (m->force)
		at = put(out, at, "force", &m->force, 1);
	if (m->sweep_end)
		at = put(out, at, "sweep", sweep, 3);
	if (m->waiting)
		at = put(out, at, "waiting", &m->waiting, 1);
	if (m->day) {
		at = put(out, at, "day", &m->day, 1);
		at = put(out, at, "rows", &m->rows_in_day, 1);
	}
	if (m->day && m->calls_in_day)
		at = put(out, at, "requests", &m->calls_in_day, 1);
	at = put(out, at, "hour", &m->hour, 1);
	at = put(out, at, "all", m->total, LOAD_COUNTS);
	return put(out, at, "now", m->in_hour, LOAD_COUNTS);
}

static void begin_day(struct mark *m, int64_t day)
{
	if (m->day != day)
		m->rows_in_day = m->calls_in_day = 0;
	m->day = day;
}

void mark_row(struct mark *m, int64_t day)
{
	begin_day(m, day);
	m->rows_in_day++;
}

void mark_call(struct mark *m, int64_t day)
{
	begin_day(m, day);
	m->calls_in_day++;
}

void mark_row_back(struct mark *m, int64_t day)
{
	if (m->day == day && m->rows_in_day)
		m->rows_in_day--;
}

void mark_count(struct mark *m, enum load_count what, int64_t n, int64_t now_ms)
{
	int64_t hour = now_ms / HOUR_MS;

	if (hour != m->hour)
		memset(m->in_hour, 0, sizeof m->in_hour);
	m->hour = hour;
	m->total[what] += n;
	m->in_hour[what] += n;
}
