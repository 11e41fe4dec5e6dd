/* json.h - two habits on top of cJSON: numbers kept as they were written, and members asked for
 * by type.
 *
 * cJSON stores numbers as double, which destroys money (922337203685477.5807) and 64-bit row
 * versions.  json_parse_exact() hands cJSON a copy of the text in which every number stands in
 * quotes, so that each arrives as the string the server wrote.
 */
#ifndef TIDEWAY_JSON_H
#define TIDEWAY_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "buffer.h"

/* NULL when the text is no JSON, has a NUL, or does not fit into scratch.  The caller deletes the
 * tree; scratch may be reused at once.  An escaped NUL in a string becomes U+FFFD: C texts end at
 * it, and the rest must not be lost. */
cJSON *json_parse_exact(struct buffer *scratch, const char *text, size_t len);
/* The same, with all of the tree in an arena: a page of 5000 rows is 300,000 nodes.  It goes with the
 * arena; cJSON_Delete must not see it. */
cJSON *json_parse_exact_in(struct arena *a, struct buffer *scratch, const char *text, size_t len);
/* Of our own making, and without arrays: numbers are cJSON_Raw, so that they are printed as they were
 * written. */
cJSON *json_parse_raw(const char *text);

/* Plain cJSON for answers in which no number needs more than a double; the same refusals. */
cJSON *json_parse(const char *text, size_t len);

/* A member that is a non-null string, else NULL. */
const char *json_string(const cJSON *object, const char *name);
/* A number, or a string that is a whole number. */
bool json_int(const cJSON *object, const char *name, int64_t *out);
bool json_is_true(const cJSON *object, const char *name);

/* Strict conversions of a whole text. */
bool text_to_int(const char *s, int64_t min, int64_t max, int64_t *out);
bool text_to_double(const char *s, double *out); /* finite only */
bool text_is_decimal(const char *s);		 /* -?digits[.digits], no exponent */
bool text_is_guid(const char *s);		 /* 8-4-4-4-12, any case, no braces */
/* In small letters, as keys of topics have it; false, and out as it was, when it is none. */
bool text_lower_guid(const char *s, char out[37]);
bool text_is_utf8(const char *s, size_t len); /* well-formed, without NUL */
size_t utf8_length(const char *s);	      /* code points */
/* A copy, malloc'ed, with U+FFFD for bytes that are no UTF-8: of file names and the environment, which
 * may hold any, and JSON may not. */
char *utf8_replaced(const char *s);

#endif
