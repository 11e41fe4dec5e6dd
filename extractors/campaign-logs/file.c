/* file.c - a file of the export, from where its checkpoint is.
 *
 * A checkpoint says how many rows are done and what the bytes up to there hash to.  When the bytes
 * are the same, the file has grown or only looks changed, and reading goes on behind those rows;
 * when they are not, it is another file of the same name, and is read from its beginning.  Events
 * are known by their ids, so rows that both have are written once all the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "log.h"
#include "logs.h"

static void set_long(avro_value_t *record, size_t i, int64_t n)
{
	avro_value_t v = record_field(record, i);
	avro_value_set_long(&v, n);
}

static void set_flag(avro_value_t *record, size_t i, bool on)
{
	avro_value_t v = record_field(record, i);
	avro_value_set_boolean(&v, on);
}

static enum result save(struct reading *r, bool done, struct error *err)
{
	avro_value_t *cp = &r->x->checkpoint;
	struct file *f = r->file;
	/* What was compared before stays the measure until all of it was compared again. */
	bool behind = r->raw >= f->bytes;
	int64_t bytes = behind ? r->raw : f->bytes;
	uint64_t sum = behind ? XXH3_64bits_digest(r->hash) : f->sum;
	/* Else something is still to come, or somebody has to look at it. */
	bool complete =
	    done && !r->refused && !r->cut && r->whole && r->whole == r->row && !r->rejected;
	char progress[400];

	set_long(cp, CP_SIZE, f->seen_size);
	set_long(cp, CP_ROWS, r->whole);
	set_flag(cp, CP_DONE, done);
	set_long(cp, CP_SAVED_AT, r->now.ms);
	set_long(cp, CP_BYTES, bytes);
	set_long(cp, CP_SUM, (int64_t)sum);
	set_flag(cp, CP_REFUSED, r->refused);
	set_long(cp, CP_REJECTED, r->rejected);
	set_flag(cp, CP_COMPLETE, complete);
	avro_value_t v = record_field(cp, CP_STAMP);
	record_set_text(&v, f->seen_stamp, strlen(f->seen_stamp));
	snprintf(progress, sizeof progress, "%.200s: %lld rows%s", f->name, (long long)r->whole,
		 r->refused ? ", refused"
		 : done	    ? ""
			    : " so far");
	enum result result = extract_checkpoint(r->o, f->name, cp, progress, err);
	if (result == OK) {
		f->size = f->seen_size;
		f->rows = r->whole;
		f->bytes = bytes;
		f->sum = sum;
		f->done = done;
		f->refused = r->refused;
		f->rejected = r->rejected;
		f->complete = complete;
		memcpy(f->stamp, f->seen_stamp, sizeof f->stamp);
	}
	return result;
}

/* ---- rows ------------------------------------------------------------------------------------- */

static enum result dead_letter(struct reading *r, const struct export_row *row,
			       const struct error *why)
{
	struct logs *x = r->x;
	struct buffer text = BUFFER(2 * (size_t)EXPORT_ROW_MAX);
	char sep[2] = {export_separator(r->reader), 0};
	enum result result = OK;

	for (int i = 0; i < row->count; i++) {
		buffer_puts(&text, i ? sep : "");
		buffer_append(&text, row->fields[i], row->lens[i]);
	}
	/* A row that comes again and again in files that overlap is one dead letter. */
	_cleanup_(freep) char *id = xasprintf("%s|%016llx", why->reason,
					      (unsigned long long)XXH3_64bits(text.data, text.len));
	if (!recall_has(x->known, id, strlen(id)) || row->cut_off) {
		recall_add(x->known, id, strlen(id), r->now);
		x->rejected++;
		x->unknown_codes += !strcmp(why->reason, "unknown-code");
		result = extract_reject(r->o, r->file->name, text.data ? text.data : "", text.len,
					r->file->name, row->number, why, &r->err);
	}
	buffer_free(&text);
	return result;
}

static bool refuse(struct reading *r, const struct error *why)
{
	r->refused = true;
	r->err = *why;
	r->result = REJECT;
	return false;
}

/* Commits now and then, so that a large file is no large transaction, and a slow one no long one. */
static bool commit_if_full(void *arg)
{
	struct reading *r = arg;

	if (!extract_full(r->o))
		return true;
	r->result = save(r, false, &r->err);
	if (r->result == OK)
		r->result = extract_commit(r->o, &r->err);
	r->now = wall_now();
	return r->result == OK;
}

static bool on_row(void *arg, const struct export_row *row)
{
	struct reading *r = arg;
	struct error err = {0};

	if (!row->number) {
		if (export_header(r->x->flow, r->sending, row, &r->columns, &err) == OK)
			return true;
		return refuse(r, &err);
	}
	if (row->number <= r->file->rows)
		return true;
	enum result result = row_take(r, row, &err);
	r->row = row->number;
	if (!row->cut_off) /* else it is taken again when the file has grown */
		r->whole = row->number;
	if (result == REJECT) {
		r->rejected += !row->cut_off;
		r->bad_rows += !strncmp(err.reason, "bad-", 4);
		result = dead_letter(r, row, &err);
		err = r->err;
	}
	if (result != OK) {
		r->result = result;
		r->err = err;
		return false;
	}
	if (r->bad_rows > BAD_ROWS_MAX) {
		error_reject(&err, "bad-file", "more than %d of its rows are none", BAD_ROWS_MAX);
		return refuse(r, &err);
	}
	return commit_if_full(r);
}

/* ---- bytes ------------------------------------------------------------------------------------ */

/* Feeds the hash. False: the part that was read before is another one now. */
static bool same_so_far(struct reading *r, const char *data, size_t len)
{
	int64_t left = r->file->bytes - r->raw;

	r->raw += (int64_t)len;
	if (left > 0 && (int64_t)len >= left) {
		XXH3_64bits_update(r->hash, data, (size_t)left);
		r->other = XXH3_64bits_digest(r->hash) != r->file->sum;
		data += left;
		len -= (size_t)left;
	}
	XXH3_64bits_update(r->hash, data, len);
	return !r->other;
}

static bool on_data(void *arg, const char *data, size_t len)
{
	struct reading *r = arg;
	struct error err;

	if (!same_so_far(r, data, len))
		return false;
	switch (export_feed(r->reader, data, len, &err)) {
	case EXPORT_READING:
		return true;
	case EXPORT_BROKEN:
		return refuse(r, &err);
	default:
		return false;
	}
}

/* ---- the end ---------------------------------------------------------------------------------- */

static void tell(const struct reading *r)
{
	const struct logs *x = r->x;
	int64_t left_out = 0;

	for (int i = EXPORT_TEST_PROFILE; i < EXPORT_SKIPS; i++)
		left_out += x->skipped[i];
	log_info("file read", "file", r->file->name, "rows", log_int(r->row), "sends",
		 log_int(x->emitted[EVENT_SEND]), "opens", log_int(x->emitted[EVENT_OPEN]),
		 "clicks", log_int(x->emitted[EVENT_CLICK]), "bounces",
		 log_int(x->emitted[EVENT_BOUNCE]), "repeated", log_int(x->repeated),
		 "not_a_contact", log_int(x->skipped[EXPORT_NOT_A_CONTACT]), "left_out",
		 log_int(left_out), "excluded", log_int(x->skipped[EXPORT_EXCLUDED]),
		 "test_profile", log_int(x->skipped[EXPORT_TEST_PROFILE]), "rejected",
		 log_int(x->rejected), "unknown_codes", log_int(x->unknown_codes), "refused_files",
		 log_int(x->refused), "known", log_int((int64_t)recall_count(x->known)), NULL);
}

/* One dead letter for the file. */
static enum result reject_file(struct reading *r)
{
	struct error why = r->err;

	log_error(r->refused ? "file refused" : "file cut off", "file", r->file->name, "error",
		  why.text, NULL);
	return extract_reject(r->o, r->file->name, r->file->name, strlen(r->file->name),
			      r->file->name, r->row, &why, &r->err);
}

/* All bytes are there. */
static void take_end(struct reading *r)
{
	struct error err;

	if (r->raw < r->file->bytes) {
		r->other = true;
		return;
	}
	if (export_finish(r->reader, &r->cut, &err) == EXPORT_BROKEN)
		refuse(r, &err);
	/* The rows of a file that is cut off in its compression are good as far as they go. */
	if (r->result == OK && r->cut) {
		error_reject(&r->err, "cut-off", "the file ends in the middle of its compression");
		r->result = reject_file(r);
	}
}

static enum result finish(struct reading *r, enum result fetched, struct error *err)
{
	if (r->result == OK && fetched == OK)
		take_end(r);
	if (r->other) { /* events of rows that were taken already are known when they come again */
		log_info("another file of the same name", "file", r->file->name, NULL);
		r->file->rows = r->file->bytes = r->file->rejected = 0;
		r->file->done = false;
		return OK;
	}
	if (r->refused) {
		/* Said once, and not read again until it is another file. */
		r->x->refused++;
		r->result = reject_file(r);
		if (r->result == OK)
			r->result = save(r, true, &r->err);
		fetched = OK; /* that we stopped the download is no error */
	} else if (r->result == OK && fetched == OK) {
		r->result = save(r, true, &r->err);
		r->x->read += r->result == OK;
		tell(r);
	} else if (r->result == OK && r->row > r->file->rows) {
		/* What was read before the connection broke is good; go on behind it. */
		r->result = save(r, false, &r->err);
		fetched = OK;
	}
	if (r->result != OK) {
		*err = r->err;
		/* Events of this step are remembered as known, so they must not be forgotten. */
		return FATAL;
	}
	return fetched;
}

enum result file_read(struct logs *x, struct extract_output *o, struct file *f, struct error *err)
{
	const struct log_files *kind = export_kind(x->flow, f->name);
	struct reading r = {.x = x,
			    .o = o,
			    .file = f,
			    .sending = kind == &x->flow->sending,
			    .now = wall_now(),
			    .hash = XXH3_createState()};
	struct buffer url = BUFFER(8192);
	struct http_download d;

	if (!r.hash)
		exit(EXIT_TEMPORARY);
	XXH3_64bits_reset(r.hash);
	r.row = r.whole = f->rows;
	r.rejected = f->rejected;
	r.reader = export_reader_new(&x->flow->exports, on_row, &r);
	buffer_printf(&url, "%s/", x->connection->url);
	http_escape(&url, f->name);
	server_download(x, url.data, &d);
	d.sink = on_data;
	d.meanwhile = commit_if_full;
	d.arg = &r;
	enum result fetched = http_download(x->stage->http, &d, err);
	if (fetched != OK)
		error_prefix(err, "reading %s", f->name);
	enum result result = fetched == FATAL ? FATAL : finish(&r, fetched, err);
	export_reader_free(r.reader);
	XXH3_freeState(r.hash);
	buffer_free(&url);
	return result;
}
