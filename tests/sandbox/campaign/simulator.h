/* simulator.h - what the parts of the delivery simulator share.
 *
 *   delivery.c  POST /_sandbox/deliver: who gets a message and what becomes of it
 *   advance.c   POST /_sandbox/advance: the clock moves, and what is due happens
 *   logs.c      the tables of messages, reactions and what is due; profiles to begin with
 *   events.c    GET /_sandbox/events: the truth
 *   export.c    POST /_sandbox/export: which rows go into which files
 *   rows.c      which column comes from where
 *   format.c    how a file is written: columns, values, dates, encodings
 *
 * Everything random comes from the seed and the number of the delivery or message, so that it does
 * not depend on the order of calls; every time is one of the sandbox's clock.
 */
#ifndef SANDBOX_CAMPAIGN_SIMULATOR_H
#define SANDBOX_CAMPAIGN_SIMULATOR_H

#include <zlib.h>

#include "api.h"

enum { SEND, OPEN, CLICK, BOUNCE, KINDS };
extern const char *const event_kinds[KINDS];

/* Status of a message; type of a tracked link. "Understanding delivery failures", "Indicator
 * calculation". 3 is only seen: taken into account by the service provider. */
enum { SENT = 1, FAILED = 2, TAKEN = 3 };
enum { URL_CLICK = 1, URL_OPEN = 2, URL_OPT_OUT = 3, URL_MIRROR = 6 };

/* What is due at a message's time. */
enum due { DUE_HARD, DUE_SOFT, DUE_SENT, DUE_OPEN, DUE_CLICK };

struct message {
	int64_t id, delivery, profile;
	const char *external, *address;
	int status, failure, reason, test;
	int64_t event_ms, modified_ms;
};

void simulator_open(struct campaign *c);
void simulator_deliver(struct campaign *c, const struct request *req, struct reply *rep);
void simulator_advance(struct campaign *c, const struct request *req, struct reply *rep);
void simulator_export(struct campaign *c, const struct request *req, struct reply *rep);
void simulator_events(struct campaign *c, const struct request *req, struct reply *rep);
/* Profiles that never came from Dynamics. */
void simulator_profiles(struct campaign *c, long n);

/* What happened, as /_sandbox/events tells it. */
void event_add(struct campaign *c, int kind, int64_t log, int64_t message, int64_t ms,
	       const char *url);
/* {"send":n, ..} of the events with a rowid behind `after`; of_contacts: with a GUID only. */
cJSON *event_counts(struct campaign *c, int64_t after, bool of_contacts);
bool is_contact(const char *external);

void message_add(struct campaign *c, const struct message *m);
void tracking_add(struct campaign *c, int64_t message, int64_t ms, int type, const char *url);
void due_add(struct campaign *c, int64_t ms, int64_t message, enum due what);
/* Everything until then. */
void due_process(struct campaign *c, int64_t until);
const char *url_of(struct rng *r);

/* An export, and its options as JSON; see export.c. */
struct export_order {
	const cJSON *json;
	/* what a delivery wants where the options say nothing */
	double repeat, late_tracking;
	bool gz_tracking;
	int64_t second; /* in the names */
	long repeated;
	cJSON *files;
};
/* Whether all members are known and good. */
bool export_check(const cJSON *json, char *why, size_t size);
bool export_write(struct campaign *c, struct export_order *order, char *why, size_t size);
/* POST /_sandbox/export/continue: the next part of every growing file. */
void simulator_continue(struct campaign *c, struct reply *rep);
/* The second for names of files: never one again. */
int64_t export_second(struct campaign *c);
void export_close(struct campaign *c);

/* ---- format.c ---- */

enum { COLUMNS = 32 };

struct column {
	const char *name;   /* as the options call it */
	const char *header; /* as the file does */
	int source;
};

struct format {
	struct column columns[COLUMNS];
	int count;
	char separator, quote; /* quote 0: none */
	bool quote_all, crlf, bom, latin1, header;
	enum { ENUM_NUMBER, ENUM_NAME, ENUM_LABEL } enums;
	bool french;
	enum { DATE_API, DATE_ISO, DATE_OFFSET, DATE_PLAIN, DATE_EUROPEAN, DATE_AMERICAN } dates;
	const char *zone;
};

struct line {
	char text[16384];
	size_t len;
	int fields;
};

/* kind 0: sending, 1: tracking */
bool format_read(struct format *f, int kind, const cJSON *options, char *why, size_t size);
void line_text(const struct format *f, struct line *l, const char *s);
void line_number(const struct format *f, struct line *l, int64_t n);
void line_date(const struct format *f, struct line *l, int64_t ms);
void line_enum(const struct format *f, struct line *l, const char *enumeration, int value);
void line_end(const struct format *f, struct line *l);

/* rows.c: the header and the rows x for which `where` holds. Counts repeated sending rows in o. */
bool rows_write(struct campaign *c, int kind, struct export_order *o, const struct format *f,
		const char *where, gzFile out);

#endif
