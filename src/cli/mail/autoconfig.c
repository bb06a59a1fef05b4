#include "cli/mail/autoconfig.h"
#include "mail/address.h"
#include "run/offload.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MOST = 256 * 1024, VALUE_MOST = 512, ARENA_MOST = 4 << 20, SERVERS_MOST = 50 };
#define PATIENCE 15L

/* ---- the file ---- */

/* What follows the next "<name" that is a start tag; *attributes: what stands in it. false: there is none. Comments are passed over. */
static bool open_tag(struct str *xml, struct str name, struct str *attributes)
{
        for (;;) {
                size_t at = str_find(*xml, '<'), end;
                struct str tag;

                if (at == STR_NONE)
                        return false;
                *xml = str_from_at(*xml, at + 1);
                if (str_starts(*xml, S("!--"))) {
                        end = str_search(*xml, S("-->"));
                        *xml = str_from_at(*xml, end == STR_NONE ? xml->n : end + 3);
                        continue;
                }
                end = str_find(*xml, '>');
                if (end == STR_NONE)
                        return false;
                tag = str_sub(*xml, 0, end);
                *xml = str_from_at(*xml, end + 1);
                if (!str_istarts(tag, name) || (tag.n > name.n && !strchr(" \t\r\n/", tag.p[name.n])))
                        continue;
                *attributes = str_from_at(tag, name.n);
                return true;
        }
}

/* From behind the start tag to the end tag; *xml moves behind it. */
static bool element(struct str *xml, struct str name, struct arena *a, struct str *attributes,
                    struct str *inside)
{
        struct str end = arena_printf(a, "</" PRS, STR(name));
        size_t at;

        if (!open_tag(xml, name, attributes))
                return false;
        at = str_search(*xml, end);
        if (at == STR_NONE)
                return false;
        *inside = str_sub(*xml, 0, at);
        *xml = str_from_at(*xml, at + end.n);
        return true;
}

static struct str trimmed(struct str s)
{
        while (s.n && strchr(" \t\r\n", s.p[0]))
                s = str_from_at(s, 1);
        while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
                s.n--;
        return s;
}

/* The text of an element inside, with XML's own entities and the file's %NAMES%. Empty: it is none, or not what it should be. */
static struct str text_of(struct str inside, struct str name, struct str address, struct arena *a)
{
        size_t sign = str_rfind(address, '@');
        const struct {
                struct str from, to;
        } words[] = { { S("&amp;"), S("&") },
                      { S("&lt;"), S("<") },
                      { S("&gt;"), S(">") },
                      { S("&quot;"), S("\"") },
                      { S("&apos;"), S("'") },
                      { S("%EMAILADDRESS%"), address },
                      { S("%EMAILLOCALPART%"), str_sub(address, 0, sign) },
                      { S("%EMAILDOMAIN%"), str_from_at(address, sign + 1) } };
        struct buf auto_buf out = { 0 };
        struct str attributes, text;

        if (!element(&inside, name, a, &attributes, &text))
                return S("");
        buf_init(&out, VALUE_MOST);
        for (text = trimmed(text); text.n;) {
                size_t i = 0, n = sizeof words / sizeof *words;

                while (i < n && !str_starts(text, words[i].from))
                        i++;
                buf_puts(&out, i < n ? words[i].to : str_sub(text, 0, 1));
                text = str_from_at(text, i < n ? words[i].from.n : 1);
        }
        if (out.full || !out.n || str_has_control(buf_str(&out)) ||
            str_find(buf_str(&out), '<') != STR_NONE || str_find(buf_str(&out), ' ') != STR_NONE)
                return S("");
        return arena_str(a, buf_str(&out));
}

/* An URL of the section's kind. false: it is no server that we may use. */
static bool server_of(struct str inside, const char *plain, const char *at_once, struct str address,
                      struct arena *a, struct str *url)
{
        struct str host = text_of(inside, S("hostname"), address, a),
                   port = text_of(inside, S("port"), address, a),
                   socket = text_of(inside, S("socketType"), address, a),
                   user = text_of(inside, S("username"), address, a);
        bool tls = str_ieq(socket, S("SSL"));
        uint64_t number;

        if (!host.n || !domain_normal(a, host, &host) || !str_u64(port, &number) || !number ||
            number > 65535 || (!tls && !str_ieq(socket, S("STARTTLS"))))
                return false;
        *url = arena_printf(a, "%s://" PRS "@" PRS ":%u", tls ? at_once : plain, STR(user.n ? user : address),
                            STR(host), (unsigned)number);
        return true;
}

static bool is_type(struct str attributes, const char *type)
{
        size_t at = str_search(attributes, S("type=")), n = strlen(type);

        attributes = str_from_at(attributes, at == STR_NONE ? attributes.n : at + 5);
        return attributes.n >= n + 2 && (attributes.p[0] == '"' || attributes.p[0] == '\'') &&
               str_ieq(str_sub(attributes, 1, n), str_of(type)) && attributes.p[n + 1] == attributes.p[0];
}

static bool take(struct str xml, const char *name, const char *type, const char *plain, const char *at_once,
                 struct login *l, struct arena *a)
{
        struct str attributes, inside, url;

        for (unsigned n = 0; n < SERVERS_MOST && element(&xml, str_of(name), a, &attributes, &inside); n++)
                if (is_type(attributes, type) &&
                    server_of(inside, plain, at_once, str_of(l->address), a, &url) &&
                    login_set(l, *name == 'i' ? S("incoming") : S("outgoing"), url))
                        return true;
        return false;
}

unsigned autoconfig_read(struct str xml, struct login *l)
{
        struct arena auto_arena a;
        unsigned n = 0;

        arena_init(&a, ARENA_MOST);
        xml = str_sub(xml, 0, FILE_MOST);
        if (!l->incoming.host)
                n += take(xml, "incomingServer", "imap", "imap", "imaps", l, &a) ||
                     take(xml, "incomingServer", "pop3", "pop3", "pop3s", l, &a);
        if (!l->outgoing.host)
                n += take(xml, "outgoingServer", "smtp", "submission", "submissions", l, &a);
        return n;
}

/* ---- fetched ---- */

struct fetch {
        char url[1200], at[2400]; /* where its host is: HOST:443:ADDRESS,ADDRESS */
        const char *ca;           /* NULL: the system's authorities */
        struct buf *text;
        char error[CURL_ERROR_SIZE];
};

static size_t piece(char *p, size_t size, size_t n, void *context)
{
        struct fetch *f = context;

        return buf_put(f->text, p, size * n) ? size * n : 0;
}

/* HTTPS with a good certificate, no redirects: else another than the domain would say where the password goes. On a worker. */
static int fetch(void *arg)
{
        struct fetch *f = arg;
        CURL *c = curl_easy_init();
        struct curl_slist *at = curl_slist_append(NULL, f->at);
        long code = 0;
        CURLcode rc;

        if (!c || !at) {
                curl_slist_free_all(at);
                curl_easy_cleanup(c);
                return -ENOMEM;
        }
        curl_easy_setopt(c, CURLOPT_RESOLVE, at);
        curl_easy_setopt(c, CURLOPT_PROXY, ""); /* what it says is to come from the domain */
        if (f->ca) {
                curl_easy_setopt(c, CURLOPT_CAINFO, f->ca);
                curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
        }
        curl_easy_setopt(c, CURLOPT_URL, f->url);
        curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
        curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c, CURLOPT_TIMEOUT, PATIENCE);
        curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->error);
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, piece);
        curl_easy_setopt(c, CURLOPT_WRITEDATA, f);
        rc = curl_easy_perform(c);
        if (rc == CURLE_OK)
                curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
        curl_easy_cleanup(c);
        curl_slist_free_all(at);
        if (rc == CURLE_OK && code != 200)
                snprintf(f->error, sizeof f->error, "the server says %ld", code);
        return rc == CURLE_OK && code == 200 ? 0 : -ENOENT;
}

/* What may stand in an URL as it is; the rest by %XX. */
static void put_escaped(struct buf *out, struct str s)
{
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    strchr("-._~", c))
                        buf_puts(out, str_sub(s, i, 1));
                else
                        buf_printf(out, "%%%02X", c);
        }
}

unsigned autoconfig_find(struct login *l, unsigned place, struct str host, struct str addresses,
                         struct buf *why)
{
        static const char *const paths[AUTOCONFIG_PLACES] = {
                "/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"
        };
        struct buf auto_buf url = { 0 }, text = { 0 };
        struct fetch f = { .ca = l->ca };
        unsigned n = 0;

        buf_init(&url, sizeof f.url - 1);
        buf_init(&text, FILE_MOST);
        buf_printf(&url, "https://" PRS "%s", STR(host), paths[place]);
        buf_printf(why, PRS ": ", STR(buf_str(&url)));
        buf_puts(&url, S("?emailaddress="));
        put_escaped(&url, str_of(l->address));
        snprintf(f.url, sizeof f.url, PRS, STR(buf_str(&url)));
        snprintf(f.at, sizeof f.at, PRS ":443:" PRS, STR(host), STR(addresses));
        f.text = &text;
        if (!addresses.n)
                snprintf(f.error, sizeof f.error, "no address");
        else if (!url.full && offload(LONG, fetch, &f) == 0)
                n = autoconfig_read(buf_str(&text), l);
        buf_printf(why, "%s\n", n ? "found" : *f.error ? f.error : "it names no server with TLS");
        return n;
}
