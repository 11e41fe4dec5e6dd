/* suggest.h - which known name somebody may have meant.
 *
 * Optimal string alignment distance (insert, delete, replace, swap neighbours); case counts a
 * little less than a letter, because firstname and firstName is the commonest mistake here.
 */
#ifndef TIDEWAY_SUGGEST_H
#define TIDEWAY_SUGGEST_H

#include <stddef.h>

enum { SUGGEST_NAME_MAX = 64 }; /* longer names are not compared */

/* Feed it every known name. */
struct suggestion {
	const char *word, *best;
	unsigned distance;
};
void suggest_from(struct suggestion *s, const char *known);

/* "; did you mean "x"?" or "", into a buffer that the caller gives. */
const char *suggest_text(const struct suggestion *s, char *out, size_t size);

#endif
