/* cutover.c - activities that another application wrote around the moment at which we took over.
 *
 * Theirs is stopped at T, ours begins with events from T on (`since`), but an application that was
 * late, and one that was early, both wrote some on the other side.  So the rows around T are read
 * once; an event is there already when contact, delivery, kind and second are the same.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"
#include "loader.h"
#include "log.h"
#include "seen.h"

enum { PAGE = 5000 };

struct cutover {
	struct seen *rows;
	int64_t from_ms, to_ms;
};

static char *key_of(enum event_kind kind, const char *contact, const char *delivery,
		    int64_t time_ms)
{
	return xasprintf("%d|%s|%s|%lld", (int)kind, contact, delivery ? delivery : "",
			 (long long)(time_ms / 1000));
}

bool cutover_has(const struct cutover *c, enum event_kind kind, const char *contact,
		 const char *delivery, int64_t time_ms)
{
	if (time_ms < c->from_ms || time_ms > c->to_ms)
		return false;
	_cleanup_(freep) char *key = key_of(kind, contact, delivery, time_ms);
	return seen_has(c->rows, key, strlen(key));
}

void cutover_free(struct cutover *c)
{
	if (!c)
		return;
	seen_free(c->rows);
	free(c);
}

/* Rows that we wrote before a restart have ids of version 5 (event.h), those that Dynamics makes up
 * and those of chance have not.  They are not what was there before us: another event of that
 * second would be taken for them. */
static bool is_ours(const char *id)
{
	return id && strlen(id) == 36 && id[14] == '5' && strchr("89ab", id[19]);
}

static void take(struct cutover *c, enum event_kind kind, const struct activity_config *a,
		 const cJSON *row)
{
	const char *contact = json_string(row, "_regardingobjectid_value");
	const char *time = json_string(row, a->time);
	wall_time t;

	if (is_ours(json_string(row, "activityid")) || !contact || !time ||
	    !datetime_parse(time, strlen(time), true, &t))
		return;
	_cleanup_(freep) char *key =
	    key_of(kind, contact, json_string(row, a->columns[ACTIVITY_DELIVERY]), t.ms);
	seen_add(c->rows, key, strlen(key));
}

static enum result read_table(struct dataverse_loader *l, enum event_kind kind, struct error *err)
{
	const struct activity_table *t = &l->tables[kind];
	const struct activity_config *a = t->config;
	char from[25], to[25];

	if (!a->time || !a->columns[ACTIVITY_DELIVERY])
		return error_config(err, "config",
				    "%s:%d: \"cutover\" needs the columns time and delivery of %s",
				    a->at.file, a->at.line, a->table);
	datetime_format((wall_time){l->cutover->from_ms}, 'T', from);
	datetime_format((wall_time){l->cutover->to_ms}, 'T', to);
	char *url = xasprintf(
	    "%s/api/data/v9.2/%s?$select=activityid,_regardingobjectid_value,%s,%s&$filter="
	    "%s%%20ge%%20%s%%20and%%20%s%%20le%%20%s",
	    l->dataverse.url, t->table->entity_set, a->time, a->columns[ACTIVITY_DELIVERY], a->time,
	    from, a->time, to);
	enum result r = OK;
	while (url && r == OK) {
		struct dataverse_page page;
		const cJSON *row;
		r = dataverse_page(&l->dataverse, url, PAGE_OF_ROWS, PAGE, mono_now(), &page, err);
		free(url);
		url = NULL;
		if (r != OK)
			break;
		cJSON_ArrayForEach(row, page.rows) take(l->cutover, kind, a, row);
		if (page.next)
			url = xstrdup(page.next);
		dataverse_page_free(&l->dataverse, &page);
	}
	free(url);
	return r;
}

enum result cutover_open(struct dataverse_loader *l, struct error *err)
{
	enum result r = OK;

	if (!l->flow->has_cutover)
		return OK;
	l->cutover = xcalloc(1, sizeof *l->cutover);
	l->cutover->rows = seen_new();
	l->cutover->from_ms = l->flow->cutover.ms - l->flow->cutover_window_ms;
	l->cutover->to_ms = l->flow->cutover.ms + l->flow->cutover_window_ms;
	for (int k = 0; r == OK && k < EVENT_KINDS; k++)
		if (l->tables[k].config)
			r = read_table(l, (enum event_kind)k, err);
	if (r == OK)
		log_info("activities around the cut-over", "rows",
			 log_int((int64_t)seen_count(l->cutover->rows)), NULL);
	return r;
}
