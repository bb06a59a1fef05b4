/* The reader of the intake log, on whatever a disk may hold. The first byte says how the rest is laid out:
 *      0   the rest is the file
 *      1   a right head, then the rest
 *      2   a right head, then records made of the rest: length (1), kind (1), what to break (1), payload
 * so that what lies behind the sums is reached too. */
#include "base/arena.h"
#include "mail/envelope.h"
#include "store/intake_record.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ID 0x1234u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
        if (!good)
                abort();
}

/* How many of them must be found. */
static unsigned make_records(struct buf *file, uint32_t start, struct str rest)
{
        struct unpack u = unpack_of(rest);
        uint64_t sequence = 0;
        unsigned whole = 0;

        for (;;) {
                size_t length = unpack_u8(&u);
                uint8_t kind = unpack_u8(&u), broken = unpack_u8(&u);
                struct str payload = unpack_bytes(&u, length);
                struct record_head head = { .segment = ID, .sequence = ++sequence, .within = broken & 1 };
                size_t at = file->n;

                if (u.bad)
                        return whole;
                record_seal(&head, start, kind % 6, str_sub(payload, 0, length / 2),
                            str_from_at(payload, length / 2));
                buf_put(file, &head, sizeof head);
                buf_puts(file, payload);
                if (broken >= 128)
                        file->p[at + broken % (sizeof head + length)] ^= 0x10;
                else if (kind % 6 == RECORD_LETTER || kind % 6 == RECORD_SETTLED)
                        whole++;
        }
}

static unsigned read_all(int fd, struct arena *m)
{
        struct segment_reader r;
        struct record record, again;
        struct envelope e;
        struct buf bytes;
        uint64_t end = SEGMENT_START, sequence = 0;
        unsigned n = 0;

        buf_init(&bytes, RECORD_MAX + sizeof(struct record_head));
        if (segment_reader_open(&r, fd, ID) == 0)
                while (segment_next(&r, &record) == 1) {
                        check(record.offset >= end && record.length >= sizeof(struct record_head));
                        check(record.sequence > sequence);
                        end = record.offset + record.length;
                        sequence = record.sequence;
                        check(end <= r.size && r.end == end);
                        check(record.envelope.n + record.text.n <= record.length);
                        check(record_read(fd, ID, r.start, record.offset, record.length, &bytes, &again) ==
                              0);
                        check(again.sequence == sequence && str_eq(again.text, record.text));
                        arena_reset(m);
                        (void)!envelope_unpack(&e, m, record.envelope);
                        n++;
                }
        segment_reader_close(&r);
        buf_free(&bytes);
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct arena m;
        struct buf file;
        unsigned whole = 0;
        uint32_t start;
        int fd;

        if (!size)
                return 0;
        if (!m.max)
                arena_init(&m, 1 << 26);
        buf_init(&file, 1 << 24);
        if (data[0] % 3)
                segment_head_write(&file, ID, 99, &start);
        if (data[0] % 3 == 2)
                whole = make_records(&file, start, str_from(data + 1, size - 1));
        else
                buf_put(&file, data + 1, size - 1);
        fd = memfd_create("segment", MFD_CLOEXEC);
        check(fd >= 0 && write(fd, file.p, file.n) == (ssize_t)file.n);
        check(read_all(fd, &m) >= whole);
        close(fd);
        buf_free(&file);
        return 0;
}
