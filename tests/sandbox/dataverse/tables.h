/* tables.h - creation, change and deletion of tables, columns, keys, relationships and global option
 * sets by the metadata API.  What they make is what a table file would say, kept with the data.
 *
 * Facts: "create and update table definitions using the Web API" and its kin on columns,
 * relationships and choices; "define alternate keys".
 */
#ifndef SANDBOX_DATAVERSE_TABLES_H
#define SANDBOX_DATAVERSE_TABLES_H

#include "api.h"

/* POST, PUT and DELETE below EntityDefinitions, RelationshipDefinitions and
 * GlobalOptionSetDefinitions. */
void tables_change(struct dataverse *d, const char *path, const struct request *req,
		   struct reply *rep);
/* A new key's index is Pending when it is first read, and then Active or, with duplicates, Failed:
 * the product builds it in the background. */
void tables_keys_were_read(struct dataverse *d, struct table *t);

#endif
