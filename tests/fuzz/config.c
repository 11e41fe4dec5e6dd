/* The configuration: YAML, and what is made of it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *env(const char *name)
{
	return strstr(name, "URL") ? "http://127.0.0.1:1" : "x";
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
		struct config *c = config_load(paths, n, env, &problems);
		if (!c && !problems.count)
			abort();
		config_free(c);
	}
	problems_free(&problems);
	unlink(path);
	return 0;
}
