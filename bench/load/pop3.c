/* load-pop3: one connection: sign-in, STAT, UIDL, and RETR of all letters with --in-flight commands outstanding.
 * Prints: login_ms= open_ms= (PASS until the end of UIDL) stat_ms= uidl_ms= letters= retr_seconds= retr_per_second=
 * mb_per_second= */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
        static struct wire w;
        struct options o;
        double t0, t1, t2, t3, t4;
        size_t octets = 0;
        int letters, asked = 0, got = 0;

        options_parse(&o, argc, argv);
        wire_open(&w, &o);
        wire_expect(&w, "+OK");
        wire_say(&w, "USER %s\r\n", o.user);
        wire_expect(&w, "+OK");
        t0 = now_seconds();
        wire_say(&w, "PASS %s\r\n", o.password);
        wire_expect(&w, "+OK");
        t1 = now_seconds();
        wire_say(&w, "STAT\r\n");
        letters = (int)strtol(wire_line(&w) + 4, NULL, 10);
        t2 = now_seconds();
        wire_say(&w, "UIDL\r\n");
        wire_expect(&w, "+OK");
        wire_until_dot(&w);
        t3 = now_seconds();
        while (got < letters) {
                if (asked < letters && asked - got < o.in_flight) {
                        /* what is allowed in one go, in one write */
                        char line[4096];
                        int n = 0;

                        while (asked < letters && asked - got < o.in_flight && n < 4000)
                                n += snprintf(line + n, sizeof(line) - (size_t)n, "RETR %d\r\n", ++asked);
                        wire_send(&w, line, (size_t)n);
                }
                wire_expect(&w, "+OK");
                octets += wire_until_dot(&w);
                got++;
        }
        t4 = now_seconds();
        wire_say(&w, "QUIT\r\n");
        wire_expect(&w, "+OK");
        printf("login_ms=%.3f open_ms=%.3f stat_ms=%.3f uidl_ms=%.3f letters=%d retr_seconds=%.3f "
               "retr_per_second=%.0f mb_per_second=%.1f\n",
               (t1 - t0) * 1e3, (t3 - t0) * 1e3, (t2 - t1) * 1e3, (t3 - t2) * 1e3, letters, t4 - t3,
               letters / (t4 - t3), (double)octets / (t4 - t3) / 1e6);
        wire_close(&w);
        return 0;
}
