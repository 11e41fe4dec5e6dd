/* seen.h - a set of texts by their 128-bit hash, for suppressing duplicates.
 *
 * Flat open addressing, 16 bytes a slot, at most three quarters full: 21 to 43 bytes a text,
 * that is 21 to 43 MB a million.  Two different texts are taken for one with a probability of
 * about n * n / 2^129: never.
 */
#ifndef TIDEWAY_SEEN_H
#define TIDEWAY_SEEN_H

#include <stdbool.h>
#include <stddef.h>

struct seen;
struct seen *seen_new(void);
void seen_free(struct seen *s);
bool seen_has(const struct seen *s, const void *text, size_t len);
bool seen_add(struct seen *s, const void *text, size_t len); /* false: it was there */
size_t seen_count(const struct seen *s);
void seen_clear(struct seen *s);

#endif
