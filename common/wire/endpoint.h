/* endpoint.h - a page of text for whoever asks by HTTP, and never a burden to who writes it.
 *
 *   GET /metrics   the page that was shown last, Prometheus' text format 0.0.4
 *   GET /healthz   200 while the process works, 503 when it has shown nothing for too long
 *
 * libmicrohttpd serves it in a thread of its own.  All that this thread shares with the program is
 * the page and its time, under a mutex that is held for a copy: a client that is slow, silent or
 * talks nonsense costs that thread time, and the program none.  Clients are bounded: connections at
 * a time, bytes of a request, seconds of silence.  No encryption, no login: bind it to loopback (the
 * default), or to a network that only the monitoring reaches.
 */
#ifndef TIDEWAY_ENDPOINT_H
#define TIDEWAY_ENDPOINT_H

#include <stdbool.h>

#include "buffer.h"
#include "error.h"

enum { ENDPOINT_SHOW_MS = 1000, ENDPOINT_PAGE_MAX = 1 << 20 };

struct endpoint;

/* where: PORT (of loopback), HOST:PORT or [IPV6]:PORT; port 0 is any that is free.  still_ms: after so
 * long without a page /healthz says 503.  FATAL: exit 100 where it can never work, 111 when the port
 * is taken, which may be over soon: the last process of this place may still be stopping. */
enum result endpoint_open(const char *where, int64_t still_ms, struct endpoint **out,
			  struct error *err);
void endpoint_close(struct endpoint *e);

/* Where the metrics are, "http://127.0.0.1:28100/metrics". */
const char *endpoint_url(const struct endpoint *e);

/* A page is older than ENDPOINT_SHOW_MS.  Cheap. */
bool endpoint_is_due(const struct endpoint *e, mono_time now);
void endpoint_show(struct endpoint *e, const struct buffer *page, mono_time now);

#endif
