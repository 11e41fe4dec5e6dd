/* Properties of the conversions: whatever comes in, nothing breaks, what comes out is what the
 * conversion says it gives and can be written as Avro, and what should come back does. The examples
 * are tests/cases/mapping/. */
#include "convert.h"

#include "clock.h"
#include "convert_text.h"
#include "random.h"
#include "wire.h"
#include "zone.h"

enum { ROUNDS = 3000 };

static const char *const all[] = {"trim",
				  "lower",
				  "upper",
				  "email",
				  "digits",
				  "{digits: \"+49\"}",
				  "{first: 3}",
				  "hash",
				  "invert",
				  "number",
				  "round",
				  "{format: {decimals: 2, group: \",\"}}",
				  "{format: {}}",
				  "date",
				  "{date: Europe/Paris}",
				  "datetime",
				  "{datetime: America/St_Johns}",
				  "{time_zone: Australia/Lord_Howe}",
				  "[trim, {first: 1}, upper]",
				  "[number, round, {format: {decimals: 3}}]",
				  "[{first: 4}, number]"};
enum { ALL = sizeof all / sizeof *all };

/* Arguments of conversions are texts of the document. */
static struct document *kept[2000];
static size_t kept_count;

static int forget(void **state)
{
	(void)state;
	while (kept_count)
		doc_free(kept[--kept_count]);
	return 0;
}

/* False when the conversion is not for this kind; a time may be a clock without a zone. */
static bool compile(const char *yaml, enum kind in, struct conversions *out)
{
	struct problems none = {0};
	struct document *doc = doc_load_text("t", yaml, strlen(yaml), &none);
	bool good = false;

	for (int clock = 0; clock < 2 && !good; clock++) {
		struct problems p = {0};
		struct convert_context context = {
		    .in = in, .wall_clock = clock, .pseudonym_key = "0123456789abcdef"};
		good = conversions_compile(doc_root(doc), &context, out, &p);
		assert_int_equal(good, !p.count);
		problems_free(&p);
	}
	assert_true(kept_count < sizeof kept / sizeof *kept);
	kept[kept_count++] = doc;
	return good;
}

static bool apply(const char *yaml, struct scalar *s, struct arena *a)
{
	struct conversions c;
	struct misfit why;

	if (!compile(yaml, s->kind, &c))
		fail_msg("%s is not for %s", yaml, kind_name(s->kind));
	bool good = conversions_apply(&c, s, a, &why);
	conversions_free(&c);
	return good;
}

/* Written as the nullable member that its kind belongs in. */
static void writes(const struct scalar *s)
{
	static const char *const types[] = {
	    [NOTHING] = "string", [TEXT] = "string",  [NUMBER] = "long", [DECIMAL] = "string",
	    [REAL] = "double",	  [FLAG] = "boolean", [DAY] = "int",	 [TIME] = "long"};
	static struct record_class classes[KINDS];
	struct record_class *class = &classes[s->kind];
	struct buffer out = BUFFER(1 << 20);
	struct error err;
	avro_value_t value, field;

	if (!class->json) {
		char schema[200];
		snprintf(schema, sizeof schema,
			 "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"f\",\"type\":"
			 "[\"null\",\"%s\"],\"default\":null}]}",
			 types[s->kind]);
		assert_int_equal(record_class_new(class, schema, &err), OK);
	}
	record_new(class, &value);
	field = record_field(&value, 0);
	scalar_put(&field, s);
	assert_int_equal(wire_encode(1, &value, &out, &err), OK);
	avro_value_decref(&value);
	buffer_free(&out);
}

SHOWS(no_input_breaks_a_conversion_and_what_comes_out_is_avro)
{
	struct arena a = {0};

	for (size_t i = 0; i < ALL; i++) {
		size_t tried = 0;
		for (enum kind in = TEXT; in < KINDS; in++) {
			struct conversions c;
			if (!compile(all[i], in, &c))
				continue;
			tried++;
			for (int n = 0; n < ROUNDS; n++) {
				struct scalar s = any_scalar(in, &a);
				struct misfit why = {0};
				if (!conversions_apply(&c, &s, &a, &why)) {
					assert_non_null(why.reason);
					assert_non_null(why.text);
				} else {
					if (s.kind != NOTHING && s.kind != c.out)
						fail_msg("%s of %s gave %s", all[i], kind_name(in),
							 kind_name(s.kind));
					if (s.kind == TEXT &&
					    (!*s.text || !text_is_utf8(s.text, strlen(s.text))))
						fail_msg("%s gave a text that is none", all[i]);
					writes(&s);
				}
				arena_reset(&a);
			}
			conversions_free(&c);
		}
		if (!tried)
			fail_msg("%s was never tried", all[i]);
	}
	arena_free(&a);
}

SHOWS(what_is_normal_stays_as_it_is)
{
	static const char *const normal[] = {"trim",  "lower",	    "upper",
					     "email", "{first: 3}", "{digits: \"+49\"}"};
	struct arena a = {0};

	for (size_t i = 0; i < sizeof normal / sizeof *normal; i++)
		for (int n = 0; n < 30; n++) {
			struct scalar s = any_scalar(TEXT, &a);
			if (!apply(normal[i], &s, &a) || s.kind == NOTHING)
				continue;
			struct scalar again = s;
			assert_true(apply(normal[i], &again, &a));
			assert_int_equal(again.kind, TEXT);
			assert_string_equal(again.text, s.text);
		}
	arena_free(&a);
}

static bool made_of(const char *text, const char *of)
{
	return strspn(text, of) == strlen(text);
}

SHOWS(characters_at_the_edges_of_the_encoding_stay_as_they_are)
{
	static const uint32_t edges[] = {0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff};
	struct arena a = {0};

	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
		char text[6] = "";
		text[put_character(text, edges[i])] = 'x';
		assert_string_equal(text_lower(text, &a), text);
		assert_string_equal(text_trim(text, &a), text);
		assert_int_equal(strlen(text_first(text, 1, &a)), strlen(text) - 1);
	}
	arena_free(&a);
}

/* What a conversion promises of the text that it gives, whatever it was given. */
static bool keeps_promise(const char *name, const struct scalar *in, const struct scalar *out,
			  struct arena *a)
{
	const char *text = scalar_text(in, a);

	if (!strcmp(name, "trim"))
		return strstr(text, out->text) && !strcmp(text_trim(out->text, a), out->text);
	if (!strcmp(name, "lower") || !strcmp(name, "upper"))
		return utf8_length(out->text) == utf8_length(text);
	if (!strcmp(name, "digits"))
		return made_of(out->text + (*out->text == '+'), "0123456789");
	if (!strcmp(name, "{digits: \"+49\"}"))
		return *out->text == '+' && made_of(out->text + 1, "0123456789");
	if (!strcmp(name, "{first: 3}"))
		return !strncmp(text, out->text, strlen(out->text)) &&
		       utf8_length(out->text) == (utf8_length(text) < 3 ? utf8_length(text) : 3);
	if (!strcmp(name, "hash"))
		return strlen(out->text) == 64 && made_of(out->text, "0123456789abcdef");
	if (!strcmp(name, "{format: {decimals: 2}}")) {
		const char *point = strchr(out->text, '.');
		return made_of(out->text + (*out->text == '-'), ".0123456789") && point &&
		       strlen(point) == 3;
	}
	return true;
}

SHOWS(a_text_has_the_form_that_its_conversion_promises)
{
	static const char *const names[] = {"trim",
					    "lower",
					    "upper",
					    "email",
					    "digits",
					    "{first: 3}",
					    "hash",
					    "{digits: \"+49\"}",
					    "{format: {decimals: 2}}"};
	struct arena a = {0};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (enum kind in = TEXT; in < KINDS; in++) {
			struct conversions c;
			struct misfit why;
			if (!compile(names[i], in, &c))
				continue;
			for (int n = 0; n < ROUNDS; n++) {
				struct scalar s = any_scalar(in, &a), out = s;
				if (conversions_apply(&c, &out, &a, &why) && out.kind == TEXT &&
				    !keeps_promise(names[i], &s, &out, &a))
					fail_msg("%s of \"%s\" is \"%s\"", names[i],
						 scalar_text(&s, &a), out.text);
				arena_reset(&a);
			}
			conversions_free(&c);
		}
	arena_free(&a);
}

/* A value that was written as a text, and read again. */
static void comes_back(const char *yaml, enum kind kind, int64_t from, int64_t to, int64_t step)
{
	struct conversions c;
	struct arena a = {0};
	struct misfit why;

	assert_true(compile(yaml, kind, &c));
	for (int n = 0; n < ROUNDS; n++) {
		int64_t at =
		    from + (int64_t)(((uint64_t)drawn(UINT32_MAX) << 32 | drawn(UINT32_MAX)) %
				     (uint64_t)(to - from));
		struct scalar s = {.kind = kind, .number = at - at % step}, back = s;
		if (!conversions_apply(&c, &back, &a, &why))
			fail_msg("%s of %lld is refused: %s", yaml, (long long)s.number, why.text);
		if (back.kind != kind || back.number != s.number)
			fail_msg("%s of %lld came back as %lld", yaml, (long long)s.number,
				 (long long)back.number);
		arena_reset(&a);
	}
	conversions_free(&c);
	arena_free(&a);
}

SHOWS(days_and_times_come_back_from_their_texts)
{
	enum { Y0001 = -719162, Y9999 = 2932896 };
	const int64_t day_ms = 86400000;

	comes_back("[{first: 10}, date]", DAY, Y0001, Y9999, 1);
	comes_back("[{first: 24}, datetime]", TIME, Y0001 * day_ms, Y9999 * day_ms, 1);
	comes_back("[{time_zone: UTC}, datetime]", TIME, Y0001 * day_ms, Y9999 * day_ms, 1000);
	/* Where no hour is there twice. */
	comes_back("[{time_zone: Asia/Kolkata}, {datetime: Asia/Kolkata}]", TIME, 0, 40000 * day_ms,
		   1000);
}

SHOWS(a_whole_number_comes_back_from_its_text)
{
	comes_back("[{format: {}}, number, round]", NUMBER, INT64_MIN / 2, INT64_MAX / 2, 1);
	comes_back("[{first: 30}, number, round]", NUMBER, INT64_MIN / 2, INT64_MAX / 2, 1);
}

SHOWS(a_pseudonym_is_one_value_and_the_key)
{
	struct arena a = {0};
	struct scalar one = {.kind = TEXT, .text = "ann@example.com"}, same = one,
		      other = {.kind = TEXT, .text = "bob@example.com"};

	assert_true(apply("hash", &one, &a) && apply("hash", &same, &a) &&
		    apply("hash", &other, &a));
	assert_string_equal(one.text, same.text);
	assert_string_not_equal(one.text, other.text);
	arena_free(&a);
}

SHOWS(a_flag_turned_around_twice_is_itself)
{
	for (int flag = 0; flag < 2; flag++) {
		struct scalar s = {.kind = FLAG, .number = flag};
		assert_true(apply("[invert, invert]", &s, NULL));
		assert_int_equal(s.number, flag);
	}
}

SHOWS(a_formatted_number_reads_back)
{
	struct arena a = {0};

	for (int n = 0; n < 100; n++) {
		struct scalar s = any_scalar(DECIMAL, &a), back = s;
		/* any_decimal() has at most five decimals */
		assert_true(apply("[{format: {decimals: 5}}, number]", &back, &a));
		assert_int_equal(back.kind, DECIMAL);
		if (decimal_compare(s.text, back.text))
			fail_msg("%s came back as %s", s.text, back.text);
	}
	arena_free(&a);
}

SHOWS(rounding_moves_by_half_at_most)
{
	struct arena a = {0};

	for (int n = 0; n < 100; n++) {
		struct scalar s = any_scalar(DECIMAL, &a), whole = s;
		if (!apply("round", &whole, &a))
			continue;
		assert_true(fabs(strtod(s.text, NULL) - (double)whole.number) <=
			    0.5 + fabs((double)whole.number) * 1e-15);
	}
	arena_free(&a);
}

SHOWS(a_day_comes_back_from_its_midnight_in_any_zone)
{
	static const char *const zones[] = {"Europe/Paris", "America/New_York", "Asia/Kolkata",
					    "Pacific/Kiritimati"};
	struct arena a = {0};

	for (size_t z = 0; z < 4; z++)
		for (int n = 0; n < 10; n++) {
			char yaml[100];
			struct scalar s = {.kind = DAY, .number = (int64_t)drawn(40000)}, back = s;
			snprintf(yaml, sizeof yaml, "[{datetime: %s}, {date: %s}]", zones[z],
				 zones[z]);
			assert_true(apply(yaml, &back, &a));
			assert_int_equal(back.kind, DAY);
			assert_int_equal(back.number, s.number);
		}
	arena_free(&a);
}

SHOWS(a_clock_comes_back_from_utc_but_for_the_hour_that_is_skipped)
{
	struct zone *z = zone_new("Europe/Paris");
	int64_t skipped_ms = 0;
	wall_time t;

	assert_non_null(z);
	/* 2026-03-29 02:00 to 03:00 does not exist, 2026-10-25 02:00 to 03:00 is there twice. */
	assert_true(datetime_parse("2026-03-28T00:00:00Z", 20, true, &t));
	for (int i = 0; i < 96 * 4; i++, t.ms += 15 * 60000)
		skipped_ms += zone_local(z, zone_utc(z, t)).ms - t.ms;
	assert_int_equal(skipped_ms, 4 * 3600000); /* four quarters, each moved by an hour */
	/* The clock is moved at that very moment, not a millisecond before, not a second later. */
	assert_true(datetime_parse("2026-03-29T01:00:00Z", 20, true, &t));
	assert_int_equal(zone_offset_ms(z, t), 2 * 3600000);
	assert_int_equal(zone_offset_ms(z, (wall_time){t.ms - 1}), 3600000);
	assert_true(datetime_parse("1945-04-02T01:00:00Z", 20, true, &t)); /* before 1970 */
	assert_int_equal(zone_offset_ms(z, (wall_time){t.ms - 1}), 3600000);
	assert_int_equal(zone_offset_ms(z, t), 2 * 3600000);
	assert_true(datetime_parse("2026-10-25T02:30:00Z", 20, true, &t));
	assert_int_equal(t.ms - zone_utc(z, t).ms, 2 * 3600000); /* the earlier: summer time */
	zone_free(z);
}

SHOWS(the_zone_of_the_process_stays_as_it_was)
{
	setenv("TZ", "Asia/Tokyo", 1);
	zone_free(zone_new("Europe/Paris"));
	assert_string_equal(getenv("TZ"), "Asia/Tokyo");
	unsetenv("TZ");
	zone_free(zone_new("Europe/Paris"));
	assert_null(getenv("TZ"));
}

SHOWS(only_a_zone_that_is_the_same_everywhere_is_one)
{
	static const char *const none[] = {"../../etc/passwd",
					   "/usr/share/zoneinfo/UTC",
					   "Europe",
					   "",
					   "zone.tab",
					   "tzdata.zi",
					   "right/Europe/Paris",
					   "localtime",
					   "posixrules",
					   "../zoneinfo/UTC",
					   "Europe/../UTC",
					   "europe/paris"};

	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (zone_new(none[i]))
			fail_msg("%s is taken for a zone", none[i]);
}

SHOWS(decimals_compare_by_value)
{
	assert_int_equal(decimal_compare("1.50", "1.5"), 0);
	assert_int_equal(decimal_compare("-0.0", "0"), 0);
	assert_int_equal(decimal_compare("009", "10"), -1);
	assert_int_equal(decimal_compare("-2", "-10"), 1);
	assert_int_equal(decimal_compare("922337203685477.5807", "922337203685477.5808"), -1);
	assert_int_equal(decimal_compare("0.09", "0.1"), -1);
	assert_int_equal(decimal_compare("-0.0", "5"), -1);
	assert_int_equal(decimal_compare("-5", "0"), -1);
	assert_int_equal(decimal_compare("0", "-5"), 1);
	struct scalar two = {.kind = NUMBER, .number = 2}, ten = {.kind = NUMBER, .number = 10},
		      exact = {.kind = DECIMAL, .text = "2.0000"},
		      real = {.kind = REAL, .real = 2.5};
	assert_int_equal(scalar_compare_numbers(&two, &exact), 0);
	assert_int_equal(scalar_compare_numbers(&exact, &ten), -1);
	assert_int_equal(scalar_compare_numbers(&ten, &exact), 1);
	assert_int_equal(scalar_compare_numbers(&real, &exact), 1);
	assert_int_equal(scalar_compare_numbers(&two, &real), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_input_breaks_a_conversion_and_what_comes_out_is_avro),
	    cmocka_unit_test(what_is_normal_stays_as_it_is),
	    cmocka_unit_test(characters_at_the_edges_of_the_encoding_stay_as_they_are),
	    cmocka_unit_test(a_text_has_the_form_that_its_conversion_promises),
	    cmocka_unit_test(days_and_times_come_back_from_their_texts),
	    cmocka_unit_test(a_whole_number_comes_back_from_its_text),
	    cmocka_unit_test(a_pseudonym_is_one_value_and_the_key),
	    cmocka_unit_test(a_flag_turned_around_twice_is_itself),
	    cmocka_unit_test(a_formatted_number_reads_back),
	    cmocka_unit_test(rounding_moves_by_half_at_most),
	    cmocka_unit_test(a_day_comes_back_from_its_midnight_in_any_zone),
	    cmocka_unit_test(a_clock_comes_back_from_utc_but_for_the_hour_that_is_skipped),
	    cmocka_unit_test(the_zone_of_the_process_stays_as_it_was),
	    cmocka_unit_test(only_a_zone_that_is_the_same_everywhere_is_one),
	    cmocka_unit_test(decimals_compare_by_value),
	};
	return cmocka_run_group_tests(tests, NULL, forget);
}
