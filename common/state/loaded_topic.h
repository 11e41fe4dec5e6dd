/* loaded_topic.h - the entries of loaded.h as records of the topic loaded.<resource>. */
#ifndef TIDEWAY_LOADED_TOPIC_H
#define TIDEWAY_LOADED_TOPIC_H

#include "loaded.h"
#include "wire.h"

/* A deleted key is remembered so long: as long as a dead letter may be sent again. */
#define LOADED_KEEP_DELETED_MS ((int64_t)30 * 86400000)

struct loaded_record {
	struct loaded_entry entry;
	int partitions; /* of the input topic when it was written */
	wall_time at;
};

struct loaded_topic;
/* Registers the schema under "<topic>-value". */
enum result loaded_topic_new(struct wire *w, struct registry *r, const char *topic,
			     struct loaded_topic **out, struct error *err);
void loaded_topic_free(struct loaded_topic *t);

/* The value of a message; out is reset first. */
enum result loaded_encode(struct loaded_topic *t, const struct loaded_record *r, struct buffer *out,
			  struct error *err);
enum result loaded_decode(struct loaded_topic *t, const void *data, size_t len,
			  struct loaded_record *out, struct error *err);

#endif
