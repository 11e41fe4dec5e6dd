/* api.h - what the parts of the Campaign API share. */
#ifndef SANDBOX_CAMPAIGN_API_H
#define SANDBOX_CAMPAIGN_API_H

#include "store.h"

struct campaign {
	struct store store;
	struct server *server;
	const char *resources_dir, *exports;
	long token_lifetime, big_table;
	long long token_epoch, tokens;
};

/* Errors of the application are a bare JSON text, those of the gateway an object. */
void acs_error(struct reply *rep, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void acs_not_implemented(struct reply *rep, const char *what);
/* {scheme}://{host}/acme/campaign */
void acs_base(const struct request *req, char *out, size_t size);

/* rest: undecoded path behind /<root>/, with the resource in front. ext: profileAndServicesExt */
void acs_resource(struct campaign *c, const char *rest, bool ext, const struct request *req,
		  struct reply *rep);
void acs_metadata(struct campaign *c, struct resource *r, bool ext, const struct request *req,
		  struct reply *rep);
/* The delivery simulator: see simulator.c. */
void simulator_open(struct campaign *c);
void simulator_deliver(struct campaign *c, const struct request *req, struct reply *rep);
void simulator_events(struct campaign *c, struct reply *rep);
/* Profiles that never came from Dynamics. */
void simulator_profiles(struct campaign *c, long n);

#endif
