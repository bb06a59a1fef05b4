#include "proto/tap.h"
#include "base/mem.h"
#include "base/time.h"
#include "run/loop.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WATCHERS_MOST = 16, WANTED_MOST = 4096 };

struct watcher {
        struct watch watch;
        struct taps *all;
        struct buf kept; /* what wanted points into */
        struct tap_wanted wanted;
        uint64_t lost; /* not told yet */
        bool gone;     /* the loop will say so, too */
};
struct taps {
        struct watcher *list[WATCHERS_MOST];
        unsigned count;
        struct buf message;
        uint32_t process;
        void (*changed)(void *context);
        void *context;
};

/* ---- messages: u8 what | u8 from | u8 flags | u64 at | u64 number | u32 process | two addresses | four packed strings ---- */

enum { OUTGOING = 1, CUT = 2, ADDRESS = 19 };

static void put_addr(struct buf *b, struct addr a)
{
        buf_u8(b, a.family);
        buf_put(b, a.ip, sizeof(a.ip));
        buf_u16(b, a.port);
}

static struct addr get_addr(struct unpack *u)
{
        struct addr a = { .family = unpack_u8(u) };
        struct str ip = unpack_bytes(u, sizeof(a.ip));

        for (size_t i = 0; i < ip.n; i++)
                a.ip[i] = (uint8_t)ip.p[i];
        a.port = unpack_u16(u);
        return a;
}

static void pack(struct buf *b, const struct tap_record *r)
{
        buf_clear(b);
        buf_u8(b, (uint8_t)r->what);
        buf_u8(b, (uint8_t)r->from);
        buf_u8(b, (r->outgoing ? OUTGOING : 0) | (r->cut ? CUT : 0));
        buf_u64(b, (uint64_t)r->at);
        buf_u64(b, r->number);
        buf_u32(b, r->process);
        put_addr(b, r->peer);
        put_addr(b, r->local);
        buf_packed(b, r->session);
        buf_packed(b, r->protocol);
        buf_packed(b, r->account);
        buf_packed(b, r->text);
}

bool tap_unpack(struct str message, struct tap_record *r)
{
        struct unpack u = unpack_of(message);
        uint8_t flags;

        r->what = (enum tap_what)unpack_u8(&u);
        r->from = (char)unpack_u8(&u);
        flags = unpack_u8(&u);
        r->outgoing = flags & OUTGOING;
        r->cut = flags & CUT;
        r->at = (int64_t)unpack_u64(&u);
        r->number = unpack_u64(&u);
        r->process = unpack_u32(&u);
        r->peer = get_addr(&u);
        r->local = get_addr(&u);
        r->session = unpack_str(&u);
        r->protocol = unpack_str(&u);
        r->account = unpack_str(&u);
        r->text = unpack_str(&u);
        return unpack_done(&u) && r->what >= TAP_BEGIN && r->what <= TAP_BACK;
}

void tap_wanted_pack(struct buf *out, const struct tap_wanted *w)
{
        buf_packed(out, w->address);
        buf_packed(out, w->account);
        buf_packed(out, w->protocol);
        buf_packed(out, w->session);
}

bool tap_wanted_unpack(struct str body, struct tap_wanted *w)
{
        struct unpack u = unpack_of(body);

        w->address = unpack_str(&u);
        w->account = unpack_str(&u);
        w->protocol = unpack_str(&u);
        w->session = unpack_str(&u);
        return unpack_done(&u) && body.n <= WANTED_MOST;
}

/* ---- who wants what ---- */

static bool protocol_fits(struct str wanted, struct str is)
{
        struct str family = str_starts(is, S("submission")) ? S("smtp") : is;

        if (str_ieq(wanted, is) || str_ieq(wanted, family))
                return true;
        return str_ends(family, S("s")) && str_ieq(wanted, str_sub(family, 0, family.n - 1));
}

bool tap_wants(const struct tap_wanted *w, const struct tap_record *r)
{
        if (r->what == TAP_GONE || r->what == TAP_BACK)
                return true;
        return (!w->session.n || str_eq(w->session, r->session)) &&
               (!w->account.n || !r->account.n || r->what == TAP_END || str_ieq(w->account, r->account)) &&
               (!w->protocol.n || protocol_fits(w->protocol, r->protocol)) &&
               (!w->address.n || addr_in_list(r->peer, w->address) || addr_in_list(r->local, w->address));
}

/* ---- watchers ---- */

static void drop(struct watcher *w)
{
        struct taps *t = w->all;
        unsigned i = 0;

        while (t->list[i] != w)
                i++;
        t->list[i] = t->list[--t->count];
        watch_remove(&w->watch);
        close(w->watch.fd);
        buf_free(&w->kept);
        mem_free(w);
}

/* false: it did not fit, or nobody is there any more. */
static bool send_message(struct watcher *w, struct str message)
{
        if (send(w->watch.fd, message.p, message.n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                return true;
        w->gone = w->gone || (errno != EAGAIN && errno != ENOBUFS && errno != EINTR && errno != EMSGSIZE);
        return false;
}

static bool tell_lost(struct watcher *w)
{
        struct buf auto_buf b = { 0 };

        if (!w->lost)
                return true;
        buf_init(&b, 256);
        pack(&b, &(struct tap_record){ .what = TAP_LOST, .at = wall_usec(), .number = w->lost });
        if (!send_message(w, buf_str(&b)))
                return false;
        w->lost = 0;
        return true;
}

/* There is room again, or the other side has closed. What it might say is of no interest. */
static void watcher_ready(struct watch *watch, uint32_t events)
{
        struct watcher *w = (struct watcher *)((char *)watch - offsetof(struct watcher, watch));
        struct taps *t = w->all;
        char byte;
        ssize_t n = 1;

        while (n > 0)
                n = recv(watch->fd, &byte, 1, MSG_DONTWAIT);
        if (n == 0 || errno != EAGAIN || events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP) || w->gone) {
                drop(w);
                if (!t->count && t->changed)
                        t->changed(t->context);
                return;
        }
        (void)tell_lost(w);
}

bool taps_watch(struct taps *t, int fd, const struct tap_wanted *wanted)
{
        struct watcher *w;

        if (t->count == WATCHERS_MOST) {
                close(fd);
                return false;
        }
        w = mem_new(struct watcher);
        w->watch = (struct watch){ fd, watcher_ready };
        w->all = t;
        buf_init(&w->kept, WANTED_MOST + 32);
        tap_wanted_pack(&w->kept, wanted);
        if (!tap_wanted_unpack(buf_str(&w->kept), &w->wanted) ||
            watch_add(&w->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP) < 0) {
                close(fd);
                buf_free(&w->kept);
                mem_free(w);
                return false;
        }
        t->list[t->count++] = w;
        if (t->changed)
                t->changed(t->context);
        return true;
}

void taps_each(const struct taps *t, void (*fn)(void *context, int fd, struct str wanted), void *context)
{
        for (unsigned i = 0; i < t->count; i++)
                fn(context, t->list[i]->watch.fd, buf_str(&t->list[i]->kept));
}

/* Called from within connections: it sends, and changes nothing that they hold. */
void taps_tell(struct taps *t, struct tap_record *r)
{
        bool packed = false;

        r->at = wall_usec();
        r->process = r->process ? r->process : t->process;
        r->cut = r->text.n > TAP_TEXT_MOST;
        r->text = str_sub(r->text, 0, TAP_TEXT_MOST);
        for (unsigned i = 0; i < t->count; i++) {
                struct watcher *w = t->list[i];

                if (w->gone || !tap_wants(&w->wanted, r))
                        continue;
                if (!packed)
                        pack(&t->message, r);
                packed = true;
                if (t->message.full)
                        return;
                if (!tell_lost(w) || !send_message(w, buf_str(&t->message)))
                        w->lost++;
        }
}

bool taps_on(const struct taps *t)
{
        return t && t->count;
}

struct taps *taps_new(void (*changed)(void *context), void *context)
{
        struct taps *t = mem_new(struct taps);

        t->process = (uint32_t)getpid();
        t->changed = changed;
        t->context = context;
        buf_init(&t->message, TAP_RECORD_MOST);
        return t;
}

void taps_free(struct taps **t)
{
        if (!*t)
                return;
        while ((*t)->count)
                drop((*t)->list[0]);
        buf_free(&(*t)->message);
        mem_free(*t);
        *t = NULL;
}
