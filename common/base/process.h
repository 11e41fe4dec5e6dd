/* process.h - what the kernel says of this process. */
#ifndef TIDEWAY_PROCESS_H
#define TIDEWAY_PROCESS_H

#include <stdint.h>

struct process_use {
	int64_t cpu_ms; /* of user and system, all threads */
	int64_t resident_bytes, virtual_bytes;
	int64_t open_files, max_files;
};

/* What cannot be read is 0. */
void process_look(struct process_use *out);

#endif
