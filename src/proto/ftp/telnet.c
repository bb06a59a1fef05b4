/* Telnet in a line of the control connection (RFC 959 §5.1, RFC 854, RFC 1123 §4.1.2.12): taken out, and refused where something is asked
 * for. We are in no option's state, so WONT and DONT tell us nothing and get no answer (RFC 854: or two servers would talk for ever). */
#include "proto/ftp/telnet.h"

enum { IAC = 255, DONT = 254, DO = 253, WONT = 252, WILL = 251, SB = 250, SE = 240 };
enum { ANSWERS_MOST = 16 }; /* to one line: who asks for more is not answered */

static int byte(struct str s, size_t at)
{
        return at < s.n ? (unsigned char)s.p[at] : -1;
}

/* SB option ... IAC SE, or the end of the line */
static size_t past_negotiation(struct str s, size_t at)
{
        while (at < s.n && !(byte(s, at) == IAC && byte(s, at + 1) == SE))
                at++;
        return at + 2;
}

static void refuse(struct buf *answers, int what, int option)
{
        if ((what == WILL || what == DO) && option >= 0 && answers->n < 3 * ANSWERS_MOST) {
                buf_u8(answers, IAC);
                buf_u8(answers, what == WILL ? DONT : WONT);
                buf_u8(answers, (uint8_t)option);
        }
}

/* Behind an IAC at `at`; returns where to go on. */
static size_t command(struct str s, size_t at, struct buf *out, struct buf *answers)
{
        int what = byte(s, at);

        switch (what) {
        case -1: return at; /* the line ends in it */
        case IAC: buf_u8(out, IAC); return at + 1;
        case SB: return past_negotiation(s, at + 1);
        case WILL:
        case WONT:
        case DO:
        case DONT: refuse(answers, what, byte(s, at + 1)); return at + 2;
        default:
                if (what > SE) /* IP, DM, AO ... stand alone */
                        return at + 1;
                buf_u8(out, IAC); /* no command: a name in Latin-1, of a client that does not know Telnet */
                return at;
        }
}

bool telnet_in(struct str line)
{
        return line.n && (memchr(line.p, IAC, line.n) || memchr(line.p, '\0', line.n));
}

void telnet_take(struct str line, struct buf *out, struct buf *answers)
{
        size_t at = 0;

        while (at < line.n) {
                int c = byte(line, at++);

                if (c == IAC) {
                        at = command(line, at, out, answers);
                        continue;
                }
                buf_u8(out, (uint8_t)c);
                if (c == '\r' && byte(line, at) == '\0') /* RFC 2640 §3.1: a CR that is meant */
                        at++;
        }
}
