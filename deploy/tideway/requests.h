/* requests.h - what a configuration asks of Dynamics in a day, beside what a tenant may ask.
 *
 * Reads count too, and each row of a bulk write.  Microsoft, "Requests limits and allocations": an
 * application user's requests are taken from the tenant's, 500,000 in 24 hours at least. */
#ifndef TIDEWAY_REQUESTS_H
#define TIDEWAY_REQUESTS_H

#include <cjson/cJSON.h>

#include "config.h"

enum { REQUESTS_A_DAY = 500000 };

struct requests {
	int64_t quiet,
	    busy;	 /* a day, to find changes: when there are none, when there always are */
	int64_t written; /* activities a day at most; 0: no flow writes any */
	const char
	    *unbounded; /* a flow that writes as many activities as there are events, or NULL */
	const char *unknown; /* a table that is read in full and was not counted, or NULL */
};

/* rows: of each flow's table, -1 where it is not known. Borrows from c. */
struct requests requests_of(const struct config *c, const int64_t *rows);
void requests_print(const struct requests *r);
cJSON *requests_json(const struct requests *r);

#endif
