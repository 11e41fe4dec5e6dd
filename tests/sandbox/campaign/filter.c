/* filter.c - the filters that a resource's file declares, as SQL conditions.
 *
 * "Filtering", "Retrieving profiles" (byText: case-sensitive, prefixes only, filterType) and "Use
 * case: calling a resource using a composite identification key".  A file declares
 *   "filters": {NAME: {"label":.., "builtIn":true?, "v8":name?,
 *                      "parameters": {QUERY PARAMETER: {"field":F, "operator":O}
 *                                    or {"fields":[..], "operator":O}},
 *                      "filterTypes": {filterType: field}?}}
 * with NAME as it stands in the URL ("byCardId"), O one of = startsWith contains < <= > >=.  A
 * filter that is not built in is there under profileAndServicesExt and customResources only; in v8
 * it has its own name, without "by".  All parameters of a filter must be given: a filter that
 * quietly lets everything through is nobody's wish.  Filters in a row are joined by AND.
 */
#include "api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const struct call *call, const cJSON *filter)
{
	const char *other = json_text(filter, "v8");
	return call->c->store.v8 && !json_flag(filter, "builtIn") && other ? other : filter->string;
}

static const cJSON *filter_named(const struct call *call, const struct resource *r,
				 const char *name)
{
	const cJSON *f;
	cJSON_ArrayForEach(f, r->filters) if (!strcmp(name_of(call, f), name) &&
					      (call->root != ROOT_PLAIN || json_flag(f, "builtIn")))
	{
		return f;
	}
	return NULL;
}

static void add(char *out, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void add(char *out, size_t size, const char *fmt, ...)
{
	size_t n = strlen(out);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(out + n, size - n, fmt, ap);
	va_end(ap);
}

static bool numeric(const struct field *f)
{
	return f->kind == K_LONG || f->kind == K_DOUBLE;
}

/* One comparison with the value bound as ?n. */
static void compare(struct query *q, const struct field *f, const char *op, int n)
{
	if (!strcmp(op, "startsWith"))
		add(q->where, sizeof q->where, "substr(t.\"%s\",1,length(?%d))=?%d", f->path, n, n);
	else if (!strcmp(op, "contains"))
		add(q->where, sizeof q->where, "instr(t.\"%s\",?%d)>0", f->path, n);
	else if (numeric(f) && strcmp(op, "="))
		add(q->where, sizeof q->where,
		    "t.\"%s\"<>'' AND CAST(t.\"%s\" AS REAL)%sCAST(?%d AS REAL)", f->path, f->path,
		    op, n);
	else
		add(q->where, sizeof q->where, "t.\"%s\"%s?%d", f->path, op, n);
}

static bool one_parameter(const struct call *call, struct resource *r, const cJSON *filter,
			  const cJSON *p, struct query *q)
{
	char *v = query_get(call->req, p->string), *type = query_get(call->req, "filterType");
	const cJSON *types = cJSON_GetObjectItemCaseSensitive(filter, "filterTypes"), *one;
	const char *field = json_text(p, "field"), *op = json_text(p, "operator");
	bool ok = false;

	if (!v || strlen(v) > 400 || q->bound_count == 24 || q->used_count > 40 ||
	    strlen(q->parameters) > 600) {
		fail_detail(call, "XTK-170006 The filter '%s' wants the parameter '%s'.",
			    filter->string, p->string);
		goto out;
	}
	if (type && types && !(field = json_text(types, type))) {
		fail_detail(call, "XTK-170006 The filter '%s' has no filterType '%.80s'.",
			    filter->string, type);
		goto out;
	}
	if (type && types)
		q->used[q->used_count++] = "filterType";
	q->bound[q->bound_count++] = strdup(v);
	q->used[q->used_count++] = p->string;
	char *escaped = url_encode(v);
	add(q->parameters, sizeof q->parameters, "&%s=%s", p->string, escaped);
	free(escaped);
	if (type && types)
		add(q->parameters, sizeof q->parameters, "&filterType=%s", field);
	add(q->where, sizeof q->where, " AND (0");
	if (field) {
		int i = resource_field(r, field);
		if (i >= 0 && r->fields[i].kind != K_STRING && *v) {
			cJSON *json = cJSON_CreateString(v);
			char *as = value_accept(call, r, &r->fields[i], json);
			cJSON_Delete(json);
			if (!as)
				goto out;
			free(q->bound[q->bound_count - 1]);
			q->bound[q->bound_count - 1] = as;
		}
		if (i >= 0) {
			add(q->where, sizeof q->where, " OR ");
			compare(q, &r->fields[i], op ? op : "=", q->bound_count);
		}
	} else {
		cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(p, "fields"))
		{
			int i = resource_field(r, one->valuestring);
			if (i < 0)
				continue;
			add(q->where, sizeof q->where, " OR ");
			compare(q, &r->fields[i], op ? op : "=", q->bound_count);
		}
	}
	add(q->where, sizeof q->where, ")");
	ok = true;
out:
	free(v);
	free(type);
	return ok;
}

int filter_apply(const struct call *call, struct resource *r, const char *name, struct query *q)
{
	const cJSON *f = filter_named(call, r, name), *p;

	if (!f)
		return 0;
	cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(
				  f, "parameters")) if (!one_parameter(call, r, f, p, q))
	{
		return -1;
	}
	add(q->path, sizeof q->path, "%s/", name);
	return 1;
}

void query_free(struct query *q)
{
	for (int i = 0; i < q->bound_count; i++)
		free(q->bound[i]);
}

cJSON *filter_metadata(const struct call *call, const struct resource *r)
{
	cJSON *o = cJSON_CreateObject();
	const cJSON *f, *p;

	cJSON_ArrayForEach(f, r->filters)
	{
		char pkey[100], data[600];
		const char *name = name_of(call, f);
		if (!filter_named(call, r, name))
			continue;
		cJSON *n = cJSON_AddObjectToObject(o, name);
		store_pkey(&call->c->store, PKEY_FILTERS, 1, pkey);
		cJSON_AddStringToObject(n, "PKey", pkey);
		cJSON_AddStringToObject(n, "category", "99_none");
		cJSON *condition = cJSON_AddObjectToObject(n, "condition");
		snprintf(data, sizeof data, "/%s/%s/%s", root_names[call->root], r->name, name);
		cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(f, "parameters"))
		{
			const char *field = json_text(p, "field"), *op = json_text(p, "operator");
			char text[300];
			add(data, sizeof data, "%c%s=$value", strchr(data, '?') ? '&' : '?',
			    p->string);
			snprintf(text, sizeof text, "@%s %s $(%s)", field ? field : "email",
				 op ? op : "=", p->string);
			cJSON_AddStringToObject(cJSON_AddObjectToObject(condition, p->string),
						"expr", text);
		}
		cJSON_AddStringToObject(n, "data", data);
		cJSON_AddStringToObject(n, "formType", "none");
		cJSON_AddStringToObject(n, "fragmentName", "");
		cJSON_AddStringToObject(n, "label",
					json_text(f, "label") ? json_text(f, "label") : name);
		cJSON_AddStringToObject(n, "metadata", "filter");
	}
	return o;
}
