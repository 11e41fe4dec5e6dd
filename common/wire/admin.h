/* admin.h - asking and telling the broker about topics and groups.  Blocking, for starts and for
 * the commands of an operator. */
#ifndef TIDEWAY_ADMIN_H
#define TIDEWAY_ADMIN_H

#include <librdkafka/rdkafka.h>

#include "pipeline.h"

enum { ADMIN_TIMEOUT_MS = 15000 };

/* What is wrong with a topic: "" when it is as it must be, else a text like
 * "cleanup.policy is delete, must be compact". */
struct topic_state {
	bool exists;
	int partitions;
	char wrong[400];
};

/* Looks at n topics.  FATAL 111 when the broker does not answer. */
enum result admin_look(rd_kafka_t *rk, const struct topic_spec *specs, size_t n,
		       struct topic_state *states, struct error *err);

/* Creates a topic; OK also when it exists already. */
enum result admin_create(rd_kafka_t *rk, const struct topic_spec *spec, int replication,
			 struct error *err);

/* Exits of a stage at start: the first topic that is missing or mis-set, as FATAL 100. */
enum result admin_require(rd_kafka_t *rk, const struct topic_spec *specs, size_t n,
			  struct error *err);

struct group_member {
	char client[256], host[128], instance[128];
	int partitions;
};
struct group_state {
	char state[32]; /* "Stable", "Empty", "Dead" … */
	struct group_member members[64];
	size_t member_count; /* may be larger than what members holds */
};
enum result admin_group(rd_kafka_t *rk, const char *group, struct group_state *out,
			struct error *err);

/* What a group has committed for one partition. */
struct admin_offset {
	int64_t offset; /* -1 where none is */
	char *metadata; /* malloc'ed, or NULL */
};
void admin_offsets_free(struct admin_offset *offsets, int partitions);

enum result admin_committed(rd_kafka_t *rk, const char *group, const char *topic, int partitions,
			    struct admin_offset *offsets, struct error *err);
/* Sets them. The group must be empty: the broker refuses otherwise. */
enum result admin_set_committed(rd_kafka_t *rk, const char *group, const char *topic,
				int partitions, const struct admin_offset *offsets,
				struct error *err);

#endif
