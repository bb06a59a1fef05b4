#include "store/body.h"
#include "base/codec.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* The file: frames one after another, each a zstd frame of FRAME bytes (the last of fewer) with zstd's checksum; then
 *
 *   stored size of each frame, u32 | struct tail
 *
 * What does not shrink zstd keeps raw inside its frame. The level is one of the fast ones: text shrinks to a fifth at
 * 1 GB/s; base64 stays as it is, which costs a quarter more disk than the first ordinary level would and a tenth of its
 * time, writing and reading. */
enum { FRAME = 64 * 1024, LEVEL = -1, FRAMES_MAX = 1 << 20, POOL_MAX = 4 };

static const char magic[8] = { 'P', 'A', 'I', 'L', 'B', 'D', 'Y', '1' };
struct tail {
        uint64_t size; /* of the letter */
        uint32_t frames;
        uint32_t sum; /* CRC-32 of the index, size and frames */
        char magic[8];
};
_Static_assert(sizeof(struct tail) == 24, "as it lies on disk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the store's files are little-endian");

/* What packing and unpacking need: 600 KB, so a few are shared by all. */
struct packer {
        ZSTD_CCtx *c;
        ZSTD_DCtx *d;
        char *stored, *plain;
        struct packer *next;
};
static struct packer *pool;
static unsigned pooled;
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;

static struct packer *packer_take(void)
{
        struct packer *p;

        pthread_mutex_lock(&pool_lock);
        p = pool;
        if (p) {
                pool = p->next;
                pooled--;
        }
        pthread_mutex_unlock(&pool_lock);
        if (p)
                return p;
        p = mem_new(struct packer);
        p->c = ZSTD_createCCtx();
        p->d = ZSTD_createDCtx();
        if (!p->c || !p->d)
                mem_die("out of memory");
        ZSTD_CCtx_setParameter(p->c, ZSTD_c_compressionLevel, LEVEL);
        ZSTD_CCtx_setParameter(p->c, ZSTD_c_checksumFlag, 1);
        p->stored = mem_alloc(ZSTD_compressBound(FRAME) + 64);
        p->plain = mem_alloc(FRAME);
        return p;
}

static void packer_give(struct packer *p)
{
        pthread_mutex_lock(&pool_lock);
        if (pooled < POOL_MAX) {
                p->next = pool;
                pool = p;
                pooled++;
                p = NULL;
        }
        pthread_mutex_unlock(&pool_lock);
        if (!p)
                return;
        ZSTD_freeCCtx(p->c);
        ZSTD_freeDCtx(p->d);
        mem_free(p->stored);
        mem_free(p->plain);
        mem_free(p);
}

static size_t stored_max(void)
{
        return ZSTD_compressBound(FRAME) + 64;
}

struct body_stage {
        int dir, fd;
        char name[256];
        char *plain; /* of the frame being gathered */
        size_t n;
        uint64_t size; /* of the letter so far */
        off_t at;      /* of the file */
        struct buf index;
        int error; /* sticky */
};

int body_stage_open(struct body_stage **out, int dir, const char *name)
{
        struct body_stage *b;
        int fd = disk_create(dir, name, 0);

        *out = NULL;
        if (fd < 0)
                return fd;
        b = mem_new(struct body_stage);
        b->dir = dir;
        b->fd = fd;
        mem_copy(b->name, sizeof b->name - 1, str_of(name));
        b->plain = mem_alloc(FRAME);
        buf_init(&b->index, FRAMES_MAX * sizeof(uint32_t) + sizeof(struct tail));
        *out = b;
        return 0;
}

static int write_at(struct body_stage *b, const void *p, size_t n)
{
        struct iovec v = { (void *)p, n };
        int rc = disk_pwritev(b->fd, &v, 1, b->at);

        b->at += (off_t)n;
        return rc;
}

static int put_frame(struct body_stage *b)
{
        struct packer *p = packer_take();
        size_t n = ZSTD_compress2(p->c, p->stored, stored_max(), b->plain, b->n);
        int rc = ZSTD_isError(n) ? -EIO : write_at(b, p->stored, n);

        packer_give(p);
        if (!rc && !buf_u32(&b->index, (uint32_t)n))
                rc = -EFBIG;
        b->n = 0;
        return rc;
}

int body_stage_put(struct body_stage *b, struct str piece)
{
        while (piece.n && !b->error) {
                size_t n = piece.n < FRAME - b->n ? piece.n : FRAME - b->n;

                mem_copy(b->plain + b->n, FRAME - b->n, str_sub(piece, 0, n));
                b->n += n;
                b->size += n;
                piece = str_from_at(piece, n);
                if (b->n == FRAME)
                        b->error = put_frame(b);
        }
        return b->error;
}

int body_stage_finish(struct body_stage *b)
{
        struct tail t = { .size = b->size };

        if (!b->error && b->n)
                b->error = put_frame(b);
        if (b->error)
                return b->error;
        t.frames = (uint32_t)(b->index.n / sizeof(uint32_t));
        t.sum = crc32_of(crc32_of(0, buf_str(&b->index)), str_from(&t, 12));
        mem_copy(t.magic, sizeof t.magic, str_from(magic, sizeof magic));
        buf_put(&b->index, &t, sizeof t);
        b->error = b->index.full ? -EFBIG : write_at(b, b->index.p, b->index.n);
        if (!b->error)
                b->error = disk_datasync(b->fd);
        return b->error;
}

void body_stage_close(struct body_stage **bp, bool keep)
{
        struct body_stage *b = *bp;

        *bp = NULL;
        if (!b)
                return;
        close(b->fd);
        if (!keep)
                disk_unlink(b->dir, b->name);
        buf_free(&b->index);
        mem_free(b->plain);
        mem_free(b);
}

uint64_t body_stage_size(const struct body_stage *b)
{
        return b->size;
}

void body_name(uint64_t id, char name[static 24])
{
        snprintf(name, 24, "%016llx", (unsigned long long)id);
}

static bool same_file(int a_dir, const char *a, int b_dir, const char *b)
{
        struct stat s, t;

        return !fstatat(a_dir, a, &s, AT_SYMLINK_NOFOLLOW) && !fstatat(b_dir, b, &t, AT_SYMLINK_NOFOLLOW) &&
               s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

/* For a file system without hard links, and for the 65,001st account on ext4. */
static int copy(int from_dir, const char *from, int to_dir, const char *to)
{
        struct packer *p = packer_take();
        int in = disk_open(from_dir, from, O_RDONLY), out = in < 0 ? in : disk_create(to_dir, to, 0);
        int rc = out < 0 ? out : 0;
        ssize_t n = 0;

        for (off_t at = 0; !rc && (n = pread(in, p->plain, FRAME, at)) > 0; at += n)
                rc = disk_pwritev(out, &(struct iovec){ p->plain, (size_t)n }, 1, at);
        if (!rc && n < 0)
                rc = -errno;
        if (!rc)
                rc = disk_datasync(out);
        if (out >= 0)
                close(out);
        if (in >= 0)
                close(in);
        if (rc && out >= 0)
                disk_unlink(to_dir, to);
        packer_give(p);
        return rc;
}

int body_link(int from_dir, const char *from, int bodies_dir, uint64_t id)
{
        char name[24];
        int rc;

        body_name(id, name);
        rc = disk_link(from_dir, from, bodies_dir, name);
        if (rc ==
            -EEXIST) { /* left by a transaction that did not commit; a committed id is never linked again */
                if (same_file(from_dir, from, bodies_dir, name))
                        return 0;
                rc = disk_unlink(bodies_dir, name);
                if (!rc)
                        rc = disk_link(from_dir, from, bodies_dir, name);
        }
        if (rc == -EMLINK || rc == -EXDEV || rc == -EPERM || rc == -EOPNOTSUPP)
                rc = copy(from_dir, from, bodies_dir, name);
        return rc;
}

int body_drop(int bodies_dir, uint64_t id)
{
        char name[24];

        body_name(id, name);
        return disk_unlink(bodies_dir, name);
}

static int read_all(int fd, void *to, size_t n, off_t at)
{
        char *p = to;

        while (n) {
                ssize_t got = pread(fd, p, n, at);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got ? -errno : -EBADMSG;
                p += got;
                n -= (size_t)got;
                at += got;
        }
        return 0;
}

/* The tail, and the index if asked for (mem_free it). */
static int read_index(int fd, struct tail *t, uint32_t **index)
{
        struct stat s;
        uint32_t *sizes;
        size_t bytes;
        int rc;

        if (fstat(fd, &s) < 0)
                return -errno;
        if (s.st_size < (off_t)sizeof *t)
                return -EBADMSG;
        rc = read_all(fd, t, sizeof *t, s.st_size - (off_t)sizeof *t);
        if (rc)
                return rc;
        bytes = t->frames * sizeof(uint32_t);
        if (!str_eq(str_from(t->magic, sizeof t->magic), str_from(magic, sizeof magic)) ||
            t->frames > FRAMES_MAX || t->frames != t->size / FRAME + (t->size % FRAME != 0) ||
            s.st_size < (off_t)(sizeof *t + bytes))
                return -EBADMSG;
        sizes = mem_array(t->frames + 1, sizeof *sizes);
        rc = read_all(fd, sizes, bytes, s.st_size - (off_t)(sizeof *t + bytes));
        if (!rc && crc32_of(crc32_of(0, str_from(sizes, bytes)), str_from(t, 12)) != t->sum)
                rc = -EBADMSG;
        if (!rc && index)
                *index = sizes;
        else
                mem_free(sizes);
        return rc;
}

int body_size(int dir, const char *name, uint64_t *size)
{
        int fd = disk_open(dir, name, O_RDONLY), rc;
        struct tail t;

        if (fd < 0)
                return fd;
        rc = read_index(fd, &t, NULL);
        close(fd);
        *size = rc ? 0 : t.size;
        return rc;
}

/* One frame, whole, to p->plain. */
static int read_frame(int fd, struct packer *p, off_t at, uint32_t stored, size_t plain)
{
        int rc;

        if (stored > stored_max())
                return -EBADMSG;
        rc = read_all(fd, p->stored, stored, at);
        if (rc)
                return rc;
        return ZSTD_decompressDCtx(p->d, p->plain, FRAME, p->stored, stored) == plain ? 0 : -EBADMSG;
}

/* Gives bytes [from, from + n) to `put`, piece by piece. */
static int each_piece(int dir, const char *name, uint64_t from, size_t n,
                      int (*put)(void *to, struct str piece), void *to)
{
        int fd = disk_open(dir, name, O_RDONLY), rc;
        uint32_t *index = NULL;
        struct packer *p;
        struct tail t;
        off_t at = 0;

        if (fd < 0)
                return fd;
        rc = read_index(fd, &t, &index);
        p = packer_take();
        for (uint32_t i = 0; !rc && i < t.frames && n; at += index[i++]) {
                uint64_t start = (uint64_t)i * FRAME;
                size_t plain = t.size - start < FRAME ? (size_t)(t.size - start) : FRAME;
                struct str piece;

                if (from >= start + plain)
                        continue;
                rc = read_frame(fd, p, at, index[i], plain);
                piece = str_sub(str_from(p->plain, plain), (size_t)(from - start), n);
                if (!rc)
                        rc = put(to, piece);
                from += piece.n;
                n -= piece.n;
        }
        packer_give(p);
        mem_free(index);
        close(fd);
        return rc;
}

static int put_buf(void *to, struct str piece)
{
        return buf_puts(to, piece) ? 0 : -EFBIG;
}

int body_read(int dir, const char *name, uint64_t from, size_t n, struct buf *out)
{
        return each_piece(dir, name, from, n, put_buf, out);
}

static int put_file(void *to, struct str piece)
{
        int fd = *(int *)to;

        while (piece.n) {
                ssize_t done = write(fd, piece.p, piece.n);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done <= 0)
                        return done ? -errno : -EIO;
                piece = str_from_at(piece, (size_t)done);
        }
        return 0;
}

int body_map(int dir, const char *name, int scratch_dir, struct str *out)
{
        int fd = openat(scratch_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), rc;
        uint64_t size = 0;
        void *p;

        *out = S("");
        if (fd < 0)
                return -errno;
        rc = body_size(dir, name, &size);
        if (!rc)
                rc = each_piece(dir, name, 0, SIZE_MAX, put_file, &fd);
        if (!rc && size) {
                p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
                if (p == MAP_FAILED)
                        rc = -errno;
                else
                        *out = str_from(p, (size_t)size);
        }
        close(fd);
        return rc;
}

void body_unmap(struct str *s)
{
        if (s->n)
                munmap((void *)s->p, s->n);
        *s = S("");
}
