/* buffer.h - bytes that grow up to a declared maximum.
 *
 * Every buffer that is filled from a wire says how large it may become; an append beyond that
 * fails, leaves the buffer as it was and sets `overflow`, which stays set until reset.  data is
 * NULL or NUL terminated behind len bytes, so text can be used in place.
 */
#ifndef TIDEWAY_BUFFER_H
#define TIDEWAY_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
	char *data;
	size_t len, cap;
	size_t max;
	bool overflow;
};

#define BUFFER(max_bytes) ((struct buffer){.max = (max_bytes)})

bool buffer_append(struct buffer *b, const void *bytes, size_t n);
bool buffer_puts(struct buffer *b, const char *s);
bool buffer_printf(struct buffer *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for n more bytes and returns where they go, or NULL; the caller then adds to len. */
char *buffer_reserve(struct buffer *b, size_t n);
void buffer_reset(struct buffer *b); /* empty again, memory kept */
void buffer_free(struct buffer *b);

#endif
