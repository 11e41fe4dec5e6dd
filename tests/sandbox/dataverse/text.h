/* text.h - a text that grows: answers and SQL are put together in it, without a tree in between. */
#ifndef SANDBOX_DATAVERSE_TEXT_H
#define SANDBOX_DATAVERSE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* data is NULL until something was put; always NUL terminated behind len bytes.  The owner frees
 * data, or hands it to a reply. */
struct text {
	char *data;
	size_t len, cap;
};

void text_put(struct text *t, const char *s, size_t n);
void text_puts(struct text *t, const char *s);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes. */
void text_json(struct text *t, const char *s);
/* Text of an XML attribute or element. */
void text_xml(struct text *t, const char *s);
/* "what" or "", never NULL: what data is when nothing was put. */
const char *text_string(const struct text *t);

#endif
