/* server.c - see server.h.
 *
 * libmicrohttpd's one internal thread calls on_request(); a second thread does nothing but wake
 * suspended connections when their delay is over, so that 64 slow answers overlap.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"

struct server {
	const struct product *product;
	struct MHD_Daemon *daemon;
	const char *listen, *cert, *key, *data;
	bool tls;
	uint64_t seed;
	long contacts, delay_ms;
	struct faults faults;
	struct counts *counts;
	int in_flight, in_flight_max;
	pthread_mutex_t lock; /* of sleeping */
	pthread_cond_t wake;
	struct call *sleeping;
	bool stop;
};

/* One request on its way. */
struct call {
	struct call *next; /* among the sleeping */
	struct MHD_Connection *connection;
	char *body, *url;
	size_t len, cap;
	bool too_large, decided, slept, admitted;
	int ticket;
	double began_ms;
	struct reply early; /* what admit() put into the answer, while the call sleeps */
	const struct fault *fault;
	long fault_delay;
	struct timespec due;
	char *joined[8]; /* header values made by request_header */
	size_t joined_count;
};

uint64_t server_seed(const struct server *srv)
{
	return srv->seed;
}

long server_contacts(const struct server *srv)
{
	return srv->contacts;
}

const char *server_data(const struct server *srv)
{
	return srv->data;
}

/* ---- requests and replies ---------------------------------------------------------------------- */

struct lookup {
	const char *name;
	char *joined;
	const char *first;
};

static enum MHD_Result find_header(void *arg, enum MHD_ValueKind kind, const char *name,
				   const char *value)
{
	struct lookup *l = arg;

	(void)kind;
	if (strcasecmp(name, l->name) || !value)
		return MHD_YES;
	if (!l->first) {
		l->first = value;
	} else {
		char *longer = malloc(strlen(l->joined ? l->joined : l->first) + strlen(value) + 2);
		sprintf(longer, "%s,%s", l->joined ? l->joined : l->first, value);
		free(l->joined);
		l->joined = longer;
	}
	return MHD_YES;
}

const char *request_header(const struct request *req, const char *name)
{
	struct call *call = req->connection;
	struct lookup l = {.name = name};

	for (size_t i = 0; i < req->own_count; i++)
		if (!strcasecmp(req->own[i].name, name))
			return req->own[i].value;
	if (req->is_part)
		return NULL;
	MHD_get_connection_values(call->connection, MHD_HEADER_KIND, find_header, &l);
	if (!l.joined)
		return l.first;
	if (call->joined_count == sizeof call->joined / sizeof *call->joined) {
		free(l.joined);
		return l.first;
	}
	return call->joined[call->joined_count++] = l.joined;
}

void reply_header(struct reply *rep, const char *name, const char *fmt, ...)
{
	va_list ap;
	char *value;

	if (rep->header_count == sizeof rep->headers / sizeof *rep->headers)
		return;
	va_start(ap, fmt);
	if (vasprintf(&value, fmt, ap) < 0)
		abort();
	va_end(ap);
	rep->headers[rep->header_count++] = (struct reply_header){strdup(name), value};
}

void reply_json(struct reply *rep, int status, cJSON *json)
{
	free(rep->body);
	rep->body = cJSON_PrintUnformatted(json);
	rep->body_len = rep->body ? strlen(rep->body) : 0;
	rep->status = rep->body ? status : 500;
	cJSON_Delete(json);
}

void reply_text(struct reply *rep, int status, const char *fmt, ...)
{
	va_list ap;

	free(rep->body);
	va_start(ap, fmt);
	int n = vasprintf(&rep->body, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	rep->body_len = (size_t)n;
	rep->status = status;
}

/* ---- the control interface ---------------------------------------------------------------------- */

static void control_json(struct reply *rep, int status, cJSON *json)
{
	reply_header(rep, "Content-Type", "application/json");
	reply_json(rep, status, json);
}

static void control_stats(struct server *srv, struct reply *rep)
{
	cJSON *json = cJSON_CreateObject(), *rows;

	cJSON_AddItemToObject(json, "requests", counts_json(srv->counts));
	cJSON_AddNumberToObject(json, "in_flight_max", srv->in_flight_max);
	rows = cJSON_AddObjectToObject(json, "rows");
	srv->product->rows(srv->product->state, rows);
	control_json(rep, 200, json);
}

static void control_fault(struct server *srv, const struct request *req, struct reply *rep)
{
	char why[200];
	int id;
	cJSON *json = cJSON_CreateObject();

	if (faults_add(&srv->faults, req->body, &id, why, sizeof why)) {
		cJSON_AddNumberToObject(json, "id", id);
		control_json(rep, 200, json);
	} else {
		cJSON_AddStringToObject(json, "error", why);
		control_json(rep, 400, json);
	}
}

/* True when the request was one of those that both sandboxes have. */
static bool control(struct server *srv, const struct request *req, struct reply *rep)
{
	bool get = !strcmp(req->method, "GET"), post = !strcmp(req->method, "POST");
	bool del = !strcmp(req->method, "DELETE");

	if (!strcmp(req->path, "/_sandbox/stats") && get) {
		control_stats(srv, rep);
	} else if (!strcmp(req->path, "/_sandbox/stats") && del) {
		counts_clear(srv->counts);
		srv->in_flight_max = 0;
		rep->status = 204;
	} else if (!strcmp(req->path, "/_sandbox/faults") && post) {
		control_fault(srv, req, rep);
	} else if (!strcmp(req->path, "/_sandbox/faults") && del) {
		faults_clear(&srv->faults);
		rep->status = 204;
	} else if (!strcmp(req->path, "/_sandbox/history") && get) {
		char *key = query_get(req, "key");
		cJSON *list = cJSON_CreateArray();
		srv->product->history(srv->product->state, key ? key : "", list);
		free(key);
		control_json(rep, 200, list);
	} else {
		return false;
	}
	return true;
}

/* ---- answering ----------------------------------------------------------------------------------- */

struct torn {
	char *body;
	size_t len;
};

static ssize_t torn_read(void *arg, uint64_t at, char *buf, size_t max)
{
	struct torn *t = arg;
	size_t half = t->len / 2;

	if (at >= half)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	size_t n = half - (size_t)at < max ? half - (size_t)at : max;
	memcpy(buf, t->body + at, n);
	return (ssize_t)n;
}

static void torn_free(void *arg)
{
	struct torn *t = arg;
	free(t->body);
	free(t);
}

static void free_headers(struct reply *rep)
{
	for (size_t i = 0; i < rep->header_count; i++) {
		free(rep->headers[i].name);
		free(rep->headers[i].value);
	}
	rep->header_count = 0;
}

static void apply_fault(const struct fault *f, struct reply *rep)
{
	const cJSON *h;

	if (f->status || f->empty || f->body) {
		free_headers(rep);
		free(rep->body);
		rep->body = strdup(f->empty || !f->body ? "" : f->body);
		rep->body_len = strlen(rep->body);
		if (f->status)
			rep->status = f->status;
		else if (!rep->status)
			rep->status = 200;
		if (!*rep->route)
			snprintf(rep->route, sizeof rep->route, "fault");
	}
	cJSON_ArrayForEach(h, f->headers) if (cJSON_IsString(h))
	    reply_header(rep, h->string, "%s", h->valuestring);
}

static enum MHD_Result answer(struct server *srv, struct call *call, const char *method,
			      struct reply *rep)
{
	bool torn = call->fault && call->fault->torn;
	struct MHD_Response *res;

	if (!rep->status)
		rep->status = 500;
	counts_add(srv->counts, *rep->route ? rep->route : "other", method, rep->status);
	if (torn) {
		struct torn *t = malloc(sizeof *t);
		*t = (struct torn){rep->body ? rep->body : strdup("{}"),
				   rep->body ? rep->body_len : 2};
		res = MHD_create_response_from_callback(t->len, 4096, torn_read, t, torn_free);
	} else {
		res = MHD_create_response_from_buffer(
		    rep->body_len, rep->body ? rep->body : (char *)"",
		    rep->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	}
	rep->body = NULL;
	for (size_t i = 0; i < rep->header_count; i++) {
		MHD_add_response_header(res, rep->headers[i].name, rep->headers[i].value);
		free(rep->headers[i].name);
		free(rep->headers[i].value);
	}
	enum MHD_Result r = MHD_queue_response(call->connection, (unsigned)rep->status, res);
	MHD_destroy_response(res);
	return r;
}

static void sleep_call(struct server *srv, struct call *call, long ms)
{
	clock_gettime(CLOCK_MONOTONIC, &call->due);
	call->due.tv_sec += ms / 1000;
	call->due.tv_nsec += ms % 1000 * 1000000;
	if (call->due.tv_nsec >= 1000000000) {
		call->due.tv_sec++;
		call->due.tv_nsec -= 1000000000;
	}
	MHD_suspend_connection(call->connection);
	pthread_mutex_lock(&srv->lock);
	call->next = srv->sleeping;
	srv->sleeping = call;
	pthread_cond_signal(&srv->wake);
	pthread_mutex_unlock(&srv->lock);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The end of a request that the product admitted; rep is NULL when nobody waits for it. */
static void settle(struct server *srv, struct call *call, struct reply *rep)
{
	if (call->admitted)
		srv->product->settle(srv->product->state, call->ticket, call->began_ms, now_ms(),
				     rep);
	call->admitted = false;
}

static bool is_due(const struct timespec *due, const struct timespec *now)
{
	return due->tv_sec < now->tv_sec ||
	       (due->tv_sec == now->tv_sec && due->tv_nsec <= now->tv_nsec);
}

static void *waker(void *arg)
{
	struct server *srv = arg;

	pthread_mutex_lock(&srv->lock);
	while (!srv->stop || srv->sleeping) {
		struct timespec now, first = {0};
		clock_gettime(CLOCK_MONOTONIC, &now);
		for (struct call **at = &srv->sleeping; *at;) {
			struct call *c = *at;
			if (srv->stop || is_due(&c->due, &now)) {
				*at = c->next;
				MHD_resume_connection(c->connection);
				continue;
			}
			if (!first.tv_sec || is_due(&c->due, &first))
				first = c->due;
			at = &c->next;
		}
		if (srv->stop)
			break;
		if (first.tv_sec)
			pthread_cond_timedwait(&srv->wake, &srv->lock, &first);
		else
			pthread_cond_wait(&srv->wake, &srv->lock);
	}
	pthread_mutex_unlock(&srv->lock);
	return NULL;
}

static void take_body(struct call *call, const char *data, size_t n)
{
	if (call->len + n > SANDBOX_BODY_MAX) {
		call->too_large = true;
		return;
	}
	if (call->len + n + 1 > call->cap) {
		call->cap = (call->len + n + 1) * 2;
		call->body = realloc(call->body, call->cap);
	}
	memcpy(call->body + call->len, data, n);
	call->len += n;
	call->body[call->len] = 0;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **state)
{
	struct server *srv = cls;
	struct call *call = *state;

	(void)version, (void)url;
	if (!call->connection) { /* made by on_uri with the undecoded URL */
		call->connection = connection;
		call->body = calloc(1, 1);
		call->cap = 1;
		srv->in_flight++;
		if (srv->in_flight > srv->in_flight_max)
			srv->in_flight_max = srv->in_flight;
		return MHD_YES;
	}
	if (*size) {
		take_body(call, data, *size);
		*size = 0;
		return MHD_YES;
	}
	char *question = strchr(call->url, '?');
	char *path =
	    question ? strndup(call->url, (size_t)(question - call->url)) : strdup(call->url);
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	struct request req = {.method = method,
			      .path = path,
			      .query = question ? question + 1 : "",
			      .url = call->url,
			      .scheme = srv->tls ? "https" : "http",
			      .host = host ? host : "localhost",
			      .body = call->body,
			      .body_len = call->len,
			      .connection = call};
	struct reply rep = call->early;
	enum MHD_Result result;
	bool ours = !strncmp(path, "/_sandbox/", 10);

	call->early = (struct reply){0};
	if (!ours && !call->decided) {
		call->decided = true;
		call->began_ms = now_ms();
		if (srv->product->admit && !call->too_large) {
			if (!srv->product->admit(srv->product->state, &req, &rep, call->began_ms,
						 &call->ticket)) {
				free(path);
				return answer(srv, call, method, &rep);
			}
			call->admitted = call->ticket >= 0;
		}
		call->fault = faults_match(&srv->faults, method, call->url);
		long ms = (call->fault ? call->fault->delay_ms : 0) + srv->delay_ms;
		if (ms > 0) {
			free(path);
			call->early = rep;
			sleep_call(srv, call, ms);
			return MHD_YES;
		}
	}
	const struct fault *f = call->fault;
	bool instead = f && !f->after && (f->status || f->torn || f->empty || f->close || f->body);
	if (call->too_large)
		reply_text(&rep, 413, "the body is larger than %zu bytes", SANDBOX_BODY_MAX);
	else if (!(ours && control(srv, &req, &rep)) && !(instead && !f->torn))
		srv->product->handle(srv->product->state, &req, &rep);
	if (f)
		apply_fault(f, &rep);
	settle(srv, call, &rep);
	free(path);
	if (f && f->close) {
		counts_add(srv->counts, *rep.route ? rep.route : "fault", method, 0);
		free_headers(&rep);
		free(rep.body);
		return MHD_NO;
	}
	result = answer(srv, call, method, &rep);
	return result;
}

/* The URL as it came: libmicrohttpd decodes the path that it hands to on_request. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct call *call = calloc(1, sizeof *call);
	(void)cls, (void)connection;
	call->url = strdup(uri);
	return call;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code)
{
	struct server *srv = cls;
	struct call *call = *state;

	(void)connection, (void)code;
	if (!call)
		return;
	settle(srv, call, NULL);
	if (call->connection)
		srv->in_flight--;
	free_headers(&call->early);
	for (size_t i = 0; i < call->joined_count; i++)
		free(call->joined[i]);
	free(call->body);
	free(call->url);
	free(call);
	*state = NULL;
}

/* ---- main ------------------------------------------------------------------------------------- */

static void help(const struct product *p)
{
	printf("usage: %s [options]\n\n%s\n\n", p->name, p->synopsis);
	static const char *const own[][2] = {
	    {"--listen HOST:PORT", "loopback only; port 0 picks one; default 127.0.0.1:0"},
	    {"--tls CERT KEY", "serve HTTPS with these PEM files"},
	    {"--contacts N", "sample data to make; default 0"},
	    {"--seed S", "of everything random; default 1"},
	    {"--data FILE", "keep the data in this file; default: in memory"},
	    {"--delay-ms N", "answer every request N ms late; default 0"},
	};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		printf("  %-22s %s\n", own[i][0], own[i][1]);
	for (const struct product_option *o = p->options; o && o->name; o++) {
		char left[40];
		snprintf(left, sizeof left, "--%s %s", o->name, o->arg ? o->arg : "");
		printf("  %-22s %s\n", left, o->help);
	}
	printf("  %-22s print this\n  %-22s print the version\n", "--help", "--version");
	printf("\nControl, beside the API: GET and DELETE /_sandbox/stats, POST and DELETE\n"
	       "/_sandbox/faults, GET /_sandbox/history?key=K.\n");
}

static int usage(const struct product *p, const char *text)
{
	fprintf(stderr, "%s: %s; see %s --help\n", p->name, text, p->name);
	return 100;
}

static bool product_option(const struct product *p, const char *name, const char *value, char *why,
			   size_t size)
{
	for (const struct product_option *o = p->options; o && o->name; o++)
		if (!strcmp(o->name, name))
			return p->option(p->state, name, value, why, size);
	snprintf(why, size, "unknown option --%s", name);
	return false;
}

static bool has_argument(const struct product *p, const char *name)
{
	for (const struct product_option *o = p->options; o && o->name; o++)
		if (!strcmp(o->name, name))
			return o->arg != NULL;
	return true;
}

static bool number_of(const char *s, long *out)
{
	char *end;
	errno = 0;
	*out = strtol(s, &end, 10);
	return !errno && *s && !*end && *out >= 0;
}

/* 0 to go on, else the exit status + 1. */
static int parse(struct server *srv, const struct product *p, int argc, char **argv)
{
	char why[300];

	for (int i = 1; i < argc; i++) {
		const char *name = argv[i];
		long n = 0;
		if (!strcmp(name, "--help")) {
			help(p);
			return 1;
		}
		if (!strcmp(name, "--version")) {
			printf("%s " TIDEWAY_VERSION "\n", p->name);
			return 1;
		}
		if (strncmp(name, "--", 2)) {
			snprintf(why, sizeof why, "unexpected argument %s", name);
			return 1 + usage(p, why);
		}
		name += 2;
		const char *value = NULL;
		if (has_argument(p, name)) {
			value = i + 1 < argc ? argv[++i] : NULL;
			if (!value) {
				snprintf(why, sizeof why, "--%s wants a value", name);
				return 1 + usage(p, why);
			}
		}
		bool good = true;
		if (!strcmp(name, "listen")) {
			srv->listen = value;
		} else if (!strcmp(name, "data")) {
			srv->data = value;
		} else if (!strcmp(name, "tls") && i + 1 < argc) {
			srv->cert = value;
			srv->key = argv[++i];
			srv->tls = true;
		} else if (!strcmp(name, "contacts")) {
			good = number_of(value, &srv->contacts);
		} else if (!strcmp(name, "seed")) {
			good = number_of(value, &n);
			srv->seed = (uint64_t)n;
		} else if (!strcmp(name, "delay-ms")) {
			good = number_of(value, &srv->delay_ms);
		} else if (!product_option(p, name, value, why, sizeof why)) {
			return 1 + usage(p, why);
		}
		if (!good) {
			snprintf(why, sizeof why, "--%s wants a number", name);
			return 1 + usage(p, why);
		}
	}
	return 0;
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = f ? calloc(1, 65536) : NULL;

	if (f && !fread(text, 1, 65535, f)) {
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

static bool start(struct server *srv, char *why, size_t size)
{
	char host[64];
	const char *colon = strrchr(srv->listen, ':');
	struct sockaddr_in address = {.sin_family = AF_INET};
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
	char *cert = NULL, *key = NULL;
	long port;

	snprintf(host, sizeof host, "%.*s", colon ? (int)(colon - srv->listen) : 0, srv->listen);
	if (!strcmp(host, "localhost"))
		snprintf(host, sizeof host, "127.0.0.1");
	if (!colon || !number_of(colon + 1, &port) || port > 65535 ||
	    !inet_pton(AF_INET, host, &address.sin_addr) ||
	    ntohl(address.sin_addr.s_addr) >> 24 != 127) {
		snprintf(why, size, "--listen wants HOST:PORT on loopback, not %s", srv->listen);
		return false;
	}
	address.sin_port = htons((uint16_t)port);
	if (srv->tls) {
		cert = slurp(srv->cert);
		key = slurp(srv->key);
		flags |= MHD_USE_TLS;
		if (!cert || !key) {
			snprintf(why, size, "%s or %s cannot be read", srv->cert, srv->key);
			free(cert);
			free(key);
			return false;
		}
	}
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, cert},
				       {MHD_OPTION_HTTPS_MEM_KEY, 0, key},
				       {MHD_OPTION_END, 0, NULL}};
	struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
	srv->daemon = MHD_start_daemon(
	    flags, (uint16_t)port, NULL, NULL, on_request, srv, MHD_OPTION_SOCK_ADDR,
	    (struct sockaddr *)&address, MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, srv, MHD_OPTION_CONNECTION_LIMIT, 512u,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)256 * 1024, MHD_OPTION_ARRAY,
	    srv->tls ? tls : plain, MHD_OPTION_END);
	free(cert);
	free(key);
	if (!srv->daemon) {
		snprintf(why, size, "cannot listen on %s: %s", srv->listen, strerror(errno));
		return false;
	}
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(srv->daemon, MHD_DAEMON_INFO_BIND_PORT);
	printf("listening on %s://%s:%u\n", srv->tls ? "https" : "http", host,
	       info ? info->port : (unsigned)port);
	fflush(stdout);
	return true;
}

int server_main(int argc, char **argv, const struct product *p)
{
	struct server srv = {.product = p, .listen = "127.0.0.1:0", .seed = 1};
	char why[300] = "";
	pthread_t thread;
	pthread_condattr_t attr;
	sigset_t signals;
	int status = parse(&srv, p, argc, argv), number;

	if (status)
		return status - 1;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* all threads; sigwait below */
	signal(SIGPIPE, SIG_IGN);
	srv.counts = counts_new();
	srv.faults.rng.state = srv.seed ^ 0xfa017;
	pthread_mutex_init(&srv.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&srv.wake, &attr);
	if (!p->open(p->state, &srv, why, sizeof why) || !start(&srv, why, sizeof why)) {
		fprintf(stderr, "%s: %s\n", p->name, why);
		return 111;
	}
	pthread_create(&thread, NULL, waker, &srv);
	sigwait(&signals, &number);
	pthread_mutex_lock(&srv.lock);
	srv.stop = true;
	pthread_cond_signal(&srv.wake);
	pthread_mutex_unlock(&srv.lock);
	pthread_join(thread, NULL);
	MHD_stop_daemon(srv.daemon);
	p->close(p->state);
	faults_free(&srv.faults);
	counts_free(srv.counts);
	return 0;
}
