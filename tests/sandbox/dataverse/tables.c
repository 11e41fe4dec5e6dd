/* tables.c - see tables.h. */
#include "tables.h"
#include "write.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "key.h"
#include "metadata.h"
#include "text.h"

#define E_METADATA "0x80044363"
#define CRM "Microsoft.Dynamics.CRM."

static const char *text(const cJSON *o, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

static bool refuse(struct reply *rep, const char *fmt, const char *arg)
{
	char message[400];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(message, sizeof message, fmt, arg ? arg : "");
#pragma GCC diagnostic pop
	api_error(rep, 400, E_METADATA, "%s", message);
	return false;
}

/* A SchemaName: letters, digits, underscores, with a customization prefix. lower gets it in lower
 * case, the logical name. */
static const char *schema_name(const cJSON *o, char lower[100], struct reply *rep)
{
	const char *s = text(o, "SchemaName");
	size_t n = s ? strlen(s) : 0;

	if (!n || n > 90 || !isalpha((unsigned char)*s) || !strchr(s, '_') ||
	    strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != n) {
		refuse(rep,
		       "The SchemaName '%s' is not valid: it needs a customization prefix, as "
		       "new_, and holds letters, digits and underscores.",
		       s ? s : "");
		return NULL;
	}
	for (size_t i = 0; i <= n; i++)
		lower[i] = (char)tolower((unsigned char)s[i]);
	return s;
}

/* The text of a Label, or NULL. */
static const char *label_text(const cJSON *label)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(label, "LocalizedLabels");
	const char *s = text(cJSON_GetArrayItem(list, 0), "Label");
	return s ? s : text(cJSON_GetObjectItemCaseSensitive(label, "UserLocalizedLabel"), "Label");
}

static void set(cJSON *o, const char *name, cJSON *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(o, name);
	cJSON_AddItemToObject(o, name, value);
}

static void set_text(cJSON *o, const char *name, const char *value)
{
	if (value)
		set(o, name, cJSON_CreateString(value));
}

/* Each member has to be one that such a definition has. */
static bool members_known(const cJSON *body, const cJSON *like, const char *also, struct reply *rep)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, body)
	{
		const char *at = also ? strstr(also, m->string) : NULL;
		bool listed = at && at[-1] == ' ' && at[strlen(m->string)] == ' ';
		if (*m->string != '@' && !listed &&
		    !cJSON_GetObjectItemCaseSensitive(like, m->string))
			return refuse(rep,
				      "The property '%s' does not exist on this type of "
				      "definition.",
				      m->string);
	}
	return true;
}

/* ---- columns ------------------------------------------------------------------------------------ */

/* {"1": "Bronze", ..} of an OptionSet's Options. */
static cJSON *options_of(const cJSON *set_json, struct reply *rep)
{
	cJSON *out = cJSON_CreateObject();
	const cJSON *o;
	int next = 100000000;

	cJSON_ArrayForEach(o, cJSON_GetObjectItemCaseSensitive(set_json, "Options"))
	{
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(o, "Value");
		const char *shown = label_text(cJSON_GetObjectItemCaseSensitive(o, "Label"));
		char key[24];
		snprintf(key, sizeof key, "%d", cJSON_IsNumber(value) ? value->valueint : next++);
		if (!shown || cJSON_GetObjectItemCaseSensitive(out, key)) {
			refuse(rep, "The option %s has no label or is there twice.", key);
			cJSON_Delete(out);
			return NULL;
		}
		cJSON_AddStringToObject(out, key, shown);
	}
	return out;
}

/* GlobalOptionSet@odata.bind: "/GlobalOptionSetDefinitions(Name='x')" or by id. */
static const char *bound_set(struct store *s, const char *bind)
{
	const cJSON *o;
	const char *open = bind ? strchr(bind, '(') : NULL;
	char id[37], name[120];

	cJSON_ArrayForEach(o, s->option_sets)
	{
		metadata_id("option set ", o->string, id);
		snprintf(name, sizeof name, "(Name='%s')", o->string);
		if (open && (!strncasecmp(open + 1, id, 36) || !strcmp(open, name)))
			return o->string;
	}
	return NULL;
}

static bool choices(struct dataverse *d, const cJSON *body, cJSON *column, struct reply *rep)
{
	const cJSON *inline_set = cJSON_GetObjectItemCaseSensitive(body, "OptionSet");
	const char *bind = text(body, "GlobalOptionSet@odata.bind");
	const char *global = bound_set(&d->store, bind);
	cJSON *options;

	if (bind && !global)
		return refuse(rep, "There is no global option set %s.", bind);
	if (global) {
		set_text(column, "globalOptionSet", global);
		set(column, "options",
		    cJSON_Duplicate(
			cJSON_GetObjectItemCaseSensitive(
			    cJSON_GetObjectItemCaseSensitive(d->store.option_sets, global),
			    "options"),
			true));
		return true;
	}
	if (!cJSON_IsObject(inline_set))
		return refuse(rep, "A choice needs an OptionSet or GlobalOptionSet@odata.bind.%s",
			      "");
	options = options_of(inline_set, rep);
	if (options)
		set(column, "options", options);
	return options != NULL;
}

static void booleans(const cJSON *body, cJSON *column)
{
	const cJSON *s = cJSON_GetObjectItemCaseSensitive(body, "OptionSet");
	const char *no = label_text(cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(s, "FalseOption"), "Label"));
	const char *yes = label_text(cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(s, "TrueOption"), "Label"));
	cJSON *options = cJSON_CreateObject();

	cJSON_AddStringToObject(options, "0", no ? no : "No");
	cJSON_AddStringToObject(options, "1", yes ? yes : "Yes");
	set(column, "options", options);
	set(column, "default",
	    cJSON_CreateBool(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "DefaultValue"))));
}

/* What may change later, too. */
static bool column_facts(const cJSON *body, cJSON *column, struct reply *rep)
{
	const cJSON *length = cJSON_GetObjectItemCaseSensitive(body, "MaxLength");
	const cJSON *precision = cJSON_GetObjectItemCaseSensitive(body, "Precision");
	const cJSON *behavior = cJSON_GetObjectItemCaseSensitive(body, "DateTimeBehavior");

	set_text(column, "displayName",
		 label_text(cJSON_GetObjectItemCaseSensitive(body, "DisplayName")));
	set_text(column, "description",
		 label_text(cJSON_GetObjectItemCaseSensitive(body, "Description")));
	set_text(column, "required",
		 text(cJSON_GetObjectItemCaseSensitive(body, "RequiredLevel"), "Value"));
	set_text(column, "format",
		 text(cJSON_GetObjectItemCaseSensitive(body, "FormatName"), "Value"));
	set_text(column, "behavior", text(behavior, "Value"));
	if (length &&
	    (!cJSON_IsNumber(length) || length->valueint < 1 || length->valueint > 1048576))
		return refuse(rep, "MaxLength is not valid.%s", "");
	if (precision &&
	    (!cJSON_IsNumber(precision) || precision->valueint < 0 || precision->valueint > 10))
		return refuse(rep, "Precision is from 0 to 10.%s", "");
	if (length)
		set(column, "maxLength", cJSON_CreateNumber(length->valueint));
	if (precision)
		set(column, "precision", cJSON_CreateNumber(precision->valueint));
	return true;
}

/* An AttributeMetadata as a table file's column, or NULL after answering. */
static cJSON *column_of(struct dataverse *d, const cJSON *body, char name[100], struct reply *rep)
{
	static const char *const types[][2] = {{"String", "String"},
					       {"Memo", "Memo"},
					       {"Boolean", "Boolean"},
					       {"Integer", "Integer"},
					       {"BigInt", "BigInt"},
					       {"Double", "Double"},
					       {"Decimal", "Decimal"},
					       {"Money", "Money"},
					       {"DateTime", "DateTime"},
					       {"Picklist", "Picklist"},
					       {"MultiSelectPicklist", "MultiSelectPicklist"},
					       {"Image", "Image"},
					       {"File", "File"},
					       {"Lookup", "Lookup"}};
	const char *type = text(body, "@odata.type"), *kind = NULL;
	static const char also[] =
	    " IsPrimaryName OptionSet GlobalOptionSet@odata.bind DefaultValue "
	    "MaxLength Precision PrecisionSource MinValue MaxValue Format "
	    "FormatName ImeMode DateTimeBehavior DatabaseLength Targets "
	    "DefaultFormValue MaxSizeInKB CanStoreFullImage IsPrimaryImage ";

	if (type && *type == '#')
		type++;
	for (size_t i = 0; type && i < sizeof types / sizeof *types; i++) {
		char full[120];
		snprintf(full, sizeof full, CRM "%sAttributeMetadata", types[i][0]);
		if (!strcmp(type, full))
			kind = types[i][1];
	}
	if (!kind) {
		refuse(rep,
		       "'%s' is not a type of attribute that can be created; @odata.type says "
		       "it.",
		       type);
		return NULL;
	}
	const char *schema = schema_name(body, name, rep);
	if (!schema)
		return NULL;
	cJSON *like = metadata_attribute(&d->store.tables[0], &d->store.tables[0].columns[0], true);
	bool good = members_known(body, like, also, rep);
	cJSON_Delete(like);
	cJSON *column = cJSON_CreateObject();
	cJSON_AddStringToObject(column, "type", kind);
	cJSON_AddStringToObject(column, "schemaName", schema);
	if (!strcmp(kind, "String"))
		cJSON_AddNumberToObject(column, "maxLength", 100);
	good = good && column_facts(body, column, rep);
	if (good && strstr(kind, "Picklist"))
		good = choices(d, body, column, rep);
	if (good && !strcmp(kind, "Boolean"))
		booleans(body, column);
	if (good)
		return column;
	cJSON_Delete(column);
	return NULL;
}

/* ---- answers ------------------------------------------------------------------------------------- */

static void created(struct dataverse *d, const struct request *req, struct reply *rep,
		    const char *fmt, const char *kind, const char *owner, const char *name)
{
	char root[400], unique[240], id[37], owner_id[37] = "";

	(void)d;
	api_root(req, root, sizeof root);
	snprintf(unique, sizeof unique, "%s%s%s", owner ? owner : "", owner ? "." : "", name);
	metadata_id(kind, unique, id);
	if (owner)
		metadata_id("table ", owner, owner_id);
	reply_header(rep, "OData-Version", "4.0");
	if (owner)
		reply_header(rep, "OData-EntityId", "%s/EntityDefinitions(%s)/%s(%s)", root,
			     owner_id, fmt, id);
	else
		reply_header(rep, "OData-EntityId", "%s/%s(%s)", root, fmt, id);
	rep->status = 204;
}

static void no_content(struct reply *rep)
{
	reply_header(rep, "OData-Version", "4.0");
	rep->status = 204;
}

/* Takes json over. */
static bool define(struct dataverse *d, cJSON *json, struct reply *rep)
{
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "name"));
	char why[300], copy[100];

	snprintf(copy, sizeof copy, "%s", name ? name : "");
	if (!store_define(&d->store, json, why, sizeof why))
		return refuse(rep, "%s", why);
	struct table *t = store_table(&d->store, copy);
	if (t)
		fixed_messages(&d->store, t);
	return true;
}

static cJSON *copy_of(const struct table *t)
{
	return cJSON_Duplicate(t->json, true);
}

/* ---- tables ------------------------------------------------------------------------------------------ */

static void plural(const char *name, char out[110])
{
	size_t n = strlen(name);

	if (name[n - 1] == 'y' && !strchr("aeiou", name[n - 2]))
		snprintf(out, 110, "%.*sies", (int)n - 1, name);
	else if (strchr("sxz", name[n - 1]))
		snprintf(out, 110, "%ses", name);
	else
		snprintf(out, 110, "%ss", name);
}

static void table_facts(const cJSON *body, cJSON *json)
{
	set_text(json, "displayName",
		 label_text(cJSON_GetObjectItemCaseSensitive(body, "DisplayName")));
	set_text(json, "displayCollectionName",
		 label_text(cJSON_GetObjectItemCaseSensitive(body, "DisplayCollectionName")));
	set_text(json, "description",
		 label_text(cJSON_GetObjectItemCaseSensitive(body, "Description")));
	if (cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(body, "HasNotes")))
		set(json, "hasNotes",
		    cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(body, "HasNotes"), true));
	if (cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(body, "HasActivities")))
		set(json, "hasActivities",
		    cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(body, "HasActivities"), true));
	/* "once on, it cannot be turned off" */
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "ChangeTrackingEnabled")))
		set(json, "changeTracking", cJSON_CreateTrue());
}

/* {table} in a template's names is the table's: relationships are named after both ends. */
static void name_table(cJSON *json, const char *table)
{
	cJSON *m;

	cJSON_ArrayForEach(m, json)
	{
		const char *s = cJSON_GetStringValue(m), *at = s ? strstr(s, "{table}") : NULL;
		char name[300];
		if (at) {
			snprintf(name, sizeof name, "%.*s%s%s", (int)(at - s), s, table,
				 at + strlen("{table}"));
			cJSON_SetValuestring(m, name);
		}
		name_table(m, table);
	}
}

static bool table_columns(struct dataverse *d, const cJSON *body, cJSON *json, const char *id,
			  bool activity, struct reply *rep)
{
	char path[4096], why[200], name[100];
	const cJSON *a;
	int primaries = 0;

	snprintf(path, sizeof path, "%s/templates/%s.json", d->store.dir,
		 activity ? "activity" : "standard");
	cJSON *template = store_read_json(path, why, sizeof why);
	if (!template)
		return refuse(rep, "%s", why);
	name_table(template, text(json, "name"));
	cJSON *columns = cJSON_AddObjectToObject(json, "columns"), *key = cJSON_CreateObject(), *c;
	cJSON_AddStringToObject(key, "type", "Uniqueidentifier");
	cJSON_AddItemToObject(columns, id, key);
	while ((c = cJSON_GetObjectItemCaseSensitive(template, "columns")->child)) {
		char *own = strdup(c->string);
		cJSON_DetachItemViaPointer(cJSON_GetObjectItemCaseSensitive(template, "columns"),
					   c);
		cJSON_AddItemToObject(columns, own, c);
		free(own);
	}
	cJSON_Delete(template);
	cJSON_ArrayForEach(a, cJSON_GetObjectItemCaseSensitive(body, "Attributes"))
	{
		bool primary = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(a, "IsPrimaryName"));
		primaries += primary;
		if (primary && activity)
			continue; /* an activity's is the subject, and there already */
		c = column_of(d, a, name, rep);
		if (!c)
			return false;
		set(columns, name, c);
		if (primary)
			set_text(json, "primaryName", name);
	}
	if (activity)
		set_text(json, "primaryName", "subject");
	return primaries == 1 ||
	       refuse(rep, "A table needs exactly one attribute with IsPrimaryName.%s", "");
}

static void create_table(struct dataverse *d, const cJSON *body, const struct request *req,
			 struct reply *rep)
{
	char name[100], id[110], set_name[110];
	const char *schema = schema_name(body, name, rep), *given;
	bool activity = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "IsActivity"));

	if (!schema)
		return;
	if (store_table(&d->store, name)) {
		refuse(rep, "An entity with the specified name %s already exists.", name);
		return;
	}
	cJSON *like = metadata_entity(&d->store.tables[0]);
	bool good = members_known(body, like, " Attributes HasFeedback HasEmailAddresses ", rep);
	cJSON_Delete(like);
	if (!good)
		return;
	cJSON *json = cJSON_CreateObject();
	snprintf(id, sizeof id, "%sid", name);
	plural(name, set_name);
	given = text(body, "EntitySetName");
	set_text(json, "name", name);
	set_text(json, "schemaName", schema);
	set_text(json, "entitySet", given ? given : set_name);
	set_text(json, "primaryId", activity ? "activityid" : id);
	set_text(json, "ownership", text(body, "OwnershipType"));
	set(json, "custom", cJSON_CreateTrue());
	set(json, "objectTypeCode", cJSON_CreateNumber(10300 + d->store.count));
	if (activity)
		set(json, "isActivity", cJSON_CreateTrue());
	table_facts(body, json);
	if (!table_columns(d, body, json, activity ? "activityid" : id, activity, rep)) {
		cJSON_Delete(json);
		return;
	}
	if (define(d, json, rep))
		created(d, req, rep, "EntityDefinitions", "table ", NULL, name);
}

/* ---- columns and keys of a table ---------------------------------------------------------------------- */

static void create_column(struct dataverse *d, struct table *t, const cJSON *body,
			  const struct request *req, struct reply *rep)
{
	char name[100], owner[100];
	cJSON *column = column_of(d, body, name, rep);

	if (!column)
		return;
	if (!strcmp(text(column, "type"), "Lookup")) {
		cJSON_Delete(column);
		refuse(rep,
		       "A lookup is created with its relationship: POST "
		       "RelationshipDefinitions.%s",
		       "");
		return;
	}
	if (table_column(t, name)) {
		cJSON_Delete(column);
		refuse(rep, "An attribute with the specified name %s already exists.", name);
		return;
	}
	cJSON *json = copy_of(t);
	snprintf(owner, sizeof owner, "%s", t->name);
	cJSON_AddItemToObject(cJSON_GetObjectItemCaseSensitive(json, "columns"), name, column);
	if (define(d, json, rep))
		created(d, req, rep, "Attributes", "column ", owner, name);
}

static void create_key(struct dataverse *d, struct table *t, const cJSON *body,
		       const struct request *req, struct reply *rep)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "KeyAttributes"), *a,
		    *keys = cJSON_GetObjectItemCaseSensitive(t->json, "keys");
	char name[100], owner[100];
	const char *schema = schema_name(body, name, rep);
	int n = cJSON_GetArraySize(list);

	if (!schema)
		return;
	if (cJSON_GetArraySize(keys) >= KEYS_MAX || n < 1 || n > KEY_COLUMNS_MAX) {
		refuse(rep, "A table has up to 10 keys of 1 to 16 columns.%s", "");
		return;
	}
	if (cJSON_GetObjectItemCaseSensitive(keys, name)) {
		refuse(rep, "A key with the name %s already exists.", name);
		return;
	}
	cJSON_ArrayForEach(a, list)
	{
		struct column *c = cJSON_IsString(a) ? table_column(t, a->valuestring) : NULL;
		bool fits = c && (c->type == T_STRING || c->type == T_INTEGER ||
				  c->type == T_DECIMAL || c->type == T_DATETIME ||
				  c->type == T_DATE || c->type == T_LOOKUP || c->type == T_CHOICE);
		if (!fits) {
			refuse(rep, "The attribute %s cannot be part of a key.",
			       cJSON_IsString(a) ? a->valuestring : "");
			return;
		}
	}
	cJSON *json = copy_of(t), *all = cJSON_GetObjectItemCaseSensitive(json, "keys");
	cJSON *status = cJSON_GetObjectItemCaseSensitive(json, "keyStatus");
	if (!all)
		all = cJSON_AddObjectToObject(json, "keys");
	if (!status)
		status = cJSON_AddObjectToObject(json, "keyStatus");
	cJSON_AddItemToObject(all, name, cJSON_Duplicate(list, true));
	cJSON_AddStringToObject(status, name, "Pending");
	snprintf(owner, sizeof owner, "%s", t->name);
	if (define(d, json, rep))
		created(d, req, rep, "Keys", "key ", owner, name);
}

static bool has_duplicates(struct dataverse *d, struct table *t, const cJSON *key)
{
	int columns[KEY_COLUMNS_MAX], n = key_columns(t, key, columns);
	struct text sql = {0};

	text_printf(&sql, "SELECT 1 FROM \"%s\" WHERE 1", t->name);
	for (int i = 0; i < n; i++)
		text_printf(&sql, " AND \"%s\" IS NOT NULL", t->columns[columns[i]].name);
	for (int i = 0; i < n; i++)
		text_printf(&sql, "%s\"%s\" COLLATE FOLD", i ? ", " : " GROUP BY ",
			    t->columns[columns[i]].name);
	text_puts(&sql, " HAVING count(*) > 1 LIMIT 1");
	sqlite3_stmt *st = store_statement(&d->store, sql.data);
	bool found = sqlite3_step(st) == SQLITE_ROW;
	store_release(st);
	free(sql.data);
	return found;
}

void tables_keys_were_read(struct dataverse *d, struct table *t)
{
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(t->json, "keyStatus"), *s;
	cJSON *json = NULL;
	struct reply ignored = {0};

	cJSON_ArrayForEach(s, status)
	{
		if (strcmp(s->valuestring, "Pending"))
			continue;
		if (!json)
			json = copy_of(t);
		const cJSON *key = cJSON_GetObjectItemCaseSensitive(
		    cJSON_GetObjectItemCaseSensitive(t->json, "keys"), s->string);
		set_text(cJSON_GetObjectItemCaseSensitive(json, "keyStatus"), s->string,
			 has_duplicates(d, t, key) ? "Failed" : "Active");
	}
	if (json)
		define(d, json, &ignored);
}

/* ---- relationships --------------------------------------------------------------------------------- */

static void create_one_to_many(struct dataverse *d, const cJSON *body, const struct request *req,
			       struct reply *rep)
{
	const cJSON *lookup = cJSON_GetObjectItemCaseSensitive(body, "Lookup");
	const char *from = text(body, "ReferencingEntity"), *to = text(body, "ReferencedEntity");
	struct table *t = from ? store_table(&d->store, from) : NULL;
	struct table *target = to ? store_table(&d->store, to) : NULL;
	const char *remove =
	    text(cJSON_GetObjectItemCaseSensitive(body, "CascadeConfiguration"), "Delete");
	const char *back = text(body, "ReferencedEntityNavigationPropertyName");
	char name[100], column_name[100];
	const char *schema = schema_name(body, name, rep), *column_schema;

	if (!schema)
		return;
	if (!t || !target) {
		refuse(rep, "ReferencingEntity and ReferencedEntity name tables.%s", "");
		return;
	}
	column_schema = schema_name(lookup, column_name, rep);
	if (!column_schema)
		return;
	if (table_column(t, column_name)) {
		refuse(rep, "An attribute with the specified name %s already exists.", column_name);
		return;
	}
	cJSON *json = copy_of(t), *c = cJSON_CreateObject(), *o;
	cJSON_AddStringToObject(c, "type", "Lookup");
	cJSON_AddStringToObject(c, "schemaName", column_schema);
	o = cJSON_AddObjectToObject(c, "targets");
	cJSON_AddStringToObject(o, target->name, column_schema);
	o = cJSON_AddObjectToObject(c, "reverse");
	cJSON_AddStringToObject(o, target->name, back ? back : schema);
	o = cJSON_AddObjectToObject(c, "relationship");
	cJSON_AddStringToObject(o, target->name, schema);
	cJSON_AddStringToObject(c, "onDelete", remove ? remove : "RemoveLink");
	cJSON_AddItemToObject(cJSON_GetObjectItemCaseSensitive(json, "columns"), column_name, c);
	if (column_facts(lookup, c, rep) && define(d, json, rep))
		created(d, req, rep, "RelationshipDefinitions", "relationship ", NULL, schema);
}

static void intersect_end(cJSON *json, const char *member, const char *column, const char *target,
			  const char *navigation)
{
	cJSON *c = cJSON_CreateObject(), *o;

	cJSON_AddStringToObject(c, "type", "Lookup");
	cJSON_AddBoolToObject(c, "readOnly", true);
	cJSON_AddStringToObject(c, "onDelete", "Cascade");
	o = cJSON_AddObjectToObject(c, "targets");
	cJSON_AddStringToObject(o, target, column);
	cJSON_AddItemToObject(cJSON_GetObjectItemCaseSensitive(json, "columns"), column, c);
	o = cJSON_AddObjectToObject(cJSON_GetObjectItemCaseSensitive(json, "manyToMany"), member);
	cJSON_AddStringToObject(o, "column", column);
	cJSON_AddStringToObject(o, "navigation", navigation);
}

static void create_many_to_many(struct dataverse *d, const cJSON *body, const struct request *req,
				struct reply *rep)
{
	const char *one = text(body, "Entity1LogicalName"), *two = text(body, "Entity2LogicalName");
	const char *given = text(body, "IntersectEntityName");
	const char *nav1 = text(body, "Entity1NavigationPropertyName");
	const char *nav2 = text(body, "Entity2NavigationPropertyName");
	struct table *a = one ? store_table(&d->store, one) : NULL;
	struct table *b = two ? store_table(&d->store, two) : NULL;
	char name[100], table[100], set_name[110], id[110];
	const char *schema = schema_name(body, name, rep);

	if (!schema)
		return;
	snprintf(table, sizeof table, "%s", given ? given : name);
	for (char *s = table; *s; s++)
		*s = (char)tolower((unsigned char)*s);
	if (!a || !b || a == b || store_table(&d->store, table) ||
	    strspn(table, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(table) || !*table) {
		refuse(rep,
		       "Entity1LogicalName and Entity2LogicalName name two tables, "
		       "IntersectEntityName a new one.%s",
		       "");
		return;
	}
	cJSON *json = cJSON_CreateObject(), *o;
	snprintf(set_name, sizeof set_name, "%sset", table);
	snprintf(id, sizeof id, "%sid", table);
	set_text(json, "name", table);
	set_text(json, "schemaName", given ? given : schema);
	set_text(json, "entitySet", set_name);
	set_text(json, "primaryId", id);
	set_text(json, "primaryName", id);
	set(json, "custom", cJSON_CreateTrue());
	set(json, "isIntersect", cJSON_CreateTrue());
	o = cJSON_AddObjectToObject(json, "manyToMany");
	cJSON_AddStringToObject(o, "schemaName", schema);
	o = cJSON_AddObjectToObject(json, "columns");
	cJSON_AddStringToObject(cJSON_AddObjectToObject(o, id), "type", "Uniqueidentifier");
	intersect_end(json, "entity1", a->id, a->name, nav1 ? nav1 : schema);
	intersect_end(json, "entity2", b->id, b->name, nav2 ? nav2 : schema);
	o = cJSON_AddObjectToObject(o, "versionnumber");
	cJSON_AddStringToObject(o, "type", "BigInt");
	cJSON_AddBoolToObject(o, "readOnly", true);
	cJSON_AddStringToObject(o, "system", "version");
	if (define(d, json, rep))
		created(d, req, rep, "RelationshipDefinitions", "relationship ", NULL, schema);
}

static void create_option_set(struct dataverse *d, const cJSON *body, const struct request *req,
			      struct reply *rep)
{
	const char *name = text(body, "Name");
	char copy[100];
	cJSON *options, *set_json;

	if (!name || !*name || strlen(name) > 90 ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") !=
		strlen(name)) {
		refuse(rep, "The Name '%s' of the option set is not valid.", name);
		return;
	}
	if (cJSON_GetObjectItemCaseSensitive(d->store.option_sets, name)) {
		refuse(rep, "An option set with the name %s already exists.", name);
		return;
	}
	options = options_of(body, rep);
	if (!options)
		return;
	snprintf(copy, sizeof copy, "%s", name);
	set_json = cJSON_CreateObject();
	cJSON_AddItemToObject(set_json, "options", options);
	set_text(set_json, "displayName",
		 label_text(cJSON_GetObjectItemCaseSensitive(body, "DisplayName")));
	store_option_set(&d->store, copy, set_json);
	created(d, req, rep, "GlobalOptionSetDefinitions", "option set ", NULL, copy);
}

/* ---- change and delete ------------------------------------------------------------------------------- */

static void update_table(struct dataverse *d, struct table *t, const cJSON *body, struct reply *rep)
{
	cJSON *like = metadata_entity(t), *json;
	bool good = members_known(body, like, " Attributes HasFeedback HasEmailAddresses ", rep);

	cJSON_Delete(like);
	if (!good)
		return;
	json = copy_of(t);
	table_facts(body, json);
	if (define(d, json, rep))
		no_content(rep);
}

static void update_column(struct dataverse *d, struct table *t, struct column *c, const cJSON *body,
			  struct reply *rep)
{
	cJSON *json = copy_of(t), *like = metadata_attribute(t, c, true);
	cJSON *column = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(json, "columns"), c->name);

	if (members_known(body, like, " OptionSet GlobalOptionSet ", rep) &&
	    column_facts(body, column, rep)) {
		if (define(d, json, rep))
			no_content(rep);
	} else {
		cJSON_Delete(json);
	}
	cJSON_Delete(like);
}

static void delete_column(struct dataverse *d, struct table *t, const char *column,
			  struct reply *rep)
{
	struct column *c = table_column(t, column);
	const cJSON *keys = cJSON_GetObjectItemCaseSensitive(t->json, "keys"), *key;
	char name[100];
	bool lookup = c->type == T_LOOKUP;

	snprintf(name, sizeof name, "%s", column);
	cJSON_ArrayForEach(key, keys)
	{
		int columns[KEY_COLUMNS_MAX], n = key_columns(t, key, columns);
		for (int i = 0; i < n; i++)
			if (columns[i] == c - t->columns) {
				refuse(rep, "The attribute is part of the key %s.", key->string);
				return;
			}
	}
	if (!strcmp(name, t->id) || !strcmp(name, t->primary_name) || c->system) {
		refuse(rep, "The attribute %s cannot be deleted.", name);
		return;
	}
	cJSON *json = copy_of(t);
	cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "columns"),
						name);
	store_drop_column(&d->store, t, name, lookup);
	if (define(d, json, rep))
		no_content(rep);
}

static void delete_key(struct dataverse *d, struct table *t, const char *name, struct reply *rep)
{
	cJSON *json = copy_of(t);

	cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "keys"),
						name);
	cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "keyStatus"),
						name);
	if (define(d, json, rep))
		no_content(rep);
}

/* ---- paths ------------------------------------------------------------------------------------------ */

/* "(X='name')" or "(guid)" of something whose kind and owner are known. */
static bool names(const char *key, size_t len, const char *kind, const char *owner,
		  const char *name)
{
	char unique[240], id[37], quoted[140];

	snprintf(unique, sizeof unique, "%s%s%s", owner ? owner : "", owner ? "." : "", name);
	metadata_id(kind, unique, id);
	snprintf(quoted, sizeof quoted, "='%s'", name);
	size_t n = strlen(quoted);
	return (len == 38 && !strncasecmp(key + 1, id, 36)) ||
	       (len > n + 2 && !strncasecmp(key + len - 1 - n, quoted, n));
}

static void absent(struct reply *rep, const char *path)
{
	api_error(rep, 404, E_NOT_FOUND, "Could not find %.150s", path);
}

static void below(struct dataverse *d, struct table *t, const char *rest, const cJSON *body,
		  const struct request *req, struct reply *rep)
{
	bool post = !strcmp(req->method, "POST"), put = !strcmp(req->method, "PUT");
	bool attributes = !strncmp(rest, "/Attributes", 11), keys = !strncmp(rest, "/Keys", 5);
	const char *key = attributes ? rest + 11 : keys ? rest + 5 : rest;
	size_t len = key_length(key);
	const cJSON *k;

	if (post && attributes && !*key) {
		create_column(d, t, body, req, rep);
		return;
	}
	if (post && keys && !*key) {
		create_key(d, t, body, req, rep);
		return;
	}
	if (post || *key != '(' || len == SIZE_MAX || (put && keys)) {
		api_not_implemented(rep, rest);
		return;
	}
	len++;
	for (int i = 0; attributes && i < t->count; i++)
		if (names(key, len, "column ", t->name, t->columns[i].name)) {
			if (put)
				update_column(d, t, &t->columns[i], body, rep);
			else
				delete_column(d, t, t->columns[i].name, rep);
			return;
		}
	cJSON_ArrayForEach(k, cJSON_GetObjectItemCaseSensitive(
				  t->json, "keys")) if (keys &&
							names(key, len, "key ", t->name, k->string))
	{
		delete_key(d, t, k->string, rep);
		return;
	}
	absent(rep, rest);
}

/* With a table go the intersect tables that lead to it; a lookup of another table stands in the way. */
static void delete_table(struct dataverse *d, const char *logical_name, struct reply *rep)
{
	char name[128];

	snprintf(name, sizeof name, "%s", logical_name);
	for (int i = 0; i < d->store.count; i++) {
		struct table *u = &d->store.tables[i];
		bool leads = false;
		for (int k = 0; k < u->count; k++)
			leads |=
			    cJSON_GetObjectItemCaseSensitive(u->columns[k].targets, name) != NULL;
		if (!leads || !strcmp(u->name, name))
			continue;
		if (!u->intersect) {
			refuse(rep, "The table cannot be deleted: %s has a lookup to it.", u->name);
			return;
		}
		store_undefine(&d->store, u);
		i = -1;
	}
	store_undefine(&d->store, store_table(&d->store, name));
	no_content(rep);
}

static void change_entity(struct dataverse *d, const char *rest, const cJSON *body,
			  const struct request *req, struct reply *rep)
{
	size_t len = *rest == '(' ? key_length(rest) : SIZE_MAX;
	struct table *t = NULL;

	if (!*rest && !strcmp(req->method, "POST")) {
		create_table(d, body, req, rep);
		return;
	}
	for (int i = 0; len != SIZE_MAX && !t && i < d->store.count; i++)
		if (names(rest, len + 1, "table ", NULL, d->store.tables[i].name))
			t = &d->store.tables[i];
	if (!t)
		absent(rep, rest);
	else if (rest[len + 1])
		below(d, t, rest + len + 1, body, req, rep);
	else if (!strcmp(req->method, "PUT"))
		update_table(d, t, body, rep);
	else if (!strcmp(req->method, "POST"))
		api_error(rep, 405, E_QUERY,
			  "The requested resource does not support http method "
			  "'POST'.");
	else if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->json, "custom")))
		refuse(rep, "The table %s is not custom and cannot be deleted.", t->name);
	else
		delete_table(d, t->name, rep);
}

static void change_relationship(struct dataverse *d, const char *rest, const cJSON *body,
				const struct request *req, struct reply *rep)
{
	const char *type = text(body, "@odata.type");
	struct nav n;
	size_t len = *rest == '(' ? key_length(rest) : SIZE_MAX;

	if (!*rest && !strcmp(req->method, "POST")) {
		if (type && strstr(type, "OneToManyRelationshipMetadata"))
			create_one_to_many(d, body, req, rep);
		else if (type && strstr(type, "ManyToManyRelationshipMetadata"))
			create_many_to_many(d, body, req, rep);
		else
			refuse(rep, "'%s' is not a type of relationship.", type);
		return;
	}
	if (strcmp(req->method, "DELETE") || len == SIZE_MAX) {
		api_not_implemented(rep, "changing a relationship");
		return;
	}
	for (int i = 0; i < d->store.count; i++)
		for (int k = 0; nav_at(&d->store, &d->store.tables[i], k, &n); k++)
			if (n.kind != NAV_MANY &&
			    names(rest, len + 1, "relationship ", NULL, n.schema)) {
				if (n.kind == NAV_ONE) {
					delete_column(d, n.table, n.column->name, rep);
				} else {
					store_undefine(&d->store, n.intersect);
					no_content(rep);
				}
				return;
			}
	absent(rep, rest);
}

static void change_option_set(struct dataverse *d, const char *rest, const cJSON *body,
			      const struct request *req, struct reply *rep)
{
	size_t len = *rest == '(' ? key_length(rest) : SIZE_MAX;
	const cJSON *o;

	if (!*rest && !strcmp(req->method, "POST")) {
		create_option_set(d, body, req, rep);
		return;
	}
	if (strcmp(req->method, "DELETE") || len == SIZE_MAX) {
		api_not_implemented(rep, "changing a global option set");
		return;
	}
	cJSON_ArrayForEach(o, d->store.option_sets)
	{
		char name[100];
		if (!names(rest, len + 1, "option set ", NULL, o->string))
			continue;
		for (int i = 0; i < d->store.count; i++)
			for (int k = 0; k < d->store.tables[i].count; k++) {
				const char *used =
				    text(d->store.tables[i].columns[k].json, "globalOptionSet");
				if (used && !strcmp(used, o->string)) {
					refuse(rep, "The option set %s is used.", o->string);
					return;
				}
			}
		snprintf(name, sizeof name, "%s", o->string);
		store_option_set(&d->store, name, NULL);
		no_content(rep);
		return;
	}
	absent(rep, rest);
}

void tables_change(struct dataverse *d, const char *path, const struct request *req,
		   struct reply *rep)
{
	bool delete = !strcmp(req->method, "DELETE");
	cJSON *body = delete ? NULL : cJSON_Parse(req->body);
	const char *rest = path + strcspn(path, "(/");

	if (strcmp(req->method, "POST") && strcmp(req->method, "PUT") && !delete)
		api_error(rep, 405, E_QUERY,
			  "The requested resource does not support http method '%s'.", req->method);
	else if (!delete &&!cJSON_IsObject(body))
		api_error(rep, 400, E_PAYLOAD, "Error identified in Payload provided by the user.");
	else if (*path == 'E')
		change_entity(d, rest, body, req, rep);
	else if (*path == 'R')
		change_relationship(d, rest, body, req, rep);
	else
		change_option_set(d, rest, body, req, rep);
	cJSON_Delete(body);
}
