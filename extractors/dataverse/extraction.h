/* extraction.h - what the parts of extract-dataverse share: the position in a table, and who does
 * what about it.
 *
 *   position.c   the position as a checkpoint record, requests of an operator
 *   rows.c       rows and deletes of a page as records
 *   scan.c       reading all rows: the first time, to reconcile, since a time, to compare
 *   delta.c      reading changes by change tracking
 *   poll.c       reading changes by modifiedon or versionnumber
 *   restored.c   noticing that the environment was restored to an earlier state
 *
 * A step reads one page.  It works on a copy of the position, which becomes the position when the
 * page's records and the copy are written: what a step changed and did not write is forgotten.
 */
#ifndef EXTRACT_DATAVERSE_EXTRACTION_H
#define EXTRACT_DATAVERSE_EXTRACTION_H

#include "dataverse.h"
#include "extract_loop.h"
#include "known.h"
#include "seen.h"

/* As in schemas/checkpoint-dataverse.avsc. */
enum scan {
	SCAN_NONE,
	SCAN_SNAPSHOT,	/* the topic is empty: all rows are new */
	SCAN_RECONCILE, /* what the topic knows and the read does not meet is deleted */
	SCAN_SINCE,	/* rows modified since a time, again; nothing is found gone */
};
enum { REQUEST_APPROVE, REQUEST_RESCAN };

struct position {
	char organization[37], top[37];
	char *select, *scan_link, *delta_link, *delta_start; /* owned */
	int64_t epoch, version, version_before, floor, top_version, late_above;
	enum scan scan;
	int64_t scan_rows, scan_pages, expected, page_size, delta_page_size, held, approved;
	wall_time scan_began, mark, since, doubted, saved;
};

struct request {
	char *key; /* of its record; owned */
	int kind;
	int64_t deletes;
	wall_time since;
};

struct extraction {
	struct stage *stage;
	struct dataverse dataverse;
	char *select; /* of this configuration */
	int32_t schema_id;
	avro_value_t change, checkpoint;
	struct record_class checkpoint_class;
	struct buffer encoded;
	char metadata_version[40]; /* globalmetadataversion of the last page; "" not yet */

	bool restored; /* there was a checkpoint */
	struct position at;
	struct request *requests; /* not yet begun, oldest first */
	size_t request_count;
	mono_time told; /* at the start: not to ask before */
	mono_time delta_due;
	int64_t interval_ms;	    /* between polls, now */
	unsigned trouble;	    /* pages in a row that cannot be right: of changes, */
	unsigned scan_trouble;	    /* and of the full read */
	unsigned strange;	    /* refusals in a row of what cannot be wrong */
	unsigned foreign;	    /* pages in a row with links to elsewhere */
	unsigned heavy, scan_heavy; /* pages in a row that took too long */
	bool token_proved;	    /* the delta link in use has answered once */
	unsigned young;		    /* links in a row that had expired when they were first used */
	mono_time scan_due;	    /* a full read begins no earlier */

	/* Of the pass under way; lost with the process, and rebuilt where it matters. */
	struct known *known;		 /* rows of the topic; NULL: not loaded, or not needed */
	bool topic_read;		 /* for the scan under way */
	bool ids_partial;		 /* nor are the rows of the pages before, in a delta */
	struct seen *links;		 /* next links read: one that repeats would never end */
	struct seen *page, *page_before; /* rows of two pages: a row may be in both */
	struct seen *ids;		 /* delta: rows of this pass, for its deletes */
	struct seen *recent, *recent_before; /* poll: versions of this pass and the last one */
	bool recent_loaded;
	bool late; /* x->recent has the rows that the first delta after a full read repeats */
	wall_time pass_began; /* poll */
	mono_time look_due;   /* restored.c */
	unsigned top_gone;    /* looks in a row that did not find the row */
	mono_time reported;
	mono_time rate_since;
	int64_t rate_rows;
};

/* What a page of rows is read for. */
struct page_use {
	enum change_origin origin;
	bool compare; /* only rows whose version the topic does not know */
	bool meet;    /* mark rows in x->known */
	bool recent;  /* polls and deltas: x->recent suppresses what it has */
	bool ids;     /* delta: x->ids remembers them */
	bool late;    /* a scan: rows that changed since it began; the first delta repeats them */
};

/* position.c */
void position_init(struct position *p);
void position_free(struct position *p);
void position_copy(struct position *to, const struct position *from);
void position_set(char **to, const char *text);
void position_read(struct position *p, const avro_value_t *value);
/* False when the record holds no request. */
bool request_read(struct request *q, const avro_value_t *value);
/* Writes p and what `tideway status` shows of it; also forgets the request that was begun (its key),
 * if one was. */
enum result position_save(struct extraction *x, struct extract_output *o, struct position *p,
			  const char *request, wall_time now, struct error *err);

/* rows.c.  *count: rows and deletes that were not met before. */
enum result rows_emit(struct extraction *x, struct extract_output *o, struct position *p,
		      const struct dataverse_page *page, const struct page_use *use, wall_time now,
		      int64_t *count, struct error *err);
enum result rows_emit_delete(struct extraction *x, struct extract_output *o, struct position *p,
			     const char *id, enum change_origin origin, wall_time now,
			     struct error *err);
/* Fills x->known from the topic that we write ourselves; also p->epoch, should it be behind. */
enum result rows_known(struct extraction *x, struct extract_output *o, struct position *p,
		       struct error *err);
/* Fills x->recent_before with the versions above one that the topic got since a time, of the epoch. */
enum result rows_recent(struct extraction *x, struct extract_output *o, const struct position *p,
			wall_time since, int64_t above, struct error *err);

/* scan.c */
void scan_begin(struct extraction *x, struct position *p, enum scan kind, wall_time now);
/* From the first page again, as if nobody had been met. */
void scan_restart(struct extraction *x, struct position *p, wall_time now);
/* Links that expire at once lead from one full read to the next: the first begins at once, the others
 * after a minute, two, .. an hour. */
void scan_later(struct extraction *x);
enum result scan_step(struct extraction *x, struct extract_output *o, struct position *p,
		      wall_time now, struct error *err);

/* The way changes were found leads nowhere: forgets it, and a full read finds what it would have said.
 * why is for the log, text what the server said. */
void scan_heal(struct extraction *x, struct position *p, wall_time now, const char *why,
	       const char *text);

/* restored.c: before a pass; *healed: it was restored, a full read has begun. */
enum result restored_look(struct extraction *x, struct position *p, wall_time now, bool *healed,
			  struct error *err);
/* A page of a delta that only a restored environment can answer. */
bool restored_shows(const struct position *p, const struct dataverse_page *page);
void restored_heal(struct extraction *x, struct position *p, wall_time now);

/* delta.c, poll.c: one page of changes. *more: the pass goes on at once. *rows: how many came. */
enum result delta_step(struct extraction *x, struct extract_output *o, struct position *p,
		       wall_time now, bool *more, int64_t *rows, struct error *err);
enum result poll_step(struct extraction *x, struct extract_output *o, struct position *p,
		      wall_time now, bool *more, int64_t *rows, struct error *err);

/* dataverse.c: is this the environment whose checkpoint we have?  FATAL when it is another. */
enum result extraction_who(struct extraction *x, struct position *p, struct error *err);
/* dataverse.c: reads a page and looks at what every page may say: changed metadata. */
enum result extraction_page(struct extraction *x, const char *url, enum page_of of,
			    int64_t page_size, struct dataverse_page *page, struct error *err);
/* A next link that was read before, or is longer than a link can be. RETRY. */
enum result extraction_check_next(struct extraction *x, const char *url, const char *next,
				  struct error *err);
/* After a good pass: twice the rows a page, up to the configured number. */
void extraction_grow_pages(const struct extraction *x, int64_t *size);
/* The answer was no answer: after TROUBLE_MAX in a row the pass cannot be helped. */
bool extraction_is_trouble(const struct error *err);
enum { TROUBLE_MAX = 3 };

#endif
