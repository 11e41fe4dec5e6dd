/* flow_fields.c - the fields and links of a flow, as written. */
#include "config_reader.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"

struct place field_place(const struct field_config *f, const char *key)
{
	struct node at = doc_get(f->node, key);
	return doc_there(at) ? doc_place(at) : f->at;
}

size_t read_pairs(struct reader *r, struct node map, const char *what, struct value_pair **out)
{
	size_t n = 0;

	if (!doc_there(map))
		return 0;
	if (doc_kind(map) != DOC_MAP || !doc_count(map)) {
		problem(r->p, doc_place(map), "\"%s\" must be a mapping with at least one entry",
			what);
		return 0;
	}
	*out = xcalloc(doc_count(map), sizeof **out);
	for (size_t i = 0; i < doc_count(map); i++) {
		struct node key = doc_key(map, i), value = doc_value(map, i);
		const char *from = doc_text(key), *to = doc_text(value);
		if (!from || !to) {
			problem(r->p, doc_place(key), "an entry of \"%s\" is a text and a text",
				what);
			continue;
		}
		if (doc_is_null(key) || !*from) {
			problem(r->p, doc_place(key), "%s is no entry of \"%s\"%s",
				doc_is_null(key) ? "null" : "an empty text", what,
				doc_is_null(key)
				    ? ": what stands for null is \"default\"; quote it if the text "
				      "is meant"
				    : ": it is null, and what stands for null is \"default\"");
			continue;
		}
		for (size_t j = 0; j < n; j++)
			if (!strcmp((*out)[j].from, from))
				problem(r->p, doc_place(key), "\"%s\" is given twice in \"%s\"",
					from, what);
		(*out)[n++] = (struct value_pair){from, doc_is_null(value) || !*to ? NULL : to,
						  doc_place(key)};
	}
	return n;
}

/* concat and any: at least two columns. */
static void read_columns(struct reader *r, struct node list, const char *key,
			 struct field_config *f)
{
	if (doc_kind(list) != DOC_LIST || doc_count(list) < 2) {
		problem(r->p, doc_place(list), "\"%s\" is a list of at least two columns", key);
		return;
	}
	f->from = xcalloc(doc_count(list), sizeof *f->from);
	for (size_t i = 0; i < doc_count(list); i++) {
		const char *name = doc_text(doc_item(list, i));
		if (name)
			f->from[f->from_count++] = name;
		else
			problem(r->p, doc_place(doc_item(list, i)), "\"%s\" is a list of columns",
				key);
	}
}

/* misspelt: a key was not known already, probably this one. */
static void read_source(struct reader *r, struct node map, struct field_config *f, bool misspelt)
{
	static const char *const keys[] = {"from", "concat", "any", "constant"};
	size_t given = 0;

	for (int i = 0; i < 4; i++)
		if (doc_there(doc_get(map, keys[i]))) {
			given++;
			f->source = (enum field_source)i;
		}
	if (!given && misspelt)
		return;
	if (given != 1) {
		problem(r->p, f->at,
			"a field has exactly one of \"from\" (a column), \"concat\", \"any\" "
			"(lists of columns) and \"constant\"");
		return;
	}
	struct node node = doc_get(map, keys[f->source]);
	if (f->source == SOURCE_CONCAT || f->source == SOURCE_ANY) {
		read_columns(r, node, keys[f->source], f);
	} else if (f->source == SOURCE_CONSTANT) {
		static const char *const unused[] = {
		    "separator", "picklist",  "lookup",	  "convert",  "values", "otherwise",
		    "default",	 "when_null", "too_long", "required", NULL};
		f->constant = doc_required(map, "constant", "a field", r->p);
		for (size_t i = 0; unused[i]; i++)
			if (doc_there(doc_get(map, unused[i])))
				problem(r->p, doc_place(doc_get(map, unused[i])),
					"a constant is written as it stands: leave \"%s\" out",
					unused[i]);
	} else {
		f->from = xcalloc(1, sizeof *f->from);
		f->from[0] = doc_required(map, "from", "a field", r->p);
		f->from_count = *f->from[0] != 0;
	}
}

static void read_nothing(struct reader *r, struct node map, struct field_config *f)
{
	static const char *const when[] = {"clear", "keep", "default", NULL};
	struct node otherwise = doc_get(map, "otherwise"), policy = doc_get(map, "when_null");

	f->has_otherwise = doc_there(otherwise);
	f->otherwise = doc_string(map, "otherwise", NULL, r->p);
	f->otherwise = f->otherwise && *f->otherwise ? f->otherwise : NULL;
	if (f->has_otherwise && !f->value_count)
		problem(r->p, doc_place(otherwise),
			"\"otherwise\" is for what \"values\" does not "
			"name; there is no \"values\"");
	f->fallback = doc_string(map, "default", NULL, r->p);
	if (f->fallback && !*f->fallback)
		problem(r->p, doc_place(doc_get(map, "default")),
			"an empty text is null, and no default of it; \"when_null: clear\" writes "
			"an empty value");
	f->when_null = (enum when_null)doc_choice(
	    map, "when_null", f->fallback ? NULL_DEFAULT : NULL_CLEAR, when, r->p);
	if (f->when_null == NULL_DEFAULT && !f->fallback)
		problem(r->p, doc_place(policy), "\"when_null: default\" needs \"default\"");
	if (f->when_null != NULL_DEFAULT && f->fallback)
		problem(r->p, doc_place(policy),
			"\"default\" says what stands for null, and \"when_null\" says something "
			"else; leave one of them out");
	if (f->required && doc_there(policy))
		problem(r->p, doc_place(policy),
			"\"required\" rejects what is null; leave \"when_null\" out");
}

void read_field(struct reader *r, struct node map, struct field_config *f)
{
	static const char *const keys[] = {
	    "from",	 "concat", "any",      "constant", "to",	"separator",
	    "picklist",	 "lookup", "convert",  "values",   "otherwise", "default",
	    "when_null", "on",	   "too_long", "required", NULL};
	static const char *const picklist[] = {"value", "label", NULL};
	static const char *const lookup[] = {"id", "name", NULL};
	static const char *const on[] = {"change", "create", NULL};
	static const char *const too_long[] = {"reject", "truncate", NULL};

	f->at = doc_place(map);
	f->node = map;
	f->to = "";
	if (doc_kind(map) != DOC_MAP) {
		problem(r->p, f->at, "a field is a mapping like {from: firstname, to: firstName}");
		return;
	}
	size_t before = r->p->count;
	doc_only(map, r->p, "a field", keys);
	bool misspelt = r->p->count > before;
	f->to = doc_required(map, "to", "a field", r->p);
	read_source(r, map, f, misspelt);
	f->separator = doc_string(map, "separator", NULL, r->p);
	f->picklist_label = doc_choice(map, "picklist", 0, picklist, r->p);
	f->lookup_name = doc_choice(map, "lookup", 0, lookup, r->p);
	f->convert = doc_get(map, "convert");
	f->value_count = read_pairs(r, doc_get(map, "values"), "values", &f->values);
	f->required = doc_flag(map, "required", false, r->p);
	read_nothing(r, map, f);
	f->create_only = doc_choice(map, "on", 0, on, r->p);
	f->truncate = doc_choice(map, "too_long", 0, too_long, r->p);
}

/* join: the parent's key goes into a plain column on which the link of the custom resource joins,
 * so a child never waits.  key and pkey: into the link itself, which Campaign looks up. */
void read_link(struct reader *r, struct node map, struct field_config *f)
{
	static const char *const keys[] = {"from", "to",       "mode", "column",
					   "link", "required", NULL};
	static const char *const modes[] = {"join", "key", "pkey", NULL};

	f->at = doc_place(map);
	f->node = map;
	f->to = f->link = "";
	if (doc_kind(map) != DOC_MAP) {
		problem(r->p, f->at,
			"a link is a mapping like {from: new_contactid, to: profile, mode: join, "
			"column: contactId}");
		return;
	}
	doc_only(map, r->p, "a link", keys);
	f->link_mode = (enum link_mode)doc_choice(map, "mode", LINK_JOIN, modes, r->p);
	f->from = xcalloc(1, sizeof *f->from);
	f->from[0] = doc_required(map, "from", "a link", r->p);
	f->from_count = *f->from[0] != 0;
	f->link = doc_required(map, "to", "a link", r->p);
	bool join = f->link_mode == LINK_JOIN;
	f->to = join ? doc_required(map, "column", "a link with mode: join", r->p)
		     : doc_required(map, "link", "a link with mode: key or pkey", r->p);
	struct node other = doc_get(map, join ? "link" : "column");
	if (doc_there(other))
		problem(
		    r->p, doc_place(other),
		    join ? "\"link\" is for the modes key and pkey; mode: join names a \"column\""
			 : "\"column\" is for mode: join; key and pkey name a \"link\"");
	f->required = doc_flag(map, "required", false, r->p);
}
