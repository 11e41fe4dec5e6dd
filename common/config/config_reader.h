/* config_reader.h - what the files that read tideway.yaml share: config.c (the whole), connections.c,
 * flow.c.  Nobody else includes it. */
#ifndef TIDEWAY_CONFIG_READER_H
#define TIDEWAY_CONFIG_READER_H

#include "config.h"

struct reader {
	struct config *c;
	struct problems *p;
	env_lookup env;
	enum config_use use;
};

/* A copy that lives as long as the configuration. */
char *config_own(struct config *c, const char *s, size_t len);

void read_connections(struct reader *r, struct node map);
void read_flow(struct reader *r, struct node key, struct node map, struct flow *f);
void read_event_flow(struct reader *r, struct node map, struct flow *f);
void read_exports(struct reader *r, struct node files, struct flow *f);
void read_field(struct reader *r, struct node map, struct field_config *f);
void read_link(struct reader *r, struct node map, struct field_config *f);
/* A mapping of texts to texts or nothing; returns how many, *out is the caller's. */
size_t read_pairs(struct reader *r, struct node map, const char *what, struct value_pair **out);

/* Frees what a flow owns; its texts are the document's. */
void flow_clear(struct flow *f);

#endif
