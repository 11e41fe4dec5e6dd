/* flow.h - one flow of tideway.yaml: what goes where, and what becomes of each column.
 *
 * As written: whether columns exist and types convert is the mapping's matter (mapping.h), which
 * has the saved metadata.  Texts live as long as the configuration.
 */
#ifndef TIDEWAY_FLOW_H
#define TIDEWAY_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "document.h"

enum flow_kind { FLOW_CONTACTS, FLOW_CUSTOM_ENTITY, FLOW_EMAIL_EVENTS };

/* A replacement; to NULL: by nothing. */
struct value_pair {
	const char *from, *to;
	struct place at;
};

enum field_source { SOURCE_COLUMN, SOURCE_CONCAT, SOURCE_ANY, SOURCE_CONSTANT };
enum when_null { NULL_CLEAR, NULL_KEEP, NULL_DEFAULT };
enum link_mode { LINK_JOIN, LINK_KEY, LINK_PKEY };

/* One field of a mapping, as written. */
struct field_config {
	struct place at;
	struct node node;
	enum field_source source;
	const char **from; /* columns: one, or those of concat or any */
	size_t from_count;
	const char *constant;
	const char *to;	       /* attribute of the resource, "location.city" */
	const char *separator; /* between the parts of concat and the choices of a multi-select */
	bool picklist_label;   /* picklist: label (else value) */
	bool lookup_name;      /* lookup: name (else id) */
	struct node convert;   /* convert.h reads it */
	struct value_pair *values;
	size_t value_count;
	bool has_otherwise;
	const char *otherwise; /* what is none of values; NULL: nothing */
	const char *fallback;  /* default:, NULL when there is none */
	enum when_null when_null;
	bool create_only; /* on: create */
	bool truncate;	  /* too_long: truncate */
	bool required;	  /* nothing is a reject */

	/* A link: `to` holds the key of a row of the resource `link`. */
	const char *link, *link_table; /* link_table: NULL when no flow loads the resource */
	const char *link_like;	       /* then the resource of a flow that may be meant, or NULL */
	enum link_mode link_mode;
};

/* Where a key of the field stands, or the field itself. */
struct place field_place(const struct field_config *f, const char *key);

enum event_kind { EVENT_SEND, EVENT_OPEN, EVENT_CLICK, EVENT_BOUNCE, EVENT_KINDS };
/* Which open or click of one delivery and contact an event is; from here on they are not counted. */
enum { EVENT_ORDINAL_MAX = 1000 };
extern const char *const event_kind_names[EVENT_KINDS + 1];

/* What of an event, beside its time, may stand in a column of its activity. */
enum activity_text {
	ACTIVITY_CAMPAIGN,
	ACTIVITY_DELIVERY,
	ACTIVITY_TRACKING_URL,
	ACTIVITY_MIRROR_URL,
	ACTIVITY_CAMPAIGN_LABEL,
	ACTIVITY_DELIVERY_LABEL,
	ACTIVITY_URL_LABEL,
	ACTIVITY_URL_CATEGORY,
	ACTIVITY_DEVICE,
	ACTIVITY_FAILURE_TYPE,
	ACTIVITY_FAILURE_REASON,
	ACTIVITY_FAILURE_TEXT,
	ACTIVITY_MESSAGE_ID,
	ACTIVITY_TEXTS
};
extern const char *const activity_text_names[ACTIVITY_TEXTS + 1];

struct activity_config {
	bool on;
	struct place at;
	const char *table;
	const char *time;		     /* column for the event's time */
	const char *columns[ACTIVITY_TEXTS]; /* NULL: goes nowhere */
	int64_t at_most;		     /* of one delivery and contact; 0: all */
};

/* Columns of the two export files, by what they hold. */
enum log_column {
	/* sending */
	LOG_ID,
	LOG_STATUS,
	LOG_FAILURE_TYPE,
	LOG_FAILURE_REASON,
	LOG_TIME,
	LOG_CONTACT,
	LOG_DELIVERY,
	LOG_DELIVERY_LABEL,
	LOG_CAMPAIGN,
	LOG_CAMPAIGN_LABEL,
	LOG_TEST,
	LOG_MESSAGE_TYPE,
	LOG_FAILURE_TEXT,
	LOG_MIRROR_URL,
	/* tracking, besides some of the above */
	LOG_BROADLOG_ID,
	LOG_URL_TYPE,
	LOG_URL,
	LOG_URL_LABEL,
	LOG_URL_CATEGORY,
	LOG_DEVICE,
	LOG_COLUMNS
};
extern const char *const log_column_names[LOG_COLUMNS + 1];

struct log_files {
	struct place at;
	const char *match;		  /* file name pattern, fnmatch(3) */
	const char *columns[LOG_COLUMNS]; /* header texts; NULL when not exported */
};

/* Enumerations of the exports (export_codes.h). */
enum { EXPORT_ENUMERATIONS = 6 };
enum processed { PROCESSED_LEAVE, PROCESSED_MOVE, PROCESSED_DELETE };

/* How the files of a flow are written, and what becomes of them. */
struct export_format {
	char separator;		 /* 0: the header row tells */
	int quote;		 /* a character, or -1: texts have no delimiter */
	const char *encoding;	 /* iconv's name; NULL: UTF-8 */
	const char *time_format; /* strptime(3); NULL: ISO 8601 */
	const char *time_zone;	 /* of times that name none; NULL: each names its own */
	struct zone *zone;
	bool take_cut_off; /* a last row without a line end is a whole one */
	bool soft_bounces, opt_out_clicks, mirror_page_clicks;
	struct value_pair *codes[EXPORT_ENUMERATIONS]; /* what stands in a file, and its meaning */
	size_t code_counts[EXPORT_ENUMERATIONS];
	enum processed processed;
	const char *processed_folder;
	int64_t overlap_ms; /* how far back events are known */
};

enum deletes { DELETES_APPLY, DELETES_IGNORE, DELETES_DEACTIVATE };

/* How an extractor finds what changed in a table. */
enum changes {
	CHANGES_TRACKING,      /* change tracking: nothing is lost */
	CHANGES_MODIFIEDON,    /* rows with a later modifiedon: deletes are lost, and imports that
				* set modifiedon back */
	CHANGES_VERSIONNUMBER, /* rows with a higher versionnumber: deletes are lost */
	CHANGES_FULL,	       /* all rows at every poll, compared */
};

struct flow {
	const char *name;
	struct place at;
	struct node node;
	enum flow_kind kind;

	/* contacts, custom-entity */
	const char *table, *resource, *key;
	struct field_config *fields; /* links are among them */
	size_t field_count;
	enum deletes deletes;
	struct value_pair *deactivate; /* attributes and values, for DELETES_DEACTIVATE */
	size_t deactivate_count;
	struct node filter;	  /* filter.h reads it */
	bool filtered_out_delete; /* filtered_out: delete (else keep) */
	bool consent_both; /* consent: dynamics-to-campaign: flags are written as false, too */
	bool v8;	   /* connections.campaign.dialect */
	const char *pseudonym_key;
	enum changes changes;
	int64_t overlap_ms;	   /* of CHANGES_MODIFIEDON: clocks and long transactions */
	double max_deletes_share;  /* of the rows that are known, and at least MAX_DELETES_FLOOR; */
	int64_t max_deletes_count; /* or this many; -1: the share counts */

	/* email-events */
	bool has_since;
	wall_time since;
	struct log_files sending, tracking;
	struct export_format exports;
	struct activity_config activities[EVENT_KINDS];
	bool strict_privacy;	  /* no mirror page, no query of a URL */
	bool leave_open;	  /* state: open, else activities are completed */
	int64_t rows_per_day;	  /* 0: no limit */
	const char *bypass_logic; /* value of MSCRM.BypassBusinessLogicExecution, or NULL */
	bool has_cutover;	  /* another application wrote the events before */
	wall_time cutover;
	int64_t cutover_window_ms; /* on both sides */

	/* tuning, each with a default */
	int64_t poll_ms, poll_min_ms, page_size; /* extract: when all is quiet, after changes */
	int64_t commit_interval_ms;		 /* transform */
	int64_t max_in_flight, batch_size, request_timeout_ms; /* load */
	bool insert_first;	 /* on_unknown: post, the target was empty (else patch) */
	int64_t orphan_after_ms; /* how long a record waits for its parent */
	/* address: filter, how a record is found; NULL: by its key */
	const char *filter_name, *filter_parameter;
};

/* Links of a flow. */
enum { FLOW_LINKS_MAX = 8 };

/* A percentage of few rows would be none. */
enum { MAX_DELETES_FLOOR = 100 };

const char *flow_kind_name(enum flow_kind kind);

#endif
