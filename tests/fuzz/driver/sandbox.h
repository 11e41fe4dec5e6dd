/* sandbox.h - what a sandbox's fuzzer says about its sandbox. */
#ifndef FUZZ_SANDBOX_H
#define FUZZ_SANDBOX_H

struct fuzzed {
	const char *option, *folder; /* where its data files are */
	const char *token;	     /* the request for an access token */
	const char *rows[2];	     /* what there is from the beginning */
	int failure;		     /* the one 5xx that its handlers may answer with */
};
extern const struct fuzzed fuzzed;

#endif
