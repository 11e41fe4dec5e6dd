/* load_outcome.c - what came of a record: written, needless, parked, or given up.  It is remembered here,
 * and goes out with the next commit (load_commit.c).
 */
#include <string.h>

#include "arena.h"
#include "load.h"

static struct loaded *memory_of(struct loop *l, const struct window_item *slot)
{
	/* An orphan's partition is somebody else's, or ours anew with a state that was read anew. */
	return slot->orphan ? NULL : load_partition(l, slot->partition)->loaded;
}

static void remember(struct loop *l, const struct window_item *slot, const struct loaded_entry *e)
{
	struct loaded *t = memory_of(l, slot);

	if (!t)
		return;
	loaded_put(t, slot->key, slot->key_len, e);
	load_keep_state(l, slot->partition, slot->key, slot->key_len, e);
}

static struct loaded_entry entry_of(struct loop *l, const struct window_item *slot)
{
	const struct load_item *it = slot->payload;
	struct loaded *t = memory_of(l, slot);
	struct loaded_entry e = {.offset = -1};

	if (t)
		loaded_find(t, slot->key, slot->key_len, &e);
	e.offset = later_of(e.offset, it->input_offset);
	e.met = true;
	return e;
}

void load_written(struct loop *l, const struct window_item *slot, const struct load_job *job)
{
	static const enum load_count counts[] = {LOAD_COUNTS, COUNT_CREATED, COUNT_UPDATED,
						 COUNT_DELETED};
	const struct load_item *it = slot->payload;

	if (counts[job->outcome] != LOAD_COUNTS)
		load_count(l, slot->partition, counts[job->outcome], 1);
	if (!l->loader->memory)
		return;
	struct loaded_entry e = entry_of(l, slot);
	if (!it->r.tombstone) {
		e.epoch = it->r.epoch;
		e.version = it->r.version;
	}
	e.deleted = it->r.is_delete;
	e.hash = it->r.is_delete ? (uint64_t)it->r.observed_ms : it->r.hash;
	/* What says only a part keeps the parent's name: a child that cannot be seen is deleted
	 * when the parent is there. */
	if (!it->r.partial || it->r.parent)
		e.parent = it->r.parent;
	e.unsure = !it->r.is_delete && job->outcome == LOAD_NOTHING;
	e.consent = it->r.partial ? e.consent | it->r.consent : it->r.consent;
	remember(l, slot, &e);
}

/* The source has the key, though nothing of it could be sent: a sweep leaves it alone. */
static void meet(struct loop *l, const struct window_item *slot)
{
	struct loaded *t = memory_of(l, slot);
	struct loaded_entry e;

	if (!t || !loaded_find(t, slot->key, slot->key_len, &e))
		return;
	e.met = true;
	loaded_put(t, slot->key, slot->key_len, &e);
}

/* A write was given up: what the target has may be the old or the new. */
static void unsure(struct loop *l, const struct window_item *slot, bool known, bool doubtful)
{
	struct loaded_entry e = entry_of(l, slot);

	meet(l, slot);
	if (!known && !doubtful)
		return;
	e.unsure = true;
	e.deleted = false;
	remember(l, slot, &e);
}

void load_finish(struct loop *l, struct window_item *slot)
{
	struct load_item *it = slot->payload;

	if (it->parked && !slot->orphan) {
		parked_remove(l->parked, slot->key, slot->key_len);
		load_unpark(l, slot->partition, slot->key, slot->key_len);
	}
	if (it->swept && !slot->orphan)
		load_partition(l, slot->partition)->sweep_left--;
	l->records++;
	load_item_free(window_done(l->window, slot));
}

void load_park(struct loop *l, struct window_item *slot, const struct load_job *job,
	       mono_time begun)
{
	struct load_item *it = slot->payload;
	const struct parked_child *before =
	    it->parked ? parked_find(l->parked, slot->key, slot->key_len) : NULL;
	int64_t since = before ? before->since_ms : wall_now().ms;
	bool same = before && it->msg->offset == before->offset &&
		    slot->offset == WINDOW_LOOSE; /* it was released for nothing */
	/* One that waits already is not tried again for an arrival that it was sent after. */
	bool came = parked_came(l->parked, job->parent, it->parked ? begun : (mono_time){0});

	if (slot->orphan) {
		load_finish(l, slot);
		return;
	}
	struct loaded_change says = load_change_of(it);
	unsure(l, slot, false, job->doubtful);
	parked_put(l->parked, slot->key, slot->key_len, slot->partition, job->parent,
		   same ? before->offset : -1, since, &says);
	if (came)
		parked_set_due(l->parked, slot->key, slot->key_len, true);
	if (!same) {
		load_count(l, slot->partition, COUNT_PARKED, 1);
		load_keep_parked(l, slot, it, job->parent, job->missing, since);
	}
	it->parked = false; /* it stays there */
	load_finish(l, slot);
}

void load_reject(struct loop *l, struct window_item *slot, const struct load_job *job,
		 const struct error *why)
{
	struct load_item *it = slot->payload;

	if (slot->orphan) {
		load_finish(l, slot);
		return;
	}
	if (l->loader->memory)
		unsure(l, slot, job && job->known, job && job->doubtful);
	load_dead_letter(l, slot, it, why);
	load_finish(l, slot);
}

struct loaded_change load_change_of(const struct load_item *it)
{
	return (struct loaded_change){.is_delete = it->r.is_delete,
				      .tombstone = it->r.tombstone,
				      .epoch = it->r.epoch,
				      .version = it->r.version,
				      .observed_ms = it->r.observed_ms,
				      .offset = it->input_offset,
				      .hash = it->r.hash};
}

bool load_is_older(const struct load_item *it, const struct load_item *before)
{
	const struct loaded_change c = load_change_of(it), b = load_change_of(before);
	return loaded_older(&c, &b);
}

bool load_is_past(struct loop *l, const struct window_item *slot)
{
	const struct parked_child *c =
	    l->parked ? parked_find(l->parked, slot->key, slot->key_len) : NULL;
	const struct loaded_change says = load_change_of(slot->payload);

	return c && loaded_older(&says, &c->says);
}

enum loaded_verdict load_judge(struct loop *l, int32_t partition, const void *key, size_t key_len,
			       const struct load_item *it, struct loaded_entry *e)
{
	struct partition *p = load_partition(l, partition);
	bool there = loaded_find(p->loaded, key, key_len, e);
	struct loaded_change c = load_change_of(it);

	if (!there)
		*e = (struct loaded_entry){.deleted = true};
	return loaded_judge(there ? e : NULL, &c,
			    !it->no_skip && it->input_offset >= p->no_skip_below);
}

bool load_needless(struct loop *l, int32_t partition, const void *key, size_t key_len,
		   const struct load_item *it, struct loaded_entry *was)
{
	struct loaded_entry e;
	enum loaded_verdict v = load_judge(l, partition, key, key_len, it, &e);

	*was = e;
	if (it->swept)
		return was->deleted || e.met; /* it came back in the meantime */
	if (v == LOADED_WRITE)
		return false;
	/* The tombstone behind a delete is no change of its own. */
	if (v == LOADED_OLDER || !it->r.tombstone)
		load_count(l, partition, v == LOADED_OLDER ? COUNT_OLDER : COUNT_UNCHANGED, 1);
	bool newer = v == LOADED_UNCHANGED && !it->r.tombstone &&
		     (it->r.epoch != e.epoch || it->r.version != e.version);
	if (newer) {
		e.epoch = it->r.epoch;
		e.version = it->r.version;
	}
	e.offset = later_of(e.offset, it->input_offset);
	e.met = true;
	loaded_put(load_partition(l, partition)->loaded, key, key_len, &e);
	/* A later version of the same content is remembered, so that one between is older. */
	if (newer)
		load_keep_state(l, partition, key, key_len, &e);
	return true;
}
