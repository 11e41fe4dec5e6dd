/* buffer.c - see buffer.h. */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

char *buffer_reserve(struct buffer *b, size_t n)
{
	if (n > b->max || b->len > b->max - n) {
		b->overflow = true;
		return NULL;
	}
	if (b->len + n + 1 > b->cap) {
		size_t cap = b->cap ? b->cap : 256;
		while (cap < b->len + n + 1)
			cap *= 2;
		b->data = xrealloc(b->data, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

bool buffer_append(struct buffer *b, const void *bytes, size_t n)
{
	char *to = buffer_reserve(b, n);
	if (!to)
		return false;
	if (n)
		memcpy(to, bytes, n);
	b->len += n;
	b->data[b->len] = 0;
	return true;
}

bool buffer_puts(struct buffer *b, const char *s)
{
	return buffer_append(b, s, strlen(s));
}

bool buffer_printf(struct buffer *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *to = n < 0 ? NULL : buffer_reserve(b, (size_t)n);
	if (!to)
		return false;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return true;
}

void buffer_reset(struct buffer *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->data)
		b->data[0] = 0;
}

void buffer_free(struct buffer *b)
{
	free(b->data);
	*b = BUFFER(b->max);
}
