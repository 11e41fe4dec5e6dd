/* load_day.c - what may be sent on one day (UTC): rows_per_day, max_requests_per_day.
 *
 * Both are counted in the marks beside the committed offsets, so neither a restart nor another owner
 * begins the day anew; a kill forgets what was sent since the last commit, half a second at most.
 * Loaders of one flow share a limit: each may use the part of it that its partitions are of all.
 * What is over stays in the topic until the day is over: nothing is dropped.
 */
#include "load.h"
#include "log.h"

enum { DAY_MS = 86400000 };

static int64_t today(void)
{
	return wall_now().ms / DAY_MS;
}

/* Is something left of our share, by what our partitions have used?  Without partitions: yes. */
static bool room(const struct loop *l, int64_t limit, int64_t (*used)(const struct mark *))
{
	int64_t all = 0, mine = 0, day = today(), n = l->input_partitions;

	for (size_t i = 0; i < l->partition_count; i++) {
		const struct partition *p = &l->partitions[i];
		if (!p->ours)
			continue;
		mine++;
		all += p->mark.day == day ? used(&p->mark) : 0;
	}
	return !mine || all < (n ? (limit * mine + n - 1) / n : limit);
}

static int64_t rows_of(const struct mark *m)
{
	return m->rows_in_day;
}

static int64_t calls_of(const struct mark *m)
{
	return m->calls_in_day;
}

static void tell(bool has_room, bool *told, const char *msg, int64_t limit)
{
	if (!has_room && !*told)
		log_warn(msg, "limit", log_int(limit), NULL);
	*told = !has_room;
}

bool load_day_has_rows(struct loop *l)
{
	int64_t limit = l->stage->flow->rows_per_day;
	bool has = !limit || room(l, limit, rows_of);

	tell(has, &l->day_full_told,
	     "rows_per_day is reached: the rest waits for the next day (UTC)", limit);
	return has;
}

void load_day_row_back(struct loop *l, int32_t partition)
{
	mark_row_back(&load_partition(l, partition)->mark, today());
}

void load_day_row(struct loop *l, int32_t partition)
{
	if (l->stage->flow->rows_per_day)
		mark_row(&load_partition(l, partition)->mark, today());
}

void load_day_turn(struct loop *l, mono_time now)
{
	int64_t limit = l->limits.per_day;
	bool has = !limit || room(l, limit, calls_of);

	tell(has, &l->day_calls_told,
	     "max_requests_per_day is reached: the rest waits for the next day (UTC)", limit);
	governor_day(&l->governor, has, mono_add(now, DAY_MS - wall_now().ms % DAY_MS));
}

/* Charged to the partition with the fewest, whosever record it was: so a partition that goes to
 * another loader takes a fair part of what was used with it. */
void load_day_call(struct loop *l)
{
	struct partition *least = NULL;
	int64_t day = today(), fewest = INT64_MAX;

	if (!l->limits.per_day)
		return;
	for (size_t i = 0; i < l->partition_count; i++) {
		struct partition *p = &l->partitions[i];
		int64_t n = p->mark.day == day ? p->mark.calls_in_day : 0;
		if (!p->ours || n >= fewest)
			continue;
		least = p;
		fewest = n;
	}
	if (!least)
		return;
	mark_call(&least->mark, day);
	least->mark_changed = true;
	load_day_turn(l, mono_now());
}
