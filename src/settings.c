#include "settings_table.h"
#include "base/mem.h"
#include "base/scan.h"
#include <limits.h>
#include <unistd.h>

#define K     1024L
#define M     (1024 * K)
#define G     (1024 * M)
#define HOUR  3600L
#define DAY   (24 * HOUR)
#define AT(f) offsetof(struct settings, f)

/* A table reads by its lines, and the formatting tool stumbles over rows of different length. */
/* clang-format off */
const struct setting settings_table[] = {
        { "Who and where", TITLE },
        { "host-name", NAME, AT(host_name), "", 0, 0, "the name we greet with; empty: the machine's own" },
        { "host-names", TEXT, AT(host_names), "", 0, 0,
          "a name for each local address that has its own: \"127.0.0.2=town.com 127.0.0.5=mta13.adelphia.net\"" },
        { "data", TEXT, AT(data), "/var/lib/pail", 0, 0,
          "the folder that holds everything; its owner is who the roles run as when started as root", AT_START },
        { "listen", TEXT, AT(listen), "0.0.0.0 ::", 0, 0, "addresses to listen on", AT_START },
        { "smtp-port", NUMBER, AT(smtp_port), "25", 0, 65535, "mail from other hosts; 0: off, as for every port", AT_START },
        { "submission-port", NUMBER, AT(submission_port), "587", 0, 65535, "mail from users, STARTTLS", AT_START },
        { "submissions-port", NUMBER, AT(submissions_port), "465", 0, 65535, "mail from users, TLS from the start", AT_START },
        { "pop3-port", NUMBER, AT(pop3_port), "110", 0, 65535, "reading, STLS", AT_START },
        { "pop3s-port", NUMBER, AT(pop3s_port), "995", 0, 65535, "reading, TLS from the start", AT_START },
        { "imap-port", NUMBER, AT(imap_port), "143", 0, 65535, "mail kept at the server, STARTTLS", AT_START },
        { "imaps-port", NUMBER, AT(imaps_port), "993", 0, 65535, "mail kept at the server, TLS from the start", AT_START },
        { "ftp-port", NUMBER, AT(ftp_port), "21", 0, 65535, "files, AUTH TLS", AT_START },
        { "ftps-port", NUMBER, AT(ftps_port), "990", 0, 65535, "files, TLS from the start", AT_START },
        { "ftp-data-port", NUMBER, AT(ftp_data_port), "20", 0, 65535, "active data connections of ftp-port come from here; 0: from any port", AT_START },
        { "ftps-data-port", NUMBER, AT(ftps_data_port), "989", 0, 65535, "and those of ftps-port", AT_START },
        { "tls-certificate", TEXT, AT(tls_certificate), "", 0, 0,
          "PEM file with the chain; empty: keys/tls.pem in the data folder" },
        { "tls-key", TEXT, AT(tls_key), "", 0, 0, "PEM file; empty: keys/tls.key in the data folder" },
        { "workers", NUMBER, AT(workers), "0", 0, 64, "mail processes, and as many for files; 0: one a core", AT_START },

        { "Sign-in", TITLE },
        { "plaintext-login", CHOICE, AT(plaintext_login), "loopback", 0, 0,
          "where a password may travel without TLS", 0, { "loopback", "never", "always" } },
        { "auth-on-25", FLAG, AT(auth_on_25), "no", 0, 0, "users may sign in on the SMTP port too" },
        { "offer-scram", FLAG, AT(offer_scram), "no", 0, 0,
          "list SCRAM among the ways to sign in, and keep what it needs of each password that is set from now on; "
          "programs prefer it, and fail for accounts whose password is older" },
        { "trusted-addresses", TEXT, AT(trusted_addresses), "", 0, 0,
          "never slowed, never refused, besides loopback: \"192.168.1.0/24 2001:db8::/64\"" },
        { "ban-after", NUMBER, AT(ban_after), "20", 1, 1000000,
          "failed sign-ins from one address (IPv6: its /64) before it is refused" },
        { "ban-first", TIME, AT(ban_first), "5m", 1, 365 * DAY, "refused so long the first time, twice as long the next" },
        { "ban-most", TIME, AT(ban_most), "1d", 1, 365 * DAY, "and never longer than this" },
        { "signin-delay", TIME_MS, AT(signin_delay_ms), "250ms", 0, 5000,
          "the answer to a failed sign-in waits so long, twice as long each next time, at most 5 s" },

        { "SMTP", TITLE },
        { "max-letter-size", SIZE, AT(max_letter_size), "50M", 64 * K, 4 * G, "a larger letter is refused" },
        { "max-recipients", NUMBER, AT(max_recipients), "1000", 100, 10000, "of one letter (RFC 5321 wants 100)" },
        { "max-received", NUMBER, AT(max_received), "100", 10, 1000, "Received: fields before it is a loop" },
        { "data-min-rate", NUMBER, AT(data_min_rate), "100", 0, 1000000, "bytes a second that a letter must come with; 0: any" },
        { "data-rate-window", TIME, AT(data_rate_window), "1m", 1, HOUR, "measured over this time" },
        { "smtp-command-timeout", TIME, AT(smtp_command_timeout), "5m", 1, DAY, "waiting for a command" },
        { "smtp-data-timeout", TIME, AT(smtp_data_timeout), "10m", 1, DAY, "waiting for more of a letter" },
        { "max-errors", NUMBER, AT(max_errors), "20", 1, 1000000, "bad commands before goodbye" },
        { "refuse-own-sender-from-strangers", FLAG, AT(refuse_own_sender_from_strangers), "no", 0, 0,
          "who is not signed in may not use an address of ours as sender" },
        { "refuse-unmarked-8bit", FLAG, AT(refuse_unmarked_8bit), "no", 0, 0,
          "8-bit content without BODY=8BITMIME is refused, not marked" },
        { "bare-lf-mended", TEXT, AT(bare_lf_mended), "", 0, 0, "addresses whose lines may end with LF alone" },
        { "subaddress-separator", NAME, AT(subaddress_separator), "+", 0, 0,
          "jill+shop@ is jill@'s; several characters: each of them; empty: no subaddresses" },

        { "Sending", TITLE },
        { "routes", TEXT, AT(routes), "", 0, 0,
          "where a domain's mail goes, the first rule that fits: \"hamburger.edu=127.0.0.4:20025 .example.org=hold *=relay.example.net:587\"; "
          "HOST[:PORT] (by TLS if it can), smtp+tls:HOST (by verified TLS only), smtps:HOST (TLS from the start), lmtp:HOST, direct (its MX), hold; "
          "without a rule: direct" },
        { "hold-unrouted", FLAG, AT(hold_unrouted), "no", 0, 0, "letters to domains without a rule are held, not sent" },
        { "relay-passwords", TEXT, AT(relay_passwords), "", 0, 0, "a file of lines: HOST USER PASSWORD, for relays that want a sign-in", AT_START },
        { "resolver", TEXT, AT(resolver), "recursive", 0, 0,
          "recursive: ask from the root servers on, DNSSEC validated; system: as /etc/resolv.conf says; or addresses: \"192.0.2.1@53\"", AT_START },
        { "trust-anchors", TEXT, AT(trust_anchors), "/usr/share/dns/root.key", 0, 0, "files with DNSSEC trust anchors", AT_START },
        { "stub-zones", TEXT, AT(stub_zones), "", 0, 0, "zones whose servers are known: \"example.org=127.0.0.1@5300\"", AT_START },
        { "tls-authorities", TEXT, AT(tls_authorities), "", 0, 0, "PEM file of the authorities that sign other servers' certificates; empty: the system's", AT_START },
        { "dane", FLAG, AT(dane), "yes", 0, 0, "TLSA records of signed zones are obeyed (RFC 7672)" },
        { "mta-sts", FLAG, AT(mta_sts), "yes", 0, 0, "MTA-STS policies are fetched and obeyed (RFC 8461)" },
        { "sender-connections", NUMBER, AT(sender_connections), "500", 1, 20000, "to other servers at once" },
        { "sender-connections-per-domain", NUMBER, AT(sender_connections_per_domain), "20", 1, 1000, "and to those of one domain" },
        { "sender-reply-timeout", TIME, AT(sender_reply_timeout), "5m", 1, DAY,
          "waiting for another server's greeting or reply; DNS and connecting have it too, at most 30s and 1m; an answer to DATA two fifths of it, to a whole letter twice" },
        { "retry-first", TIME, AT(retry_first), "5m", 1, DAY, "a letter that was put off is tried again so long after, then half as long again each time" },
        { "retry-most", TIME, AT(retry_most), "4h", 1, 7 * DAY, "and never later than this" },
        { "max-queue-time", TIME, AT(max_queue_time), "5d", 1, 365 * DAY, "then it is given up, and its sender told" },
        { "delay-notice-after", TIME, AT(delay_notice_after), "4h", 0, 365 * DAY, "its sender is told that it still waits; 0: never" },
        { "send-from", TEXT, AT(send_from), "", 0, 0, "own addresses to send from, an IPv4 and an IPv6 one; empty: as the system chooses" },
        { "lmtp-port", NUMBER, AT(lmtp_port), "0", 0, 65535, "LMTP, for trusted-addresses and loopback only; usually 24", AT_START },
        { "atrn-port", NUMBER, AT(atrn_port), "0", 0, 65535, "ATRN, for users that fetch their domain's letters by SMTP; usually 366", AT_START },
        { "relay-for", TEXT, AT(relay_for), "", 0, 0, "domains we are backup MX for: \"example.org example.net:jack,jill\", all addresses or those; their mail is passed on to their better MX" },
        { "history-days", NUMBER, AT(history_days), "30", 0, 3650, "what happened to each letter is kept so long, for pail trace; 0: nothing is written down", AT_START },
        { "history-size", SIZE, AT(history_size), "1G", 0, LONG_MAX, "and up to this size", AT_START },

        { "POP3", TITLE },
        { "pop3-command-timeout", TIME, AT(pop3_command_timeout), "10m", 1, DAY,
          "waiting for a command (RFC 1939 wants 10 minutes)" },

        { "IMAP", TITLE },
        { "imap-command-timeout", TIME, AT(imap_command_timeout), "30m", 1, 7 * DAY,
          "waiting for a command, also in IDLE (RFC 9051 wants 30 minutes at least)" },
        { "imap-login-timeout", TIME, AT(imap_login_timeout), "3m", 1, DAY, "the same before sign-in" },
        { "append-limit", SIZE, AT(append_limit), "0", 0, 4 * G - 1, "a larger letter is not appended; 0: as max-letter-size" },
        { "imap-literal-plus", FLAG, AT(imap_literal_plus), "yes", 0, 0,
          "LITERAL+: literals of any size without asking first; no: LITERAL-, up to 4096 bytes" },
        { "imap-disable", TEXT, AT(imap_disable), "", 0, 0,
          "capabilities switched off for all: \"COMPRESS=DEFLATE NOTIFY\"; pail account set ADDRESS imap-disable: for one account" },
        { "message-limit", NUMBER, AT(message_limit), "0", 0, 1000000000,
          "messages that one command may name at most; 0: any number" },

        { "FTP", TITLE },
        { "ftp-passive-low", NUMBER, AT(ftp_passive_low), "50000", 1024, 65535, "ports for PASV and EPSV: from here", AT_START },
        { "ftp-passive-high", NUMBER, AT(ftp_passive_high), "50999", 1024, 65535, "up to here", AT_START },
        { "ftp-public-address", NAME, AT(ftp_public_address), "", 0, 0,
          "the IPv4 address that PASV tells clients behind NAT; clients in our own networks are told the local one" },
        { "ftp-anonymous", FLAG, AT(ftp_anonymous), "no", 0, 0,
          "the name anonymous, with any e-mail address as password, may read files/anonymous" },
        { "ftp-foreign-data", FLAG, AT(ftp_foreign_data), "no", 0, 0,
          "data connections may go to another host than the client's, as from server to server" },
        { "ftp-data-tls-reuse", CHOICE, AT(ftp_data_tls_reuse), "prefer", 0, 0,
          "a TLS data connection resumes the session of its control connection: never, if the client can, or it is refused", 0,
          { "off", "prefer", "require" } },
        { "ftp-private-data", FLAG, AT(ftp_private_data), "no", 0, 0, "files travel by TLS only (PROT P)" },
        { "ftp-command-timeout", TIME, AT(ftp_command_timeout), "15m", 1, DAY, "waiting for a command" },
        { "ftp-login-timeout", TIME, AT(ftp_login_timeout), "2m", 1, DAY, "the same before sign-in" },
        { "ftp-data-timeout", TIME, AT(ftp_data_timeout), "2m", 1, DAY, "a transfer that does not move so long is given up" },
        { "ftp-rate-account", SIZE, AT(ftp_rate_account), "0", 0, LONG_MAX, "bytes a second of one account, of one process; 0: any" },
        { "ftp-rate-address", SIZE, AT(ftp_rate_address), "0", 0, LONG_MAX, "and of one address" },
        { "ftp-rate-anonymous", SIZE, AT(ftp_rate_anonymous), "0", 0, LONG_MAX, "and of all who are anonymous" },
        { "ftp-connections-per-account", NUMBER, AT(ftp_connections_per_account), "0", 0, 10000000, "of one process; 0: any number" },
        { "ftp-code-page", NAME, AT(ftp_code_page), "IBM-1047", 0, 0, "of TYPE E, as iconv knows it", AT_START },
        { "ftp-xferlog", TEXT, AT(ftp_xferlog), "", 0, 0, "a file that gets a line for each transfer, as wu-ftpd wrote it; a relative name is in the data folder; empty: none", AT_START },

        { "Files", TITLE },
        { "files-durable", FLAG, AT(files_durable), "yes", 0, 0, "an upload is acknowledged when it would survive a power cut" },
        { "files-keep-parts", TIME, AT(files_keep_parts), "1d", 0, 365 * DAY, "what came of an upload that broke off is kept so long" },
        { "files-quota", SIZE, AT(files_quota), "0", 0, LONG_MAX, "bytes that an account's files may take; 0: no limit" },
        { "shared-quota", FLAG, AT(shared_quota), "no", 0, 0, "an account's own quota counts its letters and its files together", AT_START },

        { "Connections", TITLE },
        { "max-connections", NUMBER, AT(max_connections), "20000", 1, 10000000, "of one process" },
        { "max-connections-per-address", NUMBER, AT(max_connections_per_address), "50", 1, 10000000,
          "of one process; loopback and trusted addresses are exempt" },
        { "park-after", TIME_MS, AT(park_after_ms), "10s", -1, DAY * 1000, "a session that is quiet so long gives its memory back; never" },

        { "Store", TITLE },
        { "max-open-accounts", NUMBER, AT(max_open_accounts), "256", 4, 100000, "of one process", AT_START },
        { "disk-reserve", SIZE, AT(disk_reserve), "100M", 0, LONG_MAX, "must stay free, else letters are put off", AT_START },
        { "segment-size", SIZE, AT(segment_size), "64M", 64 * K, G, "of the intake log", AT_START },
        { "max-log-size", SIZE, AT(max_log_size), "1G", M, LONG_MAX, "all segments together, else letters are put off", AT_START },
        { "settle-after", TIME, AT(settle_after), "5s", 1, HOUR, "a segment older than this is settled", AT_START },
        { "default-quota", SIZE, AT(default_quota), "0", 0, LONG_MAX, "of an account that has none of its own; 0: no limit" },
};
/* clang-format on */
const size_t settings_table_count = sizeof(settings_table) / sizeof(settings_table[0]);
#define SETTINGS settings_table_count

static char **field_text(struct settings *s, const struct setting *e)
{
        return (char **)(void *)((char *)s + e->at);
}
static long *field_number(struct settings *s, const struct setting *e)
{
        return (long *)(void *)((char *)s + e->at);
}
static bool *field_flag(struct settings *s, const struct setting *e)
{
        return (bool *)(void *)((char *)s + e->at);
}
/* The machine's own name stands in for an empty host-name, so that nobody else has to think of it. */
static void put_text(char **to, const struct setting *e, struct str value)
{
        char machine[256] = "";

        if (e->at == AT(host_name) && !value.n && gethostname(machine, sizeof(machine) - 1) == 0)
                value = machine[0] ? str_of(machine) : S("localhost");
        mem_free(*to);
        *to = mem_string(value);
}

static const struct unit {
        const char *name;
        long times;
} size_units[] = { { "", 1 }, { "k", K }, { "m", M }, { "g", G }, { "t", 1024 * G }, { NULL, 0 } },
  time_units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", HOUR }, { "d", DAY }, { NULL, 0 } },
  milli_units[] = { { "ms", 1 },          { "", 1000 },        { "s", 1000 }, { "m", 60000 },
                    { "h", HOUR * 1000 }, { "d", DAY * 1000 }, { NULL, 0 } },
  no_units[] = { { "", 1 }, { NULL, 0 } };

/* digits and a unit, in any case; "never" is -1 where -1 is allowed */
static bool read_number(const struct setting *e, struct str value, long *out)
{
        const struct unit *u = e->type == SIZE      ? size_units
                               : e->type == TIME    ? time_units
                               : e->type == TIME_MS ? milli_units
                                                    : no_units;
        struct scan a = scan_of(value);
        uint64_t n;

        if (e->least < 0 && (str_ieq(value, S("never")) || str_eq(value, S("-1")))) {
                *out = -1;
                return true;
        }
        n = scan_number(&a, LONG_MAX);
        value = scan_rest(&a);
        while (u->name && !str_ieq(value, str_of(u->name)))
                u++;
        return !a.bad && u->name && !__builtin_mul_overflow((long)n, u->times, out);
}

static int set_number(struct settings *s, const struct setting *e, struct str value, struct buf *why)
{
        static const char *const wanted[] = { [NUMBER] = "a number",
                                              [SIZE] = "a size like 50M",
                                              [TIME] = "a time like 10m",
                                              [TIME_MS] = "a time like 10s or 500ms" };
        long n;

        if (!read_number(e, value, &n)) {
                buf_printf(why, "%s: " PRS " is not %s", e->name, STR(value), wanted[e->type]);
                return -1;
        }
        if (n < e->least || n > e->most) {
                const char *unit = e->type == TIME_MS ? " ms"
                                   : e->type == TIME  ? " s"
                                   : e->type == SIZE  ? " bytes"
                                                      : "";

                buf_printf(why, "%s: " PRS " is %s than %ld%s", e->name, STR(value),
                           n < e->least ? "less" : "more", n < e->least ? e->least : e->most, unit);
                return -1;
        }
        *field_number(s, e) = n;
        return 0;
}

static int set_choice(struct settings *s, const struct setting *e, struct str value, struct buf *why)
{
        for (long i = 0; e->words[i]; i++)
                if (str_ieq(value, str_of(e->words[i]))) {
                        *field_number(s, e) = i;
                        return 0;
                }
        buf_printf(why, "%s: " PRS " is none of", e->name, STR(value));
        for (long i = 0; e->words[i]; i++)
                buf_printf(why, " %s", e->words[i]);
        return -1;
}

static int set_flag(struct settings *s, const struct setting *e, struct str value, struct buf *why)
{
        static const struct {
                const char *word;
                bool yes;
        } words[] = { { "yes", true },    { "no", false }, { "true", true },
                      { "false", false }, { "on", true },  { "off", false } };

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (str_ieq(value, str_of(words[i].word))) {
                        *field_flag(s, e) = words[i].yes;
                        return 0;
                }
        buf_printf(why, "%s: " PRS " is neither yes nor no", e->name, STR(value));
        return -1;
}

static int set_text(struct settings *s, const struct setting *e, struct str value, struct buf *why)
{
        if (str_has_control(value) || (e->type == NAME && str_find(value, ' ') != STR_NONE)) {
                buf_printf(why, "%s: %s may not stand in it", e->name,
                           e->type == NAME ? "a space" : "a line end");
                return -1;
        }
        put_text(field_text(s, e), e, value);
        return 0;
}

static int set_entry(struct settings *s, const struct setting *e, struct str value, struct buf *why)
{
        value = str_trim(value);
        switch (e->type) {
        case TITLE: break;
        case NAME:
        case TEXT: return set_text(s, e, value, why);
        case NUMBER:
        case SIZE:
        case TIME:
        case TIME_MS: return set_number(s, e, value, why);
        case FLAG: return set_flag(s, e, value, why);
        case CHOICE: return set_choice(s, e, value, why);
        }
        return -1;
}

int settings_set(struct settings *s, struct str name, struct str value, struct buf *why)
{
        name = str_trim(name);
        for (const struct setting *e = settings_table; e < settings_table + SETTINGS; e++)
                if (e->type != TITLE && str_eq(name, str_of(e->name)))
                        return set_entry(s, e, value, why);
        buf_printf(why, PRS ": no such setting", STR(name));
        return -1;
}

void settings_default(struct settings *s)
{
        struct buf why;

        *s = (struct settings){ 0 };
        buf_init(&why, 1000);
        for (const struct setting *e = settings_table; e < settings_table + SETTINGS; e++)
                if (e->type != TITLE && set_entry(s, e, str_of(e->value), &why) < 0)
                        mem_die(e->name); /* the table contradicts itself */
        buf_free(&why);
}

static bool same(const struct settings *a, const struct settings *b, const struct setting *e)
{
        struct settings *x = (struct settings *)(uintptr_t)a, *y = (struct settings *)(uintptr_t)b;

        if (setting_is_text(e))
                return str_eq(str_of(*field_text(x, e)), str_of(*field_text(y, e)));
        return e->type == FLAG ? *field_flag(x, e) == *field_flag(y, e)
                               : *field_number(x, e) == *field_number(y, e);
}

bool settings_need_restart(const struct settings *running, const struct settings *fresh, struct buf *names)
{
        size_t before = names->n;

        for (const struct setting *e = settings_table; e < settings_table + settings_table_count; e++)
                if (e->when == AT_START && !same(running, fresh, e))
                        buf_printf(names, "%s%s", names->n > before ? " " : "", e->name);
        return names->n > before;
}

void settings_keep(struct settings *fresh, const struct settings *running)
{
        struct settings *from = (struct settings *)(uintptr_t)running; /* field_ functions give, not take */

        for (const struct setting *e = settings_table; e < settings_table + SETTINGS; e++) {
                if (e->when != AT_START)
                        continue;
                if (setting_is_text(e)) {
                        mem_free(*field_text(fresh, e));
                        *field_text(fresh, e) = mem_string(str_of(*field_text(from, e)));
                } else if (e->type == FLAG) {
                        *field_flag(fresh, e) = *field_flag(from, e);
                } else if (e->type != TITLE) {
                        *field_number(fresh, e) = *field_number(from, e);
                }
        }
}

void settings_free(struct settings *s)
{
        for (const struct setting *e = settings_table; e < settings_table + SETTINGS; e++)
                if (setting_is_text(e))
                        mem_free(*field_text(s, e));
        *s = (struct settings){ 0 };
}

/* ---- packed: u32 the number of settings | each in the table's order: a string packed, a number as u64 ---- */

void settings_pack(const struct settings *settings, struct buf *out)
{
        struct settings *s = (struct settings *)(uintptr_t)settings; /* field_ functions give, not take */

        buf_u32(out, SETTINGS);
        for (const struct setting *e = settings_table; e < settings_table + SETTINGS; e++) {
                if (setting_is_text(e))
                        buf_packed(out, str_of(*field_text(s, e)));
                else if (e->type == FLAG)
                        buf_u64(out, *field_flag(s, e));
                else if (e->type != TITLE)
                        buf_u64(out, (uint64_t)*field_number(s, e));
        }
}

bool settings_unpack(struct settings *s, struct str packed)
{
        struct unpack u = unpack_of(packed);

        *s = (struct settings){ 0 };
        if (unpack_u32(&u) != SETTINGS)
                return false;
        for (const struct setting *e = settings_table; e < settings_table + SETTINGS; e++) {
                if (setting_is_text(e))
                        *field_text(s, e) = mem_string(unpack_str(&u));
                else if (e->type == FLAG)
                        *field_flag(s, e) = unpack_u64(&u) != 0;
                else if (e->type != TITLE)
                        *field_number(s, e) = (long)unpack_u64(&u);
        }
        if (unpack_done(&u))
                return true;
        settings_free(s);
        return false;
}
