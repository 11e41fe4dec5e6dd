/* mark.h - what a loader writes beside each committed offset.  Pure.
 *
 * Kafka keeps a text with every committed offset, and hands both to the next owner of the
 * partition at once.  So the two can never disagree, and no topic of our own is needed for it:
 *
 *   ahead    the owner may have sent any record below this offset.  It sends none at or above it
 *            before a commit has moved it.  ahead <= offset: nothing was out, the take-over is
 *            clean; else the next owner first reads up to ahead, and then writes the last version
 *            of each key, so that an older version never lands on a newer one
 *   oldest   time of the oldest record that may have been out: when it is older than the
 *            compaction lag, the record itself may be gone
 *   force    records below are written although the hash says unchanged
 *   sweep    a complete replay from `from`: at `end` what it did not meet is deleted, at most
 *            `max` keys (0: one in a hundred, at least 100)
 *   waiting  records that wait for their parent
 *   day      rows and requests that were sent on that day, where their number is limited
 *   counts   what was done with this partition's records: in all, in this hour
 */
#ifndef TIDEWAY_MARK_H
#define TIDEWAY_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_count {
	COUNT_CREATED,
	COUNT_UPDATED,
	COUNT_DELETED,
	COUNT_UNCHANGED,
	COUNT_OLDER,
	COUNT_COALESCED,
	COUNT_PARKED,
	COUNT_REJECTED,
	COUNT_CALLS,
	LOAD_COUNTS
};
extern const char *const load_count_names[LOAD_COUNTS + 1];

struct mark {
	bool known; /* false: there was no text, or not one of ours */
	int64_t ahead, oldest_ms, force;
	int64_t sweep_from, sweep_end, sweep_max; /* sweep_end: one more than the end; 0: none */
	int64_t waiting;
	int64_t hour; /* hours since 1970 */
	int64_t day;  /* days since 1970, of the two below */
	int64_t rows_in_day, calls_in_day;
	int64_t total[LOAD_COUNTS], in_hour[LOAD_COUNTS];
};

enum { MARK_TEXT_MAX = 1000 };

/* Never fails: what cannot be read is a mark that is not known. */
struct mark mark_parse(const char *text, size_t len);
size_t mark_format(const struct mark *m, char out[MARK_TEXT_MAX]);

/* One more on that day, for rows_per_day and max_requests_per_day. */
void mark_row(struct mark *m, int64_t day);
/* It was not written after all. */
void mark_row_back(struct mark *m, int64_t day);
void mark_call(struct mark *m, int64_t day);
/* Counts n in both sets; those of the hour start again with a new one. */
void mark_count(struct mark *m, enum load_count what, int64_t n, int64_t now_ms);

#endif
