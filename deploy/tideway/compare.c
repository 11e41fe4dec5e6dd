/* compare.c - see compare.h.
 *
 * Campaign shows numbers as numbers or as texts, true and false likewise, and nothing as "" (real
 * answers do all of it), so values are compared as what the attribute is.  A link is compared by
 * whether it is there: the PKey in an answer is not the one by which it was written. */
#include "compare.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"

char *compare_text(const cJSON *value)
{
	if (cJSON_IsString(value))
		return xstrdup(value->valuestring);
	if (!value || cJSON_IsNull(value))
		return xstrdup("");
	return cJSON_PrintUnformatted(value);
}

static bool same_time(const char *a, const char *b)
{
	wall_time x, y;

	return datetime_parse(a, strlen(a), false, &x) && datetime_parse(b, strlen(b), false, &y) &&
	       x.ms == y.ms;
}

static bool truth(const char *s)
{
	return !strcmp(s, "true") || !strcmp(s, "1");
}

bool compare_same(const struct attribute *a, const char *was, const char *now)
{
	double x, y;
	int64_t n, m;

	if (!strcmp(was, now))
		return true;
	switch (a->type) {
	case ATTRIBUTE_BOOLEAN:
		return *was && *now && truth(was) == truth(now);
	case ATTRIBUTE_LONG: /* a double does not hold every one */
		if (text_to_int(was, INT64_MIN, INT64_MAX, &n) &&
		    text_to_int(now, INT64_MIN, INT64_MAX, &m))
			return n == m;
		return text_to_double(was, &x) && text_to_double(now, &y) && x == y;
	case ATTRIBUTE_DOUBLE:
		return text_to_double(was, &x) && text_to_double(now, &y) && x == y;
	case ATTRIBUTE_DATETIME:
		return same_time(was, now);
	case ATTRIBUTE_LINK:
		return *was && *now;
	default:
		return false;
	}
}

static size_t compare(const struct mapping *m, const char *prefix, const cJSON *body,
		      const cJSON *record, difference_fn fn, void *arg)
{
	const cJSON *v;
	size_t n = 0;

	cJSON_ArrayForEach(v, body)
	{
		_cleanup_(freep) char *path =
		    xasprintf("%s%s%s", prefix, *prefix ? "." : "", v->string);
		const struct mapped *to = mapping_attribute(m, path);
		const cJSON *had = cJSON_GetObjectItemCaseSensitive(record, v->string);
		if (!to) {
			n += compare(m, path, v, had, fn, arg);
			continue;
		}
		_cleanup_(freep) char *was = compare_text(had), *now = compare_text(v);
		if (record && compare_same(to->attribute, was, now))
			continue;
		n++;
		fn(arg, path, record ? was : NULL, now);
	}
	return n;
}

size_t compare_body(const struct mapping *m, const cJSON *body, const cJSON *record,
		    difference_fn fn, void *arg)
{
	return compare(m, "", body, record, fn, arg);
}
