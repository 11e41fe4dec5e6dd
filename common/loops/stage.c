/* stage.c - see stage.h. */
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "arena.h"
#include "log.h"
#include "options.h"

volatile sig_atomic_t stage_stop;

static void on_signal(int signal)
{
	(void)signal;
	stage_stop = 1;
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

static void print_problems(const char *program, const struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		_cleanup_(freep) char *text = problem_text(problems, i);
		fprintf(stderr, "%s: %s\n", program, text);
	}
}

static const char *env(const char *name)
{
	return getenv(name);
}

/* ---- numbers ---------------------------------------------------------------------------------- */

static void collect(void *arg)
{
	struct stage *s = arg;

	process_look(&s->use);
	s->shown_ms = wall_now().ms;
}

static void count_stage(struct stage *s)
{
	static const int64_t one = 1;
	struct metrics *m = s->metrics = metrics_new(s->flow->name, s->program);

	s->started_ms = wall_now().ms;
	s->page = BUFFER(ENDPOINT_PAGE_MAX);
	metrics_value(m, METRIC_BUILD, TIDEWAY_VERSION, rd_kafka_version_str(), &one, NULL);
	metrics_value(m, METRIC_SHOWN_AT, NULL, NULL, &s->shown_ms, NULL);
	metrics_value(m, METRIC_START_TIME, NULL, NULL, &s->started_ms, NULL);
	metrics_value(m, METRIC_CPU, NULL, NULL, &s->use.cpu_ms, NULL);
	metrics_value(m, METRIC_RESIDENT, NULL, NULL, &s->use.resident_bytes, NULL);
	metrics_value(m, METRIC_VIRTUAL, NULL, NULL, &s->use.virtual_bytes, NULL);
	metrics_value(m, METRIC_OPEN_FILES, NULL, NULL, &s->use.open_files, NULL);
	metrics_value(m, METRIC_MAX_FILES, NULL, NULL, &s->use.max_files, NULL);
	for (int i = 0; i < HTTP_TARGETS; i++)
		metrics_tally(m, METRIC_REQUESTS, http_target(s->http, i),
			      http_statuses(s->http, i), NULL);
	metrics_collect(m, collect, s);
}

static void name_targets(struct http *h, const struct config *c)
{
	http_name_target(h, "registry", c->registry.url);
	http_name_target(h, "dataverse", c->dataverse.url);
	http_name_target(h, "dataverse-token", c->dataverse.credentials.token_url);
	http_name_target(h, "campaign", c->campaign.url);
	http_name_target(h, "campaign-token", c->campaign.credentials.token_url);
	http_name_target(h, "campaign-logs", c->logs.url);
}

/* A member that does not poll for so long has lost its place in the group, so it stands still. */
static enum result open_endpoint(struct stage *s, const char *where, struct error *err)
{
	int64_t still_ms =
	    strtoll(config_kafka(s->config, "max.poll.interval.ms", "300000"), NULL, 10);
	enum result r = endpoint_open(where, still_ms, &s->endpoint, err);

	if (r != OK)
		return r;
	stage_turn(s);
	log_info("metrics", "url", endpoint_url(s->endpoint), NULL);
	return OK;
}

void stage_turn(struct stage *s)
{
	mono_time now;

	if (!s->endpoint || (now = mono_now(), !endpoint_is_due(s->endpoint, now)))
		return;
	if (metrics_render(s->metrics, &s->page))
		endpoint_show(s->endpoint, &s->page, now);
}

void stage_log_counts(struct stage *s, const char *msg, bool gauges, int64_t *since)
{
	struct metrics_logged l;

	metrics_logged(s->metrics, gauges, since, &l);
	log_numbers(LOG_LEVEL_INFO, msg, l.names, l.values, l.count);
}

void stage_log_words(const char *msg, const char *name, const struct tally *t, struct tally *since)
{
	for (size_t i = 0; i < t->count; i++) { /* words keep their places */
		int64_t n = t->of[i].n - (since ? since->of[i].n : 0);
		if (n)
			log_info(msg, name, t->of[i].word, "count", log_int(n), NULL);
	}
	if (since)
		*since = *t;
}

/* ---- main ------------------------------------------------------------------------------------- */

static enum result prepare(struct stage *s, const struct stage_program *p,
			   const struct option_list *paths, const char *flow, struct error *err)
{
	struct problems problems = {0};

	s->config = config_load(paths->items, paths->count, env, CONFIG_CONNECTS, &problems);
	if (!s->config) {
		print_problems(p->name, &problems);
		size_t n = problems.count;
		problems_free(&problems);
		return error_config(err, "config", "%zu mistake%s in the configuration", n,
				    n == 1 ? "" : "s");
	}
	s->flow = config_flow(s->config, flow);
	if (!s->flow)
		return error_config(err, "config", "%s has no flow %s", s->config->path, flow);
	pipeline_of(s->config, s->flow, &s->pipeline);
	s->self = &s->pipeline.stages[p->position];
	if (strcmp(s->self->program, p->name))
		return error_config(err, "config",
				    "the flow %s is of kind %s; its stages are %s, %s and %s", flow,
				    flow_kind_name(s->flow->kind), s->pipeline.stages[0].program,
				    s->pipeline.stages[1].program, s->pipeline.stages[2].program);
	s->http = http_new("tideway/" TIDEWAY_VERSION, &stage_stop);
	s->registry = registry_new(s->http, s->config->registry.url,
				   s->config->registry.credentials.client_id,
				   s->config->registry.credentials.client_secret);
	s->wire = wire_new(s->registry);
	name_targets(s->http, s->config);
	count_stage(s);
	return OK;
}

static void release(struct stage *s)
{
	endpoint_close(s->endpoint);
	metrics_free(s->metrics);
	buffer_free(&s->page);
	mapping_free(s->mapping);
	table_free(s->table);
	resource_free(s->resource);
	wire_free(s->wire);
	registry_free(s->registry);
	http_free(s->http);
	config_free(s->config);
}

int stage_main(int argc, char **argv, const struct stage_program *p)
{
	static struct stage s;
	struct option_list paths = {0};
	const char *flow = NULL, *level_text = "info", *metrics = NULL;
	enum log_level level;
	struct error err = {0};
	struct option_spec specs[] = {
	    {.name = "config",
	     .arg = "FILE",
	     .help = "the configuration; a second one overrides",
	     .list = &paths},
	    {.name = "flow",
	     .arg = "NAME",
	     .help = "the flow to work for; no default",
	     .text = &flow},
	    {.name = "instance",
	     .arg = "NAME",
	     .help = "stable name of this process; default: none",
	     .text = &s.instance},
	    {.name = "log-level",
	     .arg = "LEVEL",
	     .help = "debug, info, warn or error; default: info",
	     .text = &level_text},
	    {.name = "metrics",
	     .arg = "PORT",
	     .help = "or HOST:PORT: serve /metrics there; default: none",
	     .text = &metrics},
	    {.name = "records",
	     .arg = "FILE",
	     .help = "map JSON lines, no broker; - is stdin; default: none",
	     .text = &s.records},
	    {0},
	};
	if (p->position != STAGE_TRANSFORM)
		specs[5] = (struct option_spec){0};
	struct option_table table = {
	    p->name, "", p->synopsis, specs,
	    "--instance NAME makes a restart quick: with the same name the process takes its\n"
	    "partitions and its open transaction back at once, instead of after the session\n"
	    "time-out. No two running processes may share a name.\n\n"
	    "--metrics PORT listens at 127.0.0.1; metrics are Prometheus', and /healthz is\n"
	    "there, too: deploy/METRICS.md.\n\n"
	    "The log is logfmt on stderr. SIGTERM stops cleanly.\n"
	    "exit status: 0 asked to stop, 100 do not restart (usage, configuration,\n"
	    "schema), 111 restart me (broker, registry or API away)."};

	catch_signals();
	switch (options_parse(&table, argc, argv, NULL, 0, NULL, &err)) {
	case OPTIONS_DONE:
		return EXIT_OK;
	case OPTIONS_BAD:
		fprintf(stderr, "%s: %s\n", p->name, err.text);
		return EXIT_PERMANENT;
	case OPTIONS_RUN:
		break;
	}
	if (!paths.count || !flow || !log_level_parse(level_text, &level)) {
		fprintf(stderr, "%s: %s; see %s --help\n", p->name,
			!paths.count ? "--config FILE is missing"
			: !flow	     ? "--flow NAME is missing"
				     : "--log-level wants debug, info, warn or error",
			p->name);
		return EXIT_PERMANENT;
	}
	s.program = p->name;
	log_setup(level, p->name, flow);
	record_limit_allocations();

	enum result r = prepare(&s, p, &paths, flow, &err);
	if (r == OK && metrics && !s.records)
		r = open_endpoint(&s, metrics, &err);
	if (r == OK)
		r = p->run(&s, p->arg, &err);
	int status = EXIT_OK;
	if (r != OK && !(stage_stop && r == RETRY)) {
		status = r == FATAL ? err.exit_code : EXIT_TEMPORARY;
		log_error("ends", "reason", err.reason, "error", err.text, "exit", log_int(status),
			  NULL);
	} else if (!s.records) {
		log_info("stopped", NULL);
	}
	release(&s);
	return status;
}

enum result stage_mapping(struct stage *s, struct error *err)
{
	struct problems problems = {0};
	enum result r = table_load(s->config->metadata_dir, s->flow->table, &s->table, err);

	if (r == OK)
		r = resource_load(s->config->metadata_dir, s->flow->resource, &s->resource, err);
	if (r != OK)
		return r;
	s->mapping = mapping_compile(s->flow, s->table, s->resource, &problems);
	if (!s->mapping) {
		print_problems(s->program, &problems);
		r = error_config(err, "mapping", "%zu mistake%s in the mapping of flow %s",
				 problems.count, problems.count == 1 ? "" : "s", s->flow->name);
	}
	problems_free(&problems);
	return r;
}

enum result stage_require_topics(struct stage *s, rd_kafka_t *rk, struct error *err)
{
	struct topic_spec all[8], mine[8];
	size_t n = pipeline_topics(s->config, s->flow, all), m = 0;
	enum result r = kafka_wait_ready(rk, s->config, 10000, err);

	if (r != OK)
		return r;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].name, s->self->input) || !strcmp(all[i].name, s->self->output) ||
		    !strcmp(all[i].name, s->self->rejected) ||
		    (s->self == &s->pipeline.stages[STAGE_LOAD] && all[i].like >= 0))
			mine[m++] = all[i];
	return admin_require(rk, mine, m, err);
}

void stage_log_kafka(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	/* A user's setting goes to consumer and producer, and is for one of them. */
	if (!strcmp(facility, "CONFWARN"))
		level = 7;
	/* Connections that come and go are librdkafka's to mend; what ends the work is returned. */
	log_line(level <= 3   ? LOG_LEVEL_WARN
		 : level <= 5 ? LOG_LEVEL_INFO
			      : LOG_LEVEL_DEBUG,
		 "librdkafka", "facility", facility, "text", text, NULL);
}

int64_t stage_backoff_ms(unsigned attempt, uint32_t *seed)
{
	int64_t ms = 200;

	for (unsigned i = 1; i < attempt && ms < 30000; i++)
		ms *= 2;
	if (ms > 30000)
		ms = 30000;
	*seed = *seed * 1664525u + 1013904223u;
	return ms - ms / 5 + (int64_t)(*seed >> 8) % (ms * 2 / 5 + 1);
}

rd_kafka_resp_err_t stage_positions(rd_kafka_t *consumer,
				    rd_kafka_topic_partition_list_t *partitions)
{
	rd_kafka_resp_err_t code = rd_kafka_committed(consumer, partitions, 15000);

	for (int i = 0; !code && i < partitions->cnt; i++) {
		rd_kafka_topic_partition_t *p = &partitions->elems[i];
		if (p->err)
			code = p->err;
		else if (p->offset < 0)
			p->offset = RD_KAFKA_OFFSET_BEGINNING;
	}
	return code;
}

enum result stage_consumer_error(const rd_kafka_message_t *m, struct error *err)
{
	switch (m->err) {
	case RD_KAFKA_RESP_ERR__FATAL:
		return error_restart(err, "fenced", "consumer: %s", rd_kafka_message_errstr(m));
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		return error_config(err, "authorization", "consumer: %s",
				    rd_kafka_message_errstr(m));
	default:
		log_warn("consumer", "error", rd_kafka_message_errstr(m), NULL);
		return OK;
	}
}

enum result stage_offset_lost(const struct stage *s, const rd_kafka_message_t *m, struct error *err)
{
	return error_config(
	    err, "offset-lost",
	    "%s, partition %d: the committed offset is not in the topic any more, so "
	    "records were lost before they were read; `tideway replay` says where to go "
	    "on",
	    s->self->input, m->partition);
}

void stage_log_error(const char *msg, enum result r, const struct error *err)
{
	log_line(r == RETRY ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, msg, "result", result_name(r),
		 "reason", err->reason, "error", err->text, NULL);
}
