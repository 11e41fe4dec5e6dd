/* errors.c - how Campaign says no, in both dialects.
 *
 * Errors of the application are a bare JSON text, those of the gateway an object.  The texts are
 * those of the table "Error codes and messages" on Adobe's page "Recommendations & limitations" of
 * the migration to v8, and of "API troubleshooting".  v8 mostly says nothing but that there was an
 * error.  Where no page has a text, ours begin with a code of the product's (RST-, XTK-).
 */
#include "api.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SORRY "An error has occurred - please contact your administrator."

bool acs_error(struct reply *rep, int status, const char *fmt, ...)
{
	char message[2000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	acs_reply(rep, status, cJSON_CreateString(message));
	return false;
}

bool acs_not_implemented(struct reply *rep, const char *what)
{
	return acs_error(rep, 501, "This sandbox does not implement %.200s.", what);
}

static bool v8(const struct call *call)
{
	return call->c->store.v8;
}

static bool sorry(const struct call *call)
{
	return acs_error(call->rep, 500, SORRY);
}

bool fail_method(const struct call *call)
{
	return acs_error(call->rep, 405, "Method not allowed.");
}

static bool unsupported(const struct call *call, const char *before)
{
	const char *at = strstr(call->req->path, "/campaign/");
	return acs_error(call->rep, 404, "%sUnsupported endpoint. (endpoint=rest/%.300s)", before,
			 at ? at + 10 : call->req->path);
}

bool fail_resource(const struct call *call, const char *name)
{
	if (v8(call))
		return unsupported(call, "");
	return acs_error(call->rep, 404, "RST-360000 The resource '%.80s' is unknown.", name);
}

bool fail_url(const struct call *call)
{
	if (v8(call))
		return unsupported(call, "");
	return acs_error(call->rep, 404,
			 "404 - Not Found (\"RST-360011 " SORRY " Error rc=-2003\")");
}

bool fail_pkey(const struct call *call, const struct resource *r, const char *pkey, bool in_body)
{
	char text[200];

	if (v8(call)) {
		snprintf(text, sizeof text, "Unable to decrypt PKey. (PKey=%.120s)", pkey);
		if (in_body)
			return acs_error(call->rep, 404, "%s", text);
		strcat(text, " ");
		return unsupported(call, text);
	}
	return acs_error(call->rep, 500,
			 "'%.120s' attribute unknown (see definition of '%s (%s)' schema). "
			 "XTK-170036 Unable to parse expression '@id = @%.120s'.",
			 pkey + (*pkey == '@'), r->label, r->schema, pkey + (*pkey == '@'));
}

bool fail_key(const struct call *call, const struct resource *r, const char *key, bool in_body)
{
	return acs_error(call->rep, 404,
			 "%sUnable to find document with path '%s' from key '%.200s%s' (document "
			 "with schema '%s' and name '%.200s')",
			 v8(call) ? "" : "RST-360011 " SORRY " ", r->singular, key,
			 v8(call) || in_body ? "" : ":0", r->name, key);
}

bool fail_key_change(const struct call *call, const struct resource *r, const char *from,
		     const char *to)
{
	if (v8(call))
		return sorry(call);
	return acs_error(call->rep, 500,
			 "RST-360011 " SORRY " RST-360012 Inconsistent operation on resource '%s' "
			 "\xe2\x80\x93 Cannot update key '%.200s' to '%.200s'.",
			 r->name, from, to);
}

bool fail_duplicate(const struct call *call, const struct resource *r, const char *key)
{
	char table[100];
	const char *colon = strchr(r->schema, ':');

	if (v8(call))
		return sorry(call);
	snprintf(table, sizeof table, "%.*s%s", (int)(colon ? colon - r->schema : 0), r->schema,
		 colon ? colon + 1 : r->schema);
	return acs_error(call->rep, 500,
			 "A '%s' with the same key '%.200s' already exists. PGS-220000 PostgreSQL "
			 "error: ERROR:  duplicate key value violates unique constraint \"%s_%s\" "
			 "DETAIL:  Key (s%s)=(%.200s) already exists.",
			 r->singular, key, table, r->key, r->key, key);
}

bool fail_enumeration(const struct call *call, const struct resource *r, const struct field *f,
		      const char *value)
{
	if (v8(call))
		return sorry(call);
	return acs_error(call->rep, 500,
			 "RST-360011 " SORRY " The value '%.200s' is not valid for the '%s:%s' "
			 "enumeration of the '@%s' field",
			 value, r->schema, f->path, f->path);
}

bool fail_property(const struct call *call, const struct resource *r, const char *path)
{
	return acs_error(call->rep, 500, "'%.200s' property is not valid for the '%s' resource.",
			 path, r->name);
}

bool fail_read_only(const struct call *call, const struct resource *r, const char *path)
{
	return acs_error(call->rep, 500,
			 "Cannot update the '%.200s' property that is read-only / '%.200s' "
			 "property is not valid for the '%s' resource.",
			 path, path, r->name);
}

bool fail_detail(const struct call *call, const char *fmt, ...)
{
	char message[1000];
	va_list ap;

	if (v8(call))
		return sorry(call);
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	return acs_error(call->rep, 500, "RST-360011 " SORRY " %s", message);
}

/* "API troubleshooting" */
void gateway_error(struct reply *rep, int status, const char *code, const char *message)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "error_code", code);
	cJSON_AddStringToObject(o, "message", message);
	acs_reply(rep, status, o);
}

/* "Setting up API access" */
void gateway_oops(struct reply *rep, int status, int code)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "code", code);
	cJSON_AddStringToObject(o, "message",
				"Oops. Something went wrong. Check your URI and try again.");
	acs_reply(rep, status, o);
}
