/* text.c - see text.h. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void room(struct text *t, size_t n)
{
	if (t->len + n + 1 <= t->cap)
		return;
	t->cap = (t->len + n + 1) * 2;
	t->data = realloc(t->data, t->cap);
	if (!t->data)
		abort();
}

void text_put(struct text *t, const char *s, size_t n)
{
	room(t, n);
	memcpy(t->data + t->len, s, n);
	t->len += n;
	t->data[t->len] = 0;
}

void text_puts(struct text *t, const char *s)
{
	text_put(t, s, strlen(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	room(t, (size_t)n);
	vsnprintf(t->data + t->len, (size_t)n + 1, fmt, again);
	va_end(again);
	t->len += (size_t)n;
}

void text_json(struct text *t, const char *s)
{
	const char *from = s;

	text_put(t, "\"", 1);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c != '"' && c != '\\' && c >= 0x20)
			continue;
		text_put(t, from, (size_t)(s - from));
		from = s + 1;
		if (c == '"' || c == '\\')
			text_put(t, c == '"' ? "\\\"" : "\\\\", 2);
		else if (c == '\n')
			text_put(t, "\\n", 2);
		else
			text_printf(t, "\\u%04x", c);
	}
	text_put(t, from, (size_t)(s - from));
	text_put(t, "\"", 1);
}

void text_xml(struct text *t, const char *s)
{
	for (; *s; s++)
		if (*s == '<')
			text_puts(t, "&lt;");
		else if (*s == '>')
			text_puts(t, "&gt;");
		else if (*s == '&')
			text_puts(t, "&amp;");
		else if (*s == '"')
			text_puts(t, "&quot;");
		else
			text_put(t, s, 1);
}

const char *text_string(const struct text *t)
{
	return t->data ? t->data : "";
}
