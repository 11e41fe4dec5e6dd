/* Properties of the limits of the target: whatever fits is what the attribute takes, and Avro of the
 * type that the topic has; what `tideway check` lets through is refused for its value alone. */
#include "fit.h"

#include "random.h"
#include "wire.h"

enum { ROUNDS = 3000, LENGTH = 12 };

/* Each type of Campaign as the topic writes it (mapping_compile.c). */
static const struct {
	const char *kind, *avro;
} types[] = {{"string", "string"},     {"boolean", "boolean"}, {"byte", "long"},
	     {"short", "long"},	       {"long", "long"},       {"int64", "long"},
	     {"double", "double"},     {"date", "int"},	       {"datetime", "long"},
	     {"enumeration", "string"}};
enum { TYPES = sizeof types / sizeof *types };

static struct resource *resource;

static int make(void **state)
{
	(void)state;
	resource = resource_new("r", "customResources/r");
	for (size_t i = 0; i < TYPES; i++) {
		struct attribute *a = resource_add(resource, types[i].kind, types[i].kind);
		a->length = a->type == ATTRIBUTE_STRING ? LENGTH : 0;
		if (a->type == ATTRIBUTE_ENUM) {
			attribute_add_value(a, "12");
			attribute_add_value(a, "true");
		}
	}
	resource_sort(resource);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	resource_free(resource);
	return 0;
}

static void writes(const struct record_class *class, const struct scalar *s)
{
	struct buffer out = BUFFER(1 << 20);
	struct error err;
	avro_value_t value, field, some;

	record_new(class, &value);
	field = record_field(&value, 0);
	scalar_put(&field, s);
	assert_true(record_some(&field, &some));
	/* Not cut, not taken for another kind. */
	switch (avro_value_get_type(&some)) {
	case AVRO_STRING:
		assert_string_equal(record_text(&some, NULL), s->text);
		break;
	case AVRO_INT32:
	case AVRO_INT64:
		assert_int_equal(record_long(&some), s->number);
		break;
	default:
		break;
	}
	assert_int_equal(wire_encode(1, &value, &out, &err), OK);
	avro_value_decref(&value);
	buffer_free(&out);
}

static const int64_t widest[] = {['b'] = INT8_MAX, ['s'] = INT16_MAX, ['l'] = INT32_MAX};

static void is_within(const struct attribute *a, const struct scalar *s)
{
	static const enum kind kinds[] = {
	    [ATTRIBUTE_STRING] = TEXT, [ATTRIBUTE_BOOLEAN] = FLAG, [ATTRIBUTE_LONG] = NUMBER,
	    [ATTRIBUTE_DOUBLE] = REAL, [ATTRIBUTE_DATE] = DAY,	   [ATTRIBUTE_DATETIME] = TIME,
	    [ATTRIBUTE_ENUM] = TEXT};

	if (s->kind != kinds[a->type])
		fail_msg("%s became %s", a->kind, kind_name(s->kind));
	if (a->type == ATTRIBUTE_STRING)
		assert_true(utf8_length(s->text) <= LENGTH);
	if (a->type == ATTRIBUTE_STRING || a->type == ATTRIBUTE_ENUM)
		assert_true(text_is_utf8(s->text, strlen(s->text)));
	if (a->type == ATTRIBUTE_ENUM)
		assert_true(!strcmp(s->text, "12") || !strcmp(s->text, "true"));
	if (a->type == ATTRIBUTE_DOUBLE)
		assert_true(isfinite(s->real));
	if (a->type == ATTRIBUTE_LONG && *a->kind != 'i')
		assert_true(s->number <= widest[(int)*a->kind] &&
			    s->number >= -widest[(int)*a->kind] - 1);
}

/* Of kinds that check lets through, these alone are the value's own fault. */
static void is_its_own_fault(const struct attribute *a, enum kind in, const struct misfit *why)
{
	static const char *const own[] = {"too-long", "not-in-enumeration", "out-of-range"};
	const char *hint;

	if (!fits_kind(a, in, &hint) || (in == REAL && !strcmp(why->reason, "not-a-number")))
		return;
	for (size_t i = 0; i < 3; i++)
		if (!strcmp(why->reason, own[i]))
			return;
	fail_msg("%s passes the check, and is refused by %s: %s", kind_name(in), a->kind,
		 why->reason);
}

SHOWS(whatever_fits_is_what_the_attribute_takes)
{
	struct arena arena = {0};
	struct error err;

	for (size_t i = 0; i < TYPES; i++) {
		const struct attribute *a = resource_attribute(resource, types[i].kind);
		struct record_class class;
		char schema[200];
		long fitting = 0;
		snprintf(schema, sizeof schema,
			 "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"f\",\"type\":"
			 "[\"null\",\"%s\"],\"default\":null}]}",
			 types[i].avro);
		assert_int_equal(record_class_new(&class, schema, &err), OK);
		for (enum kind in = TEXT; in < KINDS; in++)
			for (int n = 0; n < ROUNDS; n++) {
				struct scalar s = any_scalar(in, &arena);
				struct misfit why = {0};
				if (fit(a, n % 2, &s, &arena, &why)) {
					fitting++;
					is_within(a, &s);
					writes(&class, &s);
				} else {
					assert_non_null(why.text);
					is_its_own_fault(a, in, &why);
				}
				arena_reset(&arena);
			}
		if (!fitting)
			fail_msg("nothing ever fits %s", types[i].kind);
		record_class_free(&class);
	}
	arena_free(&arena);
}

static bool fits(const char *kind, struct scalar s)
{
	struct arena arena = {0};
	struct misfit why;
	bool good = fit(resource_attribute(resource, kind), false, &s, &arena, &why);

	arena_free(&arena);
	return good;
}

SHOWS(the_smallest_and_the_largest_number_fit_and_the_next_does_not)
{
	static const struct {
		const char *kind;
		int64_t min, max;
	} ranges[] = {{"byte", INT8_MIN, INT8_MAX},
		      {"short", INT16_MIN, INT16_MAX},
		      {"long", INT32_MIN, INT32_MAX}};

	for (size_t i = 0; i < 3; i++) {
		assert_true(
		    fits(ranges[i].kind, (struct scalar){.kind = NUMBER, .number = ranges[i].min}));
		assert_true(
		    fits(ranges[i].kind, (struct scalar){.kind = NUMBER, .number = ranges[i].max}));
		assert_false(fits(ranges[i].kind,
				  (struct scalar){.kind = NUMBER, .number = ranges[i].min - 1}));
		assert_false(fits(ranges[i].kind,
				  (struct scalar){.kind = NUMBER, .number = ranges[i].max + 1}));
	}
	assert_true(fits("int64", (struct scalar){.kind = NUMBER, .number = INT64_MIN}));
	assert_true(fits("string", (struct scalar){.kind = TEXT, .text = "123456789012"}));
	assert_false(fits("string", (struct scalar){.kind = TEXT, .text = "1234567890123"}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whatever_fits_is_what_the_attribute_takes),
	    cmocka_unit_test(the_smallest_and_the_largest_number_fit_and_the_next_does_not),
	};
	return cmocka_run_group_tests(tests, make, unmake);
}
