#include "letters.h"
#include "wire.h"

#include <stdarg.h>
#include <stdio.h>

enum { WORDS = 8000 };

struct text {
        char *out;
        size_t n, room;
        uint64_t dice;
};

static uint64_t throw(struct text * t)
{
        t->dice ^= t->dice << 13;
        t->dice ^= t->dice >> 7;
        t->dice ^= t->dice << 17;
        return t->dice;
}

static void __attribute__((format(printf, 2, 3))) put(struct text *t, const char *format, ...)
{
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(t->out + t->n, t->room - t->n, format, args);
        va_end(args);
        if (n < 0 || (size_t)n >= t->room - t->n)
                fatal("a letter is too long");
        t->n += (size_t)n;
}

/* Word k of the language, always the same: two to four syllables. */
static void put_word(struct text *t, unsigned k)
{
        static const char *const syllables[] = { "ba", "ke",  "lin", "mor", "sa", "tu",  "ver", "wi",
                                                 "xo", "zen", "pra", "dul", "fi", "gor", "ha",  "jes" };
        unsigned n = 2 + k % 3;

        for (unsigned i = 0; i < n; i++) {
                put(t, "%s", syllables[k % 16]);
                k = k / 16 + k % 7 + i;
        }
}

/* Common words often: the square of a throw. */
static void put_some_word(struct text *t)
{
        uint64_t a = throw(t) % 90, b = throw(t) % 90;

        put_word(t, (unsigned)(a * b % WORDS));
}

static void put_body(struct text *t, unsigned number, size_t until)
{
        size_t line = t->n;

        put(t, "The harbour of %u.\r\n", number);
        if (number % 100 == 3)
                put(t, "A zyzzyva sat there.\r\n");
        while (t->n < until) {
                put_some_word(t);
                if (t->n - line > 68) {
                        put(t, "\r\n");
                        line = t->n;
                } else {
                        put(t, " ");
                }
        }
        put(t, "\r\n");
}

size_t letter_make(unsigned number, size_t size, char *out, size_t room)
{
        struct text t = { out, 0, room, 0x9e3779b97f4a7c15 * (number + 1) };

        put(&t,
            "Received: from client.test (client.test [192.0.2.7]) by mx.bench.test with ESMTP id %08x;\r\n"
            "\tMon, 2 Nov 2026 %02u:%02u:%02u +0000\r\n",
            number, number / 3600 % 24, number / 60 % 60, number % 60);
        put(&t, "Date: Mon, 2 Nov 2026 %02u:%02u:%02u +0000\r\nFrom: \"", number / 3600 % 24,
            number / 60 % 60, number % 60);
        put_word(&t, number % 300);
        put(&t, " Sender\" <s%u@client.test>\r\nTo: Inbox <inbox@bench.test>", number % 300);
        if (number % 3 == 0)
                put(&t, ", Other <other%u@bench.test>", number % 50);
        put(&t, "\r\nSubject: ");
        if (number % 50 == 7)
                put(&t, "quokka ");
        for (int i = 0; i < 6; i++) {
                put_some_word(&t);
                put(&t, i < 5 ? " " : "\r\n");
        }
        put(&t, "Message-ID: <%08x.%u@client.test>\r\n", number * 2654435761u, number);
        if (number % 4 == 1)
                put(&t, "In-Reply-To: <%08x.%u@client.test>\r\n", (number - 1) * 2654435761u, number - 1);
        put(&t, "MIME-Version: 1.0\r\n");
        if (number % 7 == 2) {
                put(&t,
                    "Content-Type: multipart/alternative; boundary=\"b%u\"\r\n\r\n--b%u\r\n"
                    "Content-Type: text/plain; charset=utf-8\r\n\r\n",
                    number, number);
                put_body(&t, number, size / 2);
                put(&t, "--b%u\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>", number);
                put_body(&t, number, size - 60);
                put(&t, "</p></body></html>\r\n--b%u--\r\n", number);
        } else {
                put(&t, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
                put_body(&t, number, size - 10);
        }
        return t.n;
}
