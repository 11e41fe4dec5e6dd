/* dataverse.c - see dataverse.h. */
#include "dataverse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "arena.h"
#include "json.h"

#define API "/api/data/v9.2/"
#define ANNOTATIONS                                                                                \
	"odata.include-annotations=\"OData.Community.Display.V1.FormattedValue,"                   \
	"Microsoft.Dynamics.CRM.lookuplogicalname,"                                                \
	"Microsoft.Dynamics.CRM.globalmetadataversion\""

void dataverse_init(struct dataverse *d, struct http *h, const char *url, const char *token_url,
		    const char *client_id, const char *client_secret, const char *scope)
{
	*d = (struct dataverse){.http = h,
				.url = url,
				.oauth = {.token_url = token_url,
					  .client_id = client_id,
					  .client_secret = client_secret,
					  .scope = scope},
				.scratch = BUFFER(2 * (size_t)DATAVERSE_PAGE_MAX_BYTES)};
}

void dataverse_free(struct dataverse *d)
{
	oauth_free(&d->oauth);
	buffer_free(&d->scratch);
	arena_free(&d->page);
}

/* ---- answers ---------------------------------------------------------------------------------- */

struct code {
	const char *hex;
	enum result result; /* OK: by the status */
	const char *reason;
};

/* Codes whose meaning does not follow from the HTTP status, and those whose text is known: what it
 * quotes is taken out, and the rest may be shown.  Any other text (a plug-in's: 0x80040265) may hold
 * the values of a record. */
static const struct code codes[] = {
    {"0x80044352", RETRY, "expired-delta-token"},
    {"0x80072322", RETRY, "limit-requests"},
    {"0x80072321", RETRY, "limit-time"},
    {"0x80072326", RETRY, "limit-concurrency"},
    {"0x80044151", RETRY, "sql-timeout"},
    {"0x80044150", RETRY, "sql-deadlock"},
    {"0x80040217", REJECT, "not-found"},
    {"0x80060891", REJECT, "not-found"},
    {"0x80060890", OK, NULL},
    {"0x80060892", OK, NULL},
    {"0x80040237", OK, NULL},
    {"0x80040333", OK, NULL},
    {"0x80060882", OK, NULL},
    {"0x80044331", OK, NULL},
    {"0x80060888", OK, NULL},
    {"0x80048d19", OK, NULL},
    {"0x80040800", REJECT, DATAVERSE_NO_BULK},
    {"0x8004830f", OK, NULL},
    {"0x80048d0b", OK, NULL},
    {"0x80040220", OK, NULL},
};

static const struct code *find_code(const char *hex)
{
	for (size_t i = 0; hex && i < sizeof codes / sizeof *codes; i++)
		if (!strcasecmp(hex, codes[i].hex))
			return &codes[i];
	return NULL;
}

static enum result wait_for(const struct http_response *res, mono_time now, struct error *err)
{
	if (res->retry_after_ms >= 0)
		err->not_before = mono_add(now, res->retry_after_ms);
	return RETRY;
}

enum result dataverse_answer(const struct http_response *res, mono_time now, struct error *err)
{
	char message[300] = "", code[24] = "", reason[48];
	bool no_resource = false;

	if (res->status >= 200 && res->status < 300)
		return OK;
	if (!res->status)
		return error_retry(err, "no-response", "dataverse: %s", res->failure);
	cJSON *json = json_parse(res->body.data ? res->body.data : "", res->body.len);
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(json, "error");
	const char *text = json_string(error, "message"), *hex = json_string(error, "code");
	const struct code *known = find_code(hex);
	if (text)
		no_resource = strstr(text, "Resource not found for the segment") != NULL;
	if (text && (known || no_resource))
		redact(message, sizeof message, text, strlen(text));
	if (hex && strlen(hex) < 12 && !hex[strspn(hex, "0123456789abcdefABCDEFx")])
		snprintf(code, sizeof code, "%s", hex);
	cJSON_Delete(json);
	snprintf(reason, sizeof reason, "http-%d", res->status);
	if (known && known->result == RETRY) {
		error_retry(err, known->reason, "dataverse answers %d %s: %s", res->status, code,
			    message);
		return wait_for(res, now, err);
	}
	if (known && known->result == REJECT)
		return error_reject(err, known->reason, "dataverse answers %d %s: %s", res->status,
				    code, message);
	switch (res->status) {
	case 401:
		return error_retry(err, reason, "dataverse answers 401 %s: %s", code, message);
	case 403:
		return error_config(err, reason,
				    "dataverse answers 403 %s: %s; check the privileges of the "
				    "application user",
				    code, message);
	case 408:
	case 429:
		error_retry(err, reason, "dataverse answers %d %s: %s", res->status, code, message);
		return wait_for(res, now, err);
	case 404:
		if (no_resource)
			return error_config(err, reason, "dataverse answers 404: %s", message);
		return error_reject(err, reason, "dataverse answers 404 %s: %s", code, message);
	default:
		break;
	}
	if (res->status >= 500 && res->status != 501) {
		error_retry(err, reason, "dataverse answers %d %s: %s", res->status, code, message);
		return wait_for(res, now, err);
	}
	if (res->status == 501 || res->status < 400)
		return error_config(err, reason, "dataverse answers %d: %s", res->status, message);
	return error_reject(err, reason, "dataverse answers %d %s: %s", res->status, code, message);
}

/* ---- requests --------------------------------------------------------------------------------- */

size_t dataverse_headers(const struct dataverse *d, const char *prefer,
			 const char *headers[HTTP_HEADERS_MAX])
{
	size_t n = 0;
	headers[n++] = d->oauth.header;
	headers[n++] = "Accept: application/json";
	headers[n++] = "OData-MaxVersion: 4.0";
	headers[n++] = "OData-Version: 4.0";
	/* Literally: Microsoft's advice against stale answers from caches. */
	headers[n++] = "If-None-Match: null";
	if (prefer)
		headers[n++] = prefer;
	return n;
}

static bool is_json(const char *content_type)
{
	return !strncasecmp(content_type, "application/json", 16);
}

/* page: the tree is in d->page, else it is the caller's. */
static enum result get(struct dataverse *d, const char *url, const char *prefer, bool exact,
		       bool page, mono_time now, cJSON **json, struct error *err)
{
	struct http_response res = {0};
	struct http_request req = {
	    .method = "GET",
	    .url = url,
	    .max_response_bytes = DATAVERSE_PAGE_MAX_BYTES,
	    .timeout_ms = DATAVERSE_TIMEOUT_MS,
	};

	*json = NULL;
	enum result r = oauth_ensure(&d->oauth, d->http, now, err);
	if (r == RETRY &&
	    !strcmp(err->reason, "timed-out")) /* of a token, says nothing of a page */
		snprintf(err->reason, sizeof err->reason, "no-response");
	if (r != OK)
		return r;
	dataverse_headers(d, prefer, req.headers);
	r = http_call(d->http, &req, &res, err);
	if (r == OK && res.status == 401) { /* one new token, once */
		oauth_forget(&d->oauth, d->oauth.serial);
		r = oauth_ensure(&d->oauth, d->http, now, err);
		if (r == OK) {
			http_response_free(&res);
			dataverse_headers(d, prefer, req.headers);
			r = http_call(d->http, &req, &res, err);
		}
	}
	if (r == OK && res.dop_hint > 0)
		d->dop_hint = res.dop_hint;
	if (r == OK) /* Retry-After counts from the answer */
		r = dataverse_answer(&res, mono_now(), err);
	else if (r == RETRY && res.status == 0)
		error_prefix(err, "dataverse at %s", d->url);
	if (r == OK) {
		const char *text = res.body.data ? res.body.data : "";
		*json = !is_json(res.content_type) ? NULL
			: page	? json_parse_exact_in(&d->page, &d->scratch, text, res.body.len)
			: exact ? json_parse_exact(&d->scratch, text, res.body.len)
				: json_parse(text, res.body.len);
		if (!cJSON_IsObject(*json)) {
			if (!page)
				cJSON_Delete(*json);
			*json = NULL;
			r = error_retry(
			    err, "not-json",
			    "dataverse answers 200 without a JSON object (%s, %zu bytes)",
			    *res.content_type ? res.content_type : "no content type", res.body.len);
		}
	}
	http_response_free(&res);
	return r;
}

enum result dataverse_get(struct dataverse *d, const char *url, const char *prefer, bool exact,
			  mono_time now, cJSON **json, struct error *err)
{
	return get(d, url, prefer, exact, false, now, json, err);
}

/* A link leads to this environment when scheme, host and port are ours. */
static bool is_ours(const struct dataverse *d, const char *link)
{
	size_t n = strlen(d->url);
	return !strncasecmp(link, d->url, n) && link[n] == '/';
}

static bool has_other_than_text(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return item && !cJSON_IsString(item);
}

enum result dataverse_page(struct dataverse *d, const char *url, enum page_of of, int64_t page_size,
			   mono_time now, struct dataverse_page *page, struct error *err)
{
	char prefer[300];

	*page = (struct dataverse_page){0};
	snprintf(prefer, sizeof prefer, "Prefer: %sodata.maxpagesize=%lld," ANNOTATIONS,
		 of != PAGE_OF_ROWS ? "odata.track-changes," : "", (long long)page_size);
	arena_reset(&d->page);
	enum result r = get(d, url, prefer, true, true, now, &page->json, err);
	if (r != OK)
		return r;
	page->rows = cJSON_GetObjectItemCaseSensitive(page->json, "value");
	page->next = json_string(page->json, "@odata.nextLink");
	page->delta = json_string(page->json, "@odata.deltaLink");
	page->metadata_version =
	    json_string(page->json, "@Microsoft.Dynamics.CRM.globalmetadataversion");
	bool nothing = of == PAGE_OF_CHANGES && !page->json->child;
	if (has_other_than_text(page->json, "@odata.nextLink") ||
	    has_other_than_text(page->json, "@odata.deltaLink"))
		r = error_retry(err, "bad-page", "dataverse answers a link that is no text");
	else if (!cJSON_IsArray(page->rows) && !nothing)
		r = error_retry(err, "not-json", "dataverse answers 200 without \"value\"");
	else if ((page->next && !is_ours(d, page->next)) ||
		 (page->delta && !is_ours(d, page->delta)))
		r = error_config(err, "foreign-link",
				 "dataverse answers a link to another address than %s", d->url);
	if (r != OK)
		dataverse_page_free(d, page);
	return r;
}

void dataverse_page_free(struct dataverse *d, struct dataverse_page *page)
{
	arena_reset(&d->page);
	*page = (struct dataverse_page){0};
}

bool dataverse_is_delete(const cJSON *row, const char **id)
{
	const char *context = json_string(row, "@odata.context");
	const char *reason = json_string(row, "reason");

	if (!context || !reason || strcmp(reason, "deleted"))
		return false;
	*id = json_string(row, "id");
	return *id != NULL;
}

char *dataverse_select_url(const struct dataverse *d, const struct table *t,
			   const char *const *columns, size_t n)
{
	struct buffer url = BUFFER(64 * 1024);

	buffer_printf(&url, "%s" API "%s?$select=", d->url, t->entity_set);
	for (size_t i = 0; i < n; i++) {
		const struct column *c = table_column(t, columns[i]);
		_cleanup_(freep) char *property = c ? column_property(c) : NULL;
		buffer_printf(&url, "%s%s", i ? "," : "", property ? property : columns[i]);
	}
	return url.data;
}

enum result dataverse_whoami(struct dataverse *d, mono_time now, char organization[37],
			     struct error *err)
{
	_cleanup_(freep) char *url = xasprintf("%s" API "WhoAmI", d->url);
	cJSON *json;
	enum result r = dataverse_get(d, url, NULL, false, now, &json, err);

	if (r != OK)
		return r;
	const char *id = json_string(json, "OrganizationId");
	if (!id || !text_lower_guid(id, organization))
		r = error_retry(err, "not-json", "dataverse: WhoAmI has no OrganizationId");
	cJSON_Delete(json);
	return r;
}

enum result dataverse_ask(struct dataverse *d, const struct table *t, const char (*ids)[37],
			  size_t n, mono_time now, bool *there, struct error *err)
{
	struct buffer url = BUFFER(8192);
	const cJSON *row;
	cJSON *json;

	buffer_printf(&url, "%s" API "%s?$select=%s&$filter=", d->url, t->entity_set,
		      t->primary_id);
	for (size_t i = 0; i < n; i++) {
		there[i] = false;
		buffer_printf(&url, "%s%s%%20eq%%20%s", i ? "%20or%20" : "", t->primary_id, ids[i]);
	}
	enum result r = dataverse_get(d, url.data, NULL, false, now, &json, err);
	buffer_free(&url);
	if (r != OK)
		return r;
	const cJSON *rows = cJSON_GetObjectItemCaseSensitive(json, "value");
	if (!cJSON_IsArray(rows))
		r = error_retry(err, "not-json", "dataverse answers 200 without \"value\"");
	cJSON_ArrayForEach(row, rows)
	{
		const char *own = json_string(row, t->primary_id);
		for (size_t i = 0; own && i < n; i++)
			there[i] |= !strcasecmp(own, ids[i]);
	}
	cJSON_Delete(json);
	return r;
}

enum result dataverse_row_version(struct dataverse *d, const struct table *t, const char *id,
				  mono_time now, int64_t *version, struct error *err)
{
	_cleanup_(freep) char *url =
	    xasprintf("%s" API "%s(%s)?$select=versionnumber", d->url, t->entity_set, id);
	cJSON *json;
	enum result r = dataverse_get(d, url, NULL, true, now, &json, err);

	*version = -1;
	/* A row that is not shared with the application user is in no list either. */
	if ((r == FATAL && !strcmp(err->reason, "http-403")) ||
	    (r == REJECT && !strcmp(err->reason, "not-found")))
		return OK;
	if (r == OK && !json_int(json, "versionnumber", version))
		r = error_retry(err, "not-json", "dataverse answers a row without versionnumber");
	cJSON_Delete(json);
	return r;
}

enum result dataverse_count(struct dataverse *d, const char *table, mono_time now, int64_t *count,
			    struct error *err)
{
	_cleanup_(freep) char *url = xasprintf(
	    "%s" API "RetrieveTotalRecordCount(EntityNames=@p1)?@p1=[%%22%s%%22]", d->url, table);
	cJSON *json;
	enum result r = dataverse_get(d, url, NULL, false, now, &json, err);

	if (r != OK)
		return r;
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(json, "EntityRecordCountCollection"), "Values");
	const cJSON *value = cJSON_GetArrayItem(list, 0);
	*count = cJSON_IsNumber(value) ? (int64_t)value->valuedouble : -1;
	cJSON_Delete(json);
	return OK;
}

enum result dataverse_newest(struct dataverse *d, const struct table *t, wall_time before,
			     mono_time now, char id[37], int64_t *version, struct error *err)
{
	char time[25] = "";

	if (before.ms > 0)
		datetime_format(before, 'T', time);
	_cleanup_(freep) char *url = xasprintf(
	    "%s" API "%s?$select=%s,versionnumber&$orderby=versionnumber%%20desc&$top=1%s%s",
	    d->url, t->entity_set, t->primary_id, *time ? "&$filter=modifiedon%20lt%20" : "", time);
	cJSON *json;
	enum result r = dataverse_get(d, url, NULL, true, now, &json, err);

	if (r != OK)
		return r;
	const cJSON *row = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "value"), 0);
	const char *own = json_string(row, t->primary_id);
	*id = 0;
	*version = 0;
	if (own && text_is_guid(own) && json_int(row, "versionnumber", version))
		text_lower_guid(own, id);
	cJSON_Delete(json);
	return OK;
}

/* ---- metadata --------------------------------------------------------------------------------- */

/* GET EntityDefinitions(LogicalName='…')<rest>; */
static enum result definition(struct dataverse *d, const char *name, const char *rest,
			      mono_time now, cJSON **json, struct error *err)
{
	_cleanup_(freep) char *url =
	    xasprintf("%s" API "EntityDefinitions(LogicalName='%s')%s", d->url, name, rest);
	enum result r = dataverse_get(d, url, NULL, false, now, json, err);
	if (r == REJECT && !strncmp(err->reason, "http-4", 6) && !strstr(err->text, " 0x"))
		return RETRY; /* without a code of Dynamics: a gateway's answer */
	if (r == REJECT) {    /* there is no such table: nothing about a record */
		error_prefix(err, "the table %s", name);
		err->exit_code = EXIT_PERMANENT;
		return FATAL;
	}
	return r;
}

static struct column *mutable_column(struct table *t, const char *name)
{
	for (size_t i = 0; name && i < t->column_count; i++)
		if (!strcmp(t->columns[i].name, name))
			return &t->columns[i];
	return NULL;
}

static const char *label_of(const cJSON *option)
{
	const cJSON *label = cJSON_GetObjectItemCaseSensitive(option, "Label");
	const char *text =
	    json_string(cJSON_GetObjectItemCaseSensitive(label, "UserLocalizedLabel"), "Label");
	if (text)
		return text;
	text = json_string(
	    cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(label, "LocalizedLabels"), 0),
	    "Label");
	return text ? text : "";
}

static void read_max_length(struct column *c, const cJSON *a)
{
	json_int(a, "MaxLength", &c->max_length);
}

static void read_options(struct column *c, const cJSON *a)
{
	const cJSON *set = cJSON_GetObjectItemCaseSensitive(a, "OptionSet"), *o;
	int64_t value;

	if (!cJSON_IsObject(set))
		set = cJSON_GetObjectItemCaseSensitive(a, "GlobalOptionSet");
	cJSON_ArrayForEach(
	    o, cJSON_GetObjectItemCaseSensitive(set, "Options")) if (json_int(o, "Value", &value))
	    column_add_option(c, value, label_of(o));
}

static void read_behavior(struct column *c, const cJSON *a)
{
	const char *b =
	    json_string(cJSON_GetObjectItemCaseSensitive(a, "DateTimeBehavior"), "Value");
	if (b && strcmp(b, "UserLocal")) {
		free(c->kind);
		c->kind = xasprintf("DateTime/%s", b);
		c->type = column_type_of(c->kind);
	}
}

/* What only a cast shows: one query a type. */
static const struct {
	const char *kind, *query;
	void (*read)(struct column *c, const cJSON *attribute);
} casts[] = {
    {"String", "StringAttributeMetadata?$select=LogicalName,MaxLength", read_max_length},
    {"Memo", "MemoAttributeMetadata?$select=LogicalName,MaxLength", read_max_length},
    {"Picklist", "PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet,GlobalOptionSet",
     read_options},
    {"State", "StateAttributeMetadata?$select=LogicalName&$expand=OptionSet", read_options},
    {"Status", "StatusAttributeMetadata?$select=LogicalName&$expand=OptionSet", read_options},
    {"MultiSelectPicklistType",
     "MultiSelectPicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet,GlobalOptionSet",
     read_options},
    {"DateTime", "DateTimeAttributeMetadata?$select=LogicalName,DateTimeBehavior", read_behavior},
};

static enum result read_casts(struct dataverse *d, struct table *t, mono_time now,
			      struct error *err)
{
	for (size_t i = 0; i < sizeof casts / sizeof *casts; i++) {
		bool used = false;
		cJSON *json;
		const cJSON *a;
		for (size_t j = 0; j < t->column_count && !used; j++)
			used = !strcmp(t->columns[j].kind, casts[i].kind);
		if (!used)
			continue;
		_cleanup_(freep) char *rest =
		    xasprintf("/Attributes/Microsoft.Dynamics.CRM.%s", casts[i].query);
		enum result r = definition(d, t->name, rest, now, &json, err);
		if (r != OK)
			return r;
		cJSON_ArrayForEach(a, cJSON_GetObjectItemCaseSensitive(json, "value"))
		{
			struct column *c = mutable_column(t, json_string(a, "LogicalName"));
			if (c)
				casts[i].read(c, a);
		}
		cJSON_Delete(json);
	}
	return OK;
}

enum result dataverse_table(struct dataverse *d, const char *name, mono_time now,
			    struct table **out, struct error *err)
{
	cJSON *json;
	const cJSON *a;
	enum result r =
	    definition(d, name,
		       "?$select=LogicalName,EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled"
		       "&$expand=Attributes($select=LogicalName,AttributeType,AttributeTypeName,"
		       "IsValidForRead)",
		       now, &json, err);
	if (r != OK)
		return r;
	struct table *t = table_new(name);
	const char *set = json_string(json, "EntitySetName");
	const char *id = json_string(json, "PrimaryIdAttribute");
	free(t->entity_set);
	free(t->primary_id);
	t->entity_set = xstrdup(set ? set : "");
	t->primary_id = xstrdup(id ? id : "");
	t->change_tracking = json_is_true(json, "ChangeTrackingEnabled");
	cJSON_ArrayForEach(a, cJSON_GetObjectItemCaseSensitive(json, "Attributes"))
	{
		const char *column = json_string(a, "LogicalName");
		const char *kind = json_string(a, "AttributeType");
		if (kind && !strcmp(kind, "Virtual")) /* choices, images, files and others */
			kind = json_string(cJSON_GetObjectItemCaseSensitive(a, "AttributeTypeName"),
					   "Value");
		if (column && kind && json_is_true(a, "IsValidForRead"))
			table_add(t, column, kind);
	}
	cJSON_Delete(json);
	r = read_casts(d, t, now, err);
	if (r == OK)
		r = definition(d, name,
			       "/ManyToOneRelationships?$select=ReferencingAttribute,"
			       "ReferencedEntity,ReferencingEntityNavigationPropertyName",
			       now, &json, err);
	if (r == OK) {
		cJSON_ArrayForEach(a, cJSON_GetObjectItemCaseSensitive(json, "value"))
		{
			const char *target = json_string(a, "ReferencedEntity");
			const char *nav = json_string(a, "ReferencingEntityNavigationPropertyName");
			struct column *c =
			    mutable_column(t, json_string(a, "ReferencingAttribute"));
			if (c && target && nav)
				column_add_target(c, target, nav);
		}
		cJSON_Delete(json);
	}
	if (r != OK) {
		table_free(t);
		return r;
	}
	table_sort(t);
	*out = t;
	return OK;
}
