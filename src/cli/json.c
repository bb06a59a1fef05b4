#include "cli/json.h"
#include "base/codec.h"

/* Characters that a terminal may take for commands, C1, or that turn the order of others: by number. How many bytes; 0: none. */
static size_t escape(FILE *to, struct str s)
{
        unsigned char c = (unsigned char)s.p[0], second = s.n > 1 ? (unsigned char)s.p[1] : 0,
                      third = s.n > 2 ? (unsigned char)s.p[2] : 0;

        if (c == 0xC2 && second < 0xA0) {
                fprintf(to, "\\u%04x", second);
                return 2;
        }
        if (c == 0xE2 && ((second == 0x80 && third >= 0xA8 && third <= 0xAE) ||
                          (second == 0x81 && third >= 0xA6 && third <= 0xA9))) {
                fprintf(to, "\\u%04x", 0x2000u + (second - 0x80u) * 64 + (third - 0x80u));
                return 3;
        }
        return 0;
}

static void string(FILE *to, struct str s)
{
        bool good = utf8_valid(s);
        size_t escaped;

        fputc('"', to);
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                if (c == '"' || c == '\\')
                        fprintf(to, "\\%c", c);
                else if (c < 32 || c == 127)
                        fprintf(to, "\\u%04x", c);
                else if (c > 127 && !good)
                        fputs("\\ufffd", to);
                else if (c > 127 && (escaped = escape(to, str_from_at(s, i))) > 0)
                        i += escaped - 1;
                else
                        fputc(c, to);
        }
        fputc('"', to);
}

static void before(struct json *j, const char *key)
{
        if (j->comma)
                fputc(',', j->to);
        if (j->depth)
                fprintf(j->to, "\n%*s", (int)(2 * j->depth), "");
        if (key) {
                string(j->to, str_of(key));
                fputs(": ", j->to);
        }
        j->comma = true;
}

void json_open(struct json *j, const char *key, char bracket)
{
        if (!j->to)
                return;
        before(j, key);
        fputc(bracket, j->to);
        j->depth++;
        j->comma = false;
}

void json_close(struct json *j, char bracket)
{
        if (!j->to)
                return;
        j->depth--;
        if (j->comma)
                fprintf(j->to, "\n%*s", (int)(2 * j->depth), "");
        fputc(bracket, j->to);
        j->comma = true;
        if (!j->depth)
                fputc('\n', j->to);
}

void json_str(struct json *j, const char *key, struct str value)
{
        if (!j->to)
                return;
        before(j, key);
        string(j->to, value);
}

void json_number(struct json *j, const char *key, uint64_t value)
{
        if (!j->to)
                return;
        before(j, key);
        fprintf(j->to, "%llu", (unsigned long long)value);
}

void json_bool(struct json *j, const char *key, bool value)
{
        if (!j->to)
                return;
        before(j, key);
        fputs(value ? "true" : "false", j->to);
}
