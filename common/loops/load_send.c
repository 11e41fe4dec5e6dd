/* load_send.c - jobs: what is ready becomes a request, an answer becomes an outcome.
 *
 * A job is one request in flight, waiting for its turn to be sent again, or open (a batch that
 * still fills).  New records and retries take turns, so that neither starves the other.  Bad
 * answers, and what follows:
 *
 *   none, 429, 5xx of a gateway    RETRY: again later, as the governor allows; the outcome may be
 *                                  unknown, so the key is not skipped any more
 *   refused for good               a dead letter, or halves of a batch; the state turns unsure
 *   the parent is missing          the record is parked
 *   a later version came meanwhile it goes out instead of the one that waits
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "batch.h"
#include "load.h"
#include "log.h"

/* ---- jobs ------------------------------------------------------------------------------------- */

static struct job *job_new(size_t room, unsigned group)
{
	struct job *j = xcalloc(1, sizeof *j);
	j->pub.records = xcalloc(room, sizeof *j->pub.records);
	j->slots = xcalloc(room, sizeof *j->slots);
	j->group = group;
	return j;
}

static void job_free(struct job *j)
{
	free(j->pub.records);
	free(j->pub.verdicts);
	free(j->slots);
	free(j);
}

void load_free_jobs(struct loop *l)
{
	for (unsigned g = 0; g < LOAD_GROUPS; g++)
		if (l->open[g])
			job_free(l->open[g]);
	for (struct job *j = l->waiting, *next; j; j = next) {
		next = j->next;
		job_free(j);
	}
}

static void job_add(struct job *j, struct window_item *slot)
{
	j->slots[j->pub.count] = slot;
	j->pub.records[j->pub.count++] = ((struct load_item *)slot->payload)->r.record;
}

static void note_times(struct loop *l, const rd_kafka_message_t *m)
{
	rd_kafka_timestamp_type_t type;
	int64_t now = wall_now().ms, sent = m ? rd_kafka_message_timestamp(m, &type) : -1;
	wall_time source;

	if (sent > 0)
		histogram_add(&l->latency, now - sent);
	if (m && kafka_source_time(m, &source))
		histogram_add(&l->freshness, now - source.ms);
}

static void item_done(struct loop *l, const struct job *j, struct window_item *slot)
{
	note_times(l, ((struct load_item *)slot->payload)->msg);
	load_written(l, slot, &j->pub);
	load_finish(l, slot);
}

static void job_done(struct loop *l, struct job *j)
{
	for (size_t i = 0; i < j->pub.count; i++)
		item_done(l, j, j->slots[i]);
	job_free(j);
}

/* In the order of their times. */
static void put_waiting(struct loop *l, struct job *j, mono_time due)
{
	struct job **at = &l->waiting;

	j->due = due;
	while (*at && (*at)->due.ms <= due.ms)
		at = &(*at)->next;
	j->next = *at;
	*at = j;
}

static void wait_again(struct loop *l, struct job *j, mono_time now, const struct error *err)
{
	int64_t ms = stage_backoff_ms(++j->pub.attempt, &l->seed);

	if (mono_until(now, err->not_before) > ms)
		ms = mono_until(now, err->not_before);
	/* Once an attempt and job would flood the log when the target is down. */
	if (j->pub.attempt == 1 || j->pub.attempt % 8 == 0)
		stage_log_error("waiting", RETRY, err);
	l->retries++;
	put_waiting(l, j, mono_add(now, ms));
}

/* ---- requests --------------------------------------------------------------------------------- */

static void count_call(struct loop *l, const struct job *j)
{
	tally_add(&l->calls, j->pub.call ? j->pub.call : "request", 1);
	load_count(l, j->slots[0]->partition, COUNT_CALLS, 1);
	load_day_call(l);
}

static void refused(struct loop *l, struct job *j, mono_time now, const struct error *why);

static void send_job(struct loop *l, struct job *j, mono_time now)
{
	struct http_request req = {0};
	struct error err = {0};

	j->pub.outcome = LOAD_NOTHING;
	j->pub.parent = 0;
	j->pub.missing = NULL;
	j->pub.about_record = false;
	enum result r = l->loader->request(l->state, &j->pub, &req, &err);
	if (r == OK && !req.method) {
		job_done(l, j);
	} else if (r == OK) {
		j->sent = now;
		if (!j->begun.ms)
			j->begun = now;
		count_call(l, j);
		http_start(l->stage->http, &req, j);
		l->in_flight++;
		governor_sent(&l->governor, now);
	} else if (r == RETRY) {
		wait_again(l, j, now, &err);
	} else if (r == REJECT) { /* too large a request */
		refused(l, j, now, &err);
	} else {
		load_give_up(l, &err);
		wait_again(l, j, now, &err); /* so that it is freed with the others */
	}
}

/* The next step of a job, or a half of one. */
static void send_on(struct loop *l, struct job *j, mono_time now)
{
	int64_t wait;

	if (governor_may_send(&l->governor, now, &wait))
		send_job(l, j, now);
	else
		put_waiting(l, j, now);
}

static void put_aside(struct loop *l, struct window_item *slot, const struct load_job *job,
		      mono_time begun, const struct error *why)
{
	if (!slot->orphan)
		load_day_row_back(l, slot->partition);
	if (job->parent && l->parked && ((struct load_item *)slot->payload)->msg)
		load_park(l, slot, job, begun);
	else
		load_reject(l, slot, job, why);
}

/* The loader knows which records are bad: they are taken out, the others go on. */
static void sort_out(struct loop *l, struct job *j, mono_time now)
{
	struct load_verdict *verdicts = j->pub.verdicts;
	size_t kept = 0;

	j->pub.verdicts = NULL;
	for (size_t i = 0; i < j->pub.count; i++) {
		const struct load_verdict *v = &verdicts[i];
		if (v->result == RETRY) {
			j->slots[kept] = j->slots[i];
			j->pub.records[kept++] = j->pub.records[i];
		} else if (v->result == OK) {
			item_done(l, j, j->slots[i]);
		} else {
			struct load_job one = {.parent = v->parent, .missing = v->missing};
			put_aside(l, j->slots[i], &one, j->begun, &v->err);
		}
	}
	j->pub.count = kept;
	free(verdicts);
	if (kept)
		send_on(l, j, now);
	else
		job_free(j);
}

/* The records of a job that was refused: one becomes a dead letter, more are halved. */
static void refused(struct loop *l, struct job *j, mono_time now, const struct error *why)
{
	size_t half = batch_half(j->pub.count);

	if (j->pub.verdicts) {
		sort_out(l, j, now);
		return;
	}
	if (j->pub.count == 1) {
		put_aside(l, j->slots[0], &j->pub, j->begun, why);
		job_free(j);
		return;
	}
	struct job *second = job_new(j->pub.count - half, j->group);
	for (size_t i = half; i < j->pub.count; i++)
		job_add(second, j->slots[i]);
	second->begun = j->begun;
	j->pub.count = half;
	j->pub.attempt = second->pub.attempt = 0;
	log_info("batch halved", "reason", why->reason, "records", log_int((int64_t)half), NULL);
	send_on(l, j, now);
	send_on(l, second, now);
}

/* Records whose partition was given up while they were out are the next owner's: whatever the answer
 * was, they are not sent again, or an old version would follow a newer one.  False: nothing is left
 * of the job. */
static bool drop_orphans(struct loop *l, struct job *j, bool done)
{
	size_t kept = 0;

	for (size_t i = 0; i < j->pub.count; i++) {
		if (j->slots[i]->orphan && !done) {
			load_finish(l, j->slots[i]);
			continue;
		}
		if (j->pub.verdicts)
			j->pub.verdicts[kept] = j->pub.verdicts[i];
		j->slots[kept] = j->slots[i];
		j->pub.records[kept++] = j->pub.records[i];
	}
	j->pub.count = kept;
	return kept > 0;
}

static enum governor_answer pressure(const struct http_response *res)
{
	switch (res->status) {
	case 0:
	case 408:
	case 502:
	case 503:
	case 504:
		return GOVERNOR_LOADED;
	case 429:
		return GOVERNOR_QUOTA;
	default:
		return GOVERNOR_GOOD;
	}
}

static void answered(struct loop *l, struct job *j, const struct http_response *res, mono_time now)
{
	struct error err = {0};
	bool again = false;
	enum governor_answer p = pressure(res);

	j->pub.doubtful |= res->status ? p == GOVERNOR_LOADED : res->sent;
	enum result r = l->loader->answer(l->state, &j->pub, res, now, &again, &err);
	l->in_flight--;
	if (r != REJECT || j->pub.count == 0) {
		free(j->pub.verdicts);
		j->pub.verdicts = NULL;
	}
	bool unknown = p == GOVERNOR_GOOD && r == RETRY;
	if (unknown && res->status >= 500 && !j->pub.about_record)
		p = GOVERNOR_FAILED;
	/* Refused credentials stop everybody, as Retry-After does. */
	if (!drop_orphans(l, j, r == OK && !again)) {
		governor_answered(&l->governor, now, j->sent, p, (mono_time){0});
		if (r == FATAL)
			load_give_up(l, &err);
		job_free(j);
		return;
	}
	mono_time floor = r == RETRY ? err.not_before : (mono_time){0};
	governor_answered(&l->governor, now, j->sent, p, floor);
	if (unknown)
		l->unknown++;
	switch (r) {
	case OK:
		if (again)
			send_on(l, j, now);
		else
			job_done(l, j);
		break;
	case RETRY:
		if (p == GOVERNOR_QUOTA) /* no fault of its own: as soon as the governor allows */
			put_waiting(l, j, now);
		else
			wait_again(l, j, now, &err);
		l->retries += p == GOVERNOR_QUOTA;
		break;
	case REJECT:
		refused(l, j, now, &err);
		break;
	case FATAL:
		load_give_up(l, &err);
		wait_again(l, j, now, &err);
		break;
	}
}

void load_take_answers(struct loop *l)
{
	struct http_response *res;
	void *tag;

	while ((res = http_next(l->stage->http, &tag)))
		answered(l, tag, res, mono_now());
	rd_kafka_poll(l->producer, 0);
}

/* ---- what goes out ---------------------------------------------------------------------------- */

static size_t batch_size(struct loop *l, unsigned group)
{
	size_t n = l->loader->batch_size ? l->loader->batch_size(l->state, group) : l->batch_max;
	return n < 1 ? 1 : n < l->batch_max ? n : l->batch_max;
}

/* The next job of new records that should go out now, or NULL. */
static struct job *next_ready(struct loop *l, mono_time now)
{
	struct window_item *slot;

	while (l->broken == OK && load_day_has_rows(l) && (slot = window_take(l->window))) {
		struct load_item *it = slot->payload;
		struct loaded_entry was = {.deleted = true};
		if (it->expired && it->r.is_delete) {
			/* Nobody sees it without its parent, and nobody will. */
			load_finish(l, slot);
			continue;
		}
		if (it->why) {
			load_reject(l, slot, NULL, it->why);
			continue;
		}
		if (load_is_past(l, slot)) {
			it->parked = false; /* what waits stays there */
			load_count(l, slot->partition, COUNT_OLDER, 1);
			load_finish(l, slot);
			continue;
		}
		if (l->loader->memory &&
		    load_needless(l, slot->partition, slot->key, slot->key_len, it, &was)) {
			load_finish(l, slot);
			continue;
		}
		unsigned group = it->r.group;
		struct job *j = l->open[group];
		if (!j) {
			j = l->open[group] = job_new(l->batch_max, group);
			j->due = mono_add(now, l->loader->batches ? LOAD_LINGER_MS : 0);
		}
		j->pub.known = !was.deleted;
		j->pub.known_parent = was.deleted ? 0 : was.parent;
		/* A forced replay writes opt-outs again, too. */
		bool forced = it->input_offset < load_partition(l, slot->partition)->mark.force;
		j->pub.consent = was.deleted || forced ? 0 : was.consent;
		j->pub.doubtful |=
		    it->no_skip ||
		    it->input_offset < load_partition(l, slot->partition)->doubt_below;
		if (!l->loader->batches) {
			j->pub.attempt = it->attempt;
			j->pub.unknown = it->unknown;
		}
		job_add(j, slot);
		load_day_row(l, slot->partition);
		if (j->pub.count >= batch_size(l, group)) {
			l->open[group] = NULL;
			return j;
		}
	}
	for (unsigned g = 0; g < LOAD_GROUPS; g++)
		if (l->open[g] && !mono_until(now, l->open[g]->due)) {
			struct job *j = l->open[g];
			l->open[g] = NULL;
			return j;
		}
	return NULL;
}

/* A later record of the key came while the job waited: it goes instead. */
static bool overtaken(struct loop *l, struct job *j)
{
	struct window_item *slot = j->slots[0], *next = window_behind(slot);
	struct load_item *it = slot->payload, *new = next ? next->payload : NULL;

	if (j->pub.count > 1 || !new || new->why || slot->orphan || !l->loader->merge ||
	    load_is_older(new, it) || !l->loader->merge(l->state, &it->r, &new->r))
		return false;
	new->no_skip = true;
	new->attempt = j->pub.attempt;
	new->unknown = j->pub.unknown;
	new->parked |= it->parked;
	it->parked = false;
	load_count(l, slot->partition, COUNT_COALESCED, 1);
	load_finish(l, slot);
	job_free(j);
	return true;
}

static struct job *next_waiting(struct loop *l, mono_time now)
{
	while (l->waiting && !mono_until(now, l->waiting->due)) {
		struct job *j = l->waiting;
		l->waiting = j->next;
		j->next = NULL;
		if (!overtaken(l, j))
			return j;
	}
	return NULL;
}

void load_send(struct loop *l, mono_time now)
{
	int64_t wait;

	while (l->broken == OK && governor_may_send(&l->governor, now, &wait)) {
		struct job *j = NULL;
		for (int i = 0; i < 2 && !j; i++) {
			j = l->retries_next ? next_waiting(l, now) : next_ready(l, now);
			l->retries_next = !l->retries_next;
		}
		if (!j)
			return;
		send_job(l, j, now);
	}
}

int64_t load_next_wait(struct loop *l, mono_time now)
{
	int64_t ms = LOAD_COMMIT_MS, held;
	bool may = governor_may_send(&l->governor, now, &held);

	if (l->waiting && mono_until(now, l->waiting->due) < ms)
		ms = mono_until(now, l->waiting->due);
	for (unsigned g = 0; g < LOAD_GROUPS; g++)
		if (l->open[g] && mono_until(now, l->open[g]->due) < ms)
			ms = mono_until(now, l->open[g]->due);
	/* Due, but not allowed yet. */
	if (!may && window_count(l->window) && (ms < held || held < LOAD_COMMIT_MS))
		ms = held < LOAD_COMMIT_MS ? held : LOAD_COMMIT_MS;
	return ms;
}

/* Takes a partition's items out of a job that is not in flight. False: nothing is left. */
static bool job_release_partition(struct loop *l, struct job *j, int32_t partition)
{
	size_t kept = 0;

	for (size_t i = 0; i < j->pub.count; i++) {
		if (j->slots[i]->partition == partition && !j->slots[i]->orphan) {
			load_partition(l, partition)->in_doubt |= j->pub.doubtful;
			window_untake(l->window, j->slots[i]);
			continue;
		}
		j->slots[kept] = j->slots[i];
		j->pub.records[kept++] = j->pub.records[i];
	}
	j->pub.count = kept;
	return kept > 0;
}

void load_release_partition(struct loop *l, int32_t partition)
{
	for (unsigned g = 0; g < LOAD_GROUPS; g++)
		if (l->open[g] && !job_release_partition(l, l->open[g], partition)) {
			job_free(l->open[g]);
			l->open[g] = NULL;
		}
	for (struct job **at = &l->waiting; *at;) {
		struct job *j = *at;
		if (job_release_partition(l, j, partition)) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		job_free(j);
	}
}
