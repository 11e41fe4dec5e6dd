/* log.h - logfmt on stderr, one line a call.  Programs and loops log; libraries never do.
 *
 *   log_info("committed", "topic", "tideway.crm.contact", "offset", log_int(n), NULL);
 *
 * The message is lower case and constant; what varies goes into pairs.  No record contents and no
 * personal data: keys appear as log_key(), a short hash.
 */
#ifndef TIDEWAY_LOG_H
#define TIDEWAY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Set once in main: lines below the level are dropped; program and flow stand in every line. */
void log_setup(enum log_level level, const char *program, const char *flow);
bool log_level_parse(const char *s, enum log_level *out);

/* Pairs of name and value, both const char *, ended by NULL. A NULL value prints as "". */
void log_line(enum log_level level, const char *msg, ...) __attribute__((sentinel));
/* The same with numbers. */
void log_numbers(enum log_level level, const char *msg, const char *const *names,
		 const int64_t *values, size_t count);
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

/* Texts for values; each call uses one of 16 static slots, enough for one line. */
const char *log_int(int64_t n);
const char *log_key(const void *key, size_t len); /* 8 hex digits of XXH64 */

#endif
