/* faults.h - answers gone wrong on order, and the count of all answers. */
#ifndef SANDBOX_FAULTS_H
#define SANDBOX_FAULTS_H

#include "server.h"

struct fault {
	struct fault *next;
	int id;
	char *method, *path; /* NULL: any */
	int status;
	char *body;
	cJSON *headers;
	long delay_ms;
	bool after, torn, empty, close;
	long left; /* how often still; -1 for ever */
	double probability;
};

struct faults {
	struct fault *list, *retired;
	int last_id;
	struct rng rng;
};

/* False and why when the order is not understood: nothing is ignored. */
bool faults_add(struct faults *f, const char *json, int *id, char *why, size_t size);
/* No request is hit any more; those that were hit already, and still wait, keep what they got. */
void faults_clear(struct faults *f);
void faults_free(struct faults *f);
/* Draws: the fault that hits this request (its count is used up), or NULL. Valid to the end. */
const struct fault *faults_match(struct faults *f, const char *method, const char *path);

struct counts;
struct counts *counts_new(void);
void counts_free(struct counts *c);
void counts_add(struct counts *c, const char *route, const char *method, int status);
void counts_clear(struct counts *c);
cJSON *counts_json(const struct counts *c);

#endif
