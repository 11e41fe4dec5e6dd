/* listing.h - a line of an SFTP server's long listing.  Pure.
 *
 * libcurl hands out what the server words (SSH_FXP_NAME, longname), which has no standard but looks
 * like `ls -l` everywhere:  -rw-r--r--  1 user group  1234 Nov 24 00:39 name
 * The names of user and group may have blanks ("domain users"), so the size is the number in front
 * of the month.
 */
#ifndef TIDEWAY_LISTING_H
#define TIDEWAY_LISTING_H

#include <stdbool.h>
#include <stdint.h>

enum { LISTING_STAMP_MAX = 32 };

struct listing_file {
	const char *name; /* in the line */
	int64_t size;
	char stamp[LISTING_STAMP_MAX]; /* the last change, as the server words it */
};

/* False: it is no file, or has another form. */
bool listing_parse(const char *line, struct listing_file *out);

#endif
