/* changed.c - see changed.h. */
#include "changed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"
#include "log.h"

enum { LINES_MAX = 50 };
static const char prefix[] = "schema=";

void changed_metadata(int32_t schema_id, char out[CHANGED_METADATA_MAX])
{
	snprintf(out, CHANGED_METADATA_MAX, "%s%d", prefix, schema_id);
}

int32_t changed_schema_id(const void *metadata, size_t len)
{
	char text[CHANGED_METADATA_MAX] = "";
	int64_t id;

	if (!metadata || len >= sizeof text)
		return -1;
	memcpy(text, metadata, len);
	if (strncmp(text, prefix, sizeof prefix - 1) ||
	    !text_to_int(text + sizeof prefix - 1, 0, INT32_MAX, &id))
		return -1;
	return (int32_t)id;
}

/* ---- comparing -------------------------------------------------------------------------------- */

/* The record behind "null or a record", or NULL. */
static const cJSON *record_in(const cJSON *type)
{
	const cJSON *t;

	if (cJSON_IsObject(type))
		return cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(type, "fields")) ? type
										       : NULL;
	cJSON_ArrayForEach(t, type) if (cJSON_IsObject(t) && record_in(t)) return t;
	return NULL;
}

static const cJSON *type_of(const cJSON *record, const char *name, const cJSON **field)
{
	const cJSON *f;

	*field = NULL;
	cJSON_ArrayForEach(f, cJSON_GetObjectItemCaseSensitive(record, "fields"))
	{
		const char *n = json_string(f, "name");
		if (n && !strcmp(n, name)) {
			*field = f;
			return cJSON_GetObjectItemCaseSensitive(f, "type");
		}
	}
	return NULL;
}

struct listener {
	changed_fn fn;
	void *arg;
	size_t count;
};

static void tell(struct listener *l, const char *path, const char *was, const char *now)
{
	if (was && now && !strcmp(was, now))
		return;
	l->count++;
	l->fn(l->arg, path, was, now);
}

/* What side has and other may have, too; each pair is told of once, from the new side. */
static void compare(struct listener *l, const cJSON *side, const cJSON *other, const char *path,
		    bool side_is_new)
{
	const cJSON *f, *twin;

	cJSON_ArrayForEach(f, cJSON_GetObjectItemCaseSensitive(side, "fields"))
	{
		const char *name = json_string(f, "name"), *doc = json_string(f, "doc");
		char inner[300];
		if (!name)
			continue;
		snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", name);
		const cJSON *theirs = type_of(other, name, &twin);
		const cJSON *group = record_in(cJSON_GetObjectItemCaseSensitive(f, "type"));
		if (group)
			compare(l, group, record_in(theirs), inner, side_is_new);
		else if (side_is_new)
			tell(l, inner, twin ? json_string(twin, "doc") : NULL, doc ? doc : "");
		else if (!twin)
			tell(l, inner, doc ? doc : "", NULL);
	}
}

static const cJSON *row_of(const cJSON *change)
{
	const cJSON *field;
	return record_in(type_of(change, "row", &field));
}

size_t changed_fields(const char *old_schema, const char *new_schema, changed_fn fn, void *arg)
{
	cJSON *old = json_parse(old_schema, strlen(old_schema));
	cJSON *next = json_parse(new_schema, strlen(new_schema));
	const cJSON *was = row_of(old), *now = row_of(next);
	struct listener l = {fn, arg, 0};

	if (was && now) {
		const char *a = json_string(was, "doc"), *b = json_string(now, "doc");
		tell(&l, "", a ? a : "", b ? b : "");
		compare(&l, now, was, "", true);
		compare(&l, was, now, "", false);
	}
	cJSON_Delete(old);
	cJSON_Delete(next);
	return l.count;
}

/* ---- the group -------------------------------------------------------------------------------- */

int32_t changed_last_id(rd_kafka_t *consumer, const char *topic, bool *committed)
{
	rd_kafka_topic_t *t = rd_kafka_topic_new(consumer, topic, NULL);
	const struct rd_kafka_metadata *meta = NULL;
	int32_t id = -1;

	*committed = false;
	if (!t || rd_kafka_metadata(consumer, 0, t, &meta, 15000) || meta->topic_cnt != 1) {
		if (meta)
			rd_kafka_metadata_destroy(meta);
		if (t)
			rd_kafka_topic_destroy(t);
		return -1;
	}
	int n = meta->topics[0].partition_cnt;
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(n);
	for (int i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(all, topic, i);
	if (!rd_kafka_committed(consumer, all, 15000))
		for (int i = 0; i < n; i++) {
			const rd_kafka_topic_partition_t *p = &all->elems[i];
			int32_t one = changed_schema_id(p->metadata, p->metadata_size);
			*committed |= p->offset >= 0;
			/* Ids grow: of two, the larger was made later. */
			id = one > id ? one : id;
		}
	rd_kafka_topic_partition_list_destroy(all);
	rd_kafka_metadata_destroy(meta);
	rd_kafka_topic_destroy(t);
	return id;
}

/* ---- saying ----------------------------------------------------------------------------------- */

static void say(void *arg, const char *field, const char *was, const char *now)
{
	size_t *lines = arg;

	if (++*lines > LINES_MAX)
		return;
	log_info("mapping changed", "field", *field ? field : "(all)", "was",
		 was ? was : "(not there)", "now", now ? now : "(gone)", NULL);
}

void changed_say(struct registry *r, int32_t last_id, const char *latest, int32_t id,
		 const char *schema)
{
	_cleanup_(freep) char *last = NULL;
	struct error err;
	size_t lines = 0;

	if (last_id == id)
		return;
	/* It is only said; a registry that is away is found out by what cannot do without it. */
	if (last_id >= 0 && registry_schema(r, last_id, &last, &err) == OK)
		latest = last;
	if (!latest || !changed_fields(latest, schema, say, &lines))
		return;
	log_info("records in the topic keep the old mapping until `tideway replay` applies the new "
		 "one to history",
		 "changes", log_int((int64_t)lines), NULL);
}
