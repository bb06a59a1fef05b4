/* Trust on first use: the file, and the question. */
#include "cli/known.h"
#include "base/codec.h"
#include "cli/home.h"
#include "cli/terminal.h"
#include "run/offload.h"
#include <errno.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MOST = 4 * 1024 * 1024 };
#define FILE_NAME "known-certificates"

/* ---- the file ---- */

/* HOST PORT sha256:HEX SINCE; false: another row, or none of ours. */
static bool row(struct str line, const struct known *k, struct str *hex)
{
        struct str host, port, pin;
        uint64_t n;

        str_cut(&line, ' ', &host);
        str_cut(&line, ' ', &port);
        str_cut(&line, ' ', &pin);
        if (!str_ieq(host, str_of(k->host)) || !str_u64(port, &n) || n != k->port ||
            !str_starts(pin, S("sha256:")))
                return false;
        *hex = str_from_at(pin, 7);
        return hex->n == 64;
}

static int look(void *arg)
{
        struct known *k = arg;
        struct buf auto_buf text = { 0 };
        int folder = home_open(HOME_CONFIG, NULL, false), rc;
        struct str all, line, hex;

        if (folder < 0)
                return folder;
        buf_init(&text, FILE_MOST);
        rc = home_read(folder, FILE_NAME, &text);
        close(folder);
        all = buf_str(&text);
        while (rc == 0 && all.n) {
                struct buf auto_buf raw = { 0 };

                buf_init(&raw, sizeof(k->pin));
                str_cut(&all, '\n', &line);
                if (!row(line, k, &hex) || !hex_get(&raw, hex) || raw.n != sizeof(k->pin))
                        continue;
                for (size_t i = 0; i < sizeof(k->pin); i++)
                        k->pin[i] = (unsigned char)raw.p[i];
                return 1;
        }
        return rc;
}

/* All other rows, then ours; whole or not at all. Two that write at once: the last one's row stays, the other is asked again. */
static int keep(void *arg)
{
        struct known *k = arg;
        struct buf auto_buf text = { 0 }, auto_buf out = { 0 };
        int folder = home_open(HOME_CONFIG, NULL, true), rc;
        struct str all, line, hex;
        time_t t = time(NULL);
        struct tm tm;

        if (folder < 0)
                return folder;
        buf_init(&text, FILE_MOST);
        buf_init(&out, FILE_MOST);
        rc = home_read(folder, FILE_NAME, &text);
        for (all = buf_str(&text); (rc == 0 || rc == -ENOENT) && all.n;) {
                str_cut(&all, '\n', &line);
                if (!row(line, k, &hex))
                        buf_printf(&out, PRS "\n", STR(line));
        }
        buf_printf(&out, "%s %u sha256:", k->host, k->port);
        hex_put(&out, str_from(k->pin, sizeof(k->pin)));
        gmtime_r(&t, &tm);
        buf_printf(&out, " %04d-%02d-%02d\n", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
        if (rc == 0 || rc == -ENOENT)
                rc = out.full ? -EFBIG : home_write(folder, FILE_NAME, buf_str(&out));
        close(folder);
        return rc;
}

/* ---- what is wanted ---- */

static void want(struct known *k, enum tls_trust trust, const char *ca_file)
{
        k->name = str_of(k->host);
        k->want = (struct tls_wanted){ .trust = trust,
                                       .server_name = k->name,
                                       .names = &k->name,
                                       .name_count = 1,
                                       .ca_file = ca_file,
                                       .pin = trust == TRUST_PINNED ? k->pin : NULL };
}

void known_want(struct known *k, const char *host, unsigned port, enum known_policy policy,
                const char *ca_file)
{
        *k = (struct known){ .port = port, .policy = policy };
        snprintf(k->host, sizeof(k->host), "%s", host);
        if (policy == KNOWN_ANY)
                want(k, TRUST_NOTHING, ca_file);
        else
                want(k, offload(QUICK, look, k) == 1 ? TRUST_PINNED : TRUST_NAMES, ca_file);
}

/* ---- the question ---- */

bool known_asked(struct known *k, const struct tls_found *found)
{
        struct buf auto_buf text = { 0 };
        bool none = true;
        int rc;

        for (size_t i = 0; i < sizeof(found->fingerprint); i++)
                none = none && !found->fingerprint[i];
        k->changed = k->want.trust == TRUST_PINNED;
        if (none || k->policy != KNOWN_ASK)
                return false;
        buf_init(&text, 4096);
        buf_printf(&text, "The certificate of %s, port %u: ", k->host, k->port);
        terminal_safe(&text, str_of(found->why));
        buf_printf(&text, "\nIts SHA-256 fingerprint is ");
        for (size_t i = 0; i < sizeof(found->fingerprint); i++)
                buf_printf(&text, "%s%02X", i ? ":" : "", found->fingerprint[i]);
        if (k->changed)
                buf_printf(&text, "\nIT IS NOT THE ONE YOU SAID YES TO BEFORE. Somebody may be in between.");
        buf_printf(&text, "\nTrust this certificate from now on (y/N)? ");
        buf_u8(&text, 0);
        if (terminal_choose(text.p, "ny") != 'y')
                return false;
        for (size_t i = 0; i < sizeof(k->pin); i++)
                k->pin[i] = found->fingerprint[i];
        rc = offload(QUICK, keep, k);
        if (rc < 0)
                fprintf(stderr, "pail: " FILE_NAME ": %s; trusted this time only\n", strerror(-rc));
        want(k, TRUST_PINNED, k->want.ca_file);
        return true;
}
