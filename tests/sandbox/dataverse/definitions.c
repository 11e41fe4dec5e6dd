/* definitions.c - the paths of the metadata API that are read: EntityDefinitions and what is below
 * it, RelationshipDefinitions, GlobalOptionSetDefinitions.
 *
 * Facts: "query schema definitions using the Web API".  No paging, no limit of rows.
 */
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metadata.h"
#include "query.h"
#include "shape.h"
#include "tables.h"
#include "text.h"

static const char crm[] = "/Microsoft.Dynamics.CRM.";

struct answer {
	struct dataverse *d;
	const struct request *req;
	struct reply *rep;
	struct shape shape;
	char context[500]; /* behind $metadata# */
};

static void add_context(struct answer *a, cJSON *o, bool entity)
{
	struct text t = {0};
	char root[400];

	api_root(a->req, root, sizeof root);
	text_printf(&t, "%s/$metadata#%s", root, a->context);
	if (a->shape.select)
		text_printf(&t, "(%s)", a->shape.select);
	text_puts(&t, entity ? "/$entity" : "");
	cJSON *context = cJSON_CreateString(t.data);
	free(t.data);
	/* the context is an answer's first member */
	cJSON *first = o->child;
	if (first)
		cJSON_InsertItemInArray(o, 0, context);
	else
		cJSON_AddItemToArray(o, context);
	context->string = strdup("@odata.context");
}

static void reply_one(struct answer *a, cJSON *o, const char *type)
{
	if (!o)
		return;
	if (a->shape.filter)
		query_fail(a->rep, "$filter can't be applied to a single item.");
	else if (shape_object(o, a->shape.select, a->shape.expand, type, metadata_nav, a->d,
			      a->rep)) {
		add_context(a, o, true);
		api_headers(a->rep);
		reply_json(a->rep, 200, o);
		return;
	}
	cJSON_Delete(o);
}

static void reply_list(struct answer *a, cJSON *list, const char *type)
{
	if (!shape_list(list, &a->shape, type, metadata_nav, a->d, a->rep)) {
		cJSON_Delete(list);
		return;
	}
	cJSON *o = cJSON_CreateObject();
	char value[300], version[24];
	if (api_prefers(a->req, "odata.include-annotations", value, sizeof value) &&
	    (strchr(value, '*') || strstr(value, "globalmetadataversion"))) {
		snprintf(version, sizeof version, "%lld", (long long)a->d->store.metadata_version);
		cJSON_AddStringToObject(o, "@Microsoft.Dynamics.CRM.globalmetadataversion",
					version);
		reply_header(a->rep, "Preference-Applied", "odata.include-annotations=\"%s\"",
			     value);
	}
	cJSON_AddItemToObject(o, "value", list);
	add_context(a, o, false);
	api_headers(a->rep);
	reply_json(a->rep, 200, o);
}

static void absent(struct reply *rep, const char *what, const char *name)
{
	api_error(rep, 404, E_NOT_FOUND, "Could not find %s with name or id %s", what, name);
}

static void no_segment(struct reply *rep, const char *rest)
{
	api_error(rep, 404, E_QUERY, "Resource not found for the segment '%.100s'.",
		  *rest == '/' ? rest + 1 : rest);
}

/* "(LogicalName='x')" or "(guid)": what is behind it, or NULL when there is no key. name gets the
 * name or the GUID in lower case. */
static const char *take_key(const char *s, const char *property, char *name, size_t size,
			    bool *is_id)
{
	size_t n = strlen(property), len;

	if (*s != '(')
		return NULL;
	s++;
	*is_id = strncmp(s, property, n) || s[n] != '=';
	if (*is_id) {
		len = strcspn(s, ")");
		if (!strncmp(s, "MetadataId=", 11)) {
			s += 11;
			len -= 11;
		}
		snprintf(name, size, "%.*s", (int)(len < 90 ? len : 90), s);
		for (char *c = name; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		return s[len] == ')' && len == 36 && is_guid(name) ? s + len + 1 : NULL;
	}
	s += n + 1;
	if (*s++ != '\'')
		return NULL;
	len = strcspn(s, "'");
	snprintf(name, size, "%.*s", (int)(len < 90 ? len : 90), s);
	return s[len] == '\'' && s[len + 1] == ')' ? s + len + 2 : NULL;
}

static bool has_id(const char *kind, const char *owner, const char *name, const char *id)
{
	char unique[200], other[37];

	snprintf(unique, sizeof unique, "%s%s%s", owner ? owner : "", owner ? "." : "", name);
	metadata_id(kind, unique, other);
	return !strcmp(id, other);
}

/* ---- below one table ---------------------------------------------------------------------------- */

static cJSON *attributes(const struct table *t, const char *cast)
{
	cJSON *list = cJSON_CreateArray();

	for (int i = 0; i < t->count; i++)
		if (!cast || !strcmp(metadata_cast(&t->columns[i]), cast))
			cJSON_AddItemToArray(list,
					     metadata_attribute(t, &t->columns[i], cast != NULL));
	return list;
}

/* The X of "/Microsoft.Dynamics.CRM.XAttributeMetadata"; rest moves behind it. */
static bool take_cast(const char **rest, char cast[64])
{
	static const char *const known[] = {"String",	  "Memo",     "UniqueIdentifier",
					    "Boolean",	  "Integer",  "BigInt",
					    "Double",	  "Decimal",  "Money",
					    "DateTime",	  "Picklist", "MultiSelectPicklist",
					    "State",	  "Status",   "Lookup",
					    "EntityName", "Image",    "File"};
	size_t n = strcspn(*rest + sizeof crm - 1, "/");
	const char *name = *rest + sizeof crm - 1;

	if (n < 17 || n > 60 || strncmp(name + n - 17, "AttributeMetadata", 17))
		return false;
	snprintf(cast, 64, "%.*s", (int)(n - 17), name);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(cast, known[i])) {
			*rest = name + n;
			return true;
		}
	return false;
}

static void one_attribute(struct answer *a, struct table *t, struct column *c, const char *rest)
{
	char cast[64] = "";

	if (!strncmp(rest, crm, sizeof crm - 1)) {
		if (!take_cast(&rest, cast) || strcmp(cast, metadata_cast(c))) {
			no_segment(a->rep, rest);
			return;
		}
	}
	if (*rest == '/') { /* OptionSet, GlobalOptionSet, or a property */
		cJSON *o = metadata_attribute(t, c, true), *v = metadata_nav(a->d, o, rest + 1);
		cJSON_Delete(o);
		if (cJSON_IsObject(v)) {
			reply_one(a, v, rest + 1);
			return;
		}
		if (v)
			absent(a->rep, "the option set of", c->name);
		else
			no_segment(a->rep, rest);
		cJSON_Delete(v);
		return;
	}
	if (a->shape.expand && !*cast) {
		query_no_property(a->rep, "AttributeMetadata", a->shape.expand,
				  strcspn(a->shape.expand, "(,"));
		return;
	}
	/* without a cast the members of the derived type are there, but cannot be asked for */
	reply_one(a, metadata_attribute(t, c, *cast || !a->shape.select),
		  *cast ? cast : "AttributeMetadata");
}

static void below_attributes(struct answer *a, struct table *t, const char *rest)
{
	char name[100], cast[64];
	bool is_id;
	const char *behind = take_key(rest, "LogicalName", name, sizeof name, &is_id);

	if (!*rest) {
		reply_list(a, attributes(t, NULL), "AttributeMetadata");
	} else if (!strncmp(rest, crm, sizeof crm - 1) && take_cast(&rest, cast) && !*rest) {
		char type[100];
		snprintf(type, sizeof type, "%sAttributeMetadata", cast);
		snprintf(a->context + strlen(a->context), sizeof a->context - strlen(a->context),
			 "%s%s", crm, type);
		reply_list(a, attributes(t, cast), type);
	} else if (behind) {
		struct column *c = NULL;
		for (int i = 0; i < t->count && !c; i++)
			if (is_id ? has_id("column ", t->name, t->columns[i].name, name)
				  : !strcmp(t->columns[i].name, name))
				c = &t->columns[i];
		if (c)
			one_attribute(a, t, c, behind);
		else
			absent(a->rep, "an attribute", name);
	} else {
		no_segment(a->rep, rest);
	}
}

/* A member of a list by its key, or the list. */
static void below_list(struct answer *a, cJSON *list, const char *rest, const char *property,
		       const char *type)
{
	char name[100];
	bool is_id;
	const char *behind = take_key(rest, property, name, sizeof name, &is_id);
	cJSON *o;

	if (!*rest) {
		reply_list(a, list, type);
		return;
	}
	if (behind && !*behind) {
		cJSON_ArrayForEach(o, list)
		{
			const char *have = cJSON_GetStringValue(
			    cJSON_GetObjectItemCaseSensitive(o, is_id ? "MetadataId" : property));
			if (have && !strcmp(have, name)) {
				reply_one(a, cJSON_Duplicate(o, true), type);
				cJSON_Delete(list);
				return;
			}
		}
		absent(a->rep, type, name);
	} else {
		no_segment(a->rep, rest);
	}
	cJSON_Delete(list);
}

/* An $expand=Keys reads them as ../Keys does: so is a new key's index watched. */
static void keys_were_read(struct answer *a, struct table *t)
{
	if (a->shape.expand && strstr(a->shape.expand, "Keys"))
		tables_keys_were_read(a->d, t);
}

static void below_table(struct answer *a, struct table *t, const char *rest)
{
	cJSON *whole = metadata_entity(t), *member, *o;
	size_t n = strcspn(rest + (*rest == '/'), "(/") + (*rest == '/');
	char name[60], id[37];

	snprintf(name, sizeof name, "%.*s", (int)(n ? n - 1 : 0), rest + (n > 0));
	if (!*rest) {
		reply_one(a, whole, "EntityMetadata");
		keys_were_read(a, t);
		return;
	}
	metadata_id("table ", t->name, id);
	snprintf(a->context, sizeof a->context, "EntityDefinitions('%s')/%s", id, name);
	if (!strcmp(name, "Attributes")) {
		below_attributes(a, t, rest + n);
	} else if (!strcmp(name, "Keys")) {
		below_list(a, metadata_nav(a->d, whole, name), rest + n, "LogicalName",
			   "EntityKeyMetadata");
		tables_keys_were_read(a->d, t);
	} else if (strstr(name, "Relationships") && (o = metadata_nav(a->d, whole, name))) {
		below_list(a, o, rest + n, "SchemaName",
			   *name == 'M' && name[7] == 'M' ? "ManyToManyRelationshipMetadata"
							  : "OneToManyRelationshipMetadata");
	} else if ((member = cJSON_GetObjectItemCaseSensitive(whole, name)) && !rest[n]) {
		o = cJSON_CreateObject();
		cJSON_AddItemToObject(o, "value", cJSON_Duplicate(member, true));
		add_context(a, o, false);
		api_headers(a->rep);
		reply_json(a->rep, 200, o);
	} else {
		no_segment(a->rep, rest);
	}
	cJSON_Delete(whole);
}

static struct table *table_of_key(struct store *s, const char *name, bool is_id)
{
	for (int i = 0; i < s->count; i++)
		if (is_id ? has_id("table ", NULL, s->tables[i].name, name)
			  : !strcmp(s->tables[i].name, name))
			return &s->tables[i];
	return NULL;
}

static void entities(struct answer *a, const char *rest)
{
	struct store *s = &a->d->store;
	char name[100];
	bool is_id;
	const char *behind = take_key(rest, "LogicalName", name, sizeof name, &is_id);

	snprintf(a->context, sizeof a->context, "EntityDefinitions");
	if (behind) {
		struct table *t = table_of_key(s, name, is_id);
		if (t)
			below_table(a, t, behind);
		else
			absent(a->rep, "an entity", name);
	} else if (!*rest) {
		cJSON *list = cJSON_CreateArray();
		for (int i = 0; i < s->count; i++)
			cJSON_AddItemToArray(list, metadata_entity(&s->tables[i]));
		reply_list(a, list, "EntityMetadata");
		for (int i = 0; i < s->count; i++)
			keys_were_read(a, &s->tables[i]);
	} else {
		query_fail(a->rep, "Bad Request - Error in query syntax.");
	}
}

/* Every relationship once: 1:N from its referencing end, N:N from its first. */
static void all_relationships(struct answer *a, const char *rest)
{
	struct store *s = &a->d->store;
	cJSON *list = cJSON_CreateArray();
	bool one = false, many = false;
	char key[200] = "";
	const char *cast = strstr(rest, crm), *behind = rest;
	struct nav n;

	/* the cast stands before the key or behind it */
	if (cast) {
		const char *type = cast + sizeof crm - 1;
		one = !strncmp(type, "OneToManyRelationshipMetadata", 29);
		many = !strncmp(type, "ManyToManyRelationshipMetadata", 30);
		const char *after = one ? type + 29 : many ? type + 30 : NULL;
		if (after && cast == rest)
			behind = after;
		else if (after && !*after && cast - rest < (ptrdiff_t)sizeof key) {
			snprintf(key, sizeof key, "%.*s", (int)(cast - rest), rest);
			behind = key;
		}
	}
	snprintf(a->context, sizeof a->context, "RelationshipDefinitions");
	for (int i = 0; i < s->count; i++)
		for (int k = 0; nav_at(s, &s->tables[i], k, &n); k++) {
			bool first = true;
			if (n.kind == NAV_MANY_TO_MANY) /* of two ends, that of entity1 */
				first = n.column < n.other;
			if ((n.kind == NAV_ONE && !many) ||
			    (n.kind == NAV_MANY_TO_MANY && !one && first))
				cJSON_AddItemToArray(list, metadata_relationship(&n));
		}
	below_list(a, list, behind, "SchemaName",
		   one	  ? "OneToManyRelationshipMetadata"
		   : many ? "ManyToManyRelationshipMetadata"
			  : "RelationshipMetadataBase");
}

static void global_option_sets(struct answer *a, const char *rest)
{
	struct store *s = &a->d->store;
	cJSON *list = cJSON_CreateArray();
	const cJSON *set;
	char plain[200];
	const char *cast = strstr(rest, "/Microsoft.Dynamics.CRM.OptionSetMetadata");

	snprintf(a->context, sizeof a->context, "GlobalOptionSetDefinitions");
	snprintf(plain, sizeof plain, "%.*s",
		 cast ? (int)(cast - rest) : (int)(strlen(rest) < 199 ? strlen(rest) : 199), rest);
	if (a->shape.filter) {
		query_fail(a->rep, "The query parameter $filter is not supported");
		cJSON_Delete(list);
		return;
	}
	cJSON_ArrayForEach(set, s->option_sets)
	    cJSON_AddItemToArray(list, metadata_global_option_set(s, set->string));
	below_list(a, list, plain, "Name", "OptionSetMetadataBase");
}

void api_definitions(struct dataverse *d, const char *path, const struct request *req,
		     struct reply *rep)
{
	struct answer a = {.d = d, .req = req, .rep = rep};
	size_t n = strcspn(path, "(/");

	snprintf(rep->route, sizeof rep->route, "%.*s", (int)(n < 60 ? n : 60), path);
	if (strcmp(req->method, "GET")) {
		tables_change(d, path, req, rep);
		return;
	}
	if (shape_read(&a.shape, req, rep)) {
		if (*path == 'E')
			entities(&a, path + n);
		else if (*path == 'R')
			all_relationships(&a, path + n);
		else
			global_option_sets(&a, path + n);
	}
	shape_free(&a.shape);
}
