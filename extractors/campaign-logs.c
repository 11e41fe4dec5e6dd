/* extract-campaign-logs - sends, opens, clicks and bounces out of Campaign's log exports.
 *
 * Campaign has no bulk log endpoint; the documented route is a workflow that exports sending and
 * tracking logs as files to SFTP.  Exports overlap and rows change (Sent, later Failed), so an
 * event is known by its identity and written once: what was written in the last `overlap` days is
 * read back from the topic at the start of a term.  What comes again later than that is written
 * again, with the same id, and Dynamics has it once all the same.
 *
 * A file is taken when its size and time have not changed for a poll; files are taken in the order
 * of their names; the rows done so far are the checkpoint, one key a file, in the transaction of
 * their events.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "campaign-logs/logs.h"
#include "embed.h"
#include "log.h"

EMBED(checkpoint_campaign_logs_avsc, "schemas/checkpoint-campaign-logs.avsc");
EMBED(email_event_avsc, "schemas/email-event.avsc");

/* ---- open and terms --------------------------------------------------------------------------- */

static void logs_close(void *state);

static void count(const struct logs *x, struct metrics *m)
{
	for (int i = 0; i < EVENT_KINDS; i++)
		metrics_value(m, METRIC_EVENTS, event_kind_names[i], NULL, &x->emitted[i], NULL);
	for (int i = EXPORT_NOT_A_CONTACT; i < EXPORT_SKIPS; i++)
		metrics_value(m, METRIC_SKIPPED, export_skip_names[i], NULL, &x->skipped[i], NULL);
	metrics_value(m, METRIC_SKIPPED, "repeated", NULL, &x->repeated, NULL);
	metrics_value(m, METRIC_FILES, "read", NULL, &x->read, NULL);
	metrics_value(m, METRIC_FILES, "refused", NULL, &x->refused, NULL);
}

static enum result logs_open(struct stage *s, void **state, const struct record_class **out,
			     struct error *err)
{
	struct logs *x = xcalloc(1, sizeof *x);
	enum result r = record_class_new(&x->event_class, email_event_avsc, err);

	x->stage = s;
	x->connection = &s->config->logs;
	x->path = server_path(x);
	x->encoded = BUFFER(WIRE_VALUE_MAX);
	x->flow = s->flow;
	x->known = recall_new(s->flow->exports.overlap_ms);
	if (r == OK)
		r = record_class_new(&x->checkpoint_class, checkpoint_campaign_logs_avsc, err);
	if (r != OK) {
		logs_close(x);
		return r;
	}
	record_new(&x->event_class, &x->event);
	record_new(&x->checkpoint_class, &x->checkpoint);
	count(x, s->metrics);
	*out = &x->event_class;
	*state = x;
	return OK;
}

static void logs_reset(void *state)
{
	struct logs *x = state;
	struct file *f, *next;

	HASH_ITER(hh, x->files, f, next) directory_forget(x, f);
	x->listed_at = (mono_time){0};
	recall_clear(x->known);
}

static int64_t long_of(const avro_value_t *record, size_t i)
{
	avro_value_t v = record_field(record, i);
	return record_long(&v);
}

static bool flag_of(const avro_value_t *record, size_t i)
{
	avro_value_t v = record_field(record, i);
	int on = 0;
	avro_value_get_boolean(&v, &on);
	return on;
}

static enum result logs_restore(void *state, const char *key, const avro_value_t *value,
				struct error *err)
{
	struct logs *x = state;
	struct file *f = directory_file(x, key, true);

	(void)err;
	if (!value) {
		directory_forget(x, f);
		return OK;
	}
	f->size = long_of(value, CP_SIZE);
	f->rows = long_of(value, CP_ROWS);
	f->bytes = long_of(value, CP_BYTES);
	f->sum = (uint64_t)long_of(value, CP_SUM);
	f->done = flag_of(value, CP_DONE);
	f->refused = flag_of(value, CP_REFUSED);
	f->rejected = long_of(value, CP_REJECTED);
	f->complete = flag_of(value, CP_COMPLETE);
	avro_value_t v = record_field(value, CP_STAMP);
	snprintf(f->stamp, sizeof f->stamp, "%s", record_text(&v, NULL));
	return OK;
}

/* The ordinals of opens and clicks are in the records. */
static void remember_ordinal(struct logs *x, const rd_kafka_message_t *m, wall_time when)
{
	struct error err;

	if (wire_decode(x->stage->wire, m->payload, m->len, x->schema_id, &x->event, &err) != OK)
		return;
	int64_t n = long_of(&x->event, EVENT_F_ORDINAL);
	avro_value_t v = record_field(&x->event, EVENT_F_KIND), some;
	int kind = record_enum(&v);
	if (n <= 0 || kind < 0 || kind >= EVENT_KINDS)
		return;
	v = record_field(&x->event, EVENT_F_DELIVERY);
	const char *delivery = record_some(&v, &some) ? record_text(&some, NULL) : "";
	_cleanup_(freep) char *name = xstrdup(delivery);
	v = record_field(&x->event, EVENT_F_CONTACT);
	_cleanup_(freep) char *pair =
	    xasprintf("%s|%s|%s", event_kind_names[kind], name, record_text(&v, NULL));
	recall_counted(x->known, pair, strlen(pair), n, when);
}

static bool remember_event(void *arg, const rd_kafka_message_t *m)
{
	struct logs *x = arg;
	rd_kafka_timestamp_type_t type;
	wall_time when = {rd_kafka_message_timestamp(m, &type)};

	recall_add(x->known, m->key, m->key_len, when);
	if (m->payload)
		remember_ordinal(x, m, when);
	return true;
}

/* What was written in earlier terms is not written again, whatever the files repeat. */
static enum result logs_begin(void *state, int32_t schema_id, struct error *err)
{
	struct logs *x = state;
	char client[PIPELINE_NAME_MAX + 16];

	x->schema_id = schema_id;
	snprintf(client, sizeof client, "%s.events", x->stage->self->group);
	rd_kafka_t *reader = kafka_reader(x->stage->config, client, err);
	if (!reader)
		return FATAL;
	wall_time since = {wall_now().ms - x->flow->exports.overlap_ms};
	enum result r =
	    kafka_read_since(reader, x->stage->self->output, since, 15000, remember_event, x, err);
	rd_kafka_consumer_close(reader);
	rd_kafka_destroy(reader);
	if (r == OK)
		log_info("events known", "count", log_int((int64_t)recall_count(x->known)), NULL);
	return r;
}

/* ---- a step ------------------------------------------------------------------------------------ */

static enum result logs_step(void *state, struct extract_output *o, int64_t *wait_ms,
			     struct error *err)
{
	struct logs *x = state;
	struct file *f;
	enum result r = directory_next(x, o, &f, err);

	*wait_ms = x->stage->flow->poll_ms;
	if (r != OK || !f)
		return r;
	r = file_read(x, o, f, err);
	if (r == RETRY && !strcmp(err->reason, HTTP_NO_FILE)) {
		/* It is gone since, or we may not read it: no reason to hold back the others. */
		if (!f->told)
			log_warn("a file cannot be read", "file", f->name, "error", err->text,
				 NULL);
		f->passed_over = f->told = true;
		r = OK;
	}
	if (r == OK)
		*wait_ms = 0;
	return r;
}

static void logs_close(void *state)
{
	struct logs *x = state;

	logs_reset(x);
	recall_free(x->known);
	if (x->event.self)
		avro_value_decref(&x->event);
	if (x->checkpoint.self)
		avro_value_decref(&x->checkpoint);
	record_class_free(&x->event_class);
	record_class_free(&x->checkpoint_class);
	buffer_free(&x->encoded);
	free(x->path);
	free(x);
}

static const struct extractor logs_extractor = {
    .program = "extract-campaign-logs",
    .synopsis = "Reads the sending and tracking logs that a Campaign workflow exports as files\n"
		"(SFTP or a local directory) and writes sends, opens, clicks and bounces to\n"
		"<name>.campaign.email-event, each once. Of several processes of a flow one\n"
		"works, the others stand by.",
    .checkpoint_schema = checkpoint_campaign_logs_avsc,
    .open = logs_open,
    .reset = logs_reset,
    .restore = logs_restore,
    .begin = logs_begin,
    .step = logs_step,
    .close = logs_close,
};

int main(int argc, char **argv)
{
	return extract_main(argc, argv, &logs_extractor);
}
