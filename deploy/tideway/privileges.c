/* privileges.c - see privileges.h.
 *
 * What a user holds, through roles and teams, the function RetrieveUserPrivileges tells; what a
 * table's privileges are called, its definition: an activity has those of all activities.  Nothing
 * is written in order to find out.
 *
 * Facts: "RetrieveUserPrivileges function", "RolePrivilege", "SecurityPrivilegeMetadata" (Web API
 * reference); "Security role and privilege reference" (Append on the row that points, AppendTo on
 * the one that it points to); "Use change tracking" (read on the level of the organization);
 * "Bypass custom Dataverse logic" (prvBypassCustomBusinessLogic). */
#include "privileges.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "json.h"

struct holder {
	struct dataverse *d;
	const cJSON *held; /* RolePrivileges */
	int *wrong;
};

static enum result ask(struct dataverse *d, const char *path, cJSON **json, struct error *err)
{
	_cleanup_(freep) char *url = xasprintf("%s/api/data/v9.2/%s", d->url, path);
	return dataverse_get(d, url, NULL, false, mono_now(), json, err);
}

/* The depth at which the user holds it, or NULL. */
static const char *depth_of(const struct holder *h, const char *member, const char *value)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, h->held)
	{
		const char *is = json_string(one, member), *depth = json_string(one, "Depth");
		if (is && !strcmp(is, value))
			return depth ? depth : "";
	}
	return NULL;
}

static void judge(const struct holder *h, const char *table, const cJSON *privilege,
		  bool everybodys)
{
	const char *id = json_string(privilege, "PrivilegeId");
	const char *name = json_string(privilege, "Name");
	const char *depth = id ? depth_of(h, "PrivilegeId", id) : NULL;

	if (!depth) {
		fprintf(stderr, "%s: the application user lacks %s\n", table, name ? name : "?");
		++*h->wrong;
	} else if (everybodys && strcmp(depth, "Global")) {
		fprintf(stderr,
			"%s: the application user has %s at the depth %s, and needs the whole "
			"organization's\n",
			table, name ? name : "?", *depth ? depth : "?");
		++*h->wrong;
	}
}

/* wanted: types of privileges, ended by NULL; everybodys: at rows of whatever owner. */
static enum result check_table(const struct holder *h, const char *table, const char *const *wanted,
			       bool everybodys, struct error *err)
{
	_cleanup_(freep) char *path =
	    xasprintf("EntityDefinitions(LogicalName='%s')?$select=LogicalName,Privileges", table);
	cJSON *json = NULL;
	const cJSON *one;
	enum result r = ask(h->d, path, &json, err);

	if (r == REJECT || (r == FATAL && !strcmp(err->reason, "http-404")))
		return OK; /* not there: install says so */
	for (size_t i = 0; r == OK && wanted[i]; i++)
		cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(json, "Privileges"))
		{
			const char *type = json_string(one, "PrivilegeType");
			if (type && !strcmp(type, wanted[i]))
				judge(h, table, one, everybodys);
		}
	cJSON_Delete(json);
	return r;
}

static void check_bypass(const struct holder *h, const struct flow *f)
{
	static const char name[] = "prvBypassCustomBusinessLogic";

	if (!f->bypass_logic || depth_of(h, "PrivilegeName", name))
		return;
	fprintf(stderr, "%s: bypass_logic needs %s, and the application user lacks it\n", f->name,
		name);
	++*h->wrong;
}

static enum result check_flow(const struct holder *h, const struct flow *f, struct error *err)
{
	static const char *const row[] = {"Create", "Read", "Write", "Append", NULL};
	static const char *const contact[] = {"Read", "AppendTo", NULL};
	static const char *const read[] = {"Read", NULL};
	enum result r;

	if (f->kind != FLOW_EMAIL_EVENTS)
		return check_table(h, f->table, read, f->changes == CHANGES_TRACKING, err);
	r = check_table(h, "contact", contact, true, err);
	for (int k = 0; r == OK && k < EVENT_KINDS; k++)
		if (f->activities[k].on)
			r = check_table(h, f->activities[k].table, row, false, err);
	if (r == OK)
		check_bypass(h, f);
	return r;
}

enum result privileges_check(struct dataverse *d, const struct config *c, const struct flow *only,
			     int *wrong, struct error *err)
{
	cJSON *who = NULL, *held = NULL;
	int before = *wrong;
	enum result r = ask(d, "WhoAmI", &who, err);
	const char *user = r == OK ? json_string(who, "UserId") : NULL;

	if (user) {
		_cleanup_(freep) char *path = xasprintf(
		    "systemusers(%s)/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()", user);
		r = ask(d, path, &held, err);
	}
	struct holder h = {d, cJSON_GetObjectItemCaseSensitive(held, "RolePrivileges"), wrong};
	if (r == OK && !cJSON_IsArray(h.held))
		r = error_retry(err, "not-json", "dataverse tells no privileges of the user");
	for (size_t i = 0; r == OK && i < c->flow_count; i++)
		if (!only || only == &c->flows[i])
			r = check_flow(&h, &c->flows[i], err);
	if (r == OK && *wrong == before)
		printf("the application user may do what the flows need\n");
	cJSON_Delete(who);
	cJSON_Delete(held);
	return r;
}
