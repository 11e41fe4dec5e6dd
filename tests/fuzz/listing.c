/* listing - what a server lists. */
#include "listing.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *line = xstrndup((const char *)data, size);
	struct listing_file f;

	if (!listing_parse(line, &f))
		return 0;
	assert(*line == '-' && f.size >= 0);
	assert(f.name > line && f.name < line + strlen(line));
	assert(strlen(f.stamp) < sizeof f.stamp);
	return 0;
}
