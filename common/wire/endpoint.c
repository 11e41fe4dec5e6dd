/* endpoint.c - see endpoint.h. */
#include "endpoint.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arena.h"

enum {
	CLIENTS_MAX = 16,
	WAITING_MAX = 64,
	CLIENT_BYTES = 16 << 10, /* of a request's head */
	SILENCE_S = 3,
	STACK_BYTES = 256 << 10,
	HOST_MAX = 256,
};

struct endpoint {
	struct MHD_Daemon *daemon;
	char url[HOST_MAX + 40];
	int64_t still_ms;
	mono_time shown_at; /* of the program; shared.at is the same, for the server */
	struct {
		pthread_mutex_t lock;
		struct buffer page;
		mono_time at;
	} shared;
};

/* ---- answers: all of these run in the server's thread ------------------------------------------ */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
			      const char *text, size_t len)
{
	struct MHD_Response *res =
	    MHD_create_response_from_buffer(len, (void *)text, MHD_RESPMEM_MUST_COPY);

	if (!res)
		return MHD_NO;
	MHD_add_response_header(res, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(res, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result r = MHD_queue_response(c, status, res);
	MHD_destroy_response(res);
	return r;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, const char *text)
{
	return answer(c, status, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result show_metrics(struct endpoint *e, struct MHD_Connection *c)
{
	pthread_mutex_lock(&e->shared.lock);
	enum MHD_Result r =
	    answer(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
		   e->shared.page.len ? e->shared.page.data : "", e->shared.page.len);
	pthread_mutex_unlock(&e->shared.lock);
	return r;
}

static enum MHD_Result show_health(struct endpoint *e, struct MHD_Connection *c)
{
	char text[120];

	pthread_mutex_lock(&e->shared.lock);
	int64_t still_ms = mono_now().ms - e->shared.at.ms;
	pthread_mutex_unlock(&e->shared.lock);
	if (still_ms <= e->still_ms)
		return say(c, MHD_HTTP_OK, "ok\n");
	snprintf(text, sizeof text, "the process has stood still for %lld s\n",
		 (long long)still_ms / 1000);
	return say(c, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

/* @locality the server's thread.  Called at the end of the head and, for a body, again: what is
 * answered at once closes the connection, so that no body is ever read. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
				  const char *method, const char *version, const char *body,
				  size_t *body_len, void **state)
{
	struct endpoint *e = arg;

	(void)version, (void)body, (void)body_len, (void)state;
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (!strcmp(path, "/metrics"))
		return show_metrics(e, c);
	if (!strcmp(path, "/healthz"))
		return show_health(e, c);
	return say(c, MHD_HTTP_NOT_FOUND, "here are /metrics and /healthz\n");
}

/* ---- the socket -------------------------------------------------------------------------------- */

/* Takes HOST:PORT apart; a port alone is one of loopback. */
static bool take_apart(const char *where, char host[HOST_MAX], char port[8])
{
	const char *colon = strrchr(where, ':'), *number = colon ? colon + 1 : where;
	size_t len = colon ? (size_t)(colon - where) : 0;

	if (!*number || strlen(number) > 5 || number[strspn(number, "0123456789")] ||
	    atoi(number) > 65535)
		return false;
	strcpy(port, number);
	if (!colon) {
		strcpy(host, "127.0.0.1");
		return true;
	}
	if (len >= 2 && *where == '[' && where[len - 1] == ']') {
		where++;
		len -= 2;
	} else if (memchr(where, ':', len)) {
		return false; /* an IPv6 address wants its brackets */
	}
	if (!len || len >= HOST_MAX)
		return false;
	memcpy(host, where, len);
	host[len] = 0;
	return true;
}

static enum result refuse(const char *where, int code, struct error *err)
{
	if (code == EADDRINUSE)
		return error_restart(err, "port-in-use",
				     "metrics: %s is in use: if not by the last process of this "
				     "stage, which may still be stopping, give --metrics another "
				     "port",
				     where);
	return error_config(err, "metrics", "metrics: listening at %s: %s%s", where, strerror(code),
			    code == EACCES ? "; ports below 1024 need a privilege"
			    : code == EADDRNOTAVAIL
				? "; the host must be an address of this machine"
				: "");
}

static enum result listen_at(const char *where, int *out, bool *is_ipv6, struct error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
	char host[HOST_MAX], port[8];
	int on = 1, code = 0;

	if (!take_apart(where, host, port))
		return error_config(err, "usage",
				    "--metrics wants PORT, HOST:PORT or [IPV6]:PORT, not \"%s\"",
				    where);
	int no = getaddrinfo(host, port, &hints, &found);
	if (no)
		return error_config(err, "metrics", "metrics: the host %s: %s", host,
				    gai_strerror(no));
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Connections of a process before us that linger are no listener. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
	    bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, WAITING_MAX))
		code = errno;
	*is_ipv6 = found->ai_family == AF_INET6;
	freeaddrinfo(found);
	if (code) {
		if (fd >= 0)
			close(fd);
		return refuse(where, code, err);
	}
	*out = fd;
	return OK;
}

static void name_url(struct endpoint *e, int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof address;
	char host[HOST_MAX] = "?", port[8] = "?";

	if (!getsockname(fd, (struct sockaddr *)&address, &len))
		getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
			    NI_NUMERICHOST | NI_NUMERICSERV);
	bool brackets = strchr(host, ':');
	snprintf(e->url, sizeof e->url, "http://%s%s%s:%s/metrics", brackets ? "[" : "", host,
		 brackets ? "]" : "", port);
}

/* ---- the program's side ------------------------------------------------------------------------ */

enum result endpoint_open(const char *where, int64_t still_ms, struct endpoint **out,
			  struct error *err)
{
	sigset_t all, before;
	bool is_ipv6 = false;
	int fd = -1;
	enum result r = listen_at(where, &fd, &is_ipv6, err);

	if (r != OK)
		return r;
	struct endpoint *e = xcalloc(1, sizeof *e);
	e->still_ms = still_ms;
	e->shared.page = BUFFER(ENDPOINT_PAGE_MAX);
	e->shared.at = mono_now();
	pthread_mutex_init(&e->shared.lock, NULL);
	name_url(e, fd);
	/* Signals are the program's: they must wake its thread, not this one. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	e->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL_INTERNAL_THREAD | (is_ipv6 ? MHD_USE_IPv6 : 0), 0, NULL, NULL, on_request,
	    e, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS_MAX,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)CLIENT_BYTES, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES,
	    MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!e->daemon) {
		close(fd);
		endpoint_close(e);
		return error_restart(err, "metrics", "metrics: the server does not start");
	}
	*out = e;
	return OK;
}

void endpoint_close(struct endpoint *e)
{
	if (!e)
		return;
	if (e->daemon)
		MHD_stop_daemon(e->daemon);
	pthread_mutex_destroy(&e->shared.lock);
	buffer_free(&e->shared.page);
	free(e);
}

const char *endpoint_url(const struct endpoint *e)
{
	return e->url;
}

bool endpoint_is_due(const struct endpoint *e, mono_time now)
{
	return !e->shown_at.ms || now.ms - e->shown_at.ms >= ENDPOINT_SHOW_MS;
}

void endpoint_show(struct endpoint *e, const struct buffer *page, mono_time now)
{
	e->shown_at = now;
	pthread_mutex_lock(&e->shared.lock);
	buffer_reset(&e->shared.page);
	buffer_append(&e->shared.page, page->data, page->len);
	e->shared.at = now;
	pthread_mutex_unlock(&e->shared.lock);
}
