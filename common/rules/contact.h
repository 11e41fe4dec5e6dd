/* contact.h - what is special about contacts and their consent: one function a rule.
 *
 * Consent is never given by accident.  Dynamics' donot* flags are false by default, so a copy would
 * re-subscribe everybody who opted out in Campaign.  The eight consent flags of a profile are
 * therefore written only as true, whatever a mapping computes: false becomes "leave it alone".
 * A flow that declares `consent: dynamics-to-campaign` says that Dynamics decides both ways; null
 * decides nothing there, either.
 *
 * Merged contacts follow the winner.  When two contacts are merged in Dynamics, the loser stays as
 * an inactive row with merged = true and masterid = the winner.  Its profile goes the way of a
 * deleted contact (`deletes`): two profiles of one person would be mailed twice, and the loser's
 * would never change again.  The winner needs nothing from us: Dynamics writes the merged values
 * into its row, which comes as a change of its own, and moves the loser's activities to it.  Nor
 * is anything lost for events: those of mails sent before the merge still name the loser, whose
 * row stays in Dynamics, so they find a contact.  The loser's opt-outs were never the winner's,
 * before the merge as little as after it.
 */
#ifndef TIDEWAY_CONTACT_H
#define TIDEWAY_CONTACT_H

#include "flow.h"
#include "metadata.h"

/* The names of the eight flags, ended by NULL (Adobe, "profile data model" and "opt-in/opt-out"). */
extern const char *const consent_flags[];

/* Is this attribute one of them?  Null never clears one: Campaign reads an empty flag as false. */
bool consent_flag(const struct flow *f, const char *attribute);
/* And is false guarded in this flow? */
bool consent_guards(const struct flow *f, const char *attribute);

/* externalId holds the contact's id: events find their way back by it. */
void contact_key_is_external_id(const struct flow *f, struct problems *p);

/* The conversion that an attribute gets without asking: `email` of a profile, or NULL. */
const char *contact_normalises(const struct flow *f, const char *attribute);

/* The column that says "I lost a merge", or NULL: other tables, and contacts without it. */
const struct column *contact_merged_column(const struct flow *f, const struct table *t);

#endif
