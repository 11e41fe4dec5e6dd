/* wire.h - the value of a message: byte 0, schema id (4 bytes, big-endian), Avro binary.
 *
 * Readers fetch the writer's schema by id once and keep it.  A value decodes into the reader's
 * own class when the schemas are the same, else by field names.
 */
#ifndef TIDEWAY_WIRE_H
#define TIDEWAY_WIRE_H

#include "record.h"
#include "registry.h"

enum { WIRE_HEADER = 5, WIRE_VALUE_MAX = 8 << 20 };

struct wire;
struct wire *wire_new(struct registry *r); /* borrowed */
void wire_free(struct wire *w);

/* Appends the message value to out (reset first).  FATAL when it does not fit: a bug. */
enum result wire_encode(int32_t schema_id, avro_value_t *value, struct buffer *out,
			struct error *err);

/* Fills value, an instance of the schema reader_id.  REJECT: not our format, an unknown schema, bytes
 * that do not decode, trailing bytes, text that is no UTF-8.  RETRY: the registry is away. */
enum result wire_decode(struct wire *w, const void *data, size_t len, int32_t reader_id,
			avro_value_t *value, struct error *err);

/* The id and the schema that a value, decoded before, was written with. */
const char *wire_written_schema(const struct wire *w, const void *data, size_t len, int32_t *id);

/* Decodes with the writer's own schema into a value that w owns, valid until the next decode with
 * the same schema.  *id tells which. */
enum result wire_decode_as_written(struct wire *w, const void *data, size_t len,
				   avro_value_t **value, int32_t *id, struct error *err);

#endif
