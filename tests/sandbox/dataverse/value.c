/* value.c - JSON with exact numbers, and whether one value is good for one column.
 *
 * Facts: "Web API types and operations" (Edm types), "Behavior and format of the date and time
 * column", "Multi-Select Choices columns".  What a column allows is said in its data file:
 * maxLength, min, max, precision, options.
 */
#include "write.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SELECTED_MAX = 150 }; /* choices in one multi-select column */

static bool is_utf8(const unsigned char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		int more = s[i] < 0x80 ? 0 : s[i] >> 5 == 6 ? 1 : s[i] >> 4 == 14 ? 2 : 3;
		if (!s[i] || (s[i] >= 0x80 && s[i] < 0xc2) || s[i] > 0xf4)
			return false;
		if ((s[i] == 0xe0 && s[i + 1] < 0xa0) || (s[i] == 0xed && s[i + 1] > 0x9f) ||
		    (s[i] == 0xf0 && s[i + 1] < 0x90) || (s[i] == 0xf4 && s[i + 1] > 0x8f))
			return false;
		for (int k = 1; k <= more; k++)
			if (i + (size_t)k >= len || s[i + (size_t)k] >> 6 != 2)
				return false;
		i += (size_t)more + 1;
	}
	return true;
}

bool is_guid(const char *s)
{
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	}
	return !s[36];
}

/* Length of the JSON number at s, 0 when it is none. */
static size_t number_length(const char *s)
{
	const char *at = s + (*s == '-');

	if (*at == '0')
		at++;
	else if (isdigit((unsigned char)*at))
		at += strspn(at, "0123456789");
	else
		return 0;
	if (*at == '.') {
		size_t n = strspn(at + 1, "0123456789");
		if (!n)
			return 0;
		at += n + 1;
	}
	if (*at == 'e' || *at == 'E') {
		const char *digits = at + 1 + (at[1] == '+' || at[1] == '-');
		size_t n = strspn(digits, "0123456789");
		if (!n)
			return 0;
		at = digits + n;
	}
	return (size_t)(at - s);
}

cJSON *value_parse(const char *s, size_t len)
{
	char *copy = malloc(len * 5 + 16), *to = copy;
	const char *end = s + len;
	bool good = is_utf8((const unsigned char *)s, len);

	while (good && s < end) {
		if (*s == '"') {
			const char *from = s++;
			while (s < end && *s != '"') {
				good &= strncmp(s, "\\u0000", 6) && strncmp(s, "\\u0001", 6);
				s += *s == '\\' ? 2 : 1;
			}
			if (s >= end)
				good = false;
			else
				s++;
			memcpy(to, from, (size_t)((s < end ? s : end) - from));
			to += (s < end ? s : end) - from;
		} else if (*s == '-' || isdigit((unsigned char)*s)) {
			size_t n = number_length(s);
			/* Behind it nothing that would make the copy more than five times as long. */
			good = n > 0 && n <= 100 && (s + n == end || strchr(" \t\r\n,]}", s[n]));
			to += sprintf(to, "\"\\u0001%.*s\"", (int)n, s);
			s += n;
		} else {
			*to++ = *s++;
		}
	}
	*to = 0;
	cJSON *json = good ? cJSON_ParseWithOpts(copy, NULL, true) : NULL;
	free(copy);
	return json;
}

static size_t characters(const char *s)
{
	size_t n = 0; /* UTF-16 units, as the product counts */
	for (; *s; s++)
		n += (((unsigned char)*s & 0xc0) != 0x80) + ((unsigned char)*s >= 0xf0);
	return n;
}

/* ---- dates --------------------------------------------------------------------------------------- */

/* yyyy-mm-dd at s, a day that exists, not before 1753. */
static bool take_day(const char *s, struct tm *tm)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y, m, d;

	for (int i = 0; i < 10; i++)
		if (i == 4 || i == 7 ? s[i] != '-' : !isdigit((unsigned char)s[i]))
			return false;
	y = (int)strtol(s, NULL, 10);
	m = (int)strtol(s + 5, NULL, 10);
	d = (int)strtol(s + 8, NULL, 10);
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (y < 1753 || m < 1 || m > 12 || d < 1 || d > days[m - 1] + (m == 2 && leap))
		return false;
	*tm = (struct tm){.tm_year = y - 1900, .tm_mon = m - 1, .tm_mday = d};
	return true;
}

static bool two_digits(const char *s, int below, int *out)
{
	if (!isdigit((unsigned char)s[0]) || !isdigit((unsigned char)s[1]))
		return false;
	*out = (s[0] - '0') * 10 + s[1] - '0';
	return *out < below;
}

char *value_date(const char *s)
{
	struct tm tm;
	return take_day(s, &tm) && !s[10] ? strdup(s) : NULL;
}

/* Stored in UTC and whole seconds.  No zone means UTC; one with both Z and an offset is none. */
char *value_date_time(const char *s)
{
	struct tm tm;
	int hours, minutes, sign = 0;
	char out[48];

	if (!take_day(s, &tm) || s[10] != 'T' || !two_digits(s + 11, 24, &tm.tm_hour) ||
	    s[13] != ':' || !two_digits(s + 14, 60, &tm.tm_min))
		return NULL;
	s += 16;
	if (*s == ':') { /* Edm.DateTimeOffset: the seconds may be left out */
		if (!two_digits(s + 1, 60, &tm.tm_sec))
			return NULL;
		s += 3;
		if (*s == '.') {
			size_t n = strspn(s + 1, "0123456789");
			if (!n || n > 12)
				return NULL;
			s += n + 1;
		}
	}
	if (*s == '+' || *s == '-') {
		sign = *s == '-' ? 1 : -1;
		if (!two_digits(s + 1, 15, &hours) || s[3] != ':' ||
		    !two_digits(s + 4, 60, &minutes) || hours * 60 + minutes > 14 * 60)
			return NULL;
		s += 6;
	} else if (*s == 'Z') {
		s++;
	}
	if (*s)
		return NULL;
	time_t t = timegm(&tm);
	if (sign)
		t += sign * (hours * 60 + minutes) * 60;
	strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	return tm.tm_year + 1900 < 1753 || tm.tm_year + 1900 > 9999 ? NULL : strdup(out);
}

/* ---- one value ------------------------------------------------------------------------------------- */

static bool wrong_type(struct write *w, const struct table *t, const struct column *c,
		       const char *wanted)
{
	api_error(w->rep, 400, E_PAYLOAD,
		  "Error identified in Payload provided by the user for Entity :'%s': Cannot "
		  "convert the value of '%s' to the expected type 'Edm.%s'.",
		  t->set, c->property, wanted);
	return false;
}

static bool out_of_range(struct write *w, const struct table *t, const struct column *c,
			 const char *value)
{
	api_error(w->rep, 400, E_VALIDATION,
		  "A validation error occurred. The value '%s' of '%s' on record of type '%s' is "
		  "outside the valid range.",
		  value, c->name, t->name);
	return false;
}

static const char *limit_of(const struct column *c, const char *name, const char *fallback,
			    char text[64])
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(c->json, name);

	if (!cJSON_IsNumber(n))
		return fallback;
	snprintf(text, 64, "%.17g", n->valuedouble);
	return text;
}

static bool in_range(const struct column *c, const char *value, const char *low, const char *high)
{
	char a[64], b[64];
	long double v = strtold(value, NULL);

	return v >= strtold(limit_of(c, "min", low, a), NULL) &&
	       v <= strtold(limit_of(c, "max", high, b), NULL);
}

/* Column sizes in the product: "Types of columns". */
static bool take_number(struct write *w, struct table *t, struct column *c, const char *s,
			bool number)
{
	const char *type = request_header(w->req, "Content-Type");
	bool texts = type && strstr(type, "IEEE754Compatible=true");
	char *end;

	switch (c->type) {
	case T_BIGINT:
		number |= texts && s && number_length(s) == strlen(s);
		if (!number || (strtoll(s, &end, 10), *end))
			return wrong_type(w, t, c, "Int64");
		return in_range(c, s, "-9223372036854775808", "9223372036854775807") ||
		       out_of_range(w, t, c, s);
	case T_DOUBLE:
		if (!number)
			return wrong_type(w, t, c, "Double");
		return in_range(c, s, "-100000000000", "100000000000") || out_of_range(w, t, c, s);
	case T_DECIMAL:
	case T_MONEY:
		number |= texts && s && number_length(s) == strlen(s);
		if (!number)
			return wrong_type(w, t, c, "Decimal");
		if (c->type == T_DECIMAL)
			return in_range(c, s, "-100000000000", "100000000000") ||
			       out_of_range(w, t, c, s);
		return in_range(c, s, "-922337203685477.5808", "922337203685477.5807") ||
		       out_of_range(w, t, c, s);
	default:
		if (!number || (strtoll(s, &end, 10), *end) || strtold(s, NULL) < -2147483648.0L ||
		    strtold(s, NULL) > 2147483647.0L)
			return wrong_type(w, t, c, "Int32");
		if (c->options && !cJSON_GetObjectItemCaseSensitive(c->options, s))
			return out_of_range(w, t, c, s);
		return in_range(c, s, "-2147483648", "2147483647") || out_of_range(w, t, c, s);
	}
}

static bool is_selected(const char *list, const char *one)
{
	size_t len = strlen(one);

	while (*list) {
		size_t n = strcspn(list, ",");
		if (n == len && !strncmp(list, one, n))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

/* "1, 9": each an option, none twice; kept without blanks. */
static char *take_choices(struct write *w, struct table *t, struct column *c, const char *s)
{
	char *out = calloc(1, strlen(s) + 1);
	int n = 0;

	for (const char *at = s; *s;) {
		char one[24];
		at += strspn(at, " ");
		size_t len = strcspn(at, ", ");
		snprintf(one, sizeof one, "%.*s", len < 20 ? (int)len : 20, at);
		if (!cJSON_GetObjectItemCaseSensitive(c->options, one) || is_selected(out, one) ||
		    ++n > SELECTED_MAX) {
			out_of_range(w, t, c, one);
			free(out);
			return NULL;
		}
		strcat(strcat(out, *out ? "," : ""), one);
		at += len;
		at += strspn(at, " ");
		if (!*at)
			break;
		if (*at++ != ',') {
			wrong_type(w, t, c, "String");
			free(out);
			return NULL;
		}
	}
	return out;
}

static bool take_text(struct write *w, struct table *t, struct column *c, const char *s)
{
	if (c->max_length && characters(s) > (size_t)c->max_length) {
		api_error(w->rep, 400, E_VALIDATION,
			  "A validation error occurred.  The length of the '%s' attribute of the "
			  "'%s' entity exceeded the maximum allowed length of '%d'.",
			  c->name, t->name, c->max_length);
		return false;
	}
	return true;
}

bool value_take(struct write *w, struct table *t, struct column *c, const cJSON *v, struct row *r)
{
	int i = (int)(c - t->columns);
	const char *s = cJSON_GetStringValue(v);
	bool number = s && *s == NUMBER_MARK;
	char *value = NULL;

	s = number ? s + 1 : s;
	r->given[i] = true;
	free(r->values[i]);
	r->values[i] = NULL;
	if (cJSON_IsNull(v)) {
		if (c->type == T_STATE || !strcmp(c->name, t->id))
			return wrong_type(w, t, c, c->type == T_STATE ? "Int32" : "Guid");
		return true;
	}
	switch (c->type) {
	case T_STRING:
	case T_MEMO:
		if (!s || number)
			return wrong_type(w, t, c, "String");
		if (!take_text(w, t, c, s))
			return false;
		value = strdup(s);
		break;
	case T_CHOICES:
		if (!s || number)
			return wrong_type(w, t, c, "String");
		if (!(value = take_choices(w, t, c, s)))
			return false;
		if (!*value) { /* nothing selected is null */
			free(value);
			value = NULL;
		}
		break;
	case T_BOOLEAN:
		if (!cJSON_IsBool(v))
			return wrong_type(w, t, c, "Boolean");
		value = strdup(cJSON_IsTrue(v) ? "true" : "false");
		break;
	case T_DATE:
		if (!s || number || !(value = value_date(s)))
			return wrong_type(w, t, c, "Date");
		break;
	case T_DATETIME:
		if (!s || number || !(value = value_date_time(s)))
			return wrong_type(w, t, c, "DateTimeOffset");
		break;
	case T_GUID:
		if (!s || number || !is_guid(s))
			return wrong_type(w, t, c, "Guid");
		value = strdup(s);
		for (char *g = value; *g; g++)
			*g = (char)tolower((unsigned char)*g);
		break;
	case T_ENTITY_NAME:
		if (!s || number)
			return wrong_type(w, t, c, "String");
		if (!store_table(&w->d->store, s))
			return out_of_range(w, t, c, s);
		value = strdup(s);
		break;
	case T_IMAGE:
		api_not_implemented(w->rep, "file and image columns");
		return false;
	case T_LOOKUP:
		api_error(w->rep, 400, E_PAYLOAD,
			  "CRM do not support direct update of Entity Reference properties, Use "
			  "Navigation properties instead.");
		return false;
	default:
		if (!take_number(w, t, c, s, number))
			return false;
		value = strdup(s);
	}
	r->values[i] = value;
	return true;
}
