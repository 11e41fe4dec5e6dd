/* server.h - what both sandboxes share: an HTTP server that can be made to misbehave.
 *
 * A sandbox is one process with one thread that answers requests (libmicrohttpd's internal select
 * loop, so handlers never race), an SQLite database behind it, and a table of routes.  This room
 * owns everything that has nothing to do with either product: options, listening, TLS, reading a
 * whole request under a cap, writing a whole reply, scripted faults and request counts.  What a
 * table or a resource is lives in dataverse/ and campaign/.
 *
 * The control interface (all under /_sandbox/, never subject to faults):
 *   GET    /_sandbox/stats    {"requests":[{"route":..,"method":..,"status":..,"count":..}],
 *                              "in_flight_max":n, "rows":{name:count}}
 *   DELETE /_sandbox/stats    counts start again at zero
 *   POST   /_sandbox/faults   {"method":"PATCH"?, "path":"substring or * wildcard"?, "status":503?,
 *                              "headers":{..}?, "body":".."?, "delay_ms":n?, "after":true?,
 *                              "torn":true?, "empty":true?, "close":true?,
 *                              "count":n? , "probability":p?}      -> {"id":n}
 *                             "after": the request is carried out first and its answer then lost or
 *                             replaced; without it the request is not carried out (a bare
 *                             "delay_ms" only delays).  Matched in the order they were made; the
 *                             probability is drawn from the sandbox's own seed.
 *   DELETE /_sandbox/faults   forgets all of them
 *   GET    /_sandbox/history?key=K   [{"seq":..,"method":..,"table":..,"version":..,"body":{..}}]
 * A product adds its own control routes.
 */
#ifndef SANDBOX_SERVER_H
#define SANDBOX_SERVER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Upper bound of a request body; more is answered 413. */
#define SANDBOX_BODY_MAX ((size_t)64 << 20)

struct reply_header {
	char *name, *value;
};

/* One request, whole.  All strings belong to the server and live until the handler returns. */
struct request {
	const char *method; /* as sent, "GET" */
	const char *path;   /* undecoded path, without the query */
	const char *query;  /* undecoded query string, "" when there is none */
	const char *url;    /* path and query as they came */
	const char *scheme; /* "http" or "https" */
	const char *host;   /* the Host header: links in answers are built from scheme and host */
	const char *body;   /* NUL terminated behind body_len bytes */
	size_t body_len;
	void *connection; /* for request_header() */
	/* A request that came inside another one has headers of its own, and no connection. */
	bool is_part;
	const struct reply_header *own;
	size_t own_count;
};

/* One answer, filled by the handler.  The server frees body and headers. */
struct reply {
	int status; /* 0 means that the handler answered nothing: the server sends 500 */
	char *body; /* malloc'ed or NULL */
	size_t body_len;
	char route[96]; /* how stats calls this request: "contacts (delta)", set by the handler */
	struct reply_header headers[24];
	size_t header_count;
};

/* Value of a request header (case does not matter) or NULL; of one that is repeated, the values
 * joined by a comma, as HTTP allows. Belongs to the request. */
const char *request_header(const struct request *req, const char *name);

/* Percent-decoded copies; the caller frees.  Both return NULL when the escape is malformed or
 * holds a NUL.  url_decode turns + into a space only if plus is true. */
char *url_decode(const char *s, size_t len, bool plus);
char *url_encode(const char *s);

/* The value of one query parameter, decoded, malloc'ed, or NULL.  */
char *query_get(const struct request *req, const char *name);

void reply_header(struct reply *rep, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes ownership of json; content type is the caller's to set with reply_header(). */
void reply_json(struct reply *rep, int status, cJSON *json);
void reply_text(struct reply *rep, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct server;

struct product_option {
	const char *name, *arg, *help;
};

/* What a product brings.  */
struct product {
	const char *name;     /* "sandbox-dataverse" */
	const char *synopsis; /* paragraphs for --help that teach what it is and how to try it */
	/* Product options for --help and parsing: NAME takes a value; called for each. */
	const struct product_option *options;
	bool (*option)(void *product, const char *name, const char *value, char *why, size_t size);
	/* After the options, before listening: open the database, load or generate data. */
	bool (*open)(void *product, struct server *srv, char *why, size_t size);
	/* Answers one request of the product or of its own control routes. */
	void (*handle)(void *product, const struct request *req, struct reply *rep);
	/* Optional, both or none.  admit() sees every request of the product before it is carried
	 * out and before any delay: false after answering it, else settle() gets the ticket when
	 * the answer is made (which may add headers), or with rep NULL when the client went away.
	 * Both get the monotonic clock. */
	bool (*admit)(void *product, const struct request *req, struct reply *rep, double now_ms,
		      int *ticket);
	void (*settle)(void *product, int ticket, double began_ms, double now_ms,
		       struct reply *rep);
	/* Row counts for /_sandbox/stats: add number members to rows. */
	void (*rows)(void *product, cJSON *rows);
	/* The write history of one key: append objects to list. */
	void (*history)(void *product, const char *key, cJSON *list);
	void (*close)(void *product);
	void *state;
};

/* The seed, --contacts and --data as given (defaults 1, 0, NULL = in memory). */
uint64_t server_seed(const struct server *srv);
long server_contacts(const struct server *srv);
const char *server_data(const struct server *srv);

/* Parses the options that both have (--listen HOST:PORT, --tls CERT KEY, --contacts N, --seed S,
 * --data FILE, --delay-ms N, --help, --version), serves until SIGTERM or SIGINT, and returns the
 * exit status.  Prints one line "listening on http://127.0.0.1:PORT" on stdout when it is ready
 * (port 0 picks a free one).  Refuses to listen on anything but loopback. */
int server_main(int argc, char **argv, const struct product *product);

/* A small deterministic generator (splitmix64): the same seed gives the same world everywhere. */
struct rng {
	uint64_t state;
};
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 .. n-1 */
double rng_unit(struct rng *r);		       /* 0 <= x < 1 */
/* 36 characters and NUL: a version 4 GUID in lower case. */
void rng_guid(struct rng *r, char out[37]);

#endif
