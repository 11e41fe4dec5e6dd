/* http.h - HTTP over libcurl: one at a time, or many in flight on one curl_multi.
 *
 * Cookies are never kept: Dataverse's affinity cookie would pin all requests to one of its
 * servers (Microsoft, "Send parallel requests").  Redirects are not followed.  A response body
 * has a cap; a larger one is a transport failure with its own reason.
 */
#ifndef TIDEWAY_HTTP_H
#define TIDEWAY_HTTP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"
#include "tally.h"

enum { HTTP_HEADERS_MAX = 16 };

/* What to send.  Everything is copied by http_call and http_start. */
struct http_request {
	const char *method;
	const char *url;
	const char *headers[HTTP_HEADERS_MAX]; /* "Name: value", up to the first NULL */
	const char *user, *password;	       /* basic authentication; NULL for none */
	const void *body;		       /* NULL for none */
	size_t body_len;
	bool once; /* must not reach the server twice: never sent again on a second connection */
	size_t max_response_bytes;
	int64_t timeout_ms;
};

/* What came back. Owned by the caller after http_call (http_response_free), by the http after
 * http_next. */
struct http_response {
	int status;		/* 0 when no complete response arrived */
	bool sent;		/* false only when the request surely did not reach the server */
	bool timed_out;		/* it had the request, and was too slow */
	int64_t retry_after_ms; /* -1 when the header was absent (seconds or HTTP-date) */
	int64_t server_ms;	/* from the request being sent to the first byte of the answer */
	int64_t dop_hint;	/* x-ms-dop-hint of Dataverse; 0 when it was absent */
	char content_type[96];
	struct buffer body;
	bool head_whole;   /* the blank line behind the headers came */
	char failure[200]; /* with status 0: why, without the URL */
};

struct http;

/* stop may be NULL; when it becomes non-zero, a blocking call ends early with RETRY. */
struct http *http_new(const char *user_agent, const volatile sig_atomic_t *stop);
void http_free(struct http *h);

/* Requests that have ended are counted, by target and status.  A target is whatever begins with a URL;
 * the longest that fits counts, and what fits none is "other".  url NULL: nothing.  Texts live as long
 * as the http. */
enum { HTTP_TARGETS = 8 };
void http_name_target(struct http *h, const char *name, const char *url);
/* NULL: a place that is not taken. */
const char *http_target(const struct http *h, int i);
/* Words are statuses, "none" where no complete response arrived, "done" of a download. */
const struct tally *http_statuses(const struct http *h, int i);

/* Blocking.  OK when a complete response arrived, whatever its status; RETRY otherwise: "timed-out"
 * when the server took too long to answer, "response-too-large", else "no-response". */
enum result http_call(struct http *h, const struct http_request *req, struct http_response *res,
		      struct error *err);
void http_response_free(struct http_response *res);

/* Many in flight: start, wait (also for a foreign descriptor), take what is done. */
void http_start(struct http *h, const struct http_request *req, void *tag);
size_t http_in_flight(const struct http *h);
/* Moves data, then waits until something can go on, fd is readable or timeout_ms passed. */
void http_wait(struct http *h, int fd, int64_t timeout_ms);
/* The next finished request or NULL; valid until the next call of http_next. */
struct http_response *http_next(struct http *h, void **tag);

/* Appends s percent-encoded, unreserved characters left alone (RFC 3986). */
void http_escape(struct buffer *out, const char *s);
/* The reverse, in place. */
void http_unescape(char *s);

/* Splits downloads of anything libcurl speaks (SFTP) into pieces: sink returns false to stop. */
struct http_download {
	const char *url, *user, *password, *key_file, *known_hosts;
	bool list;		 /* a directory: one name a line */
	bool long_list;		 /* a directory: as the server words it, `ls -l` like */
	const char *commands[3]; /* SFTP: these instead of any data, up to the first NULL */
	int64_t timeout_ms;	 /* of silence, not of the whole */
	bool (*sink)(void *arg, const char *data, size_t len);
	/* Once a second and more often, also while nothing comes; false ends it. May be NULL. */
	bool (*meanwhile)(void *arg);
	void *arg;
};
/* OK; RETRY with a text when the server is not there; FATAL 100 when it refuses us.  The reason of
 * RETRY is HTTP_NO_FILE when it is the file that is not there, or cannot be read. */
#define HTTP_NO_FILE "no-file"
enum result http_download(struct http *h, const struct http_download *d, struct error *err);

#endif
