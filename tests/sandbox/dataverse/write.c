/* write.c - create, update, upsert, delete, and the bulk messages.
 *
 * Facts: "create / update and delete table rows", "use upsert", "associate and disassociate",
 * "bulk operation messages".  Nothing is ignored: an unknown property is 400, an annotation that
 * is not implemented 501.
 */
#include "api.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* cJSON keeps no number exactly.  Every number becomes a string that begins with this byte, which
 * cannot stand raw in JSON; so a number and a text are told apart and keep their digits. */
#define NUMBER_MARK '\x01'

static cJSON *parse_body(const char *s, size_t len)
{
	char *copy = malloc(len * 3 + 16), *to = copy;

	for (size_t i = 0; i < len;) {
		if (s[i] == '"') {
			*to++ = s[i++];
			while (i < len && s[i] != '"') {
				if (s[i] == '\\' && i + 1 < len)
					*to++ = s[i++];
				*to++ = s[i++];
			}
			if (i < len)
				*to++ = s[i++];
		} else if (s[i] == '-' || isdigit((unsigned char)s[i])) {
			to += sprintf(to, "\"\\u0001");
			while (i < len && strchr("+-.eE0123456789", s[i]) && s[i])
				*to++ = s[i++];
			*to++ = '"';
		} else {
			*to++ = s[i++];
		}
	}
	*to = 0;
	cJSON *json = memchr(s, 0, len) ? NULL : cJSON_Parse(copy);
	free(copy);
	return json;
}

bool is_guid(const char *s)
{
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	}
	return !s[36];
}

static void lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static size_t characters(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool is_date(const char *s, bool with_time)
{
	int y, m, d, h, mi, sec, n = 0;

	if (sscanf(s, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 || n != 10 || y < 1753 || m < 1 ||
	    m > 12 || d < 1 || d > 31)
		return false;
	if (!with_time)
		return !s[10];
	s += 10;
	n = 0;
	if (*s != 'T' || sscanf(s + 1, "%2d:%2d:%2d%n", &h, &mi, &sec, &n) != 3 || n != 8 ||
	    h > 23 || mi > 59 || sec > 59)
		return false;
	s += 9;
	if (*s == '.')
		s += 1 + strspn(s + 1, "0123456789");
	return !strcmp(s, "Z") || !*s || (strlen(s) == 6 && (*s == '+' || *s == '-'));
}

/* What is written as DateTime is stored in UTC, whole seconds. */
static char *date_time(const char *s)
{
	char out[40];
	snprintf(out, sizeof out, "%.19sZ", s);
	return strdup(out);
}

static bool bad_value(struct reply *rep, const struct table *t, const struct column *c,
		      const char *wanted)
{
	api_error(
	    rep, 400, E_PAYLOAD,
	    "Error identified in Payload provided by the user for Entity :'%s': Cannot convert "
	    "the value of '%s' to the expected type 'Edm.%s'.",
	    t->set, c->property, wanted);
	return false;
}

/* Checks one value and stores its text. */
static bool take_value(struct table *t, struct column *c, const cJSON *v, struct row *r,
		       struct reply *rep)
{
	int i = (int)(c - t->columns);
	const char *s = cJSON_GetStringValue(v);
	bool number = s && *s == NUMBER_MARK;
	char *end;

	s = number ? s + 1 : s;
	r->given[i] = true;
	free(r->values[i]);
	r->values[i] = NULL;
	if (cJSON_IsNull(v))
		return true;
	switch (c->type) {
	case T_STRING:
	case T_MEMO:
		if (!s || number)
			return bad_value(rep, t, c, "String");
		if (c->max_length && characters(s) > (size_t)c->max_length) {
			api_error(
			    rep, 400, E_VALIDATION,
			    "A validation error occurred.  The length of the '%s' attribute of "
			    "the '%s' entity exceeded the maximum allowed length of '%d'.",
			    c->name, t->name, c->max_length);
			return false;
		}
		break;
	case T_BOOLEAN:
		if (!cJSON_IsBool(v))
			return bad_value(rep, t, c, "Boolean");
		r->values[i] = strdup(cJSON_IsTrue(v) ? "true" : "false");
		return true;
	case T_INTEGER:
	case T_BIGINT:
	case T_CHOICE:
	case T_STATE:
	case T_STATUS:
		if (!number || (strtoll(s, &end, 10), *end))
			return bad_value(rep, t, c, c->type == T_BIGINT ? "Int64" : "Int32");
		if (c->options && !cJSON_GetObjectItemCaseSensitive(c->options, s)) {
			api_error(
			    rep, 400, E_VALIDATION,
			    "A validation error occurred. The value '%s' of '%s' on record of "
			    "type '%s' is outside the valid range.",
			    s, c->name, t->name);
			return false;
		}
		break;
	case T_DOUBLE:
	case T_DECIMAL:
	case T_MONEY:
		if (!number)
			return bad_value(rep, t, c, c->type == T_DOUBLE ? "Double" : "Decimal");
		break;
	case T_DATE:
		if (!s || number || !is_date(s, false))
			return bad_value(rep, t, c, "Date");
		break;
	case T_DATETIME:
		if (!s || number || !is_date(s, true))
			return bad_value(rep, t, c, "DateTimeOffset");
		r->values[i] = date_time(s);
		return true;
	case T_GUID:
		if (!s || number || !is_guid(s))
			return bad_value(rep, t, c, "Guid");
		r->values[i] = strdup(s);
		lower(r->values[i]);
		return true;
	default:
		api_error(rep, 400, E_PAYLOAD,
			  "CRM do not support direct update of Entity Reference properties, Use "
			  "Navigation properties instead.");
		return false;
	}
	r->values[i] = strdup(s);
	return true;
}

/* "nav@odata.bind": "/contacts(guid)"; navigation names are case-sensitive. */
static bool take_bind(struct dataverse *d, struct table *t, const char *nav, size_t len,
		      const cJSON *v, struct row *r, bool bulk, struct reply *rep)
{
	const char *s = cJSON_GetStringValue(v);

	for (int i = 0; i < t->count; i++) {
		const cJSON *target;
		cJSON_ArrayForEach(target, t->columns[i].targets)
		{
			char id[40];
			const char *name = target->valuestring;
			if (strlen(name) != len || strncmp(name, nav, len))
				continue;
			struct table *to = store_table(&d->store, target->string);
			r->given[i] = true;
			free(r->values[i]);
			r->values[i] = NULL;
			if (cJSON_IsNull(v))
				return true;
			const char *slash = s ? strrchr(s, '/') : NULL,
				   *open = s ? strchr(s, '(') : NULL;
			const char *set = slash && slash < open ? slash + 1 : s;
			if (!open || !to || strncmp(set, to->set, (size_t)(open - set)) ||
			    (size_t)(open - set) != strlen(to->set) || strlen(open) != 38 ||
			    open[37] != ')') {
				api_error(rep, 400, E_PAYLOAD,
					  "Invalid value of '%.*s@odata.bind'.", (int)len, nav);
				return false;
			}
			snprintf(id, sizeof id, "%.36s", open + 1);
			lower(id);
			if (!store_exists(&d->store, to, id)) {
				if (bulk)
					api_error(rep, 404, E_NOT_FOUND,
						  "%c%s With Ids = %s Do Not Exist",
						  toupper((unsigned char)*to->name), to->name + 1,
						  id);
				else
					api_error(rep, 404, E_NOT_FOUND,
						  "%s With Id = %s Does Not Exist", to->name, id);
				return false;
			}
			r->values[i] = strdup(id);
			free(r->targets[i]);
			r->targets[i] = strdup(to->name);
			return true;
		}
	}
	api_error(
	    rep, 400, E_PAYLOAD,
	    "An undeclared property '%.*s' which only has property annotations in the payload "
	    "but no property value was found in the payload. In OData, only declared navigation "
	    "properties and declared named streams can be represented as properties without "
	    "values.",
	    (int)len, nav);
	return false;
}

/* Reads an object into a row. id gets the primary key when the object has it. */
static bool take_row(struct dataverse *d, struct table *t, const cJSON *json, struct row *r,
		     char id[37], bool bulk, struct reply *rep)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, json)
	{
		const char *name = m->string, *at = strstr(name, "@odata.bind");
		if (at && !at[11]) {
			if (!take_bind(d, t, name, (size_t)(at - name), m, r, bulk, rep))
				return false;
			continue;
		}
		if (!strcmp(name, "@odata.type") && bulk) {
			char type[200];
			snprintf(type, sizeof type, "Microsoft.Dynamics.CRM.%s", t->name);
			if (!cJSON_IsString(m) || strcmp(m->valuestring, type)) {
				api_error(rep, 400, E_PAYLOAD, "A wrong @odata.type for %s.",
					  t->set);
				return false;
			}
			continue;
		}
		if (*name == '@' || strchr(name, '@')) {
			api_not_implemented(rep, name);
			return false;
		}
		struct column *c = table_column(t, name);
		if (!c) {
			api_error(
			    rep, 400, E_PAYLOAD,
			    "Error identified in Payload provided by the user for Entity :'%s', "
			    "For more information on this error please follow this help link: "
			    "The property '%s' does not exist on type 'Microsoft.Dynamics.CRM.%s'. "
			    "Make sure to only use property names that are defined by the type.",
			    t->set, name, t->name);
			return false;
		}
		if (c->read_only) {
			api_error(rep, 400, E_PAYLOAD, "The property '%s' cannot be written.",
				  name);
			return false;
		}
		if (!take_value(t, c, m, r, rep))
			return false;
		if (!strcmp(name, t->id) && r->values[c - t->columns])
			snprintf(id, 37, "%s", r->values[c - t->columns]);
	}
	return true;
}

static void new_id(struct dataverse *d, char id[37])
{
	struct rng r = {(uint64_t)d->store.version * 0x9e3779b97f4a7c15u ^ server_seed(d->server)};
	rng_guid(&r, id);
}

static cJSON *body_of(const struct request *req, struct reply *rep)
{
	cJSON *json = parse_body(req->body, req->body_len);
	if (!cJSON_IsObject(json)) {
		cJSON_Delete(json);
		api_error(rep, 400, E_PAYLOAD, "Error identified in Payload provided by the user.");
		return NULL;
	}
	return json;
}

static void entity_id(const struct table *t, const char *id, const struct request *req,
		      struct reply *rep)
{
	char root[400];
	api_root(req, root, sizeof root);
	reply_header(rep, "OData-EntityId", "%s/%s(%s)", root, t->set, id);
	reply_header(rep, "OData-Version", "4.0");
}

/* A write's answer: 204, or the row with Prefer: return=representation. */
static void written(struct dataverse *d, struct table *t, const char *id, bool created,
		    const struct request *req, struct reply *rep)
{
	char value[64];

	if (api_prefers(req, "return", value, sizeof value) && !strcmp(value, "representation")) {
		api_read_row(d, t, id, req, rep);
		reply_header(rep, "Preference-Applied", "return=representation");
		if (rep->status == 200 && created)
			rep->status = 201;
		return;
	}
	entity_id(t, id, req, rep);
	rep->status = 204;
}

void api_create(struct dataverse *d, struct table *t, const struct request *req, struct reply *rep)
{
	cJSON *json = body_of(req, rep);
	char id[37] = "";

	if (!json)
		return;
	struct row r = row_new(t);
	if (take_row(d, t, json, &r, id, false, rep)) {
		if (!*id)
			new_id(d, id);
		if (store_exists(&d->store, t, id)) {
			api_error(rep, 412, E_DUPLICATE, "Cannot insert duplicate key.");
		} else {
			store_exec(&d->store, "BEGIN");
			store_write(&d->store, t, id, &r, true, "CREATE");
			store_exec(&d->store, "COMMIT");
			written(d, t, id, true, req, rep);
		}
	}
	row_free(t, &r);
	cJSON_Delete(json);
}

void api_patch(struct dataverse *d, struct table *t, const char *id, const struct request *req,
	       struct reply *rep)
{
	const char *match = request_header(req, "If-Match");
	const char *none = request_header(req, "If-None-Match");
	bool exists = store_exists(&d->store, t, id);
	char body_id[37] = "";

	/* The literal "null" is what Microsoft tells everybody to send; it is no etag. */
	if (none && !strcmp(none, "*") && exists) {
		api_error(rep, 412, E_DUPLICATE,
			  "A record with matching key values already exists.");
		return;
	}
	if (match && strcmp(match, "*")) {
		api_not_implemented(rep, "If-Match with an etag");
		return;
	}
	if (match && !exists) {
		api_error(rep, 404, E_NOT_FOUND, "%s With Id = %s Does Not Exist", t->name, id);
		return;
	}
	cJSON *json = body_of(req, rep);
	if (!json)
		return;
	struct row r = row_new(t);
	if (take_row(d, t, json, &r, body_id, false, rep)) {
		store_exec(&d->store, "BEGIN");
		store_write(&d->store, t, id, &r, !exists, exists ? "UPDATE" : "CREATE");
		store_exec(&d->store, "COMMIT");
		written(d, t, id, !exists, req, rep);
	}
	row_free(t, &r);
	cJSON_Delete(json);
}

void api_delete(struct dataverse *d, struct table *t, const char *id, const struct request *req,
		struct reply *rep)
{
	const char *match = request_header(req, "If-Match");

	if (match && strcmp(match, "*")) {
		api_not_implemented(rep, "If-Match with an etag");
		return;
	}
	if (!store_exists(&d->store, t, id)) {
		api_error(rep, 404, E_NOT_FOUND, "%s With Id = %s Does Not Exist", t->name, id);
		return;
	}
	store_exec(&d->store, "BEGIN");
	store_delete(&d->store, t, id);
	store_exec(&d->store, "COMMIT");
	reply_header(rep, "OData-Version", "4.0");
	rep->status = 204;
}

/* ---- bulk --------------------------------------------------------------------------------------- */

static bool duplicate_id(const cJSON *targets, const char *key, const char *id, const cJSON *upto)
{
	const cJSON *t;
	cJSON_ArrayForEach(t, targets)
	{
		const char *other = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(t, key));
		if (t == upto)
			return false;
		if (other && !strcasecmp(other, id))
			return true;
	}
	return false;
}

static bool one_target(struct dataverse *d, struct table *t, bool upsert, const cJSON *targets,
		       const cJSON *target, cJSON *ids, struct reply *rep)
{
	char id[37] = "";
	struct row r = row_new(t);
	bool good =
	    cJSON_IsObject(target) && cJSON_GetObjectItemCaseSensitive(target, "@odata.type");

	if (!good)
		api_error(rep, 400, E_PAYLOAD, "Each target needs an @odata.type.");
	good = good && take_row(d, t, target, &r, id, true, rep);
	if (good && upsert && !*id) {
		api_not_implemented(rep, "UpsertMultiple without the primary key in each target");
		good = false;
	}
	if (good && *id && duplicate_id(targets, t->id, id, target)) {
		api_error(rep, 400, E_PAYLOAD, "Duplicate keys in the targets of one call.");
		good = false;
	}
	if (good) {
		if (!*id)
			new_id(d, id);
		bool exists = store_exists(&d->store, t, id);
		if (exists && !upsert) {
			api_error(rep, 412, E_DUPLICATE, "Cannot insert duplicate key.");
			good = false;
		} else {
			store_write(&d->store, t, id, &r, !exists, exists ? "UPDATE" : "CREATE");
			cJSON_AddItemToArray(ids, cJSON_CreateString(id));
		}
	}
	row_free(t, &r);
	return good;
}

void api_multiple(struct dataverse *d, struct table *t, bool upsert, const struct request *req,
		  struct reply *rep)
{
	cJSON *json = body_of(req, rep), *ids = cJSON_CreateArray();
	const cJSON *targets = cJSON_GetObjectItemCaseSensitive(json, "Targets"), *target;
	int64_t version = d->store.version;
	bool good = json != NULL;

	if (json && !cJSON_IsArray(targets)) {
		api_error(rep, 400, E_PAYLOAD, "The parameter Targets is missing.");
		good = false;
	}
	/* Standard tables: one transaction, any error rolls back all. */
	if (good)
		store_exec(&d->store, "BEGIN");
	bool begun = good;
	cJSON_ArrayForEach(target, targets) if (good) good =
	    one_target(d, t, upsert, targets, target, ids, rep);
	if (begun)
		store_exec(&d->store, good ? "COMMIT" : "ROLLBACK");
	if (begun && !good)
		d->store.version = version;
	if (good && upsert) {
		reply_header(rep, "OData-Version", "4.0");
		rep->status = 204; /* cannot tell created from updated, as in the product */
	} else if (good) {
		char root[400];
		cJSON *out = cJSON_CreateObject();
		api_root(req, root, sizeof root);
		char context[500];
		snprintf(context, sizeof context,
			 "%s/$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse", root);
		cJSON_AddStringToObject(out, "@odata.context", context);
		cJSON_AddItemToObject(out, "Ids", ids);
		ids = NULL;
		api_headers(rep);
		reply_json(rep, 200, out);
	}
	cJSON_Delete(ids);
	cJSON_Delete(json);
}
