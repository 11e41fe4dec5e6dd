/* metadata.c - what a resource says about itself.
 *
 * "Metadata mechanism", "Filtering" (filters.href), "Custom resources" (the list of what is exposed);
 * the members of a field's node are those of the screenshot on "Extending the API" in the developer
 * documentation.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *type_of(const cJSON *f)
{
	const char *type = json_text(f, "type");
	return type ? type : "string";
}

static void add_values(cJSON *node, const cJSON *values)
{
	cJSON *list = cJSON_AddArrayToObject(node, "values");
	const cJSON *v;
	int number = 0;

	cJSON_ArrayForEach(v, values)
	{
		cJSON *e = cJSON_CreateObject();
		cJSON_AddStringToObject(e, "name", v->valuestring);
		cJSON_AddStringToObject(e, "label", v->valuestring);
		cJSON_AddNumberToObject(e, "value", number++);
		cJSON_AddItemToArray(list, e);
	}
}

static bool shown(const struct call *call, const cJSON *f)
{
	struct field x = {.extension = json_flag(f, "extension"),
			  .v8_extension = json_flag(f, "v8Extension")};
	return field_shown(call, &x);
}

static cJSON *field_nodes(const struct call *call, const cJSON *fields);

static void add_node(const struct call *call, cJSON *o, const cJSON *f)
{
	const char *type = type_of(f), *raw = json_text(f, "resType"),
		   *policy = json_text(f, "dataPolicy"), *label = json_text(f, "label");
	const cJSON *inner = cJSON_GetObjectItemCaseSensitive(f, "content");
	const cJSON *length = cJSON_GetObjectItemCaseSensitive(f, "length");
	bool link = !strcmp(type, "link") || !strcmp(type, "collection");
	long characters = cJSON_IsNumber(length) ? length->valueint : 255;
	char pkey[100], digits[16];

	cJSON *n = cJSON_AddObjectToObject(o, f->string);
	store_pkey(&call->c->store, PKEY_OTHER, 1, pkey);
	cJSON_AddStringToObject(n, "PKey", pkey);
	cJSON_AddStringToObject(n, "apiName", f->string);
	cJSON_AddStringToObject(n, "category", "99_none");
	cJSON_AddStringToObject(n, "dataPolicy", policy ? policy : "none");
	cJSON_AddStringToObject(n, "desc", "");
	cJSON_AddStringToObject(n, "displayFormat", "none");
	cJSON_AddStringToObject(n, "help", label ? label : f->string);
	cJSON_AddStringToObject(n, "label", label ? label : f->string);
	cJSON_AddBoolToObject(n, "lazyLoaded", false);
	if (!strcmp(type, "string")) { /* a text, as the product shows it */
		snprintf(digits, sizeof digits, "%ld", characters);
		cJSON_AddStringToObject(n, "length", digits);
	}
	cJSON_AddBoolToObject(n, "mandatory", json_flag(f, "mandatory"));
	cJSON_AddStringToObject(n, "metadata", link ? type : inner ? "element" : "attribute");
	cJSON_AddStringToObject(n, "privacy", "firstParty");
	cJSON_AddBoolToObject(n, "queryable", true);
	cJSON_AddBoolToObject(n, "readOnly", json_flag(f, "readOnly"));
	cJSON_AddStringToObject(n, "resName", f->string);
	cJSON_AddStringToObject(n, "resType", raw ? raw : type);
	cJSON_AddBoolToObject(n, "sortable", !inner && !link && characters <= 255);
	cJSON_AddStringToObject(n, "type", type);
	if (json_text(f, "resTarget"))
		cJSON_AddStringToObject(n, "resTarget", json_text(f, "resTarget"));
	if (cJSON_GetObjectItemCaseSensitive(f, "values"))
		add_values(n, cJSON_GetObjectItemCaseSensitive(f, "values"));
	if (inner)
		cJSON_AddItemToObject(n, "content", field_nodes(call, inner));
}

static cJSON *field_nodes(const struct call *call, const cJSON *fields)
{
	cJSON *o = cJSON_CreateObject();
	const cJSON *f;

	cJSON_ArrayForEach(f, fields) if (shown(call, f)) add_node(call, o, f);
	return o;
}

static void describe(const struct call *call, struct resource *r)
{
	struct store *s = &call->c->store;
	char base[400], pkey[100], text[800];
	const char *root = root_names[call->root];
	cJSON *o = cJSON_CreateObject();

	acs_base(call->req, base, sizeof base);
	store_pkey(s, PKEY_FILTERS, (int64_t)resource_kind(s, r) + 1, pkey);
	cJSON_AddStringToObject(o, "PKey", pkey);
	cJSON_AddStringToObject(o, "apiName", "resourceType");
	cJSON_AddObjectToObject(o, "compatibleResources");
	cJSON_AddItemToObject(o, "content", field_nodes(call, r->fields_json));
	snprintf(text, sizeof text, "/%s/%s/", root, r->name);
	cJSON_AddStringToObject(o, "data", text);
	snprintf(text, sizeof text, "%s/%s/resourceType/%s/filters/", base, root, pkey);
	cJSON_AddStringToObject(cJSON_AddObjectToObject(o, "filters"), "href", text);
	cJSON_AddStringToObject(o, "help", r->label);
	snprintf(text, sizeof text, "%s/%s/%s/metadata", base, root, r->name);
	cJSON_AddStringToObject(o, "href", text);
	cJSON_AddStringToObject(o, "label", r->label);
	cJSON_AddBoolToObject(o, "mandatory", false);
	cJSON_AddStringToObject(o, "name", r->name);
	cJSON_AddStringToObject(o, "pkgStatus", "never");
	cJSON_AddBoolToObject(o, "readOnly", false);
	cJSON_AddStringToObject(o, "schema", r->schema);
	cJSON_AddStringToObject(o, "type", "item");
	acs_reply(call->rep, 200, o);
}

static bool exposed(const struct call *call, const struct resource *r)
{
	if (r->nested)
		return false;
	if (r->built_in)
		return call->root != ROOT_CUSTOM;
	return call->root == (r->of_profile ? ROOT_EXT : ROOT_CUSTOM);
}

static void filters(const struct call *call, char *pkey, const char *rest)
{
	struct store *s = &call->c->store;
	int64_t id = store_pkey_id(s, PKEY_FILTERS, pkey);

	if (id < 1 || id > s->count || !exposed(call, &s->resources[id - 1]))
		fail_pkey(call, &s->resources[0], pkey, false);
	else if (!strcmp(rest, "/filters") || !strcmp(rest, "/filters/"))
		acs_reply(call->rep, 200, filter_metadata(call, &s->resources[id - 1]));
	else if (!*rest || !strcmp(rest, "/"))
		describe(call, &s->resources[id - 1]);
	else
		fail_url(call);
}

void metadata_answer(const struct call *call, struct resource *r, const char *rest)
{
	snprintf(call->rep->route, sizeof call->rep->route, "metadata %s", r ? r->name : "");
	if (!is_method(call, "GET")) {
		fail_method(call);
	} else if (r) {
		describe(call, r);
	} else { /* resourceType/<rest> */
		size_t n = strcspn(rest, "/");
		char *name = url_decode(rest, n, false);
		r = store_resource(&call->c->store, rest, n);
		if (!name)
			fail_url(call);
		else if (*name == '@')
			filters(call, name, rest + n);
		else if (!r || !exposed(call, r) || rest[n + (rest[n] == '/')])
			fail_resource(call, name);
		else
			describe(call, r);
		if (r && name && *name != '@')
			snprintf(call->rep->route, sizeof call->rep->route, "metadata %s", r->name);
		free(name);
	}
}

void metadata_resources(const struct call *call)
{
	struct store *s = &call->c->store;
	cJSON *o = cJSON_CreateObject();
	char base[400], text[600];
	const char *root = root_names[call->root];

	snprintf(call->rep->route, sizeof call->rep->route, "resources");
	if (!is_method(call, "GET")) {
		cJSON_Delete(o);
		fail_method(call);
		return;
	}
	acs_base(call->req, base, sizeof base);
	cJSON_AddStringToObject(o, "apiName", "resourceType");
	for (int i = 0; i < s->count; i++) {
		struct resource *r = &s->resources[i];
		if (!exposed(call, r))
			continue;
		cJSON *n = cJSON_AddObjectToObject(o, r->name);
		cJSON_AddItemToObject(n, "content", field_nodes(call, r->fields_json));
		snprintf(text, sizeof text, "/%s/%s/", root, r->name);
		cJSON_AddStringToObject(n, "data", text);
		cJSON_AddStringToObject(n, "help", r->singular);
		snprintf(text, sizeof text, "%s/%s/%s/metadata", base, root, r->name);
		cJSON_AddStringToObject(n, "href", text);
		cJSON_AddStringToObject(n, "name", r->name);
		cJSON_AddStringToObject(n, "type", "collection");
	}
	acs_reply(call->rep, 200, o);
}
