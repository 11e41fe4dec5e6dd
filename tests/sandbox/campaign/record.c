/* record.c - a record as answers show it, and how a URL finds one.
 *
 * "Endpoints", "Must-read" (custom keys, primary keys); the order of the alphabet and "" for what is
 * empty are those of real answers.  Standard shows no href in the answer to a GET of one record, v8
 * does ("REST responses" of the migration's limitations).
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *record_title(const struct resource *r, const struct record *rec, char *out, size_t size)
{
	const cJSON *part;
	*out = 0;
	cJSON_ArrayForEach(part, cJSON_GetObjectItemCaseSensitive(r->json, "titleOf"))
	{
		int i = resource_field(r, part->valuestring);
		if (i >= 0 && *rec->values[i])
			snprintf(out + strlen(out), size - strlen(out), "%s%s", *out ? " " : "",
				 rec->values[i]);
	}
	return out;
}

bool field_computed(const struct field *f)
{
	return !strcmp(f->path, "title") || json_text(f->json, "yearsSince") ||
	       json_text(f->json, "domainOf");
}

/* Whole years from a day to now. */
static int years_since(const struct call *call, const char *day)
{
	char now[32];
	int y, m, d, ny, nm, nd;

	time_text(store_now_ms(&call->c->store), now);
	if (sscanf(day, "%4d-%2d-%2d", &y, &m, &d) != 3 ||
	    sscanf(now, "%4d-%2d-%2d", &ny, &nm, &nd) != 3)
		return 0;
	int years = ny - y - (nm < m || (nm == m && nd < d));
	return years > 0 ? years : 0;
}

/* What follows from another field: age from birthDate (0 without one, as in real answers), domain
 * from email. */
static cJSON *computed(const struct call *call, const struct resource *r, const struct field *f,
		       const struct record *rec)
{
	const char *of = json_text(f->json, "yearsSince");
	char text[800];

	if (!strcmp(f->path, "title"))
		return cJSON_CreateString(record_title(r, rec, text, sizeof text));
	int i = resource_field(r, of ? of : json_text(f->json, "domainOf"));
	const char *value = i >= 0 ? rec->values[i] : "";
	if (of)
		return cJSON_CreateNumber(years_since(call, value));
	const char *at = strrchr(value, '@');
	return cJSON_CreateString(at ? at + 1 : "");
}

static cJSON *group_of(cJSON *o, const char *path, const char *dot)
{
	char name[100];
	snprintf(name, sizeof name, "%.*s", (int)(dot - path), path);
	cJSON *item = cJSON_GetObjectItemCaseSensitive(o, name);
	return item ? item : cJSON_AddObjectToObject(o, name);
}

static void add_field(const struct call *call, cJSON *o, struct resource *r, int i,
		      const struct record *rec, const char *href)
{
	const struct field *f = &r->fields[i];
	const char *dot = strchr(f->path, '.');
	char text[800];

	if (f->kind == K_LINK) {
		cJSON_AddItemToObject(o, f->path, link_json(call, r, f, rec));
	} else if (f->kind == K_COLLECTION) {
		snprintf(text, sizeof text, "%s/%s/", href, f->path);
		cJSON_AddStringToObject(cJSON_AddObjectToObject(o, f->path), "href", text);
	} else if (dot) {
		cJSON_AddItemToObject(group_of(o, f->path, dot), dot + 1,
				      value_json(f, rec->values[i]));
	} else if (field_computed(f)) {
		cJSON_AddItemToObject(o, f->path, computed(call, r, f, rec));
	} else {
		cJSON_AddItemToObject(o, f->path, value_json(f, rec->values[i]));
	}
}

cJSON *record_json(const struct call *call, struct resource *r, const struct record *rec,
		   bool with_href)
{
	cJSON *o = cJSON_CreateObject();
	char pkey[100], href[600];
	bool done = !with_href;

	acs_href(call, r, rec->id, pkey, href, sizeof href);
	cJSON_AddStringToObject(o, "PKey", pkey);
	for (int i = 0; i < r->count; i++) {
		if (!done && strcmp(r->fields[i].path, "href") > 0) {
			cJSON_AddStringToObject(o, "href", href);
			done = true;
		}
		if (field_shown(call, &r->fields[i]))
			add_field(call, o, r, i, rec, href);
	}
	if (!done)
		cJSON_AddStringToObject(o, "href", href);
	return o;
}

bool has_key(const struct campaign *c, const struct resource *r)
{
	if (!strcmp(r->name, "profile"))
		return !c->store.no_external_key;
	return r->built_in || !c->store.no_custom_keys;
}

bool record_find(const struct call *call, struct resource *r, const char *id, struct record *rec)
{
	struct store *s = &call->c->store;

	if (*id == '@') {
		int64_t number = store_pkey_id(s, resource_kind(s, r), id);
		return (number && store_by_id(r, number, rec)) || fail_pkey(call, r, id, false);
	}
	if (!has_key(call->c, r))
		return fail_pkey(call, r, id, false);
	return store_by_key(r, id, rec) || fail_key(call, r, id, false);
}
