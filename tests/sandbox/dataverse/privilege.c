/* privilege.c - what was taken away from the user.  He may do everything until --deny or POST
 * /_sandbox/privileges {"deny": ["prvCreateContact", ..]} says otherwise; a name is prv, the action
 * and the schema name of the table, as in the product ("Security role and privilege reference"); all
 * activities share those of "Activity".  What he may, RetrieveUserPrivileges tells.
 */
#include "metadata.h"
#include "write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool privilege_deny(struct dataverse *d, const char *name)
{
	if (strncmp(name, "prv", 3) || strlen(name) >= sizeof *d->denied ||
	    d->denied_count == sizeof d->denied / sizeof *d->denied)
		return false;
	snprintf(d->denied[d->denied_count++], sizeof *d->denied, "%s", name);
	return true;
}

/* A privilege's number is made of its name. */
static void id_of(const char *name, char id[37])
{
	struct rng r = {0};

	for (const char *c = name; *c; c++)
		r.state = r.state * 31 + (unsigned char)*c;
	rng_guid(&r, id);
}

static void name_of(const struct table *t, const char *action, char name[100])
{
	const char *of = t->schema_name ? t->schema_name : t->name;

	/* "Custom activities": they have the privileges of activitypointer. */
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->json, "isActivity")) ||
	    !strcmp(t->name, "activitypointer"))
		of = "Activity";
	snprintf(name, 100, "prv%s%s", action, of);
}

static bool is_denied(const struct dataverse *d, const char *name)
{
	for (int i = 0; i < d->denied_count; i++)
		if (!strcasecmp(d->denied[i], name))
			return true;
	return false;
}

bool privilege(struct dataverse *d, const struct table *t, const char *action, struct reply *rep)
{
	char name[100], id[37];

	if (!d->denied_count)
		return true;
	name_of(t, action, name);
	if (!is_denied(d, name))
		return true;
	id_of(name, id);
	api_error(rep, 403, E_PRIVILEGE,
		  "Principal user (Id=%s, type=8) is missing %s privilege (Id=%s)", d->user, name,
		  id);
	return false;
}

static const char *const actions[] = {"Create", "Read",	 "Write",  "Delete",
				      "Assign", "Share", "Append", "AppendTo"};
enum { ACTIONS = sizeof actions / sizeof *actions };

/* SecurityPrivilegeMetadata of a table, for its definition. */
cJSON *privilege_metadata(const struct table *t)
{
	static const char *const depths[] = {"CanBeBasic", "CanBeLocal", "CanBeDeep",
					     "CanBeGlobal"};
	cJSON *list = cJSON_CreateArray();

	for (int i = 0; i < ACTIONS; i++) {
		cJSON *o = cJSON_CreateObject();
		char name[100], id[37];
		name_of(t, actions[i], name);
		id_of(name, id);
		for (int k = 0; k < 4; k++)
			cJSON_AddBoolToObject(o, depths[k], true);
		cJSON_AddBoolToObject(o, "CanBeEntityReference", false);
		cJSON_AddBoolToObject(o, "CanBeParentEntityReference", false);
		cJSON_AddBoolToObject(o, "CanBeRecordFilter", false);
		cJSON_AddStringToObject(o, "Name", name);
		cJSON_AddStringToObject(o, "PrivilegeId", id);
		cJSON_AddStringToObject(o, "PrivilegeType", actions[i]);
		cJSON_AddItemToArray(list, o);
	}
	return list;
}

static void add_held(const struct dataverse *d, cJSON *list, const char *name, const char *depth)
{
	const cJSON *one;
	char id[37];

	id_of(name, id);
	cJSON_ArrayForEach(one, list)
	{
		if (!strcmp(
			cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(one, "PrivilegeId")),
			id))
			return; /* activities share theirs */
	}
	if (is_denied(d, name))
		return;
	cJSON *o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "Depth", depth);
	cJSON_AddStringToObject(o, "PrivilegeId", id);
	cJSON_AddStringToObject(o, "BusinessUnitId", d->business_unit);
	cJSON_AddStringToObject(o, "PrivilegeName", name);
	cJSON_AddStringToObject(o, "RecordFilterId", "00000000-0000-0000-0000-000000000000");
	cJSON_AddStringToObject(o, "RecordFilterUniqueName", "");
	cJSON_AddItemToArray(list, o);
}

/* systemusers(ID)/Microsoft.Dynamics.CRM.RetrieveUserPrivileges() */
void privilege_function(struct dataverse *d, const char *user, const struct request *req,
			struct reply *rep)
{
	cJSON *o = cJSON_CreateObject(), *list;
	char root[400], context[500], name[100];

	if (strcasecmp(user, d->user)) {
		cJSON_Delete(o);
		api_not_implemented(rep, "RetrieveUserPrivileges of another user");
		return;
	}
	api_root(req, root, sizeof root);
	snprintf(context, sizeof context,
		 "%s/$metadata#Microsoft.Dynamics.CRM.RetrieveUserPrivilegesResponse", root);
	cJSON_AddStringToObject(o, "@odata.context", context);
	list = cJSON_AddArrayToObject(o, "RolePrivileges");
	for (int t = 0; t < d->store.count; t++)
		for (int i = 0; i < ACTIONS; i++) {
			bool own = d->store.tables[t].only_own_level && !strcmp(actions[i], "Read");
			name_of(&d->store.tables[t], actions[i], name);
			add_held(d, list, name, own ? "Local" : "Global");
		}
	add_held(d, list, "prvBypassCustomBusinessLogic", "Global");
	add_held(d, list, "prvBypassCustomPlugins", "Global");
	api_headers(rep);
	reply_json(rep, 200, o);
}

void privilege_control(struct dataverse *d, const struct request *req, struct reply *rep)
{
	cJSON *json = cJSON_Parse(req->body);
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "deny"), *name;
	bool good = cJSON_IsArray(list) && cJSON_GetArraySize(json) == 1;

	d->denied_count = 0;
	cJSON_ArrayForEach(name, list) good =
	    good && cJSON_IsString(name) && privilege_deny(d, name->valuestring);
	cJSON_Delete(json);
	if (good)
		rep->status = 204;
	else
		reply_text(rep, 400, "%s",
			   "wanted: {\"deny\": [\"prvCreateContact\", ..]}, at most 32 of them\n");
}
