/* arena.h - memory that lives as long as one record or one page.
 *
 * The loop resets the arena; nobody frees single things.  Blocks are kept for the next round, up
 * to a bound, so that a steady stream allocates nothing.  Also here: the allocators for
 * long-lived things, which end the process with 111 when memory runs out, so that no caller
 * carries a path that was never run.
 */
#ifndef TIDEWAY_ARENA_H
#define TIDEWAY_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
	struct arena_block *first, *current;
};

/* An arena of zeroes is empty and ready: `struct arena a = {0};` */
void *arena_alloc(struct arena *a, size_t size); /* aligned for any type, not cleared */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Forgets everything allocated; keeps up to 1 MiB of blocks. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* _cleanup_(fn) runs fn(&variable) when the variable leaves its scope. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))
void freep(void *p); /* _cleanup_(freep) char *s = NULL; */

#endif
