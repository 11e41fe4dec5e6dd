/* price.c - see price.h.  The steps are those of loaders/campaign/steps.c; tests/e2e/mapping.py counts
 * both. */
#include "price.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "arena.h"
#include "loaded.h"
#include "pipeline.h"

enum { READ_IDLE_MS = 15000 };

struct parent {
	UT_hash_handle hh;
	char name[]; /* resource/key */
};

struct price {
	const struct flow *flow;
	const struct mapping *mapping;
	struct buffer scratch;
	struct loaded *known;
	struct parent *parents; /* whose PKeys the loader has by then */
	/* reading */
	struct wire *wire;
	bool (*wanted)(void *arg, const void *key, size_t len);
	void *arg;
	enum result r;
	struct error *err;
};

struct price *price_new(const struct flow *flow, const struct mapping *m)
{
	struct price *p = xcalloc(1, sizeof *p);

	p->flow = flow;
	p->mapping = m;
	p->scratch = BUFFER(WIRE_VALUE_MAX);
	p->known = loaded_new();
	return p;
}

void price_free(struct price *p)
{
	struct parent *one, *next;

	if (!p)
		return;
	HASH_ITER(hh, p->parents, one, next)
	{
		HASH_DEL(p->parents, one);
		free(one);
	}
	loaded_free(p->known);
	buffer_free(&p->scratch);
	free(p);
}

/* ---- what the loader remembers ---------------------------------------------------------------- */

static int64_t number(const avro_value_t *record, const char *name)
{
	int at = record_index(record, name);
	avro_value_t field;

	if (at < 0)
		return 0;
	field = record_field(record, (size_t)at);
	return record_long(&field);
}

static bool flag(const avro_value_t *record, const char *name)
{
	int at = record_index(record, name), b = 0;
	avro_value_t field;

	if (at < 0)
		return false;
	field = record_field(record, (size_t)at);
	avro_value_get_boolean(&field, &b);
	return b;
}

/* By the names of schemas/loaded.avsc; to decode with our own schema it would have to be registered. */
static bool remember(void *arg, const rd_kafka_message_t *m)
{
	struct price *p = arg;
	avro_value_t *record;
	int32_t id;

	if (!p->wanted(p->arg, m->key, m->key_len))
		return true;
	if (!m->payload) {
		loaded_forget(p->known, m->key, m->key_len);
		return true;
	}
	p->r = wire_decode_as_written(p->wire, m->payload, m->len, &record, &id, p->err);
	if (p->r != OK)
		return false;
	loaded_put(p->known, m->key, m->key_len,
		   &(struct loaded_entry){.hash = (uint64_t)number(record, "hash"),
					  .epoch = number(record, "epoch"),
					  .version = number(record, "version"),
					  .offset = -1,
					  .deleted = flag(record, "deleted"),
					  .unsure = flag(record, "unsure")});
	return true;
}

enum result price_read(struct price *p, const struct config *c, rd_kafka_t *reader,
		       struct wire *wire, bool (*wanted)(void *arg, const void *key, size_t len),
		       void *arg, struct error *err)
{
	char topic[PIPELINE_NAME_MAX];
	int partitions = 0;

	p->wire = wire;
	p->wanted = wanted;
	p->arg = arg;
	p->err = err;
	p->r = OK;
	pipeline_loaded(c, p->flow->resource, topic);
	enum result r = kafka_partitions(reader, topic, &partitions, err);
	if (r == OK && partitions)
		r = kafka_read_all(reader, topic, READ_IDLE_MS, remember, p, err);
	return r == OK ? p->r : r;
}

/* ---- a record --------------------------------------------------------------------------------- */

/* 1 for a parent whose PKey nobody has asked for yet. */
static long look_up(struct price *p, const struct field_config *link, const char *key)
{
	_cleanup_(freep) char *name = xasprintf("%s/%s", link->link, key);
	struct parent *one;

	HASH_FIND_STR(p->parents, name, one);
	if (one)
		return 0;
	one = xcalloc(1, sizeof *one + strlen(name) + 1);
	memcpy(one->name, name, strlen(name) + 1);
	HASH_ADD_STR(p->parents, name, one);
	return 1;
}

static long parents_of(struct price *p, const avro_value_t *row)
{
	long n = 0;

	for (size_t i = 0; i < p->flow->field_count; i++) {
		const struct field_config *f = &p->flow->fields[i];
		const char *key = f->link_mode == LINK_PKEY ? body_parent(f, row) : NULL;
		if (key)
			n += look_up(p, f, key);
	}
	return n;
}

static long write_costs(const struct flow *f, bool known, bool makes, bool there)
{
	bool find = f->filter_name;

	if (f->insert_first && !known && makes)
		return there ? 2 + find : 1; /* refused as a duplicate, then as any other */
	if (there)
		return 1 + find;
	return makes ? 2 : 1;
}

static bool is_written(const struct loaded_entry *known, const struct priced *it, uint64_t hash)
{
	struct loaded_change c = {
	    .is_delete = !it->body, .tombstone = !it->change, .offset = INT64_MAX, .hash = hash};
	struct change_head head;

	if (it->change) {
		change_get_head(it->change, &head);
		c.epoch = head.epoch;
		c.version = head.version;
		c.observed_ms = head.observed.ms;
	}
	return loaded_judge(known, &c, true) != LOADED_WRITE;
}

long price_of(struct price *p, const struct priced *it, bool *forced)
{
	struct loaded_entry e;
	avro_value_t field, row;
	bool has = loaded_find(p->known, it->key, strlen(it->key), &e);
	bool known = has && !e.deleted;
	uint64_t hash = 0;
	struct error ignored;

	if (it->body) {
		field = record_field(it->change, CHANGE_ROW);
		record_some(&field, &row);
		if (body_hash(p->mapping, it->change, &p->scratch, &hash, &ignored) != OK)
			hash = 0; /* it is rejected, not written */
	}
	bool written = is_written(has ? &e : NULL, it, hash);
	*forced = written && it->differs;
	if (written && !it->differs)
		return 0;
	if (!it->body)
		return 1 + (p->flow->filter_name && it->there);
	return write_costs(p->flow, known, it->body->create, it->there) + parents_of(p, &row);
}
