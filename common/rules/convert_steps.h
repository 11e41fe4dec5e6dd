/* convert_steps.h - the conversions themselves, for convert.c, which puts them together. */
#ifndef TIDEWAY_CONVERT_STEPS_H
#define TIDEWAY_CONVERT_STEPS_H

#include "convert.h"

struct conversion {
	const struct conversion_kind *is;
	const char *text; /* prefix, point */
	const char *group;
	int64_t count; /* of characters, of decimals */
	struct zone *zone;
};

/* One line of the table. */
struct conversion_kind {
	const char *name;
	unsigned takes; /* kinds, as bits */
	enum kind gives;
	bool (*read)(struct node argument, const struct convert_context *context,
		     struct conversion *to, struct problems *p);
	bool (*apply)(const struct conversion *c, struct scalar *s, struct arena *a,
		      struct misfit *why);
	size_t length; /* of every text that it gives; 0: it depends */
};
#define BIT(kind) (1u << (kind))

extern const struct conversion_kind conversion_kinds[];
extern const size_t conversion_kind_count;

#endif
