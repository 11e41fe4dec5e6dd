/* body.c - see body.h. */
#include "body.h"

#include <string.h>
#include <xxhash.h>

enum { PATH_MAX_BYTES = 256 };

struct writer {
	const struct mapping *m;
	bool update;	     /* null is always "leave it alone" */
	struct buffer *hash; /* only what is hashed is wanted; NULL: bodies are */
};

static cJSON *leaf(const struct mapped *to, const avro_value_t *value)
{
	char text[25];
	cJSON *json;

	switch (to->attribute->type) {
	case ATTRIBUTE_DATE:
		if (!date_format((int32_t)record_long(value), text))
			return NULL;
		return cJSON_CreateString(text);
	case ATTRIBUTE_DATETIME:
		if (!datetime_format((wall_time){record_long(value)}, ' ', text))
			return NULL;
		return cJSON_CreateString(text);
	case ATTRIBUTE_LINK:
		json = cJSON_CreateObject();
		cJSON_AddItemToObject(json, "PKey", record_to_json(value));
		return json;
	default:
		return record_to_json(value);
	}
}

/* Consent is never given here, whoever wrote the record. */
static bool gives_consent(const struct mapped *to, const avro_value_t *value)
{
	int flag = 0;
	return to->consent && (avro_value_get_boolean(value, &flag) || !flag);
}

static bool by_loader(const struct mapped *to)
{
	return to->config && to->config->link && to->config->link_mode == LINK_PKEY;
}

static void hash_value(struct buffer *hash, const avro_value_t *value)
{
	avro_type_t type = avro_value_get_type(value);
	size_t len = 0;
	int flag = 0;
	double d = 0;

	if (type == AVRO_STRING) {
		const char *text = record_text(value, &len);
		buffer_append(hash, &len, sizeof len);
		buffer_append(hash, text, len);
	} else if (type == AVRO_INT32 || type == AVRO_INT64) {
		int64_t n = record_long(value);
		buffer_append(hash, &n, sizeof n);
	} else if (type == AVRO_BOOLEAN && !avro_value_get_boolean(value, &flag)) {
		buffer_append(hash, &flag, sizeof flag);
	} else if (type == AVRO_DOUBLE && !avro_value_get_double(value, &d)) {
		buffer_append(hash, &d, sizeof d);
	} else { /* of no target today */
		cJSON *json = record_to_json(value);
		char *text = cJSON_PrintUnformatted(json);
		cJSON_Delete(json);
		buffer_append(hash, text, strlen(text));
		cJSON_free(text);
	}
}

/* Its name, how it is written, and what it says. */
static void hash_member(const struct writer *w, const struct mapped *to, const char *path,
			const avro_value_t *value)
{
	const unsigned char how[] = {(unsigned char)to->attribute->type,
				     to->config ? (unsigned char)to->config->link_mode : 0,
				     value != NULL,
				     value ? (unsigned char)avro_value_get_type(value) : 0};

	if (to->create_only && !w->update)
		return; /* a change of it alone is none */
	buffer_append(w->hash, path, strlen(path) + 1);
	buffer_append(w->hash, how, sizeof how);
	if (value)
		hash_value(w->hash, value);
}

/* One member into both bodies, as far as it belongs there. */
static enum result add_member(const struct writer *w, const char *path, const char *name,
			      const avro_value_t *field, struct body *to, struct error *err)
{
	const struct mapped *mapped = mapping_attribute(w->m, path);
	avro_value_t some;
	bool there = record_some(field, &some);

	if (!mapped || (by_loader(mapped) && !w->hash) ||
	    (!there && (mapped->null_keeps || w->update)))
		return OK; /* not mapped any more, or to be left alone */
	if (there && gives_consent(mapped, &some))
		return OK;
	if (w->hash) {
		hash_member(w, mapped, path, there ? &some : NULL);
		return OK;
	}
	cJSON *json = there ? leaf(mapped, &some) : cJSON_CreateString("");
	if (!json)
		return error_reject(err, "out-of-range", "%s is out of range", path);
	if (to->create)
		cJSON_AddItemToObject(to->create, name, cJSON_Duplicate(json, true));
	if (!mapped->create_only || w->update)
		cJSON_AddItemToObject(to->patch, name, json);
	else
		cJSON_Delete(json);
	return OK;
}

static void attach(cJSON *to, const char *name, cJSON *inner)
{
	if (inner && inner->child)
		cJSON_AddItemToObject(to, name, inner);
	else
		cJSON_Delete(inner);
}

/* "location" and "city" as "location.city"; cut where no attribute has such a name. */
static void join(char out[PATH_MAX_BYTES], const char *prefix, const char *name)
{
	size_t a = strnlen(prefix, PATH_MAX_BYTES - 2), b = strnlen(name, PATH_MAX_BYTES - 2 - a);

	memcpy(out, prefix, a);
	if (a)
		out[a++] = '.';
	memcpy(out + a, name, b);
	out[a + b] = 0;
}

static enum result add_members(const struct writer *w, const char *prefix, const avro_value_t *row,
			       struct body *to, struct error *err)
{
	enum result r = OK;
	size_t n;

	avro_value_get_size(row, &n);
	for (size_t i = 0; i < n && r == OK; i++) {
		avro_value_t field, some;
		const char *name;
		char path[PATH_MAX_BYTES];
		avro_value_get_by_index(row, i, &field, &name);
		join(path, prefix, name);
		if (*prefix || !record_some(&field, &some) ||
		    avro_value_get_type(&some) != AVRO_RECORD) {
			r = add_member(w, path, name, &field, to, err);
			continue;
		}
		struct body inner = {w->hash ? NULL : cJSON_CreateObject(),
				     to->create ? cJSON_CreateObject() : NULL};
		r = add_members(w, path, &some, &inner, err);
		if (to->patch)
			attach(to->patch, name, inner.patch);
		if (to->create)
			attach(to->create, name, inner.create);
	}
	return r;
}

enum result body_of(const struct mapping *m, const avro_value_t *change, struct body *out,
		    struct error *err)
{
	struct change_head head;
	avro_value_t field = record_field(change, CHANGE_ROW), row;

	change_get_head(change, &head);
	struct writer w = {m, head.op == CHANGE_UPDATE, NULL};
	if (!record_some(&field, &row))
		return error_reject(err, "bad-change", "a change without a row");
	*out = (struct body){cJSON_CreateObject(), w.update ? NULL : cJSON_CreateObject()};
	enum result r = add_members(&w, "", &row, out, err);
	if (r != OK)
		body_free(out);
	return r;
}

enum result body_hash(const struct mapping *m, const avro_value_t *change, struct buffer *scratch,
		      uint64_t *out, struct error *err)
{
	struct change_head head;
	struct body none = {0};
	avro_value_t field = record_field(change, CHANGE_ROW), row;

	change_get_head(change, &head);
	struct writer w = {m, head.op == CHANGE_UPDATE, scratch};
	buffer_reset(scratch);
	if (!record_some(&field, &row))
		return error_reject(err, "bad-change", "a change without a row");
	enum result r = add_members(&w, "", &row, &none, err);
	if (r == OK && scratch->overflow)
		return error_reject(err, "too-large", "a record of more than %zu bytes",
				    scratch->max);
	*out = XXH3_64bits_withSeed(scratch->data, scratch->len, w.update);
	return r;
}

void body_free(struct body *b)
{
	cJSON_Delete(b->patch);
	cJSON_Delete(b->create);
	*b = (struct body){0};
}

bool body_needs(const struct field_config *link)
{
	return link->link && (link->required || link->link_mode != LINK_JOIN);
}

const char *body_parent(const struct field_config *link, const avro_value_t *row)
{
	avro_value_t field, some;
	int at = body_needs(link) ? record_index(row, link->to) : -1;

	if (at < 0)
		return NULL;
	field = record_field(row, (size_t)at);
	if (!record_some(&field, &some) || avro_value_get_type(&some) != AVRO_STRING)
		return NULL;
	return record_text(&some, NULL);
}
