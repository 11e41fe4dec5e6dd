/* transform-contact - contacts of Dynamics become profiles of Campaign.
 *
 * The mapping is data (mapping.h); what is special about contacts are the rules of contact.h, which
 * `tideway check`, `plan` and `test` follow as well: the key, e-mail addresses, merged contacts,
 * consent.
 */
#include "transform_loop.h"

static enum result contact_open(struct stage *s, void **state, const struct record_class **in,
				const struct record_class **out, struct error *err)
{
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
	struct mapped_change change;
	enum result r = mapping_apply(state, in, out->lacks, out->value, &change, err);

	out->emit = change.emit;
	out->tombstone = change.tombstone;
	return r;
}

static const char *contact_lacks(void *state, const char *schema)
{
	return mapping_lacks(state, schema);
}

static bool contact_tombstone(void *state)
{
	return mapping_passes_tombstones(state);
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
    .lacks = contact_lacks,
    .tombstone = contact_tombstone,
    .close = contact_close,
};

int main(int argc, char **argv)
{
	return transform_main(argc, argv, &contact);
}
