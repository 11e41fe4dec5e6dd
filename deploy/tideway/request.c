/* request.c - see request.h. */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "arena.h"
#include "embed.h"
#include "extract_loop.h"
#include "schema.h"

EMBED(checkpoint_dataverse_avsc, "schemas/checkpoint-dataverse.avsc");

/* What both need: the registry, and the class of the topic's values. */
struct teller {
	const struct config *c;
	struct pipeline pipeline;
	const char *topic, *table;
	struct http *http;
	struct registry *registry;
	struct wire *wire;
	struct record_class class;
	avro_value_t value;
	int32_t schema_id;
	int64_t held;
	struct error err;
};

static enum result teller_open(struct teller *t, const struct config *c, const struct flow *f)
{
	*t = (struct teller){.c = c, .table = f->table};
	pipeline_of(c, f, &t->pipeline);
	t->topic = t->pipeline.stages[STAGE_EXTRACT].input;
	t->http = http_new("tideway/" TIDEWAY_VERSION, NULL);
	t->registry = registry_new(t->http, c->registry.url, c->registry.credentials.client_id,
				   c->registry.credentials.client_secret);
	t->wire = wire_new(t->registry);
	enum result r = record_class_new(&t->class, checkpoint_dataverse_avsc, &t->err);
	if (r == OK) {
		record_new(&t->class, &t->value);
		r = schema_register(t->registry, t->topic, t->class.json, &t->schema_id, &t->err);
	}
	return r;
}

static void teller_close(struct teller *t)
{
	if (t->value.self)
		avro_value_decref(&t->value);
	record_class_free(&t->class);
	wire_free(t->wire);
	registry_free(t->registry);
	http_free(t->http);
}

static avro_value_t named(avro_value_t *record, const char *name)
{
	return record_field(record, (size_t)record_index(record, name));
}

/* ---- reading ---------------------------------------------------------------------------------- */

static bool take_checkpoint(void *arg, const rd_kafka_message_t *m)
{
	struct teller *t = arg;
	avro_value_t f;

	if (m->key_len != strlen(t->table) || memcmp(m->key, t->table, m->key_len))
		return true;
	t->held = 0;
	if (m->payload &&
	    wire_decode(t->wire, m->payload, m->len, t->schema_id, &t->value, &t->err) == OK) {
		f = named(&t->value, "held");
		t->held = record_long(&f);
	}
	return true;
}

int request_held(const struct config *c, const struct flow *f, int64_t *held)
{
	struct teller t;
	char client[PIPELINE_NAME_MAX];
	enum result r = teller_open(&t, c, f);
	rd_kafka_t *reader = NULL;

	if (r == OK) {
		snprintf(client, sizeof client, "%s.tideway", c->name);
		reader = kafka_reader(c, client, &t.err);
		r = reader ? kafka_wait_ready(reader, c, 10000, &t.err) : FATAL;
	}
	if (r == OK)
		r = kafka_read_all(reader, t.topic, 15000, take_checkpoint, &t, &t.err);
	if (reader) {
		rd_kafka_consumer_close(reader);
		rd_kafka_destroy(reader);
	}
	*held = t.held;
	teller_close(&t);
	return r == OK ? EXIT_OK : command_fail(&t.err);
}

/* ---- writing ---------------------------------------------------------------------------------- */

static void set_long(avro_value_t *record, const char *name, int64_t n)
{
	avro_value_t f = named(record, name);
	avro_value_set_long(&f, n);
}

/* @locality the main thread, inside rd_kafka_flush */
static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct teller *t = opaque;

	(void)rk;
	if (m->err)
		error_restart(&t->err, "produce", "writing to %s: %s", t->topic,
			      rd_kafka_err2str(m->err));
	else
		t->held = 1; /* delivered */
}

static enum result produce(struct teller *t, const struct buffer *value)
{
	struct kafka_callbacks cb = {.delivered = on_delivered, .opaque = t};
	uuid_t uuid;
	char unique[37];
	uuid_generate(uuid);
	uuid_unparse_lower(uuid, unique);
	/* A key each: two requests do not take each other's place. */
	_cleanup_(freep) char *key = xasprintf(EXTRACT_REQUEST "%s/%s", t->table, unique);
	char client[PIPELINE_NAME_MAX];

	snprintf(client, sizeof client, "%s.tideway", t->c->name);
	rd_kafka_t *rk = kafka_producer(t->c, client, NULL, &cb, &t->err);
	if (!rk)
		return FATAL;
	t->held = 0;
	rd_kafka_resp_err_t code =
	    rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(t->topic), RD_KAFKA_V_KEY(key, strlen(key)),
			      RD_KAFKA_V_VALUE(value->data, value->len),
			      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
	if (!code)
		code = rd_kafka_flush(rk, 15000);
	rd_kafka_destroy(rk);
	if (code)
		return error_restart(&t->err, "produce", "writing to %s: %s", t->topic,
				     rd_kafka_err2str(code));
	return t->held ? OK : FATAL;
}

int request_send(const struct config *c, const struct flow *f, const struct request *q)
{
	struct buffer encoded = BUFFER(WIRE_VALUE_MAX);
	struct teller t;
	avro_value_t field, record;
	enum result r = teller_open(&t, c, f);

	if (r == OK) {
		avro_value_reset(&t.value);
		field = named(&t.value, "request");
		record = record_set_some(&field);
		field = named(&record, "kind");
		avro_value_set_enum(&field, (int)q->kind);
		set_long(&record, "deletes", q->deletes);
		set_long(&record, "since", q->since.ms);
		r = wire_encode(t.schema_id, &t.value, &encoded, &t.err);
	}
	if (r == OK)
		r = produce(&t, &encoded);
	buffer_free(&encoded);
	teller_close(&t);
	return r == OK ? EXIT_OK : command_fail(&t.err);
}
