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
	enum link_mode link_mode;
};

/* Where a key of the field stands, or the field itself. */
struct place field_place(const struct field_config *f, const char *key);

enum event_kind { EVENT_SEND, EVENT_OPEN, EVENT_CLICK, EVENT_BOUNCE, EVENT_KINDS };
extern const char *const event_kind_names[EVENT_KINDS + 1];

/* Columns of an activity table; NULL leaves a column alone. */
struct activity_config {
	bool on;
	struct place at;
	const char *table;
	const char *time; /* column for the event's time */
	const char *campaign, *delivery, *tracking_url, *mirror_url;
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
	/* tracking, besides some of the above */
	LOG_BROADLOG_ID,
	LOG_URL_TYPE,
	LOG_URL,
	LOG_COLUMNS
};
extern const char *const log_column_names[LOG_COLUMNS + 1];

struct log_files {
	struct place at;
	const char *match;		  /* file name pattern, fnmatch(3) */
	const char *columns[LOG_COLUMNS]; /* header texts; NULL when not exported */
};

/* How an extractor finds what changed in a table. */
enum changes {
	CHANGES_TRACKING,      /* change tracking: nothing is lost */
	CHANGES_MODIFIEDON,    /* rows with a later modifiedon: deletes are lost, and imports that
				* set modifiedon back */
	CHANGES_VERSIONNUMBER, /* rows with a higher versionnumber: deletes are lost */
	CHANGES_FULL,	       /* all rows at every poll, compared */
};

/* A percentage of few rows would be none. */
enum { MAX_DELETES_FLOOR = 100 };

enum deletes { DELETES_APPLY, DELETES_IGNORE, DELETES_DEACTIVATE };

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
	struct activity_config activities[EVENT_KINDS];

	/* tuning, each with a default */
	int64_t poll_ms, poll_min_ms, page_size; /* extract: when all is quiet, after changes */
	int64_t commit_interval_ms;		 /* transform */
	int64_t max_in_flight, batch_size, request_timeout_ms; /* load */
	bool insert_first;	 /* on_unknown: post, the target was empty (else patch) */
	int64_t orphan_after_ms; /* how long a record waits for its parent */
	/* address: filter, how a record is found; NULL: by its key */
	const char *filter_name, *filter_parameter;
};

const char *flow_kind_name(enum flow_kind kind);

#endif
