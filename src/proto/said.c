#include "proto/said.h"
#include "base/codec.h"

/* C1 control characters are two bytes in UTF-8, and terminals obey them. */
static bool control(const char *p, size_t left)
{
        unsigned char ch = (unsigned char)p[0];

        return ch < 32 || ch == 127 || (ch == 0xc2 && left > 1 && (unsigned char)p[1] < 0xa0);
}

void said_put(char *room, size_t size, struct str said)
{
        bool good = utf8_valid(said);
        size_t n = 0;

        for (size_t i = 0; i < said.n && n + 1 < size; i++) {
                unsigned char ch = (unsigned char)said.p[i];

                if (control(said.p + i, good ? said.n - i : 0)) {
                        room[n++] = ' ';
                        i += ch == 0xc2;
                } else {
                        room[n++] = (char)(ch > 127 && !good ? '?' : ch);
                }
        }
        if (said.n > n) /* the last character may be in half */
                while (n && !utf8_valid(str_from(room, n)))
                        n--;
        room[n] = 0;
}
