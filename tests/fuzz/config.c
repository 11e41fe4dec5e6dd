/* The configuration: YAML, what is made of it, and, as `tideway check` does, the mapping of each flow
 * as far as it could be read. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "mapping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *env(const char *name)
{
	return strstr(name, "URL") ? "http://127.0.0.1:1" : "x";
}

static void compile(const struct config *c, struct problems *problems)
{
	static struct table *contact;
	static struct resource *profile;
	struct error err;

	if (!contact && (table_load("deploy/metadata", "contact", &contact, &err) != OK ||
			 resource_load("deploy/metadata", "profile", &profile, &err) != OK))
		abort();
	for (size_t i = 0; i < c->flow_count; i++) {
		if (c->flows[i].kind == FLOW_EMAIL_EVENTS)
			continue;
		size_t before = problems->count;
		struct mapping *m = mapping_compile(&c->flows[i], contact, profile, problems);
		if (!m && problems->count == before && before <= PROBLEMS_MAX)
			abort();
		mapping_free(m);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems problems = {0};
	char path[] = "/tmp/tideway-fuzz-XXXXXX";
	const char *paths[] = {path, path};
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
	/* Alone, and laid over itself. */
	for (size_t n = 1; n <= 2; n++) {
		struct config *c = config_read(paths, n, env, CONFIG_CONNECTS, &problems);
		if (!c && !problems.count)
			abort();
		if (c)
			compile(c, &problems);
		config_free(c);
	}
	problems_free(&problems);
	unlink(path);
	return 0;
}
