/* csdl.c - $metadata: the model as CSDL XML, and the service document.
 *
 * Facts: "Web API service documents", "Web API entity types", "Web API navigation properties".
 * ?annotations=true adds what says more about a type: change tracking, alternate keys, computed
 * columns.  (Alternate keys are there without it, too: clients build URLs from them.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "nav.h"
#include "text.h"

static const char *edm_type(const struct column *c)
{
	switch (c->type) {
	case T_GUID:
	case T_LOOKUP:
		return "Edm.Guid";
	case T_BOOLEAN:
		return "Edm.Boolean";
	case T_INTEGER:
	case T_CHOICE:
	case T_STATE:
	case T_STATUS:
		return "Edm.Int32";
	case T_BIGINT:
		return "Edm.Int64";
	case T_DOUBLE:
		return "Edm.Double";
	case T_DECIMAL:
	case T_MONEY:
		return "Edm.Decimal";
	case T_DATE:
		return "Edm.Date";
	case T_DATETIME:
		return "Edm.DateTimeOffset";
	case T_IMAGE: /* a file is its id, an image its thumbnail */
		return strcmp(c->type_name, "File") ? "Edm.Binary" : "Edm.Guid";
	default:
		return "Edm.String";
	}
}

static void put_flag(struct text *o, const char *term)
{
	text_printf(o, "<Annotation Term=\"%s\" Bool=\"true\"/>", term);
}

static void put_property(struct text *o, const struct column *c, bool annotations)
{
	text_printf(o, "<Property Name=\"%s\" Type=\"%s\"", c->property, edm_type(c));
	if (c->type == T_DECIMAL || c->type == T_MONEY)
		text_puts(o, " Scale=\"Variable\"");
	if ((c->type == T_STRING || c->type == T_MEMO) && c->max_length)
		text_printf(o, " MaxLength=\"%d\"", c->max_length);
	if (c->type != T_STRING && c->type != T_MEMO)
		text_puts(o, " Unicode=\"false\"");
	if (!annotations) {
		text_puts(o, "/>");
		return;
	}
	text_puts(o, ">");
	if (c->read_only || c->type == T_LOOKUP)
		put_flag(o, "Org.OData.Core.V1.Computed");
	text_puts(o, "</Property>");
}

static void put_navigation(struct text *o, const struct nav *n)
{
	bool one = n->kind == NAV_ONE;

	text_printf(o, "<NavigationProperty Name=\"%s\" Type=\"%smscrm.%s%s\"", n->name,
		    one ? "" : "Collection(", n->target->name, one ? "" : ")");
	if (*n->partner)
		text_printf(o, " Partner=\"%s\"", n->partner);
	text_puts(o, one ? "" : "/>");
	if (one)
		text_printf(o,
			    "><ReferentialConstraint Property=\"%s\" "
			    "ReferencedProperty=\"%s\"/></NavigationProperty>",
			    n->column->property, n->target->id);
}

static void put_alternate_keys(struct text *o, struct table *t)
{
	const cJSON *keys = cJSON_GetObjectItemCaseSensitive(t->json, "keys"), *key;

	if (!keys || !keys->child)
		return;
	text_puts(o, "<Annotation Term=\"OData.Community.Keys.V1.AlternateKeys\"><Collection>");
	cJSON_ArrayForEach(key, keys)
	{
		int columns[KEY_COLUMNS_MAX], n = key_columns(t, key, columns);
		text_puts(o, "<Record Type=\"OData.Community.Keys.V1.AlternateKey\"><PropertyValue "
			     "Property=\"Key\"><Collection>");
		for (int i = 0; i < n; i++)
			text_printf(
			    o,
			    "<Record Type=\"OData.Community.Keys.V1.PropertyRef\">"
			    "<PropertyValue Property=\"Alias\" String=\"%s\"/>"
			    "<PropertyValue Property=\"Name\" PropertyPath=\"%s\"/></Record>",
			    t->columns[columns[i]].property, t->columns[columns[i]].property);
		text_puts(o, "</Collection></PropertyValue></Record>");
	}
	text_puts(o, "</Collection></Annotation>");
}

/* Activities inherit from activitypointer, users and teams from principal, when there are such. */
static const char *base_of(struct dataverse *d, const struct table *t)
{
	bool activity = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->json, "isActivity"));

	if (!strcmp(t->name, "activitypointer"))
		return "crmbaseentity";
	if (activity && store_table(&d->store, "activitypointer"))
		return "activitypointer";
	if (!strcmp(t->name, "systemuser") || !strcmp(t->name, "team"))
		return "principal";
	return "crmbaseentity";
}

static bool inherited(struct dataverse *d, const char *base, const char *name)
{
	struct table *b = store_table(&d->store, base);

	if (!strcmp(base, "principal"))
		return !strcmp(name, "ownerid");
	return b && table_column(b, name);
}

static void put_type(struct dataverse *d, struct table *t, bool annotations, struct text *o)
{
	const char *base = base_of(d, t);
	bool derived = !strcmp(base, "activitypointer");
	struct nav n;

	text_printf(o, "<EntityType Name=\"%s\" BaseType=\"mscrm.%s\">", t->name, base);
	if (!derived && strcmp(base, "principal"))
		text_printf(o, "<Key><PropertyRef Name=\"%s\"/></Key>", t->id);
	for (int i = 0; i < t->count; i++)
		if (t->columns[i].type != T_VIRTUAL && !inherited(d, base, t->columns[i].name))
			put_property(o, &t->columns[i], annotations);
	for (int i = 0; nav_at(&d->store, t, i, &n); i++)
		put_navigation(o, &n);
	put_alternate_keys(o, t);
	if (annotations && t->tracking)
		text_puts(o,
			  "<Annotation Term=\"Org.OData.Capabilities.V1.ChangeTracking\"><Record>"
			  "<PropertyValue Property=\"Supported\" Bool=\"true\"/></Record>"
			  "</Annotation>");
	text_puts(o, "</EntityType>");
}

static void put_bindings(struct dataverse *d, struct table *t, struct text *o)
{
	struct nav n;

	text_printf(o, "<EntitySet Name=\"%s\" EntityType=\"Microsoft.Dynamics.CRM.%s\">", t->set,
		    t->name);
	for (int i = 0; nav_at(&d->store, t, i, &n); i++)
		text_printf(o, "<NavigationPropertyBinding Path=\"%s\" Target=\"%s\"/>", n.name,
			    n.target->set);
	text_puts(o, "</EntitySet>");
}

/* What is no table: responses, functions and actions that this sandbox answers. */
static const char operations[] =
    "<ComplexType Name=\"WhoAmIResponse\"><Property Name=\"BusinessUnitId\" Type=\"Edm.Guid\" "
    "Nullable=\"false\"/><Property Name=\"UserId\" Type=\"Edm.Guid\" Nullable=\"false\"/><Property "
    "Name=\"OrganizationId\" Type=\"Edm.Guid\" Nullable=\"false\"/></ComplexType>"
    "<ComplexType Name=\"EntityRecordCountCollection\"><Property Name=\"Keys\" "
    "Type=\"Collection(Edm.String)\" Nullable=\"false\"/><Property Name=\"Values\" "
    "Type=\"Collection(Edm.Int64)\" Nullable=\"false\"/></ComplexType>"
    "<ComplexType Name=\"RetrieveTotalRecordCountResponse\"><Property "
    "Name=\"EntityRecordCountCollection\" Type=\"mscrm.EntityRecordCountCollection\" "
    "Nullable=\"false\"/></ComplexType>"
    "<ComplexType Name=\"CreateMultipleResponse\"><Property Name=\"Ids\" "
    "Type=\"Collection(Edm.Guid)\" Nullable=\"false\"/></ComplexType>"
    "<Function Name=\"WhoAmI\"><ReturnType Type=\"mscrm.WhoAmIResponse\" "
    "Nullable=\"false\"/></Function>"
    "<Function Name=\"RetrieveTotalRecordCount\"><Parameter Name=\"EntityNames\" "
    "Type=\"Collection(Edm.String)\" Nullable=\"false\" Unicode=\"false\"/><ReturnType "
    "Type=\"mscrm.RetrieveTotalRecordCountResponse\" Nullable=\"false\"/></Function>"
    "<Action Name=\"CreateMultiple\" IsBound=\"true\"><Parameter Name=\"entityset\" "
    "Type=\"Collection(mscrm.crmbaseentity)\" Nullable=\"false\"/><Parameter Name=\"Targets\" "
    "Type=\"Collection(mscrm.crmbaseentity)\" Nullable=\"false\"/><ReturnType "
    "Type=\"mscrm.CreateMultipleResponse\" Nullable=\"false\"/></Action>"
    "<Action Name=\"UpdateMultiple\" IsBound=\"true\"><Parameter Name=\"entityset\" "
    "Type=\"Collection(mscrm.crmbaseentity)\" Nullable=\"false\"/><Parameter Name=\"Targets\" "
    "Type=\"Collection(mscrm.crmbaseentity)\" Nullable=\"false\"/></Action>"
    "<Action Name=\"UpsertMultiple\" IsBound=\"true\"><Parameter Name=\"entityset\" "
    "Type=\"Collection(mscrm.crmbaseentity)\" Nullable=\"false\"/><Parameter Name=\"Targets\" "
    "Type=\"Collection(mscrm.crmbaseentity)\" Nullable=\"false\"/></Action>"
    "<Action Name=\"PublishAllXml\"/>"
    "<Action Name=\"PublishXml\"><Parameter Name=\"ParameterXml\" Type=\"Edm.String\" "
    "Nullable=\"false\" Unicode=\"false\"/></Action>";

void api_csdl(struct dataverse *d, const struct request *req, struct reply *rep)
{
	char *wanted = query_get(req, "annotations");
	bool annotations = wanted && !strcmp(wanted, "true");
	struct text o = {0};

	free(wanted);
	text_puts(&o, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
		      "<edmx:Edmx Version=\"4.0\" "
		      "xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\">");
	if (annotations)
		text_puts(
		    &o, "<edmx:Reference Uri=\"http://vocabularies.odata.org/OData.Community.Keys."
			"V1.xml\"><edmx:Include Namespace=\"OData.Community.Keys.V1\" "
			"Alias=\"Keys\"/></edmx:Reference>");
	text_puts(&o, "<edmx:DataServices><Schema Namespace=\"Microsoft.Dynamics.CRM\" "
		      "Alias=\"mscrm\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">"
		      "<EntityType Name=\"crmbaseentity\" Abstract=\"true\"/>"
		      "<EntityType Name=\"expando\" BaseType=\"mscrm.crmbaseentity\" "
		      "OpenType=\"true\"/>"
		      "<EntityType Name=\"principal\" BaseType=\"mscrm.crmbaseentity\">"
		      "<Key><PropertyRef Name=\"ownerid\"/></Key><Property Name=\"ownerid\" "
		      "Type=\"Edm.Guid\"/></EntityType>");
	if (!store_table(&d->store, "activitypointer"))
		text_puts(&o, "<EntityType Name=\"activitypointer\" "
			      "BaseType=\"mscrm.crmbaseentity\"><Key><PropertyRef "
			      "Name=\"activityid\"/></Key><Property Name=\"activityid\" "
			      "Type=\"Edm.Guid\"/></EntityType>");
	for (int i = 0; i < d->store.count; i++)
		put_type(d, &d->store.tables[i], annotations, &o);
	text_puts(&o, operations);
	text_puts(&o, "<EntityContainer Name=\"System\">");
	for (int i = 0; i < d->store.count; i++)
		put_bindings(d, &d->store.tables[i], &o);
	text_puts(&o, "<FunctionImport Name=\"WhoAmI\" Function=\"mscrm.WhoAmI\"/>"
		      "<FunctionImport Name=\"RetrieveTotalRecordCount\" "
		      "Function=\"mscrm.RetrieveTotalRecordCount\"/>"
		      "<ActionImport Name=\"PublishAllXml\" Action=\"mscrm.PublishAllXml\"/>"
		      "<ActionImport Name=\"PublishXml\" Action=\"mscrm.PublishXml\"/>"
		      "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>");
	snprintf(rep->route, sizeof rep->route, "$metadata");
	reply_header(rep, "OData-Version", "4.0");
	reply_header(rep, "Content-Type", "application/xml");
	rep->status = 200;
	rep->body = o.data;
	rep->body_len = o.len;
}
