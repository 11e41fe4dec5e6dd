/* export_rows.h - the bytes of an export file to its rows.  No I/O, memory bounded by a row.
 *
 * Bytes may come in pieces of any size.  gzip is recognised by its first bytes, a byte order mark is
 * skipped, other encodings become UTF-8, the separator is found in the header row unless the
 * configuration names it.  libcsv reads the rows, strictly: texts may hold separators, doubled
 * quotes and newlines.
 *
 * A row that is no row (a stray quote, too many fields, a line of megabytes) is handed out as bad
 * and reading goes on behind the end of its line: one torn row costs itself, not the file.  What
 * makes the whole file worthless (no gzip although it says so, bytes that the encoding does not
 * have, a quoted text that runs over whole rows: nobody can tell how many) ends it.
 */
#ifndef TIDEWAY_EXPORT_ROWS_H
#define TIDEWAY_EXPORT_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"
#include "flow.h"

enum {
	EXPORT_FIELDS_MAX = 200,
	EXPORT_FIELD_MAX = 64 * 1024, /* bytes of a field */
	EXPORT_ROW_MAX = 1 << 20,     /* bytes of a row */
	EXPORT_HEADER_MAX = 64 * 1024,
};

struct export_row {
	const char *fields[EXPORT_FIELDS_MAX]; /* NUL terminated, valid during the call */
	size_t lens[EXPORT_FIELDS_MAX];
	int count;
	int64_t number;	 /* 0 is the header */
	const char *bad; /* why it is no row, or NULL */
	bool cut_off;	 /* the file ended before its line did */
};

/* What one call found. */
enum export_state {
	EXPORT_READING,
	EXPORT_STOPPED, /* by the row function */
	EXPORT_BROKEN,	/* err says why; nothing more comes */
};

struct export_reader;

/* row returns false to stop. */
struct export_reader *export_reader_new(const struct export_format *f,
					bool (*row)(void *arg, const struct export_row *r),
					void *arg);
void export_reader_free(struct export_reader *r);
enum export_state export_feed(struct export_reader *r, const void *data, size_t len,
			      struct error *err);
/* The file has ended: the last row comes out. *cut: it ended inside its compression. */
enum export_state export_finish(struct export_reader *r, bool *cut, struct error *err);
char export_separator(const struct export_reader *r); /* 0 before the header was read */

#endif
