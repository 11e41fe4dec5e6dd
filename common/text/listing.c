/* listing.c - see listing.h. */
#include "listing.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

enum { WORDS_BEFORE_SIZE = 3 }; /* mode, links, and a name at least */

static size_t word(const char *s, const char **next)
{
	size_t n = strcspn(s, " ");
	*next = s + n + strspn(s + n, " ");
	return n;
}

static bool is_month(const char *s, size_t n)
{
	return n == 3 && isalpha((unsigned char)s[0]) && isalpha((unsigned char)s[1]) &&
	       isalpha((unsigned char)s[2]);
}

static bool is_size(const char *s, size_t n, int64_t *size)
{
	char digits[24];

	if (!n || n >= sizeof digits)
		return false;
	memcpy(digits, s, n);
	digits[n] = 0;
	return text_to_int(digits, 0, INT64_MAX, size);
}

bool listing_parse(const char *line, struct listing_file *out)
{
	const char *at = line, *month, *day, *time, *name;
	int words = 0;

	if (*line != '-')
		return false;
	for (; *at; at = month, words++) {
		size_t n = word(at, &month);
		size_t month_len = word(month, &day), day_len = word(day, &time);
		int64_t number;
		if (words < WORDS_BEFORE_SIZE || !is_size(at, n, &out->size) ||
		    !is_month(month, month_len) || !is_size(day, day_len, &number))
			continue;
		size_t time_len = strcspn(time, " ");
		name = time + time_len + (time[time_len] == ' ');
		int len = snprintf(out->stamp, sizeof out->stamp, "%.3s %.*s %.*s", month,
				   (int)day_len, day, (int)time_len, time);
		out->name = name;
		return time_len && *name && len < (int)sizeof out->stamp;
	}
	return false;
}
