/* metadata.h - what both products say about their tables and resources, saved as files.
 *
 * `tideway metadata pull` writes <dir>/dataverse.<table>.json and <dir>/campaign.<resource>.json
 * beside the configuration; stages, `tideway check` and tests read the files.  No transformer
 * ever asks an API.
 */
#ifndef TIDEWAY_METADATA_H
#define TIDEWAY_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* How a Dataverse column looks in our records; COLUMN_OTHER can be in a file but not mapped. */
enum column_type {
	COLUMN_STRING,
	COLUMN_GUID,
	COLUMN_BOOLEAN,
	COLUMN_INT,
	COLUMN_LONG,
	COLUMN_DOUBLE,
	COLUMN_DECIMAL, /* Decimal and Money: exact text */
	COLUMN_DATE,
	COLUMN_DATETIME,
	COLUMN_CHOICE,
	COLUMN_CHOICES, /* multi-select: a list of choices */
	COLUMN_LOOKUP,
	COLUMN_OTHER
};

struct column_option {
	int64_t value;
	char *label;
};

/* Of lookups: the navigation property by which a row of `table` is bound. */
struct column_target {
	char *table, *navigation;
};

struct column {
	char *name;
	/* Dataverse's AttributeType, with what decides about values behind it: "DateTime/DateOnly",
	 * "DateTime/TimeZoneIndependent"; instead of "Virtual" the AttributeTypeName. */
	char *kind;
	enum column_type type;
	int64_t max_length; /* of texts; 0 when not known */
	struct column_option *options;
	size_t option_count;
	struct column_target *targets;
	size_t target_count;
};

struct table {
	char *name, *entity_set, *primary_id;
	bool change_tracking;
	struct column *columns; /* by name */
	size_t column_count;
};

enum attribute_type {
	ATTRIBUTE_STRING,
	ATTRIBUTE_BOOLEAN,
	ATTRIBUTE_LONG,
	ATTRIBUTE_DOUBLE,
	ATTRIBUTE_DATE,
	ATTRIBUTE_DATETIME,
	ATTRIBUTE_ENUM,
	ATTRIBUTE_LINK, /* to another resource */
	ATTRIBUTE_OTHER
};

struct attribute {
	char *path; /* "location.city" */
	char *kind; /* Campaign's word */
	enum attribute_type type;
	int64_t length; /* of strings; 0 when not known */
	char **values;	/* of enumerations: names */
	size_t value_count;
	char *target; /* of links: the resource; else NULL */
	bool read_only;
};

struct resource {
	char *name;
	char *path;		      /* "profileAndServicesExt/profile", under the base URL */
	struct attribute *attributes; /* by path */
	size_t attribute_count;
};

const char *column_type_name(enum column_type t);
/* The member by which the Web API shows a column, malloc'ed: "firstname", of a lookup
 * "_ownerid_value", of an image "new_photoid" (its bytes are not read: a reference). */
char *column_property(const struct column *c);
const char *attribute_type_name(enum attribute_type t);
enum column_type column_type_of(const char *kind);
enum attribute_type attribute_type_of(const char *kind);

/* FATAL 100 when there is no such file or it is damaged; the text says how to make it. */
enum result table_load(const char *dir, const char *name, struct table **out, struct error *err);
enum result resource_load(const char *dir, const char *name, struct resource **out,
			  struct error *err);
/* Written to a temporary name and renamed; members sorted, one a line, so that diffs read well. */
enum result table_save(const char *dir, const struct table *t, struct error *err);
enum result resource_save(const char *dir, const struct resource *r, struct error *err);
void table_free(struct table *t);
void resource_free(struct resource *r);

const struct column *table_column(const struct table *t, const char *name);
const struct attribute *resource_attribute(const struct resource *r, const char *path);

/* Building one, for the clients that read it live. Sort before use. */
struct table *table_new(const char *name);
struct column *table_add(struct table *t, const char *name, const char *kind);
void column_add_option(struct column *c, int64_t value, const char *label);
void column_add_target(struct column *c, const char *table, const char *navigation);
void table_sort(struct table *t);
struct resource *resource_new(const char *name, const char *path);
struct attribute *resource_add(struct resource *r, const char *path, const char *kind);
void attribute_add_value(struct attribute *a, const char *name);
void resource_sort(struct resource *r);

/* Compares what is saved with what is live, for the columns named.  FATAL 100 with the
 * difference: a column that is gone or has another type would change what records mean. */
enum result table_same(const struct table *saved, const struct table *live,
		       const char *const *columns, size_t n, struct error *err);
enum result resource_same(const struct resource *saved, const struct resource *live,
			  const char *const *paths, size_t n, struct error *err);

#endif
