/* row.c - a row of an export that is an event, into the topic: once. */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "logs.h"

static void put(avro_value_t *event, size_t i, const char *text)
{
	avro_value_t f = record_field(event, i);
	if (!*text && avro_value_get_type(&f) == AVRO_UNION) {
		record_set_null(&f);
		return;
	}
	avro_value_t some = avro_value_get_type(&f) == AVRO_UNION ? record_set_some(&f) : f;
	record_set_text(&some, text, strlen(text));
}

static void put_long(avro_value_t *event, size_t i, int64_t n)
{
	avro_value_t f = record_field(event, i);
	avro_value_set_long(&f, n);
}

/* Opens and clicks are numbered, so that a transformer without a memory can keep the first few. */
static int64_t ordinal(struct reading *r, const struct export_event *e)
{
	struct recall *known = r->x->known;

	if (e->kind != EVENT_OPEN && e->kind != EVENT_CLICK)
		return 0;
	_cleanup_(freep) char *pair =
	    xasprintf("%s|%s|%s", event_kind_names[e->kind], e->texts[LOG_DELIVERY], e->contact);
	int64_t n = recall_next(known, pair, strlen(pair), EVENT_ORDINAL_MAX);
	recall_counted(known, pair, strlen(pair), n, r->now);
	return n;
}

static void fill(struct reading *r, const struct export_event *e, const char *id, int64_t number,
		 int64_t n)
{
	static const struct {
		size_t field;
		enum log_column column;
	} texts[] = {
	    {EVENT_F_DELIVERY, LOG_DELIVERY},	  {EVENT_F_DELIVERY_LABEL, LOG_DELIVERY_LABEL},
	    {EVENT_F_CAMPAIGN, LOG_CAMPAIGN},	  {EVENT_F_CAMPAIGN_LABEL, LOG_CAMPAIGN_LABEL},
	    {EVENT_F_MIRROR_URL, LOG_MIRROR_URL}, {EVENT_F_DEVICE, LOG_DEVICE}};
	avro_value_t *v = &r->x->event;
	bool click = e->kind == EVENT_CLICK, bounce = e->kind == EVENT_BOUNCE;
	const char *const *t = e->texts;

	avro_value_reset(v);
	avro_value_t f = record_field(v, EVENT_F_KIND);
	avro_value_set_enum(&f, (int)e->kind);
	put(v, EVENT_F_ID, id);
	put(v, EVENT_F_INSTANCE, r->x->connection->instance);
	put_long(v, EVENT_F_TIME, e->time.ms);
	put(v, EVENT_F_CONTACT, e->contact);
	put(v, EVENT_F_BROADLOG, t[r->sending ? LOG_ID : LOG_BROADLOG_ID]);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		put(v, texts[i].field, t[texts[i].column]);
	put(v, EVENT_F_URL, click ? t[LOG_URL] : "");
	put(v, EVENT_F_URL_TYPE, click ? e->url_type : "");
	put(v, EVENT_F_URL_LABEL, click ? t[LOG_URL_LABEL] : "");
	put(v, EVENT_F_URL_CATEGORY, click ? t[LOG_URL_CATEGORY] : "");
	put(v, EVENT_F_FAILURE_TYPE, bounce ? e->failure_type : "");
	put(v, EVENT_F_FAILURE_REASON, bounce ? t[LOG_FAILURE_REASON] : "");
	put(v, EVENT_F_FAILURE_TEXT, bounce ? t[LOG_FAILURE_TEXT] : "");
	put(v, EVENT_F_FILE, r->file->name);
	put_long(v, EVENT_F_LINE, number);
	put_long(v, EVENT_F_OBSERVED_AT, r->now.ms);
	put_long(v, EVENT_F_ORDINAL, n);
}

enum result row_take(struct reading *r, const struct export_row *row, struct error *err)
{
	struct logs *x = r->x;
	struct export_event e;
	enum export_skip skip;
	enum result result = export_event(x->flow, &r->columns, row, &e, &skip, err);

	if (result != OK)
		return result;
	if (skip) {
		x->skipped[skip]++;
		return OK;
	}
	_cleanup_(freep) char *id = xasprintf("%s|%s|%s", x->connection->instance,
					      event_kind_names[e.kind], e.texts[LOG_ID]);
	if (recall_has(x->known, id, strlen(id))) {
		x->repeated++;
		return OK;
	}
	fill(r, &e, id, row->number, ordinal(r, &e));
	result = wire_encode(x->schema_id, &x->event, &x->encoded, err);
	if (result == OK)
		result =
		    extract_emit(r->o, id, x->encoded.data, x->encoded.len, e.time, r->now, err);
	if (result == OK) {
		recall_add(x->known, id, strlen(id), r->now);
		x->emitted[e.kind]++;
	}
	return result;
}
