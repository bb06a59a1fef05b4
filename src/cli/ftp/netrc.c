/* ~/.netrc: machine NAME, default; login, password, account, macdef. One with a password that others may read is not used. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "base/scan.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NETRC_MOST = 1024 * 1024 };

/* A word; in quotes, or with backslashes, as people write passwords with blanks. */
static bool word(struct scan *a, char *to, size_t room)
{
        size_t n = 0;
        char quote = 0;

        while (a->at < a->s.n && str_find(S(" \t\r\n"), a->s.p[a->at]) != STR_NONE)
                a->at++;
        if (a->at >= a->s.n)
                return false;
        for (; a->at < a->s.n; a->at++) {
                char c = a->s.p[a->at];

                if (quote ? c == quote : c == '"') {
                        quote = quote ? 0 : c;
                        continue;
                }
                if (!quote && str_find(S(" \t\r\n"), c) != STR_NONE)
                        break;
                if (c == '\\' && a->at + 1 < a->s.n)
                        c = a->s.p[++a->at];
                if (n + 1 < room)
                        to[n++] = c;
        }
        to[n] = 0;
        return true;
}

/* From `macdef` to an empty line, as it stands. */
static struct str macro_text(struct scan *a)
{
        struct str rest = str_from_at(a->s, a->at);
        size_t end = str_search(rest, S("\n\n"));

        end = end == STR_NONE ? rest.n : end + 1;
        a->at += end;
        return str_sub(rest, 0, end);
}

struct words_of_row {
        char user[NAME_ROOM], password[NAME_ROOM], account[NAME_ROOM];
        bool has_user, has_password, has_account;
};

/* One row's words into *w; what the caller knows already stays. */
static bool row(struct scan *a, struct where *w, struct buf *macros)
{
        char key[NAME_ROOM], value[NAME_ROOM];
        size_t before;
        struct words_of_row new = { 0 };

        for (before = a->at; word(a, key, sizeof(key)); before = a->at) {
                if (!strcmp(key, "machine") || !strcmp(key, "default"))
                        break;
                if (!strcmp(key, "macdef")) {
                        buf_puts(macros, S("macdef"));
                        buf_puts(macros, macro_text(a));
                        buf_puts(macros, S("\n"));
                        continue;
                }
                if (key[0] == '#') { /* to the end of the line */
                        a->at += str_find(str_from_at(a->s, a->at), '\n') == STR_NONE
                                     ? a->s.n - a->at
                                     : str_find(str_from_at(a->s, a->at), '\n');
                        continue;
                }
                if (!word(a, value, sizeof(value)))
                        break;
                if (!strcmp(key, "login") && (new.has_user = true))
                        mem_copy(new.user, NAME_ROOM, str_from(value, strlen(value) + 1));
                else if (!strcmp(key, "password") && (new.has_password = true))
                        mem_copy(new.password, NAME_ROOM, str_from(value, strlen(value) + 1));
                else if (!strcmp(key, "account") && (new.has_account = true))
                        mem_copy(new.account, NAME_ROOM, str_from(value, strlen(value) + 1));
        }
        a->at = before;
        if (w->has_user && new.has_user && strcmp(w->user, new.user) != 0)
                return false; /* of another user */
        if (!w->has_user && new.has_user) {
                mem_copy(w->user, NAME_ROOM, str_from(new.user, NAME_ROOM));
                w->has_user = true;
        }
        if (!w->has_password && new.has_password) {
                mem_copy(w->password, NAME_ROOM, str_from(new.password, NAME_ROOM));
                w->has_password = true;
        }
        if (!w->has_account && new.has_account) {
                mem_copy(w->account, NAME_ROOM, str_from(new.account, NAME_ROOM));
                w->has_account = true;
        }
        return true;
}

static void look(struct str text, struct where *w, struct buf *macros)
{
        struct scan a = scan_of(text);
        char key[NAME_ROOM], name[NAME_ROOM];

        while (word(&a, key, sizeof(key))) {
                struct buf auto_buf none = { 0 };
                bool ours = !strcmp(key, "default");
                struct where *other;
                bool taken;

                if (!strcmp(key, "machine")) {
                        if (!word(&a, name, sizeof(name)))
                                return;
                        ours = str_ieq(str_of(name), str_of(w->host));
                } else if (!ours) {
                        continue;
                }
                buf_init(&none, NETRC_MOST);
                other = mem_new(struct where);
                taken = row(&a, ours ? w : other, ours ? macros : &none) && ours;
                mem_free(other);
                if (taken)
                        return;
        }
}

bool netrc_find(const char *file, struct where *w, struct buf *macros)
{
        const char *home = getenv("HOME"), *named = file ? file : getenv("NETRC");
        struct buf auto_buf text = { 0 };
        char path[PATH_ROOM];
        struct stat st;
        bool had = w->has_password, anonymous;
        int fd, n = 0;
        char *room;

        if (!named && (!home || snprintf(path, sizeof(path), "%s/.netrc", home) >= (int)sizeof(path)))
                return true;
        fd = open(named ? named : path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                if (fd >= 0)
                        close(fd);
                if (file)
                        fprintf(stderr, "pail ftp: %s: %s\n", file,
                                fd < 0 ? strerrordesc_np(errno) : "no file");
                return !file;
        }
        buf_init(&text, NETRC_MOST);
        room = buf_room(&text, NETRC_MOST);
        n = room ? (int)read(fd, room, NETRC_MOST) : 0;
        close(fd);
        buf_added(&text, n > 0 ? (size_t)n : 0);
        look(buf_str(&text), w, macros);
        anonymous = !strcmp(w->user, "anonymous") || !strcmp(w->user, "ftp");
        if (w->has_password && !had && !anonymous && (st.st_mode & 077) && !named) {
                fprintf(stderr, "pail ftp: %s: others may read it, and a password stands in it: chmod 600\n",
                        path);
                w->has_password = false;
                return false;
        }
        return true;
}
