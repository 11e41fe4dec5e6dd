/* steps.c - from a record to requests, from an answer to the next step.
 *
 *              [look up parents]        mode pkey: once a parent
 *                     │
 *              [find by filter]         address: filter
 *        known │              │ unknown, on_unknown: post
 *              ▼              ▼
 *            PATCH ── 404 ─▶ POST ── 201 ──▶ created
 *              ▲              │ no answer, 5xx, "already exists"
 *              └──────────────┘
 *
 * A POST that did not clearly succeed is never repeated: a PATCH of the same key finds out.  Where
 * both ends meet - PATCH says there is none, POST says there is one - either the record is hidden,
 * because its parent is not there (it waits for it, and no update is lost), or another record has a
 * value that must be unique (a dead letter).  v8 does not explain its refusals: a POST that it
 * refuses may be a duplicate, and is treated as one.
 *
 * Bad answers: campaign.h tells what each means.  Unknown ones are asked again a bounded number of
 * times, and become dead letters only while other records are written: when none is, it is not the
 * record, it is an outage.  Look-ups do not count, they may work while nothing can be written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"
#include "writing.h"

enum step { BEGIN, ASK_PARENT, FIND, PATCH, POST, DELETE };

enum {
	UNKNOWN_ANSWERS_MAX = 6,
	REFERENCED_MAX = 8,	  /* tries of a delete while others still refer to the record */
	REFUSED_PAUSE_MS = 30000, /* credentials that a new token did not heal */
};

/* ---- requests --------------------------------------------------------------------------------- */

static void filter_url(struct campaign_loader *l, const char *path, const struct flow *f,
		       const char *key)
{
	campaign_url(&l->campaign, path, NULL, &l->url);
	buffer_printf(&l->url, "/%s?%s=", f->filter_name, f->filter_parameter);
	http_escape(&l->url, key);
}

static void parent_url(struct campaign_loader *l, const struct parent *p)
{
	if (p->link->flow && p->link->flow->filter_name)
		filter_url(l, p->link->path, p->link->flow, p->key);
	else
		campaign_url(&l->campaign, p->link->path, p->key, &l->url);
}

static void add_text(struct buffer *out, const char *text)
{
	cJSON *json = cJSON_CreateString(text);
	_cleanup_(freep) char *quoted = cJSON_PrintUnformatted(json);

	cJSON_Delete(json);
	buffer_puts(out, quoted);
}

/* The JSON of the record with what its step adds in front: the key, the PKeys of parents. */
static void set_body(struct campaign_loader *l, const struct write *w, const char *json, bool key)
{
	buffer_reset(&l->body);
	buffer_puts(&l->body, "{");
	if (key) {
		buffer_printf(&l->body, "\"%s\":", l->stage->flow->key);
		add_text(&l->body, w->key);
	}
	for (size_t i = 0; i < w->parent_count; i++) {
		const struct parent *p = &w->parents[i];
		if (p->link->config->link_mode != LINK_PKEY)
			continue;
		buffer_printf(&l->body, "%s\"%s\":{\"PKey\":", l->body.len > 1 ? "," : "",
			      p->link->config->to);
		add_text(&l->body, p->pkey);
		buffer_puts(&l->body, "}");
	}
	if (l->body.len > 1 && json[1] != '}')
		buffer_puts(&l->body, ",");
	buffer_puts(&l->body, json + 1);
}

/* What the target is known to have already: an opt-out is written once. */
static void set_patch(struct campaign_loader *l, const struct write *w, const struct load_job *job)
{
	uint8_t had = job->known ? job->consent & w->consent : 0;
	_cleanup_(freep) char *less = had ? without_consent(w->patch, had) : NULL;

	set_body(l, w, less ? less : w->patch, false);
}

static enum step first_step(struct campaign_loader *l, struct write *w, const struct load_job *job)
{
	bool post = l->stage->flow->insert_first && !job->known && !job->doubtful;

	if (w->patch && parents_next(l, w))
		return ASK_PARENT;
	if (post && w->create)
		return POST;
	if (l->stage->flow->filter_name && !w->pkey)
		return FIND;
	return w->patch ? PATCH : DELETE;
}

enum result steps_request(void *state, struct load_job *job, struct http_request *req,
			  struct error *err)
{
	static const char *const methods[] = {NULL, "GET", "GET", "PATCH", "POST", "DELETE"};
	static const char *const calls[] = {NULL, "pkey", "find", "patch", "post", "delete"};
	struct campaign_loader *l = state;
	struct write *w = job->records[0];
	const char *path = l->stage->resource->path;
	enum result r = oauth_ensure(&l->campaign.oauth, l->stage->http, mono_now(), err);
	if (r != OK)
		return r;
	if (job->token != l->campaign.oauth.serial)
		l->token_worked &= l->campaign.oauth.serial == l->refused_token;
	job->token = l->campaign.oauth.serial;
	if (job->step == BEGIN)
		job->step = first_step(l, w, job);
	switch ((enum step)job->step) {
	case BEGIN:
	case ASK_PARENT:
		parent_url(l, &w->parents[w->asked]);
		break;
	case FIND:
		filter_url(l, path, l->stage->flow, w->key);
		break;
	case PATCH:
		campaign_url(&l->campaign, path, w->pkey ? w->pkey : w->key, &l->url);
		set_patch(l, w, job);
		break;
	case POST:
		campaign_url(&l->campaign, path, NULL, &l->url);
		set_body(l, w, w->create, true);
		break;
	case DELETE:
		campaign_url(&l->campaign, path, w->pkey ? w->pkey : w->key, &l->url);
		break;
	}
	job->call = calls[job->step];
	*req = (struct http_request){.method = methods[job->step],
				     .url = l->url.data,
				     .once = job->step == POST,
				     .max_response_bytes = CAMPAIGN_ANSWER_MAX_BYTES,
				     .timeout_ms = l->stage->flow->request_timeout_ms};
	campaign_headers(&l->campaign, req->headers);
	if (job->step == PATCH || job->step == POST) {
		req->body = l->body.data;
		req->body_len = l->body.len;
	}
	return OK;
}

/* ---- answers ---------------------------------------------------------------------------------- */

static enum result go_on(struct load_job *job, enum step next, bool *again)
{
	job->step = next;
	*again = true;
	return OK;
}

static enum result done(struct load_job *job, enum load_outcome outcome)
{
	job->outcome = outcome;
	return OK;
}

/* The record waits for a parent: the one that a look-up did not find, or the first that it needs. */
static enum result wait_for(struct load_job *job, const struct write *w, const struct parent *p,
			    struct error *err)
{
	(void)w;
	job->parent = parent_fingerprint(p);
	job->missing = p->key;
	return error_reject(err, "no-parent", "its parent in %s is not there",
			    p->link->config->link);
}

/* Campaign does not find something that the record needs. */
static enum result parent_missing(struct campaign_loader *l, struct load_job *job, struct write *w,
				  bool *again, struct error *err)
{
	if (w->parent_count == 1)
		return wait_for(job, w, &w->parents[0], err);
	if (!w->find_missing) {
		w->find_missing = true;
		parents_forget(l, w);
		if (parents_next(l, w))
			return go_on(job, ASK_PARENT, again);
	}
	return error_reject(err, w->refused.reason[0] ? w->refused.reason : "not-found", "%s",
			    w->refused.text[0] ? w->refused.text
					       : "campaign does not find what the record names");
}

/* PATCH says that there is no such record, POST that there is one. */
static enum result dead_end(struct campaign_loader *l, struct load_job *job, struct write *w,
			    bool *again, struct error *err)
{
	if (w->parent_count)
		return parent_missing(l, job, w, again, err);
	return error_reject(err, w->refused.reason, "%s",
			    !strcmp(w->refused.reason, "duplicate-key")
				? "campaign has no record of this key, and another one with a "
				  "value that must be unique"
				: w->refused.text);
}

/* The first PKey of an answer: of one record, or of a list with at most one.  NULL with OK: the list
 * is empty.  Nothing at all, or something else, is not "there is none": that would be a second row,
 * or a delete that is thrown away. */
static enum result first_pkey(const struct http_response *res, char **pkey, struct error *err)
{
	cJSON *json = json_parse(res->body.data ? res->body.data : "", res->body.len);
	const cJSON *content = cJSON_GetObjectItemCaseSensitive(json, "content");
	bool list = cJSON_IsArray(content), none = list && !cJSON_GetArraySize(content);
	const char *text = json_string(list ? cJSON_GetArrayItem(content, 0) : json, "PKey");

	*pkey = text && *text ? xstrdup(text) : NULL;
	cJSON_Delete(json);
	return *pkey || none ? OK
			     : error_retry(err, CAMPAIGN_UNKNOWN,
					   "campaign answers %d to a look-up without a record or a "
					   "list of them",
					   res->status);
}

static enum result parent_answered(struct campaign_loader *l, struct load_job *job, struct write *w,
				   const char *pkey, enum result r, bool *again, struct error *err)
{
	struct parent *p = &w->parents[w->asked];

	if ((r == REJECT && !strcmp(err->reason, "not-found")) || (r == OK && !pkey))
		return wait_for(job, w, p, err);
	if (r != OK)
		return r;
	parent_found(l, p, pkey);
	if (parents_next(l, w))
		return go_on(job, ASK_PARENT, again);
	return go_on(job, first_step(l, w, job), again);
}

/* A child that needs its parent is deleted, and not found: it is gone, or hidden. */
static enum result delete_found_nothing(struct load_job *job, struct error *err)
{
	if (!job->known || !job->known_parent)
		return done(job, LOAD_NOTHING);
	job->parent = job->known_parent;
	return error_reject(err, "no-parent", "its parent is not there, so it cannot be deleted");
}

/* A filter does not find what is hidden because its parent is not there, and an insert would be a
 * second row, where keys are not unique.  Of a record that may have been inserted the parent is
 * asked for: is it there, then a second look tells the truth. */
static bool may_be_hidden(const struct load_job *job, const struct write *w)
{
	uint32_t parent = job->known ? job->known_parent : parents_needed(w);

	return job->step == FIND && !w->find_missing && parent && (job->known || job->doubtful);
}

static enum result look_for_parent(struct campaign_loader *l, struct load_job *job, struct write *w,
				   bool *again, struct error *err)
{
	/* Hidden behind a parent that it had, and of which only the fingerprint is left. */
	if (job->known && job->known_parent != parents_needed(w)) {
		job->parent = job->known_parent;
		return error_reject(err, "no-parent",
				    "the parent that it had is not there, so it cannot be updated");
	}
	w->find_missing = true;
	parents_forget(l, w);
	parents_next(l, w);
	return go_on(job, ASK_PARENT, again);
}

static enum result nothing_found(struct campaign_loader *l, struct load_job *job, struct write *w,
				 bool *again, struct error *err)
{
	if (!w->patch)
		return delete_found_nothing(job, err);
	if (!w->create)
		return done(job, LOAD_NOTHING); /* an update makes nothing */
	w->not_found = true;
	if (w->duplicate)
		return dead_end(l, job, w, again, err);
	if (may_be_hidden(job, w))
		return look_for_parent(l, job, w, again, err);
	return go_on(job, POST, again);
}

static enum result find_answered(struct campaign_loader *l, struct load_job *job, struct write *w,
				 const char *pkey, bool *again, struct error *err)
{
	if (!pkey)
		return nothing_found(l, job, w, again, err);
	free(w->pkey);
	w->pkey = xstrdup(pkey);
	return go_on(job, w->patch ? PATCH : DELETE, again);
}

/* A PKey is good for one context; one that is refused is looked up again, once. */
static enum result look_again(struct campaign_loader *l, struct load_job *job, struct write *w,
			      bool *again, struct error *err)
{
	if (w->looked_again)
		return error_reject(err, "bad-pkey",
				    "campaign refuses a PKey that it has just given");
	w->looked_again = true;
	free(w->pkey);
	w->pkey = NULL;
	parents_forget(l, w);
	return go_on(job, first_step(l, w, job), again);
}

static bool uses_pkeys(const struct write *w)
{
	bool any = w->pkey;
	for (size_t i = 0; i < w->parent_count; i++)
		any |= w->parents[i].pkey != NULL;
	return any;
}

static enum result post_refused(struct campaign_loader *l, struct load_job *job, struct write *w,
				const struct error *why, bool *again, struct error *err)
{
	w->refused = *why;
	if (w->duplicate)
		return dead_end(l, job, w, again, err);
	w->duplicate = true;
	/* Hidden, as it was not found just now; or it came between the two. */
	if (w->not_found && w->parent_count && job->known)
		return dead_end(l, job, w, again, err);
	free(w->pkey);
	w->pkey = NULL;
	return go_on(job, l->stage->flow->filter_name ? FIND : PATCH, again);
}

/* The same body again, later; or a dead letter, if it is only this record. */
static enum result unknown(struct campaign_loader *l, struct load_job *job, struct write *w)
{
	if (!job->unknown++)
		w->seen = l->successes;
	return job->unknown > UNKNOWN_ANSWERS_MAX && l->successes > w->seen ? REJECT : RETRY;
}

/* Campaign takes a text that begins as a PKey does for one, and then says what it says of a resource
 * without an identification key.  Where others are written, or the record names a parent by its key,
 * which may be any text, one record does not end the loader. */
static bool takes_key_for_pkey(const struct campaign_loader *l, const struct write *w,
			       enum step step, enum result r, const struct error *err)
{
	bool names = step == ASK_PARENT || l->successes > 0;

	for (size_t i = 0; i < w->parent_count; i++)
		names |= w->parents[i].link->config->link_mode == LINK_KEY;
	return names && r == FATAL && !strcmp(err->reason, "no-identification-key") &&
	       !uses_pkeys(w);
}

/* A new token once; then a pause for all, until somebody has mended the credentials. */
static void credentials_refused(struct campaign_loader *l, const struct load_job *job,
				mono_time now, struct error *err)
{
	if (job->token != l->campaign.oauth.serial || !l->campaign.oauth.header)
		return; /* an answer to an old token */
	if (!l->token_worked && l->refused_token)
		err->not_before = mono_add(now, REFUSED_PAUSE_MS);
	l->refused_token = job->token;
	l->token_worked = false;
	oauth_forget(&l->campaign.oauth, job->token);
}

enum result steps_answer(void *state, struct load_job *job, const struct http_response *res,
			 mono_time now, bool *again, struct error *err)
{
	struct campaign_loader *l = state;
	struct write *w = job->records[0];
	enum step step = (enum step)job->step;
	enum result r = campaign_answer(res, now, err);
	bool v8 = l->stage->flow->v8;
	bool unexplained = r == RETRY && !strcmp(err->reason, CAMPAIGN_UNEXPLAINED);
	bool referenced = r == RETRY && !strcmp(err->reason, "referenced");

	job->about_record = unexplained || referenced;

	if (res->status == 401 || res->status == 403) {
		credentials_refused(l, job, now, err);
		return r;
	}
	if (res->status && r != RETRY) {
		l->token_worked = true;
		l->refused_token = 0;
	}
	_cleanup_(freep) char *pkey = NULL;
	if (r == OK && (step == ASK_PARENT || step == FIND))
		r = first_pkey(res, &pkey, err);
	else if (r == OK)
		l->successes++;
	if (takes_key_for_pkey(l, w, step, r, err)) {
		struct error why = *err;
		job->about_record = true;
		error_retry(err, "bad-pkey", "a key may have been taken for a PKey: %s", why.text);
		return unknown(l, job, w);
	}
	if (step == ASK_PARENT && r != RETRY)
		return parent_answered(l, job, w, pkey, r, again, err);
	bool bad_pkey = r == REJECT && !strcmp(err->reason, "bad-pkey");
	if ((bad_pkey || (r == FATAL && !strcmp(err->reason, "no-identification-key"))) &&
	    uses_pkeys(w))
		return look_again(l, job, w, again, err);
	if (r == OK && step == FIND)
		return find_answered(l, job, w, pkey, again, err);
	if (r == OK)
		return done(job, step == POST	  ? LOAD_CREATED
				 : step == DELETE ? LOAD_DELETED
						  : LOAD_UPDATED);
	bool not_found = r == REJECT && !strcmp(err->reason, "not-found");
	if (not_found && step == POST) {
		w->refused = *err;
		return w->parent_count ? parent_missing(l, job, w, again, err) : r;
	}
	if (not_found)
		return nothing_found(l, job, w, again, err);
	if (step == POST &&
	    ((r == REJECT && !strcmp(err->reason, "duplicate-key")) || (v8 && unexplained))) {
		struct error why = *err;
		return post_refused(l, job, w, &why, again, err);
	}
	if (referenced)
		return job->attempt < REFERENCED_MAX ? RETRY : REJECT;
	if (unexplained || (r == RETRY && !strcmp(err->reason, CAMPAIGN_UNKNOWN)))
		r = unknown(l, job, w);
	/* Whether it was made is not known: a PATCH finds out. */
	bool surely_not = res->status == 429 || (!res->status && !res->sent);
	if (step == POST && r == RETRY && !surely_not)
		job->step = BEGIN;
	if (job->step == BEGIN)
		job->doubtful = true;
	return r;
}
