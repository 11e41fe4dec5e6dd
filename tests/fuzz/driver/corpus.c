/* corpus.c - a main for a fuzzer that runs the files and folders named on the command line, once
 * each: `make check` needs no clang. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static long inputs;

static void run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t size = 0, cap = 1 << 20;
	uint8_t *data = malloc(cap);

	if (!f || !data) {
		perror(path);
		exit(1);
	}
	for (size_t n; (n = fread(data + size, 1, cap - size, f)) > 0;) {
		size += n;
		uint8_t *more = size == cap ? realloc(data, cap *= 2) : data;
		if (!more)
			exit(1);
		data = more;
	}
	fclose(f);
	/* A block of exactly this size, so that a sanitizer sees a read behind it. */
	uint8_t *exact = malloc(size ? size : 1);
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	free(data);
	inputs++;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		if (!d) {
			run_file(argv[i]);
			continue;
		}
		for (struct dirent *e; (e = readdir(d));) {
			char path[4096];
			if (*e->d_name == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
			run_file(path);
		}
		closedir(d);
	}
	printf("%ld inputs\n", inputs);
	return 0;
}
