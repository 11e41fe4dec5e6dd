/* control.c - what happens to an environment from outside: a role is narrowed, a backup restored.
 *
 *	POST /_sandbox/restrict {"table": "contact", "fraction": 0.5, "level": "organization"}
 *		The caller's role reads only this part of the rows from now on, always the same ones.
 *		"level": "user" takes the organization-level read away as well: change tracking is
 *		then answered 403.  Without "level" it stays as it was; {"fraction": 1, "level":
 *		"organization"} lifts both.
 *	POST /_sandbox/backup	keeps all rows and the version counter as they are now
 *	POST /_sandbox/restore	brings them back: versions are given out anew from there
 */
#include <stdio.h>
#include <string.h>

#include "api.h"

static void restrict_reads(struct dataverse *d, const struct request *req, struct reply *rep)
{
	cJSON *body = cJSON_Parse(req->body);
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "table"));
	const char *level = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "level"));
	const cJSON *fraction = cJSON_GetObjectItemCaseSensitive(body, "fraction");
	struct table *t = name ? store_table(&d->store, name) : NULL;
	bool known = !level || !strcmp(level, "user") || !strcmp(level, "organization");

	if (!t || !known || (!level && !fraction) ||
	    (fraction && (!cJSON_IsNumber(fraction) || fraction->valuedouble < 0 ||
			  fraction->valuedouble > 1))) {
		reply_text(rep, 400, "%s",
			   "restrict wants {\"table\": a logical name, \"fraction\": 0 to 1, "
			   "\"level\": \"user\" or \"organization\"}\n");
	} else {
		if (fraction)
			t->visible = fraction->valuedouble;
		if (level)
			t->only_own_level = !strcmp(level, "user");
		rep->status = 204;
	}
	cJSON_Delete(body);
}

/* Copies all of one database into another; the statements of both are gone before. */
static bool copy(sqlite3 *to, sqlite3 *from)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");

	if (!b)
		return false;
	sqlite3_backup_step(b, -1);
	return sqlite3_backup_finish(b) == SQLITE_OK;
}

static void backup(struct dataverse *d, struct reply *rep)
{
	store_forget_statements(&d->store);
	if (!d->backup)
		sqlite3_open(":memory:", &d->backup);
	if (copy(d->backup, d->store.db))
		rep->status = 204;
	else
		reply_text(rep, 500, "%s\n", sqlite3_errmsg(d->backup));
}

static void restore(struct dataverse *d, struct reply *rep)
{
	char why[300];

	if (!d->backup) {
		reply_text(rep, 409, "%s", "there is no backup; POST /_sandbox/backup makes one\n");
		return;
	}
	store_forget_statements(&d->store);
	if (!copy(d->store.db, d->backup))
		reply_text(rep, 500, "%s\n", sqlite3_errmsg(d->store.db));
	else if (!store_restored(&d->store, why, sizeof why))
		reply_text(rep, 500, "%s\n", why);
	else
		rep->status = 204;
}

bool api_control(struct dataverse *d, const char *path, const struct request *req,
		 struct reply *rep)
{
	if (strncmp(path, "/_sandbox/", 10) || strcmp(req->method, "POST"))
		return false;
	path += 10;
	if (!strcmp(path, "expire-delta-tokens")) {
		d->store.expired = d->store.version++; /* tokens of later reads are above it */
		rep->status = 204;
	} else if (!strcmp(path, "revoke-tokens")) {
		d->token_epoch++;
		rep->status = 204;
	} else if (!strcmp(path, "restrict")) {
		restrict_reads(d, req, rep);
	} else if (!strcmp(path, "backup")) {
		backup(d, rep);
	} else if (!strcmp(path, "restore")) {
		restore(d, rep);
	} else {
		return false;
	}
	return true;
}
