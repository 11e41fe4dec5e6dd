/* file.c - a file of the export: CSV or TAB with a header row, .gz or not, read once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "log.h"
#include "logs.h"

static enum result save(struct reading *r, bool done, struct error *err)
{
	struct logs *x = r->x;
	avro_value_t v = record_field(&x->checkpoint, CP_SIZE);

	avro_value_set_long(&v, r->file->seen_size);
	v = record_field(&x->checkpoint, CP_ROWS);
	avro_value_set_long(&v, r->row);
	v = record_field(&x->checkpoint, CP_DONE);
	avro_value_set_boolean(&v, done);
	v = record_field(&x->checkpoint, CP_SAVED_AT);
	avro_value_set_long(&v, r->now.ms);
	enum result result = extract_checkpoint(r->o, r->file->name, &x->checkpoint, NULL, err);
	if (result == OK) {
		r->file->size = r->file->seen_size;
		r->file->rows = r->row;
		r->file->done = done;
	}
	return result;
}

static void read_header(struct reading *r)
{
	char missing[300] = "";

	r->header_done = true;
	r->column_count = r->field_count;
	for (int c = 0; c < LOG_COLUMNS; c++) {
		r->columns[c] = -1;
		if (!r->kind->columns[c])
			continue;
		for (int i = 0; i < r->field_count; i++)
			if (!strcmp(r->fields[i], r->kind->columns[c]))
				r->columns[c] = i;
		if (r->columns[c] < 0)
			snprintf(missing + strlen(missing), sizeof missing - strlen(missing),
				 "%s%s", *missing ? ", " : "", r->kind->columns[c]);
	}
	if (*missing) {
		r->refused = true;
		r->result =
		    error_reject(&r->err, "bad-file", "the header has no column %s", missing);
	}
}

static void dead_row(struct reading *r, const struct error *why)
{
	struct buffer text = BUFFER(1 << 20);

	for (int i = 0; i < r->field_count; i++) {
		buffer_puts(&text, i ? "\t" : "");
		buffer_puts(&text, r->fields[i]);
	}
	r->x->rejected++;
	r->result = extract_reject(r->o, r->file->name, text.data ? text.data : "", text.len,
				   r->file->name, r->row, why, &r->err);
	buffer_free(&text);
}

static void on_field(void *data, size_t len, void *arg)
{
	struct reading *r = arg;

	if (r->field_count == FIELDS_MAX || len > FIELD_MAX) {
		r->too_many = true;
		return;
	}
	r->fields[r->field_count++] = xstrndup(data ? data : "", data ? strlen(data) : 0);
}

static void on_row(int end, void *arg)
{
	struct reading *r = arg;
	struct error err = {0};

	(void)end;
	if (r->result == OK && !r->paused) {
		if (!r->header_done) {
			read_header(r);
		} else if (++r->row > r->file->rows) {
			enum result result = row_take(r, &err);
			if (result == REJECT) {
				dead_row(r, &err);
			} else if (result != OK) {
				r->result = result;
				r->err = err;
			}
			if (r->result == OK && extract_full(r->o)) {
				r->result = save(r, false, &r->err);
				if (r->result == OK)
					r->result = extract_commit(r->o, &r->err);
				if (mono_now().ms - r->began.ms > FILE_STEP_MS)
					r->paused = true;
			}
		}
	}
	for (int i = 0; i < r->field_count; i++)
		free(r->fields[i]);
	r->field_count = 0;
	r->too_many = false;
}

static bool parse(struct reading *r, const char *data, size_t len)
{
	if (!r->started) {
		static const char bom[] = "\xef\xbb\xbf";
		r->started = true;
		if (len >= 3 && !memcmp(data, bom, 3)) {
			data += 3;
			len -= 3;
		}
		size_t line = 0;
		while (line < len && data[line] != '\n')
			line++;
		if (memchr(data, '\t', line) && !memchr(data, ',', line))
			csv_set_delim(&r->csv, '\t');
	}
	if (csv_parse(&r->csv, data, len, on_field, on_row, r) != len && r->result == OK) {
		r->refused = true;
		r->result = error_reject(&r->err, "bad-file", "row %lld: %s", (long long)r->row + 1,
					 csv_strerror(csv_error(&r->csv)));
	}
	return r->result == OK && !r->paused;
}

static bool on_data(void *arg, const char *data, size_t len)
{
	struct reading *r = arg;
	char plain[65536];

	if (!r->is_gz)
		return parse(r, data, len);
	r->gz.next_in = (unsigned char *)data;
	r->gz.avail_in = (unsigned)len;
	while (r->gz.avail_in && !r->gz_ended) {
		r->gz.next_out = (unsigned char *)plain;
		r->gz.avail_out = sizeof plain;
		int rc = inflate(&r->gz, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END) {
			r->refused = true;
			r->result = error_reject(&r->err, "bad-file", "the file is no gzip file");
			return false;
		}
		r->gz_ended = rc == Z_STREAM_END;
		if (!parse(r, plain, sizeof plain - r->gz.avail_out))
			return false;
	}
	return true;
}

static void *csv_alloc(void *p, size_t n)
{
	return n > (4u << 20) ? NULL : realloc(p, n); /* a quote that never closes */
}

static enum result finish(struct reading *r, enum result fetched, struct error *err)
{
	struct logs *x = r->x;

	if (r->result == OK && fetched == OK) {
		if (!r->is_gz || r->gz_ended) {
			csv_fini(&r->csv, on_field, on_row, r);
		} else if (r->file->size != r->file->seen_size || r->row > r->file->rows) {
			r->paused = true; /* perhaps the rest is still to come */
		} else {
			r->refused = true;
			r->result = error_reject(&r->err, "bad-file",
						 "the file ends in the middle of its compression");
		}
	}
	if (r->result == REJECT && r->refused) {
		/* Refused whole: said once, and not read again until it has another size. */
		log_error("file refused", "file", r->file->name, "error", r->err.text, NULL);
		struct error why = r->err;
		r->result =
		    extract_reject(r->o, r->file->name, r->file->name, strlen(r->file->name),
				   r->file->name, r->row, &why, &r->err);
		x->rejected++;
		if (r->result == OK)
			r->result = save(r, true, &r->err);
		fetched = OK; /* that we stopped the download is no error */
	} else if (r->result == OK && fetched == OK && !r->paused) {
		r->result = save(r, true, &r->err);
		log_info("file read", "file", r->file->name, "rows", log_int(r->row), "events",
			 log_int(x->emitted), "repeated", log_int(x->repeated), "not_a_contact",
			 log_int(x->not_a_contact), "left_out", log_int(x->left_out), "rejected",
			 log_int(x->rejected), NULL);
	} else if (r->result == OK && (r->paused || r->row > r->file->rows)) {
		/* What was read before the connection broke is good; go on behind it. */
		r->result = save(r, false, &r->err);
		fetched = OK;
	}
	if (r->result != OK) {
		*err = r->err;
		/* Events of this step are remembered as seen, so they must not be forgotten. */
		return FATAL;
	}
	return fetched;
}

enum result file_read(struct logs *x, struct extract_output *o, struct file *f, struct error *err)
{
	struct reading r = {.x = x,
			    .o = o,
			    .file = f,
			    .kind = directory_kind(x, f->name),
			    .now = wall_now(),
			    .began = mono_now()};
	struct buffer url = BUFFER(8192);
	struct http_download d;
	size_t len = strlen(f->name);

	if (f->size != f->seen_size) /* another content under the same name */
		f->rows = 0;
	r.sending = r.kind == &x->stage->flow->sending;
	r.is_gz = len > 3 && !strcmp(f->name + len - 3, ".gz");
	if (csv_init(&r.csv, CSV_APPEND_NULL | CSV_STRICT | CSV_STRICT_FINI) ||
	    (r.is_gz && inflateInit2(&r.gz, 16 + MAX_WBITS) != Z_OK))
		exit(EXIT_TEMPORARY);
	csv_set_realloc_func(&r.csv, csv_alloc);
	buffer_printf(&url, "%s/", x->connection->url);
	http_escape(&url, f->name);
	directory_download(x, url.data, &d);
	d.sink = on_data;
	d.arg = &r;
	enum result fetched = http_download(x->stage->http, &d, err);
	if (fetched != OK)
		error_prefix(err, "reading %s", f->name);
	enum result result = fetched == FATAL ? FATAL : finish(&r, fetched, err);
	csv_free(&r.csv);
	if (r.is_gz)
		inflateEnd(&r.gz);
	buffer_free(&url);
	return result;
}
