/* tideway install dataverse - what the timeline needs in Dynamics, made where it is not there.
 *
 * The activity tables of the flows of events with their columns, change tracking on the tables of
 * the other flows, and then whether the application user may do what the stages do.  What is there
 * is left alone and checked column by column: the tables of an existing solution do as well.
 *
 * Facts: "Create and update table definitions using the Web API", "Create and update column
 * definitions", "Custom activities" (IsActivity, HasNotes, HasActivities false; the primary column
 * is the subject), "Publish customizations". */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "command.h"
#include "dataverse.h"
#include "json.h"
#include "privileges.h"

#define CRM "Microsoft.Dynamics.CRM."

enum { TEXT_LENGTH = 255, URL_LENGTH = 2000, LANGUAGE = 1033 };

struct installer {
	const struct config *c;
	struct http *http;
	struct dataverse dataverse;
	bool dry_run;
	int made, wrong;
};

/* ---- requests --------------------------------------------------------------------------------- */

/* Sends a change, or with --dry-run shows it. */
static enum result change(struct installer *x, const char *method, const char *path, cJSON *body,
			  struct error *err)
{
	_cleanup_(freep) char *text = x->dry_run ? cJSON_Print(body) : cJSON_PrintUnformatted(body);
	_cleanup_(freep) char *url = xasprintf("%s/api/data/v9.2/%s", x->dataverse.url, path);
	struct http_response res = {0};
	struct http_request req = {.method = method,
				   .url = url,
				   .body = text,
				   .body_len = strlen(text),
				   .max_response_bytes = DATAVERSE_ANSWER_MAX_BYTES,
				   .timeout_ms = DATAVERSE_TIMEOUT_MS};

	x->made++;
	if (x->dry_run) {
		printf("%s %s\n%s\n\n", method, url, text);
		return OK;
	}
	enum result r = oauth_ensure(&x->dataverse.oauth, x->http, mono_now(), err);
	if (r != OK)
		return r;
	size_t n = dataverse_headers(&x->dataverse, NULL, req.headers);
	req.headers[n++] = "Content-Type: application/json; charset=utf-8";
	req.headers[n] = "MSCRM.MergeLabels: true";
	r = http_call(x->http, &req, &res, err);
	if (r == OK)
		r = dataverse_answer(&res, mono_now(), err);
	if (r != OK)
		error_prefix(err, "%s %s", method, path);
	http_response_free(&res);
	return r;
}

static enum result ask(struct installer *x, const char *path, cJSON **json, struct error *err)
{
	_cleanup_(freep) char *url = xasprintf("%s/api/data/v9.2/%s", x->dataverse.url, path);
	return dataverse_get(&x->dataverse, url, NULL, false, mono_now(), json, err);
}

/* ---- definitions ------------------------------------------------------------------------------ */

static void add_label(cJSON *to, const char *member, const char *text)
{
	cJSON *label = cJSON_AddObjectToObject(to, member), *list, *one;

	cJSON_AddStringToObject(label, "@odata.type", CRM "Label");
	list = cJSON_AddArrayToObject(label, "LocalizedLabels");
	one = cJSON_CreateObject();
	cJSON_AddStringToObject(one, "@odata.type", CRM "LocalizedLabel");
	cJSON_AddStringToObject(one, "Label", text);
	cJSON_AddNumberToObject(one, "LanguageCode", LANGUAGE);
	cJSON_AddItemToArray(list, one);
}

static void add_requirement(cJSON *to)
{
	cJSON *level = cJSON_AddObjectToObject(to, "RequiredLevel");
	cJSON_AddStringToObject(level, "Value", "None");
	cJSON_AddBoolToObject(level, "CanBeChanged", true);
	cJSON_AddStringToObject(level, "ManagedPropertyLogicalName",
				"canmodifyrequirementlevelsettings");
}

/* "adobe_emailsend" is the schema name, too: a logical name is its lower case. */
static cJSON *text_column(const char *name, const char *label, int length, bool url)
{
	cJSON *c = cJSON_CreateObject(), *format;

	cJSON_AddStringToObject(c, "@odata.type", CRM "StringAttributeMetadata");
	cJSON_AddStringToObject(c, "SchemaName", name);
	cJSON_AddNumberToObject(c, "MaxLength", length);
	format = cJSON_AddObjectToObject(c, "FormatName");
	cJSON_AddStringToObject(format, "Value", url ? "Url" : "Text");
	add_requirement(c);
	add_label(c, "DisplayName", label);
	return c;
}

static cJSON *time_column(const char *name, const char *label)
{
	cJSON *c = cJSON_CreateObject(), *behavior;

	cJSON_AddStringToObject(c, "@odata.type", CRM "DateTimeAttributeMetadata");
	cJSON_AddStringToObject(c, "SchemaName", name);
	cJSON_AddStringToObject(c, "Format", "DateAndTime");
	behavior = cJSON_AddObjectToObject(c, "DateTimeBehavior");
	cJSON_AddStringToObject(behavior, "Value", "UserLocal");
	add_requirement(c);
	add_label(c, "DisplayName", label);
	return c;
}

static cJSON *activity_column(const struct activity_config *a, int i)
{
	const char *name = i < 0 ? a->time : a->columns[i];
	bool url = i == ACTIVITY_TRACKING_URL || i == ACTIVITY_MIRROR_URL;

	if (!name)
		return NULL;
	if (i < 0)
		return time_column(name, "Date");
	char label[60];
	snprintf(label, sizeof label, "%s", activity_text_names[i]);
	for (char *c = label; *c; c++)
		*c = *c == '_' ? ' ' : c == label ? (char)toupper((unsigned char)*c) : *c;
	return text_column(name, label, url ? URL_LENGTH : TEXT_LENGTH, url);
}

static cJSON *activity_table(const struct activity_config *a, enum event_kind kind)
{
	static const char *const labels[] = {
	    "Adobe Campaign Email Send", "Adobe Campaign Email Open",
	    "Adobe Campaign Email URL Click", "Adobe Campaign Email Bounce"};
	cJSON *t = cJSON_CreateObject(), *list, *subject;
	char plural[80];

	snprintf(plural, sizeof plural, "%ss", labels[kind]);
	cJSON_AddStringToObject(t, "@odata.type", CRM "EntityMetadata");
	cJSON_AddStringToObject(t, "SchemaName", a->table);
	add_label(t, "DisplayName", labels[kind]);
	add_label(t, "DisplayCollectionName", plural);
	cJSON_AddStringToObject(t, "OwnershipType", "UserOwned");
	cJSON_AddBoolToObject(t, "IsActivity", true);
	cJSON_AddBoolToObject(t, "HasActivities", false);
	cJSON_AddBoolToObject(t, "HasNotes", true);
	list = cJSON_AddArrayToObject(t, "Attributes");
	subject = text_column("Subject", "Subject", 400, false);
	cJSON_AddBoolToObject(subject, "IsPrimaryName", true);
	cJSON_AddItemToArray(list, subject);
	for (int i = -1; i < ACTIVITY_TEXTS; i++) {
		cJSON *c = activity_column(a, i);
		if (c)
			cJSON_AddItemToArray(list, c);
	}
	return t;
}

/* ---- tables ----------------------------------------------------------------------------------- */

/* A column is there and can hold what is written into it. */
static void check_column(struct installer *x, const struct table *t, const char *name, int i)
{
	const struct column *c = table_column(t, name);
	bool good = i < 0 ? c->type == COLUMN_DATETIME : c->type == COLUMN_STRING;

	if (good)
		return;
	fprintf(stderr, "%s.%s is %s, and must be a %s: name another column in the flow\n", t->name,
		name, column_type_name(c->type), i < 0 ? "date and time" : "text");
	x->wrong++;
}

static enum result complete_table(struct installer *x, const struct activity_config *a,
				  const struct table *t, struct error *err)
{
	_cleanup_(freep) char *path =
	    xasprintf("EntityDefinitions(LogicalName='%s')/Attributes", a->table);
	enum result r = OK;

	if (!table_column(t, "regardingobjectid") || !table_column(t, "activityid")) {
		fprintf(stderr, "%s is no activity table: it cannot be on a timeline\n", a->table);
		x->wrong++;
		return OK;
	}
	for (int i = -1; r == OK && i < ACTIVITY_TEXTS; i++) {
		const char *name = i < 0 ? a->time : a->columns[i];
		if (name && table_column(t, name)) {
			check_column(x, t, name, i);
		} else if (name) {
			cJSON *c = activity_column(a, i);
			r = change(x, "POST", path, c, err);
			cJSON_Delete(c);
			if (r == OK && !x->dry_run)
				printf("%s.%s is made\n", a->table, name);
		}
	}
	return r;
}

static enum result find_table(struct installer *x, const char *name, struct table **out,
			      struct error *err)
{
	enum result r = dataverse_table(&x->dataverse, name, mono_now(), out, err);

	/* Not there: what every other mistake about configuration is not. */
	if (r == FATAL && (!strcmp(err->reason, "not-found") || !strcmp(err->reason, "http-404")))
		return OK;
	return r;
}

static enum result install_activity(struct installer *x, const struct activity_config *a,
				    enum event_kind kind, struct error *err)
{
	struct table *t = NULL;
	enum result r = find_table(x, a->table, &t, err);

	if (r != OK)
		return r;
	int before = x->made + x->wrong;
	if (t) {
		r = complete_table(x, a, t, err);
		if (r == OK && x->made + x->wrong == before)
			printf("%s is there, with every column\n", a->table);
	} else {
		cJSON *body = activity_table(a, kind);
		r = change(x, "POST", "EntityDefinitions", body, err);
		cJSON_Delete(body);
		if (r == OK && !x->dry_run)
			printf("%s is made\n", a->table);
	}
	table_free(t);
	return r;
}

/* Definitions are changed by PUT of the whole. */
static enum result track_changes(struct installer *x, const char *name, struct error *err)
{
	_cleanup_(freep) char *path = xasprintf("EntityDefinitions(LogicalName='%s')", name);
	cJSON *json;
	enum result r = ask(x, path, &json, err);

	if (r != OK)
		return r;
	if (json_is_true(json, "ChangeTrackingEnabled")) {
		printf("%s has change tracking\n", name);
	} else {
		cJSON_ReplaceItemInObjectCaseSensitive(json, "ChangeTrackingEnabled",
						       cJSON_CreateTrue());
		cJSON_DeleteItemFromObjectCaseSensitive(json, "@odata.context");
		r = change(x, "PUT", path, json, err);
		if (r == OK && !x->dry_run)
			printf("%s has change tracking now\n", name);
	}
	cJSON_Delete(json);
	return r;
}

/* ---- privileges ------------------------------------------------------------------------------- */

/* Reading is tried, because nothing else tells for sure what a role's depth amounts to. Writing is
 * not tried, because it would leave a row: privileges.c asks. */
static enum result may_read(struct installer *x, const char *table, struct error *err)
{
	struct table *t = NULL;
	cJSON *json = NULL;
	enum result r = find_table(x, table, &t, err);

	if (r != OK || !t)
		return r;
	_cleanup_(freep) char *path =
	    xasprintf("%s?$select=%s&$top=1", t->entity_set, t->primary_id);
	r = ask(x, path, &json, err);
	if (r == FATAL && !strcmp(err->reason, "http-403")) {
		fprintf(stderr, "%s cannot be read: %s\n", table, err->text);
		x->wrong++;
		r = OK;
	}
	cJSON_Delete(json);
	table_free(t);
	return r;
}

static enum result try_reading(struct installer *x, const struct flow *only, struct error *err)
{
	enum result r = may_read(x, "contact", err);

	for (size_t i = 0; r == OK && i < x->c->flow_count; i++) {
		const struct flow *f = &x->c->flows[i];
		if (only && only != f)
			continue;
		if (f->kind != FLOW_EMAIL_EVENTS)
			r = may_read(x, f->table, err);
		for (int k = 0; r == OK && f->kind == FLOW_EMAIL_EVENTS && k < EVENT_KINDS; k++)
			if (f->activities[k].on)
				r = may_read(x, f->activities[k].table, err);
	}
	return r;
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum result install_flow(struct installer *x, const struct flow *f, struct error *err)
{
	enum result r = OK;

	if (f->kind != FLOW_EMAIL_EVENTS)
		return f->changes == CHANGES_TRACKING ? track_changes(x, f->table, err) : OK;
	for (int k = 0; r == OK && k < EVENT_KINDS; k++)
		if (f->activities[k].on)
			r = install_activity(x, &f->activities[k], (enum event_kind)k, err);
	return r;
}

static enum result install(struct installer *x, const struct flow *only, struct error *err)
{
	const struct connection *d = &x->c->dataverse;
	enum result r = OK;

	x->http = http_new("tideway/" TIDEWAY_VERSION, NULL);
	dataverse_init(&x->dataverse, x->http, d->url, d->credentials.token_url,
		       d->credentials.client_id, d->credentials.client_secret,
		       d->credentials.scope);
	for (size_t i = 0; r == OK && i < x->c->flow_count; i++)
		if (!only || only == &x->c->flows[i])
			r = install_flow(x, &x->c->flows[i], err);
	if (r == OK && x->made) {
		cJSON *none = cJSON_CreateObject();
		r = change(x, "POST", "PublishAllXml", none, err);
		x->made--;
		cJSON_Delete(none);
	}
	if (r == OK)
		r = try_reading(x, only, err);
	if (r == OK)
		r = privileges_check(&x->dataverse, x->c, only, &x->wrong, err);
	dataverse_free(&x->dataverse);
	http_free(x->http);
	return r;
}

int command_install(int argc, char **argv)
{
	struct installer x = {0};
	const char *flow_name = NULL;
	struct option_spec specs[] = {{.name = "dry-run",
				       .help = "show the requests, change nothing; default: not",
				       .flag = &x.dry_run},
				      {.name = "flow",
				       .arg = "NAME",
				       .help = "only what this flow needs; default: all",
				       .text = &flow_name},
				      {0}};
	struct command_line line = {
	    .name = "tideway install",
	    .arguments = "dataverse",
	    .synopsis =
		"Makes in Dynamics what the flows need and is not there: the activity tables of\n"
		"email events and their columns, change tracking on the tables that are read.\n"
		"What is there is left alone and checked, then the user's privileges. It needs a\n"
		"user who may customize; the stages do not. Exit status 1: there is a misfit.",
	    .specs = specs};
	const struct flow *flow;
	struct error err = {0};
	int status = EXIT_OK;

	if (!command_parse(&line, argc, argv, &status))
		return status;
	if (line.operand_count != 1 || strcmp(line.operands[0], "dataverse")) {
		fprintf(stderr, "tideway install: say `tideway install dataverse`\n");
		return EXIT_PERMANENT;
	}
	struct config *c = command_config(&line, CONFIG_CONNECTS, &status);
	if (!c)
		return status;
	x.c = c;
	if (command_flow(c, flow_name, &flow, &status)) {
		if (install(&x, flow, &err) != OK)
			status = command_fail(&err);
		else if (x.wrong)
			status = 1;
		if (status != EXIT_PERMANENT && x.made && !x.dry_run)
			printf("run `tideway metadata pull` now\n");
	}
	config_free(c);
	return status;
}
