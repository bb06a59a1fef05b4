#include "net/dns.h"
#include "base/mem.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/offload.h"
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unbound.h>
#include <unistd.h>

enum { NAME_MOST = 255, RECORDS_MOST = 200 };

struct dns {
        struct ub_ctx *ctx;
        struct watch watch; /* on libunbound's descriptor; fd -1: no loop here */
};

static void answers_came(struct watch *w, uint32_t events)
{
        struct dns *d = (struct dns *)(void *)((char *)w - offsetof(struct dns, watch));

        (void)events;
        ub_process(d->ctx);
}

/* ---- a stack that is large enough ---- */

struct call {
        int (*fn)(void *arg);
        void *arg;
        int rc;
};

static void *called(void *arg)
{
        struct call *c = arg;

        c->rc = c->fn(c->arg);
        return NULL;
}

static int on_thread(void *arg)
{
        struct call *c = arg;
        pthread_t t;

        if (pthread_create(&t, NULL, called, c))
                return -EAGAIN;
        pthread_join(t, NULL);
        return c->rc;
}

/* libunbound reads its files into arrays on the stack that are larger than a fiber's. */
static int on_large_stack(int (*fn)(void *arg), void *arg)
{
        struct call c = { .fn = fn, .arg = arg };

        return fiber_self() ? offload(LONG, on_thread, &c) : fn(arg);
}

/* ---- set up ---- */

static bool set_stub(struct ub_ctx *ctx, struct str word)
{
        char zone[NAME_MOST + 1], at[64];
        struct str name;

        if (!str_cut(&word, '=', &name) || name.n > NAME_MOST || word.n >= sizeof(at))
                return false;
        snprintf(zone, sizeof(zone), PRS, STR(name));
        snprintf(at, sizeof(at), PRS, STR(word));
        return ub_ctx_set_stub(ctx, zone, at, 0) == 0;
}

static bool set_forwarder(struct ub_ctx *ctx, struct str word)
{
        char at[64];

        snprintf(at, sizeof(at), PRS, STR(word));
        return word.n < sizeof(at) && ub_ctx_set_fwd(ctx, at) == 0;
}

static bool set_anchors(struct ub_ctx *ctx, struct str word)
{
        char path[4096];

        snprintf(path, sizeof(path), PRS, STR(word));
        return word.n < sizeof(path) && access(path, R_OK) == 0 && ub_ctx_add_ta_file(ctx, path) == 0;
}

static int each_word(struct ub_ctx *ctx, const char *words, bool (*set)(struct ub_ctx *ctx, struct str word),
                     const char *what, struct buf *why)
{
        struct str rest = str_of(words), word;

        while (rest.n) {
                str_cut(&rest, ' ', &word);
                if (!word.n || set(ctx, word))
                        continue;
                buf_printf(why, "%s: " PRS " cannot be used", what, STR(word));
                return -EINVAL;
        }
        return 0;
}

static int set_up(struct ub_ctx *ctx, const struct dns_how *how, struct buf *why)
{
        struct str resolver = str_of(how->resolver);
        int rc;

        ub_ctx_debuglevel(ctx, 0);
        ub_ctx_set_option(ctx, "do-not-query-localhost:", "no");
        ub_ctx_set_option(ctx, "qname-minimisation:", "yes");
        rc = each_word(ctx, how->anchors, set_anchors, "trust-anchors", why);
        if (!rc)
                rc = each_word(ctx, how->stubs, set_stub, "stub-zones", why);
        if (rc || str_eq(resolver, S("recursive")))
                return rc;
        if (!str_eq(resolver, S("system")))
                return each_word(ctx, how->resolver, set_forwarder, "resolver", why);
        if (ub_ctx_resolvconf(ctx, NULL) == 0) {
                ub_ctx_hosts(ctx, NULL);
                return 0;
        }
        buf_puts(why, S("resolver: /etc/resolv.conf cannot be used"));
        return -EINVAL;
}

/* Its files are read by its first answer: one that asks nobody. A sandbox may stand when the next comes. */
static void read_now(struct ub_ctx *ctx)
{
        struct ub_result *result;

        if (ub_resolve(ctx, "localhost", DNS_A, 1, &result) == 0)
                ub_resolve_free(result);
}

struct opening {
        struct ub_ctx *ctx;
        const struct dns_how *how;
        struct buf *why;
};

static int open_context(void *arg)
{
        struct opening *o = arg;
        int rc;

        o->ctx = ub_ctx_create();
        rc = o->ctx ? set_up(o->ctx, o->how, o->why) : -ENOMEM;
        if (rc == 0 &&
            ub_ctx_async(o->ctx, 1)) /* a thread, not a process; can be said before the first question only */
                rc = -EINVAL;
        if (rc == 0)
                read_now(o->ctx);
        return rc;
}

int dns_open(struct dns **out, const struct dns_how *how, struct buf *why)
{
        struct opening o = { .how = how, .why = why };
        struct dns *d = mem_new(struct dns);
        int rc = on_large_stack(open_context, &o);

        d->watch.fd = -1;
        d->ctx = o.ctx;
        if (rc)
                dns_close(&d);
        *out = d;
        return rc;
}

/* Waits for libunbound's thread, which leaves what is under way. */
static int close_context(void *arg)
{
        ub_ctx_delete(arg);
        return 0;
}

void dns_close(struct dns **d)
{
        struct dns *old = *d;

        *d = NULL;
        if (!old)
                return;
        if (old->watch.fd >= 0)
                watch_remove(&old->watch); /* the descriptor is libunbound's */
        if (old->ctx && on_large_stack(close_context, old->ctx) < 0)
                close_context(old->ctx); /* no thread could be had */
        mem_free(old);
}

/* ---- asking ---- */

struct question {
        struct waitlist ready;
        struct ub_result *result;
        int error;
        bool over;
};

static void answered(void *arg, int error, struct ub_result *result)
{
        struct question *q = arg;

        q->error = error;
        q->result = result;
        q->over = true;
        wake_all(&q->ready);
}

static int wait_answer(struct dns *d, const char *name, enum dns_type type, nsec deadline, struct question *q)
{
        int id, rc = 0;

        if (d->watch.fd < 0) {
                d->watch = (struct watch){ ub_fd(d->ctx), answers_came };
                rc = watch_add(&d->watch, EPOLLIN);
                if (rc < 0) {
                        d->watch.fd = -1;
                        return rc;
                }
        }
        if (ub_resolve_async(d->ctx, name, (int)type, 1, q, answered, &id))
                return -ENOMEM;
        while (!q->over && rc == 0)
                rc = wait_on(&q->ready, "DNS", deadline);
        if (!q->over)
                ub_cancel(d->ctx, id);
        return q->over ? 0 : rc;
}

/* What libunbound made of it, into the arena. 0 or -EAGAIN. */
static int take_result(const struct ub_result *r, struct arena *a, struct dns_answer *out, struct str *why)
{
        if (r->bogus) {
                *why = arena_printf(a, "DNSSEC: the answer for %s is bogus (%s)", r->qname,
                                    r->why_bogus ? r->why_bogus : "no reason given");
                return -EAGAIN;
        }
        if (r->rcode != 0 && r->rcode != 3) {
                *why = arena_printf(a, "DNS: the servers of %s fail (%s)", r->qname,
                                    r->rcode == 2   ? "SERVFAIL"
                                    : r->rcode == 5 ? "REFUSED"
                                                    : "an error");
                return -EAGAIN;
        }
        out->exists = r->havedata;
        out->no_name = r->nxdomain;
        out->secure = r->secure;
        out->ttl = r->ttl > 0 ? (uint32_t)r->ttl : 0;
        out->canonical = arena_str(a, str_of(r->canonname ? r->canonname : r->qname));
        if (str_ends(out->canonical, S(".")))
                out->canonical.n--;
        while (r->havedata && r->data[out->count] && out->count < RECORDS_MOST)
                out->count++;
        out->data = arena_array(a, struct str, out->count);
        for (unsigned i = 0; i < out->count; i++)
                out->data[i] = arena_str(a, str_from(r->data[i], (size_t)r->len[i]));
        return 0;
}

int dns_ask(struct dns *d, struct str name, enum dns_type type, nsec deadline, struct arena *a,
            struct dns_answer *out, struct str *why)
{
        struct question q = { 0 };
        char text[NAME_MOST + 2];
        int rc;

        *out = (struct dns_answer){ 0 };
        *why = S("");
        if (!name.n || name.n > NAME_MOST || str_find(name, 0) != STR_NONE) {
                out->no_name = true;
                return 0;
        }
        snprintf(text, sizeof(text), PRS, STR(name));
        if (fiber_self()) {
                rc = wait_answer(d, text, type, deadline, &q);
        } else {
                q.error = ub_resolve(d->ctx, text, (int)type, 1, &q.result);
                rc = 0;
        }
        if (rc == -ETIMEDOUT)
                *why = arena_printf(a, "DNS: no answer for " PRS " in time", STR(name));
        else if (rc < 0)
                *why = arena_printf(a, "DNS: " PRS " could not be asked for", STR(name));
        if (rc < 0)
                return rc;
        if (q.error == UB_SYNTAX) { /* no such name can be */
                out->no_name = true;
                return 0;
        }
        if (q.error || !q.result) {
                *why = arena_printf(a, "DNS: " PRS ": %s", STR(name), ub_strerror(q.error));
                return -EAGAIN;
        }
        rc = take_result(q.result, a, out, why);
        ub_resolve_free(q.result);
        return rc;
}

/* The root's keys: with a trust anchor for them the answer is secure, or the forwarder keeps the signatures back. */
int dns_check(struct dns *d, nsec deadline, struct arena *a, struct str *why)
{
        struct dns_answer answer;
        int rc = dns_ask(d, S("."), DNS_DNSKEY, deadline, a, &answer, why);

        if (rc == 0 && !answer.exists) {
                *why = S("the root's keys are kept back");
                rc = -EAGAIN;
        }
        return rc;
}
