/* writing.h - what the files of load-campaign share.
 *
 *   campaign.c   the loader: open, prepare, limits, main
 *   record.c     a change as what will be written, and two of them as one
 *   steps.c      from a record to requests, from an answer to the next step
 *   parents.c    links: whom a record needs, and PKeys
 */
#ifndef TIDEWAY_CAMPAIGN_WRITING_H
#define TIDEWAY_CAMPAIGN_WRITING_H

#include "body.h"
#include "campaign.h"
#include "load_loop.h"
#include "parked.h"

/* A link of the record that is not null. */
struct parent {
	const struct link *link;
	char *key;
	char *pkey; /* mode pkey: looked up for this write; NULL: not yet */
	bool seen;  /* a look-up found it */
};

struct write {
	char *key;
	size_t key_len;
	char *patch;	 /* of a PATCH: a JSON object without the key; NULL: delete */
	char *create;	 /* of a POST, without the key; NULL: what is not there is not made */
	uint8_t consent; /* guarded flags that are true: bits in the order of consent_flags */
	struct parent *parents;
	size_t parent_count;

	/* Where its requests are. */
	char *pkey;	      /* address: filter; of the record */
	size_t asked;	      /* index of the parent that is being looked up */
	bool find_missing;    /* some parent is missing: which? */
	bool not_found;	      /* a PATCH or a filter did not find it */
	bool duplicate;	      /* a POST said that there is one already, or v8 that it will not */
	bool looked_again;    /* a PKey was refused once */
	struct error refused; /* what the POST said */
	int64_t seen;	      /* successes of others at the first unknown answer */
};

/* One link of the mapping. */
struct link {
	const struct field_config *config;
	char *path;		 /* of the parent's resource */
	const struct flow *flow; /* that loads it: how it is addressed; NULL: by key */
};

struct pkey;
struct campaign_loader {
	struct stage *stage;
	struct campaign campaign;
	struct buffer url, body;
	struct link links[LOAD_PARENTS];
	size_t link_count;
	struct pkey *pkeys;	/* of parents, by resource and key */
	int64_t successes;	/* writes */
	unsigned refused_token; /* serial of the last token that was refused */
	bool token_worked;	/* since the last one was fetched */
};

/* record.c */
enum result write_of(struct campaign_loader *l, const avro_value_t *change, const char *key,
		     size_t len, struct write **out, struct load_record *rec, struct error *err);
struct write *write_delete(const char *key, size_t len);
bool write_merge(void *state, const struct load_record *earlier, struct load_record *later);
void write_free(void *record);
/* A JSON text without the consent flags whose bits are set. malloc'ed. */
char *without_consent(const char *json, uint8_t bits);

/* parents.c */
enum result parents_open(struct campaign_loader *l, struct error *err);
void parents_close(struct campaign_loader *l);
size_t parents_names(void *state, const char **names);
/* The links of a row, into w. */
void parents_of(struct campaign_loader *l, const avro_value_t *row, struct write *w);
/* The fingerprint of the parent without which the record cannot be seen or made; 0: of none. */
uint32_t parents_needed(const struct write *w);
/* The next one that must be looked up; false: none. */
bool parents_next(struct campaign_loader *l, struct write *w);
void parent_found(struct campaign_loader *l, struct parent *p, const char *pkey);
/* PKeys that were refused are looked up again. */
void parents_forget(struct campaign_loader *l, struct write *w);
uint32_t parent_fingerprint(const struct parent *p);

/* steps.c */
enum result steps_request(void *state, struct load_job *job, struct http_request *req,
			  struct error *err);
enum result steps_answer(void *state, struct load_job *job, const struct http_response *res,
			 mono_time now, bool *again, struct error *err);

#endif
