/* error.h - the one result of everything that touches a record or the outside.
 *
 * The classification is made once, where the cause is known (a client that reads an answer, a
 * mapping that meets a bad value), and travels unchanged to the loop, which alone decides what
 * follows: wait, write a dead letter, commit, or end.
 *
 *   OK      done
 *   RETRY   the same input may work later, not before error.not_before
 *   REJECT  this record is bad: a dead letter, then go on
 *   FATAL   going on is pointless (configuration, credentials, a bug): end with error.exit_code
 *
 * REJECT and RETRY never share a path: a target that is down fills no dead-letter topic, and a
 * poisonous record stops no partition.
 */
#ifndef TIDEWAY_ERROR_H
#define TIDEWAY_ERROR_H

#include <stddef.h>

#include "clock.h"

enum result { OK = 0, RETRY, REJECT, FATAL };

/* Exit codes of every program, s6's convention: 0 asked to stop. */
enum {
	EXIT_OK = 0,
	EXIT_PERMANENT = 100, /* usage, configuration, incompatible schema: do not restart me */
	EXIT_TEMPORARY = 111, /* the world around me: restart me */
};

/* Filled once where the cause is known.  Plain data; the caller supplies it and owns nothing. */
struct error {
	char reason[48]; /* stable word for metrics and headers: "http-503", "too-long" */
	char text[600];	 /* lower case, factual, one line, no record contents */
	mono_time
	    not_before; /* with RETRY: earliest time to try again; 0 when it does not matter */
	int exit_code;	/* with FATAL: EXIT_PERMANENT or EXIT_TEMPORARY */
};

/* Set err (which may be NULL) and return the result named, so that `return error_retry(...)`
 * reads as what it is.  text is a printf format; newlines and control characters become blanks. */
enum result error_retry(struct error *err, const char *reason, const char *text, ...)
    __attribute__((format(printf, 3, 4)));
enum result error_reject(struct error *err, const char *reason, const char *text, ...)
    __attribute__((format(printf, 3, 4)));
/* FATAL that a restart does not heal: exit 100. */
enum result error_config(struct error *err, const char *reason, const char *text, ...)
    __attribute__((format(printf, 3, 4)));
/* FATAL that a restart may heal: exit 111. */
enum result error_restart(struct error *err, const char *reason, const char *text, ...)
    __attribute__((format(printf, 3, 4)));

/* Rewrites the text of err with something in front: "where: text". */
void error_prefix(struct error *err, const char *where, ...) __attribute__((format(printf, 2, 3)));

const char *result_name(enum result r);

/* Replaces what stands in quotes ('..', "..") or parentheses by "..." : error texts of both
 * products may quote personal data, `Key (semail)=(x@y)`.  Also anything that looks like an
 * e-mail address.  Writes at most size bytes with a NUL; returns out. */
char *redact(char *out, size_t size, const char *text, size_t len);

#endif
