/* RFC 854, as telnet(1) does where neither side wants an option: WILL is answered DONT, DO is answered WONT, each once; the rest is passed over. */
#include "cli/talk.h"

enum { IAC = 255, DONT = 254, DO = 253, WONT = 252, WILL = 251, SB = 250, SE = 240 };
enum { TEXT, COMMAND, OPTION, INSIDE, INSIDE_COMMAND };

static void answer(struct telnet *t, unsigned char option, struct conn *c)
{
        bool will = t->verb == WILL;
        unsigned char *seen = &t->refused[will ? 0 : 1][option / 8], bit = (unsigned char)(1U << option % 8);
        char said[3] = { (char)IAC, (char)(will ? DONT : WONT), (char)option };

        if ((t->verb != WILL && t->verb != DO) || *seen & bit)
                return;
        *seen |= bit;
        conn_put(c, str_from(said, sizeof(said)));
}

/* true: the byte is text */
static bool byte(struct telnet *t, unsigned char b, struct conn *c)
{
        switch (t->state) {
        case COMMAND:
                t->verb = b;
                t->state = b == SB ? INSIDE : b >= WILL && b < IAC ? OPTION : TEXT;
                return b == IAC;
        case OPTION:
                answer(t, b, c);
                t->state = TEXT;
                return false;
        case INSIDE: t->state = b == IAC ? INSIDE_COMMAND : INSIDE; return false;
        case INSIDE_COMMAND: t->state = b == SE ? TEXT : INSIDE; return false;
        default:
                if (b != IAC)
                        return true;
                t->state = COMMAND;
                return false;
        }
}

void telnet_line(struct telnet *t, struct str *line, char *room, struct conn *c)
{
        size_t n = 0;

        for (size_t i = 0; i < line->n; i++)
                if (byte(t, (unsigned char)line->p[i], c))
                        room[n++] = line->p[i];
        *line = str_from(room, n);
}
