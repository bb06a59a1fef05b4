/* Folders on both sides: which belong together, made, renamed and removed on one side and so on the other. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "base/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- found ---- */

static int by_wire(const void *pa, const void *pb)
{
        const struct imap_folder *const *a = pa, *const *b = pb;

        return str_cmp((*a)->wire, (*b)->wire);
}

static const struct imap_folder *folder_of(const struct work *w, const char *wire)
{
        struct imap_folder key = { .wire = str_of(wire ? wire : "") };
        const struct imap_folder *at = &key, *const * found;

        found = w->folder_n ? bsearch(&at, w->by_wire, w->folder_n, sizeof at, by_wire) : NULL;
        return found ? *found : NULL;
}

static const struct imap_folder *folder_named(const struct work *w, struct str path)
{
        for (size_t i = 0; i < w->folder_n; i++)
                if (str_eq(w->folders[i].path, path))
                        return &w->folders[i];
        return NULL;
}

static void add_box(struct work *w, struct str path, uint32_t mailbox, const struct imap_folder *f)
{
        if (w->n == w->room) {
                w->room = w->room ? 2 * w->room : 64;
                w->boxes = mem_grow(w->boxes, w->room, sizeof *w->boxes);
        }
        w->boxes[w->n++] = (struct box){ .path = mem_string(path),
                                         .wire = mem_string(f->wire),
                                         .mailbox = mailbox,
                                         .folder = f,
                                         .changed = true };
}

static bool is_outbox(struct str path)
{
        return str_eq(path, S("Outbox"));
}

static int refresh(struct work *w)
{
        int rc;

        arena_reset(&w->arena);
        w->folder_n = 0;
        rc = imap_client_folders(w->imap, &w->arena, &w->folders, &w->folder_n, &w->answer);
        if (rc < 0)
                return work_failed(w, rc, *w->answer.text ? w->answer.text : "the folders cannot be listed");
        w->by_wire = arena_array(&w->arena, const struct imap_folder *, w->folder_n + 1);
        for (size_t i = 0; i < w->folder_n; i++)
                w->by_wire[i] = &w->folders[i];
        qsort(w->by_wire, w->folder_n, sizeof *w->by_wire, by_wire);
        for (size_t i = 0; i < w->n; i++)
                w->boxes[i].folder = folder_of(w, w->boxes[i].wire);
        return 0;
}

/* ---- what was in step ---- */

/* A box whose mailbox has another name here now: it is renamed there. */
static int rename_there(struct work *w, struct box *b, struct str path)
{
        const struct imap_folder *moved;
        int rc = imap_client_rename(w->imap, b->folder, path, &w->answer);

        if (rc == -EREMOTEIO)
                return 0; /* it stays as it is there, and is asked again the next time */
        if (rc < 0)
                return work_failed(w, rc, *w->answer.text ? w->answer.text : b->path);
        mem_free(b->path);
        b->path = mem_string(path);
        rc = refresh(w);
        moved = rc == 0 ? folder_named(w, path) : NULL;
        if (!moved)
                return rc;
        mem_free(b->wire);
        b->wire = mem_string(moved->wire);
        b->folder = moved;
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

/* The mailboxes here, by number and by path. */
struct mailboxes {
        struct arena arena;
        struct mailbox_entry *list;
        size_t n;
        const struct mailbox_entry **by_number;
        struct names paths; /* of struct named */
        bool *paired;       /* by place in the list */
};
struct named {
        struct name name;
        const struct mailbox_entry *entry;
};

static int by_number(const void *pa, const void *pb)
{
        const struct mailbox_entry *const *a = pa, *const *b = pb;

        return (*a)->mailbox < (*b)->mailbox ? -1 : (*a)->mailbox > (*b)->mailbox;
}

static void mailboxes_free(struct mailboxes *m)
{
        names_free(&m->paths);
        arena_finish(&m->arena);
}

static const struct mailbox_entry *entry_of(const struct mailboxes *m, uint32_t mailbox)
{
        struct mailbox_entry key = { .mailbox = mailbox };
        const struct mailbox_entry *at = &key, *const * found;

        found = m->n ? bsearch(&at, m->by_number, m->n, sizeof at, by_number) : NULL;
        return found ? *found : NULL;
}

/* Read; those of boxes are paired. */
static int mailboxes_read(struct work *w, struct mailboxes *m)
{
        int rc;

        *m = (struct mailboxes){ .paths = { .item = sizeof(struct named) } };
        arena_init(&m->arena, 64 << 20);
        rc = mailbox_all(copy_account(w->copy), copy_name(w->copy), &m->arena, &m->list, &m->n);
        if (rc < 0)
                return work_failed(w, rc, "the folders here cannot be read");
        m->by_number = arena_array(&m->arena, const struct mailbox_entry *, m->n + 1);
        m->paired = arena_array(&m->arena, bool, m->n + 1);
        for (size_t i = 0; i < m->n; i++) {
                m->by_number[i] = &m->list[i];
                ((struct named *)names_need(&m->paths, m->list[i].path))->entry = &m->list[i];
        }
        qsort(m->by_number, m->n, sizeof *m->by_number, by_number);
        for (size_t i = 0; i < w->n; i++) {
                const struct mailbox_entry *entry = entry_of(m, w->boxes[i].mailbox);

                if (entry)
                        m->paired[entry - m->list] = true;
        }
        return 0;
}

/* Renamed, removed. */
static int known_boxes(struct work *w)
{
        struct mailboxes m;
        int rc = mailboxes_read(w, &m);

        for (size_t i = 0; i < w->n && rc == 0; i++) {
                struct box *b = &w->boxes[i];
                const struct mailbox_entry *entry = entry_of(&m, b->mailbox);

                if (entry && entry->bits & MAILBOX_NOSELECT)
                        entry = NULL;
                if (!entry && !b->folder)
                        rc = state_drop_box(w, b);
                else if (!entry)
                        rc = removed_here(w, b);
                else if (!b->folder)
                        rc = removed_there(w, b);
                else if (!str_eq(entry->path, str_of(b->path)))
                        rc = rename_there(w, b, entry->path);
        }
        mailboxes_free(&m);
        return rc;
}

/* Those without a folder there are forgotten for this pass. */
static void drop_dead(struct work *w)
{
        size_t kept = 0;

        for (size_t i = 0; i < w->n; i++) {
                if (w->boxes[i].id && w->boxes[i].folder)
                        w->boxes[kept++] = w->boxes[i];
                else
                        box_free(&w->boxes[i]);
        }
        w->n = kept;
}

/* ---- what is new ---- */

static bool *paired_folders(struct work *w)
{
        bool *paired = mem_array(w->folder_n + 1, sizeof *paired);

        for (size_t i = 0; i < w->n; i++)
                if (w->boxes[i].folder)
                        paired[w->boxes[i].folder - w->folders] = true;
        return paired;
}

/* May something here belong to it? Ours is no copy of a server's Outbox: what lies in it is to be sent. */
static bool is_for_us(const struct imap_folder *f)
{
        return !f->noselect && !is_outbox(f->path);
}

static bool is_free(const struct mailboxes *m, const struct mailbox_entry *entry)
{
        return entry && !(entry->bits & MAILBOX_NOSELECT) && !m->paired[entry - m->list];
}

/* The mailbox of that role here, or of that name; NULL: none. */
static const struct mailbox_entry *entry_for(const struct mailboxes *m, const struct imap_folder *f)
{
        struct named *named;

        for (size_t i = 0; i < m->n && f->role.n; i++)
                if (str_eq(m->list[i].role, f->role) && is_free(m, &m->list[i]))
                        return &m->list[i];
        named = names_find(&m->paths, f->path);
        return named && is_free(m, named->entry) ? named->entry : NULL;
}

/* Folders there that nothing here belongs to: made here, all at once. `made` has their numbers, by place in w->folders. */
static int make_here(struct work *w, const struct mailboxes *m, const bool *paired, uint32_t *made)
{
        struct copy_made *list = mem_array(w->folder_n + 1, sizeof *list);
        size_t *place = mem_array(w->folder_n + 1, sizeof *place), n = 0;
        int rc = 0;

        for (size_t i = 0; i < w->folder_n; i++)
                if (is_for_us(&w->folders[i]) && !paired[i] && !entry_for(m, &w->folders[i])) {
                        place[n] = i;
                        list[n++] = (struct copy_made){ .path = w->folders[i].path };
                }
        if (n > 1)
                work_state(w, SYNC_WORKING, "%zu folders", n);
        copy_make(w->copy, list, n);
        for (size_t i = 0; i < n; i++) {
                /* a name that cannot be here: it stays there */
                bool cannot = list[i].rc == -EINVAL || list[i].rc == -EMLINK || list[i].rc == -EEXIST;

                made[place[i]] = list[i].rc == 0 ? list[i].mailbox : 0;
                if (list[i].rc < 0 && !cannot && rc == 0)
                        rc = work_failed(w, list[i].rc, "a folder cannot be made here");
        }
        mem_free(list);
        mem_free(place);
        return rc;
}

/* Folders there without a box. */
static int new_there(struct work *w)
{
        bool *paired = paired_folders(w);
        uint32_t *made = mem_array(w->folder_n + 1, sizeof *made);
        struct mailboxes m;
        int rc = mailboxes_read(w, &m);

        if (rc == 0)
                rc = make_here(w, &m, paired, made);
        mailboxes_free(&m);
        m = (struct mailboxes){ 0 };
        if (rc == 0)
                rc = mailboxes_read(w, &m); /* those that were made, too */
        for (size_t i = 0; i < w->folder_n && rc == 0; i++) {
                const struct imap_folder *f = &w->folders[i];
                const struct mailbox_entry *entry;

                if (!is_for_us(f) || paired[i])
                        continue;
                entry = made[i] ? entry_of(&m, made[i]) : entry_for(&m, f);
                if (!entry)
                        continue;
                m.paired[entry - m.list] = true;
                add_box(w, entry->path, entry->mailbox, f);
        }
        mailboxes_free(&m);
        mem_free(paired);
        mem_free(made);
        return rc ? rc : state_changed_boxes(w);
}

/* A mailbox here without a box: those that every account has are made there when they hold something. */
static int make_there(struct work *w, const struct mailbox_entry *e, bool *made)
{
        struct mailbox_status status = { 0 };
        struct access x = { 0 };
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
        *made = rc == 0;
        return rc < 0 ? work_failed(
                            w, rc, *w->answer.text ? w->answer.text : "a folder cannot be made at the server")
                      : 0;
}

static int new_here(struct work *w)
{
        struct mailboxes m;
        bool *made, any = false;
        int rc = mailboxes_read(w, &m);

        made = mem_array(m.n + 1, sizeof *made);
        for (size_t i = 0; i < m.n && rc == 0; i++)
                if (!(m.list[i].bits & MAILBOX_NOSELECT) && !is_outbox(m.list[i].path) && !m.paired[i]) {
                        rc = make_there(w, &m.list[i], &made[i]);
                        any |= made[i];
                }
        if (rc == 0 && any)
                rc = refresh(w);
        for (size_t i = 0; i < m.n && rc == 0; i++) {
                const struct imap_folder *f = made[i] ? folder_named(w, m.list[i].path) : NULL;

                if (f)
                        add_box(w, m.list[i].path, m.list[i].mailbox, f);
        }
        mem_free(made);
        mailboxes_free(&m);
        return rc ? rc : state_changed_boxes(w);
}

int imap_pair_folders(struct work *w)
{
        int rc = refresh(w);

        if (rc == 0)
                rc = known_boxes(w);
        drop_dead(w);
        if (rc == 0)
                rc = new_there(w);
        if (rc == 0)
                rc = new_here(w);
        drop_dead(w); /* what was not listed again meanwhile */
        return rc;
}
