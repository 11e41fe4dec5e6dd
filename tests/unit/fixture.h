/* fixture.h - a configuration and its mapping, for tests: deploy/tideway.yaml and its metadata, with
 * a text laid over it. Tests run from the top of the tree. */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H

#include <unistd.h>

#include "config.h"
#include "mapping.h"
#include "metadata.h"
#include "unit.h"

static inline const char *fixture_env(const char *name)
{
	if (!strcmp(name, "KAFKA_BROKERS"))
		return "127.0.0.1:1";
	if (!strcmp(name, "CAMPAIGN_LOGS_URL"))
		return "file:///nowhere";
	return strstr(name, "URL") ? "http://127.0.0.1:1" : "x";
}

/* Writes text into a file that the caller unlinks. */
static inline void fixture_file(char path[40], const char *text)
{
	strcpy(path, "/tmp/tideway-unit-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline struct config *fixture_config(const char *overlay, struct problems *p)
{
	const char *paths[2] = {"deploy/tideway.yaml", NULL};
	char path[40];

	if (overlay) {
		fixture_file(path, overlay);
		paths[1] = path;
	}
	struct config *c = config_load(paths, overlay ? 2 : 1, fixture_env, CONFIG_CONNECTS, p);
	if (overlay)
		unlink(path);
	return c;
}

/* A problem whose text has the word. */
static inline bool fixture_says(const struct problems *p, const char *word)
{
	bool found = false;
	for (size_t i = 0; i < p->count && !found; i++) {
		char *text = problem_text(p, i);
		found = strstr(text, word);
		free(text);
	}
	return found;
}

#endif
