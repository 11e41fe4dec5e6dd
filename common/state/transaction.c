/* transaction.c - see transaction.h. */
#include "transaction.h"

enum { INIT_MS = 15000 };

static enum result ended(const char *what, rd_kafka_error_t *e, struct error *err)
{
	enum result r = error_restart(err, rd_kafka_error_is_fatal(e) ? "fenced" : "transaction",
				      "%s: %s", what, rd_kafka_error_string(e));
	rd_kafka_error_destroy(e);
	return r;
}

enum result transaction_init(rd_kafka_t *producer, const volatile sig_atomic_t *stop,
			     struct error *err)
{
	rd_kafka_error_t *e;

	while ((e = rd_kafka_init_transactions(producer, INIT_MS))) {
		if (!rd_kafka_error_is_retriable(e) || *stop)
			return ended("starting transactions", e, err);
		rd_kafka_error_destroy(e);
	}
	return OK;
}

enum result transaction_begin(rd_kafka_t *producer, struct error *err)
{
	rd_kafka_error_t *e = rd_kafka_begin_transaction(producer);
	return e ? ended("beginning a transaction", e, err) : OK;
}

enum result transaction_abort(rd_kafka_t *producer, struct error *err)
{
	rd_kafka_error_t *e;

	while ((e = rd_kafka_abort_transaction(producer, -1))) {
		if (!rd_kafka_error_is_retriable(e))
			return ended("aborting a transaction", e, err);
		rd_kafka_error_destroy(e);
	}
	return OK;
}

/* What a broker says about a message or its topic, and says again however often it is asked. */
static bool refused(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_MSG:
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return true;
	default:
		return false;
	}
}

static enum result failed(rd_kafka_t *producer, const char *what, rd_kafka_error_t *e,
			  struct error *err)
{
	struct error worse;

	if (!rd_kafka_error_txn_requires_abort(e))
		return ended(what, e, err);
	bool for_good = refused(rd_kafka_error_code(e));
	if (for_good)
		error_restart(err, TRANSACTION_REFUSED, "%s: %s", what, rd_kafka_error_string(e));
	else
		error_retry(err, "aborted", "%s: %s", what, rd_kafka_error_string(e));
	rd_kafka_error_destroy(e);
	if (transaction_abort(producer, &worse) != OK && !for_good) {
		*err = worse;
		return FATAL;
	}
	return for_good ? FATAL : RETRY;
}

enum result transaction_commit(rd_kafka_t *producer, rd_kafka_t *consumer,
			       const rd_kafka_topic_partition_list_t *offsets, struct error *err)
{
	rd_kafka_error_t *e = NULL;

	if (offsets->cnt) {
		rd_kafka_consumer_group_metadata_t *group =
		    rd_kafka_consumer_group_metadata(consumer);
		do {
			rd_kafka_error_destroy(e);
			e = rd_kafka_send_offsets_to_transaction(producer, offsets, group, -1);
		} while (e && rd_kafka_error_is_retriable(e));
		rd_kafka_consumer_group_metadata_destroy(group);
		if (e)
			return failed(producer, "sending offsets", e, err);
	}
	do {
		rd_kafka_error_destroy(e);
		e = rd_kafka_commit_transaction(producer, -1);
	} while (e && rd_kafka_error_is_retriable(e));
	return e ? failed(producer, "committing", e, err) : OK;
}
