/* money.c - what follows from an amount: the currency's rate and the amount in the base currency.
 *
 * Facts: "Money column", "Transaction currency (currency) table".  By the data file: a column with
 * "system": "exchangerate" is the rate of the row that the column transactioncurrencyid points to,
 * one with "baseOf": "annualincome" that amount divided by the rate.
 */
#include "derived.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int column_index(struct table *t, const char *name)
{
	struct column *c = name ? table_column(t, name) : NULL;
	return c ? (int)(c - t->columns) : -1;
}

static void set(struct row *r, int i, char *value)
{
	free(r->values[i]);
	r->values[i] = value;
	r->given[i] = true;
}

/* The given value, or that of the store. */
static char *value_of(struct store *s, struct table *t, const char *id, const struct row *r, int i,
		      bool insert)
{
	if (r->given[i])
		return r->values[i] ? strdup(r->values[i]) : NULL;
	return insert ? NULL : store_value(s, t, id, t->columns[i].name);
}

/* Four digits, as base amounts have; at a rate of one every digit stays. */
static char *divided(const char *amount, const char *rate)
{
	long double by = strtold(rate, NULL);
	char out[80];

	if (by == 1 || by <= 0)
		return strdup(amount);
	snprintf(out, sizeof out, "%.4Lf", strtold(amount, NULL) / by);
	return strdup(out);
}

void money_fill(struct store *s, struct table *t, const char *id, struct row *r, bool insert)
{
	int currency = column_index(t, "transactioncurrencyid"), rate = -1;
	char *by = NULL;

	for (int i = 0; i < t->count; i++)
		if (t->columns[i].system && !strcmp(t->columns[i].system, "exchangerate"))
			rate = i;
	if (rate < 0 || currency < 0)
		return;
	bool changed = r->given[currency];
	if (changed) {
		struct table *currencies = r->targets[currency] && r->values[currency]
					       ? store_table(s, r->targets[currency])
					       : NULL;
		by = currencies ? store_value(s, currencies, r->values[currency], "exchangerate")
				: NULL;
		set(r, rate, by ? strdup(by) : NULL);
	} else {
		by = value_of(s, t, id, r, rate, insert);
	}
	for (int i = 0; i < t->count; i++) {
		int of = column_index(t, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
					     t->columns[i].json, "baseOf")));
		if (of < 0 || (!r->given[of] && !changed))
			continue;
		char *amount = value_of(s, t, id, r, of, insert);
		if (amount || !insert)
			set(r, i, amount && by ? divided(amount, by) : NULL);
		free(amount);
	}
	free(by);
}
