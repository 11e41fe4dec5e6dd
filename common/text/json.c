/* json.c - see json.h. */
#include "json.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

static bool number_char(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static bool is_nul_escape(const char *text, size_t len, size_t i)
{
	return len - i >= 6 && !memcmp(text + i, "\\u0000", 6);
}

/* The code unit of the escape \\uXXXX at i, -1 when there is none. */
static int32_t unit_at(const char *text, size_t len, size_t i)
{
	int32_t unit = 0;

	if (len < 6 || i > len - 6 || text[i] != '\\' || text[i + 1] != 'u')
		return -1;
	for (size_t k = i + 2; k < i + 6; k++) {
		char c = text[k];
		if (!isxdigit((unsigned char)c))
			return -1;
		unit = unit << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	}
	return unit;
}

/* The end of the string that begins at i, behind its quote.  An escaped NUL in it, which would cut
 * the text for us, is replaced, and so is half of a pair: products that keep UTF-16 cut an emoji in
 * two at the end of a column, and the JSON of the whole page would be none. */
static size_t copy_string(struct buffer *scratch, const char *text, size_t len, size_t i,
			  size_t *from)
{
	const char *quote = memchr(text + i + 1, '"', len - i - 1);

	if (quote && !memchr(text + i, '\\', (size_t)(quote - text) - i))
		return (size_t)(quote - text) + 1; /* most have no escape */
	for (i++; i < len && text[i] != '"'; i++) {
		int32_t unit = text[i] == '\\' ? unit_at(text, len, i) : -1;
		if (unit >= 0xd800 && unit < 0xdc00 &&
		    (unit_at(text, len, i + 6) & ~0x3ff) == 0xdc00) {
			i += 11; /* both halves */
			continue;
		}
		if (!unit || (unit >= 0xd800 && unit < 0xe000)) {
			buffer_append(scratch, text + *from, i - *from);
			buffer_append(scratch, "\\ufffd", 6);
			*from = i + 6;
		}
		i += text[i] == '\\';
	}
	return i + 1;
}

/* A copy of the text in which every number stands between two marks. */
static bool mark_numbers(struct buffer *scratch, const char *text, size_t len, const char *before,
			 const char *behind)
{
	size_t from = 0; /* start of what is not copied yet */

	buffer_reset(scratch);
	for (size_t i = 0; i < len;) {
		char c = text[i];
		if (c == '"') {
			i = copy_string(scratch, text, len, i, &from);
		} else if (c == '-' || (c >= '0' && c <= '9')) {
			size_t end = i;
			while (end < len && number_char(text[end]))
				end++;
			buffer_append(scratch, text + from, i - from);
			buffer_puts(scratch, before);
			buffer_append(scratch, text + i, end - i);
			buffer_puts(scratch, behind);
			from = i = end;
		} else {
			i++;
		}
	}
	if (len > from)
		buffer_append(scratch, text + from, len - from);
	return !scratch->overflow && scratch->data;
}

static bool quote_numbers(struct buffer *scratch, const char *text, size_t len)
{
	return mark_numbers(scratch, text, len, "\"", "\"");
}

/* ["123"] into 123, as it is written; there are no other arrays. */
static void unmark(cJSON *item)
{
	cJSON *child;

	if (cJSON_IsArray(item)) {
		child = cJSON_DetachItemFromArray(item, 0);
		item->type = cJSON_Raw;
		item->valuestring = child->valuestring;
		child->valuestring = NULL;
		cJSON_Delete(child);
		return;
	}
	cJSON_ArrayForEach(child, item) unmark(child);
}

cJSON *json_parse_raw(const char *text)
{
	struct buffer scratch = BUFFER(64 << 20);
	cJSON *tree = mark_numbers(&scratch, text, strlen(text), "[\"", "\"]")
			  ? json_parse(scratch.data, scratch.len)
			  : NULL;

	buffer_free(&scratch);
	if (tree)
		unmark(tree);
	return tree;
}

cJSON *json_parse_exact(struct buffer *scratch, const char *text, size_t len)
{
	return quote_numbers(scratch, text, len) ? json_parse(scratch->data, scratch->len) : NULL;
}

/* cJSON's allocators are for the whole process; ours is there only while it parses. */
static struct arena *parsing;

static void *allocate(size_t size)
{
	return arena_alloc(parsing, size);
}

static void leave(void *p)
{
	(void)p;
}

cJSON *json_parse_exact_in(struct arena *a, struct buffer *scratch, const char *text, size_t len)
{
	cJSON_Hooks hooks = {allocate, leave};

	if (!quote_numbers(scratch, text, len))
		return NULL;
	parsing = a;
	cJSON_InitHooks(&hooks);
	cJSON *tree = json_parse(scratch->data, scratch->len);
	cJSON_InitHooks(NULL);
	return tree;
}

cJSON *json_parse(const char *text, size_t len)
{
	const char *end = NULL;

	if (!len || memchr(text, 0, len) || !text_is_utf8(text, len))
		return NULL;
	bool perhaps = memmem(text, len, "\\u0000", 6); /* or "\\\\u0000": no escape */
	for (size_t i = 0; perhaps && i < len; i++) {
		if (is_nul_escape(text, len, i))
			return NULL;
		i += text[i] == '\\';
	}
	cJSON *tree = cJSON_ParseWithLengthOpts(text, len, &end, 0);
	if (!tree)
		return NULL;
	while (end < text + len && isspace((unsigned char)*end))
		end++;
	if (end != text + len) {
		cJSON_Delete(tree);
		return NULL;
	}
	return tree;
}

const char *json_string(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

bool json_int(const cJSON *object, const char *name, int64_t *out)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
	if (cJSON_IsNumber(item) && item->valuedouble == floor(item->valuedouble) &&
	    fabs(item->valuedouble) < 9007199254740992.0) {
		*out = (int64_t)item->valuedouble;
		return true;
	}
	return cJSON_IsString(item) && text_to_int(item->valuestring, INT64_MIN, INT64_MAX, out);
}

bool json_is_true(const cJSON *object, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

bool text_to_int(const char *s, int64_t min, int64_t max, int64_t *out)
{
	char *end;

	if (*s != '-' && (*s < '0' || *s > '9'))
		return false;
	errno = 0;
	long long v = strtoll(s, &end, 10);
	if (errno || end == s || *end || v < min || v > max)
		return false;
	*out = v;
	return true;
}

bool text_to_double(const char *s, double *out)
{
	char *end;

	/* strtod also takes hexadecimal, infinities and blanks. */
	if (!*s || s[strspn(s, "+-.0123456789eE")])
		return false;
	errno = 0;
	double v = strtod(s, &end);
	if (end == s || *end || !isfinite(v))
		return false;
	*out = v;
	return true;
}

bool text_is_decimal(const char *s)
{
	size_t n, whole;

	s += *s == '-';
	whole = strspn(s, "0123456789");
	if (!whole || whole > 38)
		return false;
	s += whole;
	if (!*s)
		return true;
	if (*s++ != '.')
		return false;
	n = strspn(s, "0123456789");
	return n && n <= 38 && !s[n];
}

bool text_is_guid(const char *s)
{
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	}
	return !s[36];
}

bool text_lower_guid(const char *s, char out[37])
{
	if (!text_is_guid(s))
		return false;
	for (int i = 0; i < 37; i++)
		out[i] = (char)tolower((unsigned char)s[i]);
	return true;
}

bool text_is_utf8(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + len;

	while (s < end) {
		int more;
		unsigned min, code;
		if (*s < 0x80) {
			if (!*s++)
				return false;
			continue;
		}
		if (*s >= 0xc2 && *s <= 0xdf) {
			more = 1, min = 0x80, code = *s & 0x1f;
		} else if (*s >= 0xe0 && *s <= 0xef) {
			more = 2, min = 0x800, code = *s & 0x0f;
		} else if (*s >= 0xf0 && *s <= 0xf4) {
			more = 3, min = 0x10000, code = *s & 0x07;
		} else {
			return false;
		}
		if (end - s <= more)
			return false;
		for (s++; more; more--, s++) {
			if ((*s & 0xc0) != 0x80)
				return false;
			code = code << 6 | (*s & 0x3f);
		}
		if (code < min || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return false;
	}
	return true;
}

char *utf8_replaced(const char *s)
{
	static const char mark[] = "\xef\xbf\xbd";
	char *out = xmalloc(3 * strlen(s) + 1);
	size_t len = 0;

	while (*s) {
		size_t left = strnlen(s, 4), n = 1;
		while (n <= left && !text_is_utf8(s, n))
			n++;
		bool good = n <= left;
		memcpy(out + len, good ? s : mark, good ? n : 3);
		len += good ? n : 3;
		s += good ? n : 1;
	}
	out[len] = 0;
	return out;
}

size_t utf8_length(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}
