/* load_park.c - records that wait for their parent, and the sweep after a complete replay.
 *
 * A parent's arrival is told by the topic loaded.<parent>, which its own loader writes behind the
 * acknowledgement: Campaign is never asked whether it has come.  The topic is read from its end,
 * and once from its beginning after a partition with waiting records was taken over (the parent may
 * have come while nobody listened).  Crash points:
 *
 *   parked, offset not committed   both are one transaction: the record is read again
 *   released, written, killed      the parked record is still there, and is released again; its
 *                                  write has the same result
 *   a later version meanwhile      takes the place of the one that waits, by its key
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "load.h"
#include "log.h"

enum {
	READ_IDLE_MS = 30000,
	LOOK_MS = 200, /* how often released records are fetched */
	ARRIVALS_AT_ONCE = 2000,
	RELEASE_AT_ONCE = 1000,
	TRIES = 20, /* until orphan_after, at least; more of them in the beginning: */
	TRY_FIRST_MS = 900000,
	SWEEP_AT_LEAST = 100,
};

static bool header_of(const rd_kafka_message_t *m, const char *name, char *out, size_t size)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t n;

	*out = 0;
	if (rd_kafka_message_headers(m, &headers) ||
	    rd_kafka_header_get_last(headers, name, &value, &n) || n >= size)
		return false;
	memcpy(out, value, n);
	out[n] = 0;
	return true;
}

static int64_t number_of(const rd_kafka_message_t *m, const char *name)
{
	char text[24];
	return header_of(m, name, text, sizeof text) ? strtoll(text, NULL, 10) : -1;
}

static void tick(void *arg)
{
	load_tick(*(struct loop **)arg);
}

/* ---- who waits -------------------------------------------------------------------------------- */

static bool order_of(const rd_kafka_message_t *m, struct loaded_change *out)
{
	char text[80];
	int kind;

	*out = (struct loaded_change){.offset = number_of(m, PARKED_OFFSET)};
	if (!header_of(m, PARKED_ORDER, text, sizeof text) ||
	    sscanf(text, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %d", &out->epoch, &out->version,
		   &out->observed_ms, &kind) != 4)
		return false;
	out->is_delete = kind > 0;
	out->tombstone = kind > 1;
	return true;
}

static bool restore_one(void *arg, rd_kafka_message_t *m)
{
	struct loop *l = *(struct loop **)arg;
	struct loaded_change says;
	int64_t parent = number_of(m, PARKED_PARENT), since = number_of(m, PARKED_SINCE);

	if (!m->payload || parent <= 0)
		parked_remove(l->parked, m->key, m->key_len);
	else
		parked_put(l->parked, m->key, m->key_len, m->partition, (uint32_t)parent, m->offset,
			   since, order_of(m, &says) ? &says : NULL);
	return false;
}

enum result load_park_restore(struct loop *l, int32_t id, struct error *err)
{
	int64_t end;
	enum result r = kafka_end(l->watcher, l->parked_name, id, &end, err);

	if (r == OK)
		r = kafka_read_partition(l->reader, l->parked_name, id, RD_KAFKA_OFFSET_BEGINNING,
					 end, READ_IDLE_MS, restore_one, tick, &l, err);
	if (r == OK && parked_count_in(l->parked, id))
		l->arrivals_from_start = true;
	return r;
}

/* ---- who has come ----------------------------------------------------------------------------- */

static enum result listen_to(struct loop *l, bool from_start, struct error *err)
{
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(8);
	enum result r = OK;

	for (size_t i = 0; i < l->parent_count && r == OK; i++) {
		int n = 0;
		r = kafka_partitions(l->watcher, l->parent_topics[i], &n, err);
		if (r == OK && !n)
			r = error_config(err, "no-topic",
					 "the topic %s does not exist: records that wait for %s "
					 "would wait for ever; `tideway topics create` makes it",
					 l->parent_topics[i], l->parents[i]);
		for (int p = 0; p < n && r == OK; p++) {
			int64_t at = RD_KAFKA_OFFSET_BEGINNING;
			if (!from_start)
				r = kafka_end(l->watcher, l->parent_topics[i], p, &at, err);
			rd_kafka_topic_partition_list_add(all, l->parent_topics[i], p)->offset = at;
		}
	}
	if (r == OK)
		rd_kafka_assign(l->arrivals, all);
	rd_kafka_topic_partition_list_destroy(all);
	return r;
}

enum result load_park_open(struct loop *l, struct error *err)
{
	const struct stage *s = l->stage;

	if (!l->parent_count && !l->loader->parks)
		return OK;
	l->parked = parked_new(s->flow->request_timeout_ms * 2);
	if (!l->parent_count)
		return OK;
	l->arrivals = kafka_reader(s->config, s->self->group, err);
	if (!l->arrivals)
		return FATAL;
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(l->arrivals);
	rd_kafka_queue_io_event_enable(queue, l->wake[1], "1", 1);
	rd_kafka_queue_destroy(queue);
	return listen_to(l, false, err);
}

static void arrival(struct loop *l, const rd_kafka_message_t *m, mono_time now)
{
	const char *topic = rd_kafka_topic_name(m->rkt);
	struct loaded_record rec;
	struct error err;
	size_t i = 0;

	while (i < l->parent_count && strcmp(topic, l->parent_topics[i]))
		i++;
	if (i == l->parent_count || !m->payload ||
	    loaded_decode(l->loaded_topic, m->payload, m->len, &rec, &err) != OK ||
	    rec.entry.deleted)
		return;
	size_t n = parked_arrived(l->parked, parked_parent(l->parents[i], m->key, m->key_len), now);
	if (n)
		log_debug("a parent has come", "children", log_int((int64_t)n), NULL);
}

static void hear(struct loop *l, mono_time now)
{
	struct error err;

	if (l->arrivals_from_start) {
		l->arrivals_from_start = false;
		if (listen_to(l, true, &err) != OK)
			load_give_up(l, &err);
	}
	for (int n = 0; n < ARRIVALS_AT_ONCE; n++) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(l->arrivals, 0);
		if (!m)
			return;
		if (!m->err)
			arrival(l, m, now);
		rd_kafka_message_destroy(m);
	}
	/* The descriptor is edge-triggered: look again without being woken. */
	l->parked_looked = (mono_time){0};
}

/* ---- who goes --------------------------------------------------------------------------------- */

struct releasing {
	struct loop *l; /* first: tick() */
	size_t n;
};

static bool release(void *arg, rd_kafka_message_t *m)
{
	struct releasing *s = arg;
	struct loop *l = s->l;
	const struct parked_child *c = parked_find(l->parked, m->key, m->key_len);
	struct load_item it;
	char missing[200];
	bool alone = !m->payload || !m->len;

	if (!c || !c->due || c->offset != m->offset || s->n >= RELEASE_AT_ONCE)
		return false;
	bool orphan = c->orphan;
	struct window_item *last = window_last_of_key(l->window, m->key, m->key_len);
	struct loaded_change later =
	    last ? load_change_of(last->payload) : (struct loaded_change){0};
	if (last && loaded_older(&later, &c->says))
		return false; /* when that is judged */
	parked_set_due(l->parked, m->key, m->key_len, false);
	/* A later version is on its way already, and takes its place. */
	if (last) {
		((struct load_item *)last->payload)->parked = true;
		return false;
	}
	header_of(m, PARKED_MISSING, missing, sizeof missing);
	int64_t offset = number_of(m, PARKED_OFFSET);
	if (alone)
		m->payload = NULL;
	if (!load_prepare(l, m, &it)) { /* the registry is away */
		parked_set_due(l->parked, m->key, m->key_len, true);
		return false;
	}
	it.parked = true;
	it.no_skip = true;
	it.input_offset = offset;
	it.expired = orphan;
	if (orphan && !it.why) {
		it.why = xcalloc(1, sizeof *it.why);
		error_reject(it.why, l->loader->parks ? l->loader->parks : "orphan",
			     "its parent %s has not come in %" PRId64 " s",
			     *missing ? missing : "(of a record that is deleted)",
			     (int64_t)(l->stage->flow->orphan_after_ms / 1000));
	}
	struct load_item *payload = xmalloc(sizeof *payload);
	*payload = it;
	window_add_loose(l->window, m->partition, m->key, m->key_len, payload);
	s->n++;
	return true;
}

static void release_due(struct loop *l)
{
	struct error err;

	for (size_t i = 0; i < l->partition_count && l->broken == OK; i++) {
		struct releasing s = {.l = l};
		int64_t first, last;
		const struct partition *p = &l->partitions[i];
		if (!p->ours || p->leaving || window_count(l->window) >= l->window_max ||
		    !parked_due(l->parked, (int32_t)i, &first, &last))
			continue;
		enum result r =
		    kafka_read_partition(l->reader, l->parked_name, (int32_t)i, first, last + 1,
					 READ_IDLE_MS, release, tick, &s, &err);
		if (r != OK)
			load_give_up(l, &err);
	}
}

/* ---- the sweep -------------------------------------------------------------------------------- */

static bool sweep_one(void *arg, rd_kafka_message_t *m)
{
	struct releasing *s = arg;
	struct loop *l = s->l;
	struct partition *p = load_partition(l, m->partition);
	struct loaded_entry e;

	if (!loaded_find(p->loaded, m->key, m->key_len, &e) || e.deleted || e.met ||
	    window_last_of_key(l->window, m->key, m->key_len))
		return false;
	struct load_item *it = xcalloc(1, sizeof *it);
	*it = (struct load_item){.loader = l->loader, .swept = true, .input_offset = e.offset};
	it->r = (struct load_record){.record = l->loader->remove(l->state, m->key, m->key_len),
				     .is_delete = true,
				     .epoch = e.epoch,
				     .version = e.version,
				     .observed_ms = wall_now().ms};
	window_add_loose(l->window, m->partition, m->key, m->key_len, it);
	p->sweep_left++;
	return false;
}

static void sweep(struct loop *l, int32_t id)
{
	struct partition *p = load_partition(l, id);
	size_t unmet = loaded_unmet(p->loaded), had = loaded_count(p->loaded);
	struct releasing s = {.l = l};
	struct error err;
	int64_t end;

	p->sweeping = true;
	int64_t allowed = p->mark.sweep_max;
	if (!allowed)
		allowed = later_of(SWEEP_AT_LEAST, (int64_t)had / 100);
	if (!l->loader->remove || l->stage->flow->deletes != DELETES_APPLY)
		unmet = 0;
	if ((int64_t)unmet > allowed) {
		log_error("the sweep would delete too much, and does not", "partition", log_int(id),
			  "would_delete", log_int((int64_t)unmet), "of", log_int((int64_t)had),
			  "allowed", log_int(allowed), "to_allow", "tideway replay --max-deletes",
			  NULL);
		return;
	}
	log_info("sweep", "partition", log_int(id), "deletes", log_int((int64_t)unmet), "of",
		 log_int((int64_t)had), NULL);
	if (!unmet)
		return;
	enum result r = kafka_end(l->watcher, l->loaded_name, id, &end, &err);
	if (r == OK)
		r = kafka_read_partition(l->reader, l->loaded_name, id, RD_KAFKA_OFFSET_BEGINNING,
					 end, READ_IDLE_MS, sweep_one, tick, &s, &err);
	if (r != OK)
		load_give_up(l, &err);
}

static void sweep_due(struct loop *l)
{
	for (size_t i = 0; i < l->partition_count; i++) {
		struct partition *p = &l->partitions[i];
		if (!p->ours || p->leaving || !p->mark.sweep_end)
			continue;
		if (!p->sweeping && p->next + 1 >= p->mark.sweep_end &&
		    window_position(l->window, (int32_t)i) + 1 >= p->mark.sweep_end)
			sweep(l, (int32_t)i);
		if (p->sweeping && !p->sweep_left) {
			p->sweeping = false;
			p->mark.sweep_end = p->mark.sweep_from = p->mark.sweep_max = 0;
			p->mark_changed = l->commit_now = true;
		}
	}
}

void load_park_turn(struct loop *l, mono_time now)
{
	if (l->loader->memory)
		sweep_due(l);
	if (!l->parked)
		return;
	if (l->parent_count)
		hear(l, now);
	if (now.ms - l->parked_looked.ms < LOOK_MS)
		return;
	l->parked_looked = now;
	/* Nobody tells when one of these parents comes: they are tried again now and then, ever
	 * more seldom, because each try is a row that Dynamics counts. */
	int64_t latest = l->stage->flow->orphan_after_ms / TRIES;
	int64_t soonest = latest < TRY_FIRST_MS ? latest : TRY_FIRST_MS;
	if (l->loader->parks && now.ms - l->parked_tried.ms >= soonest / 4) {
		l->parked_tried = now;
		parked_retry(l->parked, wall_now().ms, soonest, latest);
	}
	parked_expire(l->parked, wall_now().ms - l->stage->flow->orphan_after_ms);
	if (parked_due_count(l->parked))
		release_due(l);
}
