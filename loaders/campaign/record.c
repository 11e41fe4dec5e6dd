/* record.c - see writing.h. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "arena.h"
#include "json.h"
#include "writing.h"

/* Names, and PKeys of parents, which a step adds to a body. */
enum { ADDED_MAX = 64 << 10 };

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
	cJSON *json = json_parse_raw(text);

	for (int i = 0; consent_flags[i]; i++)
		if (bits >> i & 1)
			cJSON_DeleteItemFromObjectCaseSensitive(json, consent_flags[i]);
	char *out = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return out;
}

enum result write_of(struct campaign_loader *l, const avro_value_t *change, const char *key,
		     size_t len, struct write **out, struct load_record *rec, struct error *err)
{
	struct body body;
	avro_value_t field, row;
	enum result r = body_of(l->stage->mapping, change, &body, err);

	if (r == OK)
		r = body_hash(l->stage->mapping, change, &l->body, &rec->hash, err);
	if (r != OK)
		return r;
	struct write *w = write_delete(key, len);
	w->consent = take_consent(l->stage->flow, body.patch);
	take_consent(l->stage->flow, body.create);
	w->patch = cJSON_PrintUnformatted(body.patch);
	w->create = body.create ? cJSON_PrintUnformatted(body.create) : NULL;
	body_free(&body);
	const char *longest = w->create ? w->create : w->patch;
	if (strlen(longest) + len + ADDED_MAX > l->body.max) {
		write_free(w);
		return error_reject(err, "too-large", "a body of more than %zu bytes",
				    l->body.max - ADDED_MAX);
	}
	field = record_field(change, CHANGE_ROW);
	if (record_some(&field, &row))
		parents_of(l, &row, w);
	rec->partial = !w->create;
	rec->consent = w->consent;
	rec->parent = parents_needed(w);
	*out = w;
	return OK;
}

/* Members of `from` that `to` does not have, also of items.  Were there any? */
static bool add_missing(cJSON *to, const cJSON *from)
{
	const cJSON *m;
	bool any = false;

	cJSON_ArrayForEach(m, from)
	{
		cJSON *there = cJSON_GetObjectItemCaseSensitive(to, m->string);
		if (!there)
			any |= cJSON_AddItemToObject(to, m->string, cJSON_Duplicate(m, true));
		else if (cJSON_IsObject(there) && cJSON_IsObject(m) &&
			 !cJSON_GetObjectItemCaseSensitive(m, "PKey"))
			any |= add_missing(there, m);
	}
	return any;
}

static bool merge_text(char **to, const char *from)
{
	cJSON *a = json_parse_raw(*to), *b = json_parse_raw(from);
	bool any = add_missing(a, b);

	if (any) {
		free(*to);
		*to = cJSON_PrintUnformatted(a);
	}
	cJSON_Delete(a);
	cJSON_Delete(b);
	return any;
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
	if (merge_text(&after->patch, before->patch)) /* of no record that is to come */
		later->hash = XXH3_64bits_withSeed(after->patch, strlen(after->patch), later->hash);
	merge_text(&after->create, before->create);
	after->consent |= before->consent;
	later->consent = after->consent;
	return true;
}
