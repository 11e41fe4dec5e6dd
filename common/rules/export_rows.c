/* export_rows.c - see export_rows.h.
 *
 * bytes ─ gzip ─ encoding ─ byte order mark, separator ─ libcsv ─ rows
 */
#include "export_rows.h"

#include <csv.h>
#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "arena.h"

enum { PIECE = 65536, NO_QUOTE = 0xff /* no byte of UTF-8 */ };

struct export_reader {
	const struct export_format *format;
	bool (*fn)(void *arg, const struct export_row *r);
	void *arg;
	bool stopped, finishing;

	unsigned char magic[2];
	size_t magic_len;
	bool is_gzip, magic_done, gzip_ended;
	z_stream gz;

	iconv_t iconv; /* (iconv_t)-1: not needed */
	char carry[16];
	size_t carry_len;

	struct buffer head; /* until the header row is whole */
	bool head_done;
	char separator;

	struct csv_parser csv;
	bool csv_there, skipping;
	struct buffer bytes; /* of the fields of the row */
	size_t starts[EXPORT_FIELDS_MAX];
	struct export_row row;
	int64_t rows;
	const char *bad;
	int columns;	     /* of the header */
	int64_t lines;	     /* that have ended */
	bool behind_cr;	     /* a newline here ends no other line */
	char swallowed[400]; /* why the file is refused, or "" */
};

static void *csv_alloc(void *p, size_t n)
{
	return n > EXPORT_ROW_MAX ? NULL : realloc(p, n); /* a quote that never closes */
}

static void csv_open(struct export_reader *r)
{
	if (r->csv_there)
		csv_free(&r->csv);
	if (csv_init(&r->csv, CSV_APPEND_NULL | CSV_STRICT | CSV_STRICT_FINI))
		exit(EXIT_TEMPORARY);
	csv_set_realloc_func(&r->csv, csv_alloc);
	csv_set_delim(&r->csv, (unsigned char)r->separator);
	csv_set_quote(&r->csv, r->format->quote < 0 ? NO_QUOTE : (unsigned char)r->format->quote);
	r->csv_there = true;
}

struct export_reader *export_reader_new(const struct export_format *f,
					bool (*row)(void *arg, const struct export_row *r),
					void *arg)
{
	struct export_reader *r = xcalloc(1, sizeof *r);

	r->format = f;
	r->fn = row;
	r->arg = arg;
	r->bytes = BUFFER(2 * (size_t)EXPORT_ROW_MAX);
	r->head = BUFFER(2 * (size_t)EXPORT_HEADER_MAX + PIECE);
	r->iconv = f->encoding ? iconv_open("UTF-8", f->encoding) : (iconv_t)-1;
	return r;
}

void export_reader_free(struct export_reader *r)
{
	if (!r)
		return;
	if (r->csv_there)
		csv_free(&r->csv);
	if (r->is_gzip)
		inflateEnd(&r->gz);
	if (r->iconv != (iconv_t)-1)
		iconv_close(r->iconv);
	buffer_free(&r->bytes);
	buffer_free(&r->head);
	free(r);
}

char export_separator(const struct export_reader *r)
{
	return r->separator;
}

/* ---- rows ------------------------------------------------------------------------------------- */

static void hand_out(struct export_reader *r, bool cut_off)
{
	struct export_row *row = &r->row;

	for (int i = 0; i < row->count; i++)
		row->fields[i] = r->bytes.data + r->starts[i];
	row->number = r->rows++;
	if (!row->number)
		r->columns = row->count;
	row->bad = r->bad;
	row->cut_off = cut_off;
	if (!r->stopped)
		r->stopped = !r->fn(r->arg, row);
	row->count = 0;
	r->bad = NULL;
	buffer_reset(&r->bytes);
}

static size_t line_length(const char *s, size_t len)
{
	const char *lf = memchr(s, '\n', len);
	const char *cr = memchr(s, '\r', lf ? (size_t)(lf - s) : len);

	return cr ? (size_t)(cr - s) : lf ? (size_t)(lf - s) : len;
}

/* A quote that was no delimiter makes one text of all rows up to the next such quote, and often one
 * good row of the two ends.  A text whose lines look like rows is therefore none: either a line
 * behind the first is a whole row, or the first line is the rest of this row and the last one the
 * beginning of another, up to the same column. */
static bool swallows_rows(struct export_reader *r, const char *text, size_t len)
{
	int separators = 0, first = -1, last_row = r->columns - 1;
	int64_t breaks = 0;
	bool rows = false;

	if (r->columns < 2 || line_length(text, len) == len)
		return false;
	for (size_t at = 0; at <= len; at++) {
		size_t end = at + line_length(text + at, len - at);
		separators = 0;
		for (; at < end; at++)
			separators += text[at] == r->separator;
		rows |= first >= 0 && separators == last_row;
		first = first < 0 ? separators : first;
		breaks += end < len && !(text[end] == '\n' && end && text[end - 1] == '\r');
	}
	if (!rows && !(first == last_row - r->row.count && separators == r->row.count))
		return false;
	snprintf(r->swallowed, sizeof r->swallowed,
		 "row %lld, line %lld: a quote opens a text that goes on to line %lld, over what "
		 "looks like whole rows: if quotes do not delimit texts in these files, state "
		 "\"quote: none\"; else write the file anew, with quotes in texts doubled",
		 (long long)r->rows, (long long)(r->lines + 1 - breaks), (long long)(r->lines + 1));
	r->stopped = true;
	return true;
}

static void on_field(void *data, size_t len, void *arg)
{
	struct export_reader *r = arg;
	struct export_row *row = &r->row;

	if (r->stopped || (len && swallows_rows(r, data, len)))
		return;
	if (row->count == EXPORT_FIELDS_MAX || len > EXPORT_FIELD_MAX) {
		r->bad = "it has more or longer fields than any row of an export";
		return;
	}
	r->starts[row->count] = r->bytes.len;
	row->lens[row->count++] = len;
	if (!buffer_append(&r->bytes, len ? data : "", len) || !buffer_append(&r->bytes, "", 1)) {
		row->count--;
		r->bad = "it is longer than any row of an export";
	}
}

static void on_row(int end, void *arg)
{
	hand_out(arg, end < 0);
}

/* A piece of one line, at most. */
static void parse_line(struct export_reader *r, const char *data, size_t len)
{
	if (r->skipping || csv_parse(&r->csv, data, len, on_field, on_row, r) == len)
		return;
	/* CSV_EPARSE or a row without end. */
	if (r->csv.entry_pos && swallows_rows(r, (const char *)r->csv.entry_buf, r->csv.entry_pos))
		return;
	r->bad = csv_error(&r->csv) == CSV_EPARSE
		     ? "a quote stands where none can be, or does not close"
		     : "it is longer than any row of an export: a quote does not close";
	hand_out(r, false);
	r->skipping = true;
}

/* Bytes of UTF-8 behind the byte order mark. */
static void parse(struct export_reader *r, const char *data, size_t len)
{
	while (len && !r->stopped) {
		size_t n = line_length(data, len);
		bool ended = n < len;
		n += ended;
		parse_line(r, data, n);
		if (ended && r->skipping) {
			r->skipping = false;
			csv_open(r);
		}
		if (ended && !(n == 1 && *data == '\n' && r->behind_cr))
			r->lines++;
		r->behind_cr = data[n - 1] == '\r';
		data += n;
		len -= n;
	}
}

static char likely_separator(const struct export_reader *r, const char *line, size_t len)
{
	static const char candidates[] = ",;\t|";
	size_t counts[4] = {0}, best = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		const char *c = memchr(candidates, line[i], 4);
		quoted ^= (unsigned char)line[i] == (unsigned)r->format->quote;
		if (c && !quoted)
			counts[c - candidates]++;
	}
	for (size_t i = 1; i < 4; i++)
		if (counts[i] > counts[best])
			best = i;
	return candidates[best];
}

/* The header row is waited for, because it tells the separator. */
static void take_text(struct export_reader *r, const char *data, size_t len)
{
	static const char bom[] = "\xef\xbb\xbf";

	if (r->head_done) {
		parse(r, data, len);
		return;
	}
	buffer_append(&r->head, data, len);
	const char *line = r->head.len ? memchr(r->head.data, '\n', r->head.len) : NULL;
	if (!line && r->head.len < EXPORT_HEADER_MAX && !r->finishing)
		return;
	size_t skip = r->head.len >= 3 && !memcmp(r->head.data, bom, 3) ? 3 : 0;
	size_t header = line ? (size_t)(line - r->head.data) : r->head.len;
	r->separator = r->format->separator
			   ? r->format->separator
			   : likely_separator(r, r->head.data + skip, header - skip);
	r->head_done = true;
	csv_open(r);
	parse(r, r->head.data + skip, r->head.len - skip);
	buffer_free(&r->head);
}

/* ---- bytes ------------------------------------------------------------------------------------ */

static enum export_state broken(struct error *err, const char *reason, const char *text)
{
	error_reject(err, reason, "%s", text);
	return EXPORT_BROKEN;
}

static enum export_state state(const struct export_reader *r, struct error *err)
{
	if (*r->swallowed)
		return broken(err, "bad-file", r->swallowed);
	return r->stopped ? EXPORT_STOPPED : EXPORT_READING;
}

/* A character may be split between two pieces. */
static enum export_state decode(struct export_reader *r, const char *data, size_t len,
				struct error *err)
{
	char in[PIECE + sizeof r->carry], out[2 * PIECE];

	while (len && !r->stopped) {
		size_t n = len < PIECE ? len : PIECE;
		memcpy(in, r->carry, r->carry_len);
		memcpy(in + r->carry_len, data, n);
		char *from = in;
		size_t left = r->carry_len + n;
		data += n;
		len -= n;
		while (left) {
			char *to = out;
			size_t room = sizeof out;
			errno = 0;
			size_t rc = iconv(r->iconv, &from, &left, &to, &room);
			int why = rc == (size_t)-1 ? errno : 0;
			take_text(r, out, (size_t)(to - out));
			if (why == EINVAL && left < sizeof r->carry)
				break;
			if (why && why != E2BIG)
				return broken(err, "bad-encoding",
					      "the file has bytes that its encoding does not have: "
					      "set \"encoding\" to what the workflow writes");
		}
		memcpy(r->carry, from, left);
		r->carry_len = left;
	}
	return state(r, err);
}

static enum export_state plain(struct export_reader *r, const char *data, size_t len,
			       struct error *err)
{
	if (r->iconv != (iconv_t)-1)
		return decode(r, data, len, err);
	take_text(r, data, len);
	return state(r, err);
}

static enum export_state inflate_piece(struct export_reader *r, const unsigned char *data,
				       size_t len, struct error *err)
{
	char out[PIECE];

	r->gz.next_in = (unsigned char *)data;
	r->gz.avail_in = (unsigned)len;
	do {
		if (r->gzip_ended) { /* files laid end to end are one */
			inflateReset(&r->gz);
			r->gzip_ended = false;
		}
		r->gz.next_out = (unsigned char *)out;
		r->gz.avail_out = sizeof out;
		int rc = inflate(&r->gz, Z_NO_FLUSH);
		r->gzip_ended = rc == Z_STREAM_END;
		/* What came out before the damage is good, whatever the pieces were. */
		enum export_state s = plain(r, out, sizeof out - r->gz.avail_out, err);
		if (s != EXPORT_READING)
			return s;
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return broken(err, "bad-gzip", "the file is damaged gzip");
	} while (r->gz.avail_in || !r->gz.avail_out);
	return EXPORT_READING;
}

static enum export_state bytes(struct export_reader *r, const void *data, size_t len,
			       struct error *err)
{
	if (!len)
		return EXPORT_READING;
	return r->is_gzip ? inflate_piece(r, data, len, err) : plain(r, data, len, err);
}

enum export_state export_feed(struct export_reader *r, const void *data, size_t len,
			      struct error *err)
{
	const unsigned char *p = data;

	while (!r->magic_done && len) {
		r->magic[r->magic_len++] = *p++;
		len--;
		if (r->magic_len < 2 && r->magic[0] == 0x1f)
			continue;
		r->magic_done = true;
		r->is_gzip = r->magic_len == 2 && r->magic[0] == 0x1f && r->magic[1] == 0x8b;
		if (r->is_gzip && inflateInit2(&r->gz, 16 + MAX_WBITS) != Z_OK)
			exit(EXIT_TEMPORARY);
		enum export_state s = bytes(r, r->magic, r->magic_len, err);
		if (s != EXPORT_READING)
			return s;
	}
	return r->stopped ? state(r, err) : bytes(r, p, len, err);
}

enum export_state export_finish(struct export_reader *r, bool *cut, struct error *err)
{
	*cut = r->is_gzip && !r->gzip_ended;
	r->finishing = true;
	if (!r->magic_done && r->magic_len)
		take_text(r, (const char *)r->magic, r->magic_len);
	if (!r->head_done)
		take_text(r, "", 0);
	if (r->stopped || r->skipping || !csv_fini(&r->csv, on_field, on_row, r))
		return state(r, err);
	if (!r->csv.entry_pos ||
	    !swallows_rows(r, (const char *)r->csv.entry_buf, r->csv.entry_pos)) {
		r->bad = "the file ends inside a quoted text";
		hand_out(r, true);
	}
	return state(r, err);
}
