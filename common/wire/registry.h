/* registry.h - a Confluent-compatible schema registry, as much of it as a pipeline needs.
 *
 * Facts, measured with Apicurio's ccompat v7: ids follow the bytes of the schema, so schemas are
 * serialised the same way every time; a 409 on registering does not mean "incompatible", as
 * concurrent first registrations get it too, so look the schema up first and again.
 */
#ifndef TIDEWAY_REGISTRY_H
#define TIDEWAY_REGISTRY_H

#include <stdint.h>

#include "http.h"

struct registry;

/* user may be NULL.  h is borrowed. */
struct registry *registry_new(struct http *h, const char *url, const char *user,
			      const char *password);
void registry_free(struct registry *r);

/* The id of exactly this schema under the subject; REJECT when it is not registered there. */
enum result registry_lookup(struct registry *r, const char *subject, const char *schema,
			    int32_t *id, struct error *err);
/* The newest schema of a subject, malloc'ed; *schema is NULL when the subject does not exist. */
enum result registry_latest(struct registry *r, const char *subject, char **schema,
			    struct error *err);
/* Registers a new version with BACKWARD_TRANSITIVE compatibility. FATAL 100 when the registry
 * finds it incompatible. */
enum result registry_add(struct registry *r, const char *subject, const char *schema, int32_t *id,
			 struct error *err);
/* The schema of an id, malloc'ed; REJECT when there is none. */
enum result registry_schema(struct registry *r, int32_t id, char **schema, struct error *err);

#endif
