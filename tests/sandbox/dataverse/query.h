/* query.h - the query options of one request or of one $expand, read and checked.
 *
 * Facts: "query data using the Web API" and its pages on select, filter, order, expand, count and
 * page.  What is read here becomes SQL with parameters; row.c writes what comes out.
 */
#ifndef SANDBOX_DATAVERSE_QUERY_H
#define SANDBOX_DATAVERSE_QUERY_H

#include "nav.h"
#include "text.h"

enum { PAGE_MAX = 5000, SELECT_MAX = 400, EXPAND_MAX = 15, BINDS_MAX = 1000 };

/* A condition on the alias t0 of the table; parameters are numbered from ?1. */
struct where {
	struct text sql;
	char *binds[BINDS_MAX]; /* NULL is null */
	int count;
};

/* What Prefer: odata.include-annotations asks for. */
struct annotations {
	bool formatted, lookup_table, navigation, total, limit_exceeded, metadata_version;
	bool any;
};

/* A selected column, with what stands before its value in JSON made beforehand. */
struct selected {
	const struct column *column;
	char *member, *formatted, *lookup_table; /* ,"name": and ,"name@..": */
};

struct query {
	struct dataverse *d;
	struct table *t;
	const struct request *req;
	struct annotations annotations;
	struct selected select[SELECT_MAX];
	int select_count;
	char *select_text;     /* NULL: everything */
	const struct nav *via; /* only rows that this leads to from the row via_id */
	char via_id[37];
	bool has_where;
	struct where where;
	struct text order; /* terms, each with a comma behind it; empty: by the primary key */
	long top;	   /* 0: not given */
	long page;	   /* maxpagesize */
	bool page_given;
	bool in_nested;		    /* of an $expand within others */
	bool with_count, for_count; /* $count=true; the path ../$count */
	struct expand *expands[EXPAND_MAX];
	int expand_count;
	char *expand_text;
	/* change tracking and paging; see track.c and read.c */
	bool track, is_delta;
	char refused[12]; /* an option that change tracking refuses was given */
	char *skip_token;
	int64_t since, start, last_version;
	long page_number;
	char last[64];
};

struct expand {
	struct nav nav;
	struct query q; /* of the target */
	bool reference; /* nav/$ref */
	char *link;	/* the options again, for the nextLink: "?$select=name" or "" */
};

/* What a request may ask. */
enum query_for { QUERY_COLLECTION, QUERY_ROW, QUERY_COUNT };

/* Reads the options of a request.  False after answering.  query_free() in any case. */
bool query_read(struct query *q, struct dataverse *d, struct table *t, const struct request *req,
		enum query_for what, struct reply *rep);
void query_free(struct query *q);

/* 400 with 0x80060888; always false. */
bool query_fail(struct reply *rep, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An option that was there before; always false. */
bool query_twice(struct reply *rep, const char *option);
/* Are there none but these options (NULL at the end; "@" is any alias), and the tag? False after
 * answering 400. */
bool query_only(const struct request *req, const char *const *names, struct reply *rep);
/* Is the annotation in the list of odata.include-annotations, "*" or "a,b.*"? */
bool query_wants(const char *list, const char *name);
bool query_no_property(struct reply *rep, const char *type, const char *name, size_t len);

/* expand.c: reads the list behind $expand= into q. depth counts from 0. */
bool expand_parse(struct query *q, const char *s, int depth, struct reply *rep);
/* One option of a query by its name; known is false when there is none of that name. */
bool query_option(struct query *q, const char *name, const char *value, struct reply *rep,
		  bool *known);
void query_select_all(struct query *q);

/* filter.c: value of $filter to SQL. aliases: parameters @p of the request may be used. */
bool filter_parse(struct query *q, const char *s, bool aliases, struct reply *rep);

/* A bound parameter's number; takes ownership of value. */
int where_bind(struct where *w, char *value);
/* " FROM table t0 WHERE ..." with the filter, the way that leads here, and what the user may see. */
void query_from(const struct query *q, struct text *sql);
/* Binds the filter's values, and via_id behind them.  The next free parameter. */
int query_bind(const struct query *q, sqlite3_stmt *st);
/* " AND .." when the caller's role is narrowed for this table (see /_sandbox/restrict). */
void query_visible(const struct dataverse *d, const struct table *t, const char *alias,
		   struct text *sql);

#endif
