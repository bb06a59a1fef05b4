/* Folders on both sides, moves between them, and then one mailbox after another. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "cli/reach.h"

#include <errno.h>
#include <stdio.h>

#define DIAL_PATIENCE (30 * SECOND)

/* ---- connected ---- */

static int open_once(struct work *w, struct known *k, bool *again)
{
        struct login *l = w->login;
        struct tls_found found = { 0 };
        struct imap_client_how how = {
                .host = l->incoming.host, .tls = l->incoming.tls, .want = &k->want, .found = &found
        };
        struct conn *conn;
        int rc = reach(l->incoming.host, l->incoming.port, now() + DIAL_PATIENCE, &conn, w->why);

        if (rc < 0)
                return rc;
        buf_clear(w->why); /* of addresses that did not answer */
        rc = imap_client_open(&w->imap, conn, &how, &w->answer);
        if (rc < 0) {
                *again = rc == -EACCES && known_asked(k, &found);
                if (!*again)
                        work_failed(w, rc,
                                    *w->answer.text ? w->answer.text : "the server does not speak IMAP");
        }
        return rc;
}

/* Refused, the password is asked for again where somebody is there; the server may have hung up then: that is for the next time. */
static int sign_in(struct work *w, const char *password)
{
        struct login *l = w->login;
        int rc = imap_client_login(w->imap, l->incoming.user, password, &w->answer);

        while (rc == -EREMOTEIO && login_refused(l, w->answer.code, w->answer.text) &&
               login_password(l, &password))
                rc = imap_client_login(w->imap, l->incoming.user, password, &w->answer);
        if (rc == 0)
                login_accepted(l);
        return rc == 0 ? 0
                       : work_failed(w, rc == -EREMOTEIO ? -EACCES : rc,
                                     *w->answer.text ? w->answer.text : "the server does not let us in");
}

int imap_begin(struct work *w)
{
        struct login *l = w->login;
        const char *password;
        struct known k;
        bool again = false;
        int rc;

        work_state(w, SYNC_CONNECTING, "%s", l->incoming.host);
        if (!login_password(l, &password))
                return work_failed(w, -EACCES, "there is no password");
        known_want(&k, l->incoming.host, l->incoming.port, KNOWN_ASK, NULL);
        rc = open_once(w, &k, &again);
        if (again)
                rc = open_once(w, &k, &again);
        if (rc < 0)
                return rc;
        return sign_in(w, password);
}

/* ---- folders ---- */

static const struct imap_folder *folder_of(const struct work *w, const char *wire)
{
        for (size_t i = 0; wire && i < w->folder_n; i++)
                if (str_eq(w->folders[i].wire, str_of(wire)))
                        return &w->folders[i];
        return NULL;
}

static struct box *box_of_mailbox(struct work *w, uint32_t mailbox)
{
        for (size_t i = 0; i < w->n; i++)
                if (w->boxes[i].mailbox == mailbox)
                        return &w->boxes[i];
        return NULL;
}

static bool is_paired(const struct work *w, const struct imap_folder *f)
{
        for (size_t i = 0; i < w->n; i++)
                if (w->boxes[i].folder == f)
                        return true;
        return false;
}

static struct box *add_box(struct work *w, struct str path, uint32_t mailbox, const struct imap_folder *f)
{
        struct box *b;

        w->boxes = mem_grow(w->boxes, w->n + 1, sizeof *w->boxes);
        b = &w->boxes[w->n++];
        *b = (struct box){ .path = mem_string(path), .mailbox = mailbox, .folder = f };
        if (f)
                b->wire = mem_string(f->wire);
        return b;
}

static bool is_outbox(struct str path)
{
        return str_eq(path, S("Outbox"));
}

static int refresh(struct work *w)
{
        int rc;

        arena_reset(&w->arena);
        rc = imap_client_folders(w->imap, &w->arena, &w->folders, &w->folder_n, &w->answer);
        if (rc < 0)
                return work_failed(w, rc, *w->answer.text ? w->answer.text : "the folders cannot be listed");
        for (size_t i = 0; i < w->n; i++)
                w->boxes[i].folder = folder_of(w, w->boxes[i].wire);
        return 0;
}

/* A box whose mailbox has another name here now: it is renamed there. */
static int rename_there(struct work *w, struct box *b, struct str path)
{
        struct imap_folder moved = { 0 };
        int rc = imap_client_rename(w->imap, b->folder, path, &w->answer);

        if (rc == -EREMOTEIO)
                return 0; /* it stays as it is there, and is asked again the next time */
        if (rc < 0)
                return work_failed(w, rc, *w->answer.text ? w->answer.text : b->path);
        mem_free(b->path);
        b->path = mem_string(path);
        rc = refresh(w);
        for (size_t i = 0; i < w->folder_n && rc == 0; i++)
                if (str_eq(w->folders[i].path, path))
                        moved = w->folders[i];
        if (rc < 0 || !moved.wire.n)
                return rc;
        mem_free(b->wire);
        b->wire = mem_string(moved.wire);
        b->folder = folder_of(w, b->wire);
        return state_box(w, b);
}

/* A mailbox that was removed here goes there too, if a person says so; else it comes back. */
static int removed_here(struct work *w, struct box *b)
{
        char question[400];
        uint32_t mailbox;
        int rc;

        snprintf(question, sizeof question,
                 "The folder %.200s was removed here. Remove it and its letters at the server too?", b->path);
        if (w->says && w->says->ask && w->says->ask(w->says->context, question)) {
                rc = imap_client_delete(w->imap, b->folder, &w->answer);
                if (rc < 0)
                        return work_failed(w, rc, *w->answer.text ? w->answer.text : b->path);
                rc = state_drop_box(w, b);
                return rc ? rc : refresh(w);
        }
        rc = state_drop_rows(w, b);
        if (rc == 0)
                rc = mailbox_create(copy_account(w->copy), copy_name(w->copy), str_of(b->path), S(""),
                                    &mailbox);
        if (rc < 0 && rc != -EEXIST)
                return work_failed(w, rc, b->path);
        b->mailbox = rc == 0 ? mailbox : b->mailbox;
        b->validity = 0; /* all letters come again */
        return rc == -EEXIST ? state_drop_box(w, b) : state_box(w, b);
}

/* A folder that has gone there: what was agreed on goes here too; what was not stays and makes it anew. */
static int removed_there(struct work *w, struct box *b)
{
        struct uid_list list = { 0 }, gone = { 0 };
        struct access x = { 0 };
        int rc = box_scan(w, b);

        if (rc < 0)
                return rc;
        for (size_t i = 0, fresh = 0; i < b->here.n; i++) {
                if (fresh < b->fresh_n && b->fresh[fresh] == i) {
                        fresh++;
                        continue;
                }
                uid_list_add(&list, b->here.list[i].uid, b->here.list[i].uid);
        }
        if (box_loses_much(w, b, uid_list_count(&list), "at the server"))
                rc = work_failed(w, -EACCES,
                                 "a folder has gone at the server: its letters were not removed here");
        if (rc == 0)
                rc = copy_access(w->copy, &x, str_of(b->path), RIGHTS_ALL);
        if (rc == 0 && list.n)
                rc = change_expunge(&x, list.ranges, list.n, false, &gone);
        access_close(&x);
        w->result->removed_here += (unsigned)uid_list_count(&gone);
        uid_list_free(&list);
        uid_list_free(&gone);
        if (rc == 0 && !b->fresh_n)
                rc = mailbox_delete(copy_account(w->copy), copy_name(w->copy), str_of(b->path));
        if (rc == -EPERM || rc == -ENOTEMPTY)
                rc = 0;
        return rc < 0 ? work_failed(w, rc, b->path) : state_drop_box(w, b);
}

/* What was in step: renamed, removed. */
static int known_boxes(struct work *w, const struct mailbox_entry *list, size_t n)
{
        int rc = 0;

        for (size_t i = 0; i < w->n && rc == 0; i++) {
                struct box *b = &w->boxes[i];
                const struct mailbox_entry *entry = NULL;

                for (size_t k = 0; k < n; k++)
                        if (list[k].mailbox == b->mailbox && !(list[k].bits & MAILBOX_NOSELECT))
                                entry = &list[k];
                if (!entry && !b->folder)
                        rc = state_drop_box(w, b);
                else if (!entry)
                        rc = removed_here(w, b);
                else if (!b->folder)
                        rc = removed_there(w, b);
                else if (!str_eq(entry->path, str_of(b->path)))
                        rc = rename_there(w, b, entry->path);
        }
        return rc;
}

/* A folder there without a box: the mailbox of that role here, or of that name, or a new one. */
static int new_there(struct work *w, const struct imap_folder *f, const struct mailbox_entry *list, size_t n)
{
        const struct mailbox_entry *entry = NULL;
        uint32_t mailbox = 0;
        struct box *b;
        int rc = 0;

        for (size_t i = 0; i < n && !entry; i++)
                if (f->role.n && str_eq(list[i].role, f->role) && !box_of_mailbox(w, list[i].mailbox))
                        entry = &list[i];
        for (size_t i = 0; i < n && !entry; i++)
                if (str_eq(list[i].path, f->path) && !box_of_mailbox(w, list[i].mailbox))
                        entry = &list[i];
        if (!entry)
                rc = mailbox_create(copy_account(w->copy), copy_name(w->copy), f->path, S(""), &mailbox);
        if (rc == -EINVAL || rc == -EMLINK || rc == -EEXIST)
                return 0; /* a name that cannot be here: it stays there */
        if (rc < 0)
                return work_failed(w, rc, "a folder cannot be made here");
        b = add_box(w, entry ? entry->path : f->path, entry ? entry->mailbox : mailbox, f);
        return state_box(w, b);
}

/* A mailbox here without a box: those that every account has are made there when they hold something. */
static int new_here(struct work *w, const struct mailbox_entry *e)
{
        struct mailbox_status status = { 0 };
        struct access x = { 0 };
        struct box *b;
        int rc = copy_access(w->copy, &x, e->path, RIGHT_READ);

        if (rc == 0)
                rc = change_status(&x, false, &status);
        access_close(&x);
        if (rc < 0)
                return work_failed(w, rc, "a folder cannot be read");
        if (e->role.n && !status.view.count)
                return 0;
        rc = imap_client_create(w->imap, e->path, &w->answer);
        if (rc == -EREMOTEIO)
                return 0; /* it stays here */
        if (rc < 0)
                return work_failed(
                    w, rc, *w->answer.text ? w->answer.text : "a folder cannot be made at the server");
        rc = refresh(w);
        for (size_t i = 0; i < w->folder_n && rc == 0; i++)
                if (str_eq(w->folders[i].path, e->path)) {
                        b = add_box(w, e->path, e->mailbox, &w->folders[i]);
                        return state_box(w, b);
                }
        return rc;
}

static void drop_dead(struct work *w)
{
        size_t kept = 0;

        for (size_t i = 0; i < w->n; i++) {
                struct box *b = &w->boxes[i];

                if (b->id && b->folder) {
                        w->boxes[kept++] = *b;
                        continue;
                }
                mem_free(b->path);
                mem_free(b->wire);
                mem_free(b->rows);
                mem_free(b->fresh);
                mem_free(b->lost);
                placed_list_free(&b->here);
        }
        w->n = kept;
}

static int pair_folders(struct work *w)
{
        struct arena auto_arena a;
        struct mailbox_entry *list;
        size_t n;
        int rc = refresh(w);

        arena_init(&a, 64 << 20);
        if (rc == 0)
                rc = mailbox_all(copy_account(w->copy), copy_name(w->copy), &a, &list, &n);
        if (rc == 0)
                rc = known_boxes(w, list, n);
        drop_dead(w);
        if (rc == 0)
                rc = mailbox_all(copy_account(w->copy), copy_name(w->copy), &a, &list, &n);
        for (size_t i = 0; i < w->folder_n && rc == 0; i++)
                if (!w->folders[i].noselect && !is_paired(w, &w->folders[i]))
                        rc = new_there(w, &w->folders[i], list, n);
        for (size_t i = 0; i < n && rc == 0; i++)
                if (!(list[i].bits & MAILBOX_NOSELECT) && !is_outbox(list[i].path) &&
                    !box_of_mailbox(w, list[i].mailbox))
                        rc = new_here(w, &list[i]);
        return rc;
}

/* ---- a pass ---- */

static bool is_wanted(const struct box *b, const struct str *only, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(str_of(b->path), only[i]))
                        return true;
        return !n;
}

int imap_pass(struct work *w, const struct str *only, size_t n)
{
        int rc;

        state_forget_boxes(w);
        rc = state_boxes(w);
        if (rc == 0)
                rc = pair_folders(w);
        for (size_t i = 0; i < w->n && rc == 0; i++)
                rc = box_scan(w, &w->boxes[i]);
        if (rc == 0)
                rc = box_moves(w);
        for (size_t i = 0; i < w->n && rc == 0; i++)
                if (is_wanted(&w->boxes[i], only, n))
                        rc = box_sync(w, &w->boxes[i]);
        return rc;
}
