/* A folder's rows. Only those that are seen are asked for. The current one is known by its uid, so that it stays the current one whatever comes and
 * goes around it. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- opened, moved in ---- */

void index_go(struct screen *s, size_t at)
{
        size_t n = view_count(s->view);
        uint64_t flags;

        s->at = !n ? 0 : at < n ? at : n - 1;
        s->uid = 0;
        (void)view_place(s->view, s->at, &s->uid, &flags);
}

void index_close(struct screen *s)
{
        view_close(&s->view);
        mem_free(s->tags);
        mem_free(s->path);
        mem_free(s->limited);
        s->tags = NULL;
        s->tag_n = 0;
        s->path = s->limited = NULL;
        s->at = s->top = 0;
}

/* At the first unread letter, else at the last. */
static void begin_where(struct screen *s)
{
        size_t at = view_seek(s->view, 0, 1, FLAG_SEEN | FLAG_DELETED, 0);

        index_go(s, at != SIZE_MAX ? at : s->backwards ? 0 : view_count(s->view));
}

int index_open(struct screen *s, struct str path)
{
        struct view *v;
        char *name = mem_string(path);
        enum view_order order;
        bool backwards;
        int rc = view_open(&v, s->mail->copy, path);

        order_known(s, path, &order, &backwards);
        if (rc == 0 && (order != VIEW_ARRIVED || backwards))
                rc = view_sort(v, order, backwards);
        if (rc < 0) {
                view_close(&v);
                mem_free(name);
                return rc;
        }
        if (s->path && !str_eq(str_of(s->path), path))
                keep_string(&s->before, str_of(s->path));
        index_close(s);
        s->path = name;
        s->view = v;
        s->order = order;
        s->backwards = backwards;
        s->all_folded = false;
        begin_where(s);
        return 0;
}

void index_look(struct screen *s)
{
        int rc = s->view ? view_look(s->view) : 0;
        size_t at;

        if (rc == -ENOENT) {
                say_bad(s, "This folder has gone.");
                if (index_open(s, INBOX) < 0)
                        s->ended = true;
                return;
        }
        if (rc < 0)
                say_bad(s, "%s: %s", s->path, strerror(-rc));
        if (!s->view)
                return;
        at = s->uid ? view_find(s->view, s->uid) : SIZE_MAX;
        index_go(s, at != SIZE_MAX ? at : s->at);
}

bool index_row(struct screen *s, struct view_row *row)
{
        const struct view_row *rows;

        if (s->at >= view_count(s->view) || view_rows(s->view, s->at, 1, &rows) < 0)
                return false;
        *row = rows[0];
        return true;
}

void index_next(struct screen *s)
{
        size_t at = view_seek(s->view, s->at + 1, 1, FLAG_DELETED, 0);

        if (at != SIZE_MAX)
                index_go(s, at);
}

/* ---- tags ---- */

static size_t tag_place(const struct screen *s, uint32_t uid)
{
        size_t low = 0, high = s->tag_n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (s->tags[middle] < uid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

bool is_tagged(const struct screen *s, uint32_t uid)
{
        size_t at = tag_place(s, uid);

        return at < s->tag_n && s->tags[at] == uid;
}

void tag(struct screen *s, uint32_t uid, bool on)
{
        size_t at = tag_place(s, uid);
        bool there = at < s->tag_n && s->tags[at] == uid;

        if (there == on)
                return;
        if (on) {
                if (!(s->tag_n & (s->tag_n - 1))) /* room doubles */
                        s->tags = mem_grow(s->tags, s->tag_n ? s->tag_n * 2 : 1, sizeof *s->tags);
                for (size_t i = s->tag_n++; i > at; i--)
                        s->tags[i] = s->tags[i - 1];
                s->tags[at] = uid;
        } else {
                s->tag_n--;
                for (size_t i = at; i < s->tag_n; i++)
                        s->tags[i] = s->tags[i + 1];
        }
}

/* ---- keys ---- */

static enum done go_down(struct screen *s)
{
        if (s->at + 1 < view_count(s->view))
                index_go(s, s->at + 1);
        else
                say(s, "This is the last letter.");
        return STAY;
}

static enum done go_up(struct screen *s)
{
        if (s->at)
                index_go(s, s->at - 1);
        else
                say(s, "This is the first letter.");
        return STAY;
}

static enum done go_page_down(struct screen *s)
{
        s->top += s->top + term_room() < view_count(s->view) ? term_room() : 0;
        index_go(s, s->at + term_room());
        return STAY;
}

static enum done go_page_up(struct screen *s)
{
        s->top -= s->top < term_room() ? s->top : term_room();
        index_go(s, s->at < term_room() ? 0 : s->at - term_room());
        return STAY;
}

static enum done go_first(struct screen *s)
{
        index_go(s, 0);
        return STAY;
}

static enum done go_last(struct screen *s)
{
        index_go(s, view_count(s->view));
        return STAY;
}

static enum done go_half_down(struct screen *s)
{
        index_go(s, s->at + term_room() / 2);
        return STAY;
}

static enum done go_half_up(struct screen *s)
{
        unsigned half = term_room() / 2;

        index_go(s, s->at < half ? 0 : s->at - half);
        return STAY;
}

static enum done go_top(struct screen *s)
{
        index_go(s, s->top);
        return STAY;
}

static enum done go_middle(struct screen *s)
{
        size_t seen = view_count(s->view) - s->top;

        index_go(s, s->top + (seen < term_room() ? seen : term_room()) / 2);
        return STAY;
}

static enum done thread_by(struct screen *s, int step)
{
        struct view_row row;
        size_t from = s->at, at = from;

        do {
                if (!at && step < 0)
                        break;
                s->at = at += (size_t)step;
        } while (index_row(s, &row) && row.depth);
        if (at == from || at >= view_count(s->view)) {
                say(s, "There is no other thread %s.", step < 0 ? "above" : "below");
                at = from;
        }
        index_go(s, at);
        return STAY;
}

static enum done next_thread(struct screen *s)
{
        return thread_by(s, 1);
}

static enum done previous_thread(struct screen *s)
{
        return thread_by(s, -1);
}

static enum done ask_number(struct screen *s, int first)
{
        struct buf auto_buf typed = { 0 };
        uint64_t n;

        buf_init(&typed, 64);
        if (first)
                buf_u8(&typed, (uint8_t)first);
        if (!ask_line(s, "Go to letter number: ", &typed, NULL, 0))
                return STAY;
        if (str_u64(str_trim(buf_str(&typed)), &n) && n && n <= view_count(s->view))
                index_go(s, (size_t)n - 1);
        else
                say(s, "There is no letter of that number.");
        return STAY;
}

static enum done go_number(struct screen *s)
{
        return ask_number(s, 0);
}

static enum done unread_by(struct screen *s, int step)
{
        size_t n = view_count(s->view);
        size_t at = view_seek(s->view, s->at + (size_t)step, step, FLAG_SEEN | FLAG_DELETED, 0);

        if (at == SIZE_MAX)
                at = view_seek(s->view, step > 0 ? 0 : n - 1, step, FLAG_SEEN | FLAG_DELETED, 0);
        if (at == SIZE_MAX)
                say(s, "There are no new letters here.");
        else
                index_go(s, at);
        return STAY;
}

static enum done next_unread(struct screen *s)
{
        return unread_by(s, 1);
}

static enum done previous_unread(struct screen *s)
{
        return unread_by(s, -1);
}

/* ---- the page ---- */

static enum done open_letter(struct screen *s)
{
        if (!view_count(s->view)) {
                say(s, "There is no letter here.");
                return STAY;
        }
        return is_role(s, "drafts") ? write_resume(s) : letter_page(s);
}

static enum done quit(struct screen *s)
{
        s->leaving = purge_asked(s);
        return STAY;
}

static enum done quit_at_once(struct screen *s)
{
        s->leaving = true;
        return STAY;
}

static enum done index_help(struct screen *s);

static const struct key index_keys[] = {
        { 'q', "q", "Quit", "leave; what is marked as deleted may go first", quit },
        { '?', "?", "Help", "this page", index_help },
        { '\n', "Enter", "Read", "open the letter; in Drafts: go on writing it", open_letter },
        { 'x', "x", NULL, "leave without a question: marks stay marks", quit_at_once },
        { 'j', "j, Down", NULL, "next", go_down },
        { KEY_CODE | KEY_DOWN, NULL, NULL, NULL, go_down },
        { 'k', "k, Up", NULL, "the one before", go_up },
        { KEY_CODE | KEY_UP, NULL, NULL, NULL, go_up },
        { 'J', NULL, NULL, NULL, go_down },
        { 'K', NULL, NULL, NULL, go_up },
        { 'z', "z, PgDn, Space", NULL, "next page", go_page_down },
        { KEY_CODE | KEY_NPAGE, NULL, NULL, NULL, go_page_down },
        { ' ', NULL, NULL, NULL, go_page_down },
        { 'Z', "Z, PgUp, -", NULL, "the page before", go_page_up },
        { KEY_CODE | KEY_PPAGE, NULL, NULL, NULL, go_page_up },
        { '-', NULL, NULL, NULL, go_page_up },
        { ']', "]", NULL, "half a page down", go_half_down },
        { '[', "[", NULL, "half a page up", go_half_up },
        { 'H', "H", NULL, "first letter that is seen", go_top },
        { 'M', "M", NULL, "the one in the middle", go_middle },
        { KEY_CTRL('n'), "Ctrl-N", NULL, "next thread", next_thread },
        { KEY_CTRL('p'), "Ctrl-P", NULL, "the thread before", previous_thread },
        { '=', "=, Home", NULL, "first letter", go_first },
        { KEY_CODE | KEY_HOME, NULL, NULL, NULL, go_first },
        { '*', "*, End", NULL, "last letter", go_last },
        { KEY_CODE | KEY_END, NULL, NULL, NULL, go_last },
        { '#', "#, 1-9", NULL, "to a letter by its number", go_number },
        { '\t', "Tab", NULL, "next unread letter", next_unread },
        { '\t' | KEY_META, "Esc Tab", NULL, "unread letter before", previous_unread },
        { KEY_CODE | KEY_BTAB, NULL, NULL, NULL, previous_unread },
        { '/', "/", NULL,
          "search by a pattern: ~f FROM ~t TO ~s SUBJECT ~b BODY ~d <7d ~z >10k ~N ~F ~D, ! | ( ); a bare "
          "word: anywhere",
          find_search_forwards },
        { '/' | KEY_META, "Esc /", NULL, "search backwards", find_search_backwards },
        { 'n', "n", NULL, "search on", find_next },
        { 'l', "l", NULL, "show only what matches a pattern; all: everything", find_limit },
        { 'l' | KEY_META, "Esc l", NULL, "show that pattern", find_show_limit },
        { 'o', "o", NULL, "sort; remembered for the folder", find_sort_forwards },
        { 'O', "O", NULL, "sort the other way round", find_sort_backwards },
        { 'v' | KEY_META, "Esc v", NULL, "fold the thread, or unfold it", find_fold_thread },
        { 'V' | KEY_META, "Esc V", NULL, "fold all threads, or unfold them", find_fold_all },
        { 0 },
};
static const struct keys keys = { "Letters of a folder", { index_keys, letter_keys, NULL } };

static enum done index_help(struct screen *s)
{
        help_page(s, &keys);
        return STAY;
}

void index_page(struct screen *s)
{
        int key;

        while (!s->leaving && !s->ended) {
                s->switched = false;
                draw_help(&keys);
                rows_draw(s);
                rows_bar(s);
                draw_message(s);
                term_show();
                key = screen_key(s);
                if (key >= '1' && key <= '9')
                        (void)ask_number(s, key);
                else
                        (void)screen_do(s, &keys, key);
        }
}
