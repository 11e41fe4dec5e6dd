/* transform-custom-entity - any table of Dynamics becomes a custom resource of Campaign.
 *
 * Nothing but the mapping: which rows and columns, and which of them hold the key of a parent
 * (mapping.h).
 */
#include "transform_loop.h"

static enum result entity_open(struct stage *s, void **state, const struct record_class **in,
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

static enum result entity_process(void *state, const avro_value_t *in, struct transformed *out,
				  struct error *err)
{
	struct mapped_change change;
	enum result r = mapping_apply(state, in, out->lacks, out->value, &change, err);

	out->emit = change.emit;
	out->tombstone = change.tombstone;
	return r;
}

static const char *entity_lacks(void *state, const char *schema)
{
	return mapping_lacks(state, schema);
}

static bool entity_tombstone(void *state)
{
	return mapping_passes_tombstones(state);
}

static void entity_close(void *state)
{
	(void)state; /* the stage owns the mapping */
}

static const struct transformer custom_entity = {
    .program = "transform-custom-entity",
    .synopsis = "Maps changes of a custom table (<name>.crm.<table>) to changes of a custom\n"
		"resource (<name>.campaign.<resource>) as the flow's fields and links say,\n"
		"exactly once.",
    .open = entity_open,
    .process = entity_process,
    .lacks = entity_lacks,
    .tombstone = entity_tombstone,
    .close = entity_close,
};

int main(int argc, char **argv)
{
	return transform_main(argc, argv, &custom_entity);
}
