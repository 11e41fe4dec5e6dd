/* shape.c - see shape.h.  Facts: "query schema definitions using the Web API". */
#include "shape.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query.h"

enum { DEPTH_MAX = 50 };

/* ---- $filter ------------------------------------------------------------------------------------- */

struct cursor {
	const char *at, *type;
	const cJSON *object;
	struct reply *rep;
	int depth;
	bool failed;
};

static bool fail(struct cursor *c, const char *text)
{
	if (!c->failed)
		query_fail(c->rep, "%s", text);
	c->failed = true;
	return false;
}

static void blanks(struct cursor *c)
{
	while (*c->at == ' ')
		c->at++;
}

static bool keyword(struct cursor *c, const char *word)
{
	size_t n = strlen(word);

	blanks(c);
	if (strncmp(c->at, word, n) || isalnum((unsigned char)c->at[n]))
		return false;
	c->at += n;
	return true;
}

/* A path as CanChangeTrackingBeEnabled/Value. */
static const cJSON *path(struct cursor *c)
{
	const cJSON *v = c->object;
	char name[100];

	do {
		size_t n = strspn(c->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789_");
		snprintf(name, sizeof name, "%.*s", (int)(n < 99 ? n : 99), c->at);
		c->at += n;
		v = cJSON_GetObjectItemCaseSensitive(v, name);
		if (!v) {
			if (!c->failed)
				query_no_property(c->rep, c->type, name, strlen(name));
			c->failed = true;
			return NULL;
		}
	} while (*c->at == '/' && c->at++);
	if (cJSON_IsObject(v) && cJSON_HasObjectItem(v, "LocalizedLabels")) {
		fail(c, "Filtering by a property of the type Label is not supported.");
		return NULL;
	}
	if (cJSON_IsObject(v) || cJSON_IsArray(v)) {
		fail(c, "A complex property cannot be compared; name its Value, "
			"CanBeCustomized/Value.");
		return NULL;
	}
	return v;
}

/* 'text', number, true, null, guid, Microsoft.Dynamics.CRM.OwnershipTypes'UserOwned' */
static bool literal(struct cursor *c, char *out, size_t size, bool *is_text)
{
	size_t n = 0;

	blanks(c);
	*is_text = *c->at == '\'';
	if (!strncmp(c->at, "Microsoft.Dynamics.CRM.", 23)) {
		*is_text = true;
		c->at += strcspn(c->at, "'");
	}
	if (*is_text) {
		if (*c->at++ != '\'')
			return fail(c, "Syntax error in '$filter'.");
		for (; *c->at && n < size - 1; c->at++) {
			if (*c->at == '\'' && *++c->at != '\'')
				break;
			out[n++] = *c->at;
		}
		out[n] = 0;
		return (c->at[-1] == '\'') || fail(c, "There is an unterminated string literal in "
						      "'$filter'.");
	}
	while (*c->at && !strchr(" )", *c->at) && n < size - 1)
		out[n++] = *c->at++;
	out[n] = 0;
	return n > 0 || fail(c, "Syntax error in '$filter'.");
}

static bool any_of(struct cursor *c);

static bool comparison(struct cursor *c)
{
	static const char *const ops[] = {"eq", "ne", "gt", "ge", "lt", "le"};
	char want[300], have[40];
	const char *text;
	bool is_text, null;
	int op = -1, order;

	const cJSON *v = path(c);
	for (int i = 0; v && op < 0 && i < 6; i++)
		if (keyword(c, ops[i]))
			op = i;
	if (!v)
		return false;
	if (op < 0) { /* a boolean alone */
		if (!cJSON_IsBool(v))
			return fail(c, "The $filter expression must evaluate to a single boolean "
				       "value.");
		return cJSON_IsTrue(v);
	}
	if (!literal(c, want, sizeof want, &is_text))
		return false;
	null = !is_text && !strcmp(want, "null");
	if (cJSON_IsNull(v) || null)
		return op == 0 ? cJSON_IsNull(v) && null
			       : op == 1 && (cJSON_IsNull(v) != 0) != null;
	if (cJSON_IsNumber(v)) {
		double a = v->valuedouble, b = strtod(want, NULL);
		if (is_text)
			return fail(c, "A binary operator with incompatible types was detected.");
		order = (a > b) - (a < b);
	} else {
		text = cJSON_GetStringValue(v);
		if (cJSON_IsBool(v) && is_text)
			return fail(c, "A binary operator with incompatible types was detected.");
		if (!text)
			snprintf(have, sizeof have, "%s", cJSON_IsTrue(v) ? "true" : "false");
		order = strcmp(text ? text : have, want);
	}
	return op == 0	 ? order == 0
	       : op == 1 ? order != 0
	       : op == 2 ? order > 0
	       : op == 3 ? order >= 0
	       : op == 4 ? order < 0
			 : order <= 0;
}

static bool unary(struct cursor *c)
{
	bool r;

	if (++c->depth > DEPTH_MAX)
		return fail(c, "The $filter expression is nested too deeply.");
	blanks(c);
	if (keyword(c, "not")) {
		r = !unary(c);
	} else if (*c->at == '(') {
		c->at++;
		r = any_of(c);
		blanks(c);
		if (*c->at++ != ')') {
			c->at--;
			return fail(c, "Syntax error in '$filter'.");
		}
	} else {
		size_t n = strspn(c->at, "abcdefghijklmnopqrstuvwxyz");
		if (n && c->at[n] == '(') {
			if (!c->failed)
				api_not_implemented(c->rep, "functions in $filter of metadata");
			c->failed = true;
			return false;
		}
		r = comparison(c);
	}
	c->depth--;
	return r;
}

static bool all_of(struct cursor *c)
{
	bool r = unary(c);
	while (!c->failed && keyword(c, "and"))
		r = unary(c) && r;
	return r;
}

static bool any_of(struct cursor *c)
{
	bool r = all_of(c);
	while (!c->failed && keyword(c, "or"))
		r = all_of(c) || r;
	return r;
}

int shape_filter(const char *filter, const cJSON *object, const char *type, struct reply *rep)
{
	struct cursor c = {.at = filter, .type = type, .object = object, .rep = rep};
	bool r = any_of(&c);

	blanks(&c);
	if (!c.failed && *c.at)
		fail(&c, "Syntax error in '$filter'.");
	return c.failed ? -1 : r;
}

/* ---- $select and $expand --------------------------------------------------------------------------- */

static size_t piece(const char *s, char separator)
{
	int depth = 0;
	size_t n = 0;

	for (; s[n]; n++)
		if (s[n] == '(')
			depth++;
		else if (s[n] == ')')
			depth--;
		else if (s[n] == separator && depth <= 0)
			break;
	return n;
}

static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *s = list;; s++) {
		s += strspn(s, " ");
		size_t n = strcspn(s, ","), end = n;
		while (end && s[end - 1] == ' ')
			end--;
		if (end == len && !strncmp(s, name, len))
			return true;
		s += n;
		if (!*s)
			return false;
	}
}

static bool select_members(cJSON *object, const char *select, const char *type, struct reply *rep)
{
	const char *s = select;

	for (;; s++) { /* each has to exist */
		char name[100];
		s += strspn(s, " ");
		size_t n = strcspn(s, ",");
		snprintf(name, sizeof name, "%.*s", (int)(n < 99 ? n : 99), s);
		for (size_t i = strlen(name); i && name[i - 1] == ' ';)
			name[--i] = 0;
		if (!cJSON_GetObjectItemCaseSensitive(object, name) || *name == '@')
			return query_no_property(rep, type, name, strlen(name));
		s += n;
		if (!*s)
			break;
	}
	for (cJSON *m = object->child, *after; m; m = after) {
		after = m->next;
		if (*m->string != '@' && strcmp(m->string, "MetadataId") &&
		    !is_listed(select, m->string))
			cJSON_Delete(cJSON_DetachItemViaPointer(object, m));
	}
	return true;
}

/* "$select=a,b;$filter=c eq d" */
static bool inner(struct shape *s, const char *text, size_t len, struct reply *rep)
{
	const char *end = text + len;

	while (text < end) {
		size_t n = piece(text, ';');
		if (text + n > end)
			n = (size_t)(end - text);
		char **to = !strncmp(text, "$select=", 8)   ? &s->select
			    : !strncmp(text, "$filter=", 8) ? &s->filter
			    : !strncmp(text, "$expand=", 8) ? &s->expand
							    : NULL;
		if (!to || *to)
			return query_fail(rep,
					  "The query option '%.*s' is not supported in "
					  "$expand.",
					  (int)(n < 80 ? n : 80), text);
		*to = strndup(text + 8, n - 8);
		text += n + (text + n < end);
	}
	return true;
}

static bool expand_member(cJSON *object, const char *s, size_t len, const char *type, shape_nav nav,
			  void *user, const cJSON *whole, struct reply *rep)
{
	size_t n = 0;
	char name[80];
	struct shape in = {0};
	bool good = true;

	while (n < len && s[n] != '(')
		n++;
	snprintf(name, sizeof name, "%.*s", (int)(n < 79 ? n : 79), s);
	cJSON *value = nav ? nav(user, whole, name) : NULL;
	if (!value)
		return query_no_property(rep, type, name, strlen(name));
	if (n < len) {
		if (s[len - 1] != ')')
			good = query_fail(rep, "Syntax error in '$expand'.");
		good = good && inner(&in, s + n + 1, len - n - 2, rep);
	}
	if (good && cJSON_IsArray(value))
		good = shape_list(value, &in, name, nav, user, rep);
	else if (good && cJSON_IsObject(value))
		good = shape_object(value, in.select, in.expand, name, nav, user, rep);
	shape_free(&in);
	if (good)
		cJSON_AddItemToObject(object, name, value);
	else
		cJSON_Delete(value);
	return good;
}

bool shape_object(cJSON *object, const char *select, const char *expand, const char *type,
		  shape_nav nav, void *user, struct reply *rep)
{
	cJSON *whole = expand ? cJSON_Duplicate(object, true) : NULL;
	bool good = !select || select_members(object, select, type, rep);

	for (const char *s = expand; good && s;) {
		s += strspn(s, " ");
		size_t n = piece(s, ',');
		good = expand_member(object, s, n, type, nav, user, whole, rep);
		s = s[n] ? s + n + 1 : NULL;
	}
	cJSON_Delete(whole);
	return good;
}

bool shape_list(cJSON *list, const struct shape *s, const char *type, shape_nav nav, void *user,
		struct reply *rep)
{
	for (cJSON *o = list->child, *after; o; o = after) {
		int fits = s->filter ? shape_filter(s->filter, o, type, rep) : 1;
		after = o->next;
		if (fits < 0)
			return false;
		if (!fits)
			cJSON_Delete(cJSON_DetachItemViaPointer(list, o));
		else if (!shape_object(o, s->select, s->expand, type, nav, user, rep))
			return false;
	}
	return true;
}

/* ---- the request's -------------------------------------------------------------------------------- */

bool shape_read(struct shape *s, const struct request *req, struct reply *rep)
{
	*s = (struct shape){0};
	for (const char *at = req->query; *at;) {
		size_t n = strcspn(at, "&"), e = strcspn(at, "=");
		char *name = url_decode(at, e < n ? e : n, true);
		char *value = e < n ? url_decode(at + e + 1, n - e - 1, true) : strdup("");
		char **to = name && !strcmp(name, "$select")   ? &s->select
			    : name && !strcmp(name, "$expand") ? &s->expand
			    : name && !strcmp(name, "$filter") ? &s->filter
							       : NULL;
		bool harmless =
		    n == 0 || (name && (!strcmp(name, "tag") || !strcmp(name, "LabelLanguages")));
		if (to && value && !*to) {
			*to = value;
			value = NULL;
		} else if (!harmless) {
			query_fail(rep, "The query parameter %.80s is not supported",
				   name ? name : "with a malformed escape");
			free(name);
			free(value);
			return false;
		}
		free(name);
		free(value);
		at += n + (at[n] == '&');
	}
	return true;
}

void shape_free(struct shape *s)
{
	free(s->select);
	free(s->expand);
	free(s->filter);
	*s = (struct shape){0};
}
