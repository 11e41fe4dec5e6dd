/* tally.h - counts by a word: reasons, kinds of calls, statuses.  Pure.
 *
 * The words are the program's own, but some are made of what a product answers ("http-418"), so
 * their number is bounded: what comes when all places are taken counts as "other".  So nobody
 * outside can make a process, or a time series database, grow.
 */
#ifndef TIDEWAY_TALLY_H
#define TIDEWAY_TALLY_H

#include <stddef.h>
#include <stdint.h>

enum { TALLY_WORDS = 32, TALLY_WORD_MAX = 48 };

#define TALLY_OTHER "other"

struct tally {
	struct {
		char word[TALLY_WORD_MAX];
		int64_t n;
	} of[TALLY_WORDS];
	size_t count;
};

void tally_add(struct tally *t, const char *word, int64_t n);
int64_t tally_total(const struct tally *t);

#endif
