/* extract-campaign-logs - sends, opens, clicks and bounces out of Campaign's log exports.
 *
 * Campaign has no bulk log endpoint; the documented route is a workflow that exports sending and
 * tracking logs as files to SFTP.  Exports overlap and rows change (Sent, later Failed), so an
 * event is known by its identity and written once: what is in the topic already is read back at
 * the start of a term.  A file is taken when its size has not changed for a poll; files are
 * taken in the order of their names; the rows done so far are the checkpoint, one key a file.
 *
 * The files are CSV or TAB with a header row, .gz or not; columns are named in the configuration.
 */
#include <csv.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <uthash.h>
#include <zlib.h>

#include "arena.h"
#include "embed.h"
#include "event.h"
#include "extract_loop.h"
#include "json.h"
#include "log.h"
#include "seen.h"

EMBED(checkpoint_campaign_logs_avsc, "schemas/checkpoint-campaign-logs.avsc");
EMBED(email_event_avsc, "schemas/email-event.avsc");

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

/* ---- open and terms --------------------------------------------------------------------------- */

static void logs_close(void *state);

static enum result logs_open(struct stage *s, void **state, const struct record_class **out,
			     struct error *err)
{
	struct logs *x = xcalloc(1, sizeof *x);
	enum result r = record_class_new(&x->event_class, email_event_avsc, err);

	x->stage = s;
	x->connection = &s->config->logs;
	x->encoded = BUFFER(WIRE_VALUE_MAX);
	x->events = seen_new();
	if (r == OK)
		r = record_class_new(&x->checkpoint_class, checkpoint_campaign_logs_avsc, err);
	if (r != OK) {
		logs_close(x);
		return r;
	}
	record_new(&x->event_class, &x->event);
	record_new(&x->checkpoint_class, &x->checkpoint);
	*out = &x->event_class;
	*state = x;
	return OK;
}

static struct file *file_named(struct logs *x, const char *name, bool make)
{
	size_t len = strlen(name);
	struct file *f;

	HASH_FIND(hh, x->files, name, len, f);
	if (f || !make)
		return f;
	f = xcalloc(1, sizeof *f + len + 1);
	memcpy(f->name, name, len + 1);
	f->size = f->seen_size = -1;
	HASH_ADD_KEYPTR(hh, x->files, f->name, len, f);
	return f;
}

static void file_forget(struct logs *x, struct file *f)
{
	HASH_DEL(x->files, f);
	free(f);
}

static void logs_reset(void *state)
{
	struct logs *x = state;
	struct file *f, *next;

	HASH_ITER(hh, x->files, f, next) file_forget(x, f);
	seen_clear(x->events);
}

static enum result logs_restore(void *state, const char *key, const avro_value_t *value,
				struct error *err)
{
	struct logs *x = state;
	struct file *f = file_named(x, key, true);
	int done = 0;

	(void)err;
	if (!value) {
		file_forget(x, f);
		return OK;
	}
	avro_value_t v = record_field(value, CP_SIZE);
	f->size = record_long(&v);
	v = record_field(value, CP_ROWS);
	f->rows = record_long(&v);
	v = record_field(value, CP_DONE);
	avro_value_get_boolean(&v, &done);
	f->done = done;
	return OK;
}

static bool remember_event(void *arg, const rd_kafka_message_t *m)
{
	struct logs *x = arg;
	seen_add(x->events, m->key, m->key_len);
	return true;
}

/* What was written in earlier terms is not written again, whatever the files repeat. */
static enum result logs_begin(void *state, int32_t schema_id, struct error *err)
{
	struct logs *x = state;
	char client[PIPELINE_NAME_MAX + 16];

	x->schema_id = schema_id;
	snprintf(client, sizeof client, "%s.events", x->stage->self->group);
	rd_kafka_t *reader = kafka_reader(x->stage->config, client, err);
	if (!reader)
		return FATAL;
	enum result r =
	    kafka_read_all(reader, x->stage->self->output, 15000, remember_event, x, err);
	rd_kafka_consumer_close(reader);
	rd_kafka_destroy(reader);
	if (r == OK)
		log_info("events known", "count", log_int((int64_t)seen_count(x->events)), NULL);
	return r;
}

/* ---- the directory ---------------------------------------------------------------------------- */

static const struct log_files *kind_of(const struct logs *x, const char *name)
{
	const struct flow *f = x->stage->flow;
	if (f->sending.match && !fnmatch(f->sending.match, name, FNM_PERIOD))
		return &f->sending;
	if (f->tracking.match && !fnmatch(f->tracking.match, name, FNM_PERIOD))
		return &f->tracking;
	return NULL;
}

static void listed(struct logs *x, const char *name, int64_t size)
{
	if (!kind_of(x, name))
		return;
	struct file *f = file_named(x, name, true);
	f->listed = true;
	if (f->seen_size != size)
		f->changed = mono_now();
	f->seen_size = size;
}

static bool collect(void *arg, const char *data, size_t len)
{
	return buffer_append(arg, data, len);
}

static void download_of(const struct logs *x, const char *url, struct http_download *d)
{
	*d = (struct http_download){.url = url,
				    .user = x->connection->user,
				    .password = x->connection->password,
				    .key_file = x->connection->key_file,
				    .known_hosts = x->connection->known_hosts,
				    .timeout_ms = SILENCE_MS};
}

/* A line as OpenSSH words it: -rw-r--r--  1 user group  1234 Nov 24 00:39 name.  The size is the
 * fifth word; the name is what follows the third word behind it. */
static bool parse_line(char *line, const char **name, int64_t *size)
{
	char *at = line;

	for (int word = 0; word < 8; word++) {
		char *begin = at += strspn(at, " ");
		at += strcspn(at, " ");
		if (!*at)
			return false;
		if (word == 4) {
			*at = 0;
			if (!text_to_int(begin, 0, INT64_MAX, size))
				return false;
			*at = ' ';
		}
	}
	*name = at + 1;
	return *line == '-' && **name;
}

static enum result list_sftp(struct logs *x, struct error *err)
{
	struct buffer text = BUFFER(LISTING_MAX);
	_cleanup_(freep) char *url = xasprintf("%s/", x->connection->url);
	struct http_download d;
	size_t files = 0, lines = 0;

	download_of(x, url, &d);
	d.list = d.long_list = true;
	d.sink = collect;
	d.arg = &text;
	enum result r = http_download(x->stage->http, &d, err);
	if (r != OK)
		error_prefix(err, "listing %s", url);
	for (char *line = text.data, *next; r == OK && line && *line; line = next) {
		const char *name;
		int64_t size;
		next = line + strcspn(line, "\r\n");
		if (*next) {
			*next++ = 0;
			next += strspn(next, "\r\n");
		}
		lines += *line == '-';
		if (parse_line(line, &name, &size)) {
			files++;
			listed(x, name, size);
		}
	}
	if (r == OK && lines && !files)
		r = error_config(err, "listing",
				 "%s: the server lists files in a form without sizes that we know",
				 url);
	buffer_free(&text);
	return r;
}

static enum result list_local(struct logs *x, struct error *err)
{
	const char *dir = x->connection->url + strlen("file://");
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return error_retry(err, "listing", "%s: %s", dir, strerror(errno));
	while ((e = readdir(d))) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", dir, e->d_name);
		struct stat st;
		if (!stat(path, &st) && S_ISREG(st.st_mode))
			listed(x, e->d_name, st.st_size);
	}
	closedir(d);
	return OK;
}

static int by_file_name(struct file *a, struct file *b)
{
	return strcmp(a->name, b->name);
}

/* The next file to read, or NULL.  One that still grows holds back those behind it. */
static enum result next_file(struct logs *x, struct extract_output *o, struct file **out,
			     struct error *err)
{
	struct file *f, *next;
	enum result r;

	*out = NULL;
	for (f = x->files; f; f = f->hh.next)
		f->listed = false;
	r = strncmp(x->connection->url, "file://", 7) ? list_sftp(x, err) : list_local(x, err);
	if (r != OK)
		return r;
	HASH_SORT(x->files, by_file_name);
	HASH_ITER(hh, x->files, f, next)
	{
		if (f->listed)
			continue;
		/* Gone from the server: its checkpoint must not stay for ever. */
		r = f->size >= 0 ? extract_checkpoint(o, f->name, NULL, err) : OK;
		if (r != OK)
			return r;
		file_forget(x, f);
	}
	for (f = x->files; f; f = f->hh.next)
		if (!f->done || f->size != f->seen_size) {
			if (mono_now().ms - f->changed.ms >= x->stage->flow->poll_ms)
				*out = f;
			return OK;
		}
	return OK;
}

/* ---- a row ------------------------------------------------------------------------------------ */

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

static const char *field(const struct reading *r, enum log_column c)
{
	return r->columns[c] >= 0 && r->columns[c] < r->field_count ? r->fields[r->columns[c]] : "";
}

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (!strcasecmp(s, *words))
			return true;
	return false;
}

/* Numbers, internal names or English labels.  Numbers 1, 2, 6, 7 and their labels are documented;
 * others are not, so they are quarantined rather than guessed. */
static const char *const status_sent[] = {"1", "sent", "taken into account by the service provider",
					  NULL};
static const char *const status_failed[] = {"2", "failed", NULL};
static const char *const status_nothing[] = {
    "6", "7", "pending", "delivery cancelled", "ignored", "not applicable", NULL};
static const char *const failure_hard[] = {"2", "hard", NULL};
static const char *const failure_other[] = {"", "0", "1", "soft", "ignored", "not defined", NULL};
static const char *const url_click[] = {"1", "email click", NULL};
static const char *const url_open[] = {"2", "open", NULL};
static const char *const url_nothing[] = {"3",	 "4",		"5",	       "6", "opt-out",
					  "web", "transaction", "mirror page", NULL};
static const char *const yes[] = {"1", "true", "yes", NULL};

/* Reasons 7 to 17 and 127 are exclusions before sending, no bounces (Campaign v8, "delivery
 * failures"). */
static bool is_exclusion(const char *reason)
{
	int64_t n;
	return text_to_int(reason, 0, 1000, &n) && ((n >= 7 && n <= 17) || n == 127);
}

static enum result unknown(struct error *err, const char *what)
{
	return error_reject(err, "unknown-code", "a %s that is not known", what);
}

/* OK with *kind EVENT_KINDS: nothing comes of the row. */
static enum result classify(const struct reading *r, enum event_kind *kind, struct error *err)
{
	const char *status = field(r, LOG_STATUS), *type = field(r, LOG_FAILURE_TYPE);
	const char *url = field(r, LOG_URL_TYPE), *channel = field(r, LOG_MESSAGE_TYPE);

	*kind = EVENT_KINDS;
	if (is_one_of(field(r, LOG_TEST), yes))
		return OK;
	if (*channel && strcmp(channel, "0") && strcasecmp(channel, "email"))
		return OK;
	if (!r->sending) {
		if (is_one_of(url, url_open))
			*kind = EVENT_OPEN;
		else if (is_one_of(url, url_click))
			*kind = EVENT_CLICK;
		else if (!is_one_of(url, url_nothing))
			return unknown(err, "URL type");
		return OK;
	}
	if (is_one_of(status, status_sent))
		*kind = EVENT_SEND;
	else if (is_one_of(status, status_failed)) {
		if (is_exclusion(field(r, LOG_FAILURE_REASON)))
			return OK;
		if (is_one_of(type, failure_hard))
			*kind = EVENT_BOUNCE;
		else if (!is_one_of(type, failure_other))
			return unknown(err, "failure type");
	} else if (!is_one_of(status, status_nothing)) {
		return unknown(err, "status");
	}
	return OK;
}

static void put(avro_value_t *event, size_t i, const char *text)
{
	avro_value_t f = record_field(event, i);
	if (!*text && avro_value_get_type(&f) == AVRO_UNION) {
		record_set_null(&f);
		return;
	}
	avro_value_t some = record_set_some(&f);
	record_set_text(&some, text, strlen(text));
}

static enum result emit(struct reading *r, enum event_kind kind, const char *contact,
			wall_time time, struct error *err)
{
	struct logs *x = r->x;
	_cleanup_(freep) char *id = xasprintf("%s|%s|%s", x->connection->instance,
					      event_kind_names[kind], field(r, LOG_ID));
	avro_value_t f;
	enum result result;

	if (seen_has(x->events, id, strlen(id))) {
		x->repeated++;
		return OK;
	}
	avro_value_reset(&x->event);
	f = record_field(&x->event, EVENT_F_KIND);
	avro_value_set_enum(&f, (int)kind);
	put(&x->event, EVENT_F_ID, id);
	put(&x->event, EVENT_F_INSTANCE, x->connection->instance);
	f = record_field(&x->event, EVENT_F_TIME);
	avro_value_set_long(&f, time.ms);
	put(&x->event, EVENT_F_CONTACT, contact);
	put(&x->event, EVENT_F_BROADLOG, field(r, r->sending ? LOG_ID : LOG_BROADLOG_ID));
	put(&x->event, EVENT_F_DELIVERY, field(r, LOG_DELIVERY));
	put(&x->event, EVENT_F_DELIVERY_LABEL, field(r, LOG_DELIVERY_LABEL));
	put(&x->event, EVENT_F_CAMPAIGN, field(r, LOG_CAMPAIGN));
	put(&x->event, EVENT_F_CAMPAIGN_LABEL, field(r, LOG_CAMPAIGN_LABEL));
	put(&x->event, EVENT_F_URL, kind == EVENT_CLICK ? field(r, LOG_URL) : "");
	put(&x->event, EVENT_F_FAILURE_REASON,
	    kind == EVENT_BOUNCE ? field(r, LOG_FAILURE_REASON) : "");
	put(&x->event, EVENT_F_FILE, r->file->name);
	f = record_field(&x->event, EVENT_F_LINE);
	avro_value_set_long(&f, r->row);
	f = record_field(&x->event, EVENT_F_OBSERVED_AT);
	avro_value_set_long(&f, r->now.ms);
	result = wire_encode(x->schema_id, &x->event, &x->encoded, err);
	if (result == OK)
		result = extract_emit(r->o, id, x->encoded.data, x->encoded.len, time, r->now, err);
	if (result == OK) {
		seen_add(x->events, id, strlen(id));
		x->emitted++;
	}
	return result;
}

/* OK, REJECT (the row is a dead letter) or FATAL. */
static enum result take_row(struct reading *r, struct error *err)
{
	const char *contact = field(r, LOG_CONTACT), *time_text = field(r, LOG_TIME);
	enum event_kind kind;
	char lower[37];
	wall_time time;

	if (r->too_many || r->field_count != r->column_count)
		return error_reject(err, "bad-row", "the row has %d fields, the header %d",
				    r->field_count, r->column_count);
	for (int i = 0; i < r->field_count; i++)
		if (!text_is_utf8(r->fields[i], strlen(r->fields[i])))
			return error_reject(err, "bad-row", "field %d is not UTF-8", i + 1);
	enum result result = classify(r, &kind, err);
	if (result != OK)
		return result;
	if (kind == EVENT_KINDS) {
		r->x->left_out++;
		return OK;
	}
	if (!text_is_guid(contact)) { /* a profile that never came from Dynamics */
		r->x->not_a_contact++;
		return OK;
	}
	for (int i = 0; i < 37; i++)
		lower[i] =
		    (char)(contact[i] >= 'A' && contact[i] <= 'F' ? contact[i] + 32 : contact[i]);
	if (!*field(r, LOG_ID) || strlen(field(r, LOG_ID)) > 100)
		return error_reject(err, "bad-row", "the row has no usable id");
	if (!datetime_parse(time_text, strlen(time_text), true, &time))
		return error_reject(err, "bad-date",
				    "the time is not like 2026-01-31 12:00:00.000Z: export it in "
				    "ISO form with its zone");
	return emit(r, kind, lower, time, err);
}

/* ---- a file ----------------------------------------------------------------------------------- */

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
	enum result result = extract_checkpoint(r->o, r->file->name, &x->checkpoint, err);
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
			enum result result = take_row(r, &err);
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

static enum result read_file(struct logs *x, struct extract_output *o, struct file *f,
			     struct error *err)
{
	struct reading r = {.x = x,
			    .o = o,
			    .file = f,
			    .kind = kind_of(x, f->name),
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
	download_of(x, url.data, &d);
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

static enum result logs_step(void *state, struct extract_output *o, int64_t *wait_ms,
			     struct error *err)
{
	struct logs *x = state;
	struct file *f;
	enum result r = next_file(x, o, &f, err);

	*wait_ms = x->stage->flow->poll_ms;
	if (r != OK || !f)
		return r;
	r = read_file(x, o, f, err);
	if (r == OK)
		*wait_ms = 0;
	return r;
}

static void logs_close(void *state)
{
	struct logs *x = state;

	logs_reset(x);
	seen_free(x->events);
	if (x->event.self)
		avro_value_decref(&x->event);
	if (x->checkpoint.self)
		avro_value_decref(&x->checkpoint);
	record_class_free(&x->event_class);
	record_class_free(&x->checkpoint_class);
	buffer_free(&x->encoded);
	free(x);
}

static const struct extractor logs_extractor = {
    .program = "extract-campaign-logs",
    .synopsis = "Reads the sending and tracking logs that a Campaign workflow exports as files\n"
		"(SFTP or a local directory) and writes sends, opens, clicks and bounces to\n"
		"<name>.campaign.email-event, each once. Of several processes of a flow one\n"
		"works, the others stand by.",
    .checkpoint_schema = checkpoint_campaign_logs_avsc,
    .open = logs_open,
    .reset = logs_reset,
    .restore = logs_restore,
    .begin = logs_begin,
    .step = logs_step,
    .close = logs_close,
};

int main(int argc, char **argv)
{
	return extract_main(argc, argv, &logs_extractor);
}
