/* protect.h - service protection of the API: see protect.c, and limits.h for the counting. */
#ifndef SANDBOX_DATAVERSE_PROTECT_H
#define SANDBOX_DATAVERSE_PROTECT_H

#include "api.h"

/* As admit and settle of struct product in server.h. */
bool protect_admit(struct dataverse *d, const struct request *req, struct reply *rep, double now_ms,
		   int *ticket);
void protect_settle(struct dataverse *d, int ticket, double began_ms, double now_ms,
		    struct reply *rep);
/* --limit-requests N[/S], --limit-time MS[/S], --limit-concurrent N, --servers N, --dop-hint N */
bool protect_option(struct dataverse *d, const char *name, const char *value);

#endif
