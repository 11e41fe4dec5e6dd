/* document.h - reading the configuration so that every mistake has a file, a line and a column.
 *
 * libyaml's document API parses; its marks survive, so mistakes found later (a field that does
 * not exist, a type that does not convert) still point into the file.  Mistakes are collected,
 * not thrown: a user sees all of them in one run.
 */
#ifndef TIDEWAY_DOCUMENT_H
#define TIDEWAY_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"

/* Where something stands; file belongs to the document. Line and column count from 1; line 0
 * means the file as a whole. */
struct place {
	const char *file;
	int line, column;
};

struct problem {
	struct place at;
	char *text;
};

/* All mistakes found so far. */
struct problems {
	struct problem *items;
	size_t count;
};

enum { PROBLEMS_MAX = 200 }; /* further ones are counted as one line "and more" */

void problem(struct problems *p, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "file:line:column: text" for the i-th; malloc'ed. */
char *problem_text(const struct problems *p, size_t i);
/* Gives one that has no place another. */
void problem_move(struct problem *p, struct place at);
void problems_free(struct problems *p);

struct document;

/* A node; a zero node means "not there". */
struct node {
	struct document *doc;
	int index;
};

enum { DOC_FILE_MAX = 1 << 20, DOC_DEPTH_MAX = 32 };

/* Reads a file whole.  NULL and a problem when it cannot be read or is no YAML.  Anchors and
 * aliases are refused: they make a small file large. */
struct document *doc_load(const char *path, struct problems *problems);
struct document *doc_load_text(const char *name, const char *text, size_t len,
			       struct problems *problems);
void doc_free(struct document *doc);
/* Lays a second document over the first, once: mappings are merged key by key, anything else
 * replaces what stands there. Places keep naming the file they are from. over can be freed. */
void doc_overlay(struct document *doc, struct document *over, struct problems *problems);
struct node doc_root(struct document *doc);

static inline bool doc_there(struct node n)
{
	return n.doc && n.index;
}

enum doc_kind { DOC_NONE, DOC_SCALAR, DOC_LIST, DOC_MAP };
enum doc_kind doc_kind(struct node n);
struct place doc_place(struct node n);

/* Scalars belong to the document. NULL when n is no scalar. A plain ~ or null (Null, NULL) is doc_is_null. */
const char *doc_text(struct node n);
bool doc_is_null(struct node n);

size_t doc_count(struct node n);		/* entries of a list or map */
struct node doc_item(struct node n, size_t i);	/* i-th of a list */
struct node doc_key(struct node n, size_t i);	/* i-th key of a map */
struct node doc_value(struct node n, size_t i); /* i-th value of a map */
struct node doc_get(struct node map, const char *key);

/* Reports keys of a map that are not in the NULL-ended list, and keys given twice. */
void doc_only(struct node map, struct problems *p, const char *what, const char *const *known);

/* Typed members.  A wrong type is a problem and yields the fallback. */
const char *doc_string(struct node map, const char *key, const char *fallback, struct problems *p);
const char *doc_required(struct node map, const char *key, const char *what,
			 struct problems *p); /* never NULL: "" after the problem */
int64_t doc_int(struct node map, const char *key, int64_t fallback, int64_t min, int64_t max,
		struct problems *p);
/* "500ms", "30s", "5m", "2h", "30d" in milliseconds. */
int64_t doc_duration(struct node map, const char *key, int64_t fallback_ms, int64_t min_ms,
		     int64_t max_ms, struct problems *p);
/* One of the NULL-ended names; returns its index. */
int doc_choice(struct node map, const char *key, int fallback, const char *const *names,
	       struct problems *p);
bool doc_flag(struct node map, const char *key, bool fallback, struct problems *p);

/* A node in YAML's flow form, on one line: "{from: a, values: {1: x}}", to show or to compare. */
void doc_flow_text(struct node n, struct buffer *out);

#endif
