/* requests.c - see requests.h. */
#include "requests.h"

#include <stdio.h>

/* Is it still the organization, has it been restored: two requests an hour (extract-dataverse). */
enum { DAY_MS = 86400000, LOOKS_A_DAY = 2 * 24 };

struct requests requests_of(const struct config *c, const int64_t *rows)
{
	struct requests r = {0};

	for (size_t i = 0; i < c->flow_count; i++) {
		const struct flow *f = &c->flows[i];
		int64_t polls = f->poll_ms ? DAY_MS / f->poll_ms : 0, pages = 1;
		if (f->kind == FLOW_EMAIL_EVENTS) {
			r.written += f->rows_per_day;
			if (!f->rows_per_day && !r.unbounded)
				r.unbounded = f->name;
			continue;
		}
		if (f->changes != CHANGES_FULL) {
			r.quiet += polls + LOOKS_A_DAY;
			r.busy += DAY_MS / f->poll_min_ms + LOOKS_A_DAY;
			continue;
		}
		/* A full read asks who it is, how many rows there are, and for each page. */
		if (rows[i] > f->page_size)
			pages = (rows[i] + f->page_size - 1) / f->page_size;
		if (rows[i] < 0)
			r.unknown = f->table;
		r.quiet += polls * (pages + 2);
		r.busy += polls * (pages + 2);
	}
	return r;
}

static double share(int64_t n)
{
	return 100.0 * (double)n / REQUESTS_A_DAY;
}

void requests_print(const struct requests *r)
{
	if (r->busy)
		printf("asking Dynamics for changes takes %lld requests a day when all is quiet, "
		       "%lld when something always changes: %.1f and %.1f %% of the %d that a "
		       "tenant has at least\n",
		       (long long)r->quiet, (long long)r->busy, share(r->quiet), share(r->busy),
		       REQUESTS_A_DAY);
	if (r->unknown)
		printf("a request for each page of %s comes on top at every poll; how many rows it "
		       "has is not known\n",
		       r->unknown);
	if (r->written)
		printf("activities take %lld a day at most (rows_per_day), %.1f %%\n",
		       (long long)r->written, share(r->written));
	if (r->unbounded)
		printf("each activity takes one, too; %s writes as many as there are events "
		       "(rows_per_day holds back)\n",
		       r->unbounded);
}

cJSON *requests_json(const struct requests *r)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "quiet", (double)r->quiet);
	cJSON_AddNumberToObject(o, "busy", (double)r->busy);
	cJSON_AddNumberToObject(o, "activities", (double)r->written);
	cJSON_AddBoolToObject(o, "activities_bounded", !r->unbounded);
	cJSON_AddNumberToObject(o, "entitlement", REQUESTS_A_DAY);
	return o;
}
