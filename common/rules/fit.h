/* fit.h - the limits of the target, respected before any call: a value becomes what an attribute of
 * Campaign takes, or it is said why not. */
#ifndef TIDEWAY_FIT_H
#define TIDEWAY_FIT_H

#include "scalar.h"

/* Makes of s what the attribute wants, in place.  truncate: a text that is too long is cut between
 * characters instead of being a misfit. */
bool fit(const struct attribute *a, bool truncate, struct scalar *s, struct arena *arena,
	 struct misfit *why);

/* Can values of a kind become the attribute's, whatever they are?  Texts for an enumeration can:
 * they are compared record by record.  hint is the conversion that helps, or NULL. */
bool fits_kind(const struct attribute *a, enum kind k, const char **hint);

#endif
