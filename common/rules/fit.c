/* fit.c - see fit.h.  Lengths and types: Adobe, "profile data model" and the resource's metadata. */
#include "fit.h"

#include <math.h>
#include <string.h>

#include "clock.h"
#include "convert_text.h"
#include "json.h"

static bool misfit(struct misfit *why, const char *reason, const char *text)
{
	*why = (struct misfit){reason, text};
	return false;
}

static bool fit_text(const struct attribute *a, bool truncate, struct scalar *s,
		     struct arena *arena, struct misfit *why)
{
	struct scalar out = {.kind = TEXT, .text = scalar_text(s, arena)};

	if (a->length && utf8_length(out.text) > (size_t)a->length) {
		if (!truncate)
			return misfit(why, "too-long", "is longer than the attribute allows");
		out.text = text_first(out.text, (size_t)a->length, arena);
	}
	*s = out;
	return true;
}

static bool fit_enum(const struct attribute *a, struct scalar *s, struct arena *arena,
		     struct misfit *why)
{
	const char *text = scalar_text(s, arena);

	for (size_t i = 0; i < a->value_count; i++)
		if (!strcmp(a->values[i], text)) {
			*s = (struct scalar){.kind = TEXT, .text = text};
			return true;
		}
	return misfit(why, "not-in-enumeration", "is none of the enumeration's values");
}

/* Campaign's integers: byte 8, short 16, long 32 and int64 64 bits. */
static bool in_range(const char *kind, int64_t n)
{
	if (!strcmp(kind, "byte"))
		return n >= INT8_MIN && n <= INT8_MAX;
	if (!strcmp(kind, "short"))
		return n >= INT16_MIN && n <= INT16_MAX;
	if (!strcmp(kind, "long"))
		return n >= INT32_MIN && n <= INT32_MAX;
	return true;
}

static bool fit_long(const struct attribute *a, struct scalar *s, struct misfit *why)
{
	struct scalar out = {.kind = NUMBER, .number = s->number};

	if (s->kind != NUMBER &&
	    (s->kind != TEXT || !text_to_int(s->text, INT64_MIN, INT64_MAX, &out.number)))
		return misfit(why, "not-a-number", "is no whole number");
	if (!in_range(a->kind, out.number))
		return misfit(why, "out-of-range", "is out of the range of the attribute");
	*s = out;
	return true;
}

static bool fit_double(struct scalar *s, struct misfit *why)
{
	struct scalar out = {.kind = REAL, .real = s->real};

	if (s->kind == NUMBER)
		out.real = (double)s->number;
	else if (s->kind != REAL &&
		 ((s->kind != DECIMAL && s->kind != TEXT) || !text_to_double(s->text, &out.real)))
		return misfit(why, "not-a-number", "is no number");
	if (!isfinite(out.real))
		return misfit(why, "not-a-number", "is no number");
	*s = out;
	return true;
}

static bool fit_boolean(struct scalar *s, struct misfit *why)
{
	if (s->kind == FLAG)
		return true;
	if (s->kind != TEXT || (strcmp(s->text, "true") && strcmp(s->text, "false")))
		return misfit(why, "not-a-boolean", "is neither true nor false");
	*s = (struct scalar){.kind = FLAG, .number = s->text[0] == 't'};
	return true;
}

static bool fit_date(struct scalar *s, struct misfit *why)
{
	int32_t days = (int32_t)s->number;
	char text[11];

	if (s->kind != DAY && (s->kind != TEXT || !date_parse(s->text, strlen(s->text), &days)))
		return misfit(why, "not-a-date", "is no date (YYYY-MM-DD)");
	if (!date_format(days, text))
		return misfit(why, "out-of-range", "is out of the range of dates");
	*s = (struct scalar){.kind = DAY, .number = days};
	return true;
}

static bool fit_datetime(struct scalar *s, struct misfit *why)
{
	wall_time t = {s->number};
	char text[25];

	if (s->kind != TIME &&
	    (s->kind != TEXT || !datetime_parse(s->text, strlen(s->text), true, &t)))
		return misfit(why, "not-a-time", "is no time with a zone");
	if (!datetime_format(t, ' ', text))
		return misfit(why, "out-of-range", "is out of the range of times");
	*s = (struct scalar){.kind = TIME, .number = t.ms};
	return true;
}

bool fit(const struct attribute *a, bool truncate, struct scalar *s, struct arena *arena,
	 struct misfit *why)
{
	switch (a->type) {
	case ATTRIBUTE_STRING:
	case ATTRIBUTE_LINK:
		return fit_text(a, truncate, s, arena, why);
	case ATTRIBUTE_ENUM:
		return fit_enum(a, s, arena, why);
	case ATTRIBUTE_BOOLEAN:
		return fit_boolean(s, why);
	case ATTRIBUTE_LONG:
		return fit_long(a, s, why);
	case ATTRIBUTE_DOUBLE:
		return fit_double(s, why);
	case ATTRIBUTE_DATE:
		return fit_date(s, why);
	case ATTRIBUTE_DATETIME:
		return fit_datetime(s, why);
	default:
		return misfit(why, "unsupported", "cannot be written");
	}
}

bool fits_kind(const struct attribute *a, enum kind k, const char **hint)
{
	*hint = NULL;
	switch (a->type) {
	case ATTRIBUTE_STRING:
	case ATTRIBUTE_LINK:
		return true;
	case ATTRIBUTE_ENUM:
		*hint = "\"values\", which names each";
		return k == TEXT;
	case ATTRIBUTE_BOOLEAN:
		*hint = "\"values\", like {1: true, 0: false}";
		return k == FLAG;
	case ATTRIBUTE_LONG:
		*hint = k == TEXT		    ? "\"convert: [number, round]\""
			: k == DECIMAL || k == REAL ? "\"convert: round\""
			: k == FLAG		    ? "\"values\", like {true: 1, false: 0}"
						    : NULL;
		return k == NUMBER;
	case ATTRIBUTE_DOUBLE:
		*hint = k == TEXT   ? "\"convert: number\""
			: k == FLAG ? "\"values\", like {true: 1, false: 0}"
				    : NULL;
		return k == NUMBER || k == DECIMAL || k == REAL;
	case ATTRIBUTE_DATE:
		*hint = k == TIME || k == TEXT ? "\"convert: date\"" : NULL;
		return k == DAY;
	case ATTRIBUTE_DATETIME:
		*hint = k == DAY || k == TEXT ? "\"convert: datetime\"" : NULL;
		return k == TIME;
	default:
		return false;
	}
}
