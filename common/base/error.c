/* error.c - filling a struct error, and taking personal data out of foreign texts. */
#include "error.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void one_line(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

static void fill(struct error *err, const char *reason, int exit_code, const char *text, va_list ap)
{
	if (!err)
		return;
	snprintf(err->reason, sizeof err->reason, "%s", reason);
	vsnprintf(err->text, sizeof err->text, text, ap);
	one_line(err->text);
	err->not_before = (mono_time){0};
	err->exit_code = exit_code;
}

#define FILL(code)                                                                                 \
	do {                                                                                       \
		va_list ap;                                                                        \
		va_start(ap, text);                                                                \
		fill(err, reason, code, text, ap);                                                 \
		va_end(ap);                                                                        \
	} while (0)

enum result error_retry(struct error *err, const char *reason, const char *text, ...)
{
	FILL(EXIT_TEMPORARY);
	return RETRY;
}

enum result error_reject(struct error *err, const char *reason, const char *text, ...)
{
	FILL(EXIT_PERMANENT);
	return REJECT;
}

enum result error_config(struct error *err, const char *reason, const char *text, ...)
{
	FILL(EXIT_PERMANENT);
	return FATAL;
}

enum result error_restart(struct error *err, const char *reason, const char *text, ...)
{
	FILL(EXIT_TEMPORARY);
	return FATAL;
}

void error_prefix(struct error *err, const char *where, ...)
{
	char old[sizeof err->text];
	va_list ap;

	if (!err)
		return;
	memcpy(old, err->text, sizeof old);
	va_start(ap, where);
	int n = vsnprintf(err->text, sizeof err->text, where, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof err->text)
		return;
	snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", old);
	one_line(err->text);
}

const char *result_name(enum result r)
{
	static const char *const names[] = {"ok", "retry", "reject", "fatal"};
	return names[r];
}

/* ---- personal data ---------------------------------------------------------------------------- */

struct quotes {
	const char *open, *close;
	bool nests; /* brackets; else the same mark may stand inside a word */
};

static const struct quotes quotes[] = {{"'", "'", false}, {"\"", "\"", false}, {"`", "`", false},
				       {"(", ")", true},  {"<", ">", true},    {"‘", "’", false},
				       {"“", "”", false}, {"«", "»", true},    {"‹", "›", true}};

static bool is_word(const char *text, size_t len, size_t i)
{
	unsigned char c = i < len ? (unsigned char)text[i] : 0;
	return isalnum(c) || c >= 0x80;
}

static bool stands(const char *text, size_t len, size_t i, const char *mark)
{
	size_t n = strlen(mark);
	return i + n <= len && !memcmp(text + i, mark, n);
}

/* What opens at i, or NULL.  An apostrophe inside a word ("isn't") opens nothing. */
static const struct quotes *opens(const char *text, size_t len, size_t i)
{
	for (size_t k = 0; k < sizeof quotes / sizeof *quotes; k++)
		if (stands(text, len, i, quotes[k].open) &&
		    !(text[i] == '\'' && i && is_word(text, len, i - 1)))
			return &quotes[k];
	return NULL;
}

/* Where the closing mark stands, or len.  A mark with a letter behind it ("O'Brien") closes nothing:
 * rather too much is hidden than too little. */
static size_t closes(const char *text, size_t len, size_t i, const struct quotes *q)
{
	size_t depth = 1;

	for (i += strlen(q->open); i < len; i++) {
		if (q->nests && stands(text, len, i, q->open))
			depth++;
		else if (stands(text, len, i, q->close) &&
			 (q->nests || !is_word(text, len, i + strlen(q->close))) && !--depth)
			return i;
	}
	return len;
}

static bool is_mail(unsigned char c)
{
	return c > ' ' && !strchr(",;<>=:()'\"", c);
}

struct shown {
	char *data;
	size_t len, size;
};

static void show(struct shown *to, const char *text, size_t n)
{
	for (size_t i = 0; i < n && to->len + 1 < to->size; i++) {
		unsigned char c = (unsigned char)text[i];
		to->data[to->len++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
	}
}

char *redact(char *out, size_t size, const char *text, size_t len)
{
	struct shown to = {out, 0, size};

	for (size_t i = 0; i < len;) {
		const struct quotes *q = opens(text, len, i);
		if (q) {
			size_t end = closes(text, len, i, q), n = strlen(q->open);
			show(&to, q->open, n);
			if (end > i + n)
				show(&to, "...", 3);
			if (end < len)
				show(&to, q->close, strlen(q->close));
			i = end < len ? end + strlen(q->close) : len;
		} else if (text[i] == '@' && i && is_mail((unsigned char)text[i - 1])) {
			while (to.len && is_mail((unsigned char)out[to.len - 1]))
				to.len--;
			show(&to, "...", 3);
			while (i < len && is_mail((unsigned char)text[i]))
				i++;
		} else {
			show(&to, text + i++, 1);
		}
	}
	/* A multi-byte character must not be cut in the middle. */
	if (to.len + 1 == size) {
		while (to.len && ((unsigned char)out[to.len - 1] & 0xc0) == 0x80)
			to.len--;
		if (to.len && (unsigned char)out[to.len - 1] >= 0xc0)
			to.len--;
	}
	if (size)
		out[to.len] = 0;
	return out;
}
