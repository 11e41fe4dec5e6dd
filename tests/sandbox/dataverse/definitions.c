/* definitions.c - EntityDefinitions: what a table file says, in the shape of the metadata API.
 * Facts: "query schema definitions using the Web API". */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is name in a comma-separated list?  A list that was not given holds everything. */
static bool wanted(const char *list, const char *name)
{
	size_t n = strlen(name);

	if (!list)
		return true;
	for (const char *s = list; s && *s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
		if (!strncmp(s, name, n) && (!s[n] || s[n] == ','))
			return true;
	return false;
}

static void add_text(cJSON *o, const char *select, const char *name, const char *value)
{
	if (wanted(select, name))
		cJSON_AddStringToObject(o, name, value ? value : "");
}

static void add_flag(cJSON *o, const char *select, const char *name, bool value)
{
	if (wanted(select, name))
		cJSON_AddBoolToObject(o, name, value);
}

static cJSON *label(const char *text)
{
	cJSON *o = cJSON_CreateObject(), *one = cJSON_CreateObject(),
	      *list = cJSON_AddArrayToObject(o, "LocalizedLabels");
	cJSON_AddStringToObject(one, "Label", text);
	cJSON_AddNumberToObject(one, "LanguageCode", 1033);
	cJSON_AddBoolToObject(one, "IsManaged", true);
	cJSON_AddItemToArray(list, cJSON_Duplicate(one, true));
	cJSON_AddItemToObject(o, "UserLocalizedLabel", one);
	return o;
}

static cJSON *option_set(const struct column *c)
{
	cJSON *set = cJSON_CreateObject(), *options = cJSON_AddArrayToObject(set, "Options");
	const cJSON *v;

	cJSON_ArrayForEach(v, c->options)
	{
		cJSON *o = cJSON_CreateObject();
		cJSON_AddNumberToObject(o, "Value", strtod(v->string, NULL));
		cJSON_AddItemToObject(o, "Label", label(v->valuestring));
		cJSON_AddNullToObject(o, "Color");
		cJSON_AddBoolToObject(o, "IsManaged", true);
		cJSON_AddItemToArray(options, o);
	}
	cJSON_AddBoolToObject(set, "IsGlobal", false);
	cJSON_AddStringToObject(set, "Name", c->name);
	cJSON_AddStringToObject(set, "OptionSetType", c->type_name);
	return set;
}

static cJSON *managed(const char *value)
{
	cJSON *o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "Value", value);
	return o;
}

/* cast NULL: the members that every attribute has. */
static cJSON *attribute(const struct column *c, const char *select, const char *expand,
			const char *cast)
{
	cJSON *o = cJSON_CreateObject();
	char type_name[64];

	snprintf(type_name, sizeof type_name, "%sType", c->type_name);
	add_text(o, select, "LogicalName", c->name);
	add_text(o, select, "SchemaName", c->name);
	add_text(o, select, "AttributeType", c->type_name);
	if (wanted(select, "AttributeTypeName"))
		cJSON_AddItemToObject(o, "AttributeTypeName", managed(type_name));
	add_flag(o, select, "IsValidForRead", true);
	add_flag(o, select, "IsValidForCreate", !c->read_only);
	add_flag(o, select, "IsValidForUpdate", !c->read_only);
	if (wanted(select, "RequiredLevel"))
		cJSON_AddItemToObject(o, "RequiredLevel", managed("None"));
	cJSON_AddStringToObject(o, "MetadataId", "00000000-0000-4000-8000-000000000000");
	if (!cast)
		return o;
	if (c->max_length && wanted(select, "MaxLength"))
		cJSON_AddNumberToObject(o, "MaxLength", c->max_length);
	if ((c->type == T_MONEY || c->type == T_DECIMAL) && wanted(select, "Precision"))
		cJSON_AddNumberToObject(o, "Precision", c->precision);
	if (c->type == T_DATE || c->type == T_DATETIME) {
		add_text(o, select, "Format", c->type == T_DATE ? "DateOnly" : "DateAndTime");
		if (wanted(select, "DateTimeBehavior"))
			cJSON_AddItemToObject(
			    o, "DateTimeBehavior",
			    managed(c->type == T_DATE ? "DateOnly" : "UserLocal"));
	}
	if (c->type == T_LOOKUP && wanted(select, "Targets")) {
		cJSON *list = cJSON_AddArrayToObject(o, "Targets");
		const cJSON *t;
		cJSON_ArrayForEach(t, c->targets)
		    cJSON_AddItemToArray(list, cJSON_CreateString(t->string));
	}
	if (expand && strstr(expand, "OptionSet") && c->options)
		cJSON_AddItemToObject(o, "OptionSet", option_set(c));
	if (expand && strstr(expand, "GlobalOptionSet"))
		cJSON_AddNullToObject(o, "GlobalOptionSet");
	return o;
}

static cJSON *attributes(const struct table *t, const char *select, const char *expand,
			 const char *cast)
{
	cJSON *list = cJSON_CreateArray();

	for (int i = 0; i < t->count; i++)
		if (!cast || !strcmp(t->columns[i].type_name, cast))
			cJSON_AddItemToArray(list, attribute(&t->columns[i], select, expand, cast));
	return list;
}

/* "Attributes($select=a,b),Keys($select=c)": the select list inside one of them, malloc'ed. */
static char *inner_select(const char *expand, const char *name)
{
	const char *at = expand ? strstr(expand, name) : NULL, *open, *end;

	if (!at || at[strlen(name)] != '(')
		return NULL;
	open = strstr(at, "$select=");
	end = strchr(at, ')');
	return open && end && open < end ? strndup(open + 8, (size_t)(end - open - 8)) : NULL;
}

static cJSON *definition(const struct table *t, const char *select, const char *expand)
{
	cJSON *o = cJSON_CreateObject(), *tracking = cJSON_CreateObject();
	bool custom = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->json, "custom"));

	add_text(o, select, "LogicalName", t->name);
	add_text(o, select, "SchemaName", t->schema_name);
	add_text(o, select, "EntitySetName", t->set);
	add_text(o, select, "LogicalCollectionName", t->set);
	add_text(o, select, "PrimaryIdAttribute", t->id);
	add_text(o, select, "PrimaryNameAttribute", t->primary_name);
	add_flag(o, select, "IsActivity",
		 cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->json, "isActivity")));
	add_flag(o, select, "IsIntersect", false);
	add_flag(o, select, "IsCustomEntity", custom);
	add_flag(o, select, "ChangeTrackingEnabled", t->tracking);
	add_text(o, select, "OwnershipType", "UserOwned");
	add_text(o, select, "TableType", "Standard");
	cJSON_AddBoolToObject(tracking, "Value", true);
	cJSON_AddBoolToObject(tracking, "CanBeChanged", true);
	cJSON_AddStringToObject(tracking, "ManagedPropertyLogicalName",
				"canchangetrackingbeenabled");
	if (wanted(select, "CanChangeTrackingBeEnabled"))
		cJSON_AddItemToObject(o, "CanChangeTrackingBeEnabled", tracking);
	else
		cJSON_Delete(tracking);
	cJSON_AddStringToObject(o, "MetadataId", "00000000-0000-4000-8000-000000000000");
	if (expand && strstr(expand, "Attributes")) {
		char *inner = inner_select(expand, "Attributes");
		cJSON_AddItemToObject(o, "Attributes", attributes(t, inner, NULL, NULL));
		free(inner);
	}
	if (expand && strstr(expand, "Keys"))
		cJSON_AddItemToObject(o, "Keys", cJSON_CreateArray());
	return o;
}

static cJSON *many_to_one(const struct table *t, const char *select)
{
	cJSON *list = cJSON_CreateArray();
	const cJSON *target;

	for (int i = 0; i < t->count; i++)
		cJSON_ArrayForEach(target, t->columns[i].targets)
		{
			cJSON *o = cJSON_CreateObject();
			char schema[200];
			snprintf(schema, sizeof schema, "%s_%s_%s", target->string, t->name,
				 t->columns[i].name);
			add_text(o, select, "SchemaName", schema);
			add_text(o, select, "ReferencingEntity", t->name);
			add_text(o, select, "ReferencingAttribute", t->columns[i].name);
			add_text(o, select, "ReferencedEntity", target->string);
			add_text(o, select, "ReferencingEntityNavigationPropertyName",
				 target->valuestring);
			cJSON_AddStringToObject(o, "MetadataId",
						"00000000-0000-4000-8000-000000000000");
			cJSON_AddItemToArray(list, o);
		}
	return list;
}

static void reply_list(struct reply *rep, const struct request *req, cJSON *list)
{
	cJSON *o = cJSON_CreateObject();
	char root[400], context[500];

	api_root(req, root, sizeof root);
	snprintf(context, sizeof context, "%s/$metadata#EntityDefinitions", root);
	cJSON_AddStringToObject(o, "@odata.context", context);
	cJSON_AddItemToObject(o, "value", list);
	api_headers(rep);
	reply_json(rep, 200, o);
}

/* Options beyond these are refused, not ignored. */
static bool options_known(const struct request *req, struct reply *rep)
{
	const char *at = req->query;
	while (*at) {
		size_t n = strcspn(at, "&"), e = strcspn(at, "=");
		if (strncmp(at, "$select", e) && strncmp(at, "$expand", e) &&
		    strncmp(at, "$filter", e) && strncmp(at, "%24", 3)) {
			char name[80];
			snprintf(name, sizeof name, "%.*s", (int)(e < 70 ? e : 70), at);
			api_not_implemented(rep, name);
			return false;
		}
		at += n + (at[n] == '&');
	}
	return true;
}

static void one(struct table *t, const char *rest, const struct request *req, struct reply *rep,
		const char *select, const char *expand)
{
	static const char prefix[] = "/Attributes/Microsoft.Dynamics.CRM.";

	if (!*rest) {
		api_headers(rep);
		reply_json(rep, 200, definition(t, select, expand));
	} else if (!strcmp(rest, "/Attributes")) {
		reply_list(rep, req, attributes(t, select, NULL, NULL));
	} else if (!strncmp(rest, prefix, sizeof prefix - 1)) {
		char cast[64];
		snprintf(cast, sizeof cast, "%s", rest + sizeof prefix - 1);
		char *end = strstr(cast, "AttributeMetadata");
		if (!end || end[17]) {
			api_error(rep, 404, E_QUERY, "Resource not found for the segment '%s'.",
				  cast);
			return;
		}
		*end = 0;
		reply_list(rep, req, attributes(t, select, expand, cast));
	} else if (!strcmp(rest, "/ManyToOneRelationships")) {
		reply_list(rep, req, many_to_one(t, select));
	} else {
		api_not_implemented(rep, rest);
	}
}

void api_definitions(struct dataverse *d, const char *rest, const struct request *req,
		     struct reply *rep)
{
	char *select = query_get(req, "$select"), *expand = query_get(req, "$expand");
	char *filter = query_get(req, "$filter"), name[100];

	snprintf(rep->route, sizeof rep->route, "EntityDefinitions");
	if (!options_known(req, rep)) {
		/* said */
	} else if (sscanf(rest, "(LogicalName='%99[^']')", name) == 1 && strchr(rest, ')')) {
		struct table *t = store_table(&d->store, name);
		if (t)
			one(t, strchr(rest, ')') + 1, req, rep, select, expand);
		else
			api_error(rep, 404, E_NOT_FOUND, "Could not find an entity with name %s",
				  name);
	} else if (!*rest) {
		cJSON *list = cJSON_CreateArray();
		bool only = filter && sscanf(filter, "LogicalName eq '%99[^']'", name) == 1;
		if (filter && !only) {
			api_not_implemented(rep,
					    "$filter on EntityDefinitions beyond LogicalName eq");
			cJSON_Delete(list);
		} else {
			for (int i = 0; i < d->store.count; i++)
				if (!only || !strcmp(d->store.tables[i].name, name))
					cJSON_AddItemToArray(
					    list, definition(&d->store.tables[i], select, expand));
			reply_list(rep, req, list);
		}
	} else {
		api_not_implemented(rep, rest);
	}
	free(select);
	free(expand);
	free(filter);
}
