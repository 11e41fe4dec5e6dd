/* client.h - an HTTP client for all tests of a file, and a server to point it at. */
#ifndef TEST_CLIENT_H
#define TEST_CLIENT_H

#include "http.h"
#include "server.h"

static struct http *h;
static struct server server;
static struct error err;

static inline int client_make(void **state)
{
	(void)state;
	h = http_new("test/1", NULL);
	return h ? 0 : -1;
}

static inline int client_unmake(void **state)
{
	(void)state;
	http_free(h);
	return 0;
}

#endif
