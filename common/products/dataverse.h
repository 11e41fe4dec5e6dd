/* dataverse.h - the Dataverse Web API, v9.2: reading, bulk writing, and what its answers mean.
 *
 * Facts (Microsoft's documentation): learn.microsoft.com/power-apps/developer/data-platform/webapi
 *   - change tracking: "use-change-tracking-synchronize-data-external-systems"
 *   - limits: "api-limits": 429 with Retry-After in seconds; sending on prolongs the penalty
 *   - bulk: "bulk-operations": UpsertMultiple is one transaction, @odata.type in every target
 * Errors are told apart by their code; the HTTP statuses around some codes are not documented.
 */
#ifndef TIDEWAY_DATAVERSE_H
#define TIDEWAY_DATAVERSE_H

#include <cjson/cJSON.h>

#include "arena.h"
#include "http.h"
#include "metadata.h"
#include "oauth.h"

enum {
	DATAVERSE_PAGE_MAX_BYTES = 128 << 20,
	DATAVERSE_ANSWER_MAX_BYTES = 4 << 20,
	DATAVERSE_TIMEOUT_MS = 120000,
};

/* One environment with one application user. */
struct dataverse {
	struct http *http; /* borrowed */
	const char *url;   /* https://org.crm.dynamics.com, no slash at the end */
	struct oauth oauth;
	struct buffer scratch; /* of json_parse_exact */
	int64_t dop_hint;  /* requests at a time that the server recommends; 0: it said nothing */
	struct arena page; /* the rows of the last page */
};

void dataverse_init(struct dataverse *d, struct http *h, const char *url, const char *token_url,
		    const char *client_id, const char *client_secret, const char *scope);
void dataverse_free(struct dataverse *d);

/* The reason when a table does not have a bulk message. */
#define DATAVERSE_NO_BULK "no-bulk"

/* What an answer means.  OK for 2xx.
 *   RETRY   no answer, 401 (ask for a new token), 429, 5xx, SQL deadlocks and time-outs
 *   REJECT  a 4xx about the data sent; reason "not-found" when a row named in it does not exist
 *   FATAL   403, an unknown table or property: configuration
 * reason is "expired-delta-token" (RETRY) when the change tracking token is too old. */
enum result dataverse_answer(const struct http_response *res, mono_time now, struct error *err);

/* The headers every request has; fills from index 0 and returns how many. prefer may be NULL.
 * Pointers stay valid while d and prefer do. */
size_t dataverse_headers(const struct dataverse *d, const char *prefer,
			 const char *headers[HTTP_HEADERS_MAX]);

/* Blocking GET of an absolute URL of this environment.  exact: numbers arrive as strings. */
enum result dataverse_get(struct dataverse *d, const char *url, const char *prefer, bool exact,
			  mono_time now, cJSON **json, struct error *err);

/* One page of a collection or of a delta.  One at a time: its memory is d's. */
struct dataverse_page {
	cJSON *json;
	const cJSON *rows;	      /* array, or NULL: none */
	const char *next;	      /* nextLink or NULL */
	const char *delta;	      /* deltaLink or NULL */
	const char *metadata_version; /* globalmetadataversion: another one when a table changed */
};
/* What is read: rows; rows with change tracking, for a delta link; changes, of which there may be
 * none, and then the answer may be an empty JSON. */
enum page_of { PAGE_OF_ROWS, PAGE_OF_TRACKED_ROWS, PAGE_OF_CHANGES };
/* Also checks that links lead to this environment: the token must not
 * go elsewhere. */
enum result dataverse_page(struct dataverse *d, const char *url, enum page_of of, int64_t page_size,
			   mono_time now, struct dataverse_page *page, struct error *err);
void dataverse_page_free(struct dataverse *d, struct dataverse_page *page);

/* Is a row of a delta a deletion?  Then *id is its id. */
bool dataverse_is_delete(const cJSON *row, const char **id);

/* {url}/api/data/v9.2/<set>?$select=a,b — malloc'ed.  Lookups are selected as _name_value. */
char *dataverse_select_url(const struct dataverse *d, const struct table *t,
			   const char *const *columns, size_t n);

enum result dataverse_whoami(struct dataverse *d, mono_time now, char organization[37],
			     struct error *err);

/* Which of n rows are there now, at most DATAVERSE_ASK_MAX in one request. */
enum { DATAVERSE_ASK_MAX = 50 };
enum result dataverse_ask(struct dataverse *d, const struct table *t, const char (*ids)[37],
			  size_t n, mono_time now, bool *there, struct error *err);
/* The versionnumber of a row, -1 when it is not there, or not there for us. */
enum result dataverse_row_version(struct dataverse *d, const struct table *t, const char *id,
				  mono_time now, int64_t *version, struct error *err);
/* RetrieveTotalRecordCount: a number that may be a day old. REJECT or FATAL when it is not to be
 * had. */
enum result dataverse_count(struct dataverse *d, const char *table, mono_time now, int64_t *count,
			    struct error *err);
/* The row with the highest versionnumber of a table; "" and 0 when it is empty.  before: of rows not
 * modified since; 0 all. */
enum result dataverse_newest(struct dataverse *d, const struct table *t, wall_time before,
			     mono_time now, char id[37], int64_t *version, struct error *err);

/* A table's metadata, live. */
enum result dataverse_table(struct dataverse *d, const char *name, mono_time now,
			    struct table **out, struct error *err);

#endif
