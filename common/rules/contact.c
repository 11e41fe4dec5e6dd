/* contact.c - see contact.h. */
#include "contact.h"

#include <string.h>

const char *const consent_flags[] = {"blackList",
				     "blackListEmail",
				     "blackListFax",
				     "blackListMobile",
				     "blackListPhone",
				     "blackListPostalMail",
				     "blackListPushnotification",
				     "ccpaOptOut",
				     NULL};

bool consent_flag(const struct flow *f, const char *attribute)
{
	if (strcmp(f->resource, "profile"))
		return false;
	for (size_t i = 0; consent_flags[i]; i++)
		if (!strcmp(attribute, consent_flags[i]))
			return true;
	return false;
}

bool consent_guards(const struct flow *f, const char *attribute)
{
	return !f->consent_both && consent_flag(f, attribute);
}

void contact_key_is_external_id(const struct flow *f, struct problems *p)
{
	static const struct {
		const char *key, *must;
	} fixed[] = {{"table", "contact"}, {"resource", "profile"}, {"key", "externalId"}};
	const char *is[] = {f->table, f->resource, f->key};

	if (f->kind != FLOW_CONTACTS)
		return;
	for (int i = 0; i < 3; i++)
		if (*is[i] && strcmp(is[i], fixed[i].must))
			problem(p, doc_place(doc_get(f->node, fixed[i].key)),
				"a flow of kind contacts has table: contact, resource: profile and "
				"key: externalId, not %s: %s; other tables are custom-entity",
				fixed[i].key, is[i]);
}

const char *contact_normalises(const struct flow *f, const char *attribute)
{
	return f->kind == FLOW_CONTACTS && !strcmp(attribute, "email") ? "email" : NULL;
}

const struct column *contact_merged_column(const struct flow *f, const struct table *t)
{
	const struct column *c = f->kind == FLOW_CONTACTS ? table_column(t, "merged") : NULL;
	return c && c->type == COLUMN_BOOLEAN ? c : NULL;
}
