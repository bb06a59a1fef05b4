/* sync.db for POP3: which letters of the server are known. */
#include "cli/mail/sync_inside.h"

struct uidls {
        struct arena *a;
        struct known_uidl *list;
        size_t n, room;
        const struct known_uidl *put;
        const struct pop_state *now;
};

static int read_uidls(struct db *d, void *arg)
{
        struct uidls *u = arg;
        struct db_row q = db_query(d, STATE_UIDLS);

        u->n = 0;
        while (db_next(&q)) {
                if (u->n == u->room) {
                        struct known_uidl *more =
                            arena_array(u->a, struct known_uidl, u->room ? u->room * 2 : 256);

                        for (size_t i = 0; i < u->n; i++)
                                more[i] = u->list[i];
                        u->list = more;
                        u->room = u->room ? u->room * 2 : 256;
                }
                u->list[u->n++] = (struct known_uidl){ arena_str(u->a, db_text(&q, 0)), db_u64(&q, 1),
                                                       db_u64(&q, 2), db_u64(&q, 3) };
        }
        return db_end(&q);
}

int state_uidls(struct work *w, struct arena *a, struct known_uidl **list, size_t *n)
{
        struct uidls u = { .a = a };
        int rc = db_transact(w->db, "read uidls", read_uidls, &u, DB_READ | DB_LONG);

        *list = u.list;
        *n = u.n;
        return rc < 0 ? work_failed(w, rc, "sync.db") : 0;
}

static int put_uidls(struct db *d, void *arg)
{
        struct uidls *u = arg;
        struct db_row q;
        int rc = 0;

        for (size_t i = 0; i < u->n && rc == 0; i++) {
                q = db_query(d, STATE_PUT_UIDL);
                db_bind_text(&q, 1, u->put[i].uidl);
                db_bind_u64(&q, 2, u->put[i].told);
                db_bind_u64(&q, 3, u->put[i].octets);
                db_bind_u64(&q, 4, u->put[i].identity);
                rc = db_exec(&q);
        }
        if (rc == 0) {
                q = db_query(d, STATE_NO_LAST);
                rc = db_exec(&q);
        }
        if (rc == 0) {
                q = db_query(d, STATE_PUT_LAST);
                db_bind_u64(&q, 1, u->now->last_here);
                db_bind_u64(&q, 2, u->now->filing);
                rc = db_exec(&q);
        }
        return rc;
}

int state_put_uidls(struct work *w, const struct known_uidl *list, size_t n, const struct pop_state *now)
{
        struct uidls u = { .put = list, .n = n, .now = now };
        int rc = db_transact(w->db, "put uidls", put_uidls, &u, DB_SYNC);

        return rc < 0 ? work_failed(w, rc, "sync.db") : 0;
}

static int read_pop(struct db *d, void *arg)
{
        struct db_row q = db_query(d, STATE_LAST);
        struct pop_state *now = arg;

        *now = (struct pop_state){ 0 };
        if (db_next(&q))
                *now = (struct pop_state){ (uint32_t)db_u64(&q, 0), db_u64(&q, 1) };
        return db_end(&q);
}

int state_pop(struct work *w, struct pop_state *now)
{
        int rc = db_transact(w->db, "last", read_pop, now, DB_READ);

        return rc < 0 ? work_failed(w, rc, "sync.db") : 0;
}
