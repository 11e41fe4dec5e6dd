/* api.h - what the parts of the Campaign API share: the product's state, one call on its way, and
 * the errors.
 */
#ifndef SANDBOX_CAMPAIGN_API_H
#define SANDBOX_CAMPAIGN_API_H

#include "store.h"

struct workflow;
struct growing;

struct campaign {
	struct store store;
	struct server *server;
	const char *resources_dir, *exports;
	long token_lifetime, big_table;
	long long token_epoch, tokens;
	long rate,
	    retry_after; /* requests a second, 0: no limit; retry_after: -1 none, -2 a date */
	bool tps;
	double tokens_left;
	int64_t last_request_us;
	char *bad_organization; /* the last one that was asked for */
	struct workflow *workflows;
	int workflow_count;
	struct growing *growing; /* export files that are not whole yet */
	int growing_count;
};

/* profileAndServices: what is built in. profileAndServicesExt: extensions and what is linked to
 * profiles. customResources: the rest; no resource is on both of the last. */
enum root { ROOT_PLAIN, ROOT_EXT, ROOT_CUSTOM };

struct call {
	struct campaign *c;
	const struct request *req;
	struct reply *rep;
	enum root root;
	const char *within; /* URL of the collection whose records are shown, or NULL */
};

extern const char *const root_names[];
enum root root_of(const struct resource *r, enum root here);
bool field_shown(const struct call *call, const struct field *f);
/* {scheme}://{host}/acme/campaign */
void acs_base(const struct request *req, char *out, size_t size);
/* {base}/{root}/{resource}/{a new PKey of the record} */
void acs_href(const struct call *call, const struct resource *r, int64_t id, char pkey[100],
	      char *out, size_t size);
/* Takes the json. */
void acs_reply(struct reply *rep, int status, cJSON *json);
/* The request's body as an object, or NULL after answering. An empty body is NULL and *empty, if
 * the caller can do with one. */
cJSON *acs_body(const struct call *call, bool *empty);
bool is_method(const struct call *call, const char *method);

/* errors.c: the texts of Standard and of v8. All return false. */
bool acs_error(struct reply *rep, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool acs_not_implemented(struct reply *rep, const char *what);
bool fail_method(const struct call *call);
bool fail_resource(const struct call *call, const char *name);
bool fail_url(const struct call *call);
bool fail_pkey(const struct call *call, const struct resource *r, const char *pkey, bool in_body);
bool fail_key(const struct call *call, const struct resource *r, const char *key, bool in_body);
bool fail_key_change(const struct call *call, const struct resource *r, const char *from,
		     const char *to);
bool fail_duplicate(const struct call *call, const struct resource *r, const char *key);
bool fail_enumeration(const struct call *call, const struct resource *r, const struct field *f,
		      const char *value);
bool fail_property(const struct call *call, const struct resource *r, const char *path);
bool fail_read_only(const struct call *call, const struct resource *r, const char *path);
/* Whatever else Standard explains and v8 does not. */
bool fail_detail(const struct call *call, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The gateway in front. */
void gateway_error(struct reply *rep, int status, const char *code, const char *message);
void gateway_oops(struct reply *rep, int status, int code);

/* gateway.c: tokens, and what stands before every call of the API. */
bool gateway_token(struct campaign *c, const struct request *req, struct reply *rep);
bool gateway_admits(struct campaign *c, const struct request *req, struct reply *rep);

/* value.c: the text to store for a JSON value, malloc'ed, or NULL after answering. */
char *value_accept(const struct call *call, const struct resource *r, const struct field *f,
		   const cJSON *v);
cJSON *value_json(const struct field *f, const char *value);

/* record.c */
/* Follows from other fields, and is not kept. */
bool field_computed(const struct field *f);
cJSON *record_json(const struct call *call, struct resource *r, const struct record *rec,
		   bool with_href);
const char *record_title(const struct resource *r, const struct record *rec, char *out,
			 size_t size);
/* By PKey (@..) or identification key. False after answering. */
bool record_find(const struct call *call, struct resource *r, const char *id, struct record *rec);
bool has_key(const struct campaign *c, const struct resource *r);

/* link.c */
cJSON *link_json(const struct call *call, struct resource *r, const struct field *f,
		 const struct record *rec);
/* What a body says about a link. creating: an object without PKey is ignored by Standard. False
 * after answering. */
bool link_accept(const struct call *call, struct resource *r, const struct field *f, const cJSON *v,
		 bool creating, struct record *rec);
/* The value that a link's own column, or the column it joins on, has for a target. */
void link_value(const struct field *f, const struct record *target, char *out, size_t size);
/* Deletes the record and what its deletion takes along; false when a link forbids it. */
bool link_delete(struct campaign *c, struct resource *r, const struct record *rec);

/* filter.c: conditions of one list. */
struct query {
	char where[6000]; /* " AND .." */
	char *bound[24];  /* in the order of ?1, ?2, .. */
	int bound_count;
	/* as links repeat them: "profile/", "byX/byY/", "&x=1" */
	char base[400], path[400], parameters[2000];
	const char *used[48]; /* names of query parameters that a filter took */
	int used_count;
};

/* Adds the filter of that name to q. 0: there is none; -1: answered; 1: done. */
int filter_apply(const struct call *call, struct resource *r, const char *name, struct query *q);
void query_free(struct query *q);
cJSON *filter_metadata(const struct call *call, const struct resource *r);

/* list.c */
bool field_sortable(const struct field *f);
/* What stands behind the resource, undecoded: filters and a field or "_count". 0 when it is
 * neither, and so a key; 1 and -1: answered. projection: a field alone, or -1. */
int list_answer(const struct call *call, struct resource *r, const char *tail);
void list_page(const struct call *call, struct resource *r, struct query *q, int projection);
void list_count(const struct call *call, struct resource *r, struct query *q);

/* write.c */
void write_create(const struct call *call, struct resource *r, int preset_field,
		  const char *preset);
void write_patch(const struct call *call, struct resource *r, const char *id);
void write_delete(const struct call *call, struct resource *r, const char *id);

/* collection.c: /<resource>/<id>/<collection>[/<id>] */
void collection_answer(const struct call *call, struct resource *r, const char *id,
		       const char *rest);

/* metadata.c */
void metadata_answer(const struct call *call, struct resource *r, const char *rest);
void metadata_resources(const struct call *call);

/* route.c: path: undecoded, behind /<organization>/campaign/ */
void route_answer(struct campaign *c, const char *path, const struct request *req,
		  struct reply *rep);

/* The other endpoints; rest is the undecoded path behind their name. */
void history_answer(const struct call *call, const char *rest);
bool workflow_read(struct campaign *c, const char *dir, char *why, size_t size);
void workflow_free(struct campaign *c);
void workflow_answer(const struct call *call, const char *rest);
void privacy_answer(const struct call *call, const char *rest);
void privacy_open(struct campaign *c);
/* What the technical workflow of privacy requests does once an hour. */
void privacy_process(struct campaign *c);
void privacy_set(struct campaign *c, const struct request *req, struct reply *rep);

/* Kinds of PKeys that are no resource's. */
enum { PKEY_WORKFLOW = 100, PKEY_SIGNAL, PKEY_PRIVACY, PKEY_EVENT, PKEY_FILTERS, PKEY_OTHER };

#endif
