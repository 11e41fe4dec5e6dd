/* record.h - helpers around avro_value_t, the one in-memory form between topics.
 *
 * Everything is by field index where it is hot: libavro's access by name costs a hash look-up a
 * field.  Optional fields are unions of null (branch 0) and one type (branch 1).
 */
#ifndef TIDEWAY_RECORD_H
#define TIDEWAY_RECORD_H

#include <avro.h>
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* A schema parsed once: its text (what is registered: libavro drops logical types), libavro's
 * form, and the class of its values. */
struct record_class {
	char *json;
	avro_schema_t schema;
	avro_value_iface_t *iface;
};

/* FATAL 100 when libavro cannot parse it. */
enum result record_class_new(struct record_class *c, const char *json, struct error *err);
void record_class_free(struct record_class *c);
void record_new(const struct record_class *c, avro_value_t *out);

/* Limits what libavro may allocate for one value: a length on the wire is foreign. Call once. */
enum { RECORD_ALLOC_MAX = 16 << 20 };
void record_limit_allocations(void);
/* A lower limit for a while; 0: RECORD_ALLOC_MAX again. */
void record_limit_allocation(size_t max);

/* Member by index. */
avro_value_t record_field(const avro_value_t *record, size_t index);
/* Index of a field, or -1. */
int record_index(const avro_value_t *record, const char *name);
/* A field of a record schema, as JSON, or NULL. */
const cJSON *record_schema_field(const cJSON *record, const char *name);

/* Optional fields: null, or the branch to fill. */
void record_set_null(avro_value_t *field);
avro_value_t record_set_some(avro_value_t *field);
/* False when the field is null; a field that is no union is never null. */
bool record_some(const avro_value_t *field, avro_value_t *out);

void record_set_text(avro_value_t *field, const char *text, size_t len); /* a string */
/* Not NUL-terminated beyond len in general; libavro's strings are. */
const char *record_text(const avro_value_t *string, size_t *len);
int64_t record_long(const avro_value_t *number); /* int or long */
int record_enum(const avro_value_t *value);

/* Copies src into dst by field names (Avro's resolution for our subset): fields unknown to dst
 * are dropped, those unknown to src become null, int widens to long and double.  False when the
 * two do not fit. */
bool record_copy_by_name(const avro_value_t *src, avro_value_t *dst);

/* Plain JSON of a value: unions without their branch name. NULL is never returned. */
cJSON *record_to_json(const avro_value_t *value);
/* The other way. Members that the schema does not have are refused, absent ones become null;
 * dates and times may be given as ISO texts, and whole numbers as digits, which a double would round.
 * REJECT names the path. */
enum result record_from_json(const cJSON *json, avro_value_t *value, struct error *err);

#endif
