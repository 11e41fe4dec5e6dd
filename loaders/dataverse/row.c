/* row.c - a record of the topic becomes the members of a row. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "loader.h"

void row_release(void *record)
{
	struct row *row = record;

	if (!row)
		return;
	free(row->members);
	free(row);
}

static const char *text_of(const avro_value_t *activity, size_t i)
{
	avro_value_t f = record_field(activity, i), some;
	if (avro_value_get_type(&f) != AVRO_UNION)
		return record_text(&f, NULL);
	return record_some(&f, &some) ? record_text(&some, NULL) : NULL;
}

/* A text that is longer than its column is cut between characters: a delivery's label is worth less
 * than the event. */
static void add(const struct activity_table *t, cJSON *row, const char *column, const char *text)
{
	const struct column *c = column && text ? table_column(t->table, column) : NULL;
	char *copy;

	if (!column || !text)
		return;
	copy = xstrdup(text);
	/* Lengths are counted in UTF-16 units. */
	for (int64_t at = 0, units = 0; c && c->max_length && copy[at]; at++) {
		unsigned char b = (unsigned char)copy[at];
		units += (b & 0xc0) == 0x80 ? 0 : b >= 0xf0 ? 2 : 1;
		if (units > c->max_length) {
			copy[at] = 0;
			break;
		}
	}
	cJSON_AddStringToObject(row, column, copy);
	free(copy);
}

static char *members_of(const struct dataverse_loader *l, const struct activity_table *t,
			const char *time)
{
	cJSON *json = cJSON_CreateObject();

	add(t, json, "subject", text_of(&l->activity, ACTIVITY_F_SUBJECT));
	add(t, json, t->config->time, time);
	add(t, json, t->actual_end ? "actualend" : NULL, time);
	add(t, json, t->sort_date ? "sortdate" : NULL, time);
	for (size_t i = 0; i < ACTIVITY_TEXTS; i++)
		add(t, json, t->config->columns[i],
		    text_of(&l->activity, ACTIVITY_F_FIRST_TEXT + i));
	char *text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	if (!text)
		exit(EXIT_TEMPORARY);
	size_t n = strlen(text);
	memmove(text, text + 1, n - 2);
	text[n - 2] = 0;
	return text;
}

static bool is_there(struct dataverse_loader *l, enum event_kind kind, int64_t time_ms)
{
	const char *contact = text_of(&l->activity, ACTIVITY_F_CONTACT);
	const char *delivery = text_of(&l->activity, ACTIVITY_F_DELIVERY);
	bool there = false;

	/* A merge takes the rows that are there to the winner: they were read before it or after. */
	for (int i = 0; l->cutover && !there && contact && i <= MERGES_MAX; i++) {
		there = cutover_has(l->cutover, kind, contact, delivery, time_ms);
		contact = winner_next(l->winners, contact);
	}
	l->there_before += there;
	return there;
}

enum result row_prepare(void *state, const rd_kafka_message_t *m, struct load_record *out,
			struct error *err)
{
	struct dataverse_loader *l = state;
	avro_value_t f;
	char time[25];
	int32_t id = -1;

	if (!m->payload)
		return OK; /* nothing is ever deleted here */
	enum result r = wire_decode(l->stage->wire, m->payload, m->len, id, &l->activity, err);
	if (r != OK)
		return r;
	f = record_field(&l->activity, ACTIVITY_F_KIND);
	int kind = record_enum(&f);
	if (kind < 0 || kind >= EVENT_KINDS)
		return error_reject(err, "kind-off", "the kind of the event is not known");
	const struct activity_table *t = &l->tables[kind];
	if (!t->config || strcmp(t->config->table, text_of(&l->activity, ACTIVITY_F_TABLE)))
		return error_reject(err, "kind-off", "the kind %s is off, or has another table now",
				    event_kind_names[kind]);
	f = record_field(&l->activity, ACTIVITY_F_TIME);
	int64_t ms = record_long(&f);
	if (!datetime_format((wall_time){ms}, 'T', time))
		return error_reject(err, "bad-date", "the time of the event is out of range");
	const char *contact = text_of(&l->activity, ACTIVITY_F_CONTACT),
		   *activity = text_of(&l->activity, ACTIVITY_F_ID);
	if (strlen(contact) != 36 || strlen(activity) != 36)
		return error_reject(err, "bad-row", "an id of the record is none");
	if (is_there(l, (enum event_kind)kind, ms))
		return OK;
	struct row *row = xcalloc(1, sizeof *row);
	row->kind = (unsigned)kind;
	row->time_ms = ms;
	memcpy(row->id, activity, 37);
	memcpy(row->contact, contact, 37);
	row->members = members_of(l, t, time);
	out->record = row;
	out->group = row->kind;
	return OK;
}
