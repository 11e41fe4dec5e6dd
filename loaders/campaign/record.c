/* record.c - see writing.h. */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "writing.h"

struct write *write_delete(const char *key, size_t len)
{
	struct write *w = xcalloc(1, sizeof *w);
	w->key = xstrndup(key, len);
	w->key_len = len;
	return w;
}

void write_free(void *record)
{
	struct write *w = record;

	for (size_t i = 0; i < w->parent_count; i++) {
		free(w->parents[i].key);
		free(w->parents[i].pkey);
	}
	free(w->parents);
	free(w->key);
	free(w->patch);
	free(w->create);
	free(w->pkey);
	free(w);
}

/* Flags that are guarded and true.  What is false is not written, whoever made the record. */
static uint8_t take_consent(const struct flow *f, cJSON *json)
{
	uint8_t bits = 0;

	for (int i = 0; consent_flags[i]; i++) {
		const cJSON *flag = cJSON_GetObjectItemCaseSensitive(json, consent_flags[i]);
		if (!flag || !consent_guards(f, consent_flags[i]))
			continue;
		if (cJSON_IsTrue(flag))
			bits |= (uint8_t)(1 << i);
		else
			cJSON_DeleteItemFromObjectCaseSensitive(json, consent_flags[i]);
	}
	return bits;
}

char *without_consent(const char *text, uint8_t bits)
{
	cJSON *json = cJSON_Parse(text);

	for (int i = 0; consent_flags[i]; i++)
		if (bits >> i & 1)
			cJSON_DeleteItemFromObjectCaseSensitive(json, consent_flags[i]);
	char *out = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return out;
}

static uint64_t hash_of(const struct write *w)
{
	uint64_t h = body_hash(w->patch, w->create);

	for (size_t i = 0; i < w->parent_count; i++)
		h = body_hash_parent(h, w->parents[i].key);
	return h;
}

enum result write_of(struct campaign_loader *l, const avro_value_t *change, const char *key,
		     size_t len, struct write **out, struct load_record *rec, struct error *err)
{
	struct body body;
	avro_value_t field, row;
	enum result r = body_of(l->stage->mapping, change, &body, err);

	if (r != OK)
		return r;
	struct write *w = write_delete(key, len);
	w->consent = take_consent(l->stage->flow, body.patch);
	take_consent(l->stage->flow, body.create);
	w->patch = cJSON_PrintUnformatted(body.patch);
	w->create = body.create ? cJSON_PrintUnformatted(body.create) : NULL;
	body_free(&body);
	field = record_field(change, CHANGE_ROW);
	if (record_some(&field, &row))
		parents_of(l, &row, w);
	rec->hash = hash_of(w);
	rec->partial = !w->create;
	rec->consent = w->consent;
	rec->parent = parents_needed(w);
	*out = w;
	return OK;
}

/* Members of `from` that `to` does not have, also of items. */
static void add_missing(cJSON *to, const cJSON *from)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, from)
	{
		cJSON *there = cJSON_GetObjectItemCaseSensitive(to, m->string);
		if (!there)
			cJSON_AddItemToObject(to, m->string, cJSON_Duplicate(m, true));
		else if (cJSON_IsObject(there) && cJSON_IsObject(m) &&
			 !cJSON_GetObjectItemCaseSensitive(m, "PKey"))
			add_missing(there, m);
	}
}

static void merge_text(char **to, const char *from)
{
	cJSON *a = *to ? cJSON_Parse(*to) : cJSON_CreateObject(), *b = cJSON_Parse(from);

	add_missing(a, b);
	free(*to);
	*to = cJSON_PrintUnformatted(a);
	cJSON_Delete(a);
	cJSON_Delete(b);
}

/* What the later one leaves alone (null with when_null: keep, an opt-out that is no more), the
 * earlier one would have written, so both in one say it.  A record that was deleted and is there
 * again begins anew: both must be written. */
bool write_merge(void *state, const struct load_record *earlier, struct load_record *later)
{
	const struct write *before = earlier->record;
	struct write *after = later->record;

	(void)state;
	after->seen = before->seen;
	if (!after->patch)
		return true;
	if (!before->patch || !after->create || !before->create)
		return false;
	merge_text(&after->patch, before->patch);
	merge_text(&after->create, before->create);
	after->consent |= before->consent;
	later->consent = after->consent;
	later->hash = hash_of(after);
	return true;
}
