/* limits.h - how much one user may ask of one web server; see limits.c.  Time is an argument. */
#ifndef SANDBOX_DATAVERSE_LIMITS_H
#define SANDBOX_DATAVERSE_LIMITS_H

#include <stddef.h>

enum limits_verdict { LIMIT_NONE, LIMIT_REQUESTS, LIMIT_TIME, LIMIT_CONCURRENT };

struct limits_bucket {
	int user, server, running;
	struct limits_event *events; /* of the window, oldest first */
	size_t count, cap;
	double blocked_until_ms;
	enum limits_verdict blocked_by;
};

/* The first seven are what the command line says; 0 of a limit: there is none. */
struct limits {
	long requests, concurrent;
	double time_ms, requests_window_ms, time_window_ms;
	int servers;
	int next; /* server of the next request without a cookie */
	struct limits_bucket *buckets;
	int count;
};

/* May this user's request be carried out?  *server: the one of the affinity cookie or -1, then the
 * one that took it.  With LIMIT_NONE *ticket must be settled; else *retry_after_s is set. */
enum limits_verdict limits_admit(struct limits *l, int user, int *server, double now_ms,
				 int *ticket, long *retry_after_s);
/* began_ms: now_ms of its admission */
void limits_settle(struct limits *l, int ticket, double began_ms, double took_ms);
void limits_left(struct limits *l, int ticket, double now_ms, long *requests, double *seconds);
void limits_free(struct limits *l);

#endif
