/* collate.c - how values compare, as SQLite collations and functions.  Values are texts:
 *
 * FOLD    texts, regardless of case, as the product's collation does
 * AMOUNT  numbers, exactly: a money value has more digits than a double
 * wild()  a text against a pattern of SQL Server's LIKE: % _ [a-z] [^x]
 * visible() the part of the rows that a restricted user sees, chosen by the id
 */
#include <locale.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "store.h"

/* One code point; a byte that is no UTF-8 stands for itself. */
static uint32_t next(const unsigned char **at, const unsigned char *end)
{
	static const unsigned char masks[] = {0, 0, 0x1f, 0x0f, 0x07};
	const unsigned char *s = *at;
	int n = *s < 0x80 ? 1 : *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : *s >= 0xc0 ? 2 : 1;

	if (n == 1 || end - s < n) {
		*at = s + 1;
		return *s;
	}
	uint32_t c = *s & masks[n];
	for (int i = 1; i < n; i++)
		c = c << 6 | (s[i] & 0x3f);
	*at = s + n;
	return c;
}

static locale_t unicode;

static uint32_t fold(uint32_t c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	return unicode ? (uint32_t)towlower_l((wint_t)c, unicode) : c;
}

static int fold_compare(void *arg, int an, const void *a, int bn, const void *b)
{
	const unsigned char *s = a, *t = b, *s_end = s + an, *t_end = t + bn;

	(void)arg;
	while (s < s_end && t < t_end) {
		uint32_t x = fold(next(&s, s_end)), y = fold(next(&t, t_end));
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (s < s_end) - (t < t_end);
}

/* A plain decimal taken apart: sign, digits before and behind the point without useless zeros. */
struct amount {
	bool negative;
	const char *whole, *part;
	int whole_len, part_len;
};

static bool amount_of(const char *s, int n, struct amount *a)
{
	const char *end = s + n;

	*a = (struct amount){0};
	if (s < end && (*s == '-' || *s == '+'))
		a->negative = *s++ == '-';
	while (s < end && *s == '0')
		s++;
	a->whole = s;
	while (s < end && *s >= '0' && *s <= '9')
		s++;
	a->whole_len = (int)(s - a->whole);
	if (s < end && *s == '.') {
		a->part = ++s;
		while (s < end && *s >= '0' && *s <= '9')
			s++;
		a->part_len = (int)(s - a->part);
		while (a->part_len && a->part[a->part_len - 1] == '0')
			a->part_len--;
	}
	if (!a->whole_len && !a->part_len)
		a->negative = false; /* -0 is 0 */
	return s == end;
}

static int amount_compare(void *arg, int an, const void *a, int bn, const void *b)
{
	struct amount x, y;
	int r;

	(void)arg;
	if (!amount_of(a, an, &x) || !amount_of(b, bn, &y)) { /* an exponent: a double it is */
		char s[64], t[64];
		snprintf(s, sizeof s, "%.*s", an, (const char *)a);
		snprintf(t, sizeof t, "%.*s", bn, (const char *)b);
		double p = strtod(s, NULL), q = strtod(t, NULL);
		return (p > q) - (p < q);
	}
	if (x.negative != y.negative)
		return x.negative ? -1 : 1;
	r = x.whole_len - y.whole_len;
	if (!r)
		r = memcmp(x.whole, y.whole, (size_t)x.whole_len);
	if (!r && x.part_len && y.part_len)
		r = memcmp(x.part, y.part,
			   (size_t)(x.part_len < y.part_len ? x.part_len : y.part_len));
	if (!r)
		r = x.part_len - y.part_len;
	return x.negative ? -r : r;
}

static bool in_set(const unsigned char **pattern, const unsigned char *end, uint32_t c)
{
	const unsigned char *p = *pattern;
	bool negated = p < end && *p == '^', found = false;

	p += negated;
	while (p < end && *p != ']') {
		uint32_t from = fold(next(&p, end)), to = from;
		if (end - p > 1 && *p == '-' && p[1] != ']') {
			p++;
			to = fold(next(&p, end));
		}
		found |= c >= from && c <= to;
	}
	*pattern = p + (p < end);
	return found != negated;
}

/* Goes back only to the last %, so that no pattern takes more than length times length steps. */
static bool wild(const unsigned char *s, const unsigned char *s_end, const unsigned char *p,
		 const unsigned char *p_end)
{
	const unsigned char *star = NULL, *retry = NULL;

	while (s < s_end) {
		const unsigned char *s_next = s;
		uint32_t c = fold(next(&s_next, s_end));
		bool fits = false;
		const unsigned char *p_next = p;
		if (p < p_end && *p == '%') {
			star = ++p;
			retry = s;
			continue;
		}
		if (p < p_end && *p == '_') {
			p_next++;
			fits = true;
		} else if (p < p_end && *p == '[') {
			p_next++;
			fits = in_set(&p_next, p_end, c);
		} else if (p < p_end) {
			fits = fold(next(&p_next, p_end)) == c;
		}
		if (fits) {
			s = s_next;
			p = p_next;
		} else if (star) {
			next(&retry, s_end);
			s = retry;
			p = star;
		} else {
			return false;
		}
	}
	while (p < p_end && *p == '%')
		p++;
	return p == p_end;
}

static void wild_function(sqlite3_context *context, int n, sqlite3_value **values)
{
	const unsigned char *s = sqlite3_value_text(values[0]), *p = sqlite3_value_text(values[1]);

	(void)n;
	if (s && p)
		sqlite3_result_int(context, wild(s, s + sqlite3_value_bytes(values[0]), p,
						 p + sqlite3_value_bytes(values[1])));
}

/* The ids are random already: their first digits are the draw. */
static void visible_function(sqlite3_context *context, int n, sqlite3_value **values)
{
	const unsigned char *id = sqlite3_value_text(values[0]);
	char digits[9] = "";

	(void)n;
	memcpy(digits, id ? (const char *)id : "0", id ? strnlen((const char *)id, 8) : 1);
	double draw = (double)strtoul(digits, NULL, 16) / 4294967296.0;
	sqlite3_result_int(context, draw < sqlite3_value_double(values[1]));
}

void store_collations(struct store *s)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;

	if (!unicode)
		unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
	sqlite3_create_collation(s->db, "FOLD", SQLITE_UTF8, NULL, fold_compare);
	sqlite3_create_collation(s->db, "AMOUNT", SQLITE_UTF8, NULL, amount_compare);
	sqlite3_create_function(s->db, "wild", 2, flags, NULL, wild_function, NULL, NULL);
	sqlite3_create_function(s->db, "visible", 2, flags, NULL, visible_function, NULL, NULL);
}
