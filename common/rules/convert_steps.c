/* convert_steps.c - each conversion: how its argument is read, and what it does to a value. The table
 * at the end is the closed list. */
#include "convert_steps.h"

#include <nettle/hmac.h>
#include <stdio.h>
#include <string.h>

#include "convert_text.h"
#include "json.h"
#include "zone.h"

enum { FIRST_MAX = 1000000, DECIMALS_MAX = 10, CLOCK_BYTES = 19 /* YYYY-MM-DD HH:MM:SS */ };
enum {
	NUMBERS = BIT(NUMBER) | BIT(DECIMAL) | BIT(REAL),
	ANYTHING = NUMBERS | BIT(TEXT) | BIT(FLAG) | BIT(DAY) | BIT(TIME)
};

static bool misfit(struct misfit *why, const char *reason, const char *text)
{
	*why = (struct misfit){reason, text};
	return false;
}

/* An empty text is nothing: `default` and `when_null` decide. */
static void set_text(struct scalar *s, const char *text)
{
	*s = (struct scalar){.kind = *text ? TEXT : NOTHING, .text = text};
}

/* ---- arguments -------------------------------------------------------------------------------- */

static bool no_argument(struct node argument, const struct convert_context *context,
			struct conversion *to, struct problems *p)
{
	(void)context;
	if (!doc_there(argument) || doc_is_null(argument))
		return true;
	problem(p, doc_place(argument), "the conversion %s takes no argument", to->is->name);
	return false;
}

static bool count_argument(struct node argument, const struct convert_context *context,
			   struct conversion *to, struct problems *p)
{
	const char *text = doc_text(argument);

	(void)context;
	if (text && text_to_int(text, 1, FIRST_MAX, &to->count))
		return true;
	problem(p, doc_place(argument),
		"the conversion %s needs a number of characters, like "
		"{%s: 10}",
		to->is->name, to->is->name);
	return false;
}

static bool prefix_argument(struct node argument, const struct convert_context *context,
			    struct conversion *to, struct problems *p)
{
	static const char *const keys[] = {"prefix", "keep_zero", NULL};
	const char *text = doc_text(argument);
	size_t before = p->count;

	(void)context;
	if (!doc_there(argument) || doc_is_null(argument))
		return true;
	if (doc_kind(argument) == DOC_MAP) {
		doc_only(argument, p, to->is->name, keys);
		text = doc_required(argument, "prefix", to->is->name, p);
		to->count = doc_flag(argument, "keep_zero", false, p);
		if (p->count > before)
			return false;
	}
	if (text && *text == '+' && text[1] && strlen(text) <= 5 &&
	    !text[1 + strspn(text + 1, "0123456789")]) {
		to->text = text;
		return true;
	}
	problem(p, doc_place(argument), "the prefix of %s is a country code like {%s: \"+49\"}",
		to->is->name, to->is->name);
	return false;
}

static bool zone_argument(struct node argument, const struct convert_context *context,
			  struct conversion *to, struct problems *p)
{
	const char *text = doc_text(argument);

	(void)context;
	to->zone = text ? zone_new(text) : NULL;
	if (to->zone)
		return true;
	problem(p, doc_place(argument),
		"the conversion %s needs a time zone by its IANA name, like {%s: Europe/Paris}%s%s",
		to->is->name, to->is->name, text ? "; the system does not know " : "",
		text ? text : "");
	return false;
}

static bool optional_zone(struct node argument, const struct convert_context *context,
			  struct conversion *to, struct problems *p)
{
	if (!doc_there(argument) || doc_is_null(argument))
		return true;
	return zone_argument(argument, context, to, p);
}

/* A clock without a zone would be moved as if it showed UTC. */
static bool date_argument(struct node argument, const struct convert_context *context,
			  struct conversion *to, struct problems *p)
{
	if (!optional_zone(argument, context, to, p))
		return false;
	if (!to->zone || !context->wall_clock)
		return true;
	problem(p, doc_place(argument),
		"the column shows a clock without a zone, whose day needs none: write date alone");
	return false;
}

static bool clock_argument(struct node argument, const struct convert_context *context,
			   struct conversion *to, struct problems *p)
{
	if (!zone_argument(argument, context, to, p))
		return false;
	if (!context->wall_clock || !strcmp(doc_text(argument), "UTC"))
		return true;
	problem(
	    p, doc_place(argument),
	    "the column shows a clock without a zone: {time_zone: UTC} writes what it shows; to "
	    "show another clock, say first whose it is, like [{datetime: Europe/Paris}, "
	    "{time_zone: %s}]",
	    doc_text(argument));
	return false;
}

/* A time that already has its zone would be moved by another. */
static bool datetime_argument(struct node argument, const struct convert_context *context,
			      struct conversion *to, struct problems *p)
{
	if (!optional_zone(argument, context, to, p))
		return false;
	if (context->in != TIME || (to->zone && context->wall_clock))
		return true;
	problem(p, doc_place(argument), "%s",
		context->wall_clock
		    ? "datetime needs the zone of the clock that the column shows, like "
		      "{datetime: Europe/Paris}"
		    : "the column is a time already, with its zone: leave datetime out");
	return false;
}

/* Is it a character that is not taken for a part of the number itself? */
static bool is_sign(const char *s)
{
	return utf8_length(s) == 1 && !strpbrk(s, "+-0123456789");
}

static bool format_argument(struct node argument, const struct convert_context *context,
			    struct conversion *to, struct problems *p)
{
	static const char *const keys[] = {"decimals", "point", "group", NULL};
	size_t before = p->count;

	(void)context;
	if (doc_kind(argument) != DOC_MAP) {
		problem(p, doc_place(argument),
			"format needs its decimals, like {format: {decimals: 2}}; point and group "
			"are optional");
		return false;
	}
	doc_only(argument, p, "format", keys);
	to->count = doc_int(argument, "decimals", 0, 0, DECIMALS_MAX, p);
	to->text = doc_string(argument, "point", ".", p);
	to->group = doc_string(argument, "group", "", p);
	if (!is_sign(to->text) || (*to->group && !is_sign(to->group)))
		problem(p, doc_place(argument),
			"point and group are one character each, and none that a number is made of "
			"(digits, + and -)");
	else if (to->count && !strcmp(to->text, to->group))
		problem(p, doc_place(argument),
			"point and group are both \"%s\": nobody could read the number", to->text);
	return p->count == before;
}

static bool key_argument(struct node argument, const struct convert_context *context,
			 struct conversion *to, struct problems *p)
{
	if (!no_argument(argument, context, to, p))
		return false;
	to->text = context->pseudonym_key;
	if (to->text)
		return true;
	problem(p, doc_place(argument),
		"hash needs connections.pseudonyms.key: without a secret, whoever hashes every "
		"likely address finds the person");
	return false;
}

/* ---- the conversions -------------------------------------------------------------------------- */

static bool do_trim(const struct conversion *c, struct scalar *s, struct arena *a,
		    struct misfit *why)
{
	(void)c, (void)why;
	set_text(s, text_trim(s->text, a));
	return true;
}

static bool do_lower(const struct conversion *c, struct scalar *s, struct arena *a,
		     struct misfit *why)
{
	(void)c, (void)why;
	set_text(s, text_lower(s->text, a));
	return true;
}

static bool do_upper(const struct conversion *c, struct scalar *s, struct arena *a,
		     struct misfit *why)
{
	(void)c, (void)why;
	set_text(s, text_upper(s->text, a));
	return true;
}

static bool do_email(const struct conversion *c, struct scalar *s, struct arena *a,
		     struct misfit *why)
{
	(void)c, (void)why;
	set_text(s, text_lower(text_trim(s->text, a), a));
	return true;
}

static bool do_digits(const struct conversion *c, struct scalar *s, struct arena *a,
		      struct misfit *why)
{
	const char *text = scalar_text(s, a);

	(void)why;
	if (s->kind == REAL && strchr(text, 'e')) /* the digits of an exponent are none of it */
		text = text_decimals(s, 0, a);
	set_text(s, text_digits(text, c->text, c->count, a));
	return true;
}

static bool do_first(const struct conversion *c, struct scalar *s, struct arena *a,
		     struct misfit *why)
{
	(void)why;
	set_text(s, text_first(scalar_text(s, a), (size_t)c->count, a));
	return true;
}

/* HMAC-SHA-256, RFC 2104, in hexadecimal. */
static bool do_hash(const struct conversion *c, struct scalar *s, struct arena *a,
		    struct misfit *why)
{
	const char *text = scalar_text(s, a);
	struct hmac_sha256_ctx hmac;
	uint8_t digest[SHA256_DIGEST_SIZE];
	char *out = arena_alloc(a, 2 * SHA256_DIGEST_SIZE + 1);

	(void)why;
	hmac_sha256_set_key(&hmac, strlen(c->text), (const uint8_t *)c->text);
	hmac_sha256_update(&hmac, strlen(text), (const uint8_t *)text);
	hmac_sha256_digest(&hmac, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	set_text(s, out);
	return true;
}

static bool do_invert(const struct conversion *c, struct scalar *s, struct arena *a,
		      struct misfit *why)
{
	(void)c, (void)a, (void)why;
	s->number = !s->number;
	return true;
}

static bool do_number(const struct conversion *c, struct scalar *s, struct arena *a,
		      struct misfit *why)
{
	const char *text = text_trim(s->text, a);

	(void)c;
	if (!*text) {
		s->kind = NOTHING;
		return true;
	}
	if (!text_is_decimal(text))
		return misfit(why, "not-a-number", "is no number like -12.50");
	*s = (struct scalar){.kind = DECIMAL, .text = text};
	return true;
}

static bool do_round(const struct conversion *c, struct scalar *s, struct arena *a,
		     struct misfit *why)
{
	struct scalar out = {.kind = NUMBER};

	(void)c;
	if (s->kind == NUMBER)
		return true;
	if (!text_to_int(text_decimals(s, 0, a), INT64_MIN, INT64_MAX, &out.number))
		return misfit(why, "out-of-range", "is out of the range of whole numbers");
	*s = out;
	return true;
}

static bool do_format(const struct conversion *c, struct scalar *s, struct arena *a,
		      struct misfit *why)
{
	(void)why;
	set_text(s, text_grouped(text_decimals(s, (unsigned)c->count, a), c->text, c->group, a));
	return true;
}

static bool in_range(wall_time t)
{
	char date[25];
	return datetime_format(t, 'T', date);
}

static int32_t day_of(wall_time t)
{
	return (int32_t)(t.ms / 86400000 - (t.ms % 86400000 < 0));
}

static bool do_date(const struct conversion *c, struct scalar *s, struct arena *a,
		    struct misfit *why)
{
	wall_time t = {s->number};
	int32_t days = 0;

	(void)a;
	if (s->kind == DAY)
		return true;
	if (s->kind == TEXT) {
		size_t len = strlen(s->text);
		if (len == 10 && date_parse(s->text, len, &days)) {
			*s = (struct scalar){.kind = DAY, .number = days};
			return true;
		}
		if (!datetime_parse(s->text, len, true, &t))
			return misfit(why, "not-a-date", "is no date (YYYY-MM-DD)");
	}
	if (!in_range(t))
		return misfit(why, "out-of-range", "is out of the range of dates");
	*s = (struct scalar){.kind = DAY, .number = day_of(c->zone ? zone_local(c->zone, t) : t)};
	return true;
}

static bool do_datetime(const struct conversion *c, struct scalar *s, struct arena *a,
			struct misfit *why)
{
	wall_time local = {s->number}, utc;
	bool has_zone = false;
	int32_t days;

	(void)a;
	if (s->kind == DAY) {
		local.ms = s->number * 86400000;
	} else if (s->kind == TEXT) {
		size_t len = strlen(s->text);
		has_zone = datetime_parse(s->text, len, true, &local);
		if (len == 10 && date_parse(s->text, len, &days))
			local.ms = days * INT64_C(86400000);
		else if (!has_zone && !datetime_parse(s->text, len, false, &local))
			return misfit(why, "not-a-time",
				      "is no time (YYYY-MM-DDTHH:MM:SS, with or without a zone)");
	}
	if (!in_range(local))
		return misfit(why, "out-of-range", "is out of the range of times");
	utc = c->zone && !has_zone ? zone_utc(c->zone, local) : local;
	*s = (struct scalar){.kind = TIME, .number = utc.ms};
	return true;
}

static bool do_time_zone(const struct conversion *c, struct scalar *s, struct arena *a,
			 struct misfit *why)
{
	char text[25];

	if (!datetime_format((wall_time){s->number}, ' ', text) ||
	    !datetime_format(zone_local(c->zone, (wall_time){s->number}), ' ', text))
		return misfit(why, "out-of-range", "is out of the range of times");
	set_text(s, arena_strndup(a, text, CLOCK_BYTES));
	return true;
}

const struct conversion_kind conversion_kinds[] = {
    {"trim", BIT(TEXT), TEXT, no_argument, do_trim, 0},
    {"lower", BIT(TEXT), TEXT, no_argument, do_lower, 0},
    {"upper", BIT(TEXT), TEXT, no_argument, do_upper, 0},
    {"email", BIT(TEXT), TEXT, no_argument, do_email, 0},
    {"digits", BIT(TEXT) | NUMBERS, TEXT, prefix_argument, do_digits, 0},
    {"first", ANYTHING & ~BIT(FLAG), TEXT, count_argument, do_first, 0},
    {"hash", ANYTHING & ~BIT(FLAG), TEXT, key_argument, do_hash, 2 * SHA256_DIGEST_SIZE},
    {"invert", BIT(FLAG), FLAG, no_argument, do_invert, 0},
    {"number", BIT(TEXT), DECIMAL, no_argument, do_number, 0},
    {"round", NUMBERS, NUMBER, no_argument, do_round, 0},
    {"format", NUMBERS, TEXT, format_argument, do_format, 0},
    {"date", BIT(TIME) | BIT(TEXT) | BIT(DAY), DAY, date_argument, do_date, 0},
    {"datetime", BIT(DAY) | BIT(TEXT) | BIT(TIME), TIME, datetime_argument, do_datetime, 0},
    {"time_zone", BIT(TIME), TEXT, clock_argument, do_time_zone, CLOCK_BYTES},
};
const size_t conversion_kind_count = sizeof conversion_kinds / sizeof *conversion_kinds;
