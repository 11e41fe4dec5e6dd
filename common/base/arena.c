/* arena.c - a list of blocks and a bump pointer. */
#include "arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

enum { BLOCK = 64 * 1024, KEEP = 1024 * 1024 };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	_Alignas(max_align_t) char data[];
};

static _Noreturn void out_of_memory(void)
{
	static const char text[] = "level=error msg=\"out of memory\"\n";
	if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
		_exit(EXIT_TEMPORARY);
	_exit(EXIT_TEMPORARY);
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t size)
{
	p = realloc(p, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

char *xstrndup(const char *s, size_t len)
{
	char *p = xmalloc(len + 1);
	memcpy(p, s, len);
	p[len] = 0;
	return p;
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *xasprintf(const char *fmt, ...)
{
	char *p;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&p, fmt, ap) < 0)
		out_of_memory();
	va_end(ap);
	return p;
}

void freep(void *p)
{
	free(*(void **)p);
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t need = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);

	while (a->current && a->current->size - a->current->used < need) {
		if (!a->current->next)
			break;
		a->current = a->current->next;
		a->current->used = 0;
	}
	if (!a->current || a->current->size - a->current->used < need) {
		size_t room = need > BLOCK ? need : BLOCK;
		struct arena_block *b = xmalloc(sizeof *b + room);
		b->next = NULL;
		b->size = room;
		b->used = 0;
		if (a->current)
			a->current->next = b;
		else
			a->first = b;
		a->current = b;
	}
	void *p = a->current->data + a->current->used;
	a->current->used += need;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = arena_alloc(a, len + 1);
	memcpy(p, s, len);
	p[len] = 0;
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void arena_reset(struct arena *a)
{
	size_t kept = 0;
	struct arena_block **at = &a->first;

	while (*at) {
		struct arena_block *b = *at;
		if (kept + b->size > KEEP) {
			*at = b->next;
			free(b);
			continue;
		}
		kept += b->size;
		b->used = 0;
		at = &b->next;
	}
	a->current = a->first;
}

void arena_free(struct arena *a)
{
	for (struct arena_block *b = a->first, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	*a = (struct arena){0};
}
