/* statement.c - prepared statements, kept by their text: preparing one costs more than most of them
 * take to run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

enum { KEPT = 256, WAYS = 32 }; /* one is looked for in WAYS places only */

struct statements {
	struct kept {
		uint64_t hash;
		sqlite3_stmt *st;
	} kept[KEPT];
};

/* FNV-1a */
static uint64_t hash_of(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h;
}

sqlite3_stmt *store_statement(struct store *s, const char *sql)
{
	uint64_t hash = hash_of(sql);
	struct kept *free_one = NULL;

	if (!s->statements)
		s->statements = calloc(1, sizeof *s->statements);
	if (!s->statements)
		abort();
	for (uint64_t i = 0; i < WAYS; i++) {
		struct kept *k = &s->statements->kept[(hash + i) % KEPT];
		if (!k->st || !sqlite3_stmt_busy(k->st)) {
			if (k->st && k->hash == hash && !strcmp(sqlite3_sql(k->st), sql)) {
				sqlite3_clear_bindings(k->st);
				return k->st;
			}
			if (!free_one || (free_one->st && !k->st))
				free_one = k;
		}
	}
	if (!free_one) { /* so deep a recursion does not exist */
		fprintf(stderr, "sandbox-dataverse: too many statements are running\n");
		abort();
	}
	sqlite3_finalize(free_one->st);
	*free_one = (struct kept){.hash = hash, .st = store_prepare(s, sql)};
	return free_one->st;
}

void store_release(sqlite3_stmt *st)
{
	sqlite3_reset(st);
}

void store_forget_statements(struct store *s)
{
	for (int i = 0; s->statements && i < KEPT; i++)
		sqlite3_finalize(s->statements->kept[i].st);
	free(s->statements);
	s->statements = NULL;
}
