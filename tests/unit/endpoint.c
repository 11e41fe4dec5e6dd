#include "endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

enum { STILL_MS = 300000 };

static struct endpoint *e;
static struct error err;
static char got[20000];

static void show(const char *text)
{
	struct buffer page = BUFFER(1000);

	buffer_puts(&page, text);
	endpoint_show(e, &page, mono_now());
	buffer_free(&page);
}

static int port_of(const struct endpoint *of)
{
	return atoi(strrchr(endpoint_url(of), ':') + 1);
}

static int dial(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port_of(e)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_return_code(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

/* Says something, and reads what comes until the other side closes. */
static const char *talk(const char *words, size_t len)
{
	int fd = dial();
	size_t n = 0;
	ssize_t some;
	struct pollfd p = {fd, POLLIN, 0};

	assert_int_equal(send(fd, words, len, MSG_NOSIGNAL), (ssize_t)len);
	while (n < sizeof got - 1 && poll(&p, 1, 10000) > 0 &&
	       (some = read(fd, got + n, sizeof got - 1 - n)) > 0)
		n += (size_t)some;
	got[n] = 0;
	close(fd);
	return got;
}

static const char *ask(const char *method, const char *path)
{
	char words[300];

	snprintf(words, sizeof words, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		 method, path);
	return talk(words, strlen(words));
}

static int setup(void **state)
{
	(void)state;
	return endpoint_open("0", STILL_MS, &e, &err) == OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	endpoint_close(e);
	e = NULL;
	return 0;
}

SHOWS(the_last_page_is_served)
{
	ask("GET", "/metrics");
	assert_contains(got, "HTTP/1.1 200 OK\r\n");
	show("a 1\n");
	show("a 2\n");
	ask("GET", "/metrics?name=x");
	assert_contains(got, "HTTP/1.1 200 OK\r\n");
	assert_contains(got, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	assert_contains(got, "\r\n\r\na 2\n");
	ask("HEAD", "/metrics");
	assert_contains(got, "Content-Length: 4\r\n");
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n");
}

SHOWS(it_listens_on_loopback_by_itself)
{
	assert_int_equal(strncmp(endpoint_url(e), "http://127.0.0.1:", 17), 0);
}

SHOWS(a_page_is_due_once_a_second)
{
	mono_time now = mono_now();
	struct buffer page = BUFFER(10);

	assert_true(endpoint_is_due(e, now));
	endpoint_show(e, &page, now);
	assert_false(endpoint_is_due(e, mono_add(now, ENDPOINT_SHOW_MS - 1)));
	assert_true(endpoint_is_due(e, mono_add(now, ENDPOINT_SHOW_MS)));
}

SHOWS(health_is_that_pages_come)
{
	struct buffer page = BUFFER(10);

	show("a 1\n");
	assert_contains(ask("GET", "/healthz"), "HTTP/1.1 200 OK\r\n");
	endpoint_show(e, &page, (mono_time){mono_now().ms - STILL_MS - 5000});
	ask("GET", "/healthz");
	assert_contains(got, "HTTP/1.1 503 Service Unavailable\r\n");
	assert_contains(got, "stood still for 305 s");
}

SHOWS(other_paths_and_methods_are_refused)
{
	assert_contains(ask("GET", "/"), "HTTP/1.1 404 Not Found\r\n");
	assert_contains(got, "/metrics and /healthz");
	ask("DELETE", "/metrics");
	assert_contains(got, "HTTP/1.1 405 Method Not Allowed\r\n");
	assert_contains(got, "Allow: GET, HEAD\r\n");
}

/* It is answered before its body has come, and the connection ends. */
SHOWS(no_body_is_read)
{
	static const char head[] = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: "
				   "1000000000\r\n\r\nsome of it";

	assert_contains(talk(head, sizeof head - 1), "HTTP/1.1 405 Method Not Allowed\r\n");
}

SHOWS(nonsense_harms_nobody)
{
	static char large[100000];
	static const char *const words[] = {
	    "\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x01\xff",
	    "GET /metrics HTTP/9.9\r\n\r\n", "GET /metrics HTTP/1.1\r\n\r\n"};

	show("a 1\n");
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		int fd = dial();
		assert_true(send(fd, words[i], strlen(words[i]), MSG_NOSIGNAL) > 0);
		shutdown(fd, SHUT_WR);
		while (read(fd, got, sizeof got) > 0)
			;
		close(fd);
	}
	memset(large, 'x', sizeof large);
	memcpy(large, "GET /", 5);
	int fd = dial();
	send(fd, large, sizeof large, MSG_NOSIGNAL);
	close(fd);
	assert_contains(ask("GET", "/metrics"), "\r\n\r\na 1\n");
}

/* All places are taken by clients that say nothing: who shows pages does not notice. */
SHOWS(silent_clients_hold_up_nobody)
{
	int fds[20];

	for (int i = 0; i < 20; i++)
		fds[i] = dial();
	mono_time began = mono_now();
	for (int i = 0; i < 1000; i++)
		show("a 1\n");
	assert_true(mono_now().ms - began.ms < 2000);
	/* They are closed when they have been silent for long enough. */
	assert_contains(ask("GET", "/metrics"), "\r\n\r\na 1\n");
	for (int i = 0; i < 20; i++)
		close(fds[i]);
}

SHOWS(a_port_in_use_may_be_over_soon)
{
	struct endpoint *other = NULL;
	char where[40];

	snprintf(where, sizeof where, "127.0.0.1:%d", port_of(e));
	assert_int_equal(endpoint_open(where, STILL_MS, &other, &err), FATAL);
	assert_int_equal(err.exit_code, EXIT_TEMPORARY);
	assert_contains(err.text, where);
	assert_contains(err.text, "is in use");
	/* And it is. */
	teardown(NULL);
	assert_int_equal(endpoint_open(where, STILL_MS, &e, &err), OK);
}

SHOWS(what_is_no_address_is_refused_for_good)
{
	static const char *const wrong[] = {"",
					    "x",
					    ":80",
					    "localhost:",
					    "a:b:1",
					    "::1:9100",
					    "[::1]",
					    "127.0.0.1:65536",
					    "1:123456",
					    "[]:1",
					    "127.0.0.1:x",
					    "127.0.0.1:-1",
					    "192.0.2.1:9100"};
	struct endpoint *other = NULL;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(endpoint_open(wrong[i], STILL_MS, &other, &err), FATAL);
		assert_int_equal(err.exit_code, EXIT_PERMANENT);
	}
	assert_contains(err.text, "an address of this machine");
}

SHOWS(a_host_may_be_a_name_or_ipv6)
{
	struct endpoint *other = NULL;

	assert_int_equal(endpoint_open("localhost:0", STILL_MS, &other, &err), OK);
	endpoint_close(other);
	/* Not every machine has IPv6. */
	if (endpoint_open("[::1]:0", STILL_MS, &other, &err) == OK) {
		assert_int_equal(strncmp(endpoint_url(other), "http://[::1]:", 13), 0);
		endpoint_close(other);
	}
}

int main(void)
{
#define WITH_ENDPOINT(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    WITH_ENDPOINT(the_last_page_is_served),
	    WITH_ENDPOINT(it_listens_on_loopback_by_itself),
	    WITH_ENDPOINT(a_page_is_due_once_a_second),
	    WITH_ENDPOINT(health_is_that_pages_come),
	    WITH_ENDPOINT(other_paths_and_methods_are_refused),
	    WITH_ENDPOINT(no_body_is_read),
	    WITH_ENDPOINT(nonsense_harms_nobody),
	    WITH_ENDPOINT(silent_clients_hold_up_nobody),
	    WITH_ENDPOINT(a_port_in_use_may_be_over_soon),
	    WITH_ENDPOINT(what_is_no_address_is_refused_for_good),
	    WITH_ENDPOINT(a_host_may_be_a_name_or_ipv6),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
