/* convert_text.h - what the conversions do to texts; all of them well-formed UTF-8, in and out. */
#ifndef TIDEWAY_CONVERT_TEXT_H
#define TIDEWAY_CONVERT_TEXT_H

#include "scalar.h"

/* Without blanks of any script at both ends: no-break, wide and zero width ones are blanks, too. */
const char *text_trim(const char *s, struct arena *a);
/* One character to one, by Unicode's simple mapping, whatever the locale: ß stays ß. */
const char *text_lower(const char *s, struct arena *a);
const char *text_upper(const char *s, struct arena *a);
/* The first n characters (code points). */
const char *text_first(const char *s, size_t n, struct arena *a);

/* A telephone number as Campaign dials it: "+" and digits, digits alone without a prefix that is
 * known. 00 is +; a letter behind it ends it (an extension); "(0)" in an international number goes. */
const char *text_digits(const char *s, const char *prefix, bool keep_zero, struct arena *a);

/* A number with so many decimals, half away from zero, exactly where the number is exact. */
const char *text_decimals(const struct scalar *s, unsigned decimals, struct arena *a);
/* "1234567.50" as "1.234.567,50". */
const char *text_grouped(const char *number, const char *point, const char *group, struct arena *a);

#endif
