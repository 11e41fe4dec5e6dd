/* loader.h - what the parts of load-dataverse share.
 *
 *   table.c     an activity table: its columns, whether it takes bulk messages, and states on create
 *   row.c       a record of the topic becomes the members of a row
 *   write.c     requests: UpsertMultiple, completing, asking who is there; and their answers
 *   batch.c     the same by $batch, for tables without bulk messages
 *   contact.c   contacts that were merged: their events go to the winner
 *   cutover.c   what another application wrote before us
 */
#ifndef LOAD_DATAVERSE_LOADER_H
#define LOAD_DATAVERSE_LOADER_H

#include "batch.h"
#include "dataverse.h"
#include "event.h"
#include "load_loop.h"

/* Steps of a job. */
enum { STEP_WRITE, STEP_COMPLETE, STEP_ASK };

enum { ASK_AT_ONCE = 200, NAMED_TIMES = 1, ASK_FIRST_FROM = 20 /* one in */, MERGES_MAX = 10 };

struct activity_table {
	const struct activity_config *config; /* NULL: the kind is off */
	struct table *table;
	const char *navigation; /* to bind the contact by */
	bool actual_end, sort_date;
	bool state_on_create; /* else rows are completed by a second call */
	bool bulk;
	struct batch batch;
};

/* A record of the topic. */
struct row {
	unsigned kind;
	char id[37], contact[37];
	int64_t time_ms;
	char *members; /* JSON: "name":value,... without the id and the contact */
};

struct winners; /* contact.c */
struct cutover; /* cutover.c */

struct dataverse_loader {
	struct stage *stage;
	const struct flow *flow;
	struct dataverse dataverse;
	struct table *contact;
	struct activity_table tables[EVENT_KINDS];
	struct winners *winners;
	struct cutover *cutover; /* NULL: nothing was written before us */
	struct record_class class;
	avro_value_t activity;
	bool ask_first; /* so many contacts are not there that a write would be in vain */
	char *url, bypass[80];
	struct buffer body;

	/* For reports. */
	int64_t rows, requests, redirected, there_before;
};

/* table.c */
enum result table_open(struct dataverse_loader *l, enum event_kind kind, struct error *err);

/* row.c */
enum result row_prepare(void *state, const rd_kafka_message_t *m, struct load_record *out,
			struct error *err);
void row_release(void *record);

/* write.c */
enum result write_request(void *state, struct load_job *job, struct http_request *req,
			  struct error *err);
enum result write_answer(void *state, struct load_job *job, const struct http_response *res,
			 mono_time now, bool *again, struct error *err);
/* The members of a row for the step, without braces. */
void write_members(struct dataverse_loader *l, const struct load_job *job, const struct row *row,
		   struct buffer *out);
/* The contact is not there: the record waits for it. */
void write_missing(struct load_verdict *v, const char *contact);

/* batch.c */
void batch_request(struct dataverse_loader *l, const struct load_job *job, struct http_request *req,
		   size_t headers);
/* The answer of a $batch: OK, or REJECT with verdicts, or RETRY. */
enum result batch_answer(struct dataverse_loader *l, struct load_job *job,
			 const struct http_response *res, mono_time now, struct error *err);

/* contact.c */
struct winners *winners_new(void);
void winners_free(struct winners *w);
/* Asks for contacts that were merged since the last time, when that is a poll ago. */
enum result winners_refresh(struct dataverse_loader *l, mono_time now, struct error *err);
/* Who has the events of a contact now: itself, or the winner of its last merge. */
const char *winner_of(const struct winners *w, const char *contact);
/* The winner of its merge, NULL when it lost none. */
const char *winner_next(const struct winners *w, const char *contact);

/* cutover.c: the rows around the cut-over are read once. */
enum result cutover_open(struct dataverse_loader *l, struct error *err);
bool cutover_has(const struct cutover *c, enum event_kind kind, const char *contact,
		 const char *delivery, int64_t time_ms);
void cutover_free(struct cutover *c);

#endif
