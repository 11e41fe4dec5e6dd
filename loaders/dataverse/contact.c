/* contact.c - contacts that were merged: the events of the loser go to the winner.
 *
 * A merge moves the rows that are there; what comes later still names the loser, because Campaign
 * learns of the merge with the next change of a profile, if at all.  Merged contacts are few, so the
 * list of them is read once and then, before rows go out, what was merged since.
 *
 * Facts: "Merge action": the loser is inactive, `merged` is true and `masterid` names the winner.
 */
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "arena.h"
#include "json.h"
#include "loader.h"
#include "log.h"

enum { PAGE = 5000, OVERLAP_MS = 300000 };

struct loser {
	UT_hash_handle hh;
	char id[37], winner[37];
};

struct winners {
	struct loser *losers;
	wall_time read; /* what was merged until then is known */
	mono_time asked;
	bool none; /* the table has no such columns */
};

struct winners *winners_new(void)
{
	return xcalloc(1, sizeof(struct winners));
}

void winners_free(struct winners *w)
{
	struct loser *l, *next;

	if (!w)
		return;
	HASH_ITER(hh, w->losers, l, next)
	{
		HASH_DEL(w->losers, l);
		free(l);
	}
	free(w);
}

static void learn(struct winners *w, const char *id, const char *winner)
{
	struct loser *l;

	if (!id || !winner || !text_is_guid(id) || !text_is_guid(winner))
		return;
	HASH_FIND_STR(w->losers, id, l);
	if (!l) {
		l = xcalloc(1, sizeof *l);
		memcpy(l->id, id, 37);
		HASH_ADD_STR(w->losers, id, l);
	}
	memcpy(l->winner, winner, 37);
}

const char *winner_next(const struct winners *w, const char *contact)
{
	struct loser *l;

	HASH_FIND_STR(w->losers, contact, l);
	return l ? l->winner : NULL;
}

const char *winner_of(const struct winners *w, const char *contact)
{
	/* A winner may have lost a later merge; a circle ends. */
	for (int i = 0; i < MERGES_MAX; i++) {
		const char *next = winner_next(w, contact);
		if (!next)
			break;
		contact = next;
	}
	return contact;
}

static enum result read_since(struct dataverse_loader *l, const char *condition, mono_time now,
			      struct error *err)
{
	char *url = xasprintf("%s/api/data/v9.2/%s?$select=contactid,_masterid_value&$filter="
			      "merged%%20eq%%20true%s",
			      l->dataverse.url, l->contact->entity_set, condition);
	enum result r = OK;

	while (url && r == OK) {
		struct dataverse_page page;
		const cJSON *row;
		r = dataverse_page(&l->dataverse, url, PAGE_OF_ROWS, PAGE, now, &page, err);
		free(url);
		url = NULL;
		if (r != OK)
			break;
		cJSON_ArrayForEach(row, page.rows) learn(l->winners, json_string(row, "contactid"),
							 json_string(row, "_masterid_value"));
		if (page.next)
			url = xstrdup(page.next);
		dataverse_page_free(&l->dataverse, &page);
	}
	free(url);
	return r;
}

enum result winners_refresh(struct dataverse_loader *l, mono_time now, struct error *err)
{
	struct winners *w = l->winners;
	char condition[80] = "", since[25];
	wall_time began = wall_now();

	if (w->none || (w->asked.ms && now.ms - w->asked.ms < l->flow->poll_ms))
		return OK;
	if (w->asked.ms && datetime_format((wall_time){w->read.ms - OVERLAP_MS}, 'T', since))
		snprintf(condition, sizeof condition, "%%20and%%20modifiedon%%20ge%%20%s", since);
	enum result r = read_since(l, condition, now, err);
	if (r == OK) {
		w->asked = now;
		w->read = began;
	} else if (r == REJECT) { /* 400: no such columns */
		log_warn("merged contacts cannot be asked for", "error", err->text, NULL);
		w->none = true;
		r = OK;
	}
	return r;
}
