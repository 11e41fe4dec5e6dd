/* config.c - see config.h.  One function a section; the tables of known keys stand beside them. */
#include "config.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buffer.h"
#include "json.h"

const char *const event_kind_names[] = {"send", "open", "click", "bounce", NULL};
const char *const log_column_names[] = {
    "id",	   "status",	     "failure_type", "failure_reason",
    "time",	   "contact",	     "delivery",     "delivery_label",
    "campaign",	   "campaign_label", "test",	     "message_type",
    "broadlog_id", "url_type",	     "url",	     NULL};
static const char *const flow_kinds[] = {"contacts", "custom-entity", "email-events", NULL};

enum { SECRET_FILE_MAX = 16 * 1024 };

struct owned {
	struct owned *next;
	char text[];
};

struct reader {
	struct config *c;
	struct problems *p;
	env_lookup env;
};

static char *own(struct config *c, const char *s, size_t len)
{
	struct owned *o = xmalloc(sizeof *o + len + 1);
	memcpy(o->text, s, len);
	o->text[len] = 0;
	o->next = c->owned;
	c->owned = o;
	return o->text;
}

/* Replaces ${NAME}; a variable that is not set is a problem, not an empty text. */
static const char *expand(struct reader *r, struct node node, const char *s)
{
	struct buffer out = BUFFER(64 * 1024);
	const char *result;

	if (!s || !strstr(s, "${"))
		return s;
	while (*s) {
		const char *open = strstr(s, "${"), *close = open ? strchr(open, '}') : NULL;
		if (!close) {
			if (open)
				problem(r->p, doc_place(node), "\"${\" without \"}\"");
			buffer_puts(&out, s);
			break;
		}
		_cleanup_(freep) char *name = xstrndup(open + 2, (size_t)(close - open - 2));
		const char *value = r->env(name);
		if (!value)
			problem(r->p, doc_place(node),
				"the environment variable %s is not set; export it, or write the "
				"value here",
				name);
		buffer_append(&out, s, (size_t)(open - s));
		buffer_puts(&out, value ? value : "");
		s = close + 1;
	}
	result = own(r->c, out.data ? out.data : "", out.len);
	buffer_free(&out);
	return result;
}

/* A text of a connection: ${VAR} replaced, missing is NULL or, when required, a problem and "". */
static const char *text(struct reader *r, struct node map, const char *key, bool required,
			const char *what)
{
	const char *s =
	    required ? doc_required(map, key, what, r->p) : doc_string(map, key, NULL, r->p);
	return expand(r, doc_get(map, key), s);
}

static const char *without_slash(struct reader *r, const char *url)
{
	size_t len = url ? strlen(url) : 0;
	while (len && url[len - 1] == '/')
		len--;
	return url ? own(r->c, url, len) : NULL;
}

static const char *url(struct reader *r, struct node map, const char *key, const char *what,
		       const char *const *schemes)
{
	const char *s = text(r, map, key, true, what);
	bool good = !*s;
	for (const char *const *scheme = schemes; *scheme && !good; scheme++)
		good = !strncmp(s, *scheme, strlen(*scheme)) && s[strlen(*scheme)];
	if (!good)
		problem(r->p, doc_place(doc_get(map, key)), "\"%s\" must begin with %s%s%s", key,
			schemes[0], schemes[1] ? " or " : "", schemes[1] ? schemes[1] : "");
	return without_slash(r, s);
}

static const char *const web[] = {"https://", "http://", NULL};

/* KEY, or the contents of the file named by KEY_file, without the newline at its end. */
static const char *secret(struct reader *r, struct node map, const char *key, bool required,
			  const char *what)
{
	char file_key[64];
	snprintf(file_key, sizeof file_key, "%s_file", key);
	const char *path = text(r, map, file_key, false, what), *raw = doc_text(doc_get(map, key));

	if (raw && *raw && !strstr(raw, "${"))
		problem(
		    r->p, doc_place(doc_get(map, key)),
		    "\"%s\" stands in the file for everybody to read: write ${VARIABLE}, or name "
		    "a file as \"%s\"",
		    key, file_key);
	if (!path)
		return text(r, map, key, required, what);
	FILE *f = fopen(path, "re");
	if (!f) {
		problem(r->p, doc_place(doc_get(map, file_key)), "%s cannot be read: %s", path,
			strerror(errno));
		return "";
	}
	char *content = xmalloc(SECRET_FILE_MAX + 1);
	size_t n = fread(content, 1, SECRET_FILE_MAX, f);
	fclose(f);
	while (n && (content[n - 1] == '\n' || content[n - 1] == '\r'))
		n--;
	const char *s = own(r->c, content, n);
	free(content);
	if (!*s)
		problem(r->p, doc_place(doc_get(map, file_key)), "%s is empty", path);
	return s;
}

/* ---- connections ------------------------------------------------------------------------------ */

static void read_oauth(struct reader *r, struct node map, struct connection *to, const char *what,
		       const char *default_scope)
{
	static const char *const keys[] = {
	    "url", "token_url", "client_id", "client_secret", "client_secret_file", "scope", NULL};
	if (!doc_there(map))
		return;
	doc_only(map, r->p, what, keys);
	to->at = doc_place(map);
	to->url = url(r, map, "url", what, web);
	to->credentials.token_url = url(r, map, "token_url", what, web);
	to->credentials.client_id = text(r, map, "client_id", true, what);
	to->credentials.client_secret = secret(r, map, "client_secret", true, what);
	to->credentials.scope = text(r, map, "scope", false, what);
	if (!to->credentials.scope && default_scope)
		to->credentials.scope = default_scope;
}

static void read_registry(struct reader *r, struct node map)
{
	static const char *const keys[] = {"url", "user", "password", "password_file", NULL};
	struct connection *to = &r->c->registry;
	doc_only(map, r->p, "connections.registry", keys);
	to->at = doc_place(map);
	to->url = url(r, map, "url", "connections.registry", web);
	to->credentials.client_id = text(r, map, "user", false, "");
	to->credentials.client_secret = secret(r, map, "password", false, "");
}

static void read_logs(struct reader *r, struct node map)
{
	static const char *const keys[] = {
	    "url",	"user",		 "key_file", "known_hosts_file",
	    "password", "password_file", "instance", NULL};
	static const char *const schemes[] = {"sftp://", "file:///", NULL};
	struct connection_logs *to = &r->c->logs;
	const char *what = "connections.campaign_logs";

	if (!doc_there(map))
		return;
	doc_only(map, r->p, what, keys);
	to->at = doc_place(map);
	to->url = url(r, map, "url", what, schemes);
	to->instance = text(r, map, "instance", true, what);
	to->user = text(r, map, "user", false, what);
	to->key_file = text(r, map, "key_file", false, what);
	to->known_hosts = text(r, map, "known_hosts_file", false, what);
	to->password = secret(r, map, "password", false, what);
	if (!strncmp(to->url, "sftp://", 7)) {
		if (!to->user)
			problem(r->p, to->at, "an sftp:// URL needs \"user\"");
		if (!to->key_file && !to->password)
			problem(r->p, to->at, "an sftp:// URL needs \"key_file\" or \"password\"");
		if (!to->known_hosts)
			problem(r->p, to->at,
				"an sftp:// URL needs \"known_hosts_file\": without the server's "
				"key anybody could answer; `ssh-keyscan -p PORT HOST` prints it");
	}
}

/* Settings that carry a guarantee are the program's, each with its reason. */
static const struct {
	const char *name, *why;
} refused[] = {
    {"enable.auto.commit", "offsets are committed only behind what is acknowledged"},
    {"enable.auto.offset.store", "offsets are committed only behind what is acknowledged"},
    {"auto.offset.reset", "a lost offset must stop the stage, not skip or repeat records"},
    {"isolation.level", "aborted transactions must never be read"},
    {"enable.idempotence", "without it a retry of the client writes a record twice"},
    {"transactional.id", "it fences the predecessor of a process"},
    {"transaction.timeout.ms", "it bounds how long a killed process blocks its readers"},
    {"group.id", "it is made of name, flow and stage, so that status and replay find it"},
    {"group.instance.id", "use the option --instance"},
    {"client.id", "it is made of name, flow and stage"},
    {"acks", "a record must be on all in-sync replicas before its offset is committed"},
    {"request.required.acks", "it is librdkafka's other name for acks"},
    {"auto.commit.enable", "offsets are committed only behind what is acknowledged"},
    {"message.timeout.ms", "it must end before the transaction does"},
    {"delivery.timeout.ms", "it must end before the transaction does"},
    {"partitioner", "murmur2_random puts keys where Java clients put them"},
    {"partition.assignment.strategy", "a joiner must not take the lead from a working extractor"},
    {"enable.partition.eof", "backlog is measured by it"},
};

static void read_kafka(struct reader *r, struct node map)
{
	if (doc_kind(map) != DOC_MAP) {
		problem(r->p, doc_place(map),
			"connections.kafka must be a mapping of librdkafka "
			"settings, with at least bootstrap.servers");
		return;
	}
	r->c->kafka = xcalloc(doc_count(map), sizeof *r->c->kafka);
	for (size_t i = 0; i < doc_count(map); i++) {
		struct node k = doc_key(map, i), v = doc_value(map, i);
		const char *name = doc_text(k), *value = doc_text(v);
		bool no = false;
		if (!name || !value) {
			problem(r->p, doc_place(k), "a kafka setting is a name and a text");
			continue;
		}
		for (size_t j = 0; j < sizeof refused / sizeof *refused; j++)
			if (!strcmp(name, refused[j].name)) {
				problem(r->p, doc_place(k), "\"%s\" cannot be set: %s", name,
					refused[j].why);
				no = true;
			}
		if (no)
			continue;
		r->c->kafka[r->c->kafka_count++] =
		    (struct kafka_setting){name, expand(r, v, value), doc_place(k)};
	}
	if (!config_kafka(r->c, "bootstrap.servers", NULL))
		problem(r->p, doc_place(map), "connections.kafka needs \"bootstrap.servers\"");
}

static void read_connections(struct reader *r, struct node map)
{
	static const char *const keys[] = {"kafka",    "registry",	"dataverse",
					   "campaign", "campaign_logs", NULL};
	if (!doc_there(map)) {
		problem(r->p, (struct place){r->c->path, 0, 0}, "\"connections\" is missing");
		return;
	}
	doc_only(map, r->p, "connections", keys);
	struct node kafka = doc_get(map, "kafka"), registry = doc_get(map, "registry");
	if (!doc_there(kafka))
		problem(r->p, doc_place(map), "connections needs \"kafka\"");
	else
		read_kafka(r, kafka);
	if (!doc_there(registry))
		problem(r->p, doc_place(map), "connections needs \"registry\"");
	else
		read_registry(r, registry);
	read_oauth(r, doc_get(map, "dataverse"), &r->c->dataverse, "connections.dataverse", NULL);
	if (r->c->dataverse.url && !r->c->dataverse.credentials.scope) {
		/* Entra ID v2.0, client credentials: scope is <environment-url>/.default */
		char *scope = xasprintf("%s/.default", r->c->dataverse.url);
		r->c->dataverse.credentials.scope = own(r->c, scope, strlen(scope));
		free(scope);
	}
	read_oauth(r, doc_get(map, "campaign"), &r->c->campaign, "connections.campaign",
		   "AdobeID,openid,read_organizations,additional_info.projectedProductContext,"
		   "campaign_sdk,campaign_config_server_general");
	read_logs(r, doc_get(map, "campaign_logs"));
}

/* ---- flows ------------------------------------------------------------------------------------ */

static void read_values(struct reader *r, struct node map, struct field_config *f)
{
	if (!doc_there(map))
		return;
	if (doc_kind(map) != DOC_MAP) {
		problem(r->p, doc_place(map), "\"values\" must be a mapping of old to new values");
		return;
	}
	f->values = xcalloc(doc_count(map), sizeof *f->values);
	for (size_t i = 0; i < doc_count(map); i++) {
		const char *from = doc_text(doc_key(map, i));
		const char *to = doc_text(doc_value(map, i));
		if (!from || !to) {
			problem(r->p, doc_place(doc_key(map, i)), "a value is replaced by a text");
			continue;
		}
		for (size_t j = 0; j < f->value_count; j++)
			if (!strcmp(f->values[j].from, from))
				problem(r->p, doc_place(doc_key(map, i)),
					"the value \"%s\" is replaced twice", from);
		f->values[f->value_count++] = (struct value_pair){from, to};
	}
}

static void read_field(struct reader *r, struct node map, struct field_config *f)
{
	static const char *const keys[] = {"from",   "to",	"picklist", "lookup",
					   "values", "default", NULL};
	static const char *const picklist[] = {"value", "label", NULL};
	static const char *const lookup[] = {"id", "name", NULL};

	f->at = doc_place(map);
	if (doc_kind(map) != DOC_MAP) {
		problem(r->p, f->at, "a field is a mapping like {from: firstname, to: firstName}");
		f->from = f->to = "";
		return;
	}
	doc_only(map, r->p, "a field", keys);
	f->from = doc_required(map, "from", "a field", r->p);
	f->to = doc_required(map, "to", "a field", r->p);
	f->picklist_label = doc_choice(map, "picklist", 0, picklist, r->p);
	f->lookup_name = doc_choice(map, "lookup", 0, lookup, r->p);
	f->fallback = doc_string(map, "default", NULL, r->p);
	read_values(r, doc_get(map, "values"), f);
}

/* mode: join is the one of this version: the parent's id goes into a plain column that the
 * custom resource's link joins on, so a child never waits for its parent. */
static void read_link(struct reader *r, struct node map, struct field_config *f)
{
	static const char *const keys[] = {"from", "to", "mode", "column", NULL};
	static const char *const modes[] = {"join", NULL};

	f->at = doc_place(map);
	doc_only(map, r->p, "a link", keys);
	f->from = doc_required(map, "from", "a link", r->p);
	f->link = doc_required(map, "to", "a link", r->p);
	f->to = doc_required(map, "column", "a link with mode: join", r->p);
	doc_choice(map, "mode", 0, modes, r->p);
}

/* "1%" of the rows that are known, or a number of rows. */
static void read_max_deletes(struct reader *r, struct node n, struct flow *f)
{
	const char *s = doc_text(n);
	char *end;

	f->max_deletes_share = 0.01;
	f->max_deletes_count = -1;
	if (!doc_there(n))
		return;
	if (s && strchr(s, '%')) {
		double percent = strtod(s, &end);
		if (end != s && !strcmp(end, "%") && percent >= 0 && percent <= 100) {
			f->max_deletes_share = percent / 100;
			return;
		}
	} else if (s && text_to_int(s, 0, INT32_MAX, &f->max_deletes_count)) {
		return;
	}
	problem(r->p, doc_place(n),
		"\"max_deletes\" must be a share like 1%% or a number of rows like 500");
}

/* One interval, or {min: after changes, max: when all is quiet}. */
static void read_poll(struct reader *r, struct node map, struct flow *f, int64_t min_ms,
		      int64_t max_ms)
{
	static const char *const keys[] = {"min", "max", NULL};
	struct node n = doc_get(map, "poll");

	if (doc_kind(n) != DOC_MAP) {
		f->poll_ms = doc_duration(map, "poll", max_ms, 100, 86400000, r->p);
		f->poll_min_ms = doc_there(n) ? f->poll_ms : min_ms;
		return;
	}
	doc_only(n, r->p, "poll", keys);
	f->poll_min_ms = doc_duration(n, "min", min_ms, 100, 86400000, r->p);
	f->poll_ms = doc_duration(n, "max", max_ms, 100, 86400000, r->p);
	if (f->poll_min_ms > f->poll_ms)
		problem(r->p, doc_place(n), "poll: \"min\" is longer than \"max\"");
}

static void read_table_flow(struct reader *r, struct node map, struct flow *f)
{
	static const char *const changes[] = {"tracking", "modifiedon", "versionnumber", "full",
					      NULL};
	static const char *const deletes[] = {"apply", "ignore", NULL};
	struct node fields = doc_get(map, "fields"), links = doc_get(map, "links");

	f->table = doc_required(map, "table", "this flow", r->p);
	f->resource = doc_required(map, "resource", "this flow", r->p);
	f->key = doc_required(map, "key", "this flow", r->p);
	f->apply_deletes = !doc_choice(map, "deletes", 0, deletes, r->p);
	f->changes = (enum changes)doc_choice(map, "changes", 0, changes, r->p);
	f->overlap_ms = doc_duration(map, "overlap", 300000, 0, 86400000, r->p);
	if (doc_there(doc_get(map, "overlap")) && f->changes != CHANGES_MODIFIEDON)
		problem(r->p, doc_place(doc_get(map, "overlap")),
			"\"overlap\" is for changes: modifiedon");
	read_max_deletes(r, doc_get(map, "max_deletes"), f);
	/* A full read is heavy: the interval is between the end of one and the next. */
	read_poll(r, map, f, f->changes == CHANGES_FULL ? 3600000 : 5000,
		  f->changes == CHANGES_FULL ? 3600000 : 60000);
	if (doc_kind(fields) != DOC_LIST || !doc_count(fields))
		problem(r->p, doc_there(fields) ? doc_place(fields) : f->at,
			"this flow needs \"fields\", a list of {from: …, to: …}");
	if (doc_there(links) && doc_kind(links) != DOC_LIST)
		problem(r->p, doc_place(links), "\"links\" must be a list");
	size_t n = doc_kind(fields) == DOC_LIST ? doc_count(fields) : 0;
	size_t m = doc_kind(links) == DOC_LIST ? doc_count(links) : 0;
	f->fields = xcalloc(n + m, sizeof *f->fields);
	for (size_t i = 0; i < n; i++)
		read_field(r, doc_item(fields, i), &f->fields[f->field_count++]);
	for (size_t i = 0; i < m; i++)
		read_link(r, doc_item(links, i), &f->fields[f->field_count++]);
}

static void read_log_files(struct reader *r, struct node files, const char *which,
			   const enum log_column *needed, size_t needed_count, struct log_files *to)
{
	static const char *const keys[] = {"match", "columns", NULL};
	struct node map = doc_get(files, which), columns = doc_get(map, "columns");

	if (!doc_there(map))
		return;
	to->at = doc_place(map);
	doc_only(map, r->p, which, keys);
	to->match = doc_required(map, "match", which, r->p);
	doc_only(columns, r->p, "columns", log_column_names);
	for (int i = 0; i < LOG_COLUMNS; i++)
		to->columns[i] = doc_string(columns, log_column_names[i], NULL, r->p);
	for (size_t i = 0; i < needed_count; i++)
		if (!to->columns[needed[i]])
			problem(r->p, doc_there(columns) ? doc_place(columns) : to->at,
				"the %s export needs the column \"%s\"", which,
				log_column_names[needed[i]]);
}

static void read_activity(struct reader *r, struct node map, enum event_kind kind,
			  struct activity_config *a)
{
	static const char *const keys[] = {"table",	   "time",	 "campaign", "delivery",
					   "tracking_url", "mirror_url", NULL};
	if (!doc_there(map) || doc_is_null(map)) /* null: off, in a file laid over another */
		return;
	a->on = true;
	a->at = doc_place(map);
	doc_only(map, r->p, event_kind_names[kind], keys);
	a->table = doc_required(map, "table", event_kind_names[kind], r->p);
	a->time = doc_string(map, "time", NULL, r->p);
	a->campaign = doc_string(map, "campaign", NULL, r->p);
	a->delivery = doc_string(map, "delivery", NULL, r->p);
	a->tracking_url = doc_string(map, "tracking_url", NULL, r->p);
	a->mirror_url = doc_string(map, "mirror_url", NULL, r->p);
}

static void read_event_flow(struct reader *r, struct node map, struct flow *f)
{
	static const char *const file_keys[] = {"sending", "tracking", NULL};
	static const enum log_column sending[] = {LOG_ID,      LOG_STATUS,  LOG_FAILURE_TYPE,
						  LOG_TIME,    LOG_CONTACT, LOG_DELIVERY,
						  LOG_CAMPAIGN};
	static const enum log_column tracking[] = {LOG_ID,	LOG_URL_TYPE, LOG_TIME,
						   LOG_CONTACT, LOG_DELIVERY, LOG_CAMPAIGN};
	struct node files = doc_get(map, "files"), acts = doc_get(map, "activities");
	struct node since = doc_get(map, "since");
	const char *s = doc_text(since);

	if (!doc_there(since))
		problem(r->p, f->at,
			"this flow needs \"since\": events before it are left out. Existing "
			"processes in Dynamics may make a task per click, and a back-fill would "
			"flood sales");
	else if (!s || !datetime_parse(s, strlen(s), true, &f->since))
		problem(r->p, doc_place(since),
			"\"since\" must be a time with a zone, like 2026-01-31T00:00:00Z");
	else
		f->has_since = true;
	if (!doc_there(files))
		problem(r->p, f->at, "this flow needs \"files\"");
	doc_only(files, r->p, "files", file_keys);
	read_log_files(r, files, "sending", sending, sizeof sending / sizeof *sending, &f->sending);
	read_log_files(r, files, "tracking", tracking, sizeof tracking / sizeof *tracking,
		       &f->tracking);
	doc_only(acts, r->p, "activities", event_kind_names);
	bool any = false;
	for (int k = 0; k < EVENT_KINDS; k++) {
		read_activity(r, doc_get(acts, event_kind_names[k]), (enum event_kind)k,
			      &f->activities[k]);
		any |= f->activities[k].on;
	}
	if (!any)
		problem(r->p, f->at,
			"this flow needs \"activities\" with at least one of send, open, click, "
			"bounce: every kind is off until it is named");
}

static void read_flow(struct reader *r, struct node key, struct node map, struct flow *f)
{
	static const char *const table_keys[] = {
	    "kind",	   "table",	      "resource",	 "key",
	    "fields",	   "links",	      "deletes",	 "poll",
	    "page_size",   "commit_interval", "changes",	 "overlap",
	    "max_deletes", "max_in_flight",   "request_timeout", NULL};
	static const char *const event_keys[] = {"kind",       "since",		"files",
						 "activities", "poll",		"commit_interval",
						 "batch_size", "max_in_flight", "request_timeout",
						 NULL};
	f->name = doc_text(key) ? doc_text(key) : "";
	f->at = doc_place(key);
	if (!*f->name || f->name[strspn(f->name, "abcdefghijklmnopqrstuvwxyz0123456789-")] ||
	    strlen(f->name) > 60)
		problem(r->p, f->at, "a flow's name is made of a-z, 0-9 and -, at most 60 of them");
	if (doc_kind(map) != DOC_MAP) {
		problem(r->p, f->at, "a flow is a mapping");
		return;
	}
	if (!doc_there(doc_get(map, "kind"))) {
		problem(r->p, f->at,
			"this flow needs \"kind\": contacts, custom-entity or "
			"email-events");
		return;
	}
	f->kind = (enum flow_kind)doc_choice(map, "kind", 0, flow_kinds, r->p);
	doc_only(map, r->p, "this flow", f->kind == FLOW_EMAIL_EVENTS ? event_keys : table_keys);
	if (f->kind == FLOW_EMAIL_EVENTS) {
		read_event_flow(r, map, f);
		f->poll_ms = doc_duration(map, "poll", 30000, 100, 3600000, r->p);
	} else {
		read_table_flow(r, map, f);
	}
	f->page_size = doc_int(map, "page_size", 5000, 1, 5000, r->p);
	f->commit_interval_ms = doc_duration(map, "commit_interval", 100, 1, 10000, r->p);
	f->batch_size = doc_int(map, "batch_size", 100, 1, 1000, r->p);
	f->max_in_flight =
	    doc_int(map, "max_in_flight", f->kind == FLOW_EMAIL_EVENTS ? 4 : 32, 1, 1000, r->p);
	f->request_timeout_ms =
	    doc_duration(map, "request_timeout", f->kind == FLOW_EMAIL_EVENTS ? 120000 : 30000,
			 1000, 240000, r->p);
}

static void check_connections_used(struct reader *r)
{
	bool tables = false, events = false;
	for (size_t i = 0; i < r->c->flow_count; i++) {
		tables |= r->c->flows[i].kind != FLOW_EMAIL_EVENTS;
		events |= r->c->flows[i].kind == FLOW_EMAIL_EVENTS;
	}
	struct place whole = {r->c->path, 0, 0};
	if ((tables || events) && !r->c->dataverse.url)
		problem(r->p, whole, "the flows need connections.dataverse");
	if (tables && !r->c->campaign.url)
		problem(r->p, whole, "the flows need connections.campaign");
	if (events && !r->c->logs.url)
		problem(r->p, whole, "the email-events flow needs connections.campaign_logs");
}

struct config *config_load(const char *const *paths, size_t count, env_lookup env,
			   struct problems *problems)
{
	static const char *const keys[] = {"name",     "connections", "topics",
					   "metadata", "flows",	      NULL};
	static const char *const topic_keys[] = {"partitions", "replication", NULL};
	struct config *c = xcalloc(1, sizeof *c);
	struct reader r = {c, problems, env};
	struct node top[5] = {{0}};
	size_t before = problems->count;

	if (!count || count > 2) {
		problem(problems, (struct place){0}, "--config is given once or twice");
		count = 0;
	}
	for (size_t i = 0; i < count; i++) {
		struct document *doc = doc_load(paths[i], problems);
		if (!i || !c->doc) {
			c->doc = doc;
		} else if (doc) {
			doc_overlay(c->doc, doc, problems);
			doc_free(doc);
		}
	}
	if (c->doc) {
		struct node root = doc_root(c->doc);
		doc_only(root, problems, "the configuration", keys);
		for (size_t k = 0; keys[k]; k++)
			top[k] = doc_get(root, keys[k]);
	}
	if (problems->count > before) {
		config_free(c);
		return NULL;
	}
	c->path = own(c, paths[0], strlen(paths[0]));
	c->name = doc_text(top[0]) ? doc_text(top[0]) : "tideway";
	if (!*c->name || c->name[strspn(c->name, "abcdefghijklmnopqrstuvwxyz0123456789-_")] ||
	    strlen(c->name) > 60)
		problem(problems, doc_place(top[0]),
			"\"name\" is made of a-z, 0-9, - and _, at most 60 of them");
	read_connections(&r, top[1]);
	doc_only(top[2], problems, "topics", topic_keys);
	c->partitions = doc_int(top[2], "partitions", 4, 1, 1000, problems);
	c->replication = doc_int(top[2], "replication", 1, 1, 10, problems);
	/* The folder of saved metadata is named relative to the file that names it. */
	const char *dir = doc_text(top[3]) ? doc_text(top[3]) : "metadata";
	if (*dir != '/') {
		const char *beside = doc_there(top[3]) ? doc_place(top[3]).file : paths[0];
		_cleanup_(freep) char *copy = xstrdup(beside);
		_cleanup_(freep) char *full = xasprintf("%s/%s", dirname(copy), dir);
		dir = own(c, full, strlen(full));
	}
	c->metadata_dir = dir;
	if (doc_kind(top[4]) != DOC_MAP || !doc_count(top[4])) {
		problem(problems, doc_place(top[4]), "\"flows\" needs at least one flow");
	} else {
		for (size_t i = 0; i < doc_count(top[4]); i++) { /* names twice? */
			const char *a = doc_text(doc_key(top[4], i));
			for (size_t j = 0; a && j < i; j++) {
				const char *b = doc_text(doc_key(top[4], j));
				if (b && !strcmp(a, b))
					problem(problems, doc_place(doc_key(top[4], i)),
						"\"%s\" is given twice", a);
			}
		}
		c->flow_count = doc_count(top[4]);
		c->flows = xcalloc(c->flow_count, sizeof *c->flows);
		for (size_t i = 0; i < c->flow_count; i++)
			read_flow(&r, doc_key(top[4], i), doc_value(top[4], i), &c->flows[i]);
	}
	check_connections_used(&r);
	if (problems->count > before) {
		config_free(c);
		return NULL;
	}
	return c;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->flow_count; i++) {
		for (size_t j = 0; j < c->flows[i].field_count; j++)
			free(c->flows[i].fields[j].values);
		free(c->flows[i].fields);
	}
	free(c->flows);
	free(c->kafka);
	doc_free(c->doc);
	for (struct owned *o = c->owned, *next; o; o = next) {
		next = o->next;
		free(o);
	}
	free(c);
}

const struct flow *config_flow(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->flow_count; i++)
		if (!strcmp(c->flows[i].name, name))
			return &c->flows[i];
	return NULL;
}

const char *flow_kind_name(enum flow_kind kind)
{
	return flow_kinds[kind];
}

const char *config_kafka(const struct config *c, const char *name, const char *fallback)
{
	for (size_t i = 0; i < c->kafka_count; i++)
		if (!strcmp(c->kafka[i].name, name))
			return c->kafka[i].value;
	return fallback;
}
