/* oauth.h - an access token by OAuth 2.0 client credentials, renewed before it expires.
 *
 * Entra ID v2.0 (`expires_in` 3599 s) and Adobe IMS v3 (86,399 s) take the same form and answer
 * the same members; there is never a refresh token, one just asks again.
 */
#ifndef TIDEWAY_OAUTH_H
#define TIDEWAY_OAUTH_H

#include "http.h"

struct oauth {
	const char *token_url, *client_id, *client_secret, *scope; /* borrowed */
	char *header;	    /* "Authorization: Bearer …" or NULL */
	mono_time renew_at; /* a fifth of the life before its end, at most 5 minutes */
	mono_time expires_at;
	mono_time not_before; /* after a failure, when to ask again at the earliest */
	unsigned serial;      /* which token it is: 1 the first */
};

/* Makes sure that o->header is good at `now`; blocks for one request when it is not, or will not
 * be for long. A token that still lives survives a renewal that fails for now.
 * FATAL 100 when the server says that id, secret or scope are wrong; RETRY when it is not
 * there or answers nonsense. */
enum result oauth_ensure(struct oauth *o, struct http *h, mono_time now, struct error *err);
/* A 401 said that the token with this serial is no good: the next oauth_ensure asks for a new one.
 * Late answers to an older token forget nothing. */
void oauth_forget(struct oauth *o, unsigned serial);
void oauth_free(struct oauth *o);

#endif
