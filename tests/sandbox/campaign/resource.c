/* resource.c - profiles and custom resources: lists, records, writes, metadata.
 *
 * Facts: Adobe's pages on the Campaign Standard APIs (endpoints, pagination, counting, creating,
 * updating and deleting profiles, custom resources, metadata mechanism) and the column "ACS" of
 * the error texts in the migration notes.  What those pages do not say (over-long texts, null) is
 * refused with 500.
 */
#include "api.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_COUNT = 25, LINE_COUNT_MAX = 10000 };

static const char *text(const cJSON *o, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

static void headers(struct reply *rep)
{
	reply_header(rep, "Content-Type", "application/json");
}

/* ---- a record as JSON ------------------------------------------------------------------------------ */

static cJSON *value(const struct field *f, const char *v)
{
	switch (f->kind) {
	case K_BOOLEAN:
		return cJSON_CreateBool(!strcmp(v, "true"));
	case K_LONG:
	case K_DOUBLE:
		return *v ? cJSON_CreateRaw(v) : cJSON_CreateString("");
	default:
		return cJSON_CreateString(v);
	}
}

static const char *title(const struct resource *r, const struct record *rec, char *out, size_t size)
{
	const cJSON *part;
	*out = 0;
	cJSON_ArrayForEach(part, cJSON_GetObjectItemCaseSensitive(r->json, "titleOf"))
	{
		int i = resource_field(r, part->valuestring);
		if (i >= 0 && *rec->values[i])
			snprintf(out + strlen(out), size - strlen(out), "%s%s", *out ? " " : "",
				 rec->values[i]);
	}
	return out;
}

static cJSON *link_json(struct campaign *c, const struct resource *r, const struct field *f,
			const struct record *rec, const char *base)
{
	const cJSON *join = cJSON_GetObjectItemCaseSensitive(f->json, "join")->child;
	const char *target = text(f->json, "resTarget");
	struct resource *to = store_resource(&c->store, target, strlen(target));
	int column = resource_field(r, join->string);
	cJSON *o = cJSON_CreateObject();

	if (!to || column < 0)
		return o;
	struct record parent = record_new(to);
	if (store_by_key(&c->store, to, rec->values[column], &parent)) {
		char pkey[100], href[600], name[400];
		store_pkey(&c->store, to, parent.id, pkey);
		snprintf(href, sizeof href, "%s/profileAndServicesExt/%s/%s", base, to->name, pkey);
		cJSON_AddStringToObject(o, "PKey", pkey);
		cJSON_AddStringToObject(o, "href", href);
		cJSON_AddStringToObject(o, "title", title(to, &parent, name, sizeof name));
	}
	record_free(to, &parent);
	return o;
}

static cJSON *record_json(struct campaign *c, struct resource *r, const struct record *rec,
			  bool ext, const struct request *req)
{
	cJSON *o = cJSON_CreateObject();
	char base[400], pkey[100], href[600], name[400];

	acs_base(req, base, sizeof base);
	store_pkey(&c->store, r, rec->id, pkey);
	snprintf(href, sizeof href, "%s/%s/%s/%s", base,
		 ext ? "profileAndServicesExt" : "profileAndServices", r->name, pkey);
	cJSON_AddStringToObject(o, "PKey", pkey);
	for (int i = 0; i < r->count; i++) {
		const struct field *f = &r->fields[i];
		const char *dot = strchr(f->path, '.');
		if (f->extension && !ext)
			continue;
		if (f->kind == K_LINK) {
			cJSON_AddItemToObject(o, f->path, link_json(c, r, f, rec, base));
		} else if (f->kind == K_COLLECTION) {
			char inner[800];
			cJSON *item = cJSON_AddObjectToObject(o, f->path);
			snprintf(inner, sizeof inner, "%s/%s/", href, f->path);
			cJSON_AddStringToObject(item, "href", inner);
		} else if (dot) {
			char group[100];
			snprintf(group, sizeof group, "%.*s", (int)(dot - f->path), f->path);
			cJSON *item = cJSON_GetObjectItemCaseSensitive(o, group);
			if (!item)
				item = cJSON_AddObjectToObject(o, group);
			cJSON_AddItemToObject(item, dot + 1, value(f, rec->values[i]));
		} else if (!strcmp(f->path, "title")) {
			cJSON_AddStringToObject(o, "title", title(r, rec, name, sizeof name));
		} else {
			cJSON_AddItemToObject(o, f->path, value(f, rec->values[i]));
		}
	}
	cJSON_AddStringToObject(o, "href", href);
	return o;
}

/* ---- lists ---------------------------------------------------------------------------------------- */

/* False after answering: an option that is not implemented. */
static bool list_options(const struct request *req, struct reply *rep)
{
	static const char *const known[] = {"_lineCount", "_lineStart", "_forcePagination"};
	const char *at = req->query;

	while (*at) {
		size_t n = strcspn(at, "&"), e = 0;
		bool found = false;
		while (e < n && at[e] != '=')
			e++;
		for (size_t i = 0; i < 3; i++)
			found |= strlen(known[i]) == e && !strncmp(at, known[i], e);
		if (!found) {
			char name[80];
			snprintf(name, sizeof name, "%.*s", (int)(e < 70 ? e : 70), at);
			acs_not_implemented(rep, name);
			return false;
		}
		at += n + (at[n] == '&');
	}
	return true;
}

static void list(struct campaign *c, struct resource *r, bool ext, const struct request *req,
		 struct reply *rep)
{
	char *count_text = query_get(req, "_lineCount"), *start = query_get(req, "_lineStart");
	char *force = query_get(req, "_forcePagination"), base[400], href[700];
	long lines = count_text ? strtol(count_text, NULL, 10) : LINE_COUNT, n = 0;
	long long after = 0;
	const char *root = ext ? "profileAndServicesExt" : "profileAndServices";

	acs_base(req, base, sizeof base);
	if (!list_options(req, rep)) {
		/* said */
	} else if (lines < 1 || lines > LINE_COUNT_MAX ||
		   (start && sscanf(start, "@C%lld", &after) != 1)) {
		acs_error(rep, 500,
			  "RST-360011 An error has occurred - please contact your administrator.");
	} else {
		cJSON *o = cJSON_CreateObject(), *content = cJSON_AddArrayToObject(o, "content");
		struct record rec = record_new(r);
		sqlite3_stmt *st = store_list(&c->store, r, after, lines + 1);
		bool more = false;
		while (sqlite3_step(st) == SQLITE_ROW) {
			if (n == lines) {
				more = true;
				break;
			}
			store_read(r, st, &rec);
			after = rec.id;
			cJSON_AddItemToArray(content, record_json(c, r, &rec, ext, req));
			n++;
		}
		sqlite3_finalize(st);
		record_free(r, &rec);
		cJSON *count = cJSON_AddObjectToObject(o, "count");
		snprintf(href, sizeof href, "%s/%s/%s//_count?_lineStart=@C0", base, root, r->name);
		cJSON_AddStringToObject(count, "href", href);
		if (!start && !more)
			cJSON_AddNumberToObject(count, "value", (double)n);
		/* Big tables have no next page unless it is forced. */
		bool big =
		    store_count(&c->store, r) > c->big_table && !(force && !strcmp(force, "true"));
		if (more && !big) {
			cJSON *next = cJSON_AddObjectToObject(o, "next");
			snprintf(href, sizeof href, "%s/%s/%s/?_lineCount=%ld&_lineStart=@C%lld%s",
				 base, root, r->name, lines, after,
				 force ? "&_forcePagination=true" : "");
			cJSON_AddStringToObject(next, "href", href);
		}
		cJSON_AddBoolToObject(o, "serverSidePagination", true);
		headers(rep);
		reply_json(rep, 200, o);
	}
	free(count_text);
	free(start);
	free(force);
}

/* ---- writing ---------------------------------------------------------------------------------------- */

static size_t characters(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool is_day(const char *s)
{
	int y, m, d, n = 0;
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return sscanf(s, "%4d-%2d-%2d%n", &y, &m, &d, &n) == 3 && n == 10 && m >= 1 && m <= 12 &&
	       d >= 1 && d <= days[m - 1];
}

static bool is_time(const char *s)
{
	int h, m, sec, ms, n = 0;
	if (strlen(s) != 24 ||
	    !is_day((char[11]){s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], 0}))
		return false;
	return (s[10] == ' ' || s[10] == 'T') &&
	       sscanf(s + 11, "%2d:%2d:%2d.%3dZ%n", &h, &m, &sec, &ms, &n) == 4 && n == 13 &&
	       h < 24 && m < 60 && sec < 60;
}

static bool is_number(const char *s, bool whole)
{
	char *end;
	if (!*s || s[strspn(s, whole ? "-0123456789" : "-+.eE0123456789")])
		return false;
	strtod(s, &end);
	return !*end;
}

static bool refuse(struct reply *rep, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct reply *rep, const char *fmt, ...)
{
	char message[800];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	acs_error(rep, 500, "%s", message);
	return false;
}

/* The text to store for a JSON value, or NULL after answering. Empty texts empty any field. */
static char *accept(const struct resource *r, const struct field *f, const cJSON *v,
		    struct reply *rep)
{
	const char *s = cJSON_GetStringValue(v);
	char number[64];
	bool found = false;
	const cJSON *e;

	if (cJSON_IsNumber(v) && (f->kind == K_LONG || f->kind == K_DOUBLE)) {
		cJSON *raw = cJSON_CreateNumber(v->valuedouble);
		char *printed = cJSON_PrintUnformatted(raw);
		snprintf(number, sizeof number, "%s", printed);
		free(printed);
		cJSON_Delete(raw);
		s = number;
	}
	if (f->kind == K_BOOLEAN && cJSON_IsBool(v))
		return strdup(cJSON_IsTrue(v) ? "true" : "false");
	if (!s || (f->kind == K_BOOLEAN && strcmp(s, "true") && strcmp(s, "false"))) {
		refuse(rep,
		       "XTK-170006 Unable to parse the value of the '%s' attribute of the '%s' "
		       "resource.",
		       f->path, r->name);
		return NULL;
	}
	switch (f->kind) {
	case K_STRING:
		if (characters(s) > (size_t)f->length) {
			refuse(
			    rep,
			    "RST-360011 The value of the '%s' attribute of '%s' is longer than %d.",
			    f->path, r->schema, f->length);
			return NULL;
		}
		break;
	case K_ENUM:
		cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(f->json, "values")) found |=
		    !strcmp(e->valuestring, s);
		if (*s && !found) {
			refuse(rep,
			       "RST-360011 An error has occurred - please contact your "
			       "administrator. The "
			       "value '%s' is not valid for the '%s:%s' enumeration of the '@%s' "
			       "field",
			       s, r->schema, f->path, f->path);
			return NULL;
		}
		break;
	case K_LONG:
	case K_DOUBLE:
		if (*s && !is_number(s, f->kind == K_LONG)) {
			refuse(rep, "XTK-170006 '%s' is not a valid constant for '%s'.", s,
			       f->path);
			return NULL;
		}
		break;
	case K_DATE:
	case K_DATETIME:
		if (*s && !(f->kind == K_DATE ? is_day(s) && !s[10] : is_time(s))) {
			refuse(rep, "XTK-170006 '%s' is not a valid date for '%s'.", s, f->path);
			return NULL;
		}
		break;
	default:
		break;
	}
	return strdup(s);
}

static bool take(const struct resource *r, bool ext, const cJSON *json, const char *prefix,
		 struct record *rec, bool *given, struct reply *rep)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, json)
	{
		char path[220];
		snprintf(path, sizeof path, "%s%s%.99s", prefix, *prefix ? "." : "", m->string);
		int i = resource_field(r, path);
		if (i < 0 && cJSON_IsObject(m) && !*prefix) {
			bool group = false;
			size_t n = strlen(path);
			for (int k = 0; k < r->count && !group; k++)
				group = !strncmp(r->fields[k].path, path, n) &&
					r->fields[k].path[n] == '.';
			if (group) {
				if (!take(r, ext, m, path, rec, given, rep))
					return false;
				continue;
			}
		}
		if (i < 0 || (r->fields[i].extension && !ext))
			return refuse(rep, "'%s' property is not valid for the '%s' resource.",
				      path, r->name);
		if (r->fields[i].read_only)
			return refuse(
			    rep,
			    "Cannot update the '%s' property that is read-only / '%s' property is "
			    "not valid for the '%s' resource.",
			    path, path, r->name);
		if (r->fields[i].kind == K_COLLECTION || r->fields[i].kind == K_LINK) {
			acs_not_implemented(rep, path); /* by PKey and nested: later */
			return false;
		}
		char *v = accept(r, &r->fields[i], m, rep);
		if (!v)
			return false;
		free(rec->values[i]);
		rec->values[i] = v;
		given[i] = true;
	}
	return true;
}

static void set(const struct resource *r, struct record *rec, const char *path, const char *v)
{
	int i = resource_field(r, path);
	if (i < 0)
		return;
	free(rec->values[i]);
	rec->values[i] = strdup(v);
}

/* created, lastModified, and the stamp of each flag that really changed. */
static void stamp(const struct resource *r, struct record *rec, const struct record *before,
		  const bool *given)
{
	char now[32];
	time_text(now_ms(), now);
	if (!before)
		set(r, rec, "created", now);
	set(r, rec, "lastModified", now);
	for (int i = 0; i < r->count; i++)
		if (r->fields[i].stamp && given[i] &&
		    strcmp(rec->values[i], before ? before->values[i] : "false"))
			set(r, rec, r->fields[i].stamp, now);
}

static const char *key_of(const struct resource *r, const struct record *rec)
{
	return rec->values[resource_field(r, r->key)];
}

static bool has_key(const struct campaign *c, const struct resource *r)
{
	return !(c->store.no_external_key && r->built_in);
}

static cJSON *body_of(const struct request *req, struct reply *rep)
{
	const char *end = NULL;
	cJSON *json = memchr(req->body, 0, req->body_len)
			  ? NULL
			  : cJSON_ParseWithLengthOpts(req->body, req->body_len + 1, &end, 1);
	if (!cJSON_IsObject(json)) {
		cJSON_Delete(json);
		acs_error(rep, 500,
			  "RST-360011 An error has occurred - the body is no JSON object.");
		return NULL;
	}
	return json;
}

static void create(struct campaign *c, struct resource *r, bool ext, const struct request *req,
		   struct reply *rep)
{
	cJSON *json = body_of(req, rep);
	struct record rec = record_new(r), other = record_new(r);
	bool *given = calloc((size_t)r->count, sizeof *given);

	for (int i = 0; i < r->count; i++) {
		const char *fallback = text(r->fields[i].json, "default");
		if (fallback)
			set(r, &rec, r->fields[i].path, fallback);
	}
	if (json && take(r, ext, json, "", &rec, given, rep)) {
		const char *key = key_of(r, &rec);
		if (has_key(c, r) && *key && store_by_key(&c->store, r, key, &other)) {
			refuse(rep,
			       "A '%s' with the same key '%s' already exists. PGS-220000 "
			       "PostgreSQL error: "
			       "ERROR: duplicate key value violates unique constraint \"%s_%s\" "
			       "DETAIL: Key "
			       "(s%s)=(%s) already exists.",
			       r->label, key, r->name, r->key, r->key, key);
		} else {
			stamp(r, &rec, NULL, given);
			store_insert(&c->store, r, &rec);
			store_history(&c->store, key, "POST", r->name, req->body);
			headers(rep);
			reply_json(rep, 201, record_json(c, r, &rec, ext, req));
		}
	}
	record_free(r, &rec);
	record_free(r, &other);
	free(given);
	cJSON_Delete(json);
}

/* By PKey (@…) or identification key.  False after answering. */
static bool find(struct campaign *c, struct resource *r, const char *id, struct record *rec,
		 struct reply *rep)
{
	if (*id == '@') {
		if (store_by_pkey(&c->store, r, id, rec))
			return true;
		return refuse(rep,
			      "'%s' attribute unknown (see definition of '%s (%s)' schema). "
			      "XTK-170036 Unable "
			      "to parse expression '@id = %s'.",
			      id + 1, r->label, r->schema, id);
	}
	if (!has_key(c, r))
		return refuse(rep,
			      "'%s' attribute unknown (see definition of '%s (%s)' schema). "
			      "XTK-170036 Unable "
			      "to parse expression '@id = @%s'.",
			      id, r->label, r->schema, id);
	if (store_by_key(&c->store, r, id, rec))
		return true;
	acs_error(
	    rep, 404,
	    "RST-360011 An error has occurred - please contact your administrator. Unable to find "
	    "document with path '%s' from key 'adobe_nl:0' (document with schema '%s' and name "
	    "'%s')",
	    r->label, r->name, id);
	return false;
}

static void patch(struct campaign *c, struct resource *r, bool ext, const char *id,
		  const struct request *req, struct reply *rep)
{
	struct record rec = record_new(r), before = record_new(r);
	bool *given = calloc((size_t)r->count, sizeof *given);
	cJSON *json = NULL;

	if (find(c, r, id, &rec, rep) && (json = body_of(req, rep))) {
		char old[200];
		snprintf(old, sizeof old, "%.190s", key_of(r, &rec));
		for (int i = 0; i < r->count; i++) {
			free(before.values[i]);
			before.values[i] = strdup(rec.values[i]);
		}
		if (take(r, ext, json, "", &rec, given, rep)) {
			if (*old && strcmp(old, key_of(r, &rec))) {
				refuse(rep,
				       "RST-360011 An error has occurred - please contact your "
				       "administrator. "
				       "RST-360012 Inconsistent operation on resource '%s' - "
				       "Cannot update key "
				       "'%s' to '%s'.",
				       r->name, old, key_of(r, &rec));
			} else {
				char base[400], pkey[100], href[700];
				cJSON *o = cJSON_CreateObject();
				stamp(r, &rec, &before, given);
				store_update(&c->store, r, &rec);
				store_history(&c->store, key_of(r, &rec), "PATCH", r->name,
					      req->body);
				acs_base(req, base, sizeof base);
				store_pkey(&c->store, r, rec.id, pkey);
				snprintf(href, sizeof href, "%s/%s/%s/%s", base,
					 ext ? "profileAndServicesExt" : "profileAndServices",
					 r->name, pkey);
				cJSON_AddStringToObject(o, "PKey", pkey);
				cJSON_AddStringToObject(o, "href", href);
				headers(rep);
				reply_json(rep, 200, o);
			}
		}
	}
	record_free(r, &rec);
	record_free(r, &before);
	free(given);
	cJSON_Delete(json);
}

static void one(struct campaign *c, struct resource *r, bool ext, const char *id,
		const struct request *req, struct reply *rep)
{
	struct record rec = record_new(r);

	if (!strcmp(req->method, "PATCH")) {
		patch(c, r, ext, id, req, rep);
	} else if (!strcmp(req->method, "GET")) {
		if (find(c, r, id, &rec, rep)) {
			headers(rep);
			reply_json(rep, 200, record_json(c, r, &rec, ext, req));
		}
	} else if (!strcmp(req->method, "DELETE")) {
		if (find(c, r, id, &rec, rep)) {
			store_delete(&c->store, r, rec.id);
			store_history(&c->store, key_of(r, &rec), "DELETE", r->name, "{}");
			headers(rep);
			reply_text(rep, 200, "%s", "");
		}
	} else {
		acs_error(rep, 405, "Method not allowed.");
	}
	record_free(r, &rec);
}

/* ---- metadata: "metadata mechanism" ---------------------------------------------------------------- */

static cJSON *field_nodes(const cJSON *fields, bool ext)
{
	cJSON *o = cJSON_CreateObject();
	const cJSON *f, *v;

	cJSON_ArrayForEach(f, fields)
	{
		const char *type = text(f, "type"), *raw = text(f, "resType");
		const cJSON *inner = cJSON_GetObjectItemCaseSensitive(f, "content");
		const cJSON *length = cJSON_GetObjectItemCaseSensitive(f, "length");
		if (!ext && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(f, "extension")))
			continue;
		cJSON *n = cJSON_AddObjectToObject(o, f->string);
		cJSON_AddStringToObject(n, "apiName", f->string);
		cJSON_AddStringToObject(n, "category", "99_none");
		cJSON_AddStringToObject(n, "label", f->string);
		cJSON_AddBoolToObject(n, "mandatory", false);
		cJSON_AddStringToObject(n, "metadata", "attribute");
		cJSON_AddBoolToObject(
		    n, "readOnly", cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(f, "readOnly")));
		cJSON_AddBoolToObject(n, "sortable", !inner);
		cJSON_AddStringToObject(n, "type", type);
		cJSON_AddStringToObject(n, "resType", raw ? raw : type);
		if (cJSON_IsNumber(length)) { /* a text, as the product shows it */
			char digits[16];
			snprintf(digits, sizeof digits, "%d", length->valueint);
			cJSON_AddStringToObject(n, "length", digits);
		}
		if (text(f, "resTarget"))
			cJSON_AddStringToObject(n, "resTarget", text(f, "resTarget"));
		if (cJSON_GetObjectItemCaseSensitive(f, "values")) {
			cJSON *list = cJSON_AddArrayToObject(n, "values");
			int number = 0;
			cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(f, "values"))
			{
				cJSON *e = cJSON_CreateObject();
				cJSON_AddStringToObject(e, "name", v->valuestring);
				cJSON_AddNumberToObject(e, "value", number++);
				cJSON_AddItemToArray(list, e);
			}
		}
		if (inner)
			cJSON_AddItemToObject(n, "content", field_nodes(inner, ext));
	}
	return o;
}

void acs_metadata(struct campaign *c, struct resource *r, bool ext, const struct request *req,
		  struct reply *rep)
{
	cJSON *o = cJSON_CreateObject();
	char base[400], href[600];

	(void)c;
	acs_base(req, base, sizeof base);
	cJSON_AddStringToObject(o, "apiName", "resourceType");
	cJSON_AddItemToObject(o, "content", field_nodes(r->fields_json, ext));
	snprintf(href, sizeof href, "/%s/%s/", ext ? "profileAndServicesExt" : "profileAndServices",
		 r->name);
	cJSON_AddStringToObject(o, "data", href);
	snprintf(href, sizeof href, "%s/%s/resourceType/%s", base,
		 ext ? "profileAndServicesExt" : "profileAndServices", r->name);
	cJSON_AddStringToObject(o, "href", href);
	cJSON_AddStringToObject(o, "label", r->label);
	cJSON_AddStringToObject(o, "name", r->name);
	cJSON_AddStringToObject(o, "schema", r->schema);
	cJSON_AddStringToObject(o, "type", "item");
	snprintf(rep->route, sizeof rep->route, "metadata %s", r->name);
	headers(rep);
	reply_json(rep, 200, o);
}

/* ---- routing ---------------------------------------------------------------------------------------- */

void acs_resource(struct campaign *c, const char *rest, bool ext, const struct request *req,
		  struct reply *rep)
{
	size_t n = strcspn(rest, "/");
	struct resource *r = store_resource(&c->store, rest, n);
	const char *tail = rest + n;

	if (!r || (!r->built_in && !ext)) {
		acs_error(rep, 404, "RST-360000 The resource '%.*s' is unknown.",
			  (int)(n < 80 ? n : 80), rest);
		return;
	}
	snprintf(rep->route, sizeof rep->route, "%s", r->name);
	if (!*tail && !strcmp(req->method, "POST")) {
		create(c, r, ext, req, rep);
	} else if ((!*tail || !strcmp(tail, "/")) && !strcmp(req->method, "GET")) {
		list(c, r, ext, req, rep);
	} else if (!strcmp(tail, "/") && !strcmp(req->method, "POST")) {
		acs_error(
		    rep, 404,
		    "404 - Not Found (\"RST-360011 An error has occurred - please contact your "
		    "administrator. Error rc=-2003\")");
	} else if (!strcmp(tail, "/metadata")) {
		acs_metadata(c, r, ext, req, rep);
	} else if (!strcmp(tail, "//_count") || !strcmp(tail, "/_count")) {
		cJSON *o = cJSON_CreateObject();
		cJSON_AddNumberToObject(o, "count", (double)store_count(&c->store, r));
		headers(rep);
		reply_json(rep, 200, o);
	} else if (*tail == '/' && !strncmp(tail, "/by", 3)) {
		acs_not_implemented(rep, "filters");
	} else if (*tail == '/' && tail[1] && !strchr(tail + 1, '/')) {
		char *id = url_decode(tail + 1, strlen(tail + 1), false);
		if (id)
			one(c, r, ext, id, req, rep);
		else
			acs_error(rep, 500, "RST-360011 malformed URL.");
		free(id);
	} else {
		acs_not_implemented(rep, rest);
	}
}
