/* flow.c - the section `flows` of tideway.yaml: what is common to all, and flows of a table.
 * flow_fields.c reads their fields, flow_events.c the flows of events. */
#include "config_reader.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"
#include "zone.h"

static const char *const flow_kinds[] = {"contacts", "custom-entity", "email-events", NULL};

const char *flow_kind_name(enum flow_kind kind)
{
	return flow_kinds[kind];
}

/* A list, or nothing; anything else is a problem. */
static size_t list_of(struct reader *r, struct node list, const char *what)
{
	if (doc_kind(list) == DOC_LIST)
		return doc_count(list);
	if (doc_there(list) && !doc_is_null(list))
		problem(r->p, doc_place(list), "\"%s\" must be a list", what);
	return 0;
}

/* What becomes of records that are gone, or do not pass. */
static void read_leaving(struct reader *r, struct node map, struct flow *f)
{
	static const char *const deletes[] = {"apply", "ignore", "deactivate", NULL};
	static const char *const filtered[] = {"keep", "delete", NULL};
	struct node deactivate = doc_get(map, "deactivate");

	f->deletes = (enum deletes)doc_choice(map, "deletes", DELETES_APPLY, deletes, r->p);
	f->deactivate_count = read_pairs(r, deactivate, "deactivate", &f->deactivate);
	if (f->deletes == DELETES_DEACTIVATE && !doc_there(deactivate))
		problem(r->p, doc_place(doc_get(map, "deletes")),
			"\"deletes: deactivate\" needs \"deactivate\", the attributes and values "
			"that are written instead of deleting");
	if (f->deletes != DELETES_DEACTIVATE && doc_there(deactivate))
		problem(r->p, doc_place(deactivate),
			"\"deactivate\" is for \"deletes: deactivate\"");
	f->filter = doc_get(map, "filter");
	f->filtered_out_delete = doc_choice(map, "filtered_out", 0, filtered, r->p);
	if (doc_is_null(f->filter) && !*doc_text(f->filter))
		problem(r->p, doc_place(f->filter),
			"nothing stands behind \"filter\": every row would pass; write what is "
			"wanted, or leave it out");
	if (doc_there(doc_get(map, "filtered_out")) &&
	    (!doc_there(f->filter) || doc_is_null(f->filter)))
		problem(r->p, doc_place(doc_get(map, "filtered_out")),
			"\"filtered_out\" needs \"filter\"");
}

/* "1%" of the rows that are known, or a number of rows. */
static void read_max_deletes(struct reader *r, struct node n, struct flow *f)
{
	const char *s = doc_text(n);
	char *end;

	f->max_deletes_share = 0.01;
	f->max_deletes_count = -1;
	if (!doc_there(n))
		return;
	if (s && strchr(s, '%')) {
		double percent = strtod(s, &end);
		if (end != s && !strcmp(end, "%") && percent >= 0 && percent <= 100) {
			f->max_deletes_share = percent / 100;
			return;
		}
	} else if (s && text_to_int(s, 0, INT32_MAX, &f->max_deletes_count)) {
		return;
	}
	problem(r->p, doc_place(n),
		"\"max_deletes\" must be a share like 1%% or a number of rows like 500");
}

/* One interval, or {min: after changes, max: when all is quiet}. */
static void read_poll(struct reader *r, struct node map, struct flow *f, int64_t min_ms,
		      int64_t max_ms)
{
	static const char *const keys[] = {"min", "max", NULL};
	struct node n = doc_get(map, "poll");

	if (doc_kind(n) != DOC_MAP) {
		f->poll_ms = doc_duration(map, "poll", max_ms, 100, 86400000, r->p);
		f->poll_min_ms = doc_there(n) ? f->poll_ms : min_ms;
		return;
	}
	doc_only(n, r->p, "poll", keys);
	f->poll_min_ms = doc_duration(n, "min", min_ms, 100, 86400000, r->p);
	f->poll_ms = doc_duration(n, "max", max_ms, 100, 86400000, r->p);
	if (f->poll_min_ms > f->poll_ms)
		problem(r->p, doc_place(n), "poll: \"min\" is longer than \"max\"");
}

/* How changes of the table are found. */
static void read_extraction(struct reader *r, struct node map, struct flow *f)
{
	static const char *const changes[] = {"tracking", "modifiedon", "versionnumber", "full",
					      NULL};

	f->changes = (enum changes)doc_choice(map, "changes", 0, changes, r->p);
	f->overlap_ms = doc_duration(map, "overlap", 300000, 0, 86400000, r->p);
	if (doc_there(doc_get(map, "overlap")) && f->changes != CHANGES_MODIFIEDON)
		problem(r->p, doc_place(doc_get(map, "overlap")),
			"\"overlap\" is for changes: modifiedon");
	read_max_deletes(r, doc_get(map, "max_deletes"), f);
	/* A full read is heavy: the interval is between the end of one and the next. */
	read_poll(r, map, f, f->changes == CHANGES_FULL ? 3600000 : 5000,
		  f->changes == CHANGES_FULL ? 3600000 : 60000);
}

static void read_table_flow(struct reader *r, struct node map, struct flow *f)
{
	static const char *const consent[] = {"opt-outs", "dynamics-to-campaign", NULL};
	struct node fields = doc_get(map, "fields"), links = doc_get(map, "links");

	f->table = doc_required(map, "table", "this flow", r->p);
	f->resource = doc_required(map, "resource", "this flow", r->p);
	f->key = doc_required(map, "key", "this flow", r->p);
	f->consent_both = doc_choice(map, "consent", 0, consent, r->p);
	f->v8 = r->c->dialect == DIALECT_V8;
	f->pseudonym_key = r->c->pseudonym_key;
	read_leaving(r, map, f);
	read_extraction(r, map, f);
	if (doc_kind(fields) != DOC_LIST || !doc_count(fields))
		problem(r->p, doc_there(fields) ? doc_place(fields) : f->at,
			"this flow needs \"fields\", a list of {from: …, to: …}");
	size_t n = doc_kind(fields) == DOC_LIST ? doc_count(fields) : 0;
	size_t m = list_of(r, links, "links");
	if (m > FLOW_LINKS_MAX)
		problem(r->p, doc_place(doc_item(links, FLOW_LINKS_MAX)),
			"a flow has at most %d links", FLOW_LINKS_MAX);
	f->fields = xcalloc(n + m, sizeof *f->fields);
	for (size_t i = 0; i < n; i++)
		read_field(r, doc_item(fields, i), &f->fields[f->field_count++]);
	for (size_t i = 0; i < m; i++)
		read_link(r, doc_item(links, i), &f->fields[f->field_count++]);
}

/* Each has a default; none changes what is written. */
static void read_tuning(struct reader *r, struct node map, struct flow *f)
{
	bool events = f->kind == FLOW_EMAIL_EVENTS;

	f->page_size = doc_int(map, "page_size", 5000, 1, 5000, r->p);
	f->commit_interval_ms = doc_duration(map, "commit_interval", 100, 1, 10000, r->p);
	f->batch_size = doc_int(map, "batch_size", 1000, 1, 1000, r->p);
	f->max_in_flight = doc_int(map, "max_in_flight", events ? 0 : 32, 1, 1000, r->p);
	f->request_timeout_ms =
	    doc_duration(map, "request_timeout", events ? 120000 : 30000, 1000, 240000, r->p);
}

/* How load-campaign finds a record, and how long one waits for its parent. */
static void read_loading(struct reader *r, struct node map, struct flow *f)
{
	static const char *const unknown[] = {"patch", "post", NULL};
	static const char *const address[] = {"key", "filter", NULL};
	static const char *const filter_keys[] = {"name", "parameter", NULL};
	struct node filter = doc_get(map, "address_filter");

	f->insert_first = doc_choice(map, "on_unknown", 0, unknown, r->p);
	f->orphan_after_ms = doc_duration(map, "orphan_after", (int64_t)7 * 86400000, 1000,
					  (int64_t)365 * 86400000, r->p);
	if (!doc_choice(map, "address", 0, address, r->p)) {
		if (doc_there(filter))
			problem(r->p, doc_place(filter),
				"\"address_filter\" is for address: filter");
		return;
	}
	if (doc_kind(filter) != DOC_MAP) {
		problem(r->p, f->at,
			"address: filter needs \"address_filter\": {name: byCardId, parameter: "
			"cardId_parameter}, as the resource's metadata names them");
		return;
	}
	doc_only(filter, r->p, "address_filter", filter_keys);
	f->filter_name = doc_required(filter, "name", "address_filter", r->p);
	f->filter_parameter = doc_required(filter, "parameter", "address_filter", r->p);
}

void read_flow(struct reader *r, struct node key, struct node map, struct flow *f)
{
	static const char *const table_keys[] = {"kind",
						 "table",
						 "resource",
						 "key",
						 "fields",
						 "links",
						 "filter",
						 "filtered_out",
						 "deletes",
						 "deactivate",
						 "consent",
						 "changes",
						 "overlap",
						 "max_deletes",
						 "poll",
						 "page_size",
						 "commit_interval",
						 "max_in_flight",
						 "request_timeout",
						 "on_unknown",
						 "address",
						 "address_filter",
						 "orphan_after",
						 NULL};
	static const char *const event_keys[] = {"kind",
						 "since",
						 "files",
						 "activities",
						 "poll",
						 "bounces",
						 "clicks",
						 "privacy",
						 "commit_interval",
						 "batch_size",
						 "max_in_flight",
						 "request_timeout",
						 "orphan_after",
						 "rows_per_day",
						 "bypass_logic",
						 "state",
						 "cutover",
						 "cutover_window",
						 NULL};
	f->name = doc_text(key) ? doc_text(key) : "";
	f->at = doc_place(key);
	f->node = map;
	if (!*f->name || f->name[strspn(f->name, "abcdefghijklmnopqrstuvwxyz0123456789-")] ||
	    strlen(f->name) > 60)
		problem(r->p, f->at, "a flow's name is made of a-z, 0-9 and -, at most 60 of them");
	/* Unread, it is no flow of a table to whoever goes on looking for mistakes. */
	f->kind = FLOW_EMAIL_EVENTS;
	if (doc_kind(map) != DOC_MAP) {
		problem(r->p, f->at, "a flow is a mapping");
		return;
	}
	if (!doc_there(doc_get(map, "kind"))) {
		problem(r->p, f->at,
			"this flow needs \"kind\": contacts, custom-entity or "
			"email-events");
		return;
	}
	int kind = doc_choice(map, "kind", -1, flow_kinds, r->p);
	if (kind < 0)
		return;
	f->kind = (enum flow_kind)kind;
	doc_only(map, r->p, "this flow", f->kind == FLOW_EMAIL_EVENTS ? event_keys : table_keys);
	if (f->kind == FLOW_EMAIL_EVENTS) {
		read_event_flow(r, map, f);
		f->poll_ms = doc_duration(map, "poll", 30000, 100, 3600000, r->p);
	} else {
		read_table_flow(r, map, f);
	}
	read_tuning(r, map, f);
	read_loading(r, map, f);
}

void flow_clear(struct flow *f)
{
	for (size_t i = 0; i < f->field_count; i++) {
		free(f->fields[i].from);
		free(f->fields[i].values);
	}
	free(f->fields);
	free(f->deactivate);
	for (size_t i = 0; i < EXPORT_ENUMERATIONS; i++)
		free(f->exports.codes[i]);
	zone_free(f->exports.zone);
}
