/* table.c - an activity table: what it has and what it takes.
 *
 * Facts: "Use bulk operation messages" (which tables have them is asked of sdkmessagefilters;
 * UpsertMultiple is never listed, it is there when Create- and UpdateMultiple are); whether a state
 * may be given at creation is a property of each table's statecode.
 */
#include <string.h>

#include "arena.h"
#include "json.h"
#include "loader.h"

enum { FIRST_BULK = 100, FIRST_BATCH = 10 };

static enum result check_columns(struct dataverse_loader *l, struct activity_table *t,
				 const struct activity_config *a, struct error *err)
{
	const char *used[ACTIVITY_TEXTS + 5] = {"activityid", "subject", "regardingobjectid"};
	size_t n = 3;
	struct table *live = NULL;
	enum result r = table_load(l->stage->config->metadata_dir, a->table, &t->table, err);

	if (a->time)
		used[n++] = a->time;
	for (int i = 0; i < ACTIVITY_TEXTS; i++)
		if (a->columns[i])
			used[n++] = a->columns[i];
	for (size_t i = 0; r == OK && i < n; i++)
		if (!table_column(t->table, used[i]))
			r = error_config(err, "config", "%s:%d: table %s has no column %s",
					 a->at.file, a->at.line, a->table, used[i]);
	if (r == OK)
		r = dataverse_table(&l->dataverse, a->table, mono_now(), &live, err);
	if (r == OK)
		r = table_same(t->table, live, used, n, err);
	table_free(live);
	return r;
}

static enum result ask_state(struct dataverse_loader *l, struct activity_table *t,
			     struct error *err)
{
	_cleanup_(freep) char *url =
	    xasprintf("%s/api/data/v9.2/EntityDefinitions(LogicalName='%s')/"
		      "Attributes(LogicalName='statecode')?$select=LogicalName,IsValidForCreate",
		      l->dataverse.url, t->table->name);
	cJSON *json;
	enum result r = dataverse_get(&l->dataverse, url, NULL, false, mono_now(), &json, err);

	if (r == OK)
		t->state_on_create = json_is_true(json, "IsValidForCreate");
	cJSON_Delete(json);
	return r;
}

/* No row of sdkmessagefilters: no such message. A role that must not read them: it is tried. */
static enum result ask_bulk(struct dataverse_loader *l, struct activity_table *t, struct error *err)
{
	static const char *const messages[] = {"CreateMultiple", "UpdateMultiple"};
	enum result r = OK;

	t->bulk = true;
	for (size_t i = 0; r == OK && i < 2; i++) {
		_cleanup_(freep) char *url = xasprintf(
		    "%s/api/data/v9.2/sdkmessagefilters?$select=sdkmessagefilterid&$filter="
		    "sdkmessageid/name%%20eq%%20@m%%20and%%20primaryobjecttypecode%%20eq%%20@t"
		    "&@m='%s'&@t='%s'",
		    l->dataverse.url, messages[i], t->table->name);
		cJSON *json;
		r = dataverse_get(&l->dataverse, url, NULL, false, mono_now(), &json, err);
		if (r == OK && !cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "value")))
			t->bulk = false;
		cJSON_Delete(json);
	}
	return r == RETRY ? RETRY : OK;
}

/* The navigation property is taken from metadata: its name has a pattern, but no promise. */
enum result table_open(struct dataverse_loader *l, enum event_kind kind, struct error *err)
{
	struct activity_table *t = &l->tables[kind];
	const struct activity_config *a = &l->flow->activities[kind];
	enum result r = check_columns(l, t, a, err);

	if (r == OK)
		r = ask_state(l, t, err);
	if (r == OK)
		r = ask_bulk(l, t, err);
	if (r != OK)
		return r;
	t->config = a;
	t->actual_end = table_column(t->table, "actualend");
	t->sort_date = table_column(t->table, "sortdate");
	t->batch = batch_new(t->bulk ? FIRST_BULK : FIRST_BATCH, (size_t)l->flow->batch_size);
	const struct column *regarding = table_column(t->table, "regardingobjectid");
	for (size_t i = 0; i < regarding->target_count; i++)
		if (!strcmp(regarding->targets[i].table, "contact"))
			t->navigation = regarding->targets[i].navigation;
	if (!t->navigation)
		return error_config(err, "metadata", "table %s cannot be regarding a contact",
				    a->table);
	return OK;
}
