/* protect.c - the limits of limits.c as the API shows them: status, headers, cookie.
 *
 * Facts: "Service protection API limits" (codes, texts, Retry-After, the two x-ms-ratelimit
 * headers), "Send parallel requests" (x-ms-dop-hint, the affinity cookie; its name is the one that
 * Azure gives).
 */
#include "protect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "write.h"

#define COOKIE "ARRAffinity"

/* The server of the request's cookie, -1 without one. */
static int server_of(const struct request *req)
{
	const char *cookies = request_header(req, "Cookie");
	const char *at = cookies ? strstr(cookies, COOKIE "=") : NULL;
	char *end;

	if (!at)
		return -1;
	long n = strtol(at + sizeof COOKIE, &end, 16);
	return end == at + sizeof COOKIE + 8 && n >= 0 && n < 1000 ? (int)n : -1;
}

static void set_cookie(const struct request *req, struct reply *rep, int server)
{
	bool tls = !strcmp(req->scheme, "https");

	reply_header(rep, "Set-Cookie", COOKIE "=%08x; Path=/; HttpOnly%s", (unsigned)server,
		     tls ? "; Secure; SameSite=None" : "");
}

static void refuse(const struct limits *l, enum limits_verdict verdict, long retry_after_s,
		   struct reply *rep)
{
	char time_text[40];
	long ms = (long)l->time_ms;

	snprintf(rep->route, sizeof rep->route, "limited");
	reply_header(rep, "Retry-After", "%ld", retry_after_s);
	if (ms >= 1000000)
		snprintf(time_text, sizeof time_text, "%ld,%03ld,%03ld", ms / 1000000,
			 ms / 1000 % 1000, ms % 1000);
	else if (ms >= 1000)
		snprintf(time_text, sizeof time_text, "%ld,%03ld", ms / 1000, ms % 1000);
	else
		snprintf(time_text, sizeof time_text, "%ld", ms);
	if (verdict == LIMIT_REQUESTS)
		api_error(rep, 429, "0x80072322",
			  "Number of requests exceeded the limit of %ld over time window of %.0f "
			  "seconds.",
			  l->requests, l->requests_window_ms / 1000);
	else if (verdict == LIMIT_TIME)
		api_error(rep, 429, "0x80072321",
			  "Combined execution time of incoming requests exceeded limit of %s  "
			  "milliseconds over time window of %.0f seconds. Decrease number of "
			  "concurrent requests or reduce the duration of requests and try again "
			  "later.",
			  time_text, l->time_window_ms / 1000);
	else
		api_error(rep, 429, "0x80072326",
			  "Number of concurrent requests exceeded the limit of %ld.",
			  l->concurrent);
}

static void show_left(struct limits *l, int ticket, double now_ms, struct reply *rep)
{
	long requests;
	double seconds;

	limits_left(l, ticket, now_ms, &requests, &seconds);
	if (l->requests)
		reply_header(rep, "x-ms-ratelimit-burst-remaining-xrm-requests", "%ld", requests);
	if (l->time_ms > 0)
		reply_header(rep, "x-ms-ratelimit-time-remaining-xrm-requests", "%.2f", seconds);
}

bool protect_admit(struct dataverse *d, const struct request *req, struct reply *rep, double now_ms,
		   int *ticket)
{
	struct limits *l = &d->limits;
	int user = token_user(d, req), cookie = server_of(req), server = cookie;
	long retry_after_s;

	*ticket = -1;
	if (user < 0) /* refused for another reason, or not the API */
		return true;
	enum limits_verdict verdict =
	    limits_admit(l, user, &server, now_ms, ticket, &retry_after_s);
	if (server != cookie)
		set_cookie(req, rep, server);
	if (verdict == LIMIT_NONE)
		return true;
	refuse(l, verdict, retry_after_s, rep);
	show_left(l, *ticket, now_ms, rep);
	return false;
}

void protect_settle(struct dataverse *d, int ticket, double began_ms, double now_ms,
		    struct reply *rep)
{
	limits_settle(&d->limits, ticket, began_ms, now_ms - began_ms);
	if (!rep)
		return;
	show_left(&d->limits, ticket, now_ms, rep);
	reply_header(rep, "x-ms-dop-hint", "%d", d->dop_hint);
}

/* "N" or "N/S": how many in how many seconds. */
static bool pair(const char *value, double *n, double *seconds)
{
	char *end;

	*n = strtod(value, &end);
	if (end == value || *n <= 0)
		return false;
	if (*end == '/') {
		value = end + 1;
		*seconds = strtod(value, &end);
		if (end == value || *seconds <= 0)
			return false;
	}
	return !*end;
}

bool protect_option(struct dataverse *d, const char *name, const char *value)
{
	struct limits *l = &d->limits;
	double n, seconds = 300;

	if (!pair(value, &n, &seconds))
		return false;
	if (!strcmp(name, "limit-requests")) {
		l->requests = (long)n;
		l->requests_window_ms = seconds * 1000;
		return l->requests > 0;
	}
	if (!strcmp(name, "limit-time")) {
		l->time_ms = n;
		l->time_window_ms = seconds * 1000;
		return true;
	}
	if (strchr(value, '/') || n > 999)
		return false;
	if (!strcmp(name, "limit-concurrent"))
		l->concurrent = (long)n;
	else if (!strcmp(name, "servers"))
		l->servers = (int)n;
	else
		d->dop_hint = (int)n;
	return n >= 1;
}
