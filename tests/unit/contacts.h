/* contacts.h - the saved metadata of both ends of the contacts flow, for a group of tests. */
#ifndef TEST_CONTACTS_H
#define TEST_CONTACTS_H

#include "fixture.h"

static struct table *contact;
static struct resource *profile;

static int make(void **state)
{
	struct error err;
	(void)state;
	return table_load("deploy/metadata", "contact", &contact, &err) ||
	       resource_load("deploy/metadata", "profile", &profile, &err);
}

static int unmake(void **state)
{
	(void)state;
	table_free(contact);
	resource_free(profile);
	return 0;
}

#endif
