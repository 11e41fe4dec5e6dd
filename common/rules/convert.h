/* convert.h - the named conversions of a field: `convert: trim` or `convert: [trim, {first: 10}]`.
 *
 * A closed list, each a function, in the order in which they are written.  There is no expression
 * language: what is not here is a conversion to be added (a function and a line in the table of
 * convert_steps.c, a row in deploy/MAPPING.md, a case), not something to be programmed in a mapping.
 *
 * Whether the steps fit each other is known when the mapping is compiled; a value that cannot be
 * converted is a misfit then, and its record a reject.
 */
#ifndef TIDEWAY_CONVERT_H
#define TIDEWAY_CONVERT_H

#include "document.h"
#include "scalar.h"

struct conversion;

/* What a conversion may need besides its argument. */
struct convert_context {
	enum kind in;	 /* what the source gives */
	bool wall_clock; /* a time of the source is a clock on some wall, without a zone */
	const char *pseudonym_key; /* of hash; NULL: there is none */
};

struct conversions {
	struct conversion *steps;
	size_t count;
	enum kind out;
	size_t length; /* of every text that comes out; 0: it depends */
};

/* node may be absent. Problems are collected; then false is returned and there is nothing to free. */
bool conversions_compile(struct node node, const struct convert_context *context,
			 struct conversions *out, struct problems *p);
/* The one conversion of that name, which is known and takes a text and no argument. */
void conversions_named(const char *name, struct conversions *out);
void conversions_free(struct conversions *c);

/* In place; NOTHING stays NOTHING. False with the reason when the value cannot be converted. */
bool conversions_apply(const struct conversions *c, struct scalar *s, struct arena *a,
		       struct misfit *why);

#endif
