/* Digests of files: some MB on a worker, a look at whether it is still wanted, the next. */
#include "base/codec.h"
#include "base/mem.h"
#include "run/offload.h"
#include "store/files_inside.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <unistd.h>

enum { READ_ROOM = 256 * 1024, DIGEST_MOST = 64, SLICE = 8 << 20 };

static const gnutls_digest_algorithm_t digests[FILE_HASHES] = {
        [HASH_MD5] = GNUTLS_DIG_MD5,
        [HASH_SHA1] = GNUTLS_DIG_SHA1,
        [HASH_SHA256] = GNUTLS_DIG_SHA256,
        [HASH_SHA512] = GNUTLS_DIG_SHA512,
};

struct hashing {
        int fd;
        uint64_t at, to;
        enum file_hash how;
        gnutls_hash_hd_t digest;
        uint32_t crc;
        char *room;
        bool ended;
};

static int hash_slice(void *arg)
{
        struct hashing *h = arg;
        uint64_t stop = h->to - h->at > SLICE ? h->at + SLICE : h->to;

        while (h->at < stop && !h->ended) {
                size_t want = stop - h->at < READ_ROOM ? (size_t)(stop - h->at) : READ_ROOM;
                ssize_t n = pread(h->fd, h->room, want, (off_t)h->at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                h->ended = n == 0;
                h->at += (uint64_t)n;
                if (h->how == HASH_CRC32)
                        h->crc = crc32_of(h->crc, str_from(h->room, (size_t)n));
                else if (gnutls_hash(h->digest, h->room, (size_t)n) < 0)
                        return -EIO;
        }
        return 0;
}

static int hash_all(struct hashing *h, hash_progress_fn *progress, void *context)
{
        int rc = 0;

        while (!rc && h->at < h->to && !h->ended) {
                rc = offload(LONG, hash_slice, h);
                if (!rc && progress && !progress(context, h->at))
                        rc = -ECANCELED;
        }
        return !rc && h->ended ? -ERANGE : rc; /* it has become shorter */
}

static void put_result(struct hashing *h, struct buf *hex)
{
        unsigned char out[DIGEST_MOST];
        size_t n = 4;

        if (h->how == HASH_CRC32) {
                for (unsigned i = 0; i < 4; i++)
                        out[i] = (unsigned char)(h->crc >> (24 - 8 * i));
        } else {
                n = gnutls_hash_get_len(digests[h->how]);
                gnutls_hash_output(h->digest, out);
        }
        hex_put(hex, str_from(out, n));
}

int file_hash(struct root *r, struct str path, enum file_hash how, uint64_t from, uint64_t to,
              hash_progress_fn *progress, void *context, struct buf *hex)
{
        struct hashing h = { .at = from, .to = to, .how = how };
        struct file_facts facts;
        struct file *f;
        int rc;

        if (how >= FILE_HASHES || from > to)
                return -EINVAL;
        rc = file_open(r, path, &f, &facts);
        if (rc)
                return rc;
        h.fd = file_descriptor(f);
        h.to = to < UINT64_MAX ? to : facts.size; /* what is added meanwhile is not asked for */
        if (how != HASH_CRC32 && gnutls_hash_init(&h.digest, digests[how]) < 0) {
                file_close(&f);
                return -EIO;
        }
        h.room = mem_alloc(READ_ROOM);
        rc = hash_all(&h, progress, context);
        if (!rc)
                put_result(&h, hex);
        mem_free(h.room);
        if (how != HASH_CRC32)
                gnutls_hash_deinit(h.digest, NULL);
        file_close(&f);
        return rc;
}
