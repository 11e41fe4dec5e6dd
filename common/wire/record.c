/* record.c - see record.h. */
#include "record.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"
#include "clock.h"

static size_t allocation_max = RECORD_ALLOC_MAX;

static void *limited_alloc(void *user, void *ptr, size_t old_size, size_t new_size)
{
	(void)user, (void)old_size;
	if (!new_size) {
		free(ptr);
		return NULL;
	}
	return new_size > allocation_max ? NULL : xrealloc(ptr, new_size);
}

void record_limit_allocations(void)
{
	avro_set_allocator(limited_alloc, NULL);
}

void record_limit_allocation(size_t max)
{
	allocation_max = max && max < RECORD_ALLOC_MAX ? max : RECORD_ALLOC_MAX;
}

enum result record_class_new(struct record_class *c, const char *json, struct error *err)
{
	*c = (struct record_class){0};
	if (avro_schema_from_json_length(json, strlen(json), &c->schema))
		return error_config(err, "schema", "a schema cannot be read: %s", avro_strerror());
	c->json = xstrdup(json);
	c->iface = avro_generic_class_from_schema(c->schema);
	if (!c->iface) {
		record_class_free(c);
		return error_config(err, "schema", "a schema cannot be used: %s", avro_strerror());
	}
	return OK;
}

void record_class_free(struct record_class *c)
{
	free(c->json);
	if (c->iface)
		avro_value_iface_decref(c->iface);
	if (c->schema)
		avro_schema_decref(c->schema);
	*c = (struct record_class){0};
}

void record_new(const struct record_class *c, avro_value_t *out)
{
	int rc = avro_generic_value_new(c->iface, out);
	assert(rc == 0);
	(void)rc;
}

avro_value_t record_field(const avro_value_t *record, size_t index)
{
	avro_value_t field;
	int rc = avro_value_get_by_index(record, index, &field, NULL);
	assert(rc == 0);
	(void)rc;
	return field;
}

int record_index(const avro_value_t *record, const char *name)
{
	avro_schema_t schema = avro_value_get_schema(record);
	return avro_schema_record_field_get_index(schema, name);
}

const cJSON *record_schema_field(const cJSON *record, const char *name)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, cJSON_GetObjectItemCaseSensitive(record, "fields"))
	{
		const char *n = json_string(f, "name");
		if (n && !strcmp(n, name))
			return f;
	}
	return NULL;
}

void record_set_null(avro_value_t *field)
{
	avro_value_t branch;
	avro_value_set_branch(field, 0, &branch);
	avro_value_set_null(&branch);
}

avro_value_t record_set_some(avro_value_t *field)
{
	avro_value_t branch;
	if (avro_value_get_type(field) != AVRO_UNION)
		return *field;
	int rc = avro_value_set_branch(field, 1, &branch);
	assert(rc == 0);
	(void)rc;
	return branch;
}

bool record_some(const avro_value_t *field, avro_value_t *out)
{
	int branch;
	if (avro_value_get_type(field) != AVRO_UNION) {
		*out = *field;
		return true;
	}
	if (avro_value_get_discriminant(field, &branch) ||
	    avro_value_get_current_branch(field, out))
		return false;
	return avro_value_get_type(out) != AVRO_NULL;
}

void record_set_text(avro_value_t *field, const char *text, size_t len)
{
	/* libavro counts the NUL, and copies. */
	if (text[len] == 0) {
		avro_value_set_string_len(field, text, len + 1);
		return;
	}
	_cleanup_(freep) char *copy = xstrndup(text, len);
	avro_value_set_string_len(field, copy, len + 1);
}

const char *record_text(const avro_value_t *string, size_t *len)
{
	const char *text = "";
	size_t size = 1;
	int rc = avro_value_get_string(string, &text, &size);
	assert(rc == 0);
	(void)rc;
	if (len)
		*len = size ? size - 1 : 0;
	return text;
}

int64_t record_long(const avro_value_t *number)
{
	int32_t i = 0;
	int64_t l = 0;
	if (avro_value_get_type(number) == AVRO_INT32)
		avro_value_get_int(number, &i);
	else
		avro_value_get_long(number, &l);
	return avro_value_get_type(number) == AVRO_INT32 ? i : l;
}

int record_enum(const avro_value_t *value)
{
	int symbol = 0;
	avro_value_get_enum(value, &symbol);
	return symbol;
}

/* ---- by name ---------------------------------------------------------------------------------- */

static bool copy_record(const avro_value_t *src, avro_value_t *dst)
{
	size_t n;
	avro_value_get_size(dst, &n);
	for (size_t i = 0; i < n; i++) {
		avro_value_t to, from;
		const char *name;
		avro_value_get_by_index(dst, i, &to, &name);
		if (avro_value_get_by_name(src, name, &from, NULL)) {
			if (avro_value_get_type(&to) != AVRO_UNION)
				return false;
			record_set_null(&to);
		} else if (!record_copy_by_name(&from, &to)) {
			return false;
		}
	}
	return true;
}

static bool copy_array(const avro_value_t *src, avro_value_t *dst)
{
	size_t n;

	avro_value_get_size(src, &n);
	for (size_t i = 0; i < n; i++) {
		avro_value_t from, to;
		avro_value_get_by_index(src, i, &from, NULL);
		avro_value_append(dst, &to, NULL);
		if (!record_copy_by_name(&from, &to))
			return false;
	}
	return true;
}

static bool copy_number(const avro_value_t *src, avro_value_t *dst)
{
	avro_type_t from = avro_value_get_type(src), to = avro_value_get_type(dst);
	double d;
	float f;

	if (from == AVRO_INT32 && to == AVRO_INT32)
		return !avro_value_set_int(dst, (int32_t)record_long(src));
	if ((from == AVRO_INT32 || from == AVRO_INT64) && to == AVRO_INT64)
		return !avro_value_set_long(dst, record_long(src));
	if ((from == AVRO_INT32 || from == AVRO_INT64) && to == AVRO_DOUBLE)
		return !avro_value_set_double(dst, (double)record_long(src));
	if (from == AVRO_DOUBLE && to == AVRO_DOUBLE)
		return !avro_value_get_double(src, &d) && !avro_value_set_double(dst, d);
	if (from == AVRO_FLOAT && to == AVRO_DOUBLE)
		return !avro_value_get_float(src, &f) && !avro_value_set_double(dst, (double)f);
	return false;
}

bool record_copy_by_name(const avro_value_t *src, avro_value_t *dst)
{
	avro_value_t some, to;

	if (avro_value_get_type(src) == AVRO_UNION) {
		if (!record_some(src, &some)) {
			if (avro_value_get_type(dst) != AVRO_UNION)
				return false;
			record_set_null(dst);
			return true;
		}
		return record_copy_by_name(&some, dst);
	}
	if (avro_value_get_type(dst) == AVRO_UNION) {
		to = record_set_some(dst);
		return record_copy_by_name(src, &to);
	}
	int flag;
	size_t len;
	const char *text;
	switch (avro_value_get_type(src)) {
	case AVRO_ARRAY:
		return avro_value_get_type(dst) == AVRO_ARRAY && copy_array(src, dst);
	case AVRO_RECORD:
		return avro_value_get_type(dst) == AVRO_RECORD && copy_record(src, dst);
	case AVRO_STRING:
		if (avro_value_get_type(dst) != AVRO_STRING)
			return false;
		text = record_text(src, &len);
		record_set_text(dst, text, len);
		return true;
	case AVRO_BOOLEAN:
		return avro_value_get_type(dst) == AVRO_BOOLEAN &&
		       !avro_value_get_boolean(src, &flag) && !avro_value_set_boolean(dst, flag);
	case AVRO_ENUM:
		if (avro_value_get_type(dst) != AVRO_ENUM)
			return false;
		text = avro_schema_enum_get(avro_value_get_schema(src), record_enum(src));
		flag = text ? avro_schema_enum_get_by_name(avro_value_get_schema(dst), text) : -1;
		return flag >= 0 && !avro_value_set_enum(dst, flag);
	default:
		return copy_number(src, dst);
	}
}

/* ---- JSON ------------------------------------------------------------------------------------- */

/* cJSON prints 15 digits where they are nearly the number. */
static cJSON *real_json(double d)
{
	char text[32];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	return isfinite(d) && strlen(text) > 15 ? cJSON_CreateRaw(text) : cJSON_CreateNumber(d);
}

cJSON *record_to_json(const avro_value_t *value)
{
	avro_value_t some;
	cJSON *object;
	const char *name;
	size_t n;
	int flag = 0;
	double d = 0;
	float f = 0;

	switch (avro_value_get_type(value)) {
	case AVRO_UNION:
		return record_some(value, &some) ? record_to_json(&some) : cJSON_CreateNull();
	case AVRO_RECORD:
		object = cJSON_CreateObject();
		avro_value_get_size(value, &n);
		for (size_t i = 0; i < n; i++) {
			avro_value_t field;
			avro_value_get_by_index(value, i, &field, &name);
			cJSON_AddItemToObject(object, name, record_to_json(&field));
		}
		return object;
	case AVRO_ARRAY:
		object = cJSON_CreateArray();
		avro_value_get_size(value, &n);
		for (size_t i = 0; i < n; i++) {
			avro_value_get_by_index(value, i, &some, NULL);
			cJSON_AddItemToArray(object, record_to_json(&some));
		}
		return object;
	case AVRO_STRING:
		return cJSON_CreateString(record_text(value, NULL));
	case AVRO_BOOLEAN:
		avro_value_get_boolean(value, &flag);
		return cJSON_CreateBool(flag);
	case AVRO_INT32:
	case AVRO_INT64: {
		char text[24];
		snprintf(text, sizeof text, "%lld", (long long)record_long(value));
		return cJSON_CreateRaw(text);
	}
	case AVRO_DOUBLE:
		avro_value_get_double(value, &d);
		return real_json(d);
	case AVRO_FLOAT:
		avro_value_get_float(value, &f);
		return cJSON_CreateNumber((double)f);
	case AVRO_ENUM:
		name = avro_schema_enum_get(avro_value_get_schema(value), record_enum(value));
		return cJSON_CreateString(name ? name : "?");
	default:
		return cJSON_CreateNull();
	}
}

static enum result misfit(struct error *err, const char *wanted)
{
	return error_reject(err, "json", "is not %s", wanted);
}

static enum result record_members(const cJSON *json, avro_value_t *value, struct error *err)
{
	enum result r = OK;
	size_t n;

	if (!cJSON_IsObject(json))
		return misfit(err, "an object");
	for (const cJSON *m = json->child; m; m = m->next)
		if (record_index(value, m->string) < 0)
			return error_reject(err, "json", "has no field \"%s\"", m->string);
	avro_value_get_size(value, &n);
	for (size_t i = 0; i < n && r == OK; i++) {
		avro_value_t field;
		const char *name;
		avro_value_get_by_index(value, i, &field, &name);
		const cJSON *m = cJSON_GetObjectItemCaseSensitive(json, name);
		if (!m && avro_value_get_type(&field) == AVRO_UNION) {
			record_set_null(&field);
			continue;
		}
		r = m ? record_from_json(m, &field, err) : misfit(err, "there");
		if (r != OK)
			error_prefix(err, "%s", name);
	}
	return r;
}

static enum result record_items(const cJSON *json, avro_value_t *value, struct error *err)
{
	const cJSON *item;
	enum result r = OK;

	if (!cJSON_IsArray(json))
		return misfit(err, "a list");
	cJSON_ArrayForEach(item, json)
	{
		avro_value_t some;
		avro_value_append(value, &some, NULL);
		r = record_from_json(item, &some, err);
		if (r != OK)
			break;
	}
	return r;
}

enum result record_from_json(const cJSON *json, avro_value_t *value, struct error *err)
{
	avro_value_t some;
	wall_time t;
	int32_t days;
	int64_t n;
	int symbol;
	const char *text = cJSON_GetStringValue(json);

	switch (avro_value_get_type(value)) {
	case AVRO_UNION:
		if (cJSON_IsNull(json)) {
			record_set_null(value);
			return OK;
		}
		some = record_set_some(value);
		return record_from_json(json, &some, err);
	case AVRO_RECORD:
		return record_members(json, value, err);
	case AVRO_ARRAY:
		return record_items(json, value, err);
	case AVRO_STRING:
		if (!text)
			return misfit(err, "a text");
		record_set_text(value, text, strlen(text));
		return OK;
	case AVRO_BOOLEAN:
		if (!cJSON_IsBool(json))
			return misfit(err, "true or false");
		avro_value_set_boolean(value, cJSON_IsTrue(json));
		return OK;
	case AVRO_INT32:
		if (text && date_parse(text, strlen(text), &days))
			avro_value_set_int(value, days);
		else if (cJSON_IsNumber(json) && json->valuedouble == (double)json->valueint)
			avro_value_set_int(value, json->valueint);
		else
			return misfit(err, "a whole number or a date");
		return OK;
	case AVRO_INT64:
		if (text && datetime_parse(text, strlen(text), true, &t))
			avro_value_set_long(value, t.ms);
		else if (text && text_to_int(text, INT64_MIN, INT64_MAX, &n))
			avro_value_set_long(value, n); /* more than a double holds */
		else if (cJSON_IsNumber(json) && json->valuedouble > -9e15 &&
			 json->valuedouble < 9e15 && json->valuedouble == floor(json->valuedouble))
			avro_value_set_long(value, (int64_t)json->valuedouble);
		else
			return misfit(err, "a whole number or a time");
		return OK;
	case AVRO_DOUBLE:
		if (!cJSON_IsNumber(json))
			return misfit(err, "a number");
		avro_value_set_double(value, json->valuedouble);
		return OK;
	case AVRO_ENUM:
		symbol =
		    text ? avro_schema_enum_get_by_name(avro_value_get_schema(value), text) : -1;
		if (symbol < 0)
			return misfit(err, "one of the symbols");
		avro_value_set_enum(value, symbol);
		return OK;
	default:
		return misfit(err, "of a type that can be given");
	}
}
