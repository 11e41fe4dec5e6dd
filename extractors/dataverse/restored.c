/* restored.c - was the environment restored to an earlier state?
 *
 * Then its rows have lower versions, and what changes from now on is looked for above where we are:
 * it would not be met until the versions have caught up, and what was undone never.  A page of a
 * delta may show it.  Where none comes, the row with the highest version that we saw tells: a row
 * goes back in no other way.  It is asked for every hour, and after every failure, because an
 * environment is away while it is restored.
 *
 * A row that is gone tells less: it was deleted, or it was made after the backup.  A delta would
 * have told of a deletion.  Without one, only a full read is sure; it is made once a day at most.
 */
#include <string.h>

#include "extraction.h"
#include "json.h"

enum { LOOK_MS = 3600000, DOUBT_MS = 86400000 };

void restored_heal(struct extraction *x, struct position *p, wall_time now)
{
	p->version = p->floor = p->version_before = 0;
	*p->top = 0;
	x->top_gone = 0;
	scan_heal(x, p, now, "the environment was restored to an earlier state", "");
}

/* A change of now has a version above all that was seen before its token was given. */
bool restored_shows(const struct position *p, const struct dataverse_page *page)
{
	const cJSON *row;
	const char *id;
	int64_t version;

	cJSON_ArrayForEach(row, page->rows) if (!dataverse_is_delete(row, &id) &&
						json_int(row, "versionnumber", &version) &&
						version <= p->floor) return true;
	return false;
}

/* The row is gone. */
static enum result doubt(struct extraction *x, struct position *p, wall_time now, bool *restored,
			 struct error *err)
{
	char id[37];
	int64_t version;

	if (x->stage->flow->changes == CHANGES_TRACKING) {
		*restored = ++x->top_gone > TROUBLE_MAX; /* the passes between said nothing of it */
		x->look_due = mono_now();
		return OK;
	}
	enum result r =
	    dataverse_newest(&x->dataverse, x->stage->table, mono_now(), id, &version, err);
	if (r != OK)
		return r;
	*restored = version < p->top_version && now.ms - p->doubted.ms >= DOUBT_MS;
	if (*restored)
		p->doubted = now;
	else if (version >= p->top_version)
		*p->top = 0;
	return OK;
}

enum result restored_look(struct extraction *x, struct position *p, wall_time now, bool *healed,
			  struct error *err)
{
	bool restored = false;
	int64_t version;
	enum result r;

	*healed = false;
	if (p->scan != SCAN_NONE || mono_until(mono_now(), x->look_due))
		return OK;
	x->look_due = mono_add(mono_now(), LOOK_MS);
	r = extraction_who(x, p, err);
	if (r != OK) {
		x->look_due = mono_now();
		return r;
	}
	if (*p->top) {
		r = dataverse_row_version(&x->dataverse, x->stage->table, p->top, mono_now(),
					  &version, err);
		if (r == OK && version < 0)
			r = doubt(x, p, now, &restored, err);
		else if (r == OK)
			restored = version < p->top_version;
		if (r == OK && version >= 0)
			x->top_gone = 0;
	} else {
		/* It was deleted: the newest of the others tells as well. */
		r = dataverse_newest(&x->dataverse, x->stage->table, mono_now(), p->top,
				     &p->top_version, err);
	}
	if (r == REJECT) /* a table that cannot be asked so */
		return OK;
	if (r != OK)
		x->look_due = mono_now();
	if (r == OK && restored) {
		restored_heal(x, p, now);
		*healed = true;
	}
	return r;
}
