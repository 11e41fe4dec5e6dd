/* tally.c - see tally.h. */
#include "tally.h"

#include <stdio.h>
#include <string.h>

void tally_add(struct tally *t, const char *word, int64_t n)
{
	size_t i = 0;

	while (i < t->count && strncmp(t->of[i].word, word, TALLY_WORD_MAX - 1))
		i++;
	if (i == TALLY_WORDS || (i == t->count && i == TALLY_WORDS - 1)) {
		i = TALLY_WORDS - 1;
		word = TALLY_OTHER;
	}
	if (i == t->count) {
		snprintf(t->of[i].word, TALLY_WORD_MAX, "%s", word);
		t->count++;
	}
	t->of[i].n += n;
}

int64_t tally_total(const struct tally *t)
{
	int64_t n = 0;

	for (size_t i = 0; i < t->count; i++)
		n += t->of[i].n;
	return n;
}
