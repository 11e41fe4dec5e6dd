/* random.h - values that nobody would think of, for tests of properties.  The same ones each time. */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H

#include <math.h>

#include "json.h"
#include "scalar.h"
#include "unit.h"

static uint64_t seed = 20260131;

static uint32_t drawn(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static size_t put_character(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* Of all scripts, and much of what conversions look at. */
static const char *any_text(struct arena *a)
{
	static const char *const likely[] = {"",  " ",	"\xc2\xa0", "0",  "00", "+", "(0)",
					     "@", "-",	".",	    "12", "x",	"ß", "İ",
					     "ﬁ", "\t", "2026",	    "-0", "T",	":", "Z"};
	char *out = arena_alloc(a, 4 * 40 + 100);
	size_t len = 0, n = drawn(20);

	for (size_t i = 0; i < n; i++) {
		uint32_t c = 1 + drawn(drawn(2) ? 0x7f : 0x10ffff - 1);
		if (drawn(2)) {
			const char *piece = likely[drawn(sizeof likely / sizeof *likely)];
			memcpy(out + len, piece, strlen(piece));
			len += strlen(piece);
		} else if (c < 0xd800 || c > 0xdfff) {
			len += put_character(out + len, c);
		}
	}
	out[len] = 0;
	return out;
}

static const char *any_decimal(struct arena *a)
{
	char *out = arena_alloc(a, 64);
	size_t len = 0, whole = 1 + drawn(18), part = drawn(6);

	if (drawn(2))
		out[len++] = '-';
	for (size_t i = 0; i < whole; i++)
		out[len++] = (char)('0' + (drawn(3) ? drawn(10) : 9));
	if (part)
		out[len++] = '.';
	for (size_t i = 0; i < part; i++)
		out[len++] = (char)('0' + (drawn(3) ? drawn(10) : 9));
	out[len] = 0;
	return out;
}

static struct scalar any_scalar(enum kind kind, struct arena *a)
{
	static const double reals[] = {0, -0.0, 0.1, 2.675, 1e15, 1e300, -1e-300, NAN, INFINITY};
	struct scalar s = {.kind = kind};
	int64_t wide = (int64_t)((uint64_t)drawn(UINT32_MAX) << 32 | drawn(UINT32_MAX));

	if (kind == TEXT)
		s.text = any_text(a);
	else if (kind == DECIMAL)
		s.text = any_decimal(a);
	else if (kind == REAL)
		s.real = drawn(2) ? reals[drawn(9)] : (double)wide / (1 + drawn(1000));
	else if (kind == FLAG)
		s.number = drawn(2);
	else if (kind == DAY)
		s.number = (int32_t)wide >> drawn(16);
	else
		s.number = wide >> drawn(40);
	return s;
}

#endif
