/* scalar.h - one value on its way from a column to an attribute: what it is, without Avro around it.
 *
 * Conversions (convert.h), filters (filter.h) and the limits of the target (fit.h) work on scalars.
 * Texts point into the source record, the configuration, or the arena of the record.
 */
#ifndef TIDEWAY_SCALAR_H
#define TIDEWAY_SCALAR_H

#include "arena.h"
#include "document.h"
#include "metadata.h"
#include "record.h"

enum kind { NOTHING, TEXT, NUMBER, DECIMAL, REAL, FLAG, DAY, TIME, KINDS };

struct scalar {
	enum kind kind;
	const char *text; /* TEXT, DECIMAL */
	int64_t number;	  /* NUMBER, FLAG, DAY (since 1970), TIME (ms) */
	double real;
};

/* Why a value cannot be: a stable word, and the end of a sentence "the value …". */
struct misfit {
	const char *reason, *text;
};

const char *kind_name(enum kind k);

/* As `values` are compared with and string attributes hold: true, 42, 2026-01-31,
 * 2026-01-31T08:00:00.000Z, the shortest digits that give the same number back. */
const char *scalar_text(const struct scalar *s, struct arena *a);
const char *real_text(double d, struct arena *a);

/* Writes it into a nullable member of a record. */
void scalar_put(avro_value_t *field, const struct scalar *s);

/* -1, 0, 1. Numbers of any kind, DECIMAL exactly, also against NUMBER; of one kind also flags, days and
 * times. */
int scalar_compare_numbers(const struct scalar *a, const struct scalar *b);
int decimal_compare(const char *a, const char *b);

/* A text of the configuration as a value of that kind; false when it is none. A date alone is, as a
 * time, its midnight, UTC. */
bool scalar_parse(enum kind kind, const char *text, struct scalar *out);
/* Do two of the same kind say the same?  Numbers by their value, not by their digits. */
bool scalar_equal(const struct scalar *a, const struct scalar *b);

/* A column, and which side of it is meant. */
struct source {
	const struct column *column;
	bool label;		/* of choices: the label, else the value */
	bool name;		/* of lookups: the name, else the id */
	const char *only_table; /* of lookups: other tables are nothing; NULL: any */
	const char *separator;	/* between the items of a multi-select */
	size_t index;		/* in the row; set when the columns are known */
};

/* The column of that name, if it can be read; else a problem at that place, and NULL. */
const struct column *source_column(const struct table *t, const char *name, struct place at,
				   struct problems *p);
/* picklist is for choices, lookup for lookups. */
void source_sides(const struct source *s, struct place picklist, struct place lookup,
		  struct problems *p);

/* What its scalars are. */
enum kind source_kind(const struct source *s);
/* Are they ids?  Those that the configuration names may stand in braces and in capitals. */
bool source_is_id(const struct source *s);
bool id_parse(const char *text, char id[37]);
/* Is it one of the options of a choice, as far as the metadata has them?  Else it is never met. */
bool source_has_option(const struct source *s, const struct scalar *v);
struct scalar source_read(const struct source *s, const avro_value_t *row, struct arena *a);
/* The items of a multi-select one by one; 0 when it is null. */
size_t source_items(const struct source *s, const avro_value_t *row, avro_value_t *list);
struct scalar source_item(const struct source *s, const avro_value_t *list, size_t i);

/* Sources that wait for their index. They must not move. */
struct sources {
	struct source **items;
	size_t count;
};
void sources_add(struct sources *all, struct source *s);

/* Texts joined with a separator; empty ones are left out. NULL when nothing is left. */
struct joiner {
	struct arena *arena;
	const char *separator;
	char *text;
};
void join(struct joiner *j, const char *text);

#endif
