/* zone.h - the offsets of a time zone, by its IANA name.
 *
 * libc knows them, but only for the one zone of the process, and asking it about another changes
 * the environment under other threads.  So libc is asked once, while the mapping is compiled and
 * there are no threads yet, for every change of the offset from 1900 to 2100; from then on it is
 * a table.  Before and after, the first and the last offset hold.
 */
#ifndef TIDEWAY_ZONE_H
#define TIDEWAY_ZONE_H

#include "clock.h"

struct zone;

/* NULL when there is no such zone in the system's database (TZDIR, else /usr/share/zoneinfo). */
struct zone *zone_new(const char *name);
void zone_free(struct zone *z);

/* Milliseconds that a clock in the zone is ahead of UTC at that time. */
int64_t zone_offset_ms(const struct zone *z, wall_time utc);
/* What a clock shows, as if it were UTC. */
wall_time zone_local(const struct zone *z, wall_time utc);
/* The other way. A clock time that does not exist (spring) is taken with the offset before the
 * change; one that exists twice (autumn) is the earlier. */
wall_time zone_utc(const struct zone *z, wall_time local);

#endif
