/* logs.h - what the parts of extract-campaign-logs share.
 *
 *   directory.c   what lies on the server, which file is next, what becomes of those that are done
 *   server.c      listing, moving and deleting, by SFTP or locally
 *   file.c        a file: from where its checkpoint is, and whether it still is that file
 *   row.c         a row of it: the event that is written
 *
 * What the bytes of a file and the texts of a row mean is in common/ (export_rows, export_event),
 * because `tideway logs inspect` says it beforehand.
 */
#ifndef EXTRACT_CAMPAIGN_LOGS_H
#define EXTRACT_CAMPAIGN_LOGS_H

#include <uthash.h>
#include <xxhash.h>

#include "event.h"
#include "export_event.h"
#include "extract_loop.h"
#include "listing.h"
#include "recall.h"

/* Fields of the checkpoint of a file. */
enum {
	CP_SIZE,
	CP_ROWS,
	CP_DONE,
	CP_SAVED_AT,
	CP_BYTES,
	CP_SUM,
	CP_STAMP,
	CP_REFUSED,
	CP_REJECTED,
	CP_COMPLETE
};

enum {
	LISTING_MAX = 64 << 20, /* bytes of a directory listing */
	SILENCE_MS = 30000,	/* of the server in mid-file */
	STAMP_MAX = LISTING_STAMP_MAX,
	BAD_ROWS_MAX = 1000, /* rows that are none: then the file is refused */
};

struct file {
	UT_hash_handle hh;
	/* As checkpointed: */
	int64_t size, rows, bytes, rejected;
	uint64_t sum;
	bool done, refused, complete;
	char stamp[STAMP_MAX];
	/* At the last listing: */
	int64_t seen_size; /* -1 before */
	char seen_stamp[STAMP_MAX];
	mono_time changed; /* when they were first seen so */
	bool listed;
	bool stuck;	  /* it could not be moved or deleted, and that was said */
	bool kept;	  /* it is not complete, so it stays, and that was said */
	bool passed_over; /* it could not be read; until the next listing */
	bool told;	  /* and that was said */
	char name[];
};

struct logs {
	struct stage *stage;
	const struct flow *flow;
	const struct connection_logs *connection;
	char *path; /* of the directory, as the server or the system knows it */
	struct record_class event_class, checkpoint_class;
	avro_value_t event, checkpoint;
	int32_t schema_id;
	struct buffer encoded;
	struct file *files;
	mono_time listed_at; /* 0: not yet */
	struct recall *known;
	int64_t emitted[EVENT_KINDS], skipped[EXPORT_SKIPS];
	int64_t repeated, rejected, unknown_codes, read, refused;
};

/* A file being read. */
struct reading {
	struct logs *x;
	struct extract_output *o;
	struct file *file;
	struct export_reader *reader;
	struct export_columns columns;
	bool sending;
	wall_time now;
	XXH3_state_t *hash;
	int64_t raw;	    /* bytes so far */
	int64_t row, whole; /* the last row, the last one with the end of its line */
	int64_t bad_rows;
	int64_t rejected; /* rows that are dead letters, also of earlier reads */
	bool other;	  /* not the file that the checkpoint is about */
	bool refused, cut;
	enum result result;
	struct error err;
};

/* Makes an entry or finds it; NULL when there is none and make is false. */
struct file *directory_file(struct logs *x, const char *name, bool make);
void directory_forget(struct logs *x, struct file *f);
/* The listing tells of a file. */
void directory_listed(struct logs *x, const char *name, int64_t size, const char *stamp);
/* *out is the next file to read, or NULL: one that still grows holds back those behind it. Lists
 * the directory when the last listing is older than a poll. Checkpoints of files that are gone are
 * forgotten, files that are done are moved or deleted as the flow says. */
enum result directory_next(struct logs *x, struct extract_output *o, struct file **out,
			   struct error *err);

bool server_is_local(const struct logs *x);
/* The path of the connection's URL without its escapes, to be freed. */
char *server_path(const struct logs *x);
/* Calls directory_listed() for each file. */
enum result server_list(struct logs *x, struct error *err);
/* False: it is another file than at the listing, as far as the server can say. */
bool server_is_unchanged(const struct logs *x, const struct file *f);
enum result server_delete(struct logs *x, const char *name, struct error *err);
/* Into a folder of the directory, which is made; another name when there is one of that name. */
enum result server_move(struct logs *x, const char *name, const char *folder, struct error *err);
/* A download from the server, without its sink. */
void server_download(const struct logs *x, const char *url, struct http_download *d);

/* Reads a file from where its checkpoint is to its end, or as far as the server gives it. */
enum result file_read(struct logs *x, struct extract_output *o, struct file *f, struct error *err);

/* Takes a row: OK, REJECT (it is a dead letter) or FATAL. */
enum result row_take(struct reading *r, const struct export_row *row, struct error *err);

#endif
