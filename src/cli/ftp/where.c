/* Where: ftp://user:password@host:port/path;type=i, user@host:port/path, and the folder of our own settings. */
#include "cli/ftp/ftp.h"
#include "cli/home.h"
#include <unistd.h>

static const struct {
        const char *name;
        enum ftp_client_tls tls;
        bool said;
} schemes[] = {
        { "ftp://", FTP_CLEAR, false }, /* TLS when offered */
        { "ftps://", FTP_TLS_AT_ONCE, true },
        { "ftpes://", FTP_TLS_MUST, true },
};
enum { SCHEMES = sizeof(schemes) / sizeof(*schemes) };

bool where_is_url(const char *text)
{
        for (unsigned i = 0; i < SCHEMES; i++)
                if (str_istarts(str_of(text), str_of(schemes[i].name)))
                        return true;
        return false;
}

bool where_secret(const char *text, size_t *at, size_t *n)
{
        struct str s = str_of(text), user;
        size_t scheme = str_search(s, S("://")), end;

        if (scheme == STR_NONE)
                return false;
        s = str_from_at(s, scheme + 3);
        end = str_find(s, '/');
        s = str_sub(s, 0, end == STR_NONE ? s.n : end);
        end = str_rfind(s, '@');
        if (end == STR_NONE)
                return false;
        s = str_sub(s, 0, end);
        if (!str_cut(&s, ':', &user))
                return false;
        *at = (size_t)(s.p - text);
        *n = s.n;
        return true;
}

static int hex(char c)
{
        return c >= '0' && c <= '9'                         ? c - '0'
               : chr_lower(c) >= 'a' && chr_lower(c) <= 'f' ? chr_lower(c) - 'a' + 10
                                                            : -1;
}

/* %41 is A (RFC 3986 §2.1); false: too long, or a control character, which could end a command. */
static bool decode(struct str s, bool percent, char *to, size_t room)
{
        size_t n = 0;

        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (percent && c == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
                        c = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
                        i += 2;
                }
                if (n + 1 >= room || (unsigned char)c < 32 || c == 127)
                        return false;
                to[n++] = c;
        }
        to[n] = 0;
        return true;
}

/* host, host:port, [::1]:port */
static bool host_and_port(struct str s, struct where *w)
{
        struct str host = s, port = S("");
        uint64_t n = 0;

        if (s.n && s.p[0] == '[') {
                size_t end = str_find(s, ']');

                if (end == STR_NONE)
                        return false;
                host = str_sub(s, 1, end - 1);
                port = str_from_at(s, end + 1);
                if (port.n && port.p[0] != ':')
                        return false;
                port = str_from_at(port, 1);
        } else if (str_find(s, ':') != STR_NONE && str_find(s, ':') == str_rfind(s, ':')) {
                str_cut(&s, ':', &host);
                port = s;
        }
        if (port.n && (!str_u64(port, &n) || !n || n > 65535))
                return false;
        w->port = (unsigned)n;
        return host.n && decode(host, false, w->host, sizeof(w->host)) && str_find(host, ' ') == STR_NONE;
}

static bool user_and_password(struct str s, bool percent, struct where *w)
{
        struct str user, password = s;

        w->has_user = true;
        w->has_password = percent && str_cut(&password, ':', &user);
        if (!w->has_password)
                return decode(s, percent, w->user, sizeof(w->user));
        return decode(user, percent, w->user, sizeof(w->user)) &&
               decode(password, percent, w->password, sizeof(w->password));
}

/* RFC 1738 §3.2.2: the path is from where one lands; %2F in front makes it absolute. Without a scheme it stands as it is. */
static bool path_of(struct str s, bool url, struct where *w)
{
        size_t type = url ? str_rfind(s, ';') : STR_NONE;

        if (type != STR_NONE && str_istarts(str_from_at(s, type), S(";type=")) && s.n == type + 7) {
                w->type = chr_lower(s.p[s.n - 1]);
                s.n = type;
        }
        return decode(url ? str_from_at(s, 1) : s, url, w->path, sizeof(w->path));
}

bool where_parse(struct str text, struct where *w, const char **why)
{
        bool url = false;
        struct str place;
        size_t slash, at;

        *w = (struct where){ 0 };
        for (unsigned i = 0; i < SCHEMES && !url; i++)
                if (str_istarts(text, str_of(schemes[i].name))) {
                        url = true;
                        text = str_from_at(text, strlen(schemes[i].name));
                        w->tls = schemes[i].tls;
                        w->tls_said = schemes[i].said;
                }
        if (!url && str_search(text, S("://")) != STR_NONE) {
                *why = "only ftp://, ftps:// and ftpes:// are known";
                return false;
        }
        slash = str_find(text, '/');
        place = slash == STR_NONE ? text : str_sub(text, 0, slash);
        *why = "the path is too long, or has control characters";
        if (slash != STR_NONE && !path_of(str_from_at(text, slash), url, w))
                return false;
        at = str_rfind(place, '@');
        *why = "no user and password can be this";
        if (at != STR_NONE && !user_and_password(str_sub(place, 0, at), url, w))
                return false;
        *why = "not [user@]host[:port][/path]";
        return host_and_port(at == STR_NONE ? place : str_from_at(place, at + 1), w);
}

static void encode(struct str s, const char *also, struct buf *out)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    str_find(S("-._~"), c) != STR_NONE || (c && str_find(str_of(also), c) != STR_NONE))
                        buf_u8(out, (uint8_t)c);
                else
                        buf_printf(out, "%%%02X", (unsigned char)c);
        }
}

void where_url(const struct where *w, struct buf *out)
{
        bool colon = str_find(str_of(w->host), ':') != STR_NONE;
        unsigned i = 0;

        for (unsigned k = 0; k < SCHEMES; k++)
                if (w->tls_said && schemes[k].said && schemes[k].tls == w->tls)
                        i = k;
        buf_puts(out, str_of(schemes[i].name));
        if (w->has_user) {
                encode(str_of(w->user), "", out);
                buf_puts(out, S("@"));
        }
        buf_printf(out, colon ? "[%s]" : "%s", w->host);
        if (w->port && w->port != 21)
                buf_printf(out, ":%u", w->port);
        if (!*w->path)
                return;
        buf_puts(out, w->path[0] == '/' ? S("/%2F") : S("/"));
        encode(str_from_at(str_of(w->path), w->path[0] == '/'), "/", out);
}

bool config_path(const char *name, char path[static PATH_ROOM])
{
        struct buf auto_buf below = { 0 };
        int folder = home_open(HOME_CONFIG, NULL, true);

        if (folder < 0)
                return false;
        close(folder);
        buf_init(&below, PATH_ROOM);
        return home_path(&below, HOME_CONFIG, name) && snprintf(path, PATH_ROOM, "%s", below.p) < PATH_ROOM;
}
