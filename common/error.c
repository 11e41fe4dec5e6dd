/* error.c - filling a struct error, and taking personal data out of foreign texts. */
#include "error.h"

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

/* The byte that ends what c opens, or 0. */
static char closing(char c)
{
	switch (c) {
	case '\'':
	case '"':
	case '`':
		return c;
	case '(':
		return ')';
	default:
		return 0;
	}
}

static int is_mail_char(unsigned char c)
{
	return c > ' ' && c != ',' && c != ';' && c != '<' && c != '>' && c != '=' && c != ':' &&
	       c != '(' && c != ')' && c != '\'' && c != '"';
}

char *redact(char *out, size_t size, const char *text, size_t len)
{
	size_t o = 0;
#define PUT(c)                                                                                     \
	do {                                                                                       \
		if (o + 1 < size)                                                                  \
			out[o++] = (c);                                                            \
	} while (0)

	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)text[i];
		char close = closing((char)c);
		/* An apostrophe inside a word ("isn't") opens nothing. */
		if (c == '\'' && i > 0 && is_mail_char((unsigned char)text[i - 1]) && i + 1 < len &&
		    is_mail_char((unsigned char)text[i + 1]))
			close = 0;
		if (close) {
			const char *end = memchr(text + i + 1, close, len - i - 1);
			size_t stop = end ? (size_t)(end - text) : len;
			if (c == '(') { /* the innermost-first view: "((a))" closes at the last ) */
				int depth = 1;
				stop = i + 1;
				while (stop < len && depth) {
					depth += text[stop] == '(';
					depth -= text[stop] == ')';
					stop += depth > 0;
				}
			}
			PUT((char)c);
			if (stop > i + 1) {
				PUT('.');
				PUT('.');
				PUT('.');
			}
			if (stop < len)
				PUT(close);
			i = stop + 1;
			continue;
		}
		if (c == '@' && i > 0 && is_mail_char((unsigned char)text[i - 1])) {
			while (o > 0 && is_mail_char((unsigned char)out[o - 1]))
				o--;
			PUT('.');
			PUT('.');
			PUT('.');
			while (i < len && is_mail_char((unsigned char)text[i]))
				i++;
			continue;
		}
		PUT(c < 0x20 || c == 0x7f ? ' ' : (char)c);
		i++;
	}
#undef PUT
	/* A multi-byte character must not be cut in the middle. */
	if (o + 1 == size) {
		while (o > 0 && ((unsigned char)out[o - 1] & 0xc0) == 0x80)
			o--;
		if (o > 0 && (unsigned char)out[o - 1] >= 0xc0)
			o--;
	}
	if (size)
		out[o] = 0;
	return out;
}
