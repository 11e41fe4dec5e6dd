/* collection.c - records under another one: /profile/<PKey>/subscriptions/ and its like.
 *
 * "Performing subscriptions", "Retrieving subscriptions", "Deleting subscriptions".  What a resource
 * file calls a collection is the list of those records whose link leads back; a POST sets that link.
 * A subscription is a record that is there under profiles and services only: its DELETE is 204.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void member(const struct call *call, struct resource *r, const char *id)
{
	struct record rec = record_new(r);

	if (is_method(call, "GET")) {
		if (record_find(call, r, id, &rec))
			acs_reply(call->rep, 200, record_json(call, r, &rec, true));
	} else if (is_method(call, "PATCH")) {
		write_patch(call, r, id);
	} else if (is_method(call, "DELETE")) {
		write_delete(call, r, id);
	} else {
		fail_method(call);
	}
	record_free(r, &rec);
}

void collection_answer(const struct call *call, struct resource *r, const char *id,
		       const char *rest)
{
	struct call within = *call;
	struct record owner = record_new(r);
	struct query q = {.where = ""};
	size_t n = strcspn(rest, "/");
	char name[100], value[400], base[400], url[800], *inner = NULL;
	const char *tail = rest + n + strspn(rest + n, "/");

	snprintf(name, sizeof name, "%.*s", (int)(n < 99 ? n : 99), rest);
	int i = resource_field(r, name);
	if (i >= 0 && r->fields[i].kind == K_LINK && !*tail) {
		acs_not_implemented(call->rep, "the URL of a link; take its href");
		goto out;
	}
	if (i < 0 || r->fields[i].kind != K_COLLECTION || strchr(tail, '/')) {
		fail_url(call);
		goto out;
	}
	if (!record_find(call, r, id, &owner))
		goto out;
	struct resource *to = r->fields[i].target;
	struct field *back = &to->fields[r->fields[i].via];
	int column = back->column < 0 ? r->fields[i].via : back->column;
	link_value(back, &owner, value, sizeof value);
	snprintf(call->rep->route, sizeof call->rep->route, "%s %.50s", r->name, name);
	acs_base(call->req, base, sizeof base);
	snprintf(url, sizeof url, "%s/%s/%s/%.100s/%s/", base, root_names[call->root], r->name, id,
		 name);
	if (to->nested)
		within.within = url;
	call = &within;
	if (!*tail && is_method(call, "POST")) {
		write_create(call, to, column, value);
	} else if ((!*tail || !strcmp(tail, "_count")) && is_method(call, "GET")) {
		snprintf(q.base, sizeof q.base, "%s/%.92s/%s/", r->name, id, name);
		snprintf(q.where, sizeof q.where, " AND t.\"%s\"=?1 AND ?1<>''",
			 to->fields[column].path);
		q.bound[q.bound_count++] = strdup(value);
		if (*tail)
			list_count(call, to, &q);
		else
			list_page(call, to, &q, -1);
	} else if (*tail && (inner = url_decode(tail, strlen(tail), false))) {
		member(call, to, inner);
	} else if (*tail) {
		fail_url(call);
	} else {
		fail_method(call);
	}
out:
	free(inner);
	query_free(&q);
	record_free(r, &owner);
}
