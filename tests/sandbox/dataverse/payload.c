/* payload.c - a JSON object as a row.
 *
 * Facts: "Create a table row using the Web API" (binds, related rows in one operation), "Web API
 * navigation properties", "Associate and disassociate table rows using the Web API".  Nothing is
 * passed over: an unknown property is 400, an annotation that is not implemented 501.
 */
#include "write.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define API_PATH "/api/data/v9."

void payload_new_id(struct dataverse *d, char id[37])
{
	/* Versions never come back, also in a store that is opened again; made does. */
	struct rng r = {
	    ((uint64_t)d->store.version * 0x9e3779b97f4a7c15u + ++d->made * 0xbf58476d1ce4e5b9u) ^
	    server_seed(d->server)};
	rng_guid(&r, id);
}

cJSON *payload_body(struct write *w)
{
	const char *type = request_header(w->req, "Content-Type");

	if (type && strncasecmp(type, "application/json", 16)) {
		api_error(w->rep, 415, "",
			  "No MediaTypeFormatter is available to read an object of type "
			  "'CrmEdmEntityObject' from content with media type '%.*s'.",
			  (int)strcspn(type, ";"), type);
		return NULL;
	}
	cJSON *json = value_parse(w->req->body, w->req->body_len);
	if (!cJSON_IsObject(json)) {
		cJSON_Delete(json);
		api_error(
		    w->rep, 400, E_PAYLOAD,
		    "Error identified in Payload provided by the user for Entity :'', For more "
		    "information on this error please follow this help link "
		    "https://go.microsoft.com/fwlink/?linkid=2195293 ---->  InnerException : "
		    "Microsoft.OData.ODataException: Invalid JSON.");
		return NULL;
	}
	return json;
}

/* ---- addresses ------------------------------------------------------------------------------------- */

static bool bad_address(struct write *w, const char *what)
{
	api_error(w->rep, 400, E_PAYLOAD, "Invalid value of '%s': not the URL of a row here.",
		  what);
	return false;
}

/* Behind the root of the API, whether the URL is whole, begins at the host, or has neither. */
static const char *behind_root(struct write *w, const char *s)
{
	size_t scheme = strlen(w->req->scheme), host = strlen(w->req->host);
	bool whole = strstr(s, "://") && strstr(s, "://") < s + strcspn(s, "('");

	if (whole) {
		if (strncasecmp(s, w->req->scheme, scheme) || strncmp(s + scheme, "://", 3) ||
		    strncasecmp(s + scheme + 3, w->req->host, host) || s[scheme + 3 + host] != '/')
			return NULL;
		s += scheme + 3 + host;
	}
	if (!strncmp(s, API_PATH, sizeof API_PATH - 1)) {
		s = strchr(s + sizeof API_PATH - 1, '/');
		return s ? s + 1 : NULL;
	}
	return whole ? NULL : s + (*s == '/');
}

static bool resolve(struct write *w, const char *s, const char *what, struct table **t, char id[37])
{
	const char *at = behind_root(w, s);
	size_t n = at ? strcspn(at, "(/") : 0;
	struct key k;

	if (!at || at[n] != '(')
		return bad_address(w, what);
	if (!(*t = store_set(&w->d->store, at, n))) {
		api_error(w->rep, 404, E_QUERY, "Resource not found for the segment '%.*s'.",
			  n < 100 ? (int)n : 100, at);
		return false;
	}
	at += n + 1;
	size_t len = key_length(at);
	if (len == SIZE_MAX || at[len + 1])
		return bad_address(w, what);
	if (!key_parse(w->d, *t, at, len, false, &k, w->rep))
		return false;
	bool found = key_find(w->d, *t, &k);
	if (found || k.primary)
		snprintf(id, 37, "%s", k.id);
	else
		key_absent(*t, &k, w->rep);
	bool good = found || (k.primary && payload_exists(w, *t, id));
	key_free(&k);
	return good;
}

bool payload_address(struct write *w, const char *s, const char *what, struct table **t,
		     char id[37])
{
	if (!s)
		return bad_address(w, what);
	if (*s == '$') {
		const char *made = batch_reference(w->d, s + 1, strlen(s + 1));
		if (!made) {
			api_error(w->rep, 400, "",
				  "Content-ID Reference: '%.40s' does not exist in the batch "
				  "context.",
				  s);
			return false;
		}
		s = made;
	}
	char *plain = url_decode(s, strlen(s), false);
	bool good = plain ? resolve(w, plain, what, t, id) : bad_address(w, what);
	free(plain);
	return good;
}

bool payload_exists(struct write *w, struct table *t, const char *id)
{
	if (store_exists(&w->d->store, t, id))
		return true;
	if (w->bulk)
		api_error(w->rep, 404, E_NOT_FOUND, "%c%s With Ids = %s Do Not Exist",
			  toupper((unsigned char)*t->name), t->name + 1, id);
	else
		api_error(w->rep, 404, E_NOT_FOUND, "%s With Id = %s Does Not Exist", t->name, id);
	return false;
}

/* ---- single-valued navigation ------------------------------------------------------------------------ */

static bool twice(struct write *w, const char *name)
{
	api_error(w->rep, 400, E_PAYLOAD,
		  "Multiple properties with the name '%s' were detected in a resource. In OData, "
		  "duplicate property names are not allowed.",
		  name);
	return false;
}

static bool undeclared(struct write *w, const char *name, size_t len)
{
	api_error(
	    w->rep, 400, E_PAYLOAD,
	    "An undeclared property '%.*s' which only has property annotations in the payload "
	    "but no property value was found in the payload. In OData, only declared navigation "
	    "properties and declared named streams can be represented as properties without "
	    "values.",
	    (int)len, name);
	return false;
}

static void point(struct row *r, int column, const char *id, const struct table *target)
{
	free(r->values[column]);
	free(r->targets[column]);
	r->values[column] = id ? strdup(id) : NULL;
	r->targets[column] = id ? strdup(target->name) : NULL;
	r->given[column] = true;
}

/* Does the property of the lookup that is called nav lead to this table?  Several targets may share
 * a name (ownerid), so the name alone does not tell. */
static bool leads_to(const struct column *c, const char *nav, const struct table *target)
{
	const char *name =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c->targets, target->name));
	return name && !strcmp(name, nav);
}

static bool may_write(struct write *w, const struct table *t, const struct column *c, bool insert)
{
	bool forbidden = cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(
	    c->json, insert ? "validForCreate" : "validForUpdate"));

	if (!c->read_only && !forbidden)
		return true;
	api_error(w->rep, 400, E_PAYLOAD, "The property '%s' of '%s' cannot be written%s.",
		  c->property, t->name,
		  c->read_only ? ""
		  : insert     ? " on create"
			       : " on update");
	return false;
}

static bool bind_one(struct write *w, struct table *t, const struct nav *nav, const cJSON *v,
		     bool insert, struct row *r)
{
	int column = (int)(nav->column - t->columns);
	struct table *target;
	char id[37], what[220];

	if (!may_write(w, t, nav->column, insert))
		return false;
	if (r->given[column])
		return twice(w, nav->name);
	if (cJSON_IsNull(v)) {
		point(r, column, NULL, NULL);
		return true;
	}
	snprintf(what, sizeof what, "%s@odata.bind", nav->name);
	if (!payload_address(w, cJSON_GetStringValue(v), what, &target, id))
		return false;
	if (!leads_to(nav->column, nav->name, target))
		return bad_address(w, what);
	if (!privilege(w->d, t, "Append", w->rep) || !privilege(w->d, target, "AppendTo", w->rep))
		return false;
	point(r, column, id, target);
	return true;
}

/* A row that is made first, because this one points to it. */
static bool insert_one(struct write *w, struct table *t, const struct nav *nav, const cJSON *v,
		       struct row *r)
{
	char id[37] = "";
	int column = (int)(nav->column - t->columns);

	if (!may_write(w, t, nav->column, true))
		return false;
	if (r->given[column])
		return twice(w, nav->name);
	if (!write_allowed(w, nav->target) || !privilege(w->d, nav->target, "Create", w->rep) ||
	    !write_insert(w, nav->target, v, NULL, id))
		return false;
	point(r, column, id, nav->target);
	return true;
}

/* ---- rows ------------------------------------------------------------------------------------------ */

static bool take_type(struct write *w, const struct table *t, const cJSON *v)
{
	const char *s = cJSON_GetStringValue(v);

	s = s && *s == '#' ? s + 1 : s;
	if (s && !strncmp(s, "Microsoft.Dynamics.CRM.", 23) && !strcmp(s + 23, t->name))
		return true;
	api_error(w->rep, 400, E_PAYLOAD,
		  "A type named '%.100s' could not be resolved, or is not that of '%s'.",
		  s ? s : "", t->set);
	return false;
}

static bool no_property(struct write *w, const struct table *t, const char *name)
{
	api_error(
	    w->rep, 400, E_PAYLOAD,
	    "Error identified in Payload provided by the user for Entity :'%s', For more "
	    "information "
	    "on this error please follow this help link "
	    "https://go.microsoft.com/fwlink/?linkid=2195293 ---->  InnerException : "
	    "Microsoft.Crm.CrmException: Invalid property '%.100s' was found in entity "
	    "'Microsoft.Dynamics.CRM.%s'. ---> Microsoft.OData.ODataException: The property "
	    "'%.100s' "
	    "does not exist on type 'Microsoft.Dynamics.CRM.%s'. Make sure to only use property "
	    "names that are defined by the type.",
	    t->set, name, t->name, name, t->name);
	return false;
}

/* A navigation property: object (deep insert), null (unbind), array (later, by the children). */
static bool take_nav(struct write *w, struct table *t, const struct nav *nav, const cJSON *m,
		     bool insert, struct row *r)
{
	if (nav->kind == NAV_ONE && cJSON_IsNull(m))
		return bind_one(w, t, nav, m, insert, r);
	if (!insert || w->bulk) {
		api_not_implemented(w->rep, w->bulk ? "related rows in a bulk message"
						    : "related rows in an update");
		return false;
	}
	if (nav->kind == NAV_ONE && cJSON_IsObject(m))
		return insert_one(w, t, nav, m, r);
	if (nav->kind != NAV_ONE && cJSON_IsArray(m))
		return true;
	api_error(w->rep, 400, E_PAYLOAD, "The value of the navigation property '%s' is no %s.",
		  nav->name, nav->kind == NAV_ONE ? "object" : "array");
	return false;
}

static bool take_bind(struct write *w, struct table *t, const char *name, size_t len,
		      const cJSON *m, bool insert, struct row *r)
{
	struct nav nav;

	if (!nav_find(&w->d->store, t, name, len, &nav))
		return undeclared(w, name, len);
	if (nav.kind == NAV_ONE)
		return bind_one(w, t, &nav, m, insert, r);
	if (!cJSON_IsArray(m)) {
		api_error(w->rep, 400, E_PAYLOAD, "'%s@odata.bind' wants an array of URLs.",
			  nav.name);
		return false;
	}
	if (insert && !w->bulk)
		return true;
	api_not_implemented(w->rep, "a collection's @odata.bind in an update or a bulk message");
	return false;
}

static bool take_member(struct write *w, struct table *t, const cJSON *m, bool insert,
			struct row *r, char id[37])
{
	const char *name = m->string, *at = strstr(name, "@odata.bind");
	struct nav nav;

	if (at && at != name && !at[11])
		return take_bind(w, t, name, (size_t)(at - name), m, insert, r);
	if (!strcmp(name, "@odata.type"))
		return take_type(w, t, m);
	if (w->bulk && !strcmp(name, "@odata.id"))
		return true; /* bulk.c took it */
	if (strchr(name, '@')) {
		api_not_implemented(w->rep, name);
		return false;
	}
	struct column *c = table_column(t, name);
	if (nav_find(&w->d->store, t, name, strlen(name), &nav) &&
	    (!c || cJSON_IsNull(m) || cJSON_IsObject(m)))
		return take_nav(w, t, &nav, m, insert, r);
	if (!c)
		c = table_property(t, name, strlen(name));
	if (!c)
		return no_property(w, t, name);
	if (c->type != T_LOOKUP && !may_write(w, t, c, insert || !strcmp(name, t->id)))
		return false;
	if (r->given[c - t->columns])
		return twice(w, name);
	if (!value_take(w, t, c, m, r))
		return false;
	if (!strcmp(name, t->id))
		snprintf(id, 37, "%s", r->values[c - t->columns]);
	return true;
}

bool payload_row(struct write *w, struct table *t, const cJSON *json, bool insert, struct row *r,
		 char id[37])
{
	const cJSON *m;

	cJSON_ArrayForEach(m, json) if (!take_member(w, t, m, insert, r, id)) return false;
	return true;
}

/* ---- rows that hang on this one ---------------------------------------------------------------------- */

static bool insert_child(struct write *w, const struct nav *nav, const cJSON *json, const char *id)
{
	char child[37] = "";
	struct row r = row_new(nav->target);
	bool good = cJSON_IsObject(json);

	if (!good)
		api_error(w->rep, 400, E_PAYLOAD, "The items of '%s' are no objects.", nav->name);
	else
		good =
		    write_allowed(w, nav->target) && privilege(w->d, nav->target, "Create", w->rep);
	if (good && nav->kind == NAV_MANY)
		point(&r, (int)(nav->column - nav->target->columns), id, nav->table);
	good = good && write_insert(w, nav->target, json, &r, child) &&
	       (nav->kind == NAV_MANY || associate_link(w, nav, id, child));
	row_free(nav->target, &r);
	return good;
}

static bool bind_child(struct write *w, const struct nav *nav, const cJSON *v, const char *id)
{
	struct table *target;
	char child[37];

	if (!payload_address(w, cJSON_GetStringValue(v), nav->name, &target, child))
		return false;
	return target == nav->target ? associate_link(w, nav, id, child)
				     : bad_address(w, nav->name);
}

bool payload_children(struct write *w, struct table *t, const cJSON *json, const char *id)
{
	const cJSON *m, *item;

	cJSON_ArrayForEach(m, json)
	{
		const char *at = strstr(m->string, "@odata.bind");
		size_t len = at ? (size_t)(at - m->string) : strlen(m->string);
		struct nav nav;
		if (!cJSON_IsArray(m) || !nav_find(&w->d->store, t, m->string, len, &nav) ||
		    nav.kind == NAV_ONE)
			continue;
		cJSON_ArrayForEach(item,
				   m) if (!(at ? bind_child(w, &nav, item, id)
					       : insert_child(w, &nav, item, id))) return false;
	}
	return true;
}
