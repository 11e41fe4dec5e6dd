/* metadata.c - see metadata.h. */
#include "metadata.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "json.h"

enum { METADATA_FILE_MAX = 8 << 20 };

static const struct {
	const char *kind;
	enum column_type type;
} column_kinds[] = {
    {"String", COLUMN_STRING},
    {"Memo", COLUMN_STRING},
    {"Uniqueidentifier", COLUMN_GUID},
    {"Boolean", COLUMN_BOOLEAN},
    {"Integer", COLUMN_INT},
    {"BigInt", COLUMN_LONG},
    {"Double", COLUMN_DOUBLE},
    {"Decimal", COLUMN_DECIMAL},
    {"Money", COLUMN_DECIMAL},
    {"DateTime", COLUMN_DATETIME},
    {"DateTime/DateOnly", COLUMN_DATE},
    {"DateTime/TimeZoneIndependent", COLUMN_DATETIME}, /* a clock on some wall, as if UTC */
    {"Picklist", COLUMN_CHOICE},
    {"State", COLUMN_CHOICE},
    {"Status", COLUMN_CHOICE},
    {"MultiSelectPicklistType", COLUMN_CHOICES},
    {"Lookup", COLUMN_LOOKUP},
    {"Customer", COLUMN_LOOKUP},
    {"Owner", COLUMN_LOOKUP},
    {"EntityName", COLUMN_STRING},
    {"FileType", COLUMN_GUID}, /* references: the bytes are not read */
    {"ImageType", COLUMN_GUID},
};

static const struct {
	const char *kind;
	enum attribute_type type;
} attribute_kinds[] = {
    {"string", ATTRIBUTE_STRING},     {"memo", ATTRIBUTE_STRING},
    {"boolean", ATTRIBUTE_BOOLEAN},   {"long", ATTRIBUTE_LONG},
    {"short", ATTRIBUTE_LONG},	      {"byte", ATTRIBUTE_LONG},
    {"int64", ATTRIBUTE_LONG},	      {"integer", ATTRIBUTE_LONG},
    {"double", ATTRIBUTE_DOUBLE},     {"float", ATTRIBUTE_DOUBLE},
    {"number", ATTRIBUTE_DOUBLE},     {"date", ATTRIBUTE_DATE},
    {"datetime", ATTRIBUTE_DATETIME}, {"enumeration", ATTRIBUTE_ENUM},
    {"link", ATTRIBUTE_LINK},
};

const char *column_type_name(enum column_type t)
{
	static const char *const names[] = {
	    "string", "guid",	  "boolean", "int",	"long",	  "double",	"decimal",
	    "date",   "datetime", "choice",  "choices", "lookup", "unsupported"};
	return names[t];
}

const char *attribute_type_name(enum attribute_type t)
{
	static const char *const names[] = {"string",	   "boolean", "integer",
					    "number",	   "date",    "datetime",
					    "enumeration", "link",    "unsupported"};
	return names[t];
}

char *column_property(const struct column *c)
{
	if (c->type == COLUMN_LOOKUP)
		return xasprintf("_%s_value", c->name);
	if (!strcmp(c->kind, "ImageType"))
		return xasprintf("%sid", c->name);
	return xstrdup(c->name);
}

enum column_type column_type_of(const char *kind)
{
	for (size_t i = 0; i < sizeof column_kinds / sizeof *column_kinds; i++)
		if (!strcmp(kind, column_kinds[i].kind))
			return column_kinds[i].type;
	return COLUMN_OTHER;
}

enum attribute_type attribute_type_of(const char *kind)
{
	for (size_t i = 0; i < sizeof attribute_kinds / sizeof *attribute_kinds; i++)
		if (!strcmp(kind, attribute_kinds[i].kind))
			return attribute_kinds[i].type;
	return ATTRIBUTE_OTHER;
}

/* ---- building --------------------------------------------------------------------------------- */

struct table *table_new(const char *name)
{
	struct table *t = xcalloc(1, sizeof *t);
	t->name = xstrdup(name);
	t->entity_set = xstrdup("");
	t->primary_id = xstrdup("");
	return t;
}

struct column *table_add(struct table *t, const char *name, const char *kind)
{
	t->columns = xrealloc(t->columns, (t->column_count + 1) * sizeof *t->columns);
	struct column *c = &t->columns[t->column_count++];
	*c = (struct column){
	    .name = xstrdup(name), .kind = xstrdup(kind), .type = column_type_of(kind)};
	return c;
}

void column_add_option(struct column *c, int64_t value, const char *label)
{
	c->options = xrealloc(c->options, (c->option_count + 1) * sizeof *c->options);
	c->options[c->option_count++] = (struct column_option){value, xstrdup(label)};
}

void column_add_target(struct column *c, const char *table, const char *navigation)
{
	c->targets = xrealloc(c->targets, (c->target_count + 1) * sizeof *c->targets);
	c->targets[c->target_count++] = (struct column_target){xstrdup(table), xstrdup(navigation)};
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct column *)a)->name, ((const struct column *)b)->name);
}

static int by_target(const void *a, const void *b)
{
	return strcmp(((const struct column_target *)a)->table,
		      ((const struct column_target *)b)->table);
}

void table_sort(struct table *t)
{
	if (t->column_count)
		qsort(t->columns, t->column_count, sizeof *t->columns, by_name);
	for (size_t i = 0; i < t->column_count; i++)
		if (t->columns[i].target_count)
			qsort(t->columns[i].targets, t->columns[i].target_count,
			      sizeof *t->columns[i].targets, by_target);
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->column_count; i++) {
		struct column *c = &t->columns[i];
		for (size_t j = 0; j < c->option_count; j++)
			free(c->options[j].label);
		for (size_t j = 0; j < c->target_count; j++) {
			free(c->targets[j].table);
			free(c->targets[j].navigation);
		}
		free(c->options);
		free(c->targets);
		free(c->name);
		free(c->kind);
	}
	free(t->columns);
	free(t->name);
	free(t->entity_set);
	free(t->primary_id);
	free(t);
}

struct resource *resource_new(const char *name, const char *path)
{
	struct resource *r = xcalloc(1, sizeof *r);
	r->name = xstrdup(name);
	r->path = xstrdup(path);
	return r;
}

struct attribute *resource_add(struct resource *r, const char *path, const char *kind)
{
	r->attributes = xrealloc(r->attributes, (r->attribute_count + 1) * sizeof *r->attributes);
	struct attribute *a = &r->attributes[r->attribute_count++];
	*a = (struct attribute){
	    .path = xstrdup(path), .kind = xstrdup(kind), .type = attribute_type_of(kind)};
	return a;
}

void attribute_add_value(struct attribute *a, const char *name)
{
	a->values = xrealloc(a->values, (a->value_count + 1) * sizeof *a->values);
	a->values[a->value_count++] = xstrdup(name);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct attribute *)a)->path, ((const struct attribute *)b)->path);
}

void resource_sort(struct resource *r)
{
	if (r->attribute_count)
		qsort(r->attributes, r->attribute_count, sizeof *r->attributes, by_path);
}

void resource_free(struct resource *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->attribute_count; i++) {
		struct attribute *a = &r->attributes[i];
		for (size_t j = 0; j < a->value_count; j++)
			free(a->values[j]);
		free(a->values);
		free(a->target);
		free(a->path);
		free(a->kind);
	}
	free(r->attributes);
	free(r->name);
	free(r->path);
	free(r);
}

/* ---- looking up ------------------------------------------------------------------------------- */

const struct column *table_column(const struct table *t, const char *name)
{
	struct column key = {.name = (char *)name};
	return t->column_count
		   ? bsearch(&key, t->columns, t->column_count, sizeof *t->columns, by_name)
		   : NULL;
}

const struct attribute *resource_attribute(const struct resource *r, const char *path)
{
	struct attribute key = {.path = (char *)path};
	return r->attribute_count ? bsearch(&key, r->attributes, r->attribute_count,
					    sizeof *r->attributes, by_path)
				  : NULL;
}

/* ---- files ------------------------------------------------------------------------------------ */

static enum result read_file(const char *path, const char *name, cJSON **out, struct error *err)
{
	struct buffer text = BUFFER(METADATA_FILE_MAX);
	char piece[65536];
	size_t n;
	FILE *f = fopen(path, "re");

	if (!f)
		return error_config(err, "metadata",
				    "%s cannot be read (%s); `tideway metadata pull` writes the "
				    "saved metadata of %s",
				    path, strerror(errno), name);
	while ((n = fread(piece, 1, sizeof piece, f)) > 0)
		buffer_append(&text, piece, n);
	fclose(f);
	*out = text.overflow || !text.data ? NULL : json_parse(text.data, text.len);
	buffer_free(&text);
	if (!cJSON_IsObject(*out)) {
		cJSON_Delete(*out);
		return error_config(
		    err, "metadata",
		    "%s is no metadata file; `tideway metadata pull` writes it anew", path);
	}
	return OK;
}

static enum result write_file(const char *path, const cJSON *json, struct error *err)
{
	_cleanup_(freep) char *text = cJSON_Print(json);
	_cleanup_(freep) char *temporary = xasprintf("%s.new", path);
	FILE *f = fopen(temporary, "we");
	bool good = f && fputs(text, f) >= 0 && fputc('\n', f) != EOF;

	if (f)
		good = !fclose(f) && good;
	if (good && !rename(temporary, path))
		return OK;
	int saved = errno;
	unlink(temporary);
	return error_config(err, "metadata", "%s cannot be written: %s", path, strerror(saved));
}

static void replace(char **to, const char *with)
{
	free(*to);
	*to = xstrdup(with ? with : "");
}

enum result table_load(const char *dir, const char *name, struct table **out, struct error *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/dataverse.%s.json", dir, name);
	cJSON *json;
	enum result r = read_file(path, name, &json, err);

	if (r != OK)
		return r;
	struct table *t = table_new(name);
	replace(&t->entity_set, json_string(json, "entity_set"));
	replace(&t->primary_id, json_string(json, "primary_id"));
	t->change_tracking = json_is_true(json, "change_tracking");
	const cJSON *columns = cJSON_GetObjectItemCaseSensitive(json, "columns"), *c, *o;
	cJSON_ArrayForEach(c, columns)
	{
		const char *kind = json_string(c, "type");
		struct column *column = table_add(t, c->string, kind ? kind : "");
		json_int(c, "max_length", &column->max_length);
		cJSON_ArrayForEach(o, cJSON_GetObjectItemCaseSensitive(c, "options"))
		{
			int64_t value;
			if (cJSON_IsString(o) &&
			    text_to_int(o->string, INT32_MIN, INT32_MAX, &value))
				column_add_option(column, value, o->valuestring);
		}
		cJSON_ArrayForEach(o, cJSON_GetObjectItemCaseSensitive(c, "targets"))
		    column_add_target(column, o->string, o->valuestring ? o->valuestring : "");
	}
	cJSON_Delete(json);
	table_sort(t);
	if (!*t->entity_set || !*t->primary_id || !t->column_count) {
		table_free(t);
		return error_config(
		    err, "metadata",
		    "%s is no metadata file; `tideway metadata pull` writes it anew", path);
	}
	*out = t;
	return OK;
}

enum result table_save(const char *dir, const struct table *t, struct error *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/dataverse.%s.json", dir, t->name);
	cJSON *json = cJSON_CreateObject();

	mkdir(dir, 0777);
	cJSON_AddStringToObject(json, "table", t->name);
	cJSON_AddStringToObject(json, "entity_set", t->entity_set);
	cJSON_AddStringToObject(json, "primary_id", t->primary_id);
	cJSON_AddBoolToObject(json, "change_tracking", t->change_tracking);
	cJSON *columns = cJSON_AddObjectToObject(json, "columns");
	for (size_t i = 0; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];
		cJSON *o = cJSON_AddObjectToObject(columns, c->name);
		cJSON_AddStringToObject(o, "type", c->kind);
		if (c->max_length)
			cJSON_AddNumberToObject(o, "max_length", (double)c->max_length);
		cJSON *options = c->option_count ? cJSON_AddObjectToObject(o, "options") : NULL;
		for (size_t j = 0; j < c->option_count; j++) {
			char number[24];
			snprintf(number, sizeof number, "%lld", (long long)c->options[j].value);
			cJSON_AddStringToObject(options, number, c->options[j].label);
		}
		cJSON *targets = c->target_count ? cJSON_AddObjectToObject(o, "targets") : NULL;
		for (size_t j = 0; j < c->target_count; j++)
			cJSON_AddStringToObject(targets, c->targets[j].table,
						c->targets[j].navigation);
	}
	enum result r = write_file(path, json, err);
	cJSON_Delete(json);
	return r;
}

enum result resource_load(const char *dir, const char *name, struct resource **out,
			  struct error *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/campaign.%s.json", dir, name);
	cJSON *json;
	enum result r = read_file(path, name, &json, err);

	if (r != OK)
		return r;
	const char *api = json_string(json, "path");
	struct resource *res = resource_new(name, api ? api : "");
	const cJSON *a, *v;
	cJSON_ArrayForEach(a, cJSON_GetObjectItemCaseSensitive(json, "attributes"))
	{
		const char *kind = json_string(a, "type");
		struct attribute *attribute = resource_add(res, a->string, kind ? kind : "");
		json_int(a, "length", &attribute->length);
		attribute->read_only = json_is_true(a, "read_only");
		const char *target = json_string(a, "target");
		attribute->target = target ? xstrdup(target) : NULL;
		cJSON_ArrayForEach(
		    v, cJSON_GetObjectItemCaseSensitive(a, "values")) if (cJSON_IsString(v))
		    attribute_add_value(attribute, v->valuestring);
	}
	cJSON_Delete(json);
	resource_sort(res);
	if (!*res->path || !res->attribute_count) {
		resource_free(res);
		return error_config(
		    err, "metadata",
		    "%s is no metadata file; `tideway metadata pull` writes it anew", path);
	}
	*out = res;
	return OK;
}

enum result resource_save(const char *dir, const struct resource *res, struct error *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/campaign.%s.json", dir, res->name);
	cJSON *json = cJSON_CreateObject();

	mkdir(dir, 0777);
	cJSON_AddStringToObject(json, "resource", res->name);
	cJSON_AddStringToObject(json, "path", res->path);
	cJSON *attributes = cJSON_AddObjectToObject(json, "attributes");
	for (size_t i = 0; i < res->attribute_count; i++) {
		const struct attribute *a = &res->attributes[i];
		cJSON *o = cJSON_AddObjectToObject(attributes, a->path);
		cJSON_AddStringToObject(o, "type", a->kind);
		if (a->length)
			cJSON_AddNumberToObject(o, "length", (double)a->length);
		if (a->read_only)
			cJSON_AddTrueToObject(o, "read_only");
		if (a->target)
			cJSON_AddStringToObject(o, "target", a->target);
		cJSON *values = a->value_count ? cJSON_AddArrayToObject(o, "values") : NULL;
		for (size_t j = 0; j < a->value_count; j++)
			cJSON_AddItemToArray(values, cJSON_CreateString(a->values[j]));
	}
	enum result r = write_file(path, json, err);
	cJSON_Delete(json);
	return r;
}

/* ---- comparing -------------------------------------------------------------------------------- */

enum result table_same(const struct table *saved, const struct table *live,
		       const char *const *columns, size_t n, struct error *err)
{
	if (strcmp(saved->entity_set, live->entity_set) ||
	    strcmp(saved->primary_id, live->primary_id))
		return error_config(err, "metadata-changed",
				    "table %s: entity set or primary id differ from the saved "
				    "metadata; run `tideway metadata pull` and `tideway check`",
				    saved->name);
	for (size_t i = 0; i < n; i++) {
		const struct column *s = table_column(saved, columns[i]);
		const struct column *l = table_column(live, columns[i]);
		if (s && !l)
			return error_config(err, "metadata-changed",
					    "table %s: column %s does not exist any more, or the "
					    "application user may not read it",
					    saved->name, columns[i]);
		if (s && strcmp(s->kind, l->kind))
			return error_config(err, "metadata-changed",
					    "table %s: column %s is %s, the saved metadata says "
					    "%s; run `tideway metadata pull` and `tideway check`",
					    saved->name, columns[i], l->kind, s->kind);
	}
	return OK;
}

/* The first value that Campaign does not know any more, or NULL. */
static const char *value_gone(const struct attribute *saved, const struct attribute *live)
{
	for (size_t i = 0; i < saved->value_count; i++) {
		bool found = false;
		for (size_t j = 0; j < live->value_count && !found; j++)
			found = !strcmp(saved->values[i], live->values[j]);
		if (!found)
			return saved->values[i];
	}
	return NULL;
}

enum result resource_same(const struct resource *saved, const struct resource *live,
			  const char *const *paths, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct attribute *s = resource_attribute(saved, paths[i]);
		const struct attribute *l = resource_attribute(live, paths[i]);
		if (s && !l)
			return error_config(err, "metadata-changed",
					    "resource %s: attribute %s does not exist any more",
					    saved->name, paths[i]);
		if (s && strcmp(s->kind, l->kind))
			return error_config(
			    err, "metadata-changed",
			    "resource %s: attribute %s is %s, the saved metadata "
			    "says %s; run `tideway metadata pull` and `tideway check`",
			    saved->name, paths[i], l->kind, s->kind);
		if (s && l->length && (!s->length || l->length < s->length))
			return error_config(
			    err, "metadata-changed",
			    "resource %s: attribute %s takes %d characters, the saved "
			    "metadata says %d; run `tideway metadata pull`",
			    saved->name, paths[i], (int)l->length, (int)s->length);
		const char *gone = s ? value_gone(s, l) : NULL;
		if (gone)
			return error_config(
			    err, "metadata-changed",
			    "resource %s: attribute %s does not take \"%s\" any more; "
			    "run `tideway metadata pull` and `tideway check`",
			    saved->name, paths[i], gone);
	}
	return OK;
}
