/* track.h - change tracking: the tokens, the passes of a delta, and what is refused with it.
 *
 * Facts: "use change tracking to synchronize data with external systems".
 *
 * A delta link holds the version that stood when its pass began.  A row that changes while pages
 * are read may appear twice, as in the product, but is never missed: the next delta begins where
 * the pass began.
 */
#ifndef SANDBOX_DATAVERSE_TRACK_H
#define SANDBOX_DATAVERSE_TRACK_H

#include "query.h"
#include "row.h"

bool track_skip_token(struct query *q, const char *value, struct reply *rep);
bool track_delta_token(struct query *q, const char *value, struct reply *rep);
/* Called after each option with its name: remembers those that tracking refuses. */
void track_remember(struct query *q, const char *name);
/* After all options and preferences: may this caller track this table this way? */
bool track_check(struct query *q, struct reply *rep);
/* One page of a delta. */
void track_delta(struct query *q, struct page *p);
/* How many changes there are since the delta token. */
long track_count(struct query *q);
/* The token of the next page, and of the next pass, malloc'ed and not yet encoded. */
char *track_next_token(const struct query *q, const struct page *p);
char *track_delta_link_token(const struct query *q);

#endif
