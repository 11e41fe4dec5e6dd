/* wire.c - see wire.h. */
#include "wire.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"

/* Writers' schemas; a topic has a handful of versions, so a list will do. */
struct writer {
	struct writer *next;
	int32_t id;
	struct record_class class;
	avro_value_t value;
};

/* What libavro may allocate for one value besides the value's own size. */
enum { WIRE_ALLOC_EXTRA = 64 * 1024 };

struct wire {
	struct registry *registry;
	struct writer *writers;
	/* The value that is decoded, and zeroes behind it; see decode(). */
	char *padded;
	size_t padded_size, used;
};

struct wire *wire_new(struct registry *r)
{
	struct wire *w = xcalloc(1, sizeof *w);
	w->registry = r;
	return w;
}

void wire_free(struct wire *w)
{
	if (!w)
		return;
	for (struct writer *it = w->writers, *next; it; it = next) {
		next = it->next;
		avro_value_decref(&it->value);
		record_class_free(&it->class);
		free(it);
	}
	free(w->padded);
	free(w);
}

enum result wire_encode(int32_t schema_id, avro_value_t *value, struct buffer *out,
			struct error *err)
{
	uint32_t id = htonl((uint32_t)schema_id);
	size_t size;

	buffer_reset(out);
	if (avro_value_sizeof(value, &size))
		return error_config(err, "bug", "a value cannot be encoded: %s", avro_strerror());
	char *to = buffer_reserve(out, WIRE_HEADER + size);
	if (!to)
		return error_reject(err, "too-large", "a value of %zu bytes is over the cap", size);
	to[0] = 0;
	memcpy(to + 1, &id, 4);
	avro_writer_t writer = avro_writer_memory(to + WIRE_HEADER, (int64_t)size);
	int rc = avro_value_write(writer, value);
	avro_writer_free(writer);
	if (rc)
		return error_config(err, "bug", "a value cannot be encoded: %s", avro_strerror());
	out->len = WIRE_HEADER + size;
	return OK;
}

static enum result find_writer(struct wire *w, int32_t id, struct writer **out, struct error *err)
{
	_cleanup_(freep) char *json = NULL;

	for (struct writer *it = w->writers; it; it = it->next)
		if (it->id == id) {
			*out = it;
			return OK;
		}
	enum result r = registry_schema(w->registry, id, &json, err);
	if (r != OK)
		return r;
	struct writer *it = xcalloc(1, sizeof *it);
	it->id = id;
	r = record_class_new(&it->class, json, err);
	if (r != OK) {
		free(it);
		return error_reject(err, "unknown-schema", "schema %d is none that we can read",
				    id);
	}
	record_new(&it->class, &it->value);
	it->next = w->writers;
	w->writers = it;
	*out = it;
	return OK;
}

static enum result header(const void *data, size_t len, int32_t *id, struct error *err)
{
	uint32_t n;
	if (len < WIRE_HEADER || *(const char *)data)
		return error_reject(err, "wire-format",
				    "the value is not in the registry's wire format");
	if (len > WIRE_VALUE_MAX)
		return error_reject(err, "too-large", "the value has %zu bytes", len);
	memcpy(&n, (const char *)data + 1, 4);
	*id = (int32_t)ntohl(n);
	return OK;
}

const char *wire_written_schema(const struct wire *w, const void *data, size_t len, int32_t *id)
{
	if (header(data, len, id, NULL) != OK)
		return NULL;
	for (const struct writer *it = w->writers; it; it = it->next)
		if (it->id == *id)
			return it->class.json;
	return NULL;
}

/* Every string of a decoded value must be UTF-8 without NUL, every number finite, every enum one
 * of its symbols (libavro does not look): all that follows relies on it. */
static bool is_good(const avro_value_t *value)
{
	avro_value_t inner;
	size_t n;
	const char *text;
	double number = 0;

	switch (avro_value_get_type(value)) {
	case AVRO_UNION:
		return !record_some(value, &inner) || is_good(&inner);
	case AVRO_RECORD:
		avro_value_get_size(value, &n);
		for (size_t i = 0; i < n; i++) {
			inner = record_field(value, i);
			if (!is_good(&inner))
				return false;
		}
		return true;
	case AVRO_ARRAY:
		avro_value_get_size(value, &n);
		for (size_t i = 0; i < n; i++) {
			avro_value_get_by_index(value, i, &inner, NULL);
			if (!is_good(&inner))
				return false;
		}
		return true;
	case AVRO_STRING:
		text = record_text(value, &n);
		return text_is_utf8(text, n);
	case AVRO_DOUBLE:
		avro_value_get_double(value, &number);
		return isfinite(number); /* JSON has no other numbers */
	case AVRO_ENUM:
		n = (size_t)avro_schema_enum_number_of_symbols(avro_value_get_schema(value));
		return record_enum(value) >= 0 && (size_t)record_enum(value) < n;
	default:
		return true;
	}
}

/* libavro leaks a text whose length is more than what is left to read.  So it reads from a copy
 * with zeroes behind it, more of them than a text may be long; that it read some is seen later. */
static enum result decode(struct wire *w, const void *data, size_t len, avro_value_t *value,
			  struct error *err)
{
	size_t n = len - WIRE_HEADER, zeroes = n + WIRE_ALLOC_EXTRA;
	char skipped;

	if (w->padded_size < n + zeroes) {
		w->padded_size = 2 * (n + zeroes);
		free(w->padded);
		w->padded = xcalloc(1, w->padded_size);
		w->used = 0;
	}
	memcpy(w->padded, (const char *)data + WIRE_HEADER, n);
	if (w->used > n)
		memset(w->padded + n, 0, w->used - n);
	w->used = n;
	avro_reader_t reader = avro_reader_memory(w->padded, (int64_t)(n + zeroes));
	avro_value_reset(value);
	record_limit_allocation(zeroes);
	int rc = avro_value_read(reader, value);
	record_limit_allocation(0);
	if (!rc)
		rc = avro_skip(reader, (int64_t)zeroes); /* all of them must be left */
	bool rest = !rc && !avro_read(reader, &skipped, 1);
	avro_reader_free(reader);
	if (rc)
		return error_reject(err, "wire-format", "the value does not decode");
	if (rest)
		return error_reject(err, "wire-format", "bytes follow the value");
	if (!is_good(value))
		return error_reject(
		    err, "wire-format",
		    "a text is not UTF-8, a number not finite, or an enum none of its symbols");
	return OK;
}

enum result wire_decode(struct wire *w, const void *data, size_t len, int32_t reader_id,
			avro_value_t *value, struct error *err)
{
	struct writer *writer;
	int32_t id = -1;
	enum result r = header(data, len, &id, err);

	if (r != OK)
		return r;
	if (id == reader_id)
		return decode(w, data, len, value, err);
	r = find_writer(w, id, &writer, err);
	if (r == OK)
		r = decode(w, data, len, &writer->value, err);
	if (r != OK)
		return r;
	avro_value_reset(value);
	if (!record_copy_by_name(&writer->value, value))
		return error_reject(err, "schema-mismatch",
				    "schema %d does not fit the one of this mapping", id);
	return OK;
}

enum result wire_decode_as_written(struct wire *w, const void *data, size_t len,
				   avro_value_t **value, int32_t *id, struct error *err)
{
	struct writer *writer = NULL;
	enum result r = header(data, len, id, err);

	if (r == OK)
		r = find_writer(w, *id, &writer, err);
	if (r == OK)
		r = decode(w, data, len, &writer->value, err);
	if (r == OK)
		*value = &writer->value;
	return r;
}
