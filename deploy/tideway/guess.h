/* guess.h - the section `files` that fits a log export of which nothing is known. */
#ifndef TIDEWAY_COMMAND_GUESS_H
#define TIDEWAY_COMMAND_GUESS_H

#include <stdio.h>

/* Prints the section on stdout, and on stderr what only a person can say.  Returns how many such
 * things there are; -1 when the file cannot be read. */
int guess_print(const char *path);

#endif
