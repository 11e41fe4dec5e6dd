/* faults.c - see faults.h and the control interface in server.h. */
#include "faults.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool known_members(const cJSON *json, char *why, size_t size)
{
	static const char *const names[] = {"method", "path",	  "status", "headers",
					    "body",   "delay_ms", "after",  "torn",
					    "empty",  "close",	  "count",  "probability"};
	const cJSON *m;

	cJSON_ArrayForEach(m, json)
	{
		bool found = false;
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			found |= !strcmp(names[i], m->string);
		if (!found) {
			snprintf(why, size, "unknown member \"%s\"", m->string);
			return false;
		}
	}
	return true;
}

static char *copy(const cJSON *json, const char *name)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
	return s ? strdup(s) : NULL;
}

static double number(const cJSON *json, const char *name, double fallback)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(json, name);
	return cJSON_IsNumber(n) ? n->valuedouble : fallback;
}

static bool flag(const cJSON *json, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, name));
}

bool faults_add(struct faults *f, const char *text, int *id, char *why, size_t size)
{
	cJSON *json = cJSON_Parse(text);

	if (!cJSON_IsObject(json)) {
		snprintf(why, size, "not a JSON object");
		cJSON_Delete(json);
		return false;
	}
	if (!known_members(json, why, size)) {
		cJSON_Delete(json);
		return false;
	}
	struct fault *x = calloc(1, sizeof *x);
	x->id = *id = ++f->last_id;
	x->method = copy(json, "method");
	x->path = copy(json, "path");
	x->body = copy(json, "body");
	x->status = (int)number(json, "status", 0);
	x->delay_ms = (long)number(json, "delay_ms", 0);
	x->left = (long)number(json, "count", -1);
	x->probability = number(json, "probability", 1);
	x->after = flag(json, "after");
	x->torn = flag(json, "torn");
	x->empty = flag(json, "empty");
	x->close = flag(json, "close");
	x->headers = cJSON_DetachItemFromObjectCaseSensitive(json, "headers");
	cJSON_Delete(json);
	struct fault **at = &f->list;
	while (*at)
		at = &(*at)->next;
	*at = x;
	return true;
}

void faults_clear(struct faults *f)
{
	while (f->list) {
		struct fault *x = f->list;
		f->list = x->next;
		x->next = f->retired;
		f->retired = x;
	}
}

void faults_free(struct faults *f)
{
	faults_clear(f);
	for (struct fault *x = f->retired, *next; x; x = next) {
		next = x->next;
		free(x->method);
		free(x->path);
		free(x->body);
		cJSON_Delete(x->headers);
		free(x);
	}
	f->retired = NULL;
}

static bool path_matches(const char *pattern, const char *path)
{
	return strchr(pattern, '*') ? !fnmatch(pattern, path, 0) : strstr(path, pattern) != NULL;
}

const struct fault *faults_match(struct faults *f, const char *method, const char *path)
{
	for (struct fault *x = f->list; x; x = x->next) {
		if (!x->left || (x->method && strcmp(x->method, method)) ||
		    (x->path && !path_matches(x->path, path)))
			continue;
		if (x->probability < 1 && rng_unit(&f->rng) >= x->probability)
			continue;
		if (x->left > 0)
			x->left--;
		return x;
	}
	return NULL;
}

/* ---- counts ----------------------------------------------------------------------------------- */

struct count {
	char route[96], method[12];
	int status;
	long n;
};

struct counts {
	struct count *items;
	size_t count;
};

struct counts *counts_new(void)
{
	return calloc(1, sizeof(struct counts));
}

void counts_free(struct counts *c)
{
	free(c->items);
	free(c);
}

void counts_clear(struct counts *c)
{
	c->count = 0;
}

void counts_add(struct counts *c, const char *route, const char *method, int status)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->items[i].status == status && !strcmp(c->items[i].route, route) &&
		    !strcmp(c->items[i].method, method)) {
			c->items[i].n++;
			return;
		}
	c->items = realloc(c->items, (c->count + 1) * sizeof *c->items);
	struct count *x = &c->items[c->count++];
	*x = (struct count){.status = status, .n = 1};
	snprintf(x->route, sizeof x->route, "%s", route);
	snprintf(x->method, sizeof x->method, "%s", method);
}

cJSON *counts_json(const struct counts *c)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < c->count; i++) {
		cJSON *o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "route", c->items[i].route);
		cJSON_AddStringToObject(o, "method", c->items[i].method);
		cJSON_AddNumberToObject(o, "status", c->items[i].status);
		cJSON_AddNumberToObject(o, "count", (double)c->items[i].n);
		cJSON_AddItemToArray(list, o);
	}
	return list;
}
