/* row.c - see row.h. */
#include "row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void row_columns(const struct query *q, struct text *sql)
{
	text_printf(sql, "SELECT t0.\"%s\", t0._version", q->t->id);
	for (int i = 0; i < q->select_count; i++) {
		const struct column *c = q->select[i].column;
		text_printf(sql, ", t0.\"%s\"", c->name);
		if (c->type == T_LOOKUP)
			text_printf(sql, ", t0.\"%s__table\"", c->name);
	}
}

void row_value(struct text *o, const struct column *c, const char *value)
{
	switch (c->type) {
	case T_BOOLEAN:
	case T_INTEGER:
	case T_BIGINT:
	case T_DOUBLE:
	case T_CHOICE:
	case T_STATE:
	case T_STATUS:
		text_puts(o, value);
		break;
	case T_MONEY:
	case T_DECIMAL: { /* as many digits behind the point as the column has */
		const char *point = strchr(value, '.');
		int digits = point ? (int)strlen(point + 1) : 0;
		text_puts(o, value);
		if (!point && c->precision)
			text_puts(o, ".");
		if (digits < c->precision)
			text_put(o, "0000000000000000",
				 (size_t)(c->precision - digits < 16 ? c->precision - digits : 16));
		break;
	}
	default:
		text_json(o, value);
	}
}

/* The primary name of the row a lookup points to, as the formatted value. */
static void put_lookup_name(struct query *q, const struct selected *s, const char *table,
			    const char *id, struct text *o)
{
	struct table *t = store_table(&q->d->store, table);
	char sql[300];

	if (!t)
		return;
	snprintf(sql, sizeof sql, "SELECT \"%s\" FROM \"%s\" WHERE \"%s\"=?", t->primary_name,
		 t->name, t->id);
	sqlite3_stmt *st = store_statement(&q->d->store, sql);
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0)) {
		text_puts(o, s->formatted);
		text_json(o, (const char *)sqlite3_column_text(st, 0));
	}
	store_release(st);
}

static void put_lookup(struct query *q, const struct selected *s, const char *table, const char *id,
		       struct text *o)
{
	const char *nav =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(s->column->targets, table));

	if (q->annotations.formatted)
		put_lookup_name(q, s, table, id, o);
	if (q->annotations.navigation && nav)
		text_printf(o, ",\"%s@Microsoft.Dynamics.CRM.associatednavigationproperty\":\"%s\"",
			    s->column->property, nav);
	if (q->annotations.lookup_table) {
		text_puts(o, s->lookup_table);
		text_puts(o, table);
		text_puts(o, "\"");
	}
}

static void put_formatted(const struct selected *s, const char *value, struct text *o)
{
	char *shown = format_value(s->column, value);

	if (shown) {
		text_puts(o, s->formatted);
		text_json(o, shown);
	}
	free(shown);
}

void row_put(struct query *q, sqlite3_stmt *st, const char *root, const char *context,
	     struct text *o)
{
	const char *id = (const char *)sqlite3_column_text(st, 0);
	bool id_done = false;
	int at = 2;

	text_puts(o, "{");
	if (context)
		text_printf(o, "\"@odata.context\":\"%s\",", context);
	text_printf(o, "\"@odata.etag\":\"W/\\\"%lld\\\"\"",
		    (long long)sqlite3_column_int64(st, 1));
	for (int i = 0; i < q->select_count; i++) {
		const struct selected *s = &q->select[i];
		const struct column *c = s->column;
		const char *value = (const char *)sqlite3_column_text(st, at++);
		const char *target =
		    c->type == T_LOOKUP ? (const char *)sqlite3_column_text(st, at++) : NULL;
		id_done |= !strcmp(c->name, q->t->id);
		if (value && target)
			put_lookup(q, s, target, value, o);
		else if (value && q->annotations.formatted)
			put_formatted(s, value, o);
		text_puts(o, s->member);
		if (value)
			row_value(o, c, value);
		else
			text_put(o, "null", 4);
	}
	if (!id_done) {
		text_printf(o, ",\"%s\":", q->t->id);
		text_json(o, id);
	}
	expand_put(q, id, root, o);
	text_puts(o, "}");
}

void row_context(const struct query *q, struct text *o)
{
	if (!q->select_text && !q->expand_count)
		return;
	text_puts(o, "(");
	if (q->select_text)
		text_xml(o, q->select_text);
	for (int i = 0; i < q->expand_count; i++) {
		const struct expand *e = q->expands[i];
		text_printf(o, "%s%s", i || q->select_text ? "," : "", e->nav.name);
		if (e->q.select_text || e->q.expand_count)
			row_context(&e->q, o);
		else
			text_puts(o, "()");
	}
	text_puts(o, ")");
}
