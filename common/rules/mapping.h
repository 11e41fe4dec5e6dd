/* mapping.h - from a row of a table to a record of a resource, as the configuration says.
 *
 * Compiled once against the saved metadata of both sides; every mistake is found then, with its
 * place in the file.  Applying it touches no name, only indexes.
 *
 * The way of a value:
 *
 *   from, concat, any ─▶ convert ─▶ values, otherwise ─▶ default ─▶ the target's type and length
 *   (or constant)                                                  ─▶ the consent guard (contact.h)
 *
 * Nothing (null) goes through untouched until `default`; an empty text that a conversion leaves is
 * nothing.  The items of a multi-select are converted and replaced one by one, then joined.
 */
#ifndef TIDEWAY_MAPPING_H
#define TIDEWAY_MAPPING_H

#include "change.h"
#include "contact.h"
#include "flow.h"

struct mapping;

/* NULL when there are problems. flow, table and resource are borrowed. */
struct mapping *mapping_compile(const struct flow *flow, const struct table *table,
				const struct resource *resource, struct problems *problems);
void mapping_free(struct mapping *m);

/* Columns of the table that it reads, sorted, without duplicates; what an extractor selects: those
 * of fields, links and the filter, and of contacts `merged`. */
const char *const *mapping_columns(const struct mapping *m, size_t *n);
/* Attributes of the resource that it writes. */
const char *const *mapping_attributes(const struct mapping *m, size_t *n);

/* Classes of its input and output records. */
const struct table_class *mapping_source(const struct mapping *m);
const struct record_class *mapping_target(const struct mapping *m);

/* What became of a change, besides the record. */
struct mapped_change {
	bool emit;	/* false: nothing is written, target means nothing */
	bool tombstone; /* a tombstone follows, as it does behind a delete of the source */
	/* NULL for a row, else "filtered-out", "not-read-yet", "merged" or "deleted" */
	const char *why;
};

/* The filter cannot judge rows that were read without a column that it compares: they would leave it
 * or enter it by a null that is none.  The first such column, or NULL; schema is what the Change was
 * written with.  An extractor that starts with the new mapping reads all rows anew. */
const char *mapping_lacks(const struct mapping *m, const char *schema);

/* Maps one Change of the source into one of the target.  Head and id are copied.
 *   a row that passes the filter   upsert, every member of the row
 *   one that does not              nothing, or with filtered_out: delete a delete
 *   a delete, a contact that lost  as `deletes` says: a delete, nothing, or an update with the
 *   a merge                        members of `deactivate`
 *   a row of which lacks is said   nothing, until it has been read anew
 * REJECT names the field, never its value.  Not reentrant: scratch memory belongs to m. */
enum result mapping_apply(const struct mapping *m, const avro_value_t *source, bool lacks,
			  avro_value_t *target, struct mapped_change *out, struct error *err);

/* A tombstone of the source means "forget the key".  False: the record stays in the target, and so
 * must its key. */
bool mapping_passes_tombstones(const struct mapping *m);

/* How a loader writes an attribute. */
struct mapped {
	const struct attribute *attribute;
	const struct field_config *config; /* NULL for one that only `deactivate` names */
	bool null_keeps;		   /* null is "leave it alone", else "clear it" */
	bool create_only;		   /* written when the record is made, never again */
	bool consent;			   /* a flag that is guarded: true, or left alone */
};
/* Path as in a target record ("location.city"); NULL for one that is not mapped. */
const struct mapped *mapping_attribute(const struct mapping *m, const char *path);

#endif
