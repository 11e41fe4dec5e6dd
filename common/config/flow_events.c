/* flow_events.c - a flow of kind email-events: which events count, and the table of each kind.
 * flow_exports.c reads how the files are written. */
#include "config_reader.h"

#include <string.h>

const char *const event_kind_names[] = {"send", "open", "click", "bounce", NULL};
const char *const activity_text_names[] = {
    "campaign",	      "delivery",     "tracking_url", "mirror_url", "campaign_label",
    "delivery_label", "url_label",    "url_category", "device",	    "failure_type",
    "failure_reason", "failure_text", "message_id",   NULL};

static void read_activity(struct reader *r, struct node map, enum event_kind kind,
			  struct activity_config *a)
{
	const char *keys[ACTIVITY_TEXTS + 4] = {"table", "time", "at_most"};

	if (!doc_there(map) || doc_is_null(map)) /* null: off, in a file laid over another */
		return;
	memcpy(keys + 3, activity_text_names, sizeof activity_text_names);
	a->on = true;
	a->at = doc_place(map);
	doc_only(map, r->p, event_kind_names[kind], keys);
	a->table = doc_required(map, "table", event_kind_names[kind], r->p);
	a->time = doc_string(map, "time", NULL, r->p);
	a->at_most = doc_int(map, "at_most", 0, 1, EVENT_ORDINAL_MAX - 1, r->p);
	if (a->at_most && kind != EVENT_OPEN && kind != EVENT_CLICK)
		problem(r->p, doc_place(doc_get(map, "at_most")),
			"\"at_most\" is for open and click: a message is sent once and bounces "
			"once");
	for (int i = 0; i < ACTIVITY_TEXTS; i++)
		a->columns[i] = doc_string(map, activity_text_names[i], NULL, r->p);
}

static bool read_time(struct reader *r, struct node n, const char *what, wall_time *out)
{
	const char *s = doc_text(n);

	if (!doc_there(n))
		return false;
	if (s && datetime_parse(s, strlen(s), true, out))
		return true;
	problem(r->p, doc_place(n), "\"%s\" must be a time with a zone, like 2026-01-31T00:00:00Z",
		what);
	return false;
}

static void read_counting(struct reader *r, struct node map, struct flow *f)
{
	static const char *const bounces[] = {"hard", "hard-and-soft", NULL};
	static const char *const privacy[] = {"full", "strict", NULL};
	static const char *const clicks[] = {"links", "opt-out", "mirror-page", NULL};
	struct node list = doc_get(map, "clicks");

	f->exports.soft_bounces = doc_choice(map, "bounces", 0, bounces, r->p);
	f->strict_privacy = doc_choice(map, "privacy", 0, privacy, r->p);
	if (doc_there(list) && doc_kind(list) != DOC_LIST)
		problem(r->p, doc_place(list),
			"\"clicks\" must be a list of links, opt-out, mirror-page");
	for (size_t i = 0; doc_kind(list) == DOC_LIST && i < doc_count(list); i++) {
		const char *s = doc_text(doc_item(list, i));
		int n = 0;
		while (clicks[n] && (!s || strcmp(s, clicks[n])))
			n++;
		f->exports.opt_out_clicks |= n == 1;
		f->exports.mirror_page_clicks |= n == 2;
		if (!clicks[n])
			problem(r->p, doc_place(doc_item(list, i)),
				"\"clicks\" are links, opt-out or mirror-page");
	}
}

/* What Dynamics is to be spared, and how. */
static void read_writing(struct reader *r, struct node map, struct flow *f)
{
	static const char *const states[] = {"completed", "open", NULL};
	static const char *const bypass[] = {"none", "sync", "async", "all", NULL};
	static const char *const values[] = {NULL, "CustomSync", "CustomAsync",
					     "CustomSync,CustomAsync"};

	f->leave_open = doc_choice(map, "state", 0, states, r->p);
	f->rows_per_day = doc_int(map, "rows_per_day", 0, 1, 1000000000, r->p);
	f->bypass_logic = values[doc_choice(map, "bypass_logic", 0, bypass, r->p)];
	f->has_cutover = read_time(r, doc_get(map, "cutover"), "cutover", &f->cutover);
	f->cutover_window_ms =
	    doc_duration(map, "cutover_window", 3600000, 1000, (int64_t)30 * 86400000, r->p);
	if (doc_there(doc_get(map, "cutover_window")) && !f->has_cutover)
		problem(r->p, doc_place(doc_get(map, "cutover_window")),
			"\"cutover_window\" needs \"cutover\"");
}

void read_event_flow(struct reader *r, struct node map, struct flow *f)
{
	struct node acts = doc_get(map, "activities");

	if (!doc_there(doc_get(map, "since")))
		problem(r->p, f->at,
			"this flow needs \"since\": events before it are left out. Existing "
			"processes in Dynamics may make a task per click, and a back-fill would "
			"flood sales");
	f->has_since = read_time(r, doc_get(map, "since"), "since", &f->since);
	if (!doc_there(doc_get(map, "files")))
		problem(r->p, f->at, "this flow needs \"files\"");
	read_exports(r, doc_get(map, "files"), f);
	read_counting(r, map, f);
	read_writing(r, map, f);
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
