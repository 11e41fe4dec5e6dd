/* directory.c - the export directory: what lies there, by SFTP or locally, and what is next. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

#include "arena.h"
#include "json.h"
#include "logs.h"

struct file *directory_file(struct logs *x, const char *name, bool make)
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

void directory_forget(struct logs *x, struct file *f)
{
	HASH_DEL(x->files, f);
	free(f);
}

const struct log_files *directory_kind(const struct logs *x, const char *name)
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
	if (!directory_kind(x, name))
		return;
	struct file *f = directory_file(x, name, true);
	f->listed = true;
	if (f->seen_size != size)
		f->changed = mono_now();
	f->seen_size = size;
}

static bool collect(void *arg, const char *data, size_t len)
{
	return buffer_append(arg, data, len);
}

void directory_download(const struct logs *x, const char *url, struct http_download *d)
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

	directory_download(x, url, &d);
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

enum result directory_next(struct logs *x, struct extract_output *o, struct file **out,
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
		r = f->size >= 0 ? extract_checkpoint(o, f->name, NULL, NULL, err) : OK;
		if (r != OK)
			return r;
		directory_forget(x, f);
	}
	for (f = x->files; f; f = f->hh.next)
		if (!f->done || f->size != f->seen_size) {
			if (mono_now().ms - f->changed.ms >= x->stage->flow->poll_ms)
				*out = f;
			return OK;
		}
	return OK;
}
