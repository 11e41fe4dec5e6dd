/* metadata.c - see metadata.h.
 *
 * Facts: "EntityMetadata", "AttributeMetadata" and their kin in the Web API's reference, and "query
 * schema definitions using the Web API".
 */
#include "metadata.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"

static const char *text(const cJSON *o, const char *name, const char *fallback)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
	return s ? s : fallback;
}

static bool truth(const cJSON *o, const char *name, bool fallback)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
	return cJSON_IsBool(v) ? cJSON_IsTrue(v) : fallback;
}

void metadata_id(const char *kind, const char *name, char out[37])
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a of both */

	for (const char *s = kind; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	for (const char *s = name; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	struct rng r = {h};
	rng_guid(&r, out);
}

static void add_id(cJSON *o, const char *kind, const char *name)
{
	char id[37];

	metadata_id(kind, name, id);
	cJSON_AddStringToObject(o, "MetadataId", id);
	cJSON_AddNullToObject(o, "HasChanged");
}

static cJSON *label(const char *value, const char *owner)
{
	cJSON *o = cJSON_CreateObject(), *one, *list = cJSON_AddArrayToObject(o, "LocalizedLabels");
	char id[37];

	if (!value) {
		cJSON_AddNullToObject(o, "UserLocalizedLabel");
		return o;
	}
	one = cJSON_CreateObject();
	metadata_id(owner, value, id);
	cJSON_AddStringToObject(one, "Label", value);
	cJSON_AddNumberToObject(one, "LanguageCode", 1033);
	cJSON_AddBoolToObject(one, "IsManaged", true);
	cJSON_AddStringToObject(one, "MetadataId", id);
	cJSON_AddNullToObject(one, "HasChanged");
	cJSON_AddItemToArray(list, cJSON_Duplicate(one, true));
	cJSON_AddItemToObject(o, "UserLocalizedLabel", one);
	return o;
}

/* {"Value": .., "CanBeChanged": .., "ManagedPropertyLogicalName": ".."} */
static cJSON *managed(cJSON *value, bool can_be_changed, const char *logical_name)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddItemToObject(o, "Value", value);
	cJSON_AddBoolToObject(o, "CanBeChanged", can_be_changed);
	cJSON_AddStringToObject(o, "ManagedPropertyLogicalName", logical_name);
	return o;
}

static cJSON *one_value(const char *value)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "Value", value);
	return o;
}

/* Managed properties that are the same for all tables and nobody here asks about. */
static void add_managed(cJSON *o, const char *const *names, bool value)
{
	for (; *names; names++) {
		char logical[100];
		size_t n = 0;
		for (; (*names)[n] && n < 99; n++)
			logical[n] = (char)tolower((unsigned char)(*names)[n]);
		logical[n] = 0;
		cJSON_AddItemToObject(o, *names, managed(cJSON_CreateBool(value), true, logical));
	}
}

static void add_flags(cJSON *o, const char *const *names, bool value)
{
	for (; *names; names++)
		cJSON_AddBoolToObject(o, *names, value);
}

cJSON *metadata_entity(const struct table *t)
{
	static const char *const yes[] = {"IsConnectionsEnabled",
					  "IsCustomizable",
					  "IsRenameable",
					  "IsMappable",
					  "CanCreateAttributes",
					  "CanCreateForms",
					  "CanCreateViews",
					  "CanCreateCharts",
					  "CanModifyAdditionalSettings",
					  "CanBeInManyToMany",
					  "CanBePrimaryEntityInRelationship",
					  "CanBeRelatedEntityInRelationship",
					  "CanEnableSyncToExternalSearchIndex",
					  NULL};
	static const char *const no[] = {"IsAuditEnabled",	     "IsDuplicateDetectionEnabled",
					 "IsMailMergeEnabled",	     "IsVisibleInMobile",
					 "IsReadOnlyInMobileClient", NULL};
	static const char *const flags_on[] = {"IsValidForAdvancedFind", "IsReadingPaneEnabled",
					       "CanTriggerWorkflow",
					       "IsOptimisticConcurrencyEnabled", NULL};
	static const char *const flags_off[] = {"IsChildEntity",
						"IsBPFEntity",
						"IsPrivate",
						"IsAIRUpdated",
						"AutoRouteToOwnerQueue",
						"IsSLAEnabled",
						"IsKnowledgeManagementEnabled",
						"IsExternalChannelEnabled",
						"IsSolutionAware",
						"IsLogicalEntity",
						"IsArchivalEnabled",
						"IsRetentionEnabled",
						"EnforceStateTransitions",
						NULL};
	cJSON *o = cJSON_CreateObject();
	bool custom = truth(t->json, "custom", false);
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(t->json, "objectTypeCode");

	cJSON_AddStringToObject(o, "LogicalName", t->name);
	cJSON_AddStringToObject(o, "SchemaName", t->schema_name ? t->schema_name : t->name);
	cJSON_AddStringToObject(o, "EntitySetName", t->set);
	cJSON_AddStringToObject(o, "LogicalCollectionName", t->set);
	cJSON_AddStringToObject(o, "CollectionSchemaName", t->set);
	cJSON_AddStringToObject(o, "PrimaryIdAttribute", t->id);
	cJSON_AddStringToObject(o, "PrimaryNameAttribute", t->primary_name);
	cJSON_AddNullToObject(o, "PrimaryImageAttribute");
	cJSON_AddNumberToObject(o, "ObjectTypeCode", code ? code->valuedouble : 0);
	cJSON_AddNumberToObject(o, "ActivityTypeMask", truth(t->json, "isActivity", false) ? 1 : 0);
	cJSON_AddStringToObject(o, "OwnershipType",
				t->intersect ? "None" : text(t->json, "ownership", "UserOwned"));
	cJSON_AddStringToObject(o, "TableType", text(t->json, "tableType", "Standard"));
	cJSON_AddBoolToObject(o, "IsActivity", truth(t->json, "isActivity", false));
	cJSON_AddBoolToObject(o, "IsActivityParty", truth(t->json, "isActivityParty", false));
	cJSON_AddBoolToObject(o, "HasActivities", truth(t->json, "hasActivities", false));
	cJSON_AddBoolToObject(o, "HasNotes", truth(t->json, "hasNotes", false));
	cJSON_AddBoolToObject(o, "IsIntersect", t->intersect);
	cJSON_AddBoolToObject(o, "IsCustomEntity", custom);
	cJSON_AddBoolToObject(o, "IsManaged", !custom);
	cJSON_AddBoolToObject(o, "IsAvailableOffline", true);
	cJSON_AddBoolToObject(o, "ChangeTrackingEnabled", t->tracking);
	cJSON_AddItemToObject(
	    o, "CanChangeTrackingBeEnabled",
	    managed(cJSON_CreateBool(truth(t->json, "canChangeTracking", !t->intersect)), true,
		    "canchangetrackingbeenabled"));
	cJSON_AddItemToObject(
	    o, "DisplayName",
	    label(text(t->json, "displayName", t->schema_name ? t->schema_name : t->name),
		  t->name));
	cJSON_AddItemToObject(o, "DisplayCollectionName",
			      label(text(t->json, "displayCollectionName", t->set), t->name));
	cJSON_AddItemToObject(o, "Description", label(text(t->json, "description", NULL), t->name));
	cJSON_AddStringToObject(o, "IntroducedVersion", "1.0.0.0");
	cJSON_AddItemToObject(o, "Privileges", privilege_metadata(t));
	add_managed(o, yes, true);
	add_managed(o, no, false);
	add_flags(o, flags_on, true);
	add_flags(o, flags_off, false);
	add_id(o, "table ", t->name);
	return o;
}

/* ---- attributes ---------------------------------------------------------------------------------- */

static const struct {
	const char *type, *attribute_type, *cast;
} kinds[] = {{"Uniqueidentifier", "Uniqueidentifier", "UniqueIdentifier"},
	     {"Customer", "Customer", "Lookup"},
	     {"Owner", "Owner", "Lookup"},
	     {"MultiSelectPicklist", "Virtual", "MultiSelectPicklist"},
	     {"Image", "Virtual", "Image"},
	     {"File", "Virtual", "File"},
	     {"Virtual", "Virtual", ""}};

static const char *attribute_type(const struct column *c)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i].type, c->type_name))
			return kinds[i].attribute_type;
	return c->type_name;
}

const char *metadata_cast(const struct column *c)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i].type, c->type_name))
			return kinds[i].cast;
	return c->type_name;
}

static void add_range(cJSON *o, double low, double high)
{
	cJSON_AddNumberToObject(o, "MinValue", low);
	cJSON_AddNumberToObject(o, "MaxValue", high);
}

/* The members that only the derived type has. */
static void add_derived(cJSON *o, const struct column *c)
{
	const cJSON *t, *fallback = cJSON_GetObjectItemCaseSensitive(c->json, "default");
	const char *behavior = text(c->json, "behavior", "UserLocal");
	cJSON *list;

	switch (c->type) {
	case T_STRING:
	case T_MEMO:
		cJSON_AddNumberToObject(o, "MaxLength", c->max_length ? c->max_length : 100);
		cJSON_AddStringToObject(
		    o, "Format", text(c->json, "format", c->type == T_MEMO ? "TextArea" : "Text"));
		if (c->type == T_STRING)
			cJSON_AddNumberToObject(o, "DatabaseLength",
						(c->max_length ? c->max_length : 100) * 2);
		cJSON_AddItemToObject(
		    o, "FormatName",
		    one_value(text(c->json, "format", c->type == T_MEMO ? "TextArea" : "Text")));
		cJSON_AddStringToObject(o, "ImeMode", "Auto");
		cJSON_AddBoolToObject(o, "IsLocalizable", false);
		break;
	case T_INTEGER:
		cJSON_AddStringToObject(o, "Format", "None");
		add_range(o, -2147483648.0, 2147483647.0);
		break;
	case T_BIGINT:
		add_range(o, -9223372036854775808.0, 9223372036854775807.0);
		break;
	case T_DOUBLE:
		add_range(o, -100000000000.0, 100000000000.0);
		cJSON_AddNumberToObject(o, "Precision", c->precision);
		break;
	case T_DECIMAL:
		add_range(o, -100000000000.0, 100000000000.0);
		cJSON_AddNumberToObject(o, "Precision", c->precision);
		break;
	case T_MONEY:
		add_range(o, -922337203685477.0, 922337203685477.0);
		cJSON_AddNumberToObject(o, "Precision", c->precision);
		cJSON_AddNumberToObject(o, "PrecisionSource", 2);
		cJSON_AddBoolToObject(o, "IsBaseCurrency", false);
		cJSON_AddNullToObject(o, "CalculationOf");
		break;
	case T_DATE:
	case T_DATETIME:
		cJSON_AddStringToObject(
		    o, "Format",
		    text(c->json, "format", c->type == T_DATE ? "DateOnly" : "DateAndTime"));
		cJSON_AddItemToObject(o, "DateTimeBehavior", one_value(behavior));
		cJSON_AddItemToObject(
		    o, "CanChangeDateTimeBehavior",
		    managed(cJSON_CreateBool(false), false, "canchangedatetimebehavior"));
		cJSON_AddStringToObject(o, "MinSupportedValue", "1753-01-01T00:00:00Z");
		cJSON_AddStringToObject(o, "MaxSupportedValue", "9999-12-30T23:59:59Z");
		break;
	case T_LOOKUP:
		list = cJSON_AddArrayToObject(o, "Targets");
		cJSON_ArrayForEach(t, c->targets)
		    cJSON_AddItemToArray(list, cJSON_CreateString(t->string));
		cJSON_AddStringToObject(o, "Format", "None");
		break;
	case T_BOOLEAN:
		cJSON_AddBoolToObject(o, "DefaultValue", cJSON_IsTrue(fallback));
		break;
	case T_CHOICE:
	case T_CHOICES:
	case T_STATE:
	case T_STATUS:
		cJSON_AddNumberToObject(o, "DefaultFormValue",
					cJSON_IsNumber(fallback) ? fallback->valuedouble : -1);
		break;
	default:
		break;
	}
}

cJSON *metadata_attribute(const struct table *t, const struct column *c, bool derived)
{
	static const char *const managed_yes[] = {"IsCustomizable", "IsRenameable",
						  "IsValidForAdvancedFind",
						  "CanModifyAdditionalSettings", NULL};
	static const char *const managed_no[] = {"IsAuditEnabled", "IsGlobalFilterEnabled",
						 "IsSortableEnabled", NULL};
	static const char *const off[] = {"IsSecured",
					  "CanBeSecuredForRead",
					  "CanBeSecuredForCreate",
					  "CanBeSecuredForUpdate",
					  "IsFilterable",
					  "IsSearchable",
					  "IsRetrievable",
					  "IsDataSourceSecret",
					  NULL};
	cJSON *o = cJSON_CreateObject();
	bool id = !strcmp(c->name, t->id),
	     custom = strchr(c->name, '_') && truth(t->json, "custom", false);
	char type_name[80], unique[200];

	if (derived && *metadata_cast(c)) {
		snprintf(type_name, sizeof type_name, "#Microsoft.Dynamics.CRM.%sAttributeMetadata",
			 metadata_cast(c));
		cJSON_AddStringToObject(o, "@odata.type", type_name);
	}
	snprintf(type_name, sizeof type_name, "%sType", c->type_name);
	cJSON_AddStringToObject(o, "LogicalName", c->name);
	cJSON_AddStringToObject(o, "SchemaName", text(c->json, "schemaName", c->name));
	cJSON_AddStringToObject(o, "EntityLogicalName", t->name);
	cJSON_AddStringToObject(o, "AttributeType", attribute_type(c));
	cJSON_AddItemToObject(o, "AttributeTypeName", one_value(type_name));
	cJSON_AddBoolToObject(o, "IsPrimaryId", id);
	cJSON_AddBoolToObject(o, "IsPrimaryName", !strcmp(c->name, t->primary_name));
	cJSON_AddBoolToObject(o, "IsValidForRead", true);
	cJSON_AddBoolToObject(o, "IsValidForCreate",
			      truth(c->json, "validForCreate", !c->read_only));
	cJSON_AddBoolToObject(o, "IsValidForUpdate",
			      truth(c->json, "validForUpdate", !c->read_only && !id));
	cJSON_AddBoolToObject(o, "IsValidODataAttribute", true);
	cJSON_AddBoolToObject(o, "IsLogical", c->type == T_VIRTUAL);
	cJSON_AddBoolToObject(o, "IsCustomAttribute", custom);
	cJSON_AddBoolToObject(o, "IsManaged", !custom);
	cJSON_AddBoolToObject(o, "IsRequiredForForm", false);
	cJSON_AddItemToObject(
	    o, "RequiredLevel",
	    managed(cJSON_CreateString(text(c->json, "required", id ? "SystemRequired" : "None")),
		    !id, "canmodifyrequirementlevelsettings"));
	cJSON_AddItemToObject(o, "DisplayName",
			      label(text(c->json, "displayName", c->name), c->name));
	cJSON_AddItemToObject(o, "Description", label(text(c->json, "description", NULL), c->name));
	cJSON_AddStringToObject(o, "AttributeOf", text(c->json, "attributeOf", ""));
	if (!*text(c->json, "attributeOf", ""))
		cJSON_ReplaceItemInObject(o, "AttributeOf", cJSON_CreateNull());
	cJSON_AddNumberToObject(o, "ColumnNumber", (double)(c - t->columns) + 1);
	cJSON_AddNumberToObject(o, "SourceType", 0);
	cJSON_AddStringToObject(o, "IntroducedVersion", "1.0.0.0");
	add_managed(o, managed_yes, true);
	add_managed(o, managed_no, false);
	add_flags(o, off, false);
	snprintf(unique, sizeof unique, "%s.%s", t->name, c->name);
	add_id(o, "column ", unique);
	if (derived)
		add_derived(o, c);
	return o;
}

/* ---- option sets ----------------------------------------------------------------------------------- */

static cJSON *option(const char *value, const char *shown, const char *owner)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "Value", strtod(value, NULL));
	cJSON_AddItemToObject(o, "Label", label(shown, owner));
	cJSON_AddItemToObject(o, "Description", label(NULL, owner));
	cJSON_AddNullToObject(o, "Color");
	cJSON_AddBoolToObject(o, "IsManaged", true);
	cJSON_AddNullToObject(o, "ExternalValue");
	cJSON_AddNullToObject(o, "MetadataId");
	cJSON_AddNullToObject(o, "HasChanged");
	return o;
}

static void add_set(cJSON *set, const char *name, bool global, const char *type, const char *shown)
{
	cJSON_AddBoolToObject(set, "IsGlobal", global);
	cJSON_AddBoolToObject(set, "IsCustomOptionSet", true);
	cJSON_AddBoolToObject(set, "IsManaged", false);
	cJSON_AddStringToObject(set, "Name", name);
	cJSON_AddStringToObject(set, "OptionSetType", type);
	cJSON_AddNullToObject(set, "ExternalTypeName");
	cJSON_AddItemToObject(set, "DisplayName", label(shown, name));
	cJSON_AddItemToObject(set, "Description", label(NULL, name));
	cJSON_AddItemToObject(set, "IsCustomizable",
			      managed(cJSON_CreateBool(true), true, "iscustomizable"));
	cJSON_AddStringToObject(set, "IntroducedVersion", "1.0.0.0");
	add_id(set, "option set ", name);
}

/* The first status that the table has for a state: what a row gets with the state alone. */
static double default_status(const struct table *t, const char *state)
{
	for (int i = 0; i < t->count; i++) {
		const cJSON *states =
				cJSON_GetObjectItemCaseSensitive(t->columns[i].json, "states"),
			    *of;
		cJSON_ArrayForEach(of, states)
		{
			if (of->valuedouble == strtod(state, NULL))
				return strtod(of->string, NULL);
		}
	}
	return strtod(state, NULL) + 1;
}

/* t and c: the column they are of; NULL, NULL of a global option set. */
static cJSON *options(const struct table *t, const struct column *c, const cJSON *all,
		      const char *owner)
{
	cJSON *list = cJSON_CreateArray();
	const cJSON *v;

	cJSON_ArrayForEach(v, all)
	{
		cJSON *o = option(v->string, v->valuestring, owner);
		if (c && c->type == T_STATUS) { /* a status belongs to a state */
			const cJSON *state = cJSON_GetObjectItemCaseSensitive(
			    cJSON_GetObjectItemCaseSensitive(c->json, "states"), v->string);
			cJSON_AddStringToObject(o, "@odata.type",
						"#Microsoft.Dynamics.CRM.StatusOptionMetadata");
			cJSON_AddNumberToObject(o, "State",
						state ? state->valuedouble
						      : (double)(strtol(v->string, NULL, 10) - 1));
		}
		if (c && c->type == T_STATE) {
			cJSON_AddStringToObject(o, "@odata.type",
						"#Microsoft.Dynamics.CRM.StateOptionMetadata");
			cJSON_AddNumberToObject(o, "DefaultStatus", default_status(t, v->string));
			cJSON_AddStringToObject(o, "InvariantName", v->valuestring);
		}
		cJSON_AddItemToArray(list, o);
	}
	return list;
}

cJSON *metadata_option_set(const struct table *t, const struct column *c)
{
	cJSON *set = cJSON_CreateObject();
	char name[200];

	snprintf(name, sizeof name, "%s_%s", t->name, c->name);
	if (c->type == T_BOOLEAN) {
		const char *no = text(c->options, "0", "No"), *yes = text(c->options, "1", "Yes");
		cJSON_AddItemToObject(set, "TrueOption", option("1", yes, name));
		cJSON_AddItemToObject(set, "FalseOption", option("0", no, name));
		add_set(set, name, false, "Boolean", c->name);
		return set;
	}
	cJSON_AddItemToObject(set, "Options", options(t, c, c->options, name));
	add_set(set, name, false,
		c->type == T_STATE    ? "State"
		: c->type == T_STATUS ? "Status"
				      : "Picklist",
		c->name);
	return set;
}

cJSON *metadata_global_option_set(const struct store *s, const char *name)
{
	const cJSON *found = cJSON_GetObjectItemCaseSensitive(s->option_sets, name);
	cJSON *set;

	if (!found)
		return NULL;
	set = cJSON_CreateObject();
	cJSON_AddStringToObject(set, "@odata.type", "#Microsoft.Dynamics.CRM.OptionSetMetadata");
	cJSON_AddItemToObject(
	    set, "Options",
	    options(NULL, NULL, cJSON_GetObjectItemCaseSensitive(found, "options"), name));
	add_set(set, name, true, "Picklist", text(found, "displayName", name));
	return set;
}

/* ---- keys and relationships ------------------------------------------------------------------------- */

cJSON *metadata_key(struct table *t, const cJSON *key)
{
	cJSON *o = cJSON_CreateObject(), *list;
	int columns[KEY_COLUMNS_MAX], n = key_columns(t, key, columns);
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(t->json, "keyStatus");
	char unique[200], logical[100];

	snprintf(logical, sizeof logical, "%s", key->string);
	for (char *s = logical; *s; s++)
		*s = (char)tolower((unsigned char)*s);
	cJSON_AddStringToObject(o, "LogicalName", logical);
	cJSON_AddStringToObject(o, "SchemaName", key->string);
	cJSON_AddStringToObject(o, "EntityLogicalName", t->name);
	list = cJSON_AddArrayToObject(o, "KeyAttributes");
	for (int i = 0; i < n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(t->columns[columns[i]].name));
	cJSON_AddStringToObject(o, "EntityKeyIndexStatus", text(status, key->string, "Active"));
	cJSON_AddBoolToObject(o, "IsManaged", false);
	cJSON_AddBoolToObject(o, "IsExportKey", false);
	cJSON_AddBoolToObject(o, "IsSynchronous", false);
	cJSON_AddBoolToObject(o, "IsSecondaryKey", false);
	cJSON_AddStringToObject(o, "IntroducedVersion", "1.0.0.0");
	cJSON_AddItemToObject(o, "DisplayName", label(key->string, t->name));
	cJSON_AddItemToObject(o, "IsCustomizable",
			      managed(cJSON_CreateBool(true), true, "iscustomizable"));
	snprintf(unique, sizeof unique, "%s.%s", t->name, key->string);
	add_id(o, "key ", unique);
	return o;
}

static void add_cascade(cJSON *o, const struct column *c)
{
	cJSON *cascade = cJSON_AddObjectToObject(o, "CascadeConfiguration");
	const char *remove = c->on_delete ? c->on_delete : "RemoveLink";
	bool all = !strcmp(remove, "Cascade");
	static const char *const others[] = {"Assign", "Share",	     "Unshare", "Reparent",
					     "Merge",  "RollupView", "Archive"};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		cJSON_AddStringToObject(cascade, others[i], all && i < 5 ? "Cascade" : "NoCascade");
	cJSON_AddStringToObject(cascade, "Delete", remove);
}

cJSON *metadata_relationship(const struct nav *n)
{
	cJSON *o = cJSON_CreateObject();
	bool many = n->kind == NAV_MANY_TO_MANY;

	cJSON_AddStringToObject(o, "@odata.type",
				many ? "#Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata"
				     : "#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata");
	cJSON_AddStringToObject(o, "SchemaName", n->schema);
	cJSON_AddStringToObject(o, "RelationshipType",
				many ? "ManyToManyRelationship" : "OneToManyRelationship");
	cJSON_AddStringToObject(o, "SecurityTypes", "None");
	cJSON_AddBoolToObject(o, "IsCustomRelationship", strchr(n->schema, '_') != NULL);
	cJSON_AddBoolToObject(o, "IsValidForAdvancedFind", true);
	cJSON_AddBoolToObject(o, "IsManaged", false);
	cJSON_AddStringToObject(o, "IntroducedVersion", "1.0.0.0");
	cJSON_AddItemToObject(o, "IsCustomizable",
			      managed(cJSON_CreateBool(true), true, "iscustomizable"));
	if (many) {
		cJSON_AddStringToObject(o, "Entity1LogicalName", n->table->name);
		cJSON_AddStringToObject(o, "Entity2LogicalName", n->target->name);
		cJSON_AddStringToObject(o, "IntersectEntityName", n->intersect->name);
		cJSON_AddStringToObject(o, "Entity1IntersectAttribute", n->column->name);
		cJSON_AddStringToObject(o, "Entity2IntersectAttribute", n->other->name);
		cJSON_AddStringToObject(o, "Entity1NavigationPropertyName", n->name);
		cJSON_AddStringToObject(o, "Entity2NavigationPropertyName", n->partner);
	} else {
		bool one = n->kind == NAV_ONE;
		const struct table *from = one ? n->table : n->target;
		const struct table *to = one ? n->target : n->table;
		cJSON_AddStringToObject(o, "ReferencingEntity", from->name);
		cJSON_AddStringToObject(o, "ReferencingAttribute", n->column->name);
		cJSON_AddStringToObject(o, "ReferencedEntity", to->name);
		cJSON_AddStringToObject(o, "ReferencedAttribute", to->id);
		cJSON_AddStringToObject(o, "ReferencingEntityNavigationPropertyName",
					one ? n->name : n->partner);
		cJSON_AddStringToObject(o, "ReferencedEntityNavigationPropertyName",
					one ? n->partner : n->name);
		cJSON_AddBoolToObject(o, "IsHierarchical", false);
		add_cascade(o, n->column);
	}
	add_id(o, "relationship ", n->schema);
	return o;
}

/* ---- navigation between them ------------------------------------------------------------------------ */

static cJSON *attributes(struct table *t)
{
	cJSON *list = cJSON_CreateArray();

	for (int i = 0; i < t->count; i++)
		cJSON_AddItemToArray(list, metadata_attribute(t, &t->columns[i], false));
	return list;
}

static cJSON *relationships(struct dataverse *d, struct table *t, enum nav_kind kind)
{
	cJSON *list = cJSON_CreateArray();
	struct nav n;

	for (int i = 0; nav_at(&d->store, t, i, &n); i++)
		if (n.kind == kind)
			cJSON_AddItemToArray(list, metadata_relationship(&n));
	return list;
}

cJSON *metadata_nav(void *user, const cJSON *object, const char *name)
{
	struct dataverse *d = user;
	const char *entity = text(object, "EntityLogicalName", NULL);
	struct table *t = store_table(&d->store, entity ? entity : text(object, "LogicalName", ""));
	const cJSON *key;
	cJSON *list;

	if (!t || cJSON_GetObjectItemCaseSensitive(object, "KeyAttributes"))
		return NULL;
	if (entity) { /* an attribute */
		struct column *c = table_column(t, text(object, "LogicalName", ""));
		const char *global = c ? text(c->json, "globalOptionSet", NULL) : NULL;
		bool has_set = c && (c->options || c->type == T_BOOLEAN);
		bool derived = cJSON_GetObjectItemCaseSensitive(object, "@odata.type") != NULL;
		if (!has_set || !derived)
			return NULL;
		if (!strcmp(name, "OptionSet"))
			return global ? cJSON_CreateNull() : metadata_option_set(t, c);
		if (!strcmp(name, "GlobalOptionSet"))
			return global ? metadata_global_option_set(&d->store, global)
				      : cJSON_CreateNull();
		return NULL;
	}
	if (!strcmp(name, "Attributes"))
		return attributes(t);
	if (!strcmp(name, "ManyToOneRelationships"))
		return relationships(d, t, NAV_ONE);
	if (!strcmp(name, "OneToManyRelationships"))
		return relationships(d, t, NAV_MANY);
	if (!strcmp(name, "ManyToManyRelationships"))
		return relationships(d, t, NAV_MANY_TO_MANY);
	if (strcmp(name, "Keys"))
		return NULL;
	list = cJSON_CreateArray();
	cJSON_ArrayForEach(key, cJSON_GetObjectItemCaseSensitive(t->json, "keys"))
	    cJSON_AddItemToArray(list, metadata_key(t, key));
	return list;
}
