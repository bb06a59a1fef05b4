/* Where the bytes of letters lie; nobody else knows. Up to 64 KB in a row of the account's database; larger ones a
 * file in bodies/, zstd-compressed in frames of 64 KB with an index at the end so that a range is cheap (a frame that
 * does not shrink is kept raw), each with a checksum, hard-linked where several accounts get it.
 *
 * A staged body is such a file while it arrives, in intake/: put stream, then finish (durable when its data is
 * synced and its folder, which the log's flusher does), then linked into each account that gets it. */
#pragma once
#include "base/buf.h"
#include "store/disk.h"

#define BODY_INLINE_MAX (64 * 1024)

struct body_stage;
/* All of these block (files, compression): call them through offload(). */
int body_stage_open(struct body_stage **out, int dir, const char *name);
int body_stage_put(struct body_stage *b, struct str piece);
int body_stage_finish(struct body_stage *b); /* writes the index; fdatasync; the name is not yet durable */
void body_stage_close(struct body_stage **b, bool keep); /* keep false: unlinks */
uint64_t body_stage_size(const struct body_stage *b);    /* of the letter's bytes */

/* If the name stands there already, it is the same file (done), or was left by a transaction that did not commit
 * (replaced). Where no link can be made, a synced copy. The name is not yet durable. */
int body_link(int from_dir, const char *from, int bodies_dir, uint64_t id);
int body_drop(int bodies_dir, uint64_t id);
/* -EBADMSG: the file is damaged. */
int body_size(int dir, const char *name, uint64_t *size);
/* Appends bytes [from, from + n), as many as there are. -EFBIG: they do not fit out. */
int body_read(int dir, const char *name, uint64_t from, size_t n, struct buf *out);
/* The whole letter in memory that the kernel can take back: a file without a name in scratch_dir. */
int body_map(int dir, const char *name, int scratch_dir, struct str *out);
void body_unmap(struct str *s);
void body_name(uint64_t id, char name[static 24]);
