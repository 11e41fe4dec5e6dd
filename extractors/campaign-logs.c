/* extract-campaign-logs - sends, opens, clicks and bounces out of Campaign's log exports.
 *
 * Campaign has no bulk log endpoint; the documented route is a workflow that exports sending and
 * tracking logs as files to SFTP.  Exports overlap and rows change (Sent, later Failed), so an
 * event is known by its identity and written once: what is in the topic already is read back at
 * the start of a term.  A file is taken when its size has not changed for a poll; files are
 * taken in the order of their names; the rows done so far are the checkpoint, one key a file.
 *
 * The files are CSV or TAB with a header row, .gz or not; columns are named in the configuration.
 */
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

static enum result logs_open(struct stage *s, void **state, const struct record_class **out,
			     struct error *err)
{
	struct logs *x = xcalloc(1, sizeof *x);
	enum result r = record_class_new(&x->event_class, email_event_avsc, err);

	x->stage = s;
	x->connection = &s->config->logs;
	x->encoded = BUFFER(WIRE_VALUE_MAX);
	x->events = seen_new();
	if (r == OK)
		r = record_class_new(&x->checkpoint_class, checkpoint_campaign_logs_avsc, err);
	if (r != OK) {
		logs_close(x);
		return r;
	}
	record_new(&x->event_class, &x->event);
	record_new(&x->checkpoint_class, &x->checkpoint);
	*out = &x->event_class;
	*state = x;
	return OK;
}

static void logs_reset(void *state)
{
	struct logs *x = state;
	struct file *f, *next;

	HASH_ITER(hh, x->files, f, next) directory_forget(x, f);
	seen_clear(x->events);
}

static enum result logs_restore(void *state, const char *key, const avro_value_t *value,
				struct error *err)
{
	struct logs *x = state;
	struct file *f = directory_file(x, key, true);
	int done = 0;

	(void)err;
	if (!value) {
		directory_forget(x, f);
		return OK;
	}
	avro_value_t v = record_field(value, CP_SIZE);
	f->size = record_long(&v);
	v = record_field(value, CP_ROWS);
	f->rows = record_long(&v);
	v = record_field(value, CP_DONE);
	avro_value_get_boolean(&v, &done);
	f->done = done;
	return OK;
}

static bool remember_event(void *arg, const rd_kafka_message_t *m)
{
	struct logs *x = arg;
	seen_add(x->events, m->key, m->key_len);
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
	enum result r =
	    kafka_read_all(reader, x->stage->self->output, 15000, remember_event, x, err);
	rd_kafka_consumer_close(reader);
	rd_kafka_destroy(reader);
	if (r == OK)
		log_info("events known", "count", log_int((int64_t)seen_count(x->events)), NULL);
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
	if (r == OK)
		*wait_ms = 0;
	return r;
}

static void logs_close(void *state)
{
	struct logs *x = state;

	logs_reset(x);
	seen_free(x->events);
	if (x->event.self)
		avro_value_decref(&x->event);
	if (x->checkpoint.self)
		avro_value_decref(&x->checkpoint);
	record_class_free(&x->event_class);
	record_class_free(&x->checkpoint_class);
	buffer_free(&x->encoded);
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
