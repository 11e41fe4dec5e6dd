/* config.h - tideway.yaml in memory: connections and flows.
 *
 * The file is read whole and every mistake in its form is collected with line and column.
 * Whether columns exist and types convert is the mapping's matter (mapping.h), which has the
 * saved metadata.  `${VAR}` is replaced in connections only: a mapping means the same thing on
 * every machine.  Strings live as long as the configuration.
 */
#ifndef TIDEWAY_CONFIG_H
#define TIDEWAY_CONFIG_H

#include "flow.h"

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
	int64_t max_requests_per_second, max_requests_per_day; /* 0: no limit */
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
	bool open; /* of a variable that is not set: it stands there as ${VAR} */
};

/* Campaign Standard, or v8 with Standard's REST API. */
enum campaign_dialect { DIALECT_ACS, DIALECT_V8 };

struct config {
	const char *path;
	const char *name;	  /* prefix of every topic, group and transactional id */
	const char *metadata_dir; /* beside the configuration */
	struct kafka_setting *kafka;
	size_t kafka_count;
	struct connection registry; /* credentials: client_id/client_secret are basic auth */
	struct connection dataverse, campaign;
	struct connection_logs logs;
	enum campaign_dialect dialect;
	const char *pseudonym_key; /* of the conversion hash; NULL when there is none */
	int64_t partitions, replication;
	struct flow *flows;
	size_t flow_count;
	struct document *doc;
	struct owned *owned; /* strings made while reading */
};

typedef const char *(*env_lookup)(const char *name);

/* What the configuration is read for, and so what of the connections must be there. */
enum config_use {
	CONFIG_CONNECTS, /* all of it */
	CONFIG_OFFLINE,	 /* their form: a variable need not be set, a secret's file not be there */
	CONFIG_MAPPING,	 /* nothing: the mapping is all that is used */
};

/* Reads one or two files, the second laid over the first.  Returns what could be understood, with
 * the problems beside it, so that `tideway check` finds them all in one run; NULL when the files
 * themselves cannot be read.  env is getenv-like, an argument so that tests need no setenv. */
struct config *config_read(const char *const *paths, size_t count, env_lookup env,
			   enum config_use use, struct problems *problems);
/* The same for who wants to work with it: NULL when there are problems. */
struct config *config_load(const char *const *paths, size_t count, env_lookup env,
			   enum config_use use, struct problems *problems);
void config_free(struct config *config);

const struct flow *config_flow(const struct config *config, const char *name);

/* The value of a kafka setting, or fallback. */
const char *config_kafka(const struct config *config, const char *name, const char *fallback);

#endif
