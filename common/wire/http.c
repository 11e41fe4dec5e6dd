/* http.c - see http.h.  One easy handle a request in flight, recycled; one connection pool. */
#include "http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

/* A body that is sent once. */
struct upload {
	const char *data;
	size_t left;
};

struct target {
	const char *name, *url;
	size_t len;
	struct tally statuses;
};

struct exchange {
	struct target *target;
	struct exchange *next; /* on the free list */
	CURL *curl;
	struct curl_slist *headers;
	void *tag;
	struct buffer body; /* of the request */
	struct http_response res;
	char why[CURL_ERROR_SIZE];
	struct upload upload;
};

struct http {
	CURLM *multi;
	CURL *easy; /* for blocking calls, keeps its connection */
	char *agent;
	const volatile sig_atomic_t *stop;
	struct upload upload;
	struct exchange *unused, *finished;
	size_t in_flight;
	struct target targets[HTTP_TARGETS];
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_response *res = arg;
	return buffer_append(&res->body, data, size * n) ? size * n : 0;
}

static size_t on_upload(char *to, size_t size, size_t n, void *arg)
{
	struct upload *u = arg;
	size_t take = size * n < u->left ? size * n : u->left;

	memcpy(to, u->data, take);
	u->data += take;
	u->left -= take;
	return take;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct http *h = arg;
	(void)a, (void)b, (void)c, (void)d;
	return h->stop && *h->stop;
}

struct http *http_new(const char *user_agent, const volatile sig_atomic_t *stop)
{
	struct http *h = xcalloc(1, sizeof *h);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	h->multi = curl_multi_init();
	h->easy = curl_easy_init();
	if (!h->multi || !h->easy)
		exit(EXIT_TEMPORARY);
	h->agent = xstrdup(user_agent);
	h->stop = stop;
	http_name_target(h, TALLY_OTHER, "");
	return h;
}

/* ---- counting --------------------------------------------------------------------------------- */

void http_name_target(struct http *h, const char *name, const char *url)
{
	for (int i = 0; url && i < HTTP_TARGETS; i++)
		if (!h->targets[i].name) {
			h->targets[i] = (struct target){name, url, strlen(url), {.count = 0}};
			return;
		}
}

static struct target *target_of(struct http *h, const char *url)
{
	struct target *found = h->targets; /* fits everything */

	for (int i = 1; i < HTTP_TARGETS && h->targets[i].name; i++) {
		struct target *t = &h->targets[i];
		if (t->len > found->len && !strncmp(url, t->url, t->len))
			found = t;
	}
	return found;
}

static void count(struct target *t, int status)
{
	char word[12];

	snprintf(word, sizeof word, "%d", status);
	tally_add(&t->statuses, status ? word : "none", 1);
}

const char *http_target(const struct http *h, int i)
{
	return h->targets[i].name;
}

const struct tally *http_statuses(const struct http *h, int i)
{
	return &h->targets[i].statuses;
}

/* ---- one request ------------------------------------------------------------------------------ */

static void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	curl_easy_cleanup(x->curl);
	curl_slist_free_all(x->headers);
	buffer_free(&x->body);
	buffer_free(&x->res.body);
	free(x);
}

void http_free(struct http *h)
{
	if (!h)
		return;
	/* Handles still in flight are dropped with the process: a loader drains before. */
	exchange_free(h->finished);
	for (struct exchange *x = h->unused, *next; x; x = next) {
		next = x->next;
		exchange_free(x);
	}
	curl_multi_cleanup(h->multi);
	curl_easy_cleanup(h->easy);
	free(h->agent);
	free(h);
	curl_global_cleanup();
}

/* libcurl takes an answer that ends within its headers for one without a body. */
static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct http_response *res = arg;
	size_t len = size * n;

	static const char hint[] = "x-ms-dop-hint:";

	res->head_whole = len <= 2 && (*data == '\r' || *data == '\n');
	if (len > sizeof hint && !strncasecmp(data, hint, sizeof hint - 1))
		res->dop_hint = strtoll(data + sizeof hint - 1, NULL, 10); /* ends at CR LF */
	return len;
}

/* Common to blocking and concurrent requests.  why has CURL_ERROR_SIZE bytes. */
static struct curl_slist *prepare(struct http *h, CURL *c, const struct http_request *req,
				  const void *body, struct upload *upload,
				  struct http_response *res, char *why)
{
	struct curl_slist *headers = NULL;

	curl_easy_reset(c);
	*res = (struct http_response){
	    .retry_after_ms = -1,
	    .sent = true,
	    .body = {.data = res->body.data, .cap = res->body.cap, .max = req->max_response_bytes}};
	buffer_reset(&res->body);
	*why = 0;
	for (size_t i = 0; i < HTTP_HEADERS_MAX && req->headers[i]; i++)
		headers = curl_slist_append(headers, req->headers[i]);
	headers = curl_slist_append(headers, "Expect:"); /* no 100-continue round trip */
	curl_easy_setopt(c, CURLOPT_URL, req->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, req->method);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_USERAGENT, h->agent);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)req->timeout_ms);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, res);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, res);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	if (req->user) {
		curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(c, CURLOPT_USERNAME, req->user);
		curl_easy_setopt(c, CURLOPT_PASSWORD, req->password ? req->password : "");
	}
	if (body)
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
	if (body && req->once) {
		/* libcurl sends a request again when a kept connection dies before an answer.  It
		 * cannot when it has no way to begin the body anew. */
		*upload = (struct upload){body, req->body_len};
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(c, CURLOPT_READDATA, upload);
	} else if (body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	}
	return headers;
}

static void conclude(CURL *c, CURLcode code, const char *why, struct http_response *res)
{
	curl_off_t sent_us = 0, first_us = 0;
	long status = 0;
	curl_off_t after = 0;
	const char *type = NULL;
	struct curl_header *header;

	if (code != CURLE_OK) {
		res->status = 0;
		curl_easy_getinfo(c, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
		res->timed_out = code == CURLE_OPERATION_TIMEDOUT && sent_us > 0;
		res->sent = code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST &&
			    code != CURLE_COULDNT_RESOLVE_PROXY &&
			    code != CURLE_PEER_FAILED_VERIFICATION &&
			    code != CURLE_SSL_CONNECT_ERROR && code != CURLE_URL_MALFORMAT;
		snprintf(res->failure, sizeof res->failure, "%s",
			 res->body.overflow ? "the response is larger than the cap"
			 : *why		    ? why
					    : curl_easy_strerror(code));
		return;
	}
	if (!res->head_whole) {
		snprintf(res->failure, sizeof res->failure, "the response ends in its headers");
		return;
	}
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
	res->status = (int)status;
	curl_easy_getinfo(c, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
	curl_easy_getinfo(c, CURLINFO_STARTTRANSFER_TIME_T, &first_us);
	res->server_ms = (first_us - sent_us) / 1000;
	snprintf(res->content_type, sizeof res->content_type, "%s", type ? type : "");
	if (curl_easy_header(c, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK) {
		curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &after);
		/* A day at most: a date far in the future is a mistake, not an order. */
		res->retry_after_ms = after > 86400 ? 86400000
				      : after < 0   ? 0
						    : (int64_t)after * 1000;
	}
}

enum result http_call(struct http *h, const struct http_request *req, struct http_response *res,
		      struct error *err)
{
	char why[CURL_ERROR_SIZE];

	*res = (struct http_response){0};
	struct curl_slist *headers = prepare(h, h->easy, req, req->body, &h->upload, res, why);
	curl_easy_setopt(h->easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(h->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(h->easy, CURLOPT_XFERINFODATA, h);
	CURLcode code = curl_easy_perform(h->easy);
	conclude(h->easy, code, why, res);
	count(target_of(h, req->url), res->status);
	curl_slist_free_all(headers);
	if (res->status)
		return OK;
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return error_retry(err, "stopping", "asked to stop during a request");
	return error_retry(err,
			   res->body.overflow				   ? "response-too-large"
			   : code == CURLE_OPERATION_TIMEDOUT && res->sent ? "timed-out"
									   : "no-response",
			   "%s", res->failure);
}

void http_response_free(struct http_response *res)
{
	buffer_free(&res->body);
}

void http_start(struct http *h, const struct http_request *req, void *tag)
{
	struct exchange *x = h->unused;

	if (x) {
		h->unused = x->next;
	} else {
		x = xcalloc(1, sizeof *x);
		x->curl = curl_easy_init();
		if (!x->curl)
			exit(EXIT_TEMPORARY);
	}
	x->next = NULL;
	x->tag = tag;
	x->target = target_of(h, req->url);
	x->body.max = SIZE_MAX / 2; /* our own bytes */
	buffer_reset(&x->body);
	if (req->body)
		buffer_append(&x->body, req->body, req->body_len);
	x->headers =
	    prepare(h, x->curl, req, req->body ? x->body.data : NULL, &x->upload, &x->res, x->why);
	curl_easy_setopt(x->curl, CURLOPT_PRIVATE, (char *)x);
	curl_easy_setopt(x->curl, CURLOPT_PIPEWAIT, 1L);
	curl_multi_add_handle(h->multi, x->curl);
	h->in_flight++;
}

size_t http_in_flight(const struct http *h)
{
	return h->in_flight;
}

void http_wait(struct http *h, int fd, int64_t timeout_ms)
{
	struct curl_waitfd extra = {.fd = fd, .events = CURL_WAIT_POLLIN};
	int running;

	curl_multi_perform(h->multi, &running);
	if ((size_t)running < h->in_flight)
		timeout_ms = 0; /* something is finished already */
	curl_multi_poll(h->multi, &extra, fd >= 0, (int)timeout_ms, NULL);
	curl_multi_perform(h->multi, &running);
}

struct http_response *http_next(struct http *h, void **tag)
{
	struct exchange *x = NULL;
	CURLMsg *msg;
	int left;

	if (h->finished) { /* the caller is done with the last one */
		h->finished->next = h->unused;
		h->unused = h->finished;
		h->finished = NULL;
	}
	do {
		msg = curl_multi_info_read(h->multi, &left);
	} while (msg && msg->msg != CURLMSG_DONE);
	if (!msg)
		return NULL;
	CURLcode code = msg->data.result;
	CURL *c = msg->easy_handle;
	curl_easy_getinfo(c, CURLINFO_PRIVATE, (char **)&x);
	conclude(c, code, x->why, &x->res);
	count(x->target, x->res.status);
	curl_multi_remove_handle(h->multi, c);
	curl_slist_free_all(x->headers);
	x->headers = NULL;
	h->in_flight--;
	h->finished = x;
	*tag = x->tag;
	return &x->res;
}

void http_escape(struct buffer *out, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || strchr("-._~", c);
		if (plain)
			buffer_append(out, s, 1);
		else
			buffer_printf(out, "%%%02X", c);
	}
}

void http_unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		char hex[3] = {0};
		if (*s == '%' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
			memcpy(hex, s + 1, 2);
			*out++ = (char)strtol(hex, NULL, 16);
			s += 2;
		} else {
			*out++ = *s;
		}
	}
	*out = 0;
}

struct download {
	const struct http *h;
	const struct http_download *d;
	bool refused; /* the caller wanted no more */
};

static int on_download(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t e)
{
	struct download *dl = arg;
	if (dl->d->meanwhile && !dl->d->meanwhile(dl->d->arg))
		dl->refused = true;
	return dl->refused || on_progress((void *)dl->h, a, b, c, e);
}

static size_t on_piece(char *data, size_t size, size_t n, void *arg)
{
	struct download *dl = arg;
	if (dl->d->sink(dl->d->arg, data, size * n))
		return size * n;
	dl->refused = true;
	return 0;
}

enum result http_download(struct http *h, const struct http_download *d, struct error *err)
{
	char why[CURL_ERROR_SIZE] = "";
	struct download dl = {h, d, false};
	CURL *c = h->easy;

	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_URL, d->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "sftp,file");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_piece);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &dl);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)(d->timeout_ms / 1000 + 1));
	curl_easy_setopt(c, CURLOPT_DIRLISTONLY, (long)(d->list && !d->long_list));
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_download);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, &dl);
	if (d->user)
		curl_easy_setopt(c, CURLOPT_USERNAME, d->user);
	if (d->key_file) {
		curl_easy_setopt(c, CURLOPT_SSH_PRIVATE_KEYFILE, d->key_file);
		curl_easy_setopt(c, CURLOPT_SSH_PUBLIC_KEYFILE, "");
		curl_easy_setopt(c, CURLOPT_SSH_AUTH_TYPES, (long)CURLSSH_AUTH_PUBLICKEY);
	} else if (d->password) {
		curl_easy_setopt(c, CURLOPT_PASSWORD, d->password);
		curl_easy_setopt(c, CURLOPT_SSH_AUTH_TYPES, (long)CURLSSH_AUTH_PASSWORD);
	}
	if (d->known_hosts)
		curl_easy_setopt(c, CURLOPT_SSH_KNOWNHOSTS, d->known_hosts);
	struct curl_slist *commands = NULL;
	for (size_t i = 0; i < 3 && d->commands[i]; i++)
		commands = curl_slist_append(commands, d->commands[i]);
	curl_easy_setopt(c, CURLOPT_QUOTE, commands);
	curl_easy_setopt(c, CURLOPT_NOBODY, (long)(commands != NULL));
	CURLcode code = curl_easy_perform(c);
	curl_easy_reset(c);
	curl_slist_free_all(commands);
	tally_add(&target_of(h, d->url)->statuses, code == CURLE_OK ? "done" : "none", 1);
	if (code == CURLE_OK)
		return OK;
	if (dl.refused)
		return error_retry(err, "stopped-reading", "the reader stopped");
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return error_retry(err, "stopping", "asked to stop during a download");
	const char *text = *why ? why : curl_easy_strerror(code);
	if (code == CURLE_LOGIN_DENIED)
		return error_config(err, "login-denied",
				    "the server refuses user %s: %s; check user, key_file and "
				    "the key's permission on the server",
				    d->user ? d->user : "", text);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return error_config(err, "host-key",
				    "the server's key is not the one in known_hosts_file: %s",
				    text);
	if (code == CURLE_REMOTE_FILE_NOT_FOUND || code == CURLE_FILE_COULDNT_READ_FILE ||
	    code == CURLE_REMOTE_ACCESS_DENIED)
		return error_retry(err, HTTP_NO_FILE, "%s", text);
	return error_retry(err, "no-response", "%s", text);
}
