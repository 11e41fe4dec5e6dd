/* privilege.c - what was taken away from the user.  He may do everything until --deny or POST
 * /_sandbox/privileges {"deny": ["prvCreateContact", ..]} says otherwise; a name is prv, the action
 * and the schema name of the table, as in the product ("Security role and privilege reference").
 */
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

bool privilege(struct dataverse *d, const struct table *t, const char *action, struct reply *rep)
{
	char name[100], id[37];
	struct rng r = {0};

	snprintf(name, sizeof name, "prv%s%s", action, t->schema_name ? t->schema_name : t->name);
	for (int i = 0; i < d->denied_count; i++) {
		if (strcasecmp(d->denied[i], name))
			continue;
		for (const char *c = name; *c; c++)
			r.state = r.state * 31 + (unsigned char)*c;
		rng_guid(&r, id);
		api_error(rep, 403, E_PRIVILEGE,
			  "Principal user (Id=%s, type=8) is missing %s privilege (Id=%s)", d->user,
			  name, id);
		return false;
	}
	return true;
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
