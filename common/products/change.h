/* change.h - the envelope of every record about a table or a resource, on both sides.
 *
 *   Change {op, id, epoch, version, modified_at, observed_at, origin, row: null | <record>}
 *
 * Records of one id are ordered by (epoch, version): version is the row version of Dataverse,
 * epoch the start of the snapshot that the row belongs to, because restoring an environment can
 * lower versions.  Deletes carry no row; they take the epoch and the highest version seen so far.
 */
#ifndef TIDEWAY_CHANGE_H
#define TIDEWAY_CHANGE_H

#include <cjson/cJSON.h>

#include "buffer.h"
#include "clock.h"
#include "metadata.h"
#include "record.h"

enum change_field {
	CHANGE_OP,
	CHANGE_ID,
	CHANGE_EPOCH,
	CHANGE_VERSION,
	CHANGE_MODIFIED_AT,
	CHANGE_OBSERVED_AT,
	CHANGE_ORIGIN,
	CHANGE_ROW
};
/* update is the targets' alone: the members of the row that are not null are written to a record
 * that is there, the others left alone; where there is none, none is made. */
enum change_op { CHANGE_UPSERT, CHANGE_DELETE, CHANGE_UPDATE };
enum change_origin { ORIGIN_SNAPSHOT, ORIGIN_DELTA, ORIGIN_RECONCILE };

/* The schema of a Change around a row schema: deterministic, ids follow bytes. malloc'ed. */
char *change_schema(const char *namespace, const char *row_schema);

/* The same for a record of a target: op can be update, too. */
char *change_target_schema(const char *namespace, const char *row_schema);

/* "null or this type" as a field: {"name":…,"type":["null",…],"default":null,"doc":…}; doc may be
 * NULL. */
void change_field_schema(struct buffer *out, const char *name, const char *type, const char *doc);
/* ,"doc":"…" */
void change_doc(struct buffer *out, const char *doc);
#define SCHEMA_DATE "{\"type\":\"int\",\"logicalType\":\"date\"}"
#define SCHEMA_TIMESTAMP "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"

/* Do rows of this schema of a Change have the column? */
bool change_schema_has(const char *schema, const char *column);

/* The envelope without the row. modified.ms < 0: not known. */
struct change_head {
	enum change_op op;
	int64_t epoch, version;
	wall_time modified, observed;
	enum change_origin origin;
};
void change_set_head(avro_value_t *change, const char *id, const struct change_head *head);
void change_get_head(const avro_value_t *change, struct change_head *head);
const char *change_id(const avro_value_t *change, size_t *len);

struct table_column_plan {
	const struct column *column;
	char *property; /* JSON member: "firstname", "_parentcustomerid_value" */
	char *label;	/* "<property>@…FormattedValue" */
	char *target;	/* "<property>@…lookuplogicalname" */
};

/* Rows of one table, for the columns that a mapping uses. */
struct table_class {
	struct record_class record;
	const struct table *table; /* borrowed */
	struct table_column_plan *columns;
	size_t column_count;
};

/* columns: names, sorted, each in t with a type other than COLUMN_OTHER. FATAL otherwise. */
enum result table_class_new(const struct table *t, const char *const *columns, size_t n,
			    struct table_class *out, struct error *err);
void table_class_free(struct table_class *c);

/* Fills a Change from a row as json_parse_exact() read it.  REJECT names the column when the row
 * is not what the metadata says. id is set to the lower-case GUID. */
enum result change_from_row(const struct table_class *c, const cJSON *row, int64_t epoch,
			    wall_time observed, enum change_origin origin, avro_value_t *change,
			    char id[37], struct error *err);

#endif
