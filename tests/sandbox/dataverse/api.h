/* api.h - what the parts of the Web API share: errors, the growing answer, the product's state. */
#ifndef SANDBOX_DATAVERSE_API_H
#define SANDBOX_DATAVERSE_API_H

#include "limits.h"
#include "store.h"

enum { USERS = 10 }; /* application users: sandbox, sandbox1 .. sandbox9 */

struct dataverse {
	struct store store;
	struct server *server;
	const char *tables_dir;
	char organization[37], user[37], business_unit[37];
	long token_lifetime;
	int64_t token_epoch; /* tokens issued before a revocation are no good */
	long tokens;
	const char *tenant; /* NULL: any */
	int caller;	    /* the user of this request's token, an index into users */
	char users[USERS][37];
	char denied[32][100]; /* privileges */
	const char *no_bulk[32];
	int no_bulk_count;
	int denied_count;
	struct limits limits;
	int dop_hint;
	struct batch *batch; /* the one that is carried out */
	int depth;	     /* of related rows in one create */
	uint64_t made;	     /* ids given out */
	sqlite3 *backup;     /* see control.c */
};

/* Codes of "data service errors". */
#define E_NOT_FOUND "0x80040217"
#define E_NOT_FOUND_BY_KEY "0x80060891"
#define E_KEY_NOT_DEFINED "0x80060890"
#define E_DUPLICATE_KEY "0x80060892"
#define E_QUERY "0x80060888"
#define E_PAYLOAD "0x80048d19"
#define E_VALIDATION "0x80044331"
#define E_EXPIRED_VERSION_STAMP "0x80044352"
#define E_CONCURRENCY "0x80060882"
#define E_DUPLICATE "0x80040237"
#define E_PRIVILEGE "0x80040220"
#define E_UNIMPLEMENTED "0x80040225"

void api_error(struct reply *rep, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* 501, naming what is not implemented. */
void api_not_implemented(struct reply *rep, const char *what);
/* Sets OData-Version and the content type. */
void api_headers(struct reply *rep);
/* {scheme}://{host}/api/data/v9.2 */
void api_root(const struct request *req, char *out, size_t size);
/* Does a Prefer header ask for this preference?  value (may be NULL) gets what follows "=". */
bool api_prefers(const struct request *req, const char *name, char *value, size_t size);

/* One request of the API whose caller is known. */
void api_dispatch(struct dataverse *d, const struct request *req, struct reply *rep);

/* Each answers one kind of request; rest is the undecoded path behind /api/data/v9.2/. */
void api_read_collection(struct dataverse *d, struct table *t, const struct request *req,
			 struct reply *rep);
void api_read_row(struct dataverse *d, struct table *t, const char *id, const struct request *req,
		  struct reply *rep);
void api_read_count(struct dataverse *d, struct table *t, const struct request *req,
		    struct reply *rep);
/* rest: what stands behind the key, "/fullname", "/nav/$ref". */
void api_read_behind(struct dataverse *d, struct table *t, const char *id, const char *rest,
		     const struct request *req, struct reply *rep);
/* EntityDefinitions, RelationshipDefinitions, GlobalOptionSetDefinitions and what is below. */
void api_definitions(struct dataverse *d, const char *path, const struct request *req,
		     struct reply *rep);
void api_csdl(struct dataverse *d, const struct request *req, struct reply *rep);
/* functions.c: unbound functions and actions, without parentheses; false when it knows none. */
bool api_function(struct dataverse *d, const char *path, const struct request *req,
		  struct reply *rep);
/* control.c: POST /_sandbox/restrict, backup, restore; false when it is none of them. */
bool api_control(struct dataverse *d, const char *path, const struct request *req,
		 struct reply *rep);

/* Makes n contacts and what belongs to them. */
void sample_make(struct dataverse *d, long contacts, uint64_t seed);

/* The rows that table files name themselves ("rows"), where there are none yet. */
void sample_rows(struct dataverse *d);

bool is_guid(const char *s);

#endif
