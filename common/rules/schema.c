/* schema.c - see schema.h.  Avro specification 1.11, "Schema Resolution". */
#include "schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"
#include "record.h"

enum { NAMES_MAX = 64, DEPTH_MAX = 32 };

/* Named types seen so far: a name stands for its first definition. */
struct names {
	const char *name[NAMES_MAX];
	const cJSON *type[NAMES_MAX];
	size_t count;
};

struct comparison {
	struct names old, next;
	char *why;
	size_t size;
};

static void collect(struct names *names, const cJSON *type, int depth)
{
	const cJSON *item;
	const char *name = json_string(type, "name"), *kind = json_string(type, "type");

	if (depth > DEPTH_MAX)
		return;
	if (cJSON_IsArray(type)) {
		cJSON_ArrayForEach(item, type) collect(names, item, depth + 1);
		return;
	}
	if (name && kind && (!strcmp(kind, "record") || !strcmp(kind, "enum")) &&
	    names->count < NAMES_MAX) {
		names->name[names->count] = name;
		names->type[names->count++] = type;
	}
	if (kind && !strcmp(kind, "array"))
		collect(names, cJSON_GetObjectItemCaseSensitive(type, "items"), depth + 1);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(type, "fields"))
	    collect(names, cJSON_GetObjectItemCaseSensitive(item, "type"), depth + 1);
}

/* The definition behind a type: names looked up; a text like "string" stays. */
static const cJSON *resolve(const struct names *names, const cJSON *type)
{
	const char *text = cJSON_GetStringValue(type);
	for (size_t i = 0; text && i < names->count; i++)
		if (!strcmp(names->name[i], text))
			return names->type[i];
	return type;
}

/* A union of null and one other: the other one; *nullable says so. */
static const cJSON *strip_null(const struct names *names, const cJSON *type, bool *nullable)
{
	const cJSON *first = cJSON_GetArrayItem(type, 0);

	*nullable = false;
	if (!cJSON_IsArray(type) || cJSON_GetArraySize(type) != 2)
		return resolve(names, type);
	if (cJSON_IsString(first) && !strcmp(first->valuestring, "null")) {
		*nullable = true;
		return resolve(names, cJSON_GetArrayItem(type, 1));
	}
	return resolve(names, type);
}

/* "int", "long (timestamp-millis)", "record Choice" … */
static void describe(const cJSON *type, char *out, size_t size)
{
	const char *kind = cJSON_GetStringValue(type);
	const char *logical = json_string(type, "logicalType"), *name = json_string(type, "name");

	if (!kind)
		kind = json_string(type, "type");
	if (cJSON_IsArray(type))
		kind = "union";
	snprintf(out, size, "%s%s%s%s%s%s", kind ? kind : "?", name ? " " : "", name ? name : "",
		 logical ? " (" : "", logical ? logical : "", logical ? ")" : "");
}

static bool widens(const char *old, const char *next)
{
	return (!strcmp(old, "int") && (!strcmp(next, "long") || !strcmp(next, "double"))) ||
	       (!strcmp(old, "long") && !strcmp(next, "double")) ||
	       (!strcmp(old, "float") && !strcmp(next, "double"));
}

static bool fits(struct comparison *c, const cJSON *old, const cJSON *next, const char *path,
		 int depth);

static bool fields_fit(struct comparison *c, const cJSON *old, const cJSON *next, const char *path,
		       int depth)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, cJSON_GetObjectItemCaseSensitive(next, "fields"))
	{
		const char *name = json_string(f, "name");
		const cJSON *before = name ? record_schema_field(old, name) : NULL;
		char inner[300];
		if (!name)
			continue;
		snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", name);
		if (!before && !cJSON_GetObjectItemCaseSensitive(f, "default")) {
			snprintf(c->why, c->size, "the field %s is new and has no default", inner);
			return false;
		}
		if (before && !fits(c, cJSON_GetObjectItemCaseSensitive(before, "type"),
				    cJSON_GetObjectItemCaseSensitive(f, "type"), inner, depth + 1))
			return false;
	}
	return true;
}

static bool symbols_fit(struct comparison *c, const cJSON *old, const cJSON *next, const char *path)
{
	const cJSON *s, *t;

	cJSON_ArrayForEach(s, cJSON_GetObjectItemCaseSensitive(old, "symbols"))
	{
		bool found = false;
		cJSON_ArrayForEach(t, cJSON_GetObjectItemCaseSensitive(next, "symbols")) found |=
		    cJSON_IsString(s) && cJSON_IsString(t) &&
		    !strcmp(s->valuestring, t->valuestring);
		if (!found) {
			snprintf(c->why, c->size, "the field %s loses the symbol %s", path,
				 cJSON_IsString(s) ? s->valuestring : "?");
			return false;
		}
	}
	return true;
}

static bool fits(struct comparison *c, const cJSON *old, const cJSON *next, const char *path,
		 int depth)
{
	bool old_null, next_null;
	char a[200], b[200];
	const char *old_kind, *next_kind, *name_a, *name_b, *log_a, *log_b;

	if (depth > DEPTH_MAX)
		return true;
	old = strip_null(&c->old, old, &old_null);
	next = strip_null(&c->next, next, &next_null);
	describe(old, a, sizeof a);
	describe(next, b, sizeof b);
	old_kind = cJSON_IsString(old) ? old->valuestring : json_string(old, "type");
	next_kind = cJSON_IsString(next) ? next->valuestring : json_string(next, "type");
	if (old_null && !next_null) {
		snprintf(c->why, c->size, "the field %s could be null and cannot any more", path);
		return false;
	}
	if (!old_kind || !next_kind ||
	    (strcmp(old_kind, next_kind) && !widens(old_kind, next_kind))) {
		snprintf(c->why, c->size, "the field %s changes from %s to %s", path, a, b);
		return false;
	}
	log_a = json_string(old, "logicalType");
	log_b = json_string(next, "logicalType");
	name_a = json_string(old, "name");
	name_b = json_string(next, "name");
	if (strcmp(log_a ? log_a : "", log_b ? log_b : "") ||
	    strcmp(name_a ? name_a : "", name_b ? name_b : "")) {
		snprintf(c->why, c->size, "the field %s changes from %s to %s", path, a, b);
		return false;
	}
	if (!strcmp(next_kind, "record"))
		return fields_fit(c, old, next, path, depth);
	if (!strcmp(next_kind, "enum"))
		return symbols_fit(c, old, next, path);
	if (!strcmp(next_kind, "array"))
		return fits(c, cJSON_GetObjectItemCaseSensitive(old, "items"),
			    cJSON_GetObjectItemCaseSensitive(next, "items"), path, depth + 1);
	return true;
}

bool schema_compatible(const char *old, const char *next, char *why, size_t size)
{
	cJSON *a = json_parse(old, strlen(old)), *b = json_parse(next, strlen(next));
	struct comparison c = {.why = why, .size = size};
	bool good = false;

	if (a && b) {
		collect(&c.old, a, 0);
		collect(&c.next, b, 0);
		good = fits(&c, a, b, "", 0);
	} else {
		snprintf(why, size, "one of them is no JSON");
	}
	cJSON_Delete(a);
	cJSON_Delete(b);
	return good;
}

enum result schema_register(struct registry *r, const char *topic, const char *schema, int32_t *id,
			    struct error *err)
{
	_cleanup_(freep) char *subject = xasprintf("%s-value", topic), *latest = NULL;
	char why[400];
	enum result result = registry_lookup(r, subject, schema, id, err);

	if (result != REJECT)
		return result;
	result = registry_latest(r, subject, &latest, err);
	if (result != OK)
		return result;
	if (latest && !schema_compatible(latest, schema, why, sizeof why))
		return error_config(err, "incompatible-schema",
				    "%s: %s; readers of the topic could not read both. Undo the "
				    "change, or use a new name for the field",
				    subject, why);
	return registry_add(r, subject, schema, id, err);
}
