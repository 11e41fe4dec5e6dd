/* load-campaign - profiles and custom resources of Campaign, written by their key.
 *
 * A record is PATCHed at {resource}/{key}; when Campaign does not know the key it is POSTed.  A
 * POST that did not clearly succeed is never repeated: it is resolved by a PATCH of the same key,
 * so a lost answer makes no duplicate.  A delete of something that is gone is done.
 *
 *      PATCH ── 2xx ──▶ done
 *        │ 404 not found
 *        ▼
 *      POST ── 201 ──▶ done
 *        │ no answer, 5xx, "already exists"
 *        └──▶ PATCH again ── 404 after "already exists" ──▶ another record has a value that must be
 *                                                           unique: a dead letter
 *
 * body.h says what the JSON looks like.  An update (a deactivation) of what is gone is done, too.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "body.h"
#include "campaign.h"
#include "load_loop.h"

enum step { PATCH, POST, PATCH_AFTER_DOUBT, PATCH_AFTER_DUPLICATE };

/* An answer that nobody documented is asked for again this many times.  Then the record is a dead
 * letter, if others went through meanwhile; if none did, it is not the record, it is an outage. */
enum { UNKNOWN_ANSWERS_MAX = 6 };

struct write {
	char *key;
	char *body;   /* of a PATCH: a JSON object without the key; NULL: delete */
	char *create; /* of a POST, without the key; NULL: what is not there is not made */
};

struct campaign_loader {
	struct stage *stage;
	struct campaign campaign;
	struct buffer url, body;
	int64_t successes;
};

/* ---- open ------------------------------------------------------------------------------------- */

static void campaign_close(void *state)
{
	struct campaign_loader *l = state;
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

/* ---- a record --------------------------------------------------------------------------------- */

static struct write *write_new(const char *key, size_t len)
{
	struct write *w = xcalloc(1, sizeof *w);
	w->key = xstrndup(key, len);
	return w;
}

static void write_free(void *record)
{
	struct write *w = record;
	free(w->key);
	free(w->body);
	free(w->create);
	free(w);
}

static enum result campaign_prepare(void *state, const rd_kafka_message_t *m,
				    struct load_record *out, struct error *err)
{
	struct campaign_loader *l = state;
	avro_value_t *change;
	struct body body;
	struct change_head head;
	int32_t id;

	if (!m->key_len)
		return error_reject(err, "no-key", "a record without a key");
	if (!m->payload) {
		out->record = write_new(m->key, m->key_len);
		out->is_delete = true;
		return OK;
	}
	enum result r =
	    wire_decode_as_written(l->stage->wire, m->payload, m->len, &change, &id, err);
	if (r != OK)
		return r;
	if (record_index(change, "row") != CHANGE_ROW)
		return error_reject(err, "wire-format", "schema %d is none of a change", id);
	change_get_head(change, &head);
	if (head.op == CHANGE_DELETE) {
		out->is_delete = true;
		out->record = write_new(m->key, m->key_len);
		return OK;
	}
	r = body_of(l->stage->mapping, change, &body, err);
	if (r != OK)
		return r;
	struct write *w = write_new(m->key, m->key_len);
	w->body = cJSON_PrintUnformatted(body.patch);
	w->create = body.create ? cJSON_PrintUnformatted(body.create) : NULL;
	out->record = w;
	body_free(&body);
	return OK;
}

/* ---- requests --------------------------------------------------------------------------------- */

/* The key in front of what making the record writes. */
static void post_body(struct campaign_loader *l, const struct write *w)
{
	cJSON *key = cJSON_CreateString(w->key);
	_cleanup_(freep) char *quoted = cJSON_PrintUnformatted(key);

	cJSON_Delete(key);
	buffer_reset(&l->body);
	buffer_printf(&l->body, "{\"%s\":%s%s%s", l->stage->flow->key, quoted,
		      w->create[1] == '}' ? "" : ",", w->create + 1);
}

static enum result campaign_request(void *state, struct load_job *job, struct http_request *req,
				    struct error *err)
{
	struct campaign_loader *l = state;
	const struct write *w = job->records[0];
	const char *path = l->stage->resource->path;
	enum result r = oauth_ensure(&l->campaign.oauth, l->stage->http, mono_now(), err);

	if (r != OK)
		return r;
	job->token = l->campaign.oauth.serial;
	bool post = w->body && job->step == POST;
	campaign_url(&l->campaign, path, post ? NULL : w->key, &l->url);
	*req = (struct http_request){.method = !w->body ? "DELETE"
					       : post	? "POST"
							: "PATCH",
				     .url = l->url.data,
				     .once = post,
				     .max_response_bytes = CAMPAIGN_ANSWER_MAX_BYTES,
				     .timeout_ms = l->stage->flow->request_timeout_ms};
	campaign_headers(&l->campaign, req->headers);
	if (post) {
		post_body(l, w);
		req->body = l->body.data;
		req->body_len = l->body.len;
	} else if (w->body) {
		req->body = w->body;
		req->body_len = strlen(w->body);
	}
	return OK;
}

/* Did the server surely not do it?  Then the same POST may go out again. */
static bool surely_not_done(const struct http_response *res)
{
	return res->status == 401 || res->status == 429 || (!res->status && !res->sent);
}

static enum result campaign_result(void *state, struct load_job *job,
				   const struct http_response *res, mono_time now, bool *again,
				   struct error *err)
{
	struct campaign_loader *l = state;
	const struct write *w = job->records[0];
	enum result r = campaign_answer(res, now, err);
	bool not_found = r == REJECT && !strcmp(err->reason, "not-found");
	bool duplicate = r == REJECT && !strcmp(err->reason, "duplicate-key");

	if (res->status == 401)
		oauth_forget(&l->campaign.oauth, job->token);
	if (!w->body)
		return not_found ? OK : r;
	if (not_found && !w->create)
		return OK; /* an update of what is not there */
	if (job->step == PATCH_AFTER_DUPLICATE && not_found)
		return error_reject(
		    err, "duplicate-key",
		    "campaign has no record of this key, and another one with a value "
		    "that must be unique");
	if (job->step != POST && not_found) {
		job->step = POST;
		*again = true;
		return OK;
	}
	if (job->step == POST && duplicate) {
		job->step = PATCH_AFTER_DUPLICATE;
		*again = true;
		return OK;
	}
	if (job->step == POST && r == RETRY && !surely_not_done(res))
		job->step = PATCH_AFTER_DOUBT;
	if (r == OK)
		l->successes++;
	if (r != RETRY || strcmp(err->reason, "unknown-answer"))
		return r;
	if (!job->attempt)
		job->seen = l->successes;
	return job->attempt >= UNKNOWN_ANSWERS_MAX && l->successes > job->seen ? REJECT : RETRY;
}

static const struct loader campaign_loader = {
    .program = "load-campaign",
    .synopsis = "Writes changes of profiles and custom resources to Adobe Campaign by its REST\n"
		"API: PATCH by key, POST when there is none, DELETE. Many requests in flight,\n"
		"one at a time per key.",
    .open = campaign_open,
    .prepare = campaign_prepare,
    .release = write_free,
    .request = campaign_request,
    .answer = campaign_result,
    .close = campaign_close,
};

int main(int argc, char **argv)
{
	return load_main(argc, argv, &campaign_loader);
}
