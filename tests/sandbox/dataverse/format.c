/* format.c - formatted values: what a user with the settings of English (United States) and UTC
 * sees.  Facts: "formatted values" in "retrieve a table row". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "row.h"

static const char *label(const struct column *c, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c->options, key));
}

/* 1234567.5 with 2 digits: 1,234,567.50 (rounded half away from zero on the text) */
static void put_grouped(struct text *o, const char *value, int digits)
{
	bool negative = *value == '-';
	char number[400];
	const char *s = value + negative;
	size_t whole = strcspn(s, ".");
	const char *part = s[whole] ? s + whole + 1 : "";
	int n = 0;

	if (strpbrk(value, "eE") || whole + (size_t)digits > 300) {
		text_puts(o, value);
		return;
	}
	/* one text of digits, a zero in front for the carry */
	number[n++] = '0';
	for (size_t i = 0; i < whole; i++)
		number[n++] = s[i];
	for (int i = 0; i < digits; i++)
		number[n++] = i < (int)strlen(part) ? part[i] : '0';
	if ((int)strlen(part) > digits && part[digits] >= '5') {
		int i = n - 1;
		while (i > 0 && number[i] == '9') /* the first is 0 */
			number[i--] = '0';
		number[i]++;
	}
	int first = 0, end = n - digits;
	while (first < end - 1 && number[first] == '0')
		first++;
	if (negative)
		text_puts(o, "-");
	for (int i = first; i < end; i++) {
		text_put(o, &number[i], 1);
		if ((end - i - 1) % 3 == 0 && i + 1 < end)
			text_puts(o, ",");
	}
	if (digits) {
		text_puts(o, ".");
		text_put(o, number + end, (size_t)digits);
	}
}

static void put_date(struct text *o, const char *value, bool with_time)
{
	int y, m, d, h, min;

	if (sscanf(value, "%4d-%2d-%2d", &y, &m, &d) != 3)
		return;
	text_printf(o, "%d/%d/%d", m, d, y);
	if (with_time && sscanf(value + 10, "T%2d:%2d", &h, &min) == 2)
		text_printf(o, " %d:%02d %s", h % 12 ? h % 12 : 12, min, h < 12 ? "AM" : "PM");
}

static void put_choices(struct text *o, const struct column *c, const char *value)
{
	for (const char *s = value; *s;) {
		char key[24];
		size_t n = strcspn(s, ",");
		snprintf(key, sizeof key, "%.*s", (int)(n < 20 ? n : 20), s);
		const char *shown = label(c, key);
		text_printf(o, "%s%s", s == value ? "" : "; ", shown ? shown : key);
		s += n + (s[n] == ',');
	}
}

char *format_value(const struct column *c, const char *value)
{
	struct text o = {0};

	switch (c->type) {
	case T_BOOLEAN: {
		bool yes = !strcmp(value, "true");
		const char *shown = label(c, yes ? "1" : "0");
		return strdup(shown ? shown : yes ? "Yes" : "No");
	}
	case T_CHOICE:
	case T_STATE:
	case T_STATUS: {
		const char *shown = label(c, value);
		return shown ? strdup(shown) : NULL;
	}
	case T_CHOICES:
		put_choices(&o, c, value);
		break;
	case T_INTEGER:
	case T_BIGINT:
		put_grouped(&o, value, 0);
		break;
	case T_DOUBLE:
	case T_DECIMAL:
		put_grouped(&o, value, c->precision);
		break;
	case T_MONEY: /* two digits, whatever is stored: the currency's precision */
		text_printf(&o, "%s$", *value == '-' ? "-" : "");
		put_grouped(&o, value + (*value == '-'), 2);
		break;
	case T_DATE:
		put_date(&o, value, false);
		break;
	case T_DATETIME:
		put_date(&o, value, true);
		break;
	default:
		return NULL;
	}
	return o.data;
}
