/* logs.h - what the parts of extract-campaign-logs share.
 *
 *   directory.c   what lies on the server, and which file is next
 *   file.c        a file: compression, CSV, header, checkpoint
 *   row.c         a row: what it means, and the event that is written
 */
#ifndef EXTRACT_CAMPAIGN_LOGS_H
#define EXTRACT_CAMPAIGN_LOGS_H

#include <csv.h>
#include <uthash.h>
#include <zlib.h>

#include "event.h"
#include "extract_loop.h"
#include "seen.h"

/* Fields of the checkpoint of a file. */
enum { CP_SIZE, CP_ROWS, CP_DONE, CP_SAVED_AT };

enum {
	FIELDS_MAX = 200,	/* columns of a row */
	FIELD_MAX = 64 * 1024,	/* bytes of a field */
	LISTING_MAX = 64 << 20, /* bytes of a directory listing */
	SILENCE_MS = 30000,	/* of the server in mid-file */
	FILE_STEP_MS = 60000,	/* then a step ends, so that the group hears of us */
};

struct file {
	UT_hash_handle hh;
	int64_t size; /* as checkpointed */
	int64_t rows;
	bool done;
	int64_t seen_size; /* at the last listing, -1 before */
	mono_time changed; /* when seen_size was first seen */
	bool listed;
	char name[];
};

struct logs {
	struct stage *stage;
	const struct connection_logs *connection;
	struct record_class event_class, checkpoint_class;
	avro_value_t event, checkpoint;
	int32_t schema_id;
	struct buffer encoded;
	struct file *files;
	struct seen *events;
	int64_t emitted, repeated, not_a_contact, left_out, rejected;
};

/* A file being read. */
struct reading {
	struct logs *x;
	struct extract_output *o;
	struct file *file;
	const struct log_files *kind;
	bool sending;
	wall_time now;
	mono_time began;
	/* CSV */
	struct csv_parser csv;
	bool started, header_done;
	int columns[LOG_COLUMNS]; /* index in the row, -1 */
	int column_count;
	char *fields[FIELDS_MAX];
	int field_count;
	bool too_many;
	int64_t row; /* rows seen, the header not counted */
	/* .gz */
	z_stream gz;
	bool is_gz, gz_ended;
	bool paused; /* stopped by FILE_STEP_MS, not by the end */
	bool refused;
	enum result result;
	struct error err;
};

/* Makes an entry or finds it; NULL when there is none and make is false. */
struct file *directory_file(struct logs *x, const char *name, bool make);
void directory_forget(struct logs *x, struct file *f);

/* Lists the directory. *out is the next file to read, or NULL: one that still grows holds back
 * those behind it. Checkpoints of files that are gone are forgotten. */
enum result directory_next(struct logs *x, struct extract_output *o, struct file **out,
			   struct error *err);
/* Which of the two exports a file belongs to, by its name; NULL: neither. */
const struct log_files *directory_kind(const struct logs *x, const char *name);
/* A download from the server, without its sink. */
void directory_download(const struct logs *x, const char *url, struct http_download *d);

/* Reads a file from where its checkpoint is, as far as it goes in FILE_STEP_MS. */
enum result file_read(struct logs *x, struct extract_output *o, struct file *f, struct error *err);

/* Takes the row that stands in r->fields: OK, REJECT (it is a dead letter) or FATAL. */
enum result row_take(struct reading *r, struct error *err);

#endif
