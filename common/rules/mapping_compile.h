/* mapping_compile.h - a mapping from the inside, for the files that make and apply it: mapping.c,
 * mapping_compile.c, mapping_field.c.  Nobody else includes it. */
#ifndef TIDEWAY_MAPPING_COMPILE_H
#define TIDEWAY_MAPPING_COMPILE_H

#include "convert.h"
#include "filter.h"
#include "mapping.h"

enum { GROUP_NONE = -1 }; /* a member of the row itself */

/* A replacement: what the conversions leave, and what the target takes instead. */
struct replacement {
	struct scalar from, to;
	char id[37]; /* what from points to when it is an id */
};

struct field {
	const char *to;
	struct mapped mapped;
	struct source *sources;
	size_t source_count;
	struct conversions convert, normalise;
	struct scalar constant, fallback, otherwise;
	struct replacement *values; /* beside config->values */
	int group;		    /* "location" in the row, or GROUP_NONE */
	size_t index;		    /* in the group or the row */
	bool consent;		    /* false is left alone */
};

/* One value of `deactivate`. */
struct deactivation {
	const char *to;
	const struct field *field;
	struct scalar value;
};

struct mapping {
	const struct flow *flow;
	const struct table *table;
	const struct resource *resource;
	struct field *fields; /* in the order of the target */
	size_t field_count;
	struct deactivation *deactivate;
	struct filter *filter;
	struct source merged;	/* column NULL: none */
	struct sources sources; /* the filter's come first */
	size_t filter_source_count;
	const char **columns, **attributes;
	size_t column_count;
	struct table_class source;
	struct record_class target;
	struct arena *arena; /* of the record that is being mapped */
};

/* Fills f; false after problems. Sources are added to m when the field stands. */
bool field_compile(struct mapping *m, const struct field_config *config, struct field *f,
		   struct problems *p);
void field_clear(struct field *f);

/* The attribute that can be written, or NULL after a problem. */
const struct attribute *target_attribute(const struct mapping *m, const char *path, struct place at,
					 struct problems *p);
/* A text of the configuration as the attribute takes it; NOTHING after a problem. what: "the
 * default". */
struct scalar target_constant(const struct mapping *m, const struct attribute *a, const char *text,
			      const char *what, struct place at, struct problems *p);

/* The schema of the target; sets group and index of the fields, which are sorted. malloc'ed. */
char *target_schema(struct mapping *m);

#endif
