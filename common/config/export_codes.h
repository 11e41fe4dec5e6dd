/* export_codes.h - what the enumerations of Campaign's log exports mean.
 *
 * A column may hold numbers, internal names or labels in the language of whoever set the workflow
 * up.  Known by themselves are only what Adobe documents: the numbers of the reports' formulas and
 * of "Delivery failures", and the English labels.  Others are named in the configuration
 * (files.values); what nobody named is never guessed.
 *
 * Facts: "Indicator calculation" (status 1 and 2, failureType 1 and 2, url type 1 to 6), "Database
 * cleanup workflow" (status 6 and 7), "Delivery failures" (failureReason), "Delivery" data model
 * (messageType).
 */
#ifndef TIDEWAY_EXPORT_CODES_H
#define TIDEWAY_EXPORT_CODES_H

#include <stdbool.h>
#include <stddef.h>

#include "flow.h"

enum export_enumeration {
	EXPORT_STATUS,
	EXPORT_FAILURE_TYPE,
	EXPORT_FAILURE_REASON,
	EXPORT_URL_TYPE,
	EXPORT_MESSAGE_TYPE,
	EXPORT_TEST,
};
extern const char *const export_enumeration_names[EXPORT_ENUMERATIONS + 1];

/* Meanings, each with its word in the configuration. */
enum { STATUS_SENT, STATUS_FAILED, STATUS_OTHER };
enum { FAILURE_HARD, FAILURE_SOFT, FAILURE_OTHER };
enum { REASON_BOUNCE, REASON_EXCLUSION };
enum { URL_CLICK, URL_OPEN, URL_OPT_OUT, URL_MIRROR_PAGE, URL_OTHER };
enum { MESSAGE_EMAIL, MESSAGE_OTHER };
enum { TEST_NO, TEST_YES };

/* The meaning of a word, or -1. */
int export_meaning_of(enum export_enumeration e, const char *word);
const char *export_meaning_word(enum export_enumeration e, int meaning);
/* "sent, failed, other", into out; returns out. */
const char *export_meanings(enum export_enumeration e, char *out, size_t size);

/* What a text of a file means: the configuration first, then what is documented; -1: nobody knows.
 * Letters of any case. */
int export_meaning(const struct export_format *f, enum export_enumeration e, const char *text);

#endif
