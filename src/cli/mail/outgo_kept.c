/* Outbox itself: its lock, the states of its letters, and what is done to them; and Sent, where they end. */
#include "cli/mail/outgo_inside.h"
#include "base/mem.h"
#include "cli/home.h"
#include "run/fiber.h"
#include "store/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };
#define LOCK_STEP (SECOND / 50)

/* ---- the lock ---- */

/* On the copy's own folder: nothing lies there because of it. -EBUSY: another empties Outbox. */
static int folder_flock(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
                close(fd);
                return -EBUSY;
        }
        return fd < 0 ? -errno : fd;
}

int kept_lock(struct copy *c, const struct login *l, nsec deadline)
{
        struct buf auto_buf path = { 0 }, below = { 0 };
        int fd;

        buf_init(&below, 1024);
        buf_printf(&below, "mail/" PRS, STR(copy_name(c)));
        buf_u8(&below, 0);
        if (l->how != INCOMING_STORE) {
                if (below.full || !home_path(&path, HOME_DATA, below.p))
                        return -ENAMETOOLONG;
        } else {
                buf_init(&path, 8192);
                buf_printf(&path, "%s/%s", l->folder, below.p);
                buf_u8(&path, 0);
                if (path.full)
                        return -ENAMETOOLONG;
        }
        while ((fd = folder_flock(path.p)) == -EBUSY && now() < deadline)
                if (fiber_sleep(now() + LOCK_STEP) < 0)
                        return -ECANCELED;
        return fd;
}

/* ---- states ---- */

static struct str keyword_of(enum state s)
{
        return s == HANDED_OVER ? S("$SubmitPending") : s == TAKEN ? S("$Submitted") : S("");
}

static int flags_of(struct access *x, enum state s, uint64_t *flags)
{
        unsigned bit;
        int rc = keyword_of(s).n ? change_keyword(x, keyword_of(s), &bit) : 0;

        *flags = FLAG_SEEN | (s == REFUSED ? FLAG_FLAGGED : 0);
        if (rc == 0 && keyword_of(s).n)
                *flags |= (uint64_t)1 << bit;
        return rc;
}

static int state_of(struct access *x, uint64_t flags, enum state *s)
{
        uint64_t handed, taken;
        int rc = flags_of(x, HANDED_OVER, &handed);

        if (rc == 0)
                rc = flags_of(x, TAKEN, &taken);
        if (rc == 0)
                *s = flags & taken & ~(uint64_t)FLAG_SEEN    ? TAKEN
                     : flags & handed & ~(uint64_t)FLAG_SEEN ? HANDED_OVER
                     : flags & FLAG_FLAGGED                  ? REFUSED
                                                             : WAITS;
        return rc;
}

int kept_flag(struct access *x, uint32_t uid, enum flags_how how, uint64_t flags)
{
        struct uid_range one = { uid, uid };
        struct flags_change change = {
                .uids = &one, .n = 1, .how = how, .flags = flags, .unchanged_since = UINT64_MAX
        };
        int rc = change_flags(x, &change);

        if (rc == 0 && !change.changed.n)
                rc = -ENOENT;
        placed_list_free(&change.changed);
        uid_list_free(&change.modified);
        return rc;
}

int kept_mark(struct copy *c, uint32_t uid, enum state s)
{
        struct access x = { 0 };
        uint64_t flags;
        int rc = copy_access(c, &x, OUTBOX, RIGHTS_ALL);

        if (rc == 0)
                rc = flags_of(&x, s, &flags);
        if (rc == 0)
                rc = kept_flag(&x, uid, FLAGS_SET, flags);
        access_close(&x);
        /* a power cut must not make us forget that the letter left; what follows the other states is synced itself */
        return rc == 0 && s == HANDED_OVER ? account_settle(copy_account(c)) : rc;
}

int kept_look(struct copy *c, uint32_t uid, enum state *s)
{
        struct uid_range one = { uid, uid };
        struct placed_list list = { 0 };
        struct access x = { 0 };
        int rc = copy_access(c, &x, OUTBOX, RIGHTS_ALL);

        if (rc == 0)
                rc = change_list(&x, &one, 1, 0, &list);
        if (rc == 0)
                rc = list.n ? state_of(&x, list.list[0].flags, s) : -ENOENT;
        placed_list_free(&list);
        access_close(&x);
        return rc;
}

/* ---- letters ---- */

int kept_make(struct copy *c)
{
        uint32_t mailbox;
        int rc = mailbox_create(copy_account(c), copy_name(c), OUTBOX, S(""), &mailbox);

        return rc == -EEXIST ? 0 : rc;
}

int kept_file(struct copy *c, uint32_t before, struct str text, enum state s, uint32_t *uid)
{
        struct stage *g = stage_new(copy_accounts(c));
        struct filing f = { .staged_dir = -1, .received = wall_usec() };
        struct access x = { 0 };
        int rc = stage_put(g, text);

        if (rc == 0)
                rc = stage_finish(g, &f);
        if (rc == 0)
                rc = copy_access(c, &x, OUTBOX, RIGHTS_ALL);
        if (rc == 0)
                rc = flags_of(&x, s, &f.flags);
        if (rc == 0)
                rc = before ? change_replace(&x, before, &x, &f, UINT64_MAX)
                            : change_append(&x, &f, 1, UINT64_MAX);
        access_close(&x);
        if (rc == 0)
                *uid = f.uid;
        stage_free(&g);
        return rc;
}

int kept_remove(struct copy *c, uint32_t uid)
{
        struct uid_range one = { uid, uid };
        struct uid_list gone = { 0 };
        struct access x = { 0 };
        int rc = copy_access(c, &x, OUTBOX, RIGHTS_ALL);

        if (rc == 0)
                rc = change_expunge(&x, &one, 1, false, &gone);
        uid_list_free(&gone);
        access_close(&x);
        return rc;
}

int kept_read(struct copy *c, uint32_t letter, struct buf *text)
{
        size_t before;
        int rc;

        do {
                before = text->n;
                rc = letter_read(copy_account(c), letter, before, PIECE, text);
        } while (rc == 0 && text->n - before == PIECE);
        return rc;
}

int kept_list(struct copy *c, struct placed_list *list, enum state **states)
{
        struct uid_range all = { 1, UINT32_MAX };
        struct access x = { 0 };
        int rc = copy_access(c, &x, OUTBOX, RIGHTS_ALL);

        *states = NULL;
        if (rc == 0)
                rc = change_list(&x, &all, 1, 0, list);
        if (rc == 0)
                *states = mem_array(list->n + 1, sizeof **states);
        for (size_t i = 0; i < list->n && rc == 0; i++)
                rc = state_of(&x, list->list[i].flags, &(*states)[i]);
        access_close(&x);
        return rc;
}

int outgo_again(struct copy *c, struct login *l, const struct uid_list *uids)
{
        struct flags_change change = {
                .uids = uids->ranges, .n = uids->n, .how = FLAGS_REMOVE, .unchanged_since = UINT64_MAX
        };
        struct access x = { 0 };
        uint64_t handed, refused;
        int lock = kept_lock(c, l, now() + LOCK_PATIENCE), rc = lock < 0 ? lock : 0;

        if (rc == 0)
                rc = copy_access(c, &x, OUTBOX, RIGHTS_ALL);
        if (rc == 0)
                rc = flags_of(&x, HANDED_OVER, &handed);
        if (rc == 0)
                rc = flags_of(&x, REFUSED, &refused);
        if (rc == 0) {
                change.flags = (handed | refused) & ~(uint64_t)FLAG_SEEN;
                rc = change_flags(&x, &change);
        }
        if (rc == 0 && !change.changed.n)
                rc = -ENOENT;
        placed_list_free(&change.changed);
        uid_list_free(&change.modified);
        access_close(&x);
        if (lock >= 0)
                close(lock);
        return rc;
}

/* ---- Sent ---- */

/* The last ones first: the letter of which we ask came just now, if it came. */
static int lies_in(struct copy *c, struct str path, struct str wire, bool *there)
{
        struct uid_range all = { 1, UINT32_MAX };
        struct placed_list list = { 0 };
        struct access x = { 0 };
        int rc = copy_access(c, &x, path, RIGHT_READ);

        *there = false;
        if (rc == 0)
                rc = change_list(&x, &all, 1, 0, &list);
        access_close(&x);
        for (size_t i = list.n; i-- > 0 && rc == 0 && !*there;) {
                struct buf auto_buf text = { 0 };

                if (list.list[i].size != wire.n)
                        continue;
                buf_init(&text, MESSAGE_MOST);
                rc = kept_read(c, list.list[i].letter, &text);
                *there = rc == 0 && str_eq(buf_str(&text), wire);
        }
        placed_list_free(&list);
        return rc;
}

int kept_to_sent(struct copy *c, const struct login *l, struct outgoing *o)
{
        struct str sent;
        bool there;
        int rc;

        if (!l->keep_sent)
                return 0;
        rc = copy_role(c, &o->arena, "sent", &sent);
        if (rc == 0)
                rc = lies_in(c, sent, o->wire, &there);
        return rc == 0 && !there ? copy_append(c, sent, o->wire, FLAG_SEEN, NULL) : rc;
}
