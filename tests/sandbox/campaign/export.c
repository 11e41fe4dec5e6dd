/* export.c - the log exports, as the documented workflow writes them, and as they go wrong.
 *
 * "Exporting logs": a workflow takes the rows that changed since its last run and writes a file of
 * the sending logs and one of the tracking logs.  POST /_sandbox/export, all members optional, also
 * as "export" of a delivery or an advance:
 *   kinds ["sending", "tracking"]
 *   which rows, beside those that changed since they were last written
 *     overlap_hours n  rows changed up to n hours before the last export
 *     repeat x         a share of the last delivery's rows once more
 *     late_rows x      that share of the new rows is only in the next export
 *     all true         every row
 *     order            "id", "time" or "shuffled"
 *   the file
 *     names {"sending":.., "tracking":..}  also of files that are there: they are replaced
 *     gz true          compressed, .gz
 *     steps n          the file grows: 1/n of it now, a part more at each
 *                      POST /_sandbox/export/continue
 *     truncate x       cut off after that share of its bytes
 *     empty            "file": no byte; "header": no row
 *   how it is written: columns separator quote quote_all eol bom encoding header enums language
 *     dates zone, see format.c
 * The rows of a truncated or empty file are still to be exported.
 */
#include "simulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const kind_names[] = {"sending", "tracking"};
static const char *const table_names[] = {"_message", "_tracking"};

struct growing {
	char hidden[4400], path[4300];
	long steps, done, size;
};

/* ---- options ------------------------------------------------------------------------------------ */

static double share(const cJSON *json, const char *name)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(json, name);
	return cJSON_IsNumber(n) ? n->valuedouble : -1;
}

static bool good_name(const char *s)
{
	return *s && *s != '.' && strlen(s) < 100 && !strchr(s, '/');
}

static bool good_member(const cJSON *m)
{
	static const char *const texts[] = {"separator", "quote", "eol",  "encoding", "enums",
					    "language",	 "dates", "zone", "order",    "empty"};
	static const char *const flags[] = {"all", "gz", "quote_all", "bom", "header"};
	const cJSON *n;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (!strcmp(m->string, texts[i]))
			return cJSON_IsString(m);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (!strcmp(m->string, flags[i]))
			return cJSON_IsBool(m);
	if (!strcmp(m->string, "repeat") || !strcmp(m->string, "late_rows") ||
	    !strcmp(m->string, "truncate"))
		return cJSON_IsNumber(m) && m->valuedouble >= 0 && m->valuedouble <= 1;
	if (!strcmp(m->string, "overlap_hours"))
		return cJSON_IsNumber(m) && m->valuedouble >= 0 && m->valuedouble < 1e6;
	if (!strcmp(m->string, "steps"))
		return cJSON_IsNumber(m) && m->valuedouble >= 2 && m->valuedouble <= 1000;
	if (!strcmp(m->string, "columns"))
		return cJSON_IsObject(m);
	if (!strcmp(m->string, "kinds")) {
		cJSON_ArrayForEach(n, m) if (!cJSON_IsString(n) ||
					     (strcmp(n->valuestring, kind_names[0]) &&
					      strcmp(n->valuestring, kind_names[1])))
		{
			return false;
		}
		return cJSON_IsArray(m) && m->child;
	}
	if (strcmp(m->string, "names") || !cJSON_IsObject(m))
		return false;
	cJSON_ArrayForEach(n, m) if (!cJSON_IsString(n) || !good_name(n->valuestring))
	{
		return false;
	}
	return true;
}

static bool is_one_of(const cJSON *json, const char *name, const char *a, const char *b,
		      const char *c)
{
	const char *v = json_text(json, name);
	return !v || !strcmp(v, a) || !strcmp(v, b) || (c && !strcmp(v, c));
}

bool export_check(const cJSON *json, char *why, size_t size)
{
	struct format f;
	const cJSON *m;

	cJSON_ArrayForEach(m, json) if (!good_member(m))
	{
		snprintf(why, size, "an export has no such member, or no such value of it: %.60s",
			 m->string);
		return false;
	}
	if (!is_one_of(json, "order", "id", "time", "shuffled") ||
	    !is_one_of(json, "empty", "file", "header", NULL)) {
		snprintf(why, size, "order is id, time or shuffled; empty is file or header");
		return false;
	}
	return format_read(&f, 0, json, why, size) && format_read(&f, 1, json, why, size);
}

/* ---- which rows --------------------------------------------------------------------------------- */

static void condition(struct campaign *c, int kind, const struct export_order *o, char *out,
		      size_t size)
{
	const char *when = kind ? "ms" : "modified_ms";
	double hours = share(o->json, "overlap_hours"), repeat = share(o->json, "repeat"),
	       late = share(o->json, "late_rows");
	int64_t last = store_number(&c->store, "SELECT value FROM _state WHERE name='exported'");
	size_t n;

	if (repeat < 0)
		repeat = o->repeat;
	if (late < 0)
		late = kind ? o->late_tracking : 0;
	if (json_flag(o->json, "all")) {
		snprintf(out, size, "1");
		return;
	}
	n = (size_t)snprintf(out, size,
			     "(x.dirty=2 OR (x.dirty=1 AND (x.id*2654435761)%%1000003>=%lld)",
			     (long long)(late * 1000003));
	if (hours >= 0)
		n += (size_t)snprintf(out + n, size - n, " OR x.%s>=%lld", when,
				      (long long)(last - (int64_t)(hours * 3600000)));
	if (repeat > 0)
		n += (size_t)snprintf(
		    out + n, size - n,
		    " OR (x.dirty=0 AND (x.id*40503)%%1000003<%lld AND %s=(SELECT max(id) FROM "
		    "_delivery)%s)",
		    (long long)(repeat * 1000003),
		    kind ? "(SELECT delivery FROM _message WHERE id=x.message)" : "x.delivery",
		    kind ? "" : " AND x.status IN (1,3) AND x.test=0");
	snprintf(out + n, size - n, ")");
}

static void mark(struct campaign *c, int kind, const char *where)
{
	char sql[1600];

	if (kind)
		snprintf(sql, sizeof sql, "UPDATE _tracking AS x SET dirty=0, seen=1 WHERE %s",
			 where);
	else
		snprintf(sql, sizeof sql,
			 "UPDATE _message AS x SET dirty=0, seen=seen|CASE WHEN status IN (1,3) "
			 "THEN 1 WHEN status=2 AND failure=2 THEN 2 ELSE 0 END WHERE %s",
			 where);
	store_exec(&c->store, sql);
	snprintf(sql, sizeof sql, "UPDATE %s SET dirty=2 WHERE dirty=1", table_names[kind]);
	store_exec(&c->store, sql);
}

/* ---- files -------------------------------------------------------------------------------------- */

int64_t export_second(struct campaign *c)
{
	struct store *s = &c->store;
	int64_t second = store_now_ms(s) / 1000,
		last = store_number(s, "SELECT value FROM _state WHERE name='second'");

	return second <= last ? last + 1 : second;
}

static void set_state(struct campaign *c, const char *name, int64_t value)
{
	sqlite3_stmt *st =
	    store_cached(&c->store, "INSERT OR REPLACE INTO _state(name, value) VALUES (?,?)");
	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, value);
	store_run(st);
}

static long size_of(const char *path)
{
	struct stat s;
	return stat(path, &s) ? -1 : (long)s.st_size;
}

/* Bytes [from, to) of the hidden file at the end of the visible one. */
static bool append(const struct growing *g, long from, long to)
{
	char buf[65536];
	FILE *in = fopen(g->hidden, "re"), *out = fopen(g->path, from ? "ae" : "we");
	bool ok = in && out && !fseek(in, from, SEEK_SET);

	while (ok && from < to) {
		size_t want = (size_t)(to - from) < sizeof buf ? (size_t)(to - from) : sizeof buf;
		size_t n = fread(buf, 1, want, in);
		ok = n && fwrite(buf, 1, n, out) == n;
		from += (long)n;
	}
	if (in)
		fclose(in);
	if (out && fclose(out))
		ok = false;
	return ok;
}

static bool grow_first(struct campaign *c, const char *hidden, const char *path, long steps)
{
	c->growing = realloc(c->growing, (size_t)(c->growing_count + 1) * sizeof *c->growing);
	struct growing *g = &c->growing[c->growing_count++];
	*g = (struct growing){.steps = steps, .done = 1, .size = size_of(hidden)};
	snprintf(g->hidden, sizeof g->hidden, "%s", hidden);
	snprintf(g->path, sizeof g->path, "%s", path);
	return append(g, 0, g->size / steps);
}

void simulator_continue(struct campaign *c, struct reply *rep)
{
	int left = 0;
	bool ok = true;

	for (int i = 0; i < c->growing_count; i++) {
		struct growing *g = &c->growing[i];
		long from = g->size / g->steps * g->done++;
		bool end = g->done == g->steps;
		ok = append(g, from, end ? g->size : g->size / g->steps * g->done) && ok;
		if (end)
			unlink(g->hidden);
		else
			c->growing[left++] = *g;
	}
	c->growing_count = left;
	cJSON *o = cJSON_CreateObject();
	cJSON_AddNumberToObject(o, "growing", left);
	acs_reply(rep, ok ? 200 : 500, o);
}

void export_close(struct campaign *c)
{
	for (int i = 0; i < c->growing_count; i++)
		unlink(c->growing[i].hidden);
	free(c->growing);
}

static void name_of(int kind, const struct export_order *o, bool gz, char *out, size_t size)
{
	const char *given =
	    json_text(cJSON_GetObjectItemCaseSensitive(o->json, "names"), kind_names[kind]);
	char stamp[24];
	time_t t = (time_t)o->second;
	struct tm tm;

	if (given) {
		snprintf(out, size, "%s", given);
		return;
	}
	strftime(stamp, sizeof stamp, "%Y%m%d_%H%M%S", gmtime_r(&t, &tm));
	snprintf(out, size, "acs_%s_%s.csv%s", kind ? "tracking" : "broadlog", stamp,
		 gz ? ".gz" : "");
}

static bool wanted(const struct export_order *o, int kind)
{
	const cJSON *kinds = cJSON_GetObjectItemCaseSensitive(o->json, "kinds"), *k;

	cJSON_ArrayForEach(k, kinds) if (!strcmp(k->valuestring, kind_names[kind]))
	{
		return true;
	}
	return !kinds;
}

static bool write_file(struct campaign *c, int kind, struct export_order *o, char *why, size_t size)
{
	char name[120], path[4300], hidden[4400], where[900];
	const char *empty = json_text(o->json, "empty");
	double cut = share(o->json, "truncate"), steps = share(o->json, "steps");
	bool gz = json_flag(o->json, "gz") || (kind && o->gz_tracking);
	struct format f;

	if (!format_read(&f, kind, o->json, why, size))
		return false;
	name_of(kind, o, gz, name, sizeof name);
	snprintf(path, sizeof path, "%s/%s", c->exports, name);
	snprintf(hidden, sizeof hidden, "%s/.%s", c->exports, name);
	condition(c, kind, o, where, sizeof where);
	snprintf(why, size, "%.200s cannot be written", path);
	gzFile out = gzopen(hidden, gz ? "wb6" : "wbT");
	bool ok = out;
	if (out)
		gzbuffer(out, 1 << 17);
	if (ok && (!empty || strcmp(empty, "file")))
		ok = rows_write(c, kind, o, &f, where, out);
	if (out)
		ok = gzclose(out) == Z_OK && ok;
	if (ok && empty && !strcmp(empty, "file"))
		ok = !truncate(hidden, 0);
	else if (ok && cut >= 0)
		ok = !truncate(hidden, (off_t)((double)size_of(hidden) * cut));
	if (ok)
		ok = steps >= 2 ? grow_first(c, hidden, path, (long)steps) : !rename(hidden, path);
	if (!ok) {
		unlink(hidden);
		return false;
	}
	if (cut < 0 && !empty)
		mark(c, kind, where);
	cJSON_AddItemToArray(o->files, cJSON_CreateString(name));
	return true;
}

bool export_write(struct campaign *c, struct export_order *o, char *why, size_t size)
{
	for (int kind = 0; kind < 2; kind++)
		if (wanted(o, kind) && !write_file(c, kind, o, why, size))
			return false;
	set_state(c, "second", o->second);
	set_state(c, "exported", store_now_ms(&c->store));
	return true;
}

void simulator_export(struct campaign *c, const struct request *req, struct reply *rep)
{
	cJSON *json = req->body_len ? cJSON_Parse(req->body) : cJSON_CreateObject();
	struct export_order o = {.json = json, .files = cJSON_CreateArray()};
	char why[300] = "the body is no JSON object";
	bool ok = cJSON_IsObject(json) && export_check(json, why, sizeof why);

	if (ok && !c->exports) {
		snprintf(why, sizeof why, "there is no --exports DIR");
		ok = false;
	}
	if (ok) {
		store_exec(&c->store, "BEGIN");
		o.second = export_second(c);
		ok = export_write(c, &o, why, sizeof why);
		store_exec(&c->store, "COMMIT");
	}
	if (ok) {
		cJSON *out = cJSON_CreateObject();
		cJSON_AddNumberToObject(out, "repeated", (double)o.repeated);
		cJSON_AddItemToObject(out, "files", o.files);
		acs_reply(rep, 200, out);
	} else {
		cJSON_Delete(o.files);
		reply_text(rep, 400, "%s", why);
	}
	cJSON_Delete(json);
}
