/* What came of a record, without a broker: a loop of one partition, and items put in by hand. */
#include "load.h"

#include "arena.h"
#include "unit.h"

static void release(void *record)
{
	(void)record;
}

struct world {
	struct loop loop;
	struct loader loader;
	struct pipeline_stage self;
	struct stage stage;
	rd_kafka_message_t msg;
};

static struct world *begin(void)
{
	struct world *w = xcalloc(1, sizeof *w);

	w->loader = (struct loader){.memory = true, .release = release};
	w->stage.self = &w->self;
	w->loop = (struct loop){.stage = &w->stage,
				.loader = &w->loader,
				.window = window_new(),
				.parked = parked_new(1000)};
	load_partition(&w->loop, 0)->loaded = loaded_new();
	return w;
}

static void end(struct world *w)
{
	struct loop *l = &w->loop;

	for (struct outcome *o = l->outcomes; o; o = o->next)
		o->msg = NULL; /* ours */
	load_drop_outcomes(l, 0);
	window_free(l->window, load_item_free);
	loaded_free(l->partitions[0].loaded);
	parked_free(l->parked);
	free(l->partitions);
	free(w);
}

/* A record of the key k that is out. */
static struct window_item *out(struct world *w, int64_t offset, int64_t version, bool parked)
{
	struct load_item *it = xcalloc(1, sizeof *it);

	*it = (struct load_item){.loader = &w->loader, .input_offset = offset, .parked = parked};
	it->r.epoch = 1;
	it->r.version = version;
	window_add(w->loop.window, 0, offset, "k", 1, it);
	return window_take(w->loop.window);
}

static void parks(struct world *w, int64_t offset, int64_t version, bool parked, int64_t begun)
{
	struct window_item *slot = out(w, offset, version, parked);
	struct load_job job = {.parent = 7, .missing = "p"};

	w->msg.offset = offset;
	((struct load_item *)slot->payload)->msg = &w->msg;
	load_park(&w->loop, slot, &job, (mono_time){begun});
}

static bool due(struct world *w)
{
	return parked_find(w->loop.parked, "k", 1)->due;
}

SHOWS(a_parent_that_came_while_a_later_version_was_out_makes_it_due)
{
	struct world *w = begin();

	parks(w, 1, 1, false, 100);
	assert_false(due(w));
	assert_int_equal(parked_arrived(w->loop.parked, 7, (mono_time){150}), 1);
	parks(w, 2, 2, true, 120); /* sent before it came */
	assert_true(due(w));
	parks(w, 3, 3, true, 200); /* sent after it: the answer is about something else */
	assert_false(due(w));
	end(w);
}

static void loaded_and_not_met(struct world *w)
{
	loaded_put(w->loop.partitions[0].loaded, "k", 1,
		   &(struct loaded_entry){.epoch = 1, .version = 1, .hash = 5, .offset = 0});
}

static struct loaded_entry entry(struct world *w)
{
	struct loaded_entry e = {0};
	assert_true(loaded_find(w->loop.partitions[0].loaded, "k", 1, &e));
	return e;
}

SHOWS(what_is_rejected_or_parked_is_met)
{
	struct error why;
	struct world *w = begin();

	error_reject(&why, "unreadable", "of no schema");
	loaded_and_not_met(w);
	load_reject(&w->loop, out(w, 1, 0, false), NULL, &why);
	struct loaded_entry e = entry(w);
	assert_true(e.met && !e.unsure && e.hash == 5);
	loaded_and_not_met(w);
	parks(w, 2, 2, false, 0);
	e = entry(w);
	assert_true(e.met && !e.unsure && e.version == 1);
	end(w);
}

SHOWS(what_is_older_than_one_that_waits_is_past)
{
	struct world *w = begin();

	parks(w, 1, 5, false, 0);
	struct window_item *slot = out(w, 2, 3, true);
	assert_true(load_is_past(&w->loop, slot));
	load_finish(&w->loop, slot);
	parks(w, 3, 6, false, 0);
	slot = out(w, 4, 6, true);
	assert_false(load_is_past(&w->loop, slot));
	load_finish(&w->loop, slot);
	slot = out(w, 5, 1, false); /* and nobody waits any more */
	assert_false(load_is_past(&w->loop, slot));
	load_finish(&w->loop, slot);
	end(w);
}

SHOWS(a_tombstone_behind_its_delete_is_no_change)
{
	struct world *w = begin();
	struct load_item it = {.r = {.is_delete = true, .tombstone = true}, .input_offset = 9};
	struct loaded_entry was;

	loaded_put(w->loop.partitions[0].loaded, "k", 1,
		   &(struct loaded_entry){.epoch = 1, .version = 1, .deleted = true, .offset = 8});
	assert_true(load_needless(&w->loop, 0, "k", 1, &it, &was));
	assert_int_equal(w->loop.counts[COUNT_UNCHANGED], 0);
	it.r = (struct load_record){.is_delete = true, .epoch = 1, .version = 1};
	assert_true(load_needless(&w->loop, 0, "k", 1, &it, &was));
	assert_int_equal(w->loop.counts[COUNT_UNCHANGED], 1);
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_parent_that_came_while_a_later_version_was_out_makes_it_due),
	    cmocka_unit_test(what_is_rejected_or_parked_is_met),
	    cmocka_unit_test(what_is_older_than_one_that_waits_is_past),
	    cmocka_unit_test(a_tombstone_behind_its_delete_is_no_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
