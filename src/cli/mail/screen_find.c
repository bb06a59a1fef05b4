/* A folder's rows in another order, folded, limited; letters found in them. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

static enum done sort_by(struct screen *s, bool backwards)
{
        static const enum view_order orders[] = { VIEW_ARRIVED, VIEW_DATE, VIEW_FROM,
                                                  VIEW_SUBJECT, VIEW_SIZE, VIEW_THREADS };
        static const char letters[] = "rdfszt";
        char c = ask_letter(s,
                            backwards
                                ? "Reverse sort by (r)eceived, (d)ate, (f)rom, (s)ubject, si(z)e, (t)hreads? "
                                : "Sort by (r)eceived, (d)ate, (f)rom, (s)ubject, si(z)e, (t)hreads? ",
                            letters);
        size_t at;

        if (!c)
                return STAY;
        say_now(s, "Sorting...");
        s->order = orders[str_find(str_of(letters), c)];
        s->backwards = backwards;
        if (view_sort(s->view, s->order, backwards) < 0)
                say_bad(s, "Not all letters can be read for that.");
        order_keep(s);
        at = view_find(s->view, s->uid);
        index_go(s, at == SIZE_MAX ? 0 : at);
        return STAY;
}

enum done find_sort_forwards(struct screen *s)
{
        return sort_by(s, false);
}

enum done find_sort_backwards(struct screen *s)
{
        return sort_by(s, true);
}

static enum done fold(struct screen *s, bool all)
{
        struct view_row row;
        size_t at;
        bool folded;

        if (s->order != VIEW_THREADS) {
                say(s, "Threads are folded where the order is by threads: o t");
                return STAY;
        }
        if (!index_row(s, &row))
                return STAY;
        folded = all ? !s->all_folded : !row.hidden;
        if (all)
                s->all_folded = folded;
        for (at = s->at; at && row.depth; index_row(s, &row))
                s->at = --at; /* to its root, which stays */
        index_go(s, at);
        view_fold(s->view, all ? SIZE_MAX : s->at, folded);
        at = view_find(s->view, s->uid);
        index_go(s, at == SIZE_MAX ? s->at : at);
        return STAY;
}

enum done find_fold_thread(struct screen *s)
{
        return fold(s, false);
}

enum done find_fold_all(struct screen *s)
{
        return fold(s, true);
}

/* ---- patterns ---- */

enum done find_limit(struct screen *s)
{
        struct buf auto_buf typed = { 0 }, why = { 0 };
        size_t at;
        int rc;

        buf_init(&typed, 4096);
        buf_init(&why, 1024);
        buf_puts(&typed, str_of(s->limited));
        if (!ask_line(s, "Limit to letters matching (all: every one): ", &typed, NULL, ASK_OFFERED))
                return STAY;
        if (str_ieq(str_trim(buf_str(&typed)), S("all")))
                buf_clear(&typed);
        say_now(s, "Looking...");
        rc = view_limit(s->view, buf_str(&typed), &why);
        if (rc < 0) {
                say_bad(s, PRS, STR(why.n ? buf_str(&why) : str_of(strerror(-rc))));
                return STAY;
        }
        if (typed.n) {
                keep_string(&s->limited, buf_str(&typed));
        } else {
                mem_free(s->limited);
                s->limited = NULL;
        }
        at = view_find(s->view, s->uid);
        index_go(s, at == SIZE_MAX ? view_count(s->view) : at);
        return STAY;
}

enum done find_show_limit(struct screen *s)
{
        if (s->limited)
                say(s, "Limited to: %s", s->limited);
        else
                say(s, "All letters are shown.");
        return STAY;
}

static bool has(const uint32_t *uids, size_t n, uint32_t uid)
{
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (uids[middle] < uid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < n && uids[low] == uid;
}

static void search_from(struct screen *s, int step)
{
        struct buf auto_buf why = { 0 };
        size_t n = view_count(s->view), found = 0;
        uint32_t *uids = NULL;
        int rc;

        buf_init(&why, 1024);
        say_now(s, "Looking...");
        rc = view_matching(s->view, str_of(s->pattern), &uids, &found, &why);
        if (rc < 0)
                say_bad(s, PRS, STR(why.n ? buf_str(&why) : str_of(strerror(-rc))));
        else if (!found)
                say(s, "Nothing found.");
        for (size_t i = 1; i <= n && found && rc == 0; i++) {
                size_t at = step > 0 ? (s->at + i) % n : (s->at + n - i) % n;
                uint64_t flags;
                uint32_t uid;

                if (!view_place(s->view, at, &uid, &flags) || !has(uids, found, uid))
                        continue;
                say(s, "%zu found%s", found,
                    (step > 0 ? at <= s->at : at >= s->at) ? "; searched on from the other end" : "");
                index_go(s, at);
                break;
        }
        mem_free(uids);
}

static enum done search(struct screen *s, int step)
{
        struct buf auto_buf typed = { 0 };

        buf_init(&typed, 4096);
        buf_puts(&typed, str_of(s->pattern));
        if (!ask_line(s, step > 0 ? "Search for: " : "Reverse search for: ", &typed, NULL, ASK_OFFERED) ||
            !typed.n)
                return STAY;
        keep_string(&s->pattern, buf_str(&typed));
        search_from(s, step);
        return STAY;
}

enum done find_search_forwards(struct screen *s)
{
        return search(s, 1);
}

enum done find_search_backwards(struct screen *s)
{
        return search(s, -1);
}

enum done find_next(struct screen *s)
{
        if (!s->pattern)
                return find_search_forwards(s);
        search_from(s, 1);
        return STAY;
}
