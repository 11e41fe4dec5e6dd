/* The saved metadata: files that people keep, merge and edit. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(const char *path, const uint8_t *data, size_t size)
{
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(data, 1, size, f) != size)
		abort();
	fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char dir[] = "/tmp/tideway-fuzz-XXXXXX";
	static char table_file[60], resource_file[60];
	struct table *t = NULL;
	struct resource *r = NULL;
	struct error err;

	if (!*table_file) {
		if (!mkdtemp(dir))
			abort();
		snprintf(table_file, sizeof table_file, "%s/dataverse.t.json", dir);
		snprintf(resource_file, sizeof resource_file, "%s/campaign.t.json", dir);
	}
	put(table_file, data, size);
	put(resource_file, data, size);
	/* What loads can be saved and loaded again. */
	if (table_load(dir, "t", &t, &err) == OK &&
	    (table_save(dir, t, &err) != OK ||
	     (table_free(t), table_load(dir, "t", &t, &err) != OK)))
		abort();
	if (resource_load(dir, "t", &r, &err) == OK &&
	    (resource_save(dir, r, &err) != OK ||
	     (resource_free(r), resource_load(dir, "t", &r, &err) != OK)))
		abort();
	table_free(t);
	resource_free(r);
	unlink(table_file);
	unlink(resource_file);
	return 0;
}
