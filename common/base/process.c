/* process.c - see process.h. */
#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void look_at_memory(struct process_use *out)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long long size, resident;

	if (!f)
		return;
	if (fscanf(f, "%lld %lld", &size, &resident) == 2) {
		out->virtual_bytes = size * sysconf(_SC_PAGESIZE);
		out->resident_bytes = resident * sysconf(_SC_PAGESIZE);
	}
	fclose(f);
}

static void look_at_files(struct process_use *out)
{
	DIR *d = opendir("/proc/self/fd");
	struct rlimit limit;

	if (d) {
		while (readdir(d))
			out->open_files++;
		out->open_files -= 3; /* ".", ".." and the folder itself */
		closedir(d);
	}
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		out->max_files = (int64_t)limit.rlim_cur;
}

void process_look(struct process_use *out)
{
	struct rusage use;

	*out = (struct process_use){0};
	if (!getrusage(RUSAGE_SELF, &use))
		out->cpu_ms = (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * INT64_C(1000) +
			      (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1000;
	look_at_memory(out);
	look_at_files(out);
}
