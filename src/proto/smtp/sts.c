/* MTA-STS policies: fetched by HTTPS when the id in DNS is new, kept in the outbox as long as they say (RFC 8461 §5.1). What cannot be fetched
 * is as if the domain had none, unless one is kept: that holds until it expires, whatever DNS says meanwhile. */
#include "proto/smtp/sts.h"
#include "base/mem.h"
#include "proto/smtp/dispatch_inside.h"
#include "run/log.h"
#include "run/offload.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>

enum {
        POLICY_MOST = 64 * 1024,
        KEPT_MOST = 1000,
        HTTPS_PORT = 443,
        FETCHES_MOST = 2 /* at once: servers that stall must not take all workers */
};
#define DNS_PATIENCE   15
#define FETCH_PATIENCE 30L
#define LOOK_PATIENCE  120            /* seconds, for another's look at the same domain */
#define AGAIN_AFTER    (300 * SECOND) /* a look at the id, a fetch that failed */

struct known {
        struct known *next;
        char *domain, *id, *patterns; /* id NULL: none is known */
        bool enforce, testing;
        bool read;       /* from the outbox */
        int64_t expires; /* wall usec */
        nsec look_at;
        unsigned users; /* whoever waits with a pointer to it; it stays meanwhile */
        struct fiber_lock looking;
};
struct sts {
        struct known *list;
        unsigned count;
        unsigned fetching;
        struct waitlist fetched;
        _Atomic bool stopping; /* read by the workers */
};

static void known_clear(struct known *k)
{
        mem_free(k->id);
        mem_free(k->patterns);
        k->id = k->patterns = NULL;
        k->enforce = k->testing = false;
}

static void known_free(struct known *k)
{
        known_clear(k);
        mem_free(k->domain);
        mem_free(k);
}

void sts_stop(struct sts *s)
{
        if (s)
                s->stopping = true;
}

void sts_free(struct sts **s)
{
        while (*s && (*s)->list) {
                struct known *k = (*s)->list;

                (*s)->list = k->next;
                known_free(k);
        }
        mem_free(*s);
        *s = NULL;
}

/* The one that came longest ago and is nobody's just now. */
static void drop_oldest(struct sts *s)
{
        struct known **last = NULL, *k;

        for (struct known **at = &s->list; *at; at = &(*at)->next)
                if (!(*at)->users)
                        last = at;
        if (!last)
                return;
        k = *last;
        *last = k->next;
        known_free(k);
        s->count--;
}

static struct known *known_of(struct dispatch *d, struct str domain)
{
        struct known *k;

        if (!d->sts)
                d->sts = mem_new(struct sts);
        for (k = d->sts->list; k; k = k->next)
                if (str_ieq(str_of(k->domain), domain))
                        return k;
        if (d->sts->count >= KEPT_MOST)
                drop_oldest(d->sts);
        k = mem_new(struct known);
        *k = (struct known){ .next = d->sts->list, .domain = mem_string(domain) };
        d->sts->list = k;
        d->sts->count++;
        return k;
}

static void know(struct known *k, struct str id, const struct sts_policy *p, int64_t expires)
{
        known_clear(k);
        k->id = mem_string(id);
        k->patterns = mem_string(p->patterns);
        k->enforce = p->enforce;
        k->testing = p->testing;
        k->expires = expires;
}

/* ---- over a restart ---- */

static void read_kept(struct dispatch *d, struct known *k, struct arena *a)
{
        struct outbox_policy kept;
        struct sts_policy p;

        if (k->read || !d->how.outbox)
                return;
        k->read = true;
        if (outbox_policy(d->how.outbox, str_of(k->domain), a, &kept) == 0 && sts_read(kept.text, a, &p))
                know(k, kept.id, &p, kept.expires);
}

static void keep(struct dispatch *d, const struct known *k, struct str text)
{
        struct outbox_policy p = { str_of(k->id), text, k->expires };

        if (d->how.outbox && outbox_policy_put(d->how.outbox, str_of(k->domain), &p) < 0)
                log_warn("mta-sts", "domain=%s what=\"the policy is known until the next start only\"",
                         log_str(str_of(k->domain)));
}

/* ---- fetching ---- */

struct fetch {
        char url[400], host[300];
        char at[64 * MX_ADDRESSES_MOST + 400]; /* "host:443:addr,addr": found by our own DNS */
        const char *authorities;
        struct buf text;
        char error[CURL_ERROR_SIZE];
        const _Atomic bool *stopping;
};

static size_t take(char *p, size_t size, size_t n, void *context)
{
        struct fetch *f = context;

        return buf_put(&f->text, p, size * n) ? size * n : 0;
}

/* Called at least once a second; anything but 0 ends it. */
static int go_on(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
        struct fetch *f = context;

        (void)total, (void)now, (void)up_total, (void)up;
        return *f->stopping;
}

/* RFC 8461 §3.3: HTTPS, a certificate that is good, no redirects. On a worker. */
static int fetch(void *arg)
{
        struct fetch *f = arg;
        struct curl_slist *at = curl_slist_append(NULL, f->at);
        CURL *c = at ? curl_easy_init() : NULL;
        long code = 0;
        CURLcode rc;

        if (!c) {
                curl_slist_free_all(at);
                return -ENOMEM;
        }
        curl_easy_setopt(c, CURLOPT_URL, f->url);
        curl_easy_setopt(c, CURLOPT_RESOLVE, at);
        curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
        curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c, CURLOPT_TIMEOUT, FETCH_PATIENCE);
        curl_easy_setopt(c, CURLOPT_PROXY, "");
        curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->error);
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(c, CURLOPT_WRITEDATA, f);
        curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, go_on);
        curl_easy_setopt(c, CURLOPT_XFERINFODATA, f);
        if (f->authorities)
                curl_easy_setopt(c, CURLOPT_CAINFO, f->authorities);
        rc = curl_easy_perform(c);
        if (rc == CURLE_OK)
                curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
        curl_easy_cleanup(c);
        curl_slist_free_all(at);
        if (rc == CURLE_OK && code != 200)
                snprintf(f->error, sizeof(f->error), "the server says %ld", code);
        return rc == CURLE_OK && code == 200 ? 0 : -ENOENT;
}

/* Where the policy's server is. */
static int find_server(struct dispatch *d, struct fetch *f, struct arena *a)
{
        struct mx_host host = { .name = str_of(f->host) };
        struct buf at;
        struct str why;
        int rc = mx_addresses(d->how.dns, &host, in_seconds(DNS_PATIENCE), a, &why);

        if (rc < 0) {
                snprintf(f->error, sizeof(f->error), "%.200s", why.n ? arena_str(a, why).p : "no address");
                return rc;
        }
        buf_init(&at, sizeof(f->at) - 1);
        buf_printf(&at, "%s:%d:", f->host, HTTPS_PORT);
        for (unsigned i = 0; i < host.count; i++)
                buf_printf(&at, "%s%s%s%s", i ? "," : "", host.addresses[i].family == 6 ? "[" : "",
                           addr_text(host.addresses[i]).z, host.addresses[i].family == 6 ? "]" : "");
        snprintf(f->at, sizeof(f->at), PRS, STR(buf_str(&at)));
        buf_free(&at);
        return 0;
}

/* false: its turn did not come, and nothing is known that was not before. */
static bool take_turn(struct sts *s)
{
        nsec until = in_seconds(LOOK_PATIENCE / 2);

        while (s->fetching >= FETCHES_MOST)
                if (wait_on(&s->fetched, "MTA-STS", until) < 0)
                        return false;
        s->fetching++;
        return true;
}

static int fetch_in_turn(struct sts *s, struct fetch *f)
{
        int rc;

        if (!take_turn(s)) {
                snprintf(f->error, sizeof(f->error), "others are fetched, and do not come");
                return -EAGAIN;
        }
        rc = offload(LONG, fetch, f);
        s->fetching--;
        wake_one(&s->fetched);
        return rc;
}

static void fetch_policy(struct dispatch *d, struct known *k, struct str id, struct arena *a)
{
        struct fetch *f = mem_new(struct fetch);
        struct sts_policy fresh;

        f->authorities = way_authorities(d, a);
        f->stopping = &d->sts->stopping;
        buf_init(&f->text, POLICY_MOST);
        snprintf(f->host, sizeof(f->host), "mta-sts.%s", k->domain);
        snprintf(f->url, sizeof(f->url), "https://%s/.well-known/mta-sts.txt", f->host);
        if (find_server(d, f, a) == 0 && fetch_in_turn(d->sts, f) == 0 &&
            sts_read(buf_str(&f->text), a, &fresh)) {
                know(k, id, &fresh, wall_usec() + (int64_t)fresh.max_age * 1000000);
                keep(d, k, buf_str(&f->text));
                log_event("mta-sts", "domain=%s id=%s mode=%s", log_str(str_of(k->domain)), log_str(id),
                          k->enforce   ? "enforce"
                          : k->testing ? "testing"
                                       : "none");
        } else {
                log_warn("mta-sts", "domain=%s why=%s", log_str(str_of(k->domain)),
                         log_str(str_of(f->error[0] ? f->error : "the policy makes no sense")));
        }
        buf_free(&f->text);
        mem_free(f);
}

static void look(struct dispatch *d, struct known *k, struct arena *a)
{
        struct dns_answer answer;
        struct str why, id;

        read_kept(d, k, a);
        if (now() < k->look_at)
                return;
        if (dns_ask(d->how.dns, arena_printf(a, "_mta-sts.%s", k->domain), DNS_TXT, in_seconds(DNS_PATIENCE),
                    a, &answer, &why) == 0) {
                id = sts_id(answer.data, answer.count, a);
                if (id.n && (!k->id || !str_eq(str_of(k->id), id) || k->expires < wall_usec()))
                        fetch_policy(d, k, id, a);
        }
        k->look_at = now() + AGAIN_AFTER;
}

/* What becomes part of a URL. */
static bool is_host(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '-' &&
                    s.p[i] != '.')
                        return false;
        return s.n > 0 && s.n < 250;
}

bool sts_policy(struct dispatch *d, struct str domain, struct arena *a, struct sts_policy *out)
{
        struct known *k;
        bool good;

        *out = (struct sts_policy){ 0 };
        if (!is_host(domain))
                return false;
        k = known_of(d, domain);
        k->users++;
        if (lock_take(&k->looking, "MTA-STS", in_seconds(LOOK_PATIENCE)) == 0) {
                look(d, k, a);
                lock_drop(&k->looking);
        }
        k->users--;
        good = k->id && k->expires >= wall_usec();
        if (good)
                *out = (struct sts_policy){ .enforce = k->enforce,
                                            .testing = k->testing,
                                            .patterns = arena_str(a, str_of(k->patterns)) };
        return good;
}
