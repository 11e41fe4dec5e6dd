/* log.c - see log.h. */
#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "clock.h"

static enum log_level threshold = LOG_LEVEL_INFO;
static const char *program_name = "tideway";
static const char *flow_name;

enum { LINE = 2048, SLOTS = 16 };

void log_setup(enum log_level level, const char *program, const char *flow)
{
	threshold = level;
	program_name = program;
	flow_name = flow;
}

bool log_level_parse(const char *s, enum log_level *out)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(s, names[i])) {
			*out = (enum log_level)i;
			return true;
		}
	return false;
}

static size_t put(char *line, size_t at, const char *name, const char *value)
{
	bool quote = !*value || strpbrk(value, " =\"\\");

	for (const char *p = value; *p && !quote; p++)
		quote = (unsigned char)*p < 0x20;
	if (at + 4 >= LINE)
		return at;
	at += (size_t)snprintf(line + at, LINE - at, "%s%s=%s", at ? " " : "", name,
			       quote ? "\"" : "");
	if (at >= LINE)
		return LINE - 1;
	for (const char *p = value; *p && at < LINE - 4; p++) {
		if (*p == '"' || *p == '\\')
			line[at++] = '\\';
		line[at++] = (unsigned char)*p < 0x20 ? ' ' : *p;
	}
	if (quote && at < LINE - 2)
		line[at++] = '"';
	return at;
}

static size_t begin(char *line, enum log_level level, const char *msg)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	char time[25];
	size_t at = 0;

	if (!datetime_format(wall_now(), 'T', time))
		time[0] = 0;
	at = put(line, at, "ts", time);
	at = put(line, at, "level", names[level]);
	at = put(line, at, "stage", program_name);
	if (flow_name)
		at = put(line, at, "flow", flow_name);
	return put(line, at, "msg", msg);
}

/* One write a line, so that lines of several threads do not mix.  A log that cannot be written must
 * not stop the work. */
static void end(char *line, size_t at)
{
	line[at++] = '\n';
	if (write(STDERR_FILENO, line, at) < 0)
		return;
}

void log_line(enum log_level level, const char *msg, ...)
{
	char line[LINE + 2];
	const char *name;
	va_list ap;

	if (level < threshold)
		return;
	size_t at = begin(line, level, msg);
	va_start(ap, msg);
	while ((name = va_arg(ap, const char *))) {
		const char *value = va_arg(ap, const char *);
		at = put(line, at, name, value ? value : "");
	}
	va_end(ap);
	end(line, at);
}

void log_numbers(enum log_level level, const char *msg, const char *const *names,
		 const int64_t *values, size_t count)
{
	char line[LINE + 2];

	if (level < threshold)
		return;
	size_t at = begin(line, level, msg);
	for (size_t i = 0; i < count; i++)
		at = put(line, at, names[i], log_int(values[i]));
	end(line, at);
}

static char *slot(void)
{
	static __thread char slots[SLOTS][24];
	static __thread unsigned next;
	return slots[next++ % SLOTS];
}

const char *log_int(int64_t n)
{
	char *s = slot();
	snprintf(s, 24, "%" PRId64, n);
	return s;
}

const char *log_key(const void *key, size_t len)
{
	char *s = slot();
	snprintf(s, 24, "%08" PRIx32, (uint32_t)XXH64(key, len, 0));
	return s;
}
