/* workflow.c - workflows: state, commands, and the external signal.
 *
 * "Controlling a workflow", "Triggering a signal activity".  Which workflows there are, and the
 * parameters of their signals, is data: workflows/NAME.json beside the resources,
 *   {"name":.., "label":.., "signals": {SIGNAL: {"parameters": {NAME: "string"|"number"|
 *                                                               "boolean"|"date/time"}}}}.
 * A signal is taken once in ten minutes, of a workflow that runs; in the closed period the answer is
 * a plain text, as Adobe's SDK (src/index.js) has to expect.  Its status is documented nowhere; it is
 * 200 here, which a client that looks no further takes for success.  Standard tells the parameters,
 * v8 does not.
 */
#include "api.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_MAX = 64 * 1024, PERIOD_MS = 10 * 60 * 1000, SIGNALS = 8 };

struct workflow {
	cJSON *json;
	const char *name, *state;
	int64_t last[SIGNALS];
};

static int is_json(const struct dirent *e)
{
	size_t n = strlen(e->d_name);
	return n > 5 && !strcmp(e->d_name + n - 5, ".json");
}

bool workflow_read(struct campaign *c, const char *dir, char *why, size_t size)
{
	struct dirent **entries;
	char path[4096];
	bool ok = true;

	snprintf(path, sizeof path, "%s/workflows", dir);
	int n = scandir(path, &entries, is_json, alphasort);
	if (n < 0)
		return true; /* none */
	for (int i = 0; i < n; i++) {
		char text[16384] = "";
		snprintf(path, sizeof path, "%s/workflows/%s", dir, entries[i]->d_name);
		FILE *f = fopen(path, "re");
		size_t len = f ? fread(text, 1, sizeof text - 1, f) : 0;
		if (f)
			fclose(f);
		cJSON *json = len ? cJSON_Parse(text) : NULL;
		if (ok && (!json_text(json, "name") ||
			   cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "signals")) >
			       SIGNALS)) {
			snprintf(why, size, "%.200s describes no workflow", path);
			ok = false;
		}
		c->workflows =
		    realloc(c->workflows, (size_t)(c->workflow_count + 1) * sizeof *c->workflows);
		c->workflows[c->workflow_count++] = (struct workflow){
		    .json = json, .name = ok ? json_text(json, "name") : "", .state = "edition"};
		free(entries[i]);
	}
	free(entries);
	return ok;
}

void workflow_free(struct campaign *c)
{
	for (int i = 0; i < c->workflow_count; i++)
		cJSON_Delete(c->workflows[i].json);
	free(c->workflows);
	free(c->bad_organization);
}

static struct workflow *find(const struct call *call, const char *id)
{
	struct campaign *c = call->c;
	int64_t n = *id == '@' ? store_pkey_id(&c->store, PKEY_WORKFLOW, id) : 0;

	if (n >= 1 && n <= c->workflow_count)
		return &c->workflows[n - 1];
	for (int i = 0; *id != '@' && i < c->workflow_count; i++)
		if (!strcmp(c->workflows[i].name, id))
			return &c->workflows[i];
	struct resource r = {.name = "workflow",
			     .schema = "xtk:workflow",
			     .label = "Workflows",
			     .singular = "Workflow"};
	if (*id == '@')
		fail_pkey(call, &r, id, false);
	else
		fail_key(call, &r, id, false);
	return NULL;
}

static void show(const struct call *call, struct workflow *w)
{
	struct store *s = &call->c->store;
	const cJSON *signal, *p;
	cJSON *o = cJSON_CreateObject();
	char base[400], pkey[100], text[800];
	int64_t number = w - call->c->workflows + 1, at = 0;

	acs_base(call->req, base, sizeof base);
	store_pkey(s, PKEY_WORKFLOW, number, pkey);
	cJSON_AddStringToObject(o, "PKey", pkey);
	cJSON *list = cJSON_AddObjectToObject(cJSON_AddObjectToObject(o, "activities"), "activity");
	cJSON_ArrayForEach(signal, cJSON_GetObjectItemCaseSensitive(w->json, "signals"))
	{
		char inner[100];
		cJSON *a = cJSON_AddObjectToObject(list, signal->string);
		store_pkey(s, PKEY_SIGNAL, number * SIGNALS + at++, inner);
		cJSON_AddStringToObject(a, "PKey", inner);
		cJSON_AddStringToObject(a, "name", signal->string);
		if (!s->v8) {
			cJSON *params = cJSON_AddObjectToObject(a, "parameters");
			cJSON_ArrayForEach(p,
					   cJSON_GetObjectItemCaseSensitive(signal, "parameters"))
			    cJSON_AddStringToObject(cJSON_AddObjectToObject(params, p->string),
						    "type", p->valuestring);
		}
		snprintf(text, sizeof text,
			 "%s/workflow/execution/%s/activities/activity/%s/trigger/", base, pkey,
			 inner);
		cJSON_AddStringToObject(cJSON_AddObjectToObject(a, "trigger"), "href", text);
	}
	snprintf(text, sizeof text, "%s/workflow/execution/%s/commands", base, pkey);
	cJSON_AddStringToObject(cJSON_AddObjectToObject(o, "commands"), "href", text);
	snprintf(text, sizeof text, "%s/workflow/execution/%s", base, pkey);
	cJSON_AddStringToObject(o, "href", text);
	cJSON_AddStringToObject(o, "label", json_text(w->json, "label"));
	cJSON_AddStringToObject(o, "name", w->name);
	cJSON_AddStringToObject(o, "state", w->state);
	acs_reply(call->rep, 200, o);
}

static void command(const struct call *call, struct workflow *w)
{
	static const struct {
		const char *method, *from[3], *to;
	} table[] = {{"start", {"edition", "stopped", NULL}, "started"},
		     {"pause", {"started", NULL}, "paused"},
		     {"resume", {"paused", NULL}, "started"},
		     {"stop", {"started", "paused", NULL}, "stopped"}};
	cJSON *json = acs_body(call, NULL);
	const char *method = json_text(json, "method");

	for (int i = 0; method && i < 4; i++) {
		if (strcmp(table[i].method, method))
			continue;
		for (int k = 0; table[i].from[k]; k++)
			if (!strcmp(table[i].from[k], w->state)) {
				w->state = table[i].to;
				acs_reply(call->rep, 200, cJSON_CreateObject());
				goto out;
			}
		fail_detail(call, "XTK-170006 The workflow '%s' is %s and cannot %s.", w->name,
			    w->state, method);
		goto out;
	}
	if (json)
		fail_detail(call, "XTK-170006 '%.80s' is no command.", method ? method : "");
out:
	cJSON_Delete(json);
}

static bool fits(const char *type, const cJSON *v)
{
	if (cJSON_IsString(v)) { /* Adobe's sample sends all types as texts */
		const char *s = v->valuestring;
		char *end;
		int64_t ms;
		if (!strcmp(type, "number"))
			return strtod(s, &end), *s && !*end;
		if (!strcmp(type, "boolean"))
			return !strcmp(s, "true") || !strcmp(s, "false");
		return strcmp(type, "date/time") || time_parse(s, &ms);
	}
	return (cJSON_IsNumber(v) && !strcmp(type, "number")) ||
	       (cJSON_IsBool(v) && !strcmp(type, "boolean"));
}

/* Adobe shows this text whole; v8's is not known, so it is the same. */
static bool known_parameters(const struct call *call, const cJSON *signal, const cJSON *given)
{
	const cJSON *declared = cJSON_GetObjectItemCaseSensitive(signal, "parameters"), *p;

	cJSON_ArrayForEach(p, given)
	{
		const char *type = json_text(declared, p->string);
		if (type && fits(type, p))
			continue;
		return acs_error(
		    call->rep, 500,
		    "RST-360011 An error has occurred - please contact your administrator.\n"
		    "'%.80s' parameter %s in signal activity.\n"
		    "XTK-170006 Unable to parse expression 'HandleTrigger(@name, $(source), "
		    "$({parameters}))'.\n"
		    "RST-360000 Error while assessing 'HandleTrigger(@name, $(source), "
		    "$({parameters}))' expression "
		    "('xtk:workflow:execution/activities/signal/trigger' resource)",
		    p->string, type ? "isn't of the type defined" : "isn't defined");
	}
	return true;
}

static void trigger(const struct call *call, struct workflow *w, const char *pkey)
{
	struct store *s = &call->c->store;
	int64_t id = store_pkey_id(s, PKEY_SIGNAL, pkey) - (w - call->c->workflows + 1) * SIGNALS;
	const cJSON *signals = cJSON_GetObjectItemCaseSensitive(w->json, "signals");
	int64_t now = store_now_ms(s);
	struct resource r = {.name = "workflow", .schema = "xtk:workflow", .label = "Workflows"};

	if (id < 0 || id >= SIGNALS || id >= cJSON_GetArraySize(signals)) {
		fail_pkey(call, &r, pkey, false);
		return;
	}
	if (call->req->body_len > PAYLOAD_MAX) {
		fail_detail(call, "The payload is larger than 64 Ko.");
		return;
	}
	cJSON *json = acs_body(call, NULL);
	if (!json)
		return;
	const cJSON *m, *parameters = cJSON_GetObjectItemCaseSensitive(json, "parameters");
	bool odd = parameters && !cJSON_IsObject(parameters);
	cJSON_ArrayForEach(m, json) odd |=
	    strcmp(m->string, "source") && strcmp(m->string, "parameters");
	if (!json_text(json, "source") || odd) {
		fail_detail(call, "XTK-170006 A trigger is a source, and parameters.");
	} else if (strcmp(w->state, "started")) {
		fail_detail(call, "XTK-170006 The workflow '%s' is not running.", w->name);
	} else if (known_parameters(call, cJSON_GetArrayItem(signals, (int)id), parameters)) {
		if (w->last[id] && now < w->last[id] + PERIOD_MS) {
			reply_header(call->rep, "Content-Type", "text/plain");
			reply_text(call->rep, 200, "%s",
				   "The signal was triggered less than 10 minutes ago.");
		} else {
			w->last[id] = now;
			store_history(s, w->name, "TRIGGER", "workflow", call->req->body);
			acs_reply(call->rep, 200, cJSON_CreateObject());
		}
	}
	cJSON_Delete(json);
}

/* rest: execution/<id>[/commands | /activities/activity/<PKey>/trigger/] */
void workflow_answer(const struct call *call, const char *rest)
{
	char part[6][400] = {""};
	int n = 0;

	snprintf(call->rep->route, sizeof call->rep->route, "workflow");
	for (; *rest && n < 6; rest += strspn(rest, "/")) {
		size_t len = strcspn(rest, "/");
		snprintf(part[n++], sizeof part[0], "%.*s", (int)(len < 399 ? len : 399), rest);
		rest += len;
	}
	if (n < 2 || strcmp(part[0], "execution") || *rest) {
		fail_url(call);
		return;
	}
	struct workflow *w = find(call, part[1]);
	bool get = is_method(call, "GET"), post = is_method(call, "POST");
	if (!w)
		return;
	if (n == 2 && get)
		show(call, w);
	else if (n == 3 && !strcmp(part[2], "commands") && post)
		command(call, w);
	else if (n == 6 && !strcmp(part[2], "activities") && !strcmp(part[3], "activity") &&
		 !strcmp(part[5], "trigger") && post)
		trigger(call, w, part[4]);
	else if (n == 2 || (n == 3 && !strcmp(part[2], "commands")))
		fail_method(call);
	else
		fail_url(call);
}
