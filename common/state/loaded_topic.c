/* loaded_topic.c - see loaded_topic.h. */
#include "loaded_topic.h"

#include <stdlib.h>

#include "arena.h"
#include "embed.h"
#include "schema.h"

EMBED(loaded_avsc, "schemas/loaded.avsc");

/* As in schemas/loaded.avsc. */
enum {
	L_HASH,
	L_EPOCH,
	L_VERSION,
	L_OFFSET,
	L_DELETED,
	L_UNSURE,
	L_PARENT,
	L_CONSENT,
	L_PARTITIONS,
	L_AT
};

struct loaded_topic {
	struct wire *wire;
	struct record_class class;
	avro_value_t value;
	int32_t id;
};

enum result loaded_topic_new(struct wire *w, struct registry *r, const char *topic,
			     struct loaded_topic **out, struct error *err)
{
	struct loaded_topic *t = xcalloc(1, sizeof *t);
	enum result result = record_class_new(&t->class, loaded_avsc, err);

	t->wire = w;
	if (result == OK) {
		record_new(&t->class, &t->value);
		result = schema_register(r, topic, t->class.json, &t->id, err);
	}
	if (result != OK) {
		loaded_topic_free(t);
		return result;
	}
	*out = t;
	return OK;
}

void loaded_topic_free(struct loaded_topic *t)
{
	if (!t)
		return;
	if (t->value.self)
		avro_value_decref(&t->value);
	record_class_free(&t->class);
	free(t);
}

static void put_long(struct loaded_topic *t, size_t i, int64_t n)
{
	avro_value_t f = record_field(&t->value, i);
	avro_value_set_long(&f, n);
}

static void put_int(struct loaded_topic *t, size_t i, int32_t n)
{
	avro_value_t f = record_field(&t->value, i);
	avro_value_set_int(&f, n);
}

static void put_bool(struct loaded_topic *t, size_t i, bool b)
{
	avro_value_t f = record_field(&t->value, i);
	avro_value_set_boolean(&f, b);
}

enum result loaded_encode(struct loaded_topic *t, const struct loaded_record *r, struct buffer *out,
			  struct error *err)
{
	put_long(t, L_HASH, (int64_t)r->entry.hash);
	put_long(t, L_EPOCH, r->entry.epoch);
	put_long(t, L_VERSION, r->entry.version);
	put_long(t, L_OFFSET, r->entry.offset);
	put_bool(t, L_DELETED, r->entry.deleted);
	put_bool(t, L_UNSURE, r->entry.unsure);
	put_int(t, L_PARENT, (int32_t)r->entry.parent);
	put_int(t, L_CONSENT, r->entry.consent);
	put_int(t, L_PARTITIONS, r->partitions);
	put_long(t, L_AT, r->at.ms);
	return wire_encode(t->id, &t->value, out, err);
}

static int64_t get(struct loaded_topic *t, size_t i)
{
	avro_value_t f = record_field(&t->value, i);
	return record_long(&f);
}

static bool get_bool(struct loaded_topic *t, size_t i)
{
	avro_value_t f = record_field(&t->value, i);
	int b = 0;
	avro_value_get_boolean(&f, &b);
	return b;
}

enum result loaded_decode(struct loaded_topic *t, const void *data, size_t len,
			  struct loaded_record *out, struct error *err)
{
	enum result r = wire_decode(t->wire, data, len, t->id, &t->value, err);

	if (r != OK)
		return r;
	*out = (struct loaded_record){.entry = {.hash = (uint64_t)get(t, L_HASH),
						.epoch = get(t, L_EPOCH),
						.version = get(t, L_VERSION),
						.offset = get(t, L_OFFSET),
						.parent = (uint32_t)get(t, L_PARENT),
						.consent = (uint8_t)get(t, L_CONSENT),
						.deleted = get_bool(t, L_DELETED),
						.unsure = get_bool(t, L_UNSURE)},
				      .partitions = (int)get(t, L_PARTITIONS),
				      .at = {get(t, L_AT)}};
	if (out->entry.offset < -1 || out->entry.offset >= (int64_t)1 << 39)
		out->entry.offset = -1;
	return OK;
}
