/* directory.c - the files that are known: what is next, what is done, what is gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "log.h"
#include "logs.h"

enum { PROCESSED_AT_ONCE = 100 };

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

void directory_listed(struct logs *x, const char *name, int64_t size, const char *stamp)
{
	if (!export_kind(x->flow, name))
		return;
	struct file *f = directory_file(x, name, true);
	f->listed = true;
	if (f->seen_size == size && !strcmp(f->seen_stamp, stamp))
		return;
	f->changed = mono_now();
	f->kept = false;
	f->seen_size = size;
	snprintf(f->seen_stamp, sizeof f->seen_stamp, "%s", stamp);
}

static int by_file_name(struct file *a, struct file *b)
{
	return strcmp(a->name, b->name);
}

static bool is_finished(const struct file *f)
{
	return f->done && f->size == f->seen_size && !strcmp(f->stamp, f->seen_stamp);
}

/* What is not complete stays: its uploader goes on, or somebody has to look at it. */
static bool may_go(struct file *f)
{
	if (!is_finished(f) || f->stuck)
		return false;
	if (!f->complete && !f->refused && !f->kept) {
		f->kept = true;
		log_info("a file stays: it is empty, cut off, or has rows that are dead letters",
			 "file", f->name, NULL);
	}
	return f->complete;
}

/* What is complete and lies there unchanged. */
static enum result put_away(struct logs *x, struct extract_output *o, struct error *fatal)
{
	const struct export_format *e = &x->flow->exports;
	struct file *f, *next;
	enum result result = OK;
	int n = 0;

	if (e->processed == PROCESSED_LEAVE)
		return OK;
	for (f = x->files; f && n < PROCESSED_AT_ONCE && result == OK; f = next) {
		struct error err;
		next = f->hh.next;
		if (!may_go(f) || !server_is_unchanged(x, f))
			continue;
		n++;
		enum result r = e->processed == PROCESSED_DELETE
				    ? server_delete(x, f->name, &err)
				    : server_move(x, f->name, e->processed_folder, &err);
		/* Not worth stopping for: nothing is read twice.  Said once, tried again by the
		 * next process. */
		f->stuck = r != OK;
		if (r != OK) {
			log_warn("a file that is done stays", "file", f->name, "error", err.text,
				 NULL);
			continue;
		}
		/* Forgotten at once: the next file of that name may look just like it. */
		result = extract_checkpoint(o, f->name, NULL, NULL, fatal);
		directory_forget(x, f);
	}
	return result;
}

static enum result look(struct logs *x, struct extract_output *o, struct error *err)
{
	struct file *f, *next;

	for (f = x->files; f; f = f->hh.next)
		f->listed = f->passed_over = false;
	enum result r = server_list(x, err);
	if (r != OK)
		return r;
	x->listed_at = mono_now();
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
	return put_away(x, o, err);
}

enum result directory_next(struct logs *x, struct extract_output *o, struct file **out,
			   struct error *err)
{
	bool fresh = x->listed_at.ms && mono_now().ms - x->listed_at.ms < x->flow->poll_ms;
	enum result r = fresh ? OK : look(x, o, err);

	*out = NULL;
	for (struct file *f = x->files; r == OK && f; f = f->hh.next)
		if (!is_finished(f) && !f->passed_over) {
			if (mono_now().ms - f->changed.ms >= x->flow->poll_ms)
				*out = f;
			return OK;
		}
	return r;
}
