/* MTA-STS (RFC 8461): a domain's wish that its mail travels by verified TLS only. The policy is fetched by HTTPS when its id in DNS is new, and
 * kept as long as it says: D/outbox/policies/DOMAIN, a line "id expires", then the policy as it came. What cannot be fetched is as if the domain
 * had none, unless one is kept. */
#include "base/mem.h"
#include "proto/smtp/dispatch_inside.h"
#include "run/log.h"
#include "run/offload.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>

enum { POLICY_MOST = 64 * 1024, KEPT_MOST = 1000, AGE_MOST = 31557600 };
#define DNS_PATIENCE   15
#define FETCH_PATIENCE 30L
#define AGAIN_AFTER    (300 * SECOND) /* a fetch that failed, and a look at the id */

struct known {
        struct known *next;
        char *domain, *id, *patterns; /* id NULL: none is known */
        bool enforce, testing;
        int64_t expires; /* wall usec */
        nsec look_at;
};
struct sts {
        struct known *list;
        unsigned count;
};

static void known_clear(struct known *k)
{
        mem_free(k->id);
        mem_free(k->patterns);
        k->id = k->patterns = NULL;
        k->enforce = k->testing = false;
}

void sts_free(struct sts **s)
{
        while (*s && (*s)->list) {
                struct known *k = (*s)->list;

                (*s)->list = k->next;
                known_clear(k);
                mem_free(k->domain);
                mem_free(k);
        }
        mem_free(*s);
        *s = NULL;
}

static struct known *known_of(struct dispatch *d, struct str domain)
{
        struct known **at, *k;

        if (!d->sts)
                d->sts = mem_new(struct sts);
        for (at = &d->sts->list; *at; at = &(*at)->next)
                if (str_ieq(str_of((*at)->domain), domain))
                        return *at;
        if (d->sts->count >= KEPT_MOST) { /* the oldest goes: it is the last */
                for (at = &d->sts->list; (*at)->next; at = &(*at)->next)
                        ;
                known_clear(*at);
                mem_free((*at)->domain);
                mem_free(*at);
                *at = NULL;
                d->sts->count--;
        }
        k = mem_new(struct known);
        *k = (struct known){ .next = d->sts->list, .domain = mem_string(domain) };
        d->sts->list = k;
        d->sts->count++;
        return k;
}

/* ---- the policy ---- */

/* RFC 8461 §3.2: "key: value" lines. */
static bool parse(struct known *k, struct str text)
{
        auto_buf struct buf patterns = { 0 };
        bool version = false, mode = false;
        uint64_t age = 0;

        buf_init(&patterns, POLICY_MOST);
        while (text.n) {
                struct str line, key;

                str_cut(&text, '\n', &line);
                if (str_ends(line, S("\r")))
                        line.n--;
                if (!str_cut(&line, ':', &key))
                        continue;
                key = str_trim(key);
                line = str_trim(line);
                if (str_eq(key, S("version"))) {
                        version = str_eq(line, S("STSv1"));
                } else if (str_eq(key, S("mode"))) {
                        mode = true;
                        k->enforce = str_eq(line, S("enforce"));
                        k->testing = str_eq(line, S("testing"));
                } else if (str_eq(key, S("mx")) && str_find(line, ' ') == STR_NONE) {
                        buf_printf(&patterns, "%s" PRS, patterns.n ? " " : "", STR(line));
                } else if (str_eq(key, S("max_age")) && !str_u64(line, &age)) {
                        age = 0;
                }
        }
        if (!version || !mode || !age || patterns.full)
                return false;
        k->expires = wall_usec() + (int64_t)(age < AGE_MOST ? age : AGE_MOST) * 1000000;
        k->patterns = mem_string(buf_str(&patterns));
        return true;
}

/* "*.example.org" stands for one label (RFC 8461 §4.1). */
bool sts_allows(struct str patterns, struct str host)
{
        struct str pattern;

        while (patterns.n) {
                size_t dot;

                str_cut(&patterns, ' ', &pattern);
                if (str_ieq(pattern, host))
                        return true;
                dot = str_find(host, '.');
                if (str_starts(pattern, S("*.")) && dot != STR_NONE &&
                    str_ieq(str_from_at(pattern, 1), str_from_at(host, dot)))
                        return true;
        }
        return false;
}

/* ---- fetching ---- */

struct fetch {
        char url[400];
        const char *authorities;
        struct buf text;
        char error[CURL_ERROR_SIZE];
};

static size_t take(char *p, size_t size, size_t n, void *context)
{
        struct fetch *f = context;

        return buf_put(&f->text, p, size * n) ? size * n : 0;
}

/* RFC 8461 §3.3: HTTPS, a certificate that is good, no redirects. On a worker. */
static int fetch(void *arg)
{
        struct fetch *f = arg;
        CURL *c = curl_easy_init();
        long code = 0;
        CURLcode rc;

        if (!c)
                return -ENOMEM;
        curl_easy_setopt(c, CURLOPT_URL, f->url);
        curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
        curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c, CURLOPT_TIMEOUT, FETCH_PATIENCE);
        curl_easy_setopt(c, CURLOPT_PROXY, "");
        curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->error);
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(c, CURLOPT_WRITEDATA, f);
        if (f->authorities)
                curl_easy_setopt(c, CURLOPT_CAINFO, f->authorities);
        rc = curl_easy_perform(c);
        if (rc == CURLE_OK)
                curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
        curl_easy_cleanup(c);
        return rc == CURLE_OK && code == 200 ? 0 : -ENOENT;
}

static void fetch_policy(struct dispatch *d, struct known *k, struct str id)
{
        const char *authorities = d->how.settings->tls_authorities;
        struct fetch *f = mem_new(struct fetch);
        struct known fresh = { 0 };

        f->authorities = authorities[0] ? authorities : NULL;
        buf_init(&f->text, POLICY_MOST);
        snprintf(f->url, sizeof(f->url), "https://mta-sts.%s/.well-known/mta-sts.txt", k->domain);
        if (offload(LONG, fetch, f) == 0 && parse(&fresh, buf_str(&f->text))) {
                known_clear(k);
                k->id = mem_string(id);
                k->patterns = fresh.patterns;
                k->enforce = fresh.enforce;
                k->testing = fresh.testing;
                k->expires = fresh.expires;
                log_event("mta-sts", "domain=%s id=%s mode=%s", log_str(str_of(k->domain)), log_str(id),
                          k->enforce   ? "enforce"
                          : k->testing ? "testing"
                                       : "none");
        } else {
                mem_free(fresh.patterns);
                log_warn("mta-sts", "domain=%s why=%s", log_str(str_of(k->domain)),
                         log_str(str_of(f->error[0] ? f->error
                                                    : "the policy cannot be fetched, or makes no sense")));
        }
        buf_free(&f->text);
        mem_free(f);
}

/* "v=STSv1; id=20160831085700Z;" */
static struct str id_in(const struct dns_answer *answer, struct arena *a)
{
        for (unsigned i = 0; i < answer->count; i++) {
                struct str rest = answer->data[i], text = S(""), field, key;

                while (rest.n) { /* strings of up to 255 bytes */
                        size_t n = (unsigned char)rest.p[0];

                        text = arena_printf(a, PRS PRS, STR(text), STR(str_sub(rest, 1, n)));
                        rest = str_from_at(rest, 1 + n);
                }
                if (!str_starts(text, S("v=STSv1")))
                        continue;
                while (text.n) {
                        str_cut(&text, ';', &field);
                        if (str_cut(&field, '=', &key) && str_eq(str_trim(key), S("id")))
                                return str_trim(field);
                }
        }
        return (struct str){ 0 };
}

bool sts_policy(struct dispatch *d, struct str domain, struct arena *a, struct sts_policy *out)
{
        struct known *k = known_of(d, domain);
        struct dns_answer answer;
        struct str why, id;

        *out = (struct sts_policy){ 0 };
        if (now() >= k->look_at) {
                k->look_at = now() + AGAIN_AFTER;
                if (dns_ask(d->how.dns, arena_printf(a, "_mta-sts." PRS, STR(domain)), DNS_TXT,
                            in_seconds(DNS_PATIENCE), a, &answer, &why) == 0) {
                        id = id_in(&answer, a);
                        k = known_of(d, domain); /* the list may have moved meanwhile */
                        if (id.n && (!k->id || !str_eq(str_of(k->id), id) || k->expires < wall_usec()))
                                fetch_policy(d, k, id);
                }
        }
        k = known_of(d, domain);
        if (!k->id || k->expires < wall_usec())
                return false;
        *out = (struct sts_policy){ k->enforce, k->testing, arena_str(a, str_of(k->patterns)) };
        return true;
}
