/* key.h - what stands in the parentheses behind an entity set: contacts(guid),
 * contacts(contactid=guid), new_loyaltycards(new_name='LC-1'), set(k1='a',_lookup_value=guid).
 *
 * Facts: "use an alternate key to reference a record".  A table's alternate keys are the member
 * "keys" of its data file, {"keys": {"name": ["column", ..]}}; a column may be named by its
 * property (_new_contactid_value) or by its logical name.
 *
 * How it is used, for a URL as for a bind:
 *
 *	struct key k;
 *	size_t n = key_length(behind_the_parenthesis);
 *	if (!key_parse(d, t, behind_the_parenthesis, n, true, &k, rep))
 *		return;                            the error is in rep
 *	if (!key_find(d, t, &k))
 *		key_absent(t, &k, rep);            or, of an upsert, create it
 *	key_free(&k);
 */
#ifndef SANDBOX_DATAVERSE_KEY_H
#define SANDBOX_DATAVERSE_KEY_H

#include "api.h"

enum { KEY_COLUMNS_MAX = 16, KEYS_MAX = 10 }; /* "define alternate keys": the product's limits */

struct key_part {
	int column;  /* index in the table's columns */
	char *value; /* as a row stores it: a GUID in lower case, a date in UTC */
};

struct key {
	bool primary;	  /* by the primary key: id is set, whether such a row exists or not */
	char id[37];	  /* of the row, once key_find() said that there is one */
	const char *name; /* of the alternate key, NULL when primary */
	struct key_part parts[KEY_COLUMNS_MAX];
	int count;
};

/* Bytes up to the closing parenthesis (which may stand within quotes, too), or SIZE_MAX when there
 * is none. */
size_t key_length(const char *s);

/* Reads a key, decoded already.  in_url: the characters that the product's web server refuses in a
 * URL's path are refused here as well; in a body they are fine.  False after answering 400:
 * a set of columns that is no key has another error in a URL than in a body (0x80060890). A key whose
 * index is not active yet is none. */
bool key_parse(struct dataverse *d, struct table *t, const char *s, size_t len, bool in_url,
	       struct key *k, struct reply *rep);

/* Is there such a row?  Sets k->id when the key is an alternate one. */
bool key_find(struct dataverse *d, const struct table *t, struct key *k);

/* 404: 0x80040217 of an id, 0x80060891 of an alternate key. */
void key_absent(const struct table *t, const struct key *k, struct reply *rep);

/* As it stands in a URL, with its parentheses: "(new_name='LC-1')".  malloc'ed. */
char *key_text(const struct table *t, const struct key *k);

void key_free(struct key *k);

/* The columns of the alternate key that cJSON item describes; the number of them. */
int key_columns(struct table *t, const cJSON *key, int columns[KEY_COLUMNS_MAX]);
/* Can the key be used?  One made by the metadata API is pending at first (see tables.c). */
bool key_is_active(const struct table *t, const char *name);

/* Another row (not `except`) that has these values in the columns of one of the table's keys: the
 * key's name, or NULL.  Rows with a null in the key never collide. */
const char *key_collision(struct dataverse *d, struct table *t, const struct row *r,
			  const char *except);

#endif
