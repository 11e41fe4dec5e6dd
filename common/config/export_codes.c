/* export_codes.c - see export_codes.h. */
#include "export_codes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *const export_enumeration_names[] = {
    "status", "failure_type", "failure_reason", "url_type", "message_type", "test", NULL};

enum { MEANINGS_MAX = 6 };

static const char *const words[EXPORT_ENUMERATIONS][MEANINGS_MAX] = {
    [EXPORT_STATUS] = {"sent", "failed", "other"},
    [EXPORT_FAILURE_TYPE] = {"hard", "soft", "other"},
    [EXPORT_FAILURE_REASON] = {"bounce", "exclusion"},
    [EXPORT_URL_TYPE] = {"click", "open", "opt-out", "mirror-page", "other"},
    [EXPORT_MESSAGE_TYPE] = {"email", "other"},
    [EXPORT_TEST] = {"no", "yes"},
};

struct code {
	enum export_enumeration e;
	int meaning;
	const char *text;
};

/* Statuses 0, 3, 4, 5 and 8, the number of an ignored failure and the reason 13 are documented
 * nowhere. */
static const struct code codes[] = {
    {EXPORT_STATUS, STATUS_SENT, "1"},
    {EXPORT_STATUS, STATUS_SENT, "Sent"},
    {EXPORT_STATUS, STATUS_SENT, "Taken into account by the service provider"},
    {EXPORT_STATUS, STATUS_FAILED, "2"},
    {EXPORT_STATUS, STATUS_FAILED, "Failed"},
    {EXPORT_STATUS, STATUS_OTHER, "6"},
    {EXPORT_STATUS, STATUS_OTHER, "7"},
    {EXPORT_STATUS, STATUS_OTHER, "Pending"},
    {EXPORT_STATUS, STATUS_OTHER, "Delivery cancelled"},
    {EXPORT_STATUS, STATUS_OTHER, "Ignored"},
    {EXPORT_STATUS, STATUS_OTHER, "Not applicable"},
    {EXPORT_STATUS, STATUS_OTHER, "Prepared"},
    {EXPORT_STATUS, STATUS_OTHER, "Sent to the service provider"},
    {EXPORT_STATUS, STATUS_OTHER, "Received on mobile"},

    {EXPORT_FAILURE_TYPE, FAILURE_HARD, "2"},
    {EXPORT_FAILURE_TYPE, FAILURE_HARD, "Hard"},
    {EXPORT_FAILURE_TYPE, FAILURE_SOFT, "1"},
    {EXPORT_FAILURE_TYPE, FAILURE_SOFT, "Soft"},
    {EXPORT_FAILURE_TYPE, FAILURE_OTHER, ""},
    {EXPORT_FAILURE_TYPE, FAILURE_OTHER, "0"},
    {EXPORT_FAILURE_TYPE, FAILURE_OTHER, "Not defined"},
    {EXPORT_FAILURE_TYPE, FAILURE_OTHER, "Ignored"},

    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "0"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "Undefined"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "Not defined"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "1"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "UnknownUser"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "User unknown"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "2"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "InvalidDomain"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "Invalid domain"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "3"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "Unreachable"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "4"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "Disabled"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "Account disabled"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "5"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "MailboxFull"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "Mailbox full"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "6"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "Not connected"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "20"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "Refused"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "25"},
    {EXPORT_FAILURE_REASON, REASON_BOUNCE, "Error ignored"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "7"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "AddressUndefined"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "Address not specified"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "8"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "Blacklisted"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "Denylisted address"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "9"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "Quarantine"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "Address in quarantine"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "10"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "Duplicate"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "Double"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "11"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "TypologyRule"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "SQL rule"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "12"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "BusinessRanking"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "Arbitration"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "14"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "15"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "16"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "17"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "127"},
    {EXPORT_FAILURE_REASON, REASON_EXCLUSION, "Control address"},

    {EXPORT_URL_TYPE, URL_CLICK, "1"},
    {EXPORT_URL_TYPE, URL_CLICK, "Email click"},
    {EXPORT_URL_TYPE, URL_OPEN, "2"},
    {EXPORT_URL_TYPE, URL_OPEN, "Open"},
    {EXPORT_URL_TYPE, URL_OPT_OUT, "3"},
    {EXPORT_URL_TYPE, URL_OPT_OUT, "Opt-out"},
    {EXPORT_URL_TYPE, URL_OTHER, "4"},
    {EXPORT_URL_TYPE, URL_OTHER, "Web"},
    {EXPORT_URL_TYPE, URL_OTHER, "5"},
    {EXPORT_URL_TYPE, URL_OTHER, "Transaction"},
    {EXPORT_URL_TYPE, URL_MIRROR_PAGE, "6"},
    {EXPORT_URL_TYPE, URL_MIRROR_PAGE, "Mirror page"},

    {EXPORT_MESSAGE_TYPE, MESSAGE_EMAIL, ""},
    {EXPORT_MESSAGE_TYPE, MESSAGE_EMAIL, "0"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_EMAIL, "Email"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "1"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "sms"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "2"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "phone"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "3"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "paper"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "4"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "fax"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "40"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "pushNotification"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "120"},
    {EXPORT_MESSAGE_TYPE, MESSAGE_OTHER, "other"},

    {EXPORT_TEST, TEST_NO, ""},
    {EXPORT_TEST, TEST_NO, "0"},
    {EXPORT_TEST, TEST_NO, "false"},
    {EXPORT_TEST, TEST_NO, "No"},
    {EXPORT_TEST, TEST_YES, "1"},
    {EXPORT_TEST, TEST_YES, "true"},
    {EXPORT_TEST, TEST_YES, "Yes"},
};

int export_meaning_of(enum export_enumeration e, const char *word)
{
	for (int i = 0; i < MEANINGS_MAX && words[e][i]; i++)
		if (!strcmp(words[e][i], word))
			return i;
	return -1;
}

const char *export_meaning_word(enum export_enumeration e, int meaning)
{
	return words[e][meaning];
}

const char *export_meanings(enum export_enumeration e, char *out, size_t size)
{
	size_t n = 0;

	*out = 0;
	for (int i = 0; i < MEANINGS_MAX && words[e][i] && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", words[e][i]);
	return out;
}

int export_meaning(const struct export_format *f, enum export_enumeration e, const char *text)
{
	for (size_t i = 0; i < f->code_counts[e]; i++)
		if (!strcasecmp(f->codes[e][i].from, text))
			return export_meaning_of(e, f->codes[e][i].to);
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (codes[i].e == e && !strcasecmp(codes[i].text, text))
			return codes[i].meaning;
	return -1;
}
