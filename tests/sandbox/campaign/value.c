/* value.c - which JSON values a field takes, and how it shows them.
 *
 * Adobe's pages say which types there are and what an enumeration refuses.  What they do not say
 * (texts that are too long, null, numbers of the wrong form) is refused with 500.  Empty is "" for
 * every type but boolean.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cJSON *value_json(const struct field *f, const char *v)
{
	switch (f->kind) {
	case K_BOOLEAN:
		return cJSON_CreateBool(!strcmp(v, "true"));
	case K_LONG:
	case K_DOUBLE:
		return *v ? cJSON_CreateRaw(v) : cJSON_CreateString("");
	default:
		return cJSON_CreateString(v);
	}
}

static size_t characters(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool is_day(const char *s)
{
	int y, m, d, n = 0;
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (sscanf(s, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 || n != 10 || m < 1 || m > 12)
		return false;
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	return d >= 1 && d <= days[m - 1] && (m != 2 || d < 29 || leap);
}

static bool is_time(const char *s)
{
	int h, m, sec, ms, n = 0;
	if (strlen(s) != 24 ||
	    !is_day((char[11]){s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], 0}))
		return false;
	return (s[10] == ' ' || s[10] == 'T') &&
	       sscanf(s + 11, "%2d:%2d:%2d.%3dZ%n", &h, &m, &sec, &ms, &n) == 4 && n == 13 &&
	       h < 24 && m < 60 && sec < 60 && h >= 0 && m >= 0 && sec >= 0 && ms >= 0;
}

/* A number as JSON writes it: it is shown as it is kept. */
static bool is_number(const char *s, bool whole)
{
	s += *s == '-';
	if (*s == '0' ? s[1] >= '0' && s[1] <= '9' : *s < '1' || *s > '9')
		return false;
	s += strspn(s, "0123456789");
	if (whole)
		return !*s;
	if (*s == '.') {
		size_t n = strspn(++s, "0123456789");
		if (!n)
			return false;
		s += n;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		size_t n = strspn(s, "0123456789");
		if (!n)
			return false;
		s += n;
	}
	return !*s;
}

static bool is_email(const char *s)
{
	const char *at = strchr(s, '@');
	return at && at > s && at[1];
}

static bool good_text(const struct call *call, const struct resource *r, const struct field *f,
		      const char *s)
{
	const char *policy = json_text(f->json, "dataPolicy");

	if (characters(s) > (size_t)f->length)
		return fail_detail(call,
				   "The value of the '%s' attribute of '%s' is longer than %d.",
				   f->path, r->schema, f->length);
	if (*s && policy && !strcmp(policy, "email") && !is_email(s))
		return fail_detail(call,
				   "The value of the '%s' attribute of '%s' is no valid email.",
				   f->path, r->schema);
	return true;
}

static bool good(const struct call *call, const struct resource *r, const struct field *f,
		 const char *s)
{
	const cJSON *e;

	switch (f->kind) {
	case K_STRING:
		return good_text(call, r, f, s);
	case K_BOOLEAN:
		if (!strcmp(s, "true") || !strcmp(s, "false"))
			return true;
		break;
	case K_ENUM:
		cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(
					  f->json, "values")) if (!strcmp(e->valuestring, s))
		{
			return true;
		}
		return !*s || fail_enumeration(call, r, f, s);
	case K_LONG:
	case K_DOUBLE:
		if (!*s || is_number(s, f->kind == K_LONG))
			return true;
		break;
	case K_DATE:
		if (!*s || (is_day(s) && !s[10]))
			return true;
		break;
	case K_DATETIME:
		if (!*s || is_time(s))
			return true;
		break;
	default:
		break;
	}
	return fail_detail(call, "XTK-170006 '%.200s' is not a valid constant for '%s'.", s,
			   f->path);
}

char *value_accept(const struct call *call, const struct resource *r, const struct field *f,
		   const cJSON *v)
{
	char *s = NULL;

	if (cJSON_IsString(v))
		s = strdup(v->valuestring);
	else if (cJSON_IsNumber(v) && (f->kind == K_LONG || f->kind == K_DOUBLE))
		s = cJSON_PrintUnformatted(v);
	else if (cJSON_IsBool(v) && f->kind == K_BOOLEAN)
		s = strdup(cJSON_IsTrue(v) ? "true" : "false");
	if (s && good(call, r, f, s)) {
		/* Shown with a space, however it came. */
		if (f->kind == K_DATETIME && *s)
			s[10] = ' ';
		return s;
	}
	if (!s)
		fail_detail(call,
			    "XTK-170006 Unable to parse the value of the '%s' attribute of the "
			    "'%s' resource.",
			    f->path, r->name);
	free(s);
	return NULL;
}
