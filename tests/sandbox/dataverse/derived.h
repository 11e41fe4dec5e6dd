/* derived.h - what a write brings with it, beside the values that were given. */
#ifndef SANDBOX_DATAVERSE_DERIVED_H
#define SANDBOX_DATAVERSE_DERIVED_H

#include "store.h"

/* activity.c: the table of the twins, if t is a table of activities. */
struct table *activity_twin(struct store *s, const struct table *t);
void activity_write(struct store *s, struct table *t, const char *id, const struct row *r,
		    bool insert);

/* money.c: exchange rate and base amounts join the row. */
void money_fill(struct store *s, struct table *t, const char *id, struct row *r, bool insert);

#endif
