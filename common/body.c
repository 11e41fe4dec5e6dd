/* body.c - see body.h. */
#include "body.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { PATH_MAX_BYTES = 256 };

struct writer {
	const struct mapping *m;
	bool update; /* null is always "leave it alone" */
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

/* One member into both bodies, as far as it belongs there. */
static enum result add_member(const struct writer *w, const char *path, const char *name,
			      const avro_value_t *field, struct body *to, struct error *err)
{
	const struct mapped *mapped = mapping_attribute(w->m, path);
	avro_value_t some;
	bool there = record_some(field, &some);

	if (!mapped || by_loader(mapped) || (!there && (mapped->null_keeps || w->update)))
		return OK; /* not mapped any more, or to be left alone */
	if (there && gives_consent(mapped, &some))
		return OK;
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
		snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", name);
		if (!*prefix && record_some(&field, &some) &&
		    avro_value_get_type(&some) == AVRO_RECORD) {
			struct body inner = {cJSON_CreateObject(),
					     to->create ? cJSON_CreateObject() : NULL};
			r = add_members(w, path, &some, &inner, err);
			attach(to->patch, name, inner.patch);
			if (to->create)
				attach(to->create, name, inner.create);
			continue;
		}
		r = add_member(w, path, name, &field, to, err);
	}
	return r;
}

enum result body_of(const struct mapping *m, const avro_value_t *change, struct body *out,
		    struct error *err)
{
	struct change_head head;
	avro_value_t field = record_field(change, CHANGE_ROW), row;

	change_get_head(change, &head);
	struct writer w = {m, head.op == CHANGE_UPDATE};
	if (!record_some(&field, &row))
		return error_reject(err, "bad-change", "a change without a row");
	*out = (struct body){cJSON_CreateObject(), w.update ? NULL : cJSON_CreateObject()};
	enum result r = add_members(&w, "", &row, out, err);
	if (r != OK)
		body_free(out);
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

uint64_t body_hash(const char *patch, bool makes)
{
	return XXH3_64bits_withSeed(patch, strlen(patch), makes ? 0 : 1);
}

uint64_t body_hash_parent(uint64_t hash, const char *key)
{
	return XXH3_64bits_withSeed(key, strlen(key), hash);
}
