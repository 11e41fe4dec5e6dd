/* schema.h - may a topic's values change from one schema to another?  And registering them.
 *
 * The registry checks BACKWARD_TRANSITIVE, but it names no field behind a nullable row, and it
 * lets changes of a logical type pass (date to time, milliseconds to microseconds), which would
 * turn every stored number into another one.  So we compare first, by ourselves.
 */
#ifndef TIDEWAY_SCHEMA_H
#define TIDEWAY_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registry.h"

/* Can a reader with schema `next` read what was written with `old`, meaning the same?  If not,
 * why says which field and what about it. Both are JSON texts of Avro schemas. */
bool schema_compatible(const char *old, const char *next, char *why, size_t size);

/* The id of the schema under "<topic>-value", registering it when it is new.  FATAL 100 with the
 * differing field when it is not compatible with the newest one. */
enum result schema_register(struct registry *r, const char *topic, const char *schema, int32_t *id,
			    struct error *err);

#endif
