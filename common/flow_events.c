/* flow_events.c - a flow of kind email-events: the export files, and the table of each event. */
#include "config_reader.h"

#include <string.h>

const char *const event_kind_names[] = {"send", "open", "click", "bounce", NULL};
const char *const log_column_names[] = {
    "id",	   "status",	     "failure_type", "failure_reason",
    "time",	   "contact",	     "delivery",     "delivery_label",
    "campaign",	   "campaign_label", "test",	     "message_type",
    "broadlog_id", "url_type",	     "url",	     NULL};

static void read_log_files(struct reader *r, struct node files, const char *which,
			   const enum log_column *needed, size_t needed_count, struct log_files *to)
{
	static const char *const keys[] = {"match", "columns", NULL};
	struct node map = doc_get(files, which), columns = doc_get(map, "columns");

	if (!doc_there(map))
		return;
	to->at = doc_place(map);
	doc_only(map, r->p, which, keys);
	to->match = doc_required(map, "match", which, r->p);
	doc_only(columns, r->p, "columns", log_column_names);
	for (int i = 0; i < LOG_COLUMNS; i++)
		to->columns[i] = doc_string(columns, log_column_names[i], NULL, r->p);
	for (size_t i = 0; i < needed_count; i++)
		if (!to->columns[needed[i]])
			problem(r->p, doc_there(columns) ? doc_place(columns) : to->at,
				"the %s export needs the column \"%s\"", which,
				log_column_names[needed[i]]);
}

static void read_activity(struct reader *r, struct node map, enum event_kind kind,
			  struct activity_config *a)
{
	static const char *const keys[] = {"table",	   "time",	 "campaign", "delivery",
					   "tracking_url", "mirror_url", NULL};
	if (!doc_there(map) || doc_is_null(map)) /* null: off, in a file laid over another */
		return;
	a->on = true;
	a->at = doc_place(map);
	doc_only(map, r->p, event_kind_names[kind], keys);
	a->table = doc_required(map, "table", event_kind_names[kind], r->p);
	a->time = doc_string(map, "time", NULL, r->p);
	a->campaign = doc_string(map, "campaign", NULL, r->p);
	a->delivery = doc_string(map, "delivery", NULL, r->p);
	a->tracking_url = doc_string(map, "tracking_url", NULL, r->p);
	a->mirror_url = doc_string(map, "mirror_url", NULL, r->p);
}

void read_event_flow(struct reader *r, struct node map, struct flow *f)
{
	static const char *const file_keys[] = {"sending", "tracking", NULL};
	static const enum log_column sending[] = {LOG_ID,      LOG_STATUS,  LOG_FAILURE_TYPE,
						  LOG_TIME,    LOG_CONTACT, LOG_DELIVERY,
						  LOG_CAMPAIGN};
	static const enum log_column tracking[] = {LOG_ID,	LOG_URL_TYPE, LOG_TIME,
						   LOG_CONTACT, LOG_DELIVERY, LOG_CAMPAIGN};
	struct node files = doc_get(map, "files"), acts = doc_get(map, "activities");
	struct node since = doc_get(map, "since");
	const char *s = doc_text(since);

	if (!doc_there(since))
		problem(r->p, f->at,
			"this flow needs \"since\": events before it are left out. Existing "
			"processes in Dynamics may make a task per click, and a back-fill would "
			"flood sales");
	else if (!s || !datetime_parse(s, strlen(s), true, &f->since))
		problem(r->p, doc_place(since),
			"\"since\" must be a time with a zone, like 2026-01-31T00:00:00Z");
	else
		f->has_since = true;
	if (!doc_there(files))
		problem(r->p, f->at, "this flow needs \"files\"");
	doc_only(files, r->p, "files", file_keys);
	read_log_files(r, files, "sending", sending, sizeof sending / sizeof *sending, &f->sending);
	read_log_files(r, files, "tracking", tracking, sizeof tracking / sizeof *tracking,
		       &f->tracking);
	doc_only(acts, r->p, "activities", event_kind_names);
	bool any = false;
	for (int k = 0; k < EVENT_KINDS; k++) {
		read_activity(r, doc_get(acts, event_kind_names[k]), (enum event_kind)k,
			      &f->activities[k]);
		any |= f->activities[k].on;
	}
	if (!any)
		problem(r->p, f->at,
			"this flow needs \"activities\" with at least one of send, open, click, "
			"bounce: every kind is off until it is named");
}
