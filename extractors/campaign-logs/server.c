/* server.c - the server where the exports lie: listing, moving, deleting, by SFTP or locally. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "listing.h"
#include "logs.h"

bool server_is_local(const struct logs *x)
{
	return !strncmp(x->connection->url, "file://", 7);
}

char *server_path(const struct logs *x)
{
	const char *path = strchr(strstr(x->connection->url, "://") + 3, '/');

	/* "/~/" is the user's home, where an SFTP server begins. */
	path = !path ? "/" : !server_is_local(x) && !strncmp(path, "/~/", 3) ? path + 3 : path;
	char *plain = xstrdup(path);
	http_unescape(plain);
	return plain;
}

void server_download(const struct logs *x, const char *url, struct http_download *d)
{
	*d = (struct http_download){.url = url,
				    .user = x->connection->user,
				    .password = x->connection->password,
				    .key_file = x->connection->key_file,
				    .known_hosts = x->connection->known_hosts,
				    .timeout_ms = SILENCE_MS};
}

/* ---- listing ---------------------------------------------------------------------------------- */

static bool collect(void *arg, const char *data, size_t len)
{
	return buffer_append(arg, data, len);
}

static enum result list_sftp(struct logs *x, struct error *err)
{
	struct buffer text = BUFFER(LISTING_MAX);
	_cleanup_(freep) char *url = xasprintf("%s/", x->connection->url);
	struct http_download d;
	size_t files = 0, lines = 0;

	server_download(x, url, &d);
	d.list = d.long_list = true;
	d.sink = collect;
	d.arg = &text;
	enum result r = http_download(x->stage->http, &d, err);
	if (r != OK)
		error_prefix(err, "listing %s", url);
	for (char *line = text.data, *next; r == OK && line && *line; line = next) {
		struct listing_file f;
		next = line + strcspn(line, "\r\n");
		if (*next) {
			*next++ = 0;
			next += strspn(next, "\r\n");
		}
		lines += *line == '-';
		if (listing_parse(line, &f)) {
			files++;
			directory_listed(x, f.name, f.size, f.stamp);
		}
	}
	if (r == OK && lines && !files)
		r = error_config(err, "listing",
				 "%s: the server lists files in a form without sizes that we know",
				 url);
	buffer_free(&text);
	return r;
}

static bool look_local(const char *path, int64_t *size, char stamp[STAMP_MAX])
{
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return false;
	*size = st.st_size;
	snprintf(stamp, STAMP_MAX, "%lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return true;
}

static enum result list_local(struct logs *x, struct error *err)
{
	const char *dir = x->path;
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return error_retry(err, "listing", "%s: %s", dir, strerror(errno));
	while ((e = readdir(d))) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", dir, e->d_name);
		char stamp[STAMP_MAX];
		int64_t size;
		if (look_local(path, &size, stamp))
			directory_listed(x, e->d_name, size, stamp);
	}
	closedir(d);
	return OK;
}

enum result server_list(struct logs *x, struct error *err)
{
	return server_is_local(x) ? list_local(x, err) : list_sftp(x, err);
}

/* ---- moving and deleting ---------------------------------------------------------------------- */

static void put_quoted(struct buffer *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buffer_puts(out, "\\");
		buffer_append(out, s, 1);
	}
}

/* The path of a file in libcurl's quote commands. */
static void put_path(const struct logs *x, struct buffer *out, const char *folder, const char *name)
{
	buffer_puts(out, "\"");
	put_quoted(out, x->path);
	buffer_puts(out, "/");
	put_quoted(out, folder);
	buffer_puts(out, *folder && *name ? "/" : "");
	put_quoted(out, name);
	buffer_puts(out, "\"");
}

static enum result run_commands(struct logs *x, const char *first, const char *second,
				struct error *err)
{
	_cleanup_(freep) char *url = xasprintf("%s/", x->connection->url);
	struct http_download d;

	server_download(x, url, &d);
	d.sink = collect;
	d.commands[0] = first;
	d.commands[1] = second;
	return http_download(x->stage->http, &d, err);
}

bool server_is_unchanged(const struct logs *x, const struct file *f)
{
	char stamp[STAMP_MAX];
	int64_t size;

	/* SFTP has no such question for one file but the listing of all. */
	if (!server_is_local(x))
		return true;
	_cleanup_(freep) char *path = xasprintf("%s/%s", x->path, f->name);
	return look_local(path, &size, stamp) && size == f->seen_size &&
	       !strcmp(stamp, f->seen_stamp);
}

enum result server_delete(struct logs *x, const char *name, struct error *err)
{
	struct buffer command = BUFFER(8192);

	if (server_is_local(x)) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", x->path, name);
		return unlink(path) ? error_retry(err, "delete", "%s: %s", path, strerror(errno))
				    : OK;
	}
	buffer_puts(&command, "rm ");
	put_path(x, &command, "", name);
	enum result r = run_commands(x, command.data, NULL, err);
	buffer_free(&command);
	return r;
}

static enum result move_local(const struct logs *x, const char *name, const char *folder,
			      const char *to, struct error *err)
{
	_cleanup_(freep) char *dir = xasprintf("%s/%s", x->path, folder);
	_cleanup_(freep) char *old = xasprintf("%s/%s", x->path, name);
	_cleanup_(freep) char *new = xasprintf("%s/%s", dir, to);

	mkdir(dir, 0777);
	if (access(new, F_OK) && !rename(old, new))
		return OK;
	return error_retry(err, "move", "%s: %s", new, strerror(errno));
}

static enum result move_sftp(struct logs *x, const char *name, const char *folder, const char *to,
			     struct error *err)
{
	struct buffer make = BUFFER(8192), rename = BUFFER(16384);

	buffer_puts(&make, "*mkdir "); /* the star: a failure is none */
	put_path(x, &make, folder, "");
	buffer_puts(&rename, "rename ");
	put_path(x, &rename, "", name);
	buffer_puts(&rename, " ");
	put_path(x, &rename, folder, to);
	enum result r = run_commands(x, make.data, rename.data, err);
	buffer_free(&make);
	buffer_free(&rename);
	return r;
}

enum result server_move(struct logs *x, const char *name, const char *folder, struct error *err)
{
	_cleanup_(freep) char *other = xasprintf("%s.%lld", name, (long long)wall_now().ms);
	enum result r = OK;

	for (int i = 0; i < 2; i++) {
		const char *to = i ? other : name;
		r = server_is_local(x) ? move_local(x, name, folder, to, err)
				       : move_sftp(x, name, folder, to, err);
		if (r == OK)
			break;
	}
	return r;
}
