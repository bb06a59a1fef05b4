/* Lines and answers typed at the bottom, with the keys that people know from shells. Tab completes: what all candidates begin with, then one after
 * another. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"
#include "cli/home.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { LINE_MOST = 4000, ARENA_MOST = 4 << 20, FILES_MOST = 2000 };

struct line {
        wchar_t text[LINE_MOST];
        size_t n, at, first; /* first: of what is seen */
        bool offered;        /* what stands there goes when something else is typed */
        /* completion */
        struct arena arena;
        struct str *list;
        size_t count, next;
        size_t word; /* where the completed word begins */
};

static void put_wide(struct buf *out, wchar_t wide)
{
        uint32_t c = (uint32_t)wide;

        if (c < 0x80) {
                buf_u8(out, (uint8_t)c);
        } else if (c < 0x800) {
                buf_u8(out, (uint8_t)(0xC0 | c >> 6));
                buf_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
        } else if (c < 0x10000) {
                buf_u8(out, (uint8_t)(0xE0 | c >> 12));
                buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
                buf_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
        } else {
                buf_u8(out, (uint8_t)(0xF0 | c >> 18));
                buf_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3F)));
                buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
                buf_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
        }
}

static void narrow(const struct line *l, size_t from, size_t to, struct buf *out)
{
        for (size_t i = from; i < to; i++)
                put_wide(out, l->text[i]);
}

static void insert(struct line *l, wchar_t c)
{
        if (l->n == LINE_MOST)
                return;
        for (size_t i = l->n; i > l->at; i--)
                l->text[i] = l->text[i - 1];
        l->text[l->at++] = c;
        l->n++;
}

static void erase_to(struct line *l, size_t from, size_t to)
{
        for (size_t i = to; i < l->n; i++)
                l->text[from + i - to] = l->text[i];
        l->n -= to - from;
        l->at = from;
}

static void insert_str(struct line *l, struct str s)
{
        while (s.n) {
                unsigned columns;
                wchar_t c;

                s = str_from_at(s, draw_char(s, &c, &columns));
                if (c >= 32)
                        insert(l, c);
        }
}

static void draw(struct line *l, const char *question)
{
        struct buf auto_buf seen = { 0 }, before = { 0 };
        unsigned width = term_columns(), prompt = draw_width(str_of(question)), room;
        int y = (int)term_rows() - 1;

        buf_init(&seen, LINE_MOST * 4 + 16);
        buf_init(&before, LINE_MOST * 4 + 16);
        prompt = prompt < width / 2 ? prompt : width / 2;
        room = width - prompt - 1;
        if (l->at < l->first)
                l->first = l->at;
        for (;;) { /* the cursor is to be seen */
                buf_clear(&before);
                narrow(l, l->first, l->at, &before);
                if (draw_width(buf_str(&before)) < room || l->first == l->at)
                        break;
                l->first++;
        }
        narrow(l, l->first, l->n, &seen);
        draw_text(y, 0, prompt, str_of(question), LOOK_PLAIN);
        draw_text(y, (int)prompt, room + 1, buf_str(&seen), LOOK_PLAIN);
        move(y, (int)(prompt + draw_width(buf_str(&before))));
        curs_set(1);
        term_show();
}

/* ---- completion ---- */

static size_t common(const struct str *list, size_t n)
{
        size_t same = list[0].n;

        for (size_t i = 1; i < n; i++) {
                size_t at = 0;

                while (at < same && at < list[i].n && list[i].p[at] == list[0].p[at])
                        at++;
                same = at;
        }
        while (same && same < list[0].n && ((unsigned char)list[0].p[same] & 0xC0) == 0x80)
                same--;
        return same;
}

static void complete_line(struct screen *s, struct line *l, complete_fn *complete, unsigned how)
{
        bool comma = (how & ASK_COMMA) != 0;
        struct buf auto_buf word = { 0 };
        size_t same;

        if (l->list) {
                if (!l->count)
                        return;
                erase_to(l, l->word, l->at);
                insert_str(l, l->list[l->next++ % l->count]);
                return;
        }
        buf_init(&word, LINE_MOST * 4);
        l->word = 0;
        for (size_t i = 0; i < l->at && comma; i++)
                if (l->text[i] == ',')
                        l->word = i + 1;
        while (l->word < l->at && l->text[l->word] == ' ')
                l->word++;
        narrow(l, l->word, l->at, &word);
        arena_reset(&l->arena);
        l->count = l->next = 0;
        complete(s, buf_str(&word), &l->arena, &l->list, &l->count);
        if (!l->count) {
                l->list = NULL;
                beep();
                return;
        }
        same = common(l->list, l->count);
        if (l->count > 1 && same <= word.n && !comma) {
                struct buf auto_buf all = { 0 };

                buf_init(&all, 1000);
                for (size_t i = 0; i < l->count && !all.full; i++)
                        buf_printf(&all, PRS "  ", STR(l->list[i]));
                draw_bar(buf_str(&all));
                return;
        }
        erase_to(l, l->word, l->at);
        if (l->count == 1 || comma)
                insert_str(l, l->list[l->next++]);
        else
                insert_str(l, str_sub(l->list[0], 0, same));
        if (l->count == 1 || (!comma && same > word.n))
                l->list = NULL; /* the next Tab asks anew */
}

void complete_address(struct screen *s, struct str word, struct arena *a, struct str **list, size_t *n)
{
        if (compose_complete(s->mail->copy, word, a, list, n) < 0)
                *n = 0;
}

void complete_folder(struct screen *s, struct str word, struct arena *a, struct str **list, size_t *n)
{
        *list = arena_array(a, struct str, s->folder_n + 1);
        *n = 0;
        for (size_t i = 0; i < s->folder_n; i++)
                if (!s->folders[i].only_name && str_istarts(str_of(s->folders[i].path), word))
                        (*list)[(*n)++] = str_of(s->folders[i].path);
}

static int by_name(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

void complete_file(struct screen *s, struct str word, struct arena *a, struct str **list, size_t *n)
{
        struct buf auto_buf expanded = { 0 };
        struct str path, folder, name;
        size_t slash;
        struct dirent *e;
        DIR *d;

        (void)s;
        *n = 0;
        if (!home_expand(&expanded, word))
                return;
        path = str_of(expanded.p);
        slash = str_rfind(path, '/');
        folder = slash == STR_NONE ? S("") : arena_str(a, str_sub(path, 0, slash + 1));
        name = str_from_at(path, folder.n);
        *list = arena_array(a, struct str, FILES_MOST);
        d = opendir(folder.n ? folder.p : ".");
        if (!d)
                return;
        while (*n < FILES_MOST && (e = readdir(d))) {
                struct stat st;
                struct str one;

                if (!str_starts(str_of(e->d_name), name) || (e->d_name[0] == '.' && !name.n))
                        continue;
                one = arena_printf(a, PRS "%s", STR(folder), e->d_name);
                if (stat(one.p, &st) == 0 && S_ISDIR(st.st_mode))
                        one = arena_printf(a, PRS "/", STR(one));
                (*list)[(*n)++] = one;
        }
        closedir(d);
        qsort(*list, *n, sizeof **list, by_name);
}

/* ---- asked ---- */

static size_t word_before(const struct line *l)
{
        size_t at = l->at;

        while (at && l->text[at - 1] == ' ')
                at--;
        while (at && l->text[at - 1] != ' ')
                at--;
        return at;
}

static void edit(struct line *l, int key)
{
        bool typed = key >= 32 && key < KEY_META && key != 127;

        if (l->offered && typed)
                l->n = l->at = 0;
        l->offered = false;
        switch (key) {
        case KEY_CODE | KEY_LEFT:
        case KEY_CTRL('b'): l->at -= l->at > 0; break;
        case KEY_CODE | KEY_RIGHT:
        case KEY_CTRL('f'): l->at += l->at < l->n; break;
        case KEY_CODE | KEY_HOME:
        case KEY_CTRL('a'): l->at = 0; break;
        case KEY_CODE | KEY_END:
        case KEY_CTRL('e'): l->at = l->n; break;
        case KEY_CODE | KEY_BACKSPACE:
        case 127:
        case KEY_CTRL('h'):
                if (l->at)
                        erase_to(l, l->at - 1, l->at);
                break;
        case KEY_CODE | KEY_DC:
        case KEY_CTRL('d'):
                if (l->at < l->n)
                        erase_to(l, l->at, l->at + 1);
                break;
        case KEY_CTRL('u'): erase_to(l, 0, l->at); break;
        case KEY_CTRL('k'): l->n = l->at; break;
        case KEY_CTRL('w'): erase_to(l, word_before(l), l->at); break;
        default:
                if (typed)
                        insert(l, (wchar_t)key);
        }
}

static bool ask(struct screen *s, struct line *l, const char *question, complete_fn *complete, unsigned how)
{
        for (;;) {
                int key;

                draw(l, question);
                key = term_key(s);
                if (key == KEY_NONE)
                        continue;
                if (key == '\t' && complete) {
                        complete_line(s, l, complete, how);
                        continue;
                }
                l->list = NULL;
                if (key == '\n')
                        return true;
                if (key == KEY_CTRL('g') || key == KEY_CTRL('c') || key == KEY_ENDED ||
                    key == (27 | KEY_META))
                        return false;
                edit(l, key);
        }
}

bool ask_line(struct screen *s, const char *question, struct buf *answer, complete_fn *complete, unsigned how)
{
        struct line *l = mem_new(struct line);
        bool good;

        arena_init(&l->arena, ARENA_MOST);
        insert_str(l, buf_str(answer));
        l->offered = (how & ASK_OFFERED) != 0;
        s->asking = s->typing = true;
        good = ask(s, l, question, complete, how);
        s->asking = s->typing = false;
        curs_set(0);
        buf_clear(answer);
        narrow(l, 0, l->n, answer);
        arena_finish(&l->arena);
        mem_free(l);
        s->message[0] = 0;
        return good;
}

char ask_letter(struct screen *s, const char *question, const char *letters)
{
        char found = 0;

        s->asking = true;
        for (;;) {
                int key;

                draw_text((int)term_rows() - 1, 0, term_columns(), str_of(question), LOOK_PLAIN);
                term_show();
                key = term_key(s);
                if (key == '\n')
                        found = letters[0];
                else if (key > 0 && key < 128 && str_find(str_of(letters), chr_lower((char)key)) != STR_NONE)
                        found = chr_lower((char)key);
                else if (key != KEY_CTRL('g') && key != KEY_CTRL('c') && key != KEY_ENDED)
                        continue;
                break;
        }
        s->asking = false;
        s->message[0] = 0;
        return found;
}
