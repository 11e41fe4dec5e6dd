/* row.c - a row of an export: numbers, internal names or English labels, and what they mean. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "arena.h"
#include "json.h"
#include "logs.h"

static const char *field(const struct reading *r, enum log_column c)
{
	return r->columns[c] >= 0 && r->columns[c] < r->field_count ? r->fields[r->columns[c]] : "";
}

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (!strcasecmp(s, *words))
			return true;
	return false;
}

/* Numbers, internal names or English labels.  Numbers 1, 2, 6, 7 and their labels are documented;
 * others are not, so they are quarantined rather than guessed. */
static const char *const status_sent[] = {"1", "sent", "taken into account by the service provider",
					  NULL};
static const char *const status_failed[] = {"2", "failed", NULL};
static const char *const status_nothing[] = {
    "6", "7", "pending", "delivery cancelled", "ignored", "not applicable", NULL};
static const char *const failure_hard[] = {"2", "hard", NULL};
static const char *const failure_other[] = {"", "0", "1", "soft", "ignored", "not defined", NULL};
static const char *const url_click[] = {"1", "email click", NULL};
static const char *const url_open[] = {"2", "open", NULL};
static const char *const url_nothing[] = {"3",	 "4",		"5",	       "6", "opt-out",
					  "web", "transaction", "mirror page", NULL};
static const char *const yes[] = {"1", "true", "yes", NULL};

/* Reasons 7 to 17 and 127 are exclusions before sending, no bounces (Campaign v8, "delivery
 * failures"). */
static bool is_exclusion(const char *reason)
{
	int64_t n;
	return text_to_int(reason, 0, 1000, &n) && ((n >= 7 && n <= 17) || n == 127);
}

static enum result unknown(struct error *err, const char *what)
{
	return error_reject(err, "unknown-code", "a %s that is not known", what);
}

/* OK with *kind EVENT_KINDS: nothing comes of the row. */
static enum result classify(const struct reading *r, enum event_kind *kind, struct error *err)
{
	const char *status = field(r, LOG_STATUS), *type = field(r, LOG_FAILURE_TYPE);
	const char *url = field(r, LOG_URL_TYPE), *channel = field(r, LOG_MESSAGE_TYPE);

	*kind = EVENT_KINDS;
	if (is_one_of(field(r, LOG_TEST), yes))
		return OK;
	if (*channel && strcmp(channel, "0") && strcasecmp(channel, "email"))
		return OK;
	if (!r->sending) {
		if (is_one_of(url, url_open))
			*kind = EVENT_OPEN;
		else if (is_one_of(url, url_click))
			*kind = EVENT_CLICK;
		else if (!is_one_of(url, url_nothing))
			return unknown(err, "URL type");
		return OK;
	}
	if (is_one_of(status, status_sent))
		*kind = EVENT_SEND;
	else if (is_one_of(status, status_failed)) {
		if (is_exclusion(field(r, LOG_FAILURE_REASON)))
			return OK;
		if (is_one_of(type, failure_hard))
			*kind = EVENT_BOUNCE;
		else if (!is_one_of(type, failure_other))
			return unknown(err, "failure type");
	} else if (!is_one_of(status, status_nothing)) {
		return unknown(err, "status");
	}
	return OK;
}

static void put(avro_value_t *event, size_t i, const char *text)
{
	avro_value_t f = record_field(event, i);
	if (!*text && avro_value_get_type(&f) == AVRO_UNION) {
		record_set_null(&f);
		return;
	}
	avro_value_t some = record_set_some(&f);
	record_set_text(&some, text, strlen(text));
}

static enum result emit(struct reading *r, enum event_kind kind, const char *contact,
			wall_time time, struct error *err)
{
	struct logs *x = r->x;
	_cleanup_(freep) char *id = xasprintf("%s|%s|%s", x->connection->instance,
					      event_kind_names[kind], field(r, LOG_ID));
	avro_value_t f;
	enum result result;

	if (seen_has(x->events, id, strlen(id))) {
		x->repeated++;
		return OK;
	}
	avro_value_reset(&x->event);
	f = record_field(&x->event, EVENT_F_KIND);
	avro_value_set_enum(&f, (int)kind);
	put(&x->event, EVENT_F_ID, id);
	put(&x->event, EVENT_F_INSTANCE, x->connection->instance);
	f = record_field(&x->event, EVENT_F_TIME);
	avro_value_set_long(&f, time.ms);
	put(&x->event, EVENT_F_CONTACT, contact);
	put(&x->event, EVENT_F_BROADLOG, field(r, r->sending ? LOG_ID : LOG_BROADLOG_ID));
	put(&x->event, EVENT_F_DELIVERY, field(r, LOG_DELIVERY));
	put(&x->event, EVENT_F_DELIVERY_LABEL, field(r, LOG_DELIVERY_LABEL));
	put(&x->event, EVENT_F_CAMPAIGN, field(r, LOG_CAMPAIGN));
	put(&x->event, EVENT_F_CAMPAIGN_LABEL, field(r, LOG_CAMPAIGN_LABEL));
	put(&x->event, EVENT_F_URL, kind == EVENT_CLICK ? field(r, LOG_URL) : "");
	put(&x->event, EVENT_F_FAILURE_REASON,
	    kind == EVENT_BOUNCE ? field(r, LOG_FAILURE_REASON) : "");
	put(&x->event, EVENT_F_FILE, r->file->name);
	f = record_field(&x->event, EVENT_F_LINE);
	avro_value_set_long(&f, r->row);
	f = record_field(&x->event, EVENT_F_OBSERVED_AT);
	avro_value_set_long(&f, r->now.ms);
	result = wire_encode(x->schema_id, &x->event, &x->encoded, err);
	if (result == OK)
		result = extract_emit(r->o, id, x->encoded.data, x->encoded.len, time, r->now, err);
	if (result == OK) {
		seen_add(x->events, id, strlen(id));
		x->emitted++;
	}
	return result;
}

enum result row_take(struct reading *r, struct error *err)
{
	const char *contact = field(r, LOG_CONTACT), *time_text = field(r, LOG_TIME);
	enum event_kind kind;
	char lower[37];
	wall_time time;

	if (r->too_many || r->field_count != r->column_count)
		return error_reject(err, "bad-row", "the row has %d fields, the header %d",
				    r->field_count, r->column_count);
	for (int i = 0; i < r->field_count; i++)
		if (!text_is_utf8(r->fields[i], strlen(r->fields[i])))
			return error_reject(err, "bad-row", "field %d is not UTF-8", i + 1);
	enum result result = classify(r, &kind, err);
	if (result != OK)
		return result;
	if (kind == EVENT_KINDS) {
		r->x->left_out++;
		return OK;
	}
	if (!text_is_guid(contact)) { /* a profile that never came from Dynamics */
		r->x->not_a_contact++;
		return OK;
	}
	for (int i = 0; i < 37; i++)
		lower[i] =
		    (char)(contact[i] >= 'A' && contact[i] <= 'F' ? contact[i] + 32 : contact[i]);
	if (!*field(r, LOG_ID) || strlen(field(r, LOG_ID)) > 100)
		return error_reject(err, "bad-row", "the row has no usable id");
	if (!datetime_parse(time_text, strlen(time_text), true, &time))
		return error_reject(err, "bad-date",
				    "the time is not like 2026-01-31 12:00:00.000Z: export it in "
				    "ISO form with its zone");
	return emit(r, kind, lower, time, err);
}
