/* body.h - a record of a target topic as the JSON that Campaign is sent.
 *
 * Nothing is written as "": Campaign shows empty values so, and null is not documented.  A member
 * that is to be left alone is left out.  Members that the record's own schema does not have are
 * left out, too: a record from before a change of the mapping clears nothing that it knows nothing
 * of.  Dates and times have Campaign's form; join columns are plain texts; a link with mode: key is
 * {"PKey": "<raw key>"}; one with mode: pkey is left to the loader, which must look it up.
 *
 * Facts: Adobe, "creating and updating profiles", "custom resources".
 */
#ifndef TIDEWAY_BODY_H
#define TIDEWAY_BODY_H

#include <cjson/cJSON.h>

#include "buffer.h"
#include "mapping.h"

/* Objects without the key. */
struct body {
	cJSON *patch;  /* what a change writes */
	cJSON *create; /* what making the record writes: also `on: create`; NULL of an update */
};

/* change: an upsert or an update of any schema of the topic. REJECT with nothing to free. */
enum result body_of(const struct mapping *m, const avro_value_t *change, struct body *out,
		    struct error *err);
void body_free(struct body *b);

/* Does a record wait for the parent of this link, or is it refused without it?  Then the parent's key
 * in the row of a change, which owns it; NULL: there is none, or nobody waits for it. */
bool body_needs(const struct field_config *link);
const char *body_parent(const struct field_config *link, const avro_value_t *row);

/* Of what body_of() puts into patch, and of links that are left to the loader: equal hashes, equal
 * patches.  Makes none of it: an eighth of the work. */
enum result body_hash(const struct mapping *m, const avro_value_t *change, struct buffer *scratch,
		      uint64_t *out, struct error *err);

#endif
