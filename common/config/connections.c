/* connections.c - the section `connections` of tideway.yaml: where the systems are, and who asks.
 *
 * ${VAR} is replaced here and nowhere else.  One function a connection; the tables of known keys
 * stand beside them. */
#include "config_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buffer.h"

enum { SECRET_FILE_MAX = 16 * 1024 };

/* What nobody has set is left as it stands where nothing is connected: the mapping can be judged
 * without the secrets. */
static bool is_open(const struct reader *r, const char *s)
{
	return r->use != CONFIG_CONNECTS && s && strstr(s, "${");
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
		if (!value && r->use == CONFIG_CONNECTS)
			problem(r->p, doc_place(node),
				"the environment variable %s is not set; export it, or write the "
				"value here",
				name);
		buffer_append(&out, s, (size_t)(open - s));
		if (value)
			buffer_puts(&out, value);
		else if (r->use != CONFIG_CONNECTS)
			buffer_append(&out, open, (size_t)(close + 1 - open));
		s = close + 1;
	}
	result = config_own(r->c, out.data ? out.data : "", out.len);
	buffer_free(&out);
	return result;
}

/* A text of a connection: ${VAR} replaced, missing is NULL or, when required, a problem and "". */
static const char *text(struct reader *r, struct node map, const char *key, bool required,
			const char *what)
{
	const char *s = required && r->use != CONFIG_MAPPING ? doc_required(map, key, what, r->p)
							     : doc_string(map, key, NULL, r->p);
	return expand(r, doc_get(map, key), s);
}

static const char *without_slash(struct reader *r, const char *url)
{
	size_t len = url ? strlen(url) : 0;
	while (len && url[len - 1] == '/')
		len--;
	return url ? config_own(r->c, url, len) : NULL;
}

static const char *url(struct reader *r, struct node map, const char *key, const char *what,
		       const char *const *schemes)
{
	const char *s = text(r, map, key, true, what);
	bool good = !s || !*s || is_open(r, s);
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

	if (raw && *raw && !doc_is_null(doc_get(map, key)) && !strstr(raw, "${"))
		problem(
		    r->p, doc_place(doc_get(map, key)),
		    "\"%s\" stands in the file for everybody to read: write ${VARIABLE}, or name "
		    "a file as \"%s\"",
		    key, file_key);
	if (!path)
		return text(r, map, key, required, what);
	FILE *f = fopen(path, "re");
	if (!f && r->use != CONFIG_CONNECTS)
		return "${a file that is not here}";
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
	const char *s = config_own(r->c, content, n);
	free(content);
	if (!*s)
		problem(r->p, doc_place(doc_get(map, file_key)), "%s is empty", path);
	return s;
}

static void read_oauth(struct reader *r, struct node map, struct connection *to, const char *what,
		       const char *const *keys, const char *default_scope)
{
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
	to->max_requests_per_second = doc_int(map, "max_requests_per_second", 0, 0, 100000, r->p);
	to->max_requests_per_day = doc_int(map, "max_requests_per_day", 0, 0, 1000000000, r->p);
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
	if (r->use != CONFIG_MAPPING && !strncmp(to->url, "sftp://", 7)) {
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
		    (struct kafka_setting){name, expand(r, v, value), doc_place(k), false};
		struct kafka_setting *last = &r->c->kafka[r->c->kafka_count - 1];
		last->open = is_open(r, last->value);
	}
	if (r->use != CONFIG_MAPPING && !config_kafka(r->c, "bootstrap.servers", NULL))
		problem(r->p, doc_place(map), "connections.kafka needs \"bootstrap.servers\"");
}

/* The key of the conversion `hash`: what is hashed without one is found out by hashing every guess. */
static void read_pseudonyms(struct reader *r, struct node map)
{
	static const char *const keys[] = {"key", "key_file", NULL};
	enum { KEY_MIN = 16 };

	if (!doc_there(map))
		return;
	doc_only(map, r->p, "connections.pseudonyms", keys);
	const char *key = secret(r, map, "key", true, "connections.pseudonyms");
	if (!key)
		return;
	if (*key && !is_open(r, key) && strlen(key) < KEY_MIN)
		problem(r->p, doc_place(map), "the key of pseudonyms needs at least %d characters",
			KEY_MIN);
	r->c->pseudonym_key = *key ? key : NULL;
}

void read_connections(struct reader *r, struct node map)
{
	static const char *const keys[] = {"kafka",	    "registry",	  "dataverse", "campaign",
					   "campaign_logs", "pseudonyms", NULL};
	static const char *const dataverse_keys[] = {"url",
						     "token_url",
						     "client_id",
						     "client_secret",
						     "client_secret_file",
						     "scope",
						     "max_requests_per_second",
						     "max_requests_per_day",
						     NULL};
	static const char *const campaign_keys[] = {"url",
						    "token_url",
						    "client_id",
						    "client_secret",
						    "client_secret_file",
						    "scope",
						    "dialect",
						    "max_requests_per_second",
						    "max_requests_per_day",
						    NULL};
	static const char *const dialects[] = {"acs", "v8", NULL};

	if (!doc_there(map)) {
		if (r->use != CONFIG_MAPPING)
			problem(r->p, (struct place){r->c->path, 0, 0},
				"\"connections\" is missing");
		return;
	}
	doc_only(map, r->p, "connections", keys);
	struct node kafka = doc_get(map, "kafka"), registry = doc_get(map, "registry");
	if (doc_there(kafka))
		read_kafka(r, kafka);
	else if (r->use != CONFIG_MAPPING)
		problem(r->p, doc_place(map), "connections needs \"kafka\"");
	if (doc_there(registry))
		read_registry(r, registry);
	else if (r->use != CONFIG_MAPPING)
		problem(r->p, doc_place(map), "connections needs \"registry\"");
	read_oauth(r, doc_get(map, "dataverse"), &r->c->dataverse, "connections.dataverse",
		   dataverse_keys, NULL);
	if (r->c->dataverse.url && !r->c->dataverse.credentials.scope) {
		/* Entra ID v2.0, client credentials: scope is <environment-url>/.default */
		char *scope = xasprintf("%s/.default", r->c->dataverse.url);
		r->c->dataverse.credentials.scope = config_own(r->c, scope, strlen(scope));
		free(scope);
	}
	read_oauth(r, doc_get(map, "campaign"), &r->c->campaign, "connections.campaign",
		   campaign_keys,
		   "AdobeID,openid,read_organizations,additional_info.projectedProductContext,"
		   "campaign_sdk,campaign_config_server_general");
	r->c->dialect = (enum campaign_dialect)doc_choice(doc_get(map, "campaign"), "dialect",
							  DIALECT_ACS, dialects, r->p);
	read_logs(r, doc_get(map, "campaign_logs"));
	read_pseudonyms(r, doc_get(map, "pseudonyms"));
}
