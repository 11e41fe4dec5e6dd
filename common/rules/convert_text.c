/* convert_text.c - see convert_text.h. */
#include "convert_text.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "error.h"

/* ---- characters ------------------------------------------------------------------------------- */

static size_t character_bytes(const char *s)
{
	unsigned char c = (unsigned char)*s;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return strnlen(s, n); /* a torn one at the end is not read over */
}

static uint32_t decode(const char *s, size_t n)
{
	static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t c = (unsigned char)s[0] & first[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	return c;
}

static size_t encode(uint32_t c, char *out)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(first[n] | c);
	return n;
}

/* White_Space of Unicode, and the zero width space, which pasted text has in places. */
static bool is_blank(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200b) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	       c == 0x205f || c == 0x3000;
}

const char *text_trim(const char *s, struct arena *a)
{
	size_t n, end = 0;

	while (*s && is_blank(decode(s, n = character_bytes(s))))
		s += n;
	for (size_t i = 0; s[i]; i += n) {
		n = character_bytes(s + i);
		if (!is_blank(decode(s + i, n)))
			end = i + n;
	}
	return s[end] ? arena_strndup(a, s, end) : s;
}

/* What is a letter, and which is its capital, whatever the locale. */
static locale_t unicode(void)
{
	static locale_t locale;

	if (!locale && !(locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0)))
		exit(EXIT_TEMPORARY);
	return locale;
}

static const char *map_case(const char *s, wint_t (*map)(wint_t, locale_t), struct arena *a)
{
	char *out = arena_alloc(a, 4 * strlen(s) + 1);
	size_t len = 0, n;

	for (; *s; s += n) {
		n = character_bytes(s);
		len += encode((uint32_t)map(decode(s, n), unicode()), out + len);
	}
	out[len] = 0;
	return out;
}

const char *text_lower(const char *s, struct arena *a)
{
	return map_case(s, towlower_l, a);
}

const char *text_upper(const char *s, struct arena *a)
{
	return map_case(s, towupper_l, a);
}

const char *text_first(const char *s, size_t n, struct arena *a)
{
	size_t len = 0;

	while (n-- && s[len])
		len += character_bytes(s + len);
	return s[len] ? arena_strndup(a, s, len) : s;
}

/* ---- telephone numbers ------------------------------------------------------------------------ */

/* Telephone numbers are written with the digits of the script around them. */
static uint32_t as_ascii(uint32_t c)
{
	static const uint32_t zeroes[] = {0xff10, 0x660, 0x6f0,
					  0x966}; /* wide, Arabic, Persian, Hindi */

	for (size_t i = 0; i < sizeof zeroes / sizeof *zeroes; i++)
		if (c >= zeroes[i] && c <= zeroes[i] + 9)
			return '0' + c - zeroes[i];
	return c == 0xff0b ? '+' : c;
}

const char *text_digits(const char *s, const char *prefix, bool keep_zero, struct arena *a)
{
	char *digits = arena_alloc(a, strlen(s) + 1);
	size_t len = 0, n;
	bool plus = false;

	for (; *s; s += n) {
		n = character_bytes(s);
		uint32_t c = as_ascii(decode(s, n));
		/* "Tel. 030 1234 ext. 5": letters before it are no part of it, letters behind end it */
		if (c >= '0' && c <= '9')
			digits[len++] = (char)c;
		else if (len && iswalpha_l((wint_t)c, unicode()))
			break;
		plus |= c == '+' && !len;
		digits[len] = 0;
		if (len && (plus || !strncmp(digits, "00", 2)) && !strncmp(s, "(0)", 3))
			n = 3;
	}
	digits[len] = 0;
	if (!len)
		return "";
	if (plus)
		return arena_printf(a, "+%s", digits);
	if (!strncmp(digits, "00", 2))
		return digits[2] ? arena_printf(a, "+%s", digits + 2) : "";
	if (!prefix)
		return digits;
	if (!keep_zero && *digits == '0')
		digits++; /* the trunk prefix, which only national numbers have */
	return *digits ? arena_printf(a, "%s%s", prefix, digits) : "";
}

/* ---- numbers ---------------------------------------------------------------------------------- */

/* "-12.345" to so many decimals. */
static const char *round_decimal(const char *s, unsigned decimals, struct arena *a)
{
	bool minus = *s == '-';
	const char *whole = s + minus, *point = strchr(whole, '.');
	size_t n = point ? (size_t)(point - whole) : strlen(whole);
	const char *part = point ? point + 1 : "";
	size_t have = strlen(part);
	/* [carry]whole digits, then the decimals, without the point */
	char *digits = arena_alloc(a, n + decimals + 2);
	bool up = have > decimals && part[decimals] >= '5';

	digits[0] = '0';
	memcpy(digits + 1, whole, n);
	for (unsigned i = 0; i < decimals; i++)
		digits[1 + n + i] = i < have ? part[i] : '0';
	digits[1 + n + decimals] = 0;
	for (size_t i = n + decimals; up; i--) {
		up = digits[i] == '9';
		digits[i] = up ? '0' : (char)(digits[i] + 1);
	}
	const char *from = digits;
	while (*from == '0' && from < digits + n) /* one digit stays before the point */
		from++;
	size_t left = n + 1 - (size_t)(from - digits);
	bool zero = !strpbrk(digits, "123456789");
	return arena_printf(a, "%s%.*s%s%s", minus && !zero ? "-" : "", (int)left, from,
			    decimals ? "." : "", from + left);
}

const char *text_decimals(const struct scalar *s, unsigned decimals, struct arena *a)
{
	if (s->kind != REAL)
		return round_decimal(scalar_text(s, a), decimals, a);
	/* The digits that a person sees, so that 2.675 is rounded as it is written. */
	const char *out = real_text(s->real, a);
	if (strpbrk(out, "en"))
		out = arena_printf(a, "%.*f", (int)decimals, s->real);
	return round_decimal(out, decimals, a);
}

const char *text_grouped(const char *number, const char *point, const char *group, struct arena *a)
{
	bool minus = *number == '-';
	size_t n = strspn(number + minus, "0123456789");
	const char *rest = number + minus + n;
	char *out = arena_printf(a, "%s", minus ? "-" : "");

	for (size_t i = 0; i < n; i++)
		out = arena_printf(a, "%s%s%c", out, i && (n - i) % 3 == 0 ? group : "",
				   number[minus + i]);
	return *rest ? arena_printf(a, "%s%s%s", out, point, rest + 1) : out;
}
