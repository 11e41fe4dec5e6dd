/* export_event.h - a row of an export: what it means, as an event.
 *
 * The rules (Adobe, "Confirming the send", "Delivery failures"; v8 "Delivery statuses"):
 *   send     the message was sent, or taken into account by the service provider
 *   bounce   it failed, and hard (soft ones only when the flow says so); reasons that are exclusions
 *            before sending are none
 *   open, click   a tracking log; opt-out and mirror page links only when the flow says so
 * A message is sent once and bounces once, however often its status turns: events are known by the
 * id of the log and their kind.  Test profiles, other channels, and who is no contact are left out
 * and counted.  A code that nobody named rejects the row: nothing is guessed.
 */
#ifndef TIDEWAY_EXPORT_EVENT_H
#define TIDEWAY_EXPORT_EVENT_H

#include "error.h"
#include "export_rows.h"

/* Why nothing came of a row. */
enum export_skip {
	EXPORT_EVENT, /* something did */
	EXPORT_NOT_A_CONTACT,
	EXPORT_TEST_PROFILE,
	EXPORT_OTHER_CHANNEL,
	EXPORT_OTHER_STATUS,
	EXPORT_EXCLUDED,
	EXPORT_SOFT_BOUNCE,
	EXPORT_OTHER_FAILURE,
	EXPORT_OTHER_LINK,
	EXPORT_SKIPS
};
extern const char *const export_skip_names[EXPORT_SKIPS + 1];

/* Where the columns of one file stand. */
struct export_columns {
	const struct log_files *kind;
	bool sending;
	int at[LOG_COLUMNS]; /* index in a row, or -1 */
	int count;
};

struct export_event {
	enum event_kind kind;
	char contact[37]; /* lower case */
	wall_time time;
	const char *texts[LOG_COLUMNS]; /* as exported; "" when there is none */
	const char *url_type;		/* the word of its meaning, of a click or open */
	const char *failure_type;	/* the same, of a bounce */
};

/* From the header row.  REJECT names the columns that are not there, or one that is there twice. */
enum result export_header(const struct flow *f, bool sending, const struct export_row *header,
			  struct export_columns *out, struct error *err);

/* OK and *skip, or REJECT.  Texts of the event are the row's. */
enum result export_event(const struct flow *f, const struct export_columns *c,
			 const struct export_row *row, struct export_event *out,
			 enum export_skip *skip, struct error *err);

/* A time as the flow says that it is written.  REJECT: bad-date, or ambiguous-time when the clock
 * shows it twice or never in the year's change of the zone. */
enum result export_time(const struct export_format *f, const char *text, wall_time *out,
			struct error *err);

/* Which of the two exports a file belongs to, by its name; NULL: neither. */
const struct log_files *export_kind(const struct flow *f, const char *name);

#endif
