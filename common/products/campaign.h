/* campaign.h - the REST API of Adobe Campaign (Standard): addresses, bodies, answers.
 *
 * Facts: Adobe's documentation of the Campaign Standard APIs (get-started-apis, must-read,
 * creating/updating-profiles, custom-resources, troubleshooting) and of the migration to v8
 * (its table of error texts).  HTTP 500 is often permanent there and its body is a bare text, so
 * answers are told apart by text: RST-, XTK- and PGS- codes.
 */
#ifndef TIDEWAY_CAMPAIGN_H
#define TIDEWAY_CAMPAIGN_H

#include <cjson/cJSON.h>

#include "http.h"
#include "metadata.h"
#include "oauth.h"

enum {
	CAMPAIGN_ANSWER_MAX_BYTES = 1 << 20,
	CAMPAIGN_METADATA_MAX_BYTES = 8 << 20,
};

struct campaign {
	struct http *http; /* borrowed */
	const char *url;   /* https://mc.adobe.io/<org>/campaign, no slash at the end */
	struct oauth oauth;
	char *api_key; /* the header: "X-Api-Key: <client id>" */
};

void campaign_init(struct campaign *c, struct http *h, const char *url, const char *token_url,
		   const char *client_id, const char *client_secret, const char *scope);
void campaign_free(struct campaign *c);

/* {url}/{path} or {url}/{path}/{key}, the key percent-encoded. Appended to out (reset first). */
void campaign_url(const struct campaign *c, const char *path, const char *key, struct buffer *out);

size_t campaign_headers(const struct campaign *c, const char *headers[HTTP_HEADERS_MAX]);

/* What an answer means, in both dialects.
 *   OK      2xx, but not with a page of HTML
 *   RETRY   no answer, 401, 403, 429, gateway errors: as long as it takes.
 *           "referenced": a delete of a record that others still refer to.
 *           CAMPAIGN_UNKNOWN: no documented text.
 *           CAMPAIGN_UNEXPLAINED: v8's error without a reason, which is all it says of duplicate
 *           keys and bad values
 *   REJECT  reason "not-found": no record with this key; "duplicate-key": there is one already;
 *           "bad-pkey"; anything else: this body will never be accepted
 *   FATAL   the resource or its identification key do not exist */
#define CAMPAIGN_UNKNOWN "unknown-answer"
#define CAMPAIGN_UNEXPLAINED "unexplained"
enum result campaign_answer(const struct http_response *res, mono_time now, struct error *err);

/* One record by its key, for who wants to compare.  *json is NULL with OK when there is none. */
enum result campaign_record(struct campaign *c, const char *path, const char *key, mono_time now,
			    cJSON **json, struct error *err);

/* A resource's metadata, live, under profileAndServicesExt or customResources. */
enum result campaign_resource(struct campaign *c, const char *name, mono_time now,
			      struct resource **out, struct error *err);

#endif
