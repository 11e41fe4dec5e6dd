/* mapping.h - from a row of a table to a record of a resource, as the configuration says.
 *
 * Compiled once against the saved metadata of both sides; every mistake is found then, with its
 * place in the file.  Applying it touches no name, only indexes.
 *
 * Consent is never given by accident.  Dynamics' donot* flags are false by default, so a copy
 * would re-subscribe everybody who opted out in Campaign.  The eight consent flags of a profile
 * are therefore written only as true; false and null become "leave it alone".
 */
#ifndef TIDEWAY_MAPPING_H
#define TIDEWAY_MAPPING_H

#include "change.h"
#include "config.h"

struct mapping;

/* NULL when there are problems. flow, table and resource are borrowed. */
struct mapping *mapping_compile(const struct flow *flow, const struct table *table,
				const struct resource *resource, struct problems *problems);
void mapping_free(struct mapping *m);

/* Columns of the table that it reads, sorted, without duplicates; what an extractor selects. */
const char *const *mapping_columns(const struct mapping *m, size_t *n);
/* Attributes of the resource that it writes. */
const char *const *mapping_attributes(const struct mapping *m, size_t *n);

/* Classes of its input and output records. */
const struct table_class *mapping_source(const struct mapping *m);
const struct record_class *mapping_target(const struct mapping *m);

/* Maps one Change of the source into one of the target.  Head and id are copied; a delete has no
 * row.  REJECT names the field, never its value. */
enum result mapping_apply(const struct mapping *m, const avro_value_t *source, avro_value_t *target,
			  struct error *err);

/* How a loader writes an attribute: its type, and whether null means "leave it alone" rather than
 * "clear it". Path as in a target record ("location.city"); NULL for one that is not mapped. */
const struct attribute *mapping_attribute(const struct mapping *m, const char *path,
					  bool *null_keeps);

/* The names of the eight flags, ended by NULL (Adobe, "profile data model" and "opt-in/opt-out"). */
extern const char *const consent_flags[];

#endif
