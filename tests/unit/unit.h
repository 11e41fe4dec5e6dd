/* unit.h - cmocka and what it wants before it. */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A test is named by the sentence that it shows. */
#define SHOWS(name) static void name(void **state __attribute__((unused)))

#define assert_contains(text, part)                                                                \
	do {                                                                                       \
		if (!strstr((text), (part)))                                                       \
			fail_msg("\"%s\" is not in \"%s\"", (part), (text));                       \
	} while (0)

#endif
