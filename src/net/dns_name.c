#include "net/dns.h"
#include "base/codec.h"
#include "base/scan.h"

enum { NAME_MOST = 255 };

struct str dns_name(struct arena *a, struct str *rdata)
{
        char text[NAME_MOST + 1];
        size_t n = 0, at = 0;

        for (;;) {
                unsigned length = at < rdata->n ? (unsigned char)rdata->p[at] : 64;

                if (length > 63 || at + 1 + length > rdata->n || n + length + 1 > NAME_MOST)
                        return (struct str){ 0 };
                at++;
                if (!length)
                        break;
                if (n)
                        text[n++] = '.';
                for (unsigned i = 0; i < length; i++) {
                        char c = chr_lower(rdata->p[at + i]);

                        if (c <= ' ' || c == '.' || c >= 127) /* no host has such a name */
                                return (struct str){ 0 };
                        text[n++] = c;
                }
                at += length;
        }
        *rdata = str_from_at(*rdata, at);
        return arena_str(a, str_from(text, n));
}
