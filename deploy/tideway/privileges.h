/* privileges.h - may the application user do in Dynamics what the stages do? */
#ifndef TIDEWAY_PRIVILEGES_H
#define TIDEWAY_PRIVILEGES_H

#include "config.h"
#include "dataverse.h"

/* Says on stderr what is missing, and counts it in *wrong.  Flows: all, or only one.  Tables that are
 * not there are passed over. */
enum result privileges_check(struct dataverse *d, const struct config *c, const struct flow *only,
			     int *wrong, struct error *err);

#endif
