/* server.h - a socket on loopback that gives scripted answers, for tests of the clients.
 *
 * One thread; each connection gets the next answer of the script, then is closed.  An answer is
 * sent as it stands, so that it can be torn, late or no HTTP at all.
 */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

struct server {
	const char *const *answers; /* NULL-ended; "" closes at once, "hang" says nothing */
	int fd, end[2];
	pthread_t thread;
	char url[60];
	char requests[8][4000]; /* what came, head and body */
	int count;
};

static inline void server_read(int fd, char *out, size_t size)
{
	size_t len = 0, want = SIZE_MAX;

	out[0] = 0;
	while (len < size - 1 && len < want) {
		struct pollfd p = {fd, POLLIN, 0};
		if (poll(&p, 1, 2000) <= 0)
			break;
		ssize_t n = read(fd, out + len, size - 1 - len);
		if (n <= 0)
			break;
		out[len += (size_t)n] = 0;
		const char *body = strstr(out, "\r\n\r\n"), *l = strcasestr(out, "content-length:");
		if (body)
			want =
			    (size_t)(body + 4 - out) + (l && l < body ? (size_t)atol(l + 15) : 0);
	}
}

static inline void *server_thread(void *arg)
{
	struct server *s = arg;

	for (int i = 0;; i++) {
		struct pollfd p[2] = {{s->fd, POLLIN, 0}, {s->end[0], POLLIN, 0}};
		if (poll(p, 2, 20000) <= 0 || p[1].revents)
			return NULL;
		int c = accept(s->fd, NULL, NULL);
		if (!s->answers[i]) { /* nothing more to say */
			i--;
			close(c);
			continue;
		}
		if (!strcmp(s->answers[i], "hang")) {
			struct pollfd q[2] = {{c, POLLHUP, 0}, {s->end[0], POLLIN, 0}};
			poll(q, 2, 20000);
		} else if (*s->answers[i]) {
			server_read(c, s->requests[s->count & 7], sizeof s->requests[0]);
			s->count++;
			if (write(c, s->answers[i], strlen(s->answers[i])) < 0)
				perror("server");
		}
		close(c);
	}
}

static inline void server_start(struct server *s, const char *const *answers)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	memset(s, 0, sizeof *s);
	s->answers = answers;
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(pipe(s->end), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, server_thread, s), 0);
}

static inline void server_stop(struct server *s)
{
	close(s->end[1]);
	pthread_join(s->thread, NULL);
	close(s->end[0]);
	close(s->fd);
}

/* An answer with a JSON body. */
#define ANSWER(status, headers, body)                                                              \
	"HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n" headers   \
	"\r\n" body

#endif
