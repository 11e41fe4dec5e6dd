/* changed.h - what a stage says when its mapping is not the one that it last ran with.
 *
 * Nothing is kept on disk for it.  The target's schema says in its `doc` members how each field is
 * made, the registry keeps every schema, and the id of the last one stands in the metadata of the
 * offsets that the stage commits, in the same transaction as what was made with it.  So the memory
 * is exactly as old as the work.
 */
#ifndef TIDEWAY_CHANGED_H
#define TIDEWAY_CHANGED_H

#include <librdkafka/rdkafka.h>

#include "registry.h"

/* The metadata to commit with, and back; -1 when it is none of ours. */
enum { CHANGED_METADATA_MAX = 24 };
void changed_metadata(int32_t schema_id, char out[CHANGED_METADATA_MAX]);
int32_t changed_schema_id(const void *metadata, size_t len);

/* Calls back for each field that is new (was NULL), gone (now NULL) or made in another way; field
 * is "firstName", "location.city", or "" for what holds for whole records.  Returns how many. */
typedef void (*changed_fn)(void *arg, const char *field, const char *was, const char *now);
size_t changed_fields(const char *old_schema, const char *new_schema, changed_fn fn, void *arg);

/* The id of the schema with which the group last committed for the topic, by its offsets; -1 when
 * they do not say.  *committed: there are offsets at all. */
int32_t changed_last_id(rd_kafka_t *consumer, const char *topic, bool *committed);

/* Logs what is different now.  last_id -1: compared with the newest schema of the subject, latest
 * (NULL: there was none, nothing is said). */
void changed_say(struct registry *r, int32_t last_id, const char *latest, int32_t id,
		 const char *schema);

#endif
