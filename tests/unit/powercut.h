/* What a power cut would have left: the trace that disk_record wrote (store/disk.h), replayed up to a point.
 *
 *      disk_record(folder, trace);            // before the store is opened; powercut_base first if it holds anything
 *      ... work; note disk_recorded() at each promise ...
 *      disk_record(NULL, NULL);
 *      struct powercut *p = powercut_open(base, trace);
 *      powercut_leave(p, at, seed, other_folder);       // the first `at` operations happened, then the power went
 *      powercut_close(&p);
 *
 * What was synced is there. Of the writes not synced any subset of 4 KB sectors is, some of them torn; file sizes are
 * between what was synced and what was written. Names not synced (by their folder, or by syncfs) are there or not: half
 * of the seeds keep a prefix of them, as a journal does, the others any subset that respects renames. */
#pragma once
#include <stdint.h>

struct powercut;
/* base: a copy of the folder as it was when recording began, all of it durable; NULL: it was empty. */
struct powercut *powercut_open(const char *base, const char *trace);
void powercut_close(struct powercut **p);
uint64_t powercut_operations(const struct powercut *p);
void powercut_leave(struct powercut *p, uint64_t at, uint64_t seed, const char *folder); /* made if missing */
/* A deterministic stream of numbers below n, for workloads too. */
uint64_t powercut_random(uint64_t *seed, uint64_t n);
