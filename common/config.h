/* config.h - tideway.yaml in memory: connections and flows.
 *
 * The file is read whole and every mistake in its form is collected with line and column.
 * Whether columns exist and types convert is the mapping's matter (mapping.h), which has the
 * saved metadata.  `${VAR}` is replaced in connections only: a mapping means the same thing on
 * every machine.  Strings live as long as the configuration.
 */
#ifndef TIDEWAY_CONFIG_H
#define TIDEWAY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "document.h"

/* OAuth 2.0 client credentials (both products). */
struct credentials {
	const char *token_url;
	const char *client_id;
	const char *client_secret;
	const char *scope;
};

struct connection {
	struct place at; /* line 0 when the section is missing */
	const char *url; /* without a slash at the end */
	struct credentials credentials;
};

/* Campaign's log exports: a directory, by SFTP or local (file://). */
struct connection_logs {
	struct place at;
	const char *url; /* sftp://host:port/path or file:///path, no slash at the end */
	const char *user;
	const char *key_file;	 /* private key; the public key is derived from it */
	const char *known_hosts; /* OpenSSH format; the host key must be in it */
	const char *password;	 /* when there is no key */
	const char *instance;	 /* name of the Campaign instance: part of every event id */
};

struct kafka_setting {
	const char *name, *value;
	struct place at;
};

enum flow_kind { FLOW_CONTACTS, FLOW_CUSTOM_ENTITY, FLOW_EMAIL_EVENTS };

struct value_pair {
	const char *from, *to;
};

/* One field of a mapping, as written. */
struct field_config {
	struct place at;
	const char *from;    /* column of the table */
	const char *to;	     /* attribute of the resource, "location.city" */
	bool picklist_label; /* picklist: label (else value) */
	bool lookup_name;    /* lookup: name (else id) */
	struct value_pair *values;
	size_t value_count;
	const char *fallback; /* default:, NULL when there is none */
	const char *link;     /* the field is the join column of a link to this resource */
};

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

struct flow {
	const char *name;
	struct place at;
	enum flow_kind kind;

	/* contacts, custom-entity */
	const char *table, *resource, *key;
	struct field_config *fields; /* links are among them */
	size_t field_count;
	bool apply_deletes;
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
};

/* A percentage of few rows would be none. */
enum { MAX_DELETES_FLOOR = 100 };

struct config {
	const char *path;
	const char *name;	  /* prefix of every topic, group and transactional id */
	const char *metadata_dir; /* beside the configuration */
	struct kafka_setting *kafka;
	size_t kafka_count;
	struct connection registry; /* credentials: client_id/client_secret are basic auth */
	struct connection dataverse, campaign;
	struct connection_logs logs;
	int64_t partitions, replication;
	struct flow *flows;
	size_t flow_count;
	struct document *doc;
	struct owned *owned; /* strings made while reading */
};

/* Reads one or two files (later ones replace top-level keys).  Returns NULL when there are
 * problems; environment is getenv-like, an argument so that tests need no setenv. */
typedef const char *(*env_lookup)(const char *name);
struct config *config_load(const char *const *paths, size_t count, env_lookup env,
			   struct problems *problems);
void config_free(struct config *config);

const struct flow *config_flow(const struct config *config, const char *name);
const char *flow_kind_name(enum flow_kind kind);

/* The value of a kafka setting, or fallback. */
const char *config_kafka(const struct config *config, const char *name, const char *fallback);

#endif
