/* request.h - telling an extract-dataverse what an operator wants.
 *
 * A request is a record beside the extractor's checkpoints, in their topic: one partition, so one
 * order, and the extractor that begins it forgets it in the same transaction.  It is there also for
 * an extractor that does not run now.
 */
#ifndef TIDEWAY_REQUEST_H
#define TIDEWAY_REQUEST_H

#include "command.h"

enum request_kind { REQUEST_APPROVE, REQUEST_RESCAN }; /* as in schemas/checkpoint-dataverse.avsc */

struct request {
	enum request_kind kind;
	int64_t deletes; /* approve: at most so many */
	wall_time since; /* rescan: 0 all rows */
};

/* How many deletes the guard of this flow holds back; 0 none.  Returns an exit status. */
int request_held(const struct config *c, const struct flow *f, int64_t *held);
int request_send(const struct config *c, const struct flow *f, const struct request *q);

#endif
