/* gateway.c - what a request passes before Campaign sees it: IMS tokens, the gateway's checks, and
 * its limit.
 *
 * Tokens: "OAuth Server-to-Server" and, for those who still call it, the JWT exchange of "JWT
 * authentication", whose documented errors are given and which then ends in 501: Adobe has switched
 * it off.  A bad organisation is 400 at first and 500 from then on, as the tests of Adobe's own SDK
 * (aio-lib-campaign-standard, e2e) saw it; the stage instance has no CNAME, which is 502.  429 is
 * documented for v8 ("TPS"), without a body and without Retry-After.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ORGANIZATION "acme"

static char *parameter(const struct request *req, const char *name)
{
	struct request form = {.query = req->body};
	char *v = query_get(&form, name);
	return v ? v : query_get(req, name); /* Adobe documents both places */
}

static void ims_error(struct reply *rep, int status, const char *error, const char *description)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "error", error);
	if (description)
		cJSON_AddStringToObject(o, "error_description", description);
	reply_header(rep, "Content-Type", "application/json;charset=UTF-8");
	reply_json(rep, status, o);
}

static void token(struct campaign *c, const struct request *req, struct reply *rep)
{
	char *grant = parameter(req, "grant_type"), *id = parameter(req, "client_id");
	char *secret = parameter(req, "client_secret"), *scope = parameter(req, "scope");

	if (strcmp(req->method, "POST"))
		reply_text(rep, 405, "%s", "");
	else if (!grant || strcmp(grant, "client_credentials"))
		ims_error(rep, 400, "unsupported_grant_type", NULL);
	else if (!id || strcmp(id, "sandbox") || !secret || strcmp(secret, "sandbox"))
		ims_error(rep, 400, "invalid_client",
			  "invalid client_id or client_secret parameter");
	else if (!scope || !*scope)
		ims_error(rep, 400, "invalid_scope", NULL);
	else {
		cJSON *o = cJSON_CreateObject();
		char text[100];
		snprintf(text, sizeof text, "eyJ.ims.%lld.%lld.%lld", (long long)time(NULL),
			 ++c->tokens, c->token_epoch);
		cJSON_AddStringToObject(o, "access_token", text);
		cJSON_AddStringToObject(o, "token_type", "bearer");
		cJSON_AddNumberToObject(o, "expires_in", (double)c->token_lifetime);
		reply_header(rep, "Content-Type", "application/json;charset=UTF-8");
		reply_json(rep, 200, o);
	}
	free(grant);
	free(id);
	free(secret);
	free(scope);
}

static void exchange_jwt(const struct request *req, struct reply *rep)
{
	char *id = parameter(req, "client_id"), *secret = parameter(req, "client_secret");
	char *jwt = parameter(req, "jwt_token"), *dot = jwt ? strchr(jwt, '.') : NULL;

	if (strcmp(req->method, "POST"))
		reply_text(rep, 405, "%s", "");
	else if (!id || !secret || !jwt)
		ims_error(rep, 400, "bad_request",
			  "client_id, client_secret and jwt_token are required");
	else if (strcmp(id, "sandbox"))
		ims_error(rep, 400, "invalid_client", "Could not find a client with this id");
	else if (strcmp(secret, "sandbox"))
		ims_error(rep, 401, "invalid_client", "The client secret is wrong");
	else if (!dot || !strchr(dot + 1, '.'))
		ims_error(rep, 400, "invalid_token", "Could not match JWT signature");
	else
		acs_not_implemented(
		    rep, "JWT credentials, which Adobe has ended; use client_credentials");
	free(id);
	free(secret);
	free(jwt);
}

static bool token_valid(const struct campaign *c, const struct request *req)
{
	const char *header = request_header(req, "Authorization");
	long long issued, serial, epoch;

	return header &&
	       sscanf(header, "Bearer eyJ.ims.%lld.%lld.%lld", &issued, &serial, &epoch) == 3 &&
	       epoch == c->token_epoch && time(NULL) >= issued &&
	       time(NULL) < issued + c->token_lifetime;
}

/* Which organisations the token is for; "API troubleshooting". */
static void profile(const struct campaign *c, const struct request *req, struct reply *rep)
{
	if (!token_valid(c, req)) {
		ims_error(rep, 401, "invalid_token", NULL);
		return;
	}
	cJSON *o = cJSON_CreateObject(), *item = cJSON_CreateObject();
	cJSON *context = cJSON_AddObjectToObject(item, "prodCtx");
	cJSON_AddStringToObject(context, "organization_id", ORGANIZATION);
	cJSON_AddStringToObject(context, "serviceCode", "dma_tartan");
	cJSON_AddItemToArray(cJSON_AddArrayToObject(o, "projectedProductContext"), item);
	acs_reply(rep, 200, o);
}

bool gateway_token(struct campaign *c, const struct request *req, struct reply *rep)
{
	if (!strcmp(req->path, "/ims/token/v3"))
		token(c, req, rep);
	else if (!strcmp(req->path, "/ims/exchange/jwt"))
		exchange_jwt(req, rep);
	else if (!strcmp(req->path, "/ims/profile/v1"))
		profile(c, req, rep);
	else
		return false;
	snprintf(rep->route, sizeof rep->route, "token");
	return true;
}

/* A bucket that holds the requests of one second. */
static bool over_rate(struct campaign *c)
{
	struct timespec ts;

	if (!c->rate)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	int64_t now = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	double more = (double)(now - c->last_request_us) / 1e6 * (double)c->rate;
	c->tokens_left += c->last_request_us ? more : (double)c->rate;
	c->last_request_us = now;
	if (c->tokens_left > (double)c->rate)
		c->tokens_left = (double)c->rate;
	if (c->tokens_left < 1)
		return true;
	c->tokens_left--;
	return false;
}

static void too_many(const struct campaign *c, struct reply *rep)
{
	if (c->retry_after >= 0)
		reply_header(rep, "Retry-After", "%ld", c->retry_after);
	if (c->retry_after == -2) {
		char date[64];
		time_t t = time(NULL) + 2;
		struct tm tm;
		strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
		reply_header(rep, "Retry-After", "%s", date);
	}
	reply_text(rep, 429, "%s", "");
}

static bool wrong_organization(struct campaign *c, const struct request *req, struct reply *rep)
{
	size_t n = strcspn(req->path + 1, "/");
	const char *name = req->path + 1;

	if (n == strlen(ORGANIZATION) && !strncmp(name, ORGANIZATION, n))
		return false;
	if (n == strlen(ORGANIZATION "-mkt-stage") &&
	    !strncmp(name, ORGANIZATION "-mkt-stage", n)) {
		gateway_oops(rep, 502, 502);
		return true;
	}
	bool known = c->bad_organization && strlen(c->bad_organization) == n &&
		     !strncmp(c->bad_organization, name, n);
	if (!known) {
		free(c->bad_organization);
		c->bad_organization = strndup(name, n);
	}
	gateway_oops(rep, known ? 500 : 400, known ? 500 : 400);
	return true;
}

bool gateway_admits(struct campaign *c, const struct request *req, struct reply *rep)
{
	const char *key = request_header(req, "X-Api-Key");

	snprintf(rep->route, sizeof rep->route, "unauthorized");
	if (!token_valid(c, req)) {
		gateway_error(rep, 401, "401013", "Oauth token is not valid");
		return false;
	}
	if (!key || strcmp(key, "sandbox")) {
		gateway_error(rep, 403, "403023", "Profile is not valid");
		return false;
	}
	snprintf(rep->route, sizeof rep->route, "gateway");
	if (over_rate(c)) {
		too_many(c, rep);
		return false;
	}
	if (wrong_organization(c, req, rep))
		return false;
	*rep->route = 0;
	return true;
}
