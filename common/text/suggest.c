/* suggest.c - see suggest.h. */
#include "suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Costs are halves, so that another case costs half a letter. */
enum { LETTER = 2, CASE = 1 };

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned replaced(char a, char b)
{
	if (a == b)
		return 0;
	return tolower((unsigned char)a) == tolower((unsigned char)b) ? CASE : LETTER;
}

static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned rows[3][SUGGEST_NAME_MAX + 1];

	for (size_t j = 0; j <= m; j++)
		rows[0][j] = (unsigned)j * LETTER;
	for (size_t i = 1; i <= n; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two = rows[(i + 1) % 3];
		row[0] = (unsigned)i * LETTER;
		for (size_t j = 1; j <= m; j++) {
			row[j] = min(min(above[j], row[j - 1]) + LETTER,
				     above[j - 1] + replaced(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min(row[j], two[j - 2] + LETTER);
		}
	}
	return rows[n % 3][m];
}

void suggest_from(struct suggestion *s, const char *known)
{
	size_t n = strlen(s->word), m = strlen(known);

	if (!n || !m || n > SUGGEST_NAME_MAX || m > SUGGEST_NAME_MAX)
		return;
	unsigned d = distance(s->word, n, known, m);
	/* A third of the letters may be wrong; more is another word. */
	if (d * 3 <= n * LETTER + LETTER && (!s->best || d < s->distance)) {
		s->best = known;
		s->distance = d;
	}
}

const char *suggest_text(const struct suggestion *s, char *out, size_t size)
{
	if (s->best)
		snprintf(out, size, "; did you mean \"%s\"?", s->best);
	else
		*out = 0;
	return out;
}
