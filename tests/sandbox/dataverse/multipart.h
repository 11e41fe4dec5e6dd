/* multipart.h - the body of a $batch as a list of requests. */
#ifndef SANDBOX_DATAVERSE_MULTIPART_H
#define SANDBOX_DATAVERSE_MULTIPART_H

#include "server.h"

enum { REQUESTS_MAX = 1000, HEADERS_MAX = 32 };

struct operation {
	char *method, *url, *body, *content_id;
	size_t body_len;
	struct reply_header headers[HEADERS_MAX];
	size_t header_count;
	int change_set; /* 0: none */
};

struct operations {
	struct operation *list; /* room for REQUESTS_MAX */
	size_t count;
	int change_sets;
};

/* Reads all of it.  False after answering 400; free either way. */
bool multipart_read(struct operations *o, const struct request *req, struct reply *rep);
void multipart_free(struct operations *o);

/* Of a list of headers, NULL when it is not there. */
const char *header_value(const struct reply_header *headers, size_t count, const char *name);
void header_free(struct reply_header *headers, size_t *count);

#endif
