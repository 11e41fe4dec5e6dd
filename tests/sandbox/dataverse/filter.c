/* filter.c - $filter as a recursive descent into SQL with parameters.
 *
 *	or      and { "or" and }
 *	and     unary { "and" unary }
 *	unary   "not" unary | comparison
 *	comparison  operand [ (eq|ne|gt|ge|lt|le) operand ]
 *	operand "(" or ")" | literal | @alias | function "(" .. ")" | path
 *	path    { lookup "/" } property | { lookup "/" } collection "/" (any|all) "(" v ":" or ")"
 *
 * Facts: "filter rows using OData" and "Web API query function reference".  A path through lookups
 * becomes a subquery for one value, any and all become EXISTS, so no row comes twice.  eq and ne
 * are SQL's IS and IS NOT: a row with a null is unequal to everything but null.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "key.h"
#include "query.h"

enum { DEPTH_MAX = 100, SCOPES_MAX = 8, CONDITIONS_MAX = 500 };

enum kind { K_NULL, K_TEXT, K_NUMBER, K_GUID, K_TIME, K_DATE, K_BOOLEAN, K_CONDITION };

/* The names that the product's messages use. */
static const char *const edm[] = {"<null>",	 "Edm.String",	       "Edm.Int32",
				  "Edm.Guid",	 "Edm.DateTimeOffset", "Edm.Date",
				  "Edm.Boolean", "Edm.Boolean"};

struct operand {
	enum kind kind;
	char *sql;
	char *literal; /* not yet bound: the other side may say what it is */
	const struct column *column;
};

struct parser {
	struct query *q;
	struct reply *rep;
	const char *at, *start;
	bool aliases;
	int depth, next_alias, conditions;
	struct scope {
		const char *name; /* "" is the row itself */
		size_t len;
		struct table *t;
		char alias[8];
	} scopes[SCOPES_MAX];
	int scope_count;
};

static bool parse_or(struct parser *p, struct text *out);

static bool syntax(struct parser *p)
{
	return query_fail(p->rep, "Syntax error at position %d in '$filter'.",
			  (int)(p->at - p->start));
}

static void blanks(struct parser *p)
{
	while (*p->at == ' ' || *p->at == '\t')
		p->at++;
}

static bool word_end(char c)
{
	return !(isalnum((unsigned char)c) || c == '_' || c == '.' || c == '/' || c == '@');
}

static bool keyword(struct parser *p, const char *word)
{
	size_t n = strlen(word);

	blanks(p);
	if (strncmp(p->at, word, n) || !word_end(p->at[n]))
		return false;
	p->at += n;
	return true;
}

static bool punct(struct parser *p, char c)
{
	blanks(p);
	if (*p->at != c)
		return false;
	p->at++;
	return true;
}

static void operand_free(struct operand *o)
{
	free(o->sql);
	free(o->literal);
	*o = (struct operand){0};
}

static enum kind kind_of(const struct column *c)
{
	switch (c->type) {
	case T_GUID:
	case T_LOOKUP:
		return K_GUID;
	case T_BOOLEAN:
		return K_BOOLEAN;
	case T_DATE:
		return K_DATE;
	case T_DATETIME:
		return K_TIME;
	case T_INTEGER:
	case T_BIGINT:
	case T_DOUBLE:
	case T_DECIMAL:
	case T_MONEY:
	case T_CHOICE:
	case T_STATE:
	case T_STATUS:
		return K_NUMBER;
	default:
		return K_TEXT;
	}
}

/* ---- literals ------------------------------------------------------------------------------------ */

/* 'it''s': malloc'ed, or NULL when the quote is not closed. */
static char *quoted(struct parser *p, char quote)
{
	struct text t = {0};

	text_puts(&t, "");
	for (p->at++; *p->at; p->at++) {
		if (*p->at == quote) {
			if (p->at[1] != quote) {
				p->at++;
				return t.data;
			}
			p->at++;
		}
		text_put(&t, p->at, 1);
	}
	free(t.data);
	return NULL;
}

static bool digits(const char *s, int n)
{
	for (int i = 0; i < n; i++)
		if (!isdigit((unsigned char)s[i]))
			return false;
	return true;
}

/* To UTC and whole seconds, as rows store it: 2023-04-07T23:59:01+02:00 is 2023-04-07T21:59:01Z. */
static char *to_utc(const char *s)
{
	struct tm tm = {0};
	const char *rest = strptime(s, "%Y-%m-%dT%H:%M", &tm);
	int hours = 0, minutes = 0;
	char sign = 0, out[40], end = 0;

	if (!rest)
		return NULL;
	if (*rest == ':' && digits(rest + 1, 2)) {
		tm.tm_sec = atoi(rest + 1);
		rest += 3;
	}
	if (*rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (strcmp(rest, "Z") && *rest) {
		if (sscanf(rest, "%c%2d:%2d%c", &sign, &hours, &minutes, &end) != 3 ||
		    (sign != '+' && sign != '-'))
			return NULL;
	}
	time_t t = timegm(&tm) - (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	return strdup(out);
}

/* A bare word as a literal; false when it is none. */
static bool bare_literal(const char *s, size_t n, struct operand *o)
{
	char word[80], *end;

	if (n >= sizeof word)
		return false;
	memcpy(word, s, n);
	word[n] = 0;
	if (!strcmp(word, "null")) {
		o->kind = K_NULL;
	} else if (!strcmp(word, "true") || !strcmp(word, "false")) {
		o->kind = K_BOOLEAN;
		o->literal = strdup(word);
	} else if (n == 36 && is_guid(word)) {
		o->kind = K_GUID;
		for (char *c = word; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		o->literal = strdup(word);
	} else if (n == 10 && digits(word, 4) && word[4] == '-' && digits(word + 5, 2) &&
		   word[7] == '-' && digits(word + 8, 2)) {
		o->kind = K_DATE;
		o->literal = strdup(word);
	} else if (n > 10 && digits(word, 4) && word[4] == '-' && word[10] == 'T') {
		o->kind = K_TIME;
		o->literal = to_utc(word);
		return o->literal != NULL;
	} else if (isdigit((unsigned char)*word) || *word == '-' || *word == '+') {
		o->kind = K_NUMBER;
		strtod(word, &end);
		if (end == word || (*end && (end[1] || !strchr("LlMmDdFf", *end))) ||
		    strpbrk(word, "xXnN"))
			return false;
		*end = 0;
		o->literal = strdup(word);
	} else {
		return false;
	}
	return true;
}

/* ---- paths ------------------------------------------------------------------------------------- */

static struct scope *scope_of(struct parser *p, const char *name, size_t len)
{
	for (int i = p->scope_count - 1; i > 0; i--)
		if (p->scopes[i].len == len && !strncmp(p->scopes[i].name, name, len))
			return &p->scopes[i];
	return NULL;
}

/* any(v:cond), any(), all(v:cond): the row `from` of the scope leads to many others. */
static bool lambda(struct parser *p, const struct nav *nav, const char *from, bool all,
		   struct operand *o)
{
	struct text sql = {0}, inner = {0};
	struct scope *s = &p->scopes[p->scope_count];
	bool good = true;

	if (p->scope_count == SCOPES_MAX)
		return query_fail(p->rep, "Too many nested lambda expressions in '$filter'.");
	if (!punct(p, '('))
		return syntax(p);
	s->t = nav->target;
	snprintf(s->alias, sizeof s->alias, "t%d", ++p->next_alias % 100000);
	if (!punct(p, ')')) {
		blanks(p);
		s->name = p->at;
		s->len = strcspn(p->at, ": ()/");
		p->at += s->len;
		if (!s->len || !punct(p, ':'))
			return syntax(p);
		p->scope_count++;
		good = parse_or(p, &inner) && (punct(p, ')') || syntax(p));
		p->scope_count--;
	}
	text_printf(&sql, "%sEXISTS (SELECT 1 FROM \"%s\" %s", all ? "NOT " : "", nav->target->name,
		    s->alias);
	if (nav->kind == NAV_MANY)
		text_printf(&sql, " WHERE %s.\"%s\" = %s.\"%s\" AND %s.\"%s__table\" = '%s'",
			    s->alias, nav->column->name, from, nav->table->id, s->alias,
			    nav->column->name, nav->table->name);
	else
		text_printf(&sql,
			    " JOIN \"%s\" x ON x.\"%s\" = %s.\"%s\" WHERE x.\"%s\" = %s.\"%s\"",
			    nav->intersect->name, nav->other->name, s->alias, nav->target->id,
			    nav->column->name, from, nav->table->id);
	query_visible(p->q->d, nav->target, s->alias, &sql);
	if (inner.data)
		text_printf(&sql, " AND %s(%s)", all ? "NOT " : "", inner.data);
	text_puts(&sql, ")");
	free(inner.data);
	*o = (struct operand){.kind = K_CONDITION, .sql = sql.data};
	if (!good)
		operand_free(o);
	return good;
}

/* One lookup further: tN is the row that column of the row `row` points to. */
static void follow(struct parser *p, const struct nav *nav, struct text *from, struct text *on,
		   char row[8])
{
	char alias[8];

	snprintf(alias, sizeof alias, "t%d", ++p->next_alias % 100000);
	text_printf(from, "%s \"%s\" %s", from->data ? "," : " FROM", nav->target->name, alias);
	text_printf(on, "%s %s.\"%s\" = %s.\"%s\" AND %s.\"%s__table\" = '%s'",
		    on->data ? " AND" : " WHERE", alias, nav->target->id, row, nav->column->name,
		    row, nav->column->name, nav->target->name);
	memcpy(row, alias, sizeof alias);
}

static bool path_steps(struct parser *p, const char *s, const char *end, struct text *from,
		       struct text *on, struct operand *o)
{
	struct scope *scope = &p->scopes[0];
	const char *slash = memchr(s, '/', (size_t)(end - s));
	struct table *t;
	char row[8];

	if (slash && scope_of(p, s, (size_t)(slash - s))) {
		scope = scope_of(p, s, (size_t)(slash - s));
		s = slash + 1;
	}
	t = scope->t;
	memcpy(row, scope->alias, sizeof row);
	while ((slash = memchr(s, '/', (size_t)(end - s)))) {
		struct nav nav;
		if (!nav_find(&p->q->d->store, t, s, (size_t)(slash - s), &nav))
			return query_no_property(p->rep, t->name, s, (size_t)(slash - s));
		s = slash + 1;
		bool any = end - s == 3 && !strncmp(s, "any", 3);
		bool all = end - s == 3 && !strncmp(s, "all", 3);
		if (nav.kind == NAV_ONE) {
			follow(p, &nav, from, on, row);
			t = nav.target;
		} else if (!any && !all) {
			return query_fail(p->rep,
					  "The parent value for a property access of a property "
					  "'%.*s' is not a single value. Property access can only "
					  "be applied to a single value.",
					  (int)(end - s), s);
		} else if (from->data) {
			api_not_implemented(p->rep, "any and all behind a lookup in $filter");
			return false;
		} else {
			return lambda(p, &nav, row, all, o);
		}
	}
	struct column *c = table_property(t, s, (size_t)(end - s));
	if (!c)
		return query_no_property(p->rep, t->name, s, (size_t)(end - s));
	struct text sql = {0};
	text_printf(&sql, "%s%s.\"%s\"%s%s%s", from->data ? "(SELECT " : "", row, c->name,
		    text_string(from), text_string(on), from->data ? ")" : "");
	*o = (struct operand){.kind = kind_of(c), .sql = sql.data, .column = c};
	return true;
}

static bool path(struct parser *p, const char *s, size_t n, struct operand *o)
{
	struct text from = {0}, on = {0};
	bool good = path_steps(p, s, s + n, &from, &on, o);

	free(from.data);
	free(on.data);
	return good;
}

/* "@p1"; "parameter aliases can't be used inside $expand" */
static bool alias_name(struct parser *p, char *name, size_t size)
{
	size_t n = 1;

	while (!word_end(p->at[n]) && p->at[n] != '/')
		n++;
	if (n >= size)
		return syntax(p);
	snprintf(name, size, "%.*s", (int)n, p->at);
	p->at += n;
	return p->aliases || query_fail(p->rep, "Parameter alias '%s' can't be used here.", name);
}

/* ---- functions ----------------------------------------------------------------------------------- */

static bool parse_operand(struct parser *p, struct operand *o);

/* The SQL of an operand; a literal is bound now. */
static const char *sql_of(struct parser *p, struct operand *o)
{
	if (!o->sql && o->literal) {
		struct text sql = {0};
		int n = where_bind(&p->q->where, o->literal);
		o->literal = NULL;
		if (n)
			text_printf(&sql, "?%d", n);
		else
			text_puts(&sql, "NULL");
		o->sql = sql.data;
	}
	return o->sql ? o->sql : "NULL";
}

/* contains, startswith, endswith: the value may hold wildcards, as in the product. */
static bool text_function(struct parser *p, const char *name, struct operand *o)
{
	struct operand a = {0}, b = {0};
	bool good = parse_operand(p, &a) && (punct(p, ',') || syntax(p)) && parse_operand(p, &b) &&
		    (punct(p, ')') || syntax(p));

	if (good &&
	    ((a.kind != K_TEXT && a.kind != K_NULL) || (b.kind != K_TEXT && b.kind != K_NULL)))
		good =
		    query_fail(p->rep,
			       "No function signature for the function with name '%s' matches "
			       "the specified arguments. The function signatures considered are: "
			       "%s(Edm.String Nullable=true, Edm.String Nullable=true).",
			       name, name);
	if (good) {
		struct text sql = {0};
		text_printf(&sql, "wild(%s, ", sql_of(p, &a));
		text_printf(&sql, "%s%s%s)", *name != 's' ? "'%'||" : "", sql_of(p, &b),
			    *name != 'e' ? "||'%'" : "");
		*o = (struct operand){.kind = K_CONDITION, .sql = sql.data};
	}
	operand_free(&a);
	operand_free(&b);
	return good;
}

static const char *collation(enum kind kind)
{
	return kind == K_TEXT ? " COLLATE FOLD" : kind == K_NUMBER ? " COLLATE AMOUNT" : "";
}

/* One of the values of PropertyValues, as the column compares; they are strings, whatever the
 * column is. */
static bool crm_value(struct parser *p, const struct column *c, struct text *values, int *count)
{
	enum kind kind = kind_of(c);
	char *value;

	blanks(p);
	if (*p->at != '\'' && *p->at != '"')
		return query_fail(p->rep, "PropertyValues wants strings, ['1','2'].");
	value = quoted(p, *p->at);
	if (!value)
		return syntax(p);
	if (kind == K_GUID || kind == K_NUMBER || kind == K_TIME) {
		struct operand o = {0};
		bool fits = bare_literal(value, strlen(value), &o) && o.literal;
		if (fits && kind == K_TIME && o.kind == K_DATE) {
			struct text day = {0};
			text_printf(&day, "%sT00:00:00Z", o.literal);
			free(o.literal);
			o.literal = day.data;
			o.kind = K_TIME;
		}
		fits = fits && o.kind == kind;
		free(value);
		value = fits ? o.literal : NULL;
		if (!fits)
			free(o.literal);
		if (!value)
			return query_fail(p->rep,
					  "A value of PropertyValues is not of the type of "
					  "'%s'.",
					  c->name);
	}
	int n = where_bind(&p->q->where, value);
	if (!n)
		return query_fail(p->rep, "Too many values in '$filter'.");
	text_printf(values, "%s?%d", (*count)++ ? "," : "", n);
	return true;
}

static const char *const crm_functions[] = {"In",	  "NotIn",	   "Between",
					    "NotBetween", "ContainValues", "DoesNotContainValues"};

/* The first and, if there are several, the last parameter of "?1,?2". */
static void crm_sql(const char *name, const struct column *c, const char *alias, int count,
		    char *values, struct text *sql)
{
	const char *col = collation(kind_of(c));
	bool negated = strstr(name, "Not") != NULL;

	if (strstr(name, "In")) {
		text_printf(sql, "%s.\"%s\"%s %sIN (%s)", alias, c->name, col,
			    negated ? "NOT " : "", values);
	} else if (strstr(name, "Between")) {
		char *comma = strchr(values, ',');
		*comma = 0;
		text_printf(sql, "%s.\"%s\"%s %sBETWEEN %s AND %s", alias, c->name, col,
			    negated ? "NOT " : "", values, comma + 1);
	} else {
		char *at = values;
		text_printf(sql, "%s(0", negated ? "NOT " : "");
		for (int i = 0; i < count; i++) {
			size_t n = strcspn(at, ",");
			text_printf(sql,
				    " OR instr(','||coalesce(%s.\"%s\",'')||',', ','||%.*s||',')",
				    alias, c->name, (int)n, at);
			at += n + (at[n] == ',');
		}
		text_puts(sql, ")");
	}
}

/* A parameter that is an alias, PropertyName=@p1, is read where its value stands; leave_alias() comes
 * back.  One without a value is null, which no function takes. */
struct place {
	char *value; /* of the alias */
	const char *at, *start;
};

static bool enter_alias(struct parser *p, struct place *back)
{
	char name[80];

	*back = (struct place){0};
	blanks(p);
	if (*p->at != '@')
		return true;
	if (!alias_name(p, name, sizeof name))
		return false;
	back->value = query_get(p->q->req, name);
	if (!back->value)
		return query_fail(p->rep, "The parameter alias '%s' has no value.", name);
	back->at = p->at;
	back->start = p->start;
	p->at = p->start = back->value;
	return true;
}

static bool leave_alias(struct parser *p, struct place *back, bool good)
{
	if (!back->value)
		return good;
	blanks(p);
	if (good && *p->at)
		good = query_fail(p->rep, "The value of a parameter alias is not a literal.");
	p->at = back->at;
	p->start = back->start;
	free(back->value);
	return good;
}

static bool crm_property(struct parser *p, const struct scope *scope, struct column **c)
{
	char *property = NULL;
	struct place back;
	bool good =
	    ((keyword(p, "PropertyName") && punct(p, '=')) || syntax(p)) && enter_alias(p, &back);

	if (!good)
		return false;
	if (*p->at == '\'')
		property = quoted(p, '\'');
	if (!property)
		good = syntax(p);
	else if (!(*c = table_property(scope->t, property, strlen(property))) &&
		 !(*c = table_column(scope->t, property)))
		good = query_no_property(p->rep, scope->t->name, property, strlen(property));
	free(property);
	return leave_alias(p, &back, good);
}

static bool crm_values(struct parser *p, const struct column *c, struct text *values, int *count)
{
	struct place back;
	bool good =
	    ((punct(p, ',') && keyword(p, "PropertyValues") && punct(p, '=')) || syntax(p)) &&
	    enter_alias(p, &back);

	if (!good)
		return false;
	good = punct(p, '[') || syntax(p);
	while (good) {
		good = crm_value(p, c, values, count);
		if (!punct(p, ','))
			break;
	}
	good = good && (punct(p, ']') || syntax(p));
	return leave_alias(p, &back, good);
}

/* Microsoft.Dynamics.CRM.In(PropertyName='x',PropertyValues=['1','2']) */
static bool crm_function(struct parser *p, const char *name, struct operand *o)
{
	struct text values = {0}, sql = {0};
	struct scope *scope = &p->scopes[p->scope_count - 1];
	struct column *c = NULL;
	bool good;
	int count = 0;

	good = crm_property(p, scope, &c) && crm_values(p, c, &values, &count) &&
	       (punct(p, ')') || syntax(p));
	if (good && strstr(name, "Between") && count != 2)
		good = query_fail(p->rep, "%s wants two values.", name);
	if (good && strstr(name, "ContainValues") && c->type != T_CHOICES)
		good = query_fail(p->rep, "%s is for columns of the type choices; '%s' is none.",
				  name, c->name);
	if (good) {
		crm_sql(name, c, scope->alias, count, values.data, &sql);
		*o = (struct operand){.kind = K_CONDITION, .sql = sql.data};
	}
	free(values.data);
	return good;
}

static bool function(struct parser *p, const char *name, struct operand *o)
{
	static const char crm[] = "Microsoft.Dynamics.CRM.";
	char what[120];

	p->at++;
	if (!strcmp(name, "contains") || !strcmp(name, "startswith") || !strcmp(name, "endswith"))
		return text_function(p, name, o);
	if (!strncmp(name, crm, sizeof crm - 1))
		for (size_t i = 0; i < sizeof crm_functions / sizeof *crm_functions; i++)
			if (!strcmp(name + sizeof crm - 1, crm_functions[i]))
				return crm_function(p, crm_functions[i], o);
	snprintf(what, sizeof what, "the function %.80s in $filter", name);
	api_not_implemented(p->rep, what);
	return false;
}

/* ---- operands and operators ---------------------------------------------------------------------- */

static bool parse_alias(struct parser *p, struct operand *o)
{
	char name[80];

	if (!alias_name(p, name, sizeof name))
		return false;
	char *value = query_get(p->q->req, name);
	if (!value) { /* one without a value is null */
		*o = (struct operand){.kind = K_NULL};
		return true;
	}
	bool good;
	if (*value == '\'') {
		const char *back = p->at;
		p->at = value;
		char *s = quoted(p, '\'');
		good = s && !*p->at;
		*o = (struct operand){.kind = K_TEXT, .literal = s};
		p->at = back;
	} else {
		good = bare_literal(value, strlen(value), o);
	}
	if (!good) {
		operand_free(o);
		query_fail(p->rep, "The value of the parameter alias '%s' is not a literal.", name);
	}
	free(value);
	return good;
}

static bool parse_operand(struct parser *p, struct operand *o)
{
	struct text inner = {0};
	size_t n = 0;
	char name[120];

	blanks(p);
	if (*p->at == '\'') {
		o->kind = K_TEXT;
		o->literal = quoted(p, '\'');
		return o->literal || query_fail(p->rep, "There is an unterminated string literal "
							"in '$filter'.");
	}
	if (*p->at == '@')
		return parse_alias(p, o);
	if (punct(p, '(')) {
		bool good = parse_or(p, &inner) && (punct(p, ')') || syntax(p));
		if (!good) {
			free(inner.data);
			return false;
		}
		struct text sql = {0};
		text_printf(&sql, "(%s)", inner.data);
		free(inner.data);
		*o = (struct operand){.kind = K_CONDITION, .sql = sql.data};
		return true;
	}
	while (p->at[n] && !strchr(" (),'\t]=", p->at[n]))
		n++;
	if (!n)
		return syntax(p);
	const char *word = p->at;
	if (bare_literal(word, n, o)) {
		p->at += n;
		return true;
	}
	operand_free(o);
	p->at += n;
	bool is_path = memchr(word, '/', n) != NULL;
	if (*p->at == '(' && !is_path) {
		snprintf(name, sizeof name, "%.*s", (int)n, word);
		return function(p, name, o);
	}
	if (isdigit((unsigned char)*word))
		return query_fail(p->rep, "Unrecognized literal '%.*s' in '$filter'.",
				  (int)(n < 60 ? n : 60), word);
	return path(p, word, n, o);
}

static bool comparable(struct parser *p, struct operand *a, struct operand *b, const char *op)
{
	static const char *const kinds[][2] = {{"eq", "Equal"},	      {"ne", "NotEqual"},
					       {"gt", "GreaterThan"}, {"ge", "GreaterThanOrEqual"},
					       {"lt", "LessThan"},    {"le", "LessThanOrEqual"}};
	const char *kind = "";

	if (a->kind == K_NULL || b->kind == K_NULL || a->kind == b->kind)
		return true;
	/* a date literal beside a time is its midnight */
	struct operand *day = a->kind == K_DATE ? a : b, *time = a->kind == K_DATE ? b : a;
	if (day->kind == K_DATE && time->kind == K_TIME && day->literal) {
		struct text t = {0};
		text_printf(&t, "%sT00:00:00Z", day->literal);
		free(day->literal);
		day->literal = t.data;
		day->kind = K_TIME;
		return true;
	}
	for (size_t i = 0; i < 6; i++)
		if (!strcmp(op, kinds[i][0]))
			kind = kinds[i][1];
	return query_fail(p->rep,
			  "A binary operator with incompatible types was detected. Found operand "
			  "types '%s' and '%s' for operator kind '%s'.",
			  edm[a->kind], edm[b->kind], kind);
}

static bool compare(struct parser *p, struct operand *a, struct operand *b, const char *op,
		    struct text *out)
{
	static const char *const sql[][2] = {{"eq", "IS"}, {"ne", "IS NOT"}, {"gt", ">"},
					     {"ge", ">="}, {"lt", "<"},	     {"le", "<="}};
	const char *means = "";

	for (size_t i = 0; i < 6; i++)
		if (!strcmp(op, sql[i][0]))
			means = sql[i][1];
	if (a->kind == K_CONDITION || b->kind == K_CONDITION) {
		/* contains(..) eq true */
		struct operand *c = a->kind == K_CONDITION ? a : b, *v = c == a ? b : a;
		bool equal = !strcmp(op, "eq");
		if (v->kind != K_BOOLEAN || !v->literal || (!equal && strcmp(op, "ne"))) {
			api_not_implemented(p->rep, "such a comparison of conditions in $filter");
			return false;
		}
		bool positive = !strcmp(v->literal, "true") == equal;
		text_printf(out, "%s%s", positive ? "" : "NOT ", c->sql);
		return true;
	}
	if (!comparable(p, a, b, op))
		return false;
	enum kind kind = a->kind == K_NULL ? b->kind : a->kind;
	text_printf(out, "%s%s %s ", sql_of(p, a), collation(kind), means);
	text_puts(out, sql_of(p, b));
	return true;
}

static bool parse_comparison(struct parser *p, struct text *out)
{
	static const char *const ops[] = {"eq", "ne", "gt", "ge", "lt", "le"};
	struct operand a = {0}, b = {0};
	const char *op = NULL;

	if (++p->conditions > CONDITIONS_MAX)
		return query_fail(p->rep, "Number of conditions in query exceeded maximum limit.");
	bool good = parse_operand(p, &a);

	blanks(p);
	for (size_t i = 0; good && !op && i < 6; i++)
		if (keyword(p, ops[i]))
			op = ops[i];
	if (good && op)
		good = parse_operand(p, &b) && compare(p, &a, &b, op, out);
	else if (good && a.kind == K_CONDITION)
		text_puts(out, a.sql);
	else if (good && a.kind == K_BOOLEAN && a.column)
		text_printf(out, "%s IS 'true'", a.sql);
	else if (good)
		good = query_fail(p->rep, "The $filter expression must evaluate to a single "
					  "boolean value.");
	operand_free(&a);
	operand_free(&b);
	return good;
}

static bool parse_unary(struct parser *p, struct text *out)
{
	if (++p->depth > DEPTH_MAX)
		return query_fail(p->rep, "The $filter expression is nested too deeply.");
	bool good;
	if (keyword(p, "not")) {
		blanks(p);
		if (!strncmp(p->at, "Microsoft.Dynamics.CRM.", 23))
			return query_fail(p->rep, "'not' can't be used with Microsoft.Dynamics.CRM "
						  "functions; use the opposite function.");
		text_puts(out, "NOT (");
		good = parse_unary(p, out);
		text_puts(out, ")");
	} else {
		good = parse_comparison(p, out);
	}
	p->depth--;
	return good;
}

static bool parse_and(struct parser *p, struct text *out)
{
	bool good = parse_unary(p, out);

	while (good && keyword(p, "and")) {
		text_puts(out, " AND ");
		good = parse_unary(p, out);
	}
	return good;
}

static bool parse_or(struct parser *p, struct text *out)
{
	bool good = parse_and(p, out);

	while (good && keyword(p, "or")) {
		text_puts(out, " OR ");
		good = parse_and(p, out);
	}
	return good;
}

bool filter_parse(struct query *q, const char *s, bool aliases, struct reply *rep)
{
	struct parser p = {
	    .q = q, .rep = rep, .at = s, .start = s, .aliases = aliases, .scope_count = 1};
	struct text sql = {0};

	if (q->has_where)
		return query_twice(rep, "$filter");
	p.scopes[0] = (struct scope){.name = "", .t = q->t, .alias = "t0"};
	bool good = parse_or(&p, &sql);
	blanks(&p);
	if (good && *p.at)
		good = syntax(&p);
	if (good) {
		text_puts(&q->where.sql, sql.data);
		q->has_where = true;
	}
	free(sql.data);
	return good;
}
