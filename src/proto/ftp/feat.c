#include "proto/ftp/commands.h"
#include "base/mem.h"

enum { CLIENT_MOST = 200, VERBS_A_LINE = 8 };

/* --- MLST facts, hashes: what can be chosen by OPTS ---------------------------------------------------------- */

static const char *const fact_names[] = { "Type",   "Size",      "Modify",     "Perm",
                                          "Unique", "UNIX.mode", "UNIX.owner", "UNIX.group" };
enum { FACTS = sizeof(fact_names) / sizeof(*fact_names) };

static void put_facts(struct buf *out, unsigned facts, bool all)
{
        for (unsigned i = 0; i < FACTS; i++) {
                bool chosen = facts >> i & 1;

                if (all || chosen)
                        buf_printf(out, "%s%s;", fact_names[i], all && chosen ? "*" : "");
        }
}

static void put_hashes(struct buf *out, unsigned chosen)
{
        for (unsigned i = 0; i < FILE_HASHES; i++)
                buf_printf(out, "%s%s%s", i ? ";" : "", ftp_hash_names[i], i == chosen ? "*" : "");
}

/* "EN*;DE;FR" -- RFC 2640 §4.1 */
static void put_languages(struct buf *out, unsigned chosen)
{
        for (unsigned i = 0; i < LANGUAGES; i++) {
                const char *tag = languages[i].tag;

                buf_printf(out, "%s%c%c%s", i ? ";" : "", tag[0] & ~32, tag[1] & ~32, i == chosen ? "*" : "");
        }
}

/* --- FEAT (RFC 2389 §3) -------------------------------------------------------------------------------------- */

static bool offered(const struct session *s, const struct command *c)
{
        bool about_tls =
            c->handle == ftp_auth || c->handle == ftp_pbsz || c->handle == ftp_prot || c->handle == ftp_ccc;

        return c->offers && (!about_tls || s->server->tls);
}

/* What a row says of itself by "=" */
static void offer_own(struct session *s, const struct command *c)
{
        const struct ftp *p = ftp_of(s);
        auto_buf struct buf line = { 0 };

        buf_init(&line, 512);
        if (c->handle == ftp_mlst)
                put_facts(&line, p->facts, true);
        else if (c->handle == ftp_hash)
                put_hashes(&line, p->hash);
        else
                put_languages(&line, p->language);
        ftp_reply_line(s, "%s " PRS, c->verb, STR(buf_str(&line)));
}

int ftp_feat(struct session *s, struct scan *a)
{
        (void)a;
        ftp_reply_begin(s, "211-Features:");
        for (size_t i = 0; i < ftp_dialect.count; i++) {
                const struct command *c = &ftp_dialect.commands[i];
                struct str lines = str_of(c->offers), line;

                while (offered(s, c) && lines.n) {
                        str_cut(&lines, '\n', &line);
                        if (str_eq(line, S("=")))
                                offer_own(s, c);
                        else
                                ftp_reply_line(s, PRS, STR(line));
                }
        }
        return ftp_reply(s, "211 End");
}

/* --- OPTS (RFC 2389 §4) -------------------------------------------------------------------------------------- */

/* Names are bytes here, and those of clients are UTF-8 (RFC 2640): that cannot be turned off. */
static int opts_utf8(struct session *s, struct str rest)
{
        if (!rest.n || str_ieq(rest, S("ON")))
                return ftp_reply(s, "200 Names are in UTF-8.");
        return ftp_reply(s, "504 Names are in UTF-8, always.");
}

/* OPTS MLST fact;fact; -- RFC 3659 §7.9; facts that there are not are left out */
static int opts_mlst(struct session *s, struct str rest)
{
        auto_buf struct buf chosen = { 0 };
        unsigned facts = 0;
        struct str name;

        while (rest.n) {
                str_cut(&rest, ';', &name);
                for (unsigned i = 0; i < FACTS; i++)
                        if (str_ieq(name, str_of(fact_names[i])))
                                facts |= 1U << i;
        }
        ftp_of(s)->facts = (uint8_t)facts;
        buf_init(&chosen, 512);
        put_facts(&chosen, facts, false);
        return ftp_reply(s, "200 MLST OPTS%s" PRS, chosen.n ? " " : "", STR(buf_str(&chosen)));
}

/* OPTS HASH [algorithm] */
static int opts_hash(struct session *s, struct str rest)
{
        struct ftp *p = ftp_of(s);
        unsigned i = 0;

        if (!rest.n)
                return ftp_reply(s, "200 %s", ftp_hash_names[p->hash]);
        while (i < FILE_HASHES && !str_ieq(rest, str_of(ftp_hash_names[i])))
                i++;
        if (i == FILE_HASHES)
                return ftp_reply(s, "501 No such algorithm, FEAT tells what there is.");
        p->hash = (uint8_t)i;
        return ftp_reply(s, "200 %s", ftp_hash_names[i]);
}

/* OPTS MODE Z LEVEL n */
static int opts_mode(struct session *s, struct str rest)
{
        struct scan a = scan_of(rest);
        uint64_t level;

        scan_word(&a, S("Z"));
        scan_space(&a);
        scan_word(&a, S("LEVEL"));
        scan_space(&a);
        level = scan_number(&a, 9);
        if (!scan_done(&a) || level < 1)
                return ftp_reply(s, "501 Syntax: OPTS MODE Z LEVEL 1 to 9");
        ftp_of(s)->coding.level = (uint8_t)level;
        return ftp_reply(s, "200 MODE Z LEVEL set to %u.", (unsigned)level);
}

int ftp_opts(struct session *s, struct scan *a)
{
        struct str rest = str_trim(scan_rest(a)), of;

        str_cut(&rest, ' ', &of);
        rest = str_trim(rest);
        if (str_ieq(of, S("UTF8")) || str_ieq(of, S("UTF-8")))
                return opts_utf8(s, rest);
        if (str_ieq(of, S("MLST")))
                return opts_mlst(s, rest);
        if (str_ieq(of, S("HASH")))
                return opts_hash(s, rest);
        if (str_ieq(of, S("MODE")))
                return opts_mode(s, rest);
        return of.n ? ftp_reply(s, "501 That command has no options.") : ftp_syntax(s);
}

/* --- LANG (RFC 2640 §4), and who is who ---------------------------------------------------------------------- */

int ftp_lang(struct session *s, struct scan *a)
{
        struct str range = str_trim(scan_rest(a));
        unsigned found = range.n ? language_find(range) : LANGUAGE_ENGLISH;

        if (found == LANGUAGES)
                return ftp_reply(s, "504 No such language, FEAT tells what there is.");
        ftp_of(s)->language = (uint8_t)found;
        return ftp_reply(s, "200 Replies are now in English.");
}

static bool note_client(struct session *s, struct scan *a)
{
        struct ftp *p = ftp_of(s);
        struct str name = str_sub(str_trim(scan_rest(a)), 0, CLIENT_MOST);

        if (!name.n)
                return false;
        mem_free(p->client);
        p->client = mem_string(name);
        return true;
}

/* CLNT name */
int ftp_clnt(struct session *s, struct scan *a)
{
        return note_client(s, a) ? ftp_reply(s, "200 Noted.") : ftp_syntax(s);
}

/* CSID Name=...; Version=...; -- draft-peterson-streamlined-ftp-command-extensions: the server says the like of itself */
int ftp_csid(struct session *s, struct scan *a)
{
        return note_client(s, a) ? ftp_reply(s, "200 Name=pail; CaseSensitive=1; DirSep=/;") : ftp_syntax(s);
}

/* --- RFC 959 §4.1.3 ------------------------------------------------------------------------------------------ */

int ftp_syst(struct session *s, struct scan *a)
{
        (void)a;
        return ftp_reply(s, "215 UNIX Type: L8");
}

int ftp_noop(struct session *s, struct scan *a)
{
        (void)a;
        return ftp_reply(s, "200 Command OK");
}

void ftp_help_list(struct session *s, const struct command *list, size_t n)
{
        auto_buf struct buf line = { 0 };

        buf_init(&line, 256);
        for (size_t i = 0; i < n; i++) {
                buf_printf(&line, "%-8s", list[i].verb);
                if (i % VERBS_A_LINE == VERBS_A_LINE - 1 || i == n - 1) {
                        ftp_reply_line(s, PRS, STR(str_trim(buf_str(&line))));
                        buf_clear(&line);
                }
        }
}

int ftp_help(struct session *s, struct scan *a)
{
        struct str rest = str_trim(scan_rest(a)), verb;
        const struct command *c;

        str_cut(&rest, ' ', &verb);
        if (!verb.n) {
                ftp_reply_begin(s, "214-These commands are recognized:");
                ftp_help_list(s, ftp_dialect.commands, ftp_dialect.count);
                return ftp_reply(s, "214 HELP command tells how it is used.");
        }
        if (str_ieq(verb, S("SITE")))
                return ftp_site_help(s, str_trim(rest));
        c = command_find(&ftp_dialect, verb);
        return c ? ftp_reply(s, "214 Syntax: %s", c->synopsis)
                 : ftp_reply(s, "501 No such command, HELP alone lists them.");
}
