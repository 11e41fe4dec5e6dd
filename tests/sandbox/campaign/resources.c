/* resources.c - reads the resource files.
 *
 * A file is one object:
 *   name, schema, label, singular   as answers and error texts call it
 *   key                             the identification key, one field; generatedKey: its prefix
 *                                   when a POST brings none
 *   builtIn, nested                 see store.h
 *   titleOf                         fields that make the title
 *   fields  name -> {type, length, readOnly, extension, default, values, stamp, dataPolicy, ..}
 *     yearsSince, domainOf: another field that this one follows from, and is not kept
 *     links {"type":"link", "resTarget":R, "cardinality":"1" or "0..1" (default),
 *            "join":{field here: field there} or nothing (by PKey or key in the body),
 *            "integrity":"neutral" (default of joins), "normal", "own" or "define"}
 *     collections {"type":"collection", "resTarget":R, "link":its link that leads back}
 *   filters  see filter.c
 */
#include "store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *json_text(const cJSON *o, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

bool json_flag(const cJSON *o, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, name));
}

static enum kind kind_of(const cJSON *json)
{
	const char *type = json_text(json, "type"), *raw = json_text(json, "resType");

	if (!type || !strcmp(type, "string"))
		return K_STRING;
	if (!strcmp(type, "boolean"))
		return K_BOOLEAN;
	if (!strcmp(type, "number"))
		return raw && !strcmp(raw, "double") ? K_DOUBLE : K_LONG;
	if (!strcmp(type, "date"))
		return K_DATE;
	if (!strcmp(type, "datetime"))
		return K_DATETIME;
	if (!strcmp(type, "enumeration"))
		return K_ENUM;
	return !strcmp(type, "link") ? K_LINK : K_COLLECTION;
}

static void read_fields(struct resource *r, const cJSON *fields, const char *prefix)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, fields)
	{
		const cJSON *inner = cJSON_GetObjectItemCaseSensitive(f, "content");
		const cJSON *length = cJSON_GetObjectItemCaseSensitive(f, "length");
		char path[100];
		snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", f->string);
		if (inner) {
			read_fields(r, inner, path);
			continue;
		}
		r->fields = realloc(r->fields, (size_t)(r->count + 1) * sizeof *r->fields);
		struct field *x = &r->fields[r->count++];
		*x = (struct field){.kind = kind_of(f),
				    .length = cJSON_IsNumber(length) ? length->valueint : 255,
				    .read_only = json_flag(f, "readOnly"),
				    .extension = json_flag(f, "extension"),
				    .v8_extension = json_flag(f, "v8Extension"),
				    .json = f,
				    .stamp = json_text(f, "stamp"),
				    .column = -1,
				    .target_field = -1,
				    .via = -1};
		memcpy(x->path, path, sizeof path);
	}
}

static int by_path(const void *a, const void *b)
{
	const struct field *x = a, *y = b;
	return strcmp(x->path, y->path);
}

static bool read_resource(struct store *s, const char *path, char *why, size_t size)
{
	char *data = calloc(1, 1 << 20);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(data, 1, (1 << 20) - 1, f) : 0;

	if (f)
		fclose(f);
	cJSON *json = n ? cJSON_Parse(data) : NULL;
	free(data);
	if (!json_text(json, "name") || !json_text(json, "key") || !json_text(json, "schema") ||
	    !json_text(json, "label")) {
		snprintf(why, size, "%s describes no resource: it wants name, schema, label, key",
			 path);
		cJSON_Delete(json);
		return false;
	}
	s->resources = realloc(s->resources, (size_t)(s->count + 1) * sizeof *s->resources);
	struct resource *r = &s->resources[s->count++];
	const char *singular = json_text(json, "singular");
	*r = (struct resource){.name = json_text(json, "name"),
			       .schema = json_text(json, "schema"),
			       .label = json_text(json, "label"),
			       .singular = singular ? singular : json_text(json, "label"),
			       .key = json_text(json, "key"),
			       .generated_key = json_text(json, "generatedKey"),
			       .built_in = json_flag(json, "builtIn"),
			       .nested = json_flag(json, "nested"),
			       .json = json,
			       .fields_json = cJSON_GetObjectItemCaseSensitive(json, "fields"),
			       .filters = cJSON_GetObjectItemCaseSensitive(json, "filters")};
	read_fields(r, r->fields_json, "");
	qsort(r->fields, (size_t)r->count, sizeof *r->fields, by_path);
	r->key_field = resource_field(r, r->key);
	if (r->key_field < 0) {
		snprintf(why, size, "%s: the key %s is no field", path, r->key);
		return false;
	}
	return true;
}

struct resource *store_resource(struct store *s, const char *name, size_t len)
{
	for (int i = 0; i < s->count; i++)
		if (strlen(s->resources[i].name) == len &&
		    !strncmp(s->resources[i].name, name, len))
			return &s->resources[i];
	return NULL;
}

int resource_field(const struct resource *r, const char *path)
{
	for (int i = 0; i < r->count; i++)
		if (!strcmp(r->fields[i].path, path))
			return i;
	return -1;
}

static bool bind_link(struct store *s, struct resource *r, struct field *f, char *why, size_t size)
{
	const char *name = json_text(f->json, "resTarget"),
		   *integrity = json_text(f->json, "integrity"),
		   *cardinality = json_text(f->json, "cardinality");
	const cJSON *join = cJSON_GetObjectItemCaseSensitive(f->json, "join");
	static const char *const words[] = {"neutral", "normal", "own", "define"};

	f->target = name ? store_resource(s, name, strlen(name)) : NULL;
	f->required = cardinality && !strcmp(cardinality, "1");
	f->integrity = join ? I_NEUTRAL : I_NORMAL;
	for (int i = 0; integrity && i < 4; i++)
		if (!strcmp(words[i], integrity))
			f->integrity = (enum integrity)i;
	if (join && join->child && f->target) {
		f->column = resource_field(r, join->child->string);
		f->target_field = join->child->valuestring
				      ? resource_field(f->target, join->child->valuestring)
				      : -1;
	}
	/* A join is on the target's key: that is how the record is found. */
	if (f->target && (!join || (f->column >= 0 && f->target_field == f->target->key_field)))
		return true;
	snprintf(why, size, "the link %s of %s leads nowhere", f->path, r->name);
	return false;
}

/* Pointers between resources, once all are there. */
static bool bind_all(struct store *s, char *why, size_t size)
{
	for (int i = 0; i < s->count; i++)
		for (int k = 0; k < s->resources[i].count; k++) {
			struct field *f = &s->resources[i].fields[k];
			if (f->kind == K_LINK && !bind_link(s, &s->resources[i], f, why, size))
				return false;
		}
	for (int i = 0; i < s->count; i++)
		for (int k = 0; k < s->resources[i].count; k++) {
			struct field *f = &s->resources[i].fields[k];
			const char *name = json_text(f->json, "resTarget"),
				   *link = json_text(f->json, "link");
			if (f->kind != K_COLLECTION)
				continue;
			f->target = name ? store_resource(s, name, strlen(name)) : NULL;
			f->via = f->target && link ? resource_field(f->target, link) : -1;
			if (f->via < 0) {
				snprintf(why, size, "the collection %s of %s has no way back",
					 f->path, s->resources[i].name);
				return false;
			}
		}
	/* As deep as resources are chained, and never for ever. */
	for (int round = 0; round < s->count; round++)
		for (int i = 0; i < s->count; i++) {
			struct resource *r = &s->resources[i];
			r->of_profile |= !strcmp(r->name, "profile");
			for (int k = 0; k < r->count; k++)
				r->of_profile |=
				    r->fields[k].kind == K_LINK && r->fields[k].target->of_profile;
		}
	return true;
}

static int is_json(const struct dirent *e)
{
	size_t n = strlen(e->d_name);
	return n > 5 && !strcmp(e->d_name + n - 5, ".json");
}

bool resources_read(struct store *s, const char *dir, char *why, size_t size)
{
	struct dirent **entries;
	bool ok = true;
	int n = scandir(dir, &entries, is_json, alphasort);

	if (n < 0) {
		snprintf(why, size, "the folder of resources %s cannot be read; see --resources",
			 dir);
		return false;
	}
	for (int i = 0; i < n; i++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
		ok = ok && read_resource(s, path, why, size);
		free(entries[i]);
	}
	free(entries);
	return ok && bind_all(s, why, size);
}

void resources_free(struct store *s)
{
	for (int i = 0; i < s->count; i++) {
		struct resource *r = &s->resources[i];
		for (int k = 0; k < r->count; k++)
			sqlite3_finalize(r->fields[k].referrers);
		sqlite3_finalize(r->by_id);
		sqlite3_finalize(r->by_key);
		sqlite3_finalize(r->any_by_key);
		sqlite3_finalize(r->insert);
		sqlite3_finalize(r->update);
		sqlite3_finalize(r->remove);
		free(r->fields);
		cJSON_Delete(r->json);
	}
	free(s->resources);
}
