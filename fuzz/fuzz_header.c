/* Header fields, encoded words, dates, threads, and the trace fields that hostile names end in. */
#include "base/codec.h"
#include "base/mem.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/thread.h"
#include "mail/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

static void is_clean(struct str s, size_t most, const char *what)
{
        must(utf8_valid(s) && !str_has_control(s) && s.n <= most, what);
}

static void fields(struct arena *m, struct str s)
{
        struct header h = header_of(s);
        struct field f, found;
        size_t at = 0;

        while (header_next(&h, &f)) {
                must(f.at >= at && f.end > f.at && f.end <= s.n && h.at == f.end, "header: offsets");
                must(f.value.p >= s.p + f.at && f.value.p + f.value.n <= s.p + f.end,
                     "header: value outside its field");
                must(header_find(s, f.name, &found) && found.at <= f.at, "header: not found again");
                is_clean(word_decode(m, f.value), 3 * f.value.n, "header: words");
                at = f.end;
                arena_reset(m);
        }
        must(h.at == header_size(s), "header: two opinions about its size");
}

static void dates(struct str s)
{
        auto_buf struct buf b;
        int64_t seconds, again;
        int offset, same;

        buf_init(&b, 64);
        if (!date_parse(s, &seconds, &offset))
                return;
        must(date_put(&b, seconds, offset), "date: too long");
        if (seconds > -62135500000 && seconds < 253402200000)
                must(date_parse(buf_str(&b), &again, &same) && again == seconds && same == offset,
                     "date: changes");
}

static void threads(struct arena *m, struct str s)
{
        struct thread_keys k;
        struct str base;
        bool reply;

        thread_keys_of(&k, m, s);
        must(k.n <= THREAD_REFS_MAX, "thread: too many");
        for (unsigned i = 0; i < k.n; i++)
                for (unsigned j = 0; j <= i; j++)
                        must(k.refs[i] && k.refs[i] != k.own && (i == j || k.refs[i] != k.refs[j]),
                             "thread: twice");
        base = base_subject(m, s, &reply);
        is_clean(base, 3 * s.n, "subject: bytes");
        must(!base.n || (base.p[0] != ' ' && base.p[base.n - 1] != ' '), "subject: blanks left");
}

static void trace(struct str s)
{
        struct str third = str_sub(s, 0, s.n / 3), rest = str_from_at(s, s.n / 3), out, line;
        struct trace t = { third,         rest, s, rest, third, s, rest, third, third, (int64_t)s.n << 40,
                           (int)s.n - 500 };
        struct header h;
        struct field f;
        auto_buf struct buf b;

        buf_init(&b, 16 * 1024);
        must(trace_return_path(&b, third) && trace_received(&b, &t) &&
                 trace_complete(&b, S(""), third, rest, t.received, t.offset),
             "trace: too long");
        out = buf_str(&b);
        h = header_of(out);
        must(header_next(&h, &f) && str_eq(f.name, S("Return-Path")), "trace: Return-Path");
        must(header_next(&h, &f) && str_eq(f.name, S("Received")), "trace: Received");
        must(header_next(&h, &f) && str_eq(f.name, S("Date")), "trace: Date");
        must(header_next(&h, &f) && str_eq(f.name, S("Message-ID")), "trace: Message-ID");
        must(!header_next(&h, &f) && h.at == out.n, "trace: a field too many");
        while (str_cut(&out, '\n', &line))
                must(str_ends(line, S("\r")) && line.n <= 998, "trace: a line that is none");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str s = str_from(data, size);
        auto_arena struct arena m;

        arena_init(&m, 64 * 1024 * 1024);
        if (size > 256 * 1024)
                return 0;
        fields(&m, s);
        is_clean(word_decode(&m, s), 3 * size, "words");
        dates(s);
        threads(&m, s);
        trace(s);
        return 0;
}
