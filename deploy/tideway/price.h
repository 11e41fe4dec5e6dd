/* price.h - the requests that load-campaign would send for a record, one by one.
 *
 * It depends on what the loader remembers (loaded.<resource>): a key that it knows is PATCHed, and
 * what it wrote before is not written again.  The memory is read; nothing is written.
 */
#ifndef TIDEWAY_PRICE_H
#define TIDEWAY_PRICE_H

#include "body.h"
#include "config.h"
#include "kafka.h"
#include "wire.h"

struct price;
struct price *price_new(const struct flow *flow, const struct mapping *m);
void price_free(struct price *p);

/* The memory of the keys that are wanted. */
enum result price_read(struct price *p, const struct config *c, rd_kafka_t *reader,
		       struct wire *wire, bool (*wanted)(void *arg, const void *key, size_t len),
		       void *arg, struct error *err);

/* What a record is to the loader and to Campaign. */
struct priced {
	const char *key;
	const avro_value_t *change; /* as the transformer would write it; NULL: a tombstone alone */
	const struct body *body;    /* of a write, else NULL */
	bool there;		    /* Campaign has the record */
	bool differs;		    /* and something would become of it */
};

/* Parents that are looked up are counted once: children in flight together may ask each for itself.
 * *forced: the loader has written it so already, and does it again only when it is forced to: somebody
 * changed it in Campaign. */
long price_of(struct price *p, const struct priced *it, bool *forced);

#endif
