/* row.h - rows as JSON, written straight into the answer: no tree is built, so that the server is
 * not the slow part of a measurement.
 *
 * Annotations stand before the value that they are about, as in the product.
 */
#ifndef SANDBOX_DATAVERSE_ROW_H
#define SANDBOX_DATAVERSE_ROW_H

#include "query.h"

struct page {
	struct text o;
	long rows;
	bool more;
	char last[64];
	int64_t last_version;
	char root[400];
};

/* "SELECT id, version, columns": what row_put() reads. */
void row_columns(const struct query *q, struct text *sql);
/* {..}, of the statement's current row.  context, if not NULL, becomes its first member. */
void row_put(struct query *q, sqlite3_stmt *st, const char *root, const char *context,
	     struct text *o);
/* The value alone, as JSON. */
void row_value(struct text *o, const struct column *c, const char *value);
/* "(fullname,parentcustomerid_account(name))" behind the set in a context URL, or nothing. */
void row_context(const struct query *q, struct text *o);
/* expand.c: the members that the expands make. id: of the row. */
void expand_put(struct query *q, const char *id, const char *root, struct text *o);

/* The formatted value, malloc'ed, or NULL when this column has none. */
char *format_value(const struct column *c, const char *value);

#endif
