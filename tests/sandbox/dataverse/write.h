/* write.h - what the parts that change rows share.
 *
 * value.c    JSON with exact numbers; is this value good for that column?
 * payload.c  a JSON object as a row: properties, binds, deep inserts; addresses of rows in a body
 * write.c    create, update, upsert, delete of one row; one property of it
 * associate.c, bulk.c, batch.c, merge.c   the operations of their names
 * token.c    who is asking; privilege.c what he may do
 * route.c    from a method and a path to one of them
 */
#ifndef SANDBOX_DATAVERSE_WRITE_H
#define SANDBOX_DATAVERSE_WRITE_H

#include "key.h"
#include "nav.h"

#define E_PRIVILEGE "0x80040220"
#define E_STATUS "0x80048408"
#define E_NO_MESSAGE "0x80040800"
#define E_INTERSECT "0x8004830f"
#define E_NO_CONCURRENCY "0x8006088d"
#define E_ARGUMENT "0x80040203"

/* One request that writes.  bulk: rows are named as the bulk messages name them in errors. */
struct write {
	struct dataverse *d;
	const struct request *req;
	struct reply *rep;
	bool bulk;
};

/* ---- value.c ------------------------------------------------------------------------------------- */

/* A number is a string that begins with NUMBER_MARK, a byte that no JSON text can hold: cJSON's
 * doubles would lose digits.  NULL when it is no JSON, no UTF-8, or holds a NUL. */
#define NUMBER_MARK '\x01'
cJSON *value_parse(const char *s, size_t len);
/* Sets the column in the row, or answers 400. */
bool value_take(struct write *w, struct table *t, struct column *c, const cJSON *v, struct row *r);
/* The form in which a date, or a date and time, is stored; malloc'ed, NULL when it is none. */
char *value_date(const char *s);
char *value_date_time(const char *s);

/* ---- payload.c ----------------------------------------------------------------------------------- */

/* The body of the request as an object, or NULL after answering 400. */
cJSON *payload_body(struct write *w);
/* A row's address in a body: "contacts(guid)", with a slash before it or the whole URL, by an
 * alternate key, or "$1" in a change set. what names the place in the error. */
bool payload_address(struct write *w, const char *s, const char *what, struct table **t,
		     char id[37]);
/* Existing row of that address as above; a missing one is answered 404. */
bool payload_exists(struct write *w, struct table *t, const char *id);
/* Reads json into r; id gets the primary key if json has it. Rows that hang on this one (deep
 * inserts, binds of collections) are left for payload_children(); those that this one hangs on
 * are made at once. insert says which columns may be written. */
bool payload_row(struct write *w, struct table *t, const cJSON *json, bool insert, struct row *r,
		 char id[37]);
bool payload_children(struct write *w, struct table *t, const cJSON *json, const char *id);
void payload_new_id(struct dataverse *d, char id[37]);

/* ---- write.c ------------------------------------------------------------------------------------- */

/* Checks what no single value can show (state and status, alternate keys), then stores. */
bool write_row(struct write *w, struct table *t, const char *id, struct row *r, bool insert);
/* Tables that the product fills itself, and intersect tables, refuse every write. */
bool write_allowed(struct write *w, const struct table *t);
/* The row, its children and what it needs, within the caller's transaction. */
bool write_insert(struct write *w, struct table *t, const cJSON *json, struct row *given,
		  char id[37]);

/* Of a new row, values of the key that the body does not have come from its address. */
void write_key_values(struct table *t, const struct key *k, struct row *r);
void write_create(struct write *w, struct table *t);
void write_patch(struct write *w, struct table *t, struct key *k);
void write_delete(struct write *w, struct table *t, struct key *k);
/* PUT and DELETE of contacts(..)/name */
void write_property(struct write *w, struct table *t, struct key *k, const char *name);

/* ---- the others ---------------------------------------------------------------------------------- */

/* contacts(..)/nav/$ref and contacts(..)/nav(..)/$ref; rest begins behind the key's parenthesis */
void associate(struct write *w, struct table *t, struct key *k, const char *rest);
/* Links two rows of a relationship, a duplicate is 412. */
bool associate_link(struct write *w, const struct nav *nav, const char *id, const char *target);

/* name: CreateMultiple, UpdateMultiple, UpsertMultiple, DeleteMultiple */
void bulk(struct write *w, struct table *t, const char *name);
/* Can this table be written by that message?  Data of the table file. */
bool bulk_has(const struct table *t, const char *name);
void merge(struct write *w);
void batch(struct dataverse *d, const struct request *req, struct reply *rep);
/* The address made by the request of this Content-ID, NULL if there is none (yet). */
const char *batch_reference(struct dataverse *d, const char *id, size_t len);

/* fixed.c: rows that are there from the beginning, in tables that are empty. */
void fixed_make(struct dataverse *d);
/* Lists the messages of a table that is new. */
void fixed_messages(struct store *s, const struct table *t);

/* The user (0 ..) of a good token, or -1. */
int token_user(struct dataverse *d, const struct request *req);
bool token_authorized(struct dataverse *d, const struct request *req, struct reply *rep);
void token_endpoint(struct dataverse *d, const char *path, const struct request *req,
		    struct reply *rep);

/* 403 when the privilege (Create, Read, Write, Delete, Append) was taken away. */
bool privilege(struct dataverse *d, const struct table *t, const char *action, struct reply *rep);
/* POST /_sandbox/privileges {"deny": ["prvCreateContact", ..]} */
void privilege_control(struct dataverse *d, const struct request *req, struct reply *rep);
bool privilege_deny(struct dataverse *d, const char *name);
/* systemusers(ID)/Microsoft.Dynamics.CRM.RetrieveUserPrivileges() */
void privilege_function(struct dataverse *d, const char *user, const struct request *req,
			struct reply *rep);

/* Everything but GET; rest is the decoded path behind /api/data/v9.2/. */
void route_write(struct dataverse *d, const char *rest, const struct request *req,
		 struct reply *rep);

#endif
