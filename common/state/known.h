/* known.h - the rows that a topic says there are: which ids live, at which version, and which of
 * them a pass over the source has met.  Pure: no I/O, no time.
 *
 * A full read of a source shows what is there, not what is gone.  What is gone is what the topic
 * knows and the read did not meet; nothing else tells, once a delta token has expired.
 *
 * Flat open addressing, 25 bytes a slot (16 id, 8 version, 1 state), at most seven eighths full:
 * 29 to 57 MB a million ids, and half as much again for the moment in which it grows.
 */
#ifndef TIDEWAY_KNOWN_H
#define TIDEWAY_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct known;
struct known *known_new(void);
void known_free(struct known *k);
void known_clear(struct known *k);

/* id is a lower-case GUID; each returns false when it is none (another kind of key). */
bool known_put(struct known *k, const char *id, int64_t version, bool met); /* it lives */
bool known_gone(struct known *k, const char *id);			    /* it is deleted */
/* The version of an id that lives, or -1. */
int64_t known_version(const struct known *k, const char *id);

/* Was an id that lives met by the pass? */
bool known_is_met(const struct known *k, const char *id);

/* A new pass: nobody is met. */
void known_unmeet(struct known *k);
size_t known_alive(const struct known *k);
size_t known_unmet(const struct known *k); /* alive and not met */
/* It was asked for and is not there: unmet for sure. */
void known_sure(struct known *k, const char *id);
/* The next that is unmet and not sure. */
bool known_next_unsure(const struct known *k, size_t *at, char id[37]);
/* The next id that lives and was not met, from *at on (0 at first); false when there is none.
 * known_gone() of that id is allowed while walking. */
bool known_next_unmet(const struct known *k, size_t *at, char id[37]);

#endif
