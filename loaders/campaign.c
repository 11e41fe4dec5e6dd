/* load-campaign - profiles and custom resources of Campaign, written by their key.
 *
 * One call a change, none for nothing: what Campaign has is remembered in loaded.<resource>
 * (loaded.h), so what is unchanged is not sent, and what is older never is.  A record is PATCHed
 * at {resource}/{key}, POSTed when there is none, DELETEd; where an instance takes no key in its
 * URLs, a published filter finds the record first.  campaign/steps.c has the way of a record,
 * campaign/parents.c its links, body.h the JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "campaign/writing.h"

static void campaign_close(void *state)
{
	struct campaign_loader *l = state;

	parents_close(l);
	campaign_free(&l->campaign);
	buffer_free(&l->url);
	buffer_free(&l->body);
	free(l);
}

static enum result campaign_open(struct stage *s, void **state, struct error *err)
{
	const struct connection *c = &s->config->campaign;
	struct resource *live = NULL;
	size_t n;
	enum result r = stage_mapping(s, err);

	if (r != OK)
		return r;
	struct campaign_loader *l = xcalloc(1, sizeof *l);
	l->stage = s;
	l->url = BUFFER(8192);
	l->body = BUFFER(4 << 20);
	campaign_init(&l->campaign, s->http, c->url, c->credentials.token_url,
		      c->credentials.client_id, c->credentials.client_secret, c->credentials.scope);
	r = parents_open(l, err);
	if (r == OK)
		r = campaign_resource(&l->campaign, s->resource->name, mono_now(), &live, err);
	if (r == OK) {
		const char *const *paths = mapping_attributes(s->mapping, &n);
		r = resource_same(s->resource, live, paths, n, err);
	}
	resource_free(live);
	if (r != OK) {
		campaign_close(l);
		return r;
	}
	*state = l;
	return OK;
}

static struct load_limits campaign_limits(const struct stage *s, void *state)
{
	(void)state;
	const struct connection *c = &s->config->campaign;
	return (struct load_limits){{(size_t)s->flow->max_in_flight, c->max_requests_per_second},
				    c->max_requests_per_day};
}

/* *change: NULL of a tombstone. */
static enum result read_change(struct campaign_loader *l, const rd_kafka_message_t *m,
			       avro_value_t **change, struct load_record *out, struct error *err)
{
	struct change_head head;
	rd_kafka_timestamp_type_t type;
	int32_t id;

	*change = NULL;
	if (!m->key_len)
		return error_reject(err, "no-key", "a record without a key");
	if (!m->payload) {
		out->is_delete = out->tombstone = true;
		out->observed_ms = rd_kafka_message_timestamp(m, &type);
		return OK;
	}
	enum result r =
	    wire_decode_as_written(l->stage->wire, m->payload, m->len, change, &id, err);
	if (r != OK)
		return r;
	if (record_index(*change, "row") != CHANGE_ROW)
		return error_reject(err, "wire-format", "schema %d is none of a change", id);
	change_get_head(*change, &head);
	out->is_delete = head.op == CHANGE_DELETE;
	out->epoch = head.epoch;
	out->version = head.version;
	out->observed_ms = head.observed.ms;
	return OK;
}

static enum result campaign_prepare(void *state, const rd_kafka_message_t *m,
				    struct load_record *out, struct error *err)
{
	struct campaign_loader *l = state;
	struct write *w = NULL;
	avro_value_t *change;
	enum result r = read_change(l, m, &change, out, err);

	if (r == OK && out->is_delete)
		w = write_delete(m->key, m->key_len);
	else if (r == OK)
		r = write_of(l, change, m->key, m->key_len, &w, out, err);
	out->record = w;
	return r;
}

static enum result campaign_glance(void *state, const rd_kafka_message_t *m,
				   struct load_record *out, struct error *err)
{
	struct campaign_loader *l = state;
	avro_value_t *change;
	enum result r = read_change(l, m, &change, out, err);

	if (r == OK && !out->is_delete)
		r = body_hash(l->stage->mapping, change, &l->body, &out->hash, err);
	return r;
}

static void *campaign_remove(void *state, const void *key, size_t key_len)
{
	(void)state;
	return write_delete(key, key_len);
}

static const struct loader campaign_loader = {
    .program = "load-campaign",
    .synopsis = "Writes changes of profiles and custom resources to Adobe Campaign by its REST\n"
		"API: PATCH by key, POST when there is none, DELETE, nothing for what is\n"
		"unchanged. Many requests in flight, one at a time per key.",
    .memory = true,
    .limits = campaign_limits,
    .open = campaign_open,
    .prepare = campaign_prepare,
    .glance = campaign_glance,
    .remove = campaign_remove,
    .merge = write_merge,
    .release = write_free,
    .request = steps_request,
    .answer = steps_answer,
    .parents = parents_names,
    .close = campaign_close,
};

int main(int argc, char **argv)
{
	return load_main(argc, argv, &campaign_loader);
}
