/* functions.c - unbound functions and actions.  Facts: "use Web API functions", "count rows",
 * "create and update table definitions" (publishing). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query.h"
#include "write.h"

/* Parameters stand in the parentheses or, as an alias, in the query: EntityNames=@p1 */
static cJSON *parameter(const char *path, const struct request *req, const char *name)
{
	const char *open = strchr(path, '('), *at = open ? strstr(open, name) : NULL;
	char alias[80];
	cJSON *json;

	if (!at || at[strlen(name)] != '=')
		return NULL;
	at += strlen(name) + 1;
	if (*at != '@') {
		size_t n = strcspn(at, ")");
		char *literal = strndup(at, n);
		json = cJSON_Parse(literal);
		free(literal);
		return json;
	}
	snprintf(alias, sizeof alias, "%.*s", (int)(strcspn(at, "),") % 79), at);
	char *value = query_get(req, alias);
	json = value ? cJSON_Parse(value) : NULL;
	free(value);
	return json;
}

/* The product's is a snapshot up to a day old; this one is exact. */
static void total_record_count(struct dataverse *d, const char *path, const struct request *req,
			       struct reply *rep)
{
	cJSON *names = parameter(path, req, "EntityNames"), *name;
	cJSON *o = cJSON_CreateObject(), *c, *keys, *values;
	char root[400], context[500];

	api_root(req, root, sizeof root);
	snprintf(context, sizeof context,
		 "%s/$metadata#Microsoft.Dynamics.CRM.RetrieveTotalRecordCountResponse", root);
	cJSON_AddStringToObject(o, "@odata.context", context);
	c = cJSON_AddObjectToObject(o, "EntityRecordCountCollection");
	cJSON_AddNumberToObject(c, "Count", cJSON_GetArraySize(names));
	cJSON_AddBoolToObject(c, "IsReadOnly", false);
	keys = cJSON_AddArrayToObject(c, "Keys");
	values = cJSON_AddArrayToObject(c, "Values");
	if (!cJSON_IsArray(names))
		query_fail(rep, "RetrieveTotalRecordCount wants EntityNames, [\"contact\"].");
	cJSON_ArrayForEach(name, names)
	{
		const char *s = cJSON_GetStringValue(name);
		struct table *t = s ? store_table(&d->store, s) : NULL;
		if (!t && !rep->status)
			query_fail(rep, "There is no entity '%.100s'.", s ? s : "");
		if (!t)
			continue;
		cJSON_AddItemToArray(keys, cJSON_CreateString(s));
		cJSON_AddItemToArray(values, cJSON_CreateNumber((double)store_count(&d->store, t)));
	}
	cJSON_Delete(names);
	if (rep->status) {
		cJSON_Delete(o);
		return;
	}
	api_headers(rep);
	reply_json(rep, 200, o);
}

/* Documented ones that a client may well ask for; any other name is a segment that does not exist. */
static bool is_documented(const char *path, size_t n)
{
	static const char *const names[] = {"BulkDelete",
					    "BulkDetectDuplicates",
					    "CommitFileBlocksUpload",
					    "CreateCustomerRelationships",
					    "CreatePolymorphicLookupAttribute",
					    "DeleteFile",
					    "DeleteOptionValue",
					    "DownloadBlock",
					    "ExecuteWorkflow",
					    "ExportSolution",
					    "FormatAddress",
					    "GetTimeZoneCodeByLocalizedName",
					    "GetValidManyToMany",
					    "GetValidReferencedEntities",
					    "GetValidReferencingEntities",
					    "ImportSolution",
					    "InitializeFileBlocksDownload",
					    "InitializeFileBlocksUpload",
					    "InitializeFrom",
					    "InsertOptionValue",
					    "InsertStatusValue",
					    "OrderOption",
					    "RetrieveCurrentOrganization",
					    "RetrieveDuplicates",
					    "RetrieveMetadataChanges",
					    "RetrievePrincipalAccess",
					    "RetrieveProvisionedLanguages",
					    "RetrieveUserPrivileges",
					    "RetrieveVersion",
					    "UpdateOptionValue",
					    "UpdateStateValue",
					    "UploadBlock"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == n && !strncmp(path, names[i], n))
			return true;
	return false;
}

/* A bound function: systemusers(ID)/Microsoft.Dynamics.CRM.RetrieveUserPrivileges, with () or not. */
static bool of_a_user(struct dataverse *d, const char *path, const struct request *req,
		      struct reply *rep)
{
	static const char set[] = "systemusers(",
			  name[] = ")/Microsoft.Dynamics.CRM.RetrieveUserPrivileges";
	static const char *const none[] = {NULL};
	const char *rest = path + sizeof set - 1;
	char id[37];

	if (strncmp(path, set, sizeof set - 1) || strlen(rest) < 36 ||
	    strncmp(rest + 36, name, sizeof name - 1))
		return false;
	const char *end = rest + 36 + sizeof name - 1;
	if ((*end && strcmp(end, "()")) || strcmp(req->method, "GET"))
		return false;
	snprintf(id, sizeof id, "%.36s", rest);
	snprintf(rep->route, sizeof rep->route, "RetrieveUserPrivileges");
	if (query_only(req, none, rep))
		privilege_function(d, id, req, rep);
	return true;
}

bool api_function(struct dataverse *d, const char *path, const struct request *req,
		  struct reply *rep)
{
	static const char *const aliases[] = {"@", NULL};
	size_t n = strcspn(path, "(/");
	bool get = !strcmp(req->method, "GET"), post = !strcmp(req->method, "POST");

	if (of_a_user(d, path, req, rep))
		return true;
	if (n == 24 && !strncmp(path, "RetrieveTotalRecordCount", n)) {
		if (get && query_only(req, aliases, rep))
			total_record_count(d, path, req, rep);
	} else if ((n == 13 && !strncmp(path, "PublishAllXml", n)) ||
		   (n == 10 && !strncmp(path, "PublishXml", n))) {
		/* what was changed is in use already; the metadata version moved then */
		cJSON *body = n == 10 ? cJSON_Parse(req->body) : NULL;
		bool good = n == 13 ||
			    cJSON_IsString(cJSON_GetObjectItemCaseSensitive(body, "ParameterXml"));
		cJSON_Delete(body);
		if (post && !query_only(req, aliases + 1, rep))
			; /* answered */
		else if (post && !good)
			query_fail(rep, "PublishXml wants a ParameterXml.");
		else if (post) {
			reply_header(rep, "OData-Version", "4.0");
			rep->status = 204;
		}
	} else if (is_documented(path, n)) {
		char name[60];
		snprintf(name, sizeof name, "%.*s", (int)n, path);
		api_not_implemented(rep, name);
	} else {
		return false;
	}
	snprintf(rep->route, sizeof rep->route, "%.*s", (int)n, path);
	if (!rep->status)
		api_error(rep, 405, E_QUERY,
			  "The requested resource does not support http method '%s'.", req->method);
	return true;
}
