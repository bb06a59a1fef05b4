#include "proto/ftp/commands.h"
#include "proto/ftp/transfer.h"
#include "base/mem.h"

enum { SIZE_MOST = 255 };

bool ftp_counts_octets(const struct coding *c)
{
        struct coding plain = *c;

        plain.mode = MODE_STREAM;
        return coding_plain(&plain);
}

static bool one_letter(struct str word)
{
        return word.n == 1 &&
               ((word.p[0] >= 'A' && word.p[0] <= 'Z') || (word.p[0] >= 'a' && word.p[0] <= 'z'));
}

static int set_text_type(struct session *s, struct coding *c, enum ftp_type type, struct str form)
{
        size_t at = form.n ? str_find(S("ntc"), chr_lower(form.p[0])) : FORM_NONPRINT;

        if (form.n > 1)
                return ftp_syntax(s);
        if (at == STR_NONE)
                return ftp_reply(s, "504 There is no such form.");
        c->type = (uint8_t)type;
        c->form = (uint8_t)at;
        return ftp_reply(s, "200 Type set to %c %c.", type == TYPE_ASCII ? 'A' : 'E', "NTC"[at]);
}

/* TYPE SP (A [SP form] | E [SP form] | I | L SP byte-size) -- RFC 959 §3.1.1, §5.3.2 */
int ftp_type(struct session *s, struct scan *a)
{
        struct coding *c = &ftp_of(s)->coding;
        struct str type = scan_token(a), more = S("");
        struct scan size;
        uint64_t bits;

        if (scan_try(a, ' '))
                more = scan_token(a);
        if (!scan_done(a))
                return ftp_syntax(s);
        if (str_ieq(type, S("A")))
                return set_text_type(s, c, TYPE_ASCII, more);
        if (str_ieq(type, S("E")))
                return set_text_type(s, c, TYPE_EBCDIC, more);
        if (str_ieq(type, S("I")) && !more.n) {
                c->type = TYPE_IMAGE;
                c->form = FORM_NONPRINT;
                return ftp_reply(s, "200 Type set to I.");
        }
        if (!str_ieq(type, S("L")))
                return one_letter(type) && !str_ieq(type, S("I")) ? ftp_reply(s, "504 There is no such type.")
                                                                  : ftp_syntax(s);
        size = scan_of(more);
        bits = scan_number(&size, SIZE_MOST);
        if (!scan_done(&size) || !bits)
                return ftp_reply(s, "501 TYPE L wants a byte size, 1 to %d.", SIZE_MOST);
        c->type = TYPE_LOCAL;
        c->form = FORM_NONPRINT;
        c->byte_size = (uint8_t)bits;
        return ftp_reply(s, "200 Type set to L %u.", c->byte_size);
}

/* One of these letters: its place, or -1 and the reply has been given. */
static int choice(struct session *s, struct scan *a, const char *letters, int *rc)
{
        struct str word = scan_token(a);
        size_t at;

        if (!scan_done(a) || !one_letter(word)) {
                *rc = ftp_syntax(s);
                return -1;
        }
        at = str_find(str_of(letters), chr_lower(word.p[0]));
        if (at == STR_NONE) {
                *rc = ftp_reply(s, "504 Unimplemented %s %c.", s->running->verb, word.p[0]);
                return -1;
        }
        return (int)at;
}

/* STRU SP (F | R | P) -- RFC 959 §3.1.2 */
int ftp_stru(struct session *s, struct scan *a)
{
        int rc = FAIL, at = choice(s, a, "frp", &rc);

        if (at < 0)
                return rc;
        ftp_of(s)->coding.structure = (uint8_t)at;
        return ftp_reply(s, "200 Structure set to %c.", "FRP"[at]);
}

/* MODE SP (S | B | C | Z) -- RFC 959 §3.4; Z: draft-preston-ftpext-deflate. Block mode's open connection ends with the mode. */
int ftp_mode(struct session *s, struct scan *a)
{
        struct ftp *p = ftp_of(s);
        int rc = FAIL, at = choice(s, a, "sbcz", &rc);

        if (at < 0)
                return rc;
        if (p->coding.mode != at)
                ftp_kept_end(p);
        p->coding.mode = (uint8_t)at;
        return ftp_reply(s, "200 Mode set to %c.", "SBCZ"[at]);
}

/* ALLO SP octets [SP R SP octets] -- RFC 959 §4.1.3. Not a promise to anybody, but true just now. */
int ftp_allo(struct session *s, struct scan *a)
{
        uint64_t octets = scan_number(a, UINT64_MAX);
        struct root_room room;
        int rc;

        if (scan_try(a, ' ')) {
                scan_word(a, S("R"));
                scan_space(a);
                scan_number(a, UINT64_MAX);
        }
        if (!scan_done(a))
                return ftp_syntax(s);
        if (!ftp_root(s, &rc))
                return rc;
        rc = root_room(ftp_of(s)->root, &room);
        if (rc < 0)
                return ftp_trouble(s, S("/"), rc);
        if (room.quota && (room.used > room.quota || octets > room.quota - room.used))
                return ftp_reply(s, "552 That is more than is left of your quota.");
        if (octets > room.available)
                return ftp_reply(s, "452 There is not so much room on the disk.");
        ftp_next(s)->allocate = octets;
        return ftp_reply(s, "200 There is room for %llu octets.", (unsigned long long)octets);
}

static bool is_offset(struct str s)
{
        uint64_t n;

        return str_u64(s, &n) && n <= INT64_MAX;
}

/* REST SP marker -- RFC 959 §4.1.3: printable characters, a marker of ours (MODE B and C); RFC 3659 §5.3: an offset in octets,
 * which means something only where octets on the wire are octets of the file. */
int ftp_rest(struct session *s, struct scan *a)
{
        struct coding *c = &ftp_of(s)->coding;
        bool offset = c->mode == MODE_STREAM || c->mode == MODE_DEFLATE;
        struct str marker = scan_token(a);
        struct ftp_next *next;

        if (!scan_done(a) || marker.n >= CODER_MARKER_MOST || str_has_control(marker))
                return ftp_syntax(s);
        if (offset && !is_offset(marker))
                return ftp_reply(s, "501 The marker is a number of octets here.");
        if (offset && !ftp_counts_octets(c) && !str_eq(marker, S("0")))
                return ftp_reply(s, "504 An offset means something in TYPE I and STRU F only.");
        next = ftp_next(s);
        next->has_range = false;
        mem_copy(next->marker, sizeof(next->marker), str_from(marker.p, marker.n));
        next->marker[marker.n] = '\0';
        return ftp_reply(s, "350 Restarting at %s.", next->marker);
}

/* RANG SP first SP last -- draft-bryan-ftp-range; "1 0" takes it back. */
int ftp_rang(struct session *s, struct scan *a)
{
        uint64_t first = scan_number(a, INT64_MAX), last;
        struct ftp_next *next;

        scan_space(a);
        last = scan_number(a, INT64_MAX);
        if (!scan_done(a) || (first > last && !(first == 1 && last == 0)))
                return ftp_syntax(s);
        if (!ftp_counts_octets(&ftp_of(s)->coding) && first <= last)
                return ftp_reply(s, "504 A range means something in TYPE I and STRU F only.");
        next = ftp_next(s);
        next->marker[0] = '\0';
        next->has_range = first <= last;
        next->from = first;
        next->to = last;
        if (!next->has_range)
                return ftp_reply(s, "350 The whole file.");
        return ftp_reply(s, "350 Octets %llu to %llu.", (unsigned long long)first, (unsigned long long)last);
}
