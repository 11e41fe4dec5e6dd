/* transform-contact - contacts of Dynamics become profiles of Campaign.
 *
 * The mapping is data (mapping.h); what is special about contacts is here: which table, which
 * resource, and that the profile's identification key holds the contact's id, because events find
 * their way back by it.
 */
#include <string.h>

#include "transform_loop.h"

static enum result contact_open(struct stage *s, void **state, const struct record_class **in,
				const struct record_class **out, struct error *err)
{
	const struct flow *f = s->flow;

	if (strcmp(f->table, "contact") || strcmp(f->resource, "profile") ||
	    strcmp(f->key, "externalId"))
		return error_config(err, "config",
				    "%s:%d: a flow of kind contacts has table: contact, resource: "
				    "profile and key: externalId",
				    f->at.file, f->at.line);
	enum result r = stage_mapping(s, err);
	if (r != OK)
		return r;
	*state = s->mapping;
	*in = &mapping_source(s->mapping)->record;
	*out = mapping_target(s->mapping);
	return OK;
}

static enum result contact_process(void *state, const avro_value_t *in, struct transformed *out,
				   struct error *err)
{
	return mapping_apply(state, in, out->value, err);
}

static void contact_close(void *state)
{
	(void)state; /* the stage owns the mapping */
}

static const struct transformer contact = {
    .program = "transform-contact",
    .synopsis = "Maps changes of contacts (<name>.crm.contact) to changes of profiles\n"
		"(<name>.campaign.profile) as the flow's fields say, exactly once. Consent\n"
		"flags are written only as opt-outs.",
    .open = contact_open,
    .process = contact_process,
    .close = contact_close,
};

int main(int argc, char **argv)
{
	return transform_main(argc, argv, &contact);
}
