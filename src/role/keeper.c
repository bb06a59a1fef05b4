#include "role/keeper_inside.h"
#include "run/log.h"
#include <sodium.h>
#include <time.h>

enum { FRONT_GRACE = 10 };

static int64_t wall_clock(void)
{
        return wall_usec() / 1000000;
}

/* ---- what fronts ask: ARCHITECTURE.md has the table of who may ask whom ---- */

static void answer_signin(struct channel_message *m, const struct signin_answer *answer)
{
        struct buf auto_buf body = { 0 };

        buf_init(&body, CHANNEL_BODY);
        if (!signin_answer_pack(answer, &body)) { /* a challenge that repeats a nonce of theirs, of 16 KB */
                buf_clear(&body);
                signin_answer_pack(
                    &(struct signin_answer){ .result = SIGNIN_NO, .token = S(""), .account = S("") }, &body);
        }
        (void)channel_answer(m, buf_str(&body), -1);
}

/* NULL: the message cannot be read. */
static struct front *begin(struct channel_message *m, struct arena *a, bool unpacked)
{
        struct front *f = m->context;

        if (!unpacked) {
                channel_nonsense(m);
                return NULL;
        }
        f->running++;
        arena_init(a, (size_t)16 << 20);
        return f;
}

static void end(struct front *f, struct arena *a)
{
        arena_finish(a);
        f->running--;
}

static void on_password(struct channel_message *m)
{
        struct ask_password q;
        struct arena a;
        struct front *f = begin(m, &a, ask_password_unpack(&q, m->body));
        struct signin_answer answer = { .token = S("") };

        if (!f)
                return;
        answer.result = keeper_check_password(f->keeper, &q.who, q.name, q.password, &a, &answer.account);
        if (answer.result != SIGNIN_OK)
                answer.account = S(""); /* who it would have been is nobody's business */
        answer_signin(m, &answer);
        end(f, &a);
}

static void on_apop(struct channel_message *m)
{
        struct ask_apop q;
        struct arena a;
        struct front *f = begin(m, &a, ask_apop_unpack(&q, m->body));
        struct signin_answer answer = { .token = S("") };

        if (!f)
                return;
        answer.result = keeper_check_apop(f->keeper, &q, &a, &answer.account);
        if (answer.result != SIGNIN_OK)
                answer.account = S("");
        answer_signin(m, &answer);
        end(f, &a);
}

static void on_sasl_start(struct channel_message *m)
{
        struct ask_sasl_start q;
        struct arena a;
        struct front *f = begin(m, &a, ask_sasl_start_unpack(&q, m->body));
        struct signin_answer answer;

        if (!f)
                return;
        sasl_start(f, &q, &a, &answer);
        answer_signin(m, &answer);
        end(f, &a);
}

static void on_sasl_step(struct channel_message *m)
{
        struct ask_sasl_step q;
        struct arena a;
        struct front *f = begin(m, &a, ask_sasl_step_unpack(&q, m->body));
        struct signin_answer answer;

        if (!f)
                return;
        sasl_step(f, &q, &a, &answer);
        answer_signin(m, &answer);
        end(f, &a);
}

static void on_sasl_drop(struct channel_message *m)
{
        struct ask_sasl_step q;
        struct arena a;
        struct front *f = begin(m, &a, ask_sasl_step_unpack(&q, m->body));

        if (!f)
                return;
        sasl_drop(f, q.handle);
        end(f, &a);
}

static void on_sign(struct channel_message *m)
{
        struct ask_sign q;
        struct arena a;
        struct front *f = begin(m, &a, ask_sign_unpack(&q, m->body));
        struct buf auto_buf signature = { 0 }, auto_buf body = { 0 };
        struct keeper_said said;

        if (!f)
                return;
        buf_init(&signature, CHANNEL_BODY / 2);
        buf_init(&body, CHANNEL_BODY);
        said.rc = keeper_sign_hash(f->keeper, &q, &signature);
        said.text = buf_str(&signature);
        keeper_said_pack(&said, &body);
        (void)channel_answer(m, buf_str(&body), -1);
        end(f, &a);
}

static void on_ticket_key(struct channel_message *m)
{
        struct front *f = m->context;

        (void)channel_answer(m, str_from(f->keeper->ticket_key, TICKET_KEY), -1);
}

/* Not a key of its own to keep: it follows from one that is kept. */
static void on_srs_key(struct channel_message *m)
{
        struct front *f = m->context;
        unsigned char key[SERVER_KEY];

        crypto_generichash(key, sizeof(key), (const unsigned char *)"pail srs", 8, f->keeper->app_key,
                           SERVER_KEY);
        (void)channel_answer(m, str_from(key, sizeof(key)), -1);
        sodium_memzero(key, sizeof(key));
}

static const struct channel_kind from_front[] = {
        { ASK_PASSWORD, "password", on_password },
        { ASK_APOP, "apop", on_apop },
        { ASK_SASL_START, "sasl start", on_sasl_start },
        { ASK_SASL_STEP, "sasl step", on_sasl_step },
        { TELL_SASL_DROP, "sasl drop", on_sasl_drop },
        { ASK_SIGN, "sign", on_sign },
        { ASK_TICKET_KEY, "ticket key", on_ticket_key },
        { ASK_SRS_KEY, "srs key", on_srs_key },
        { 0 },
};

/* A handler may just have been given this front, and not have begun: it is freed later. */
static void front_gone(struct channel *c, void *context)
{
        struct front *f = context;

        f->gone = now();
        sasl_drop_all(f);
        channel_free(&f->channel);
        (void)c;
}

static void free_front(struct front *f)
{
        sasl_drop_all(f);
        channel_free(&f->channel);
        mem_free(f);
}

static void sweep_fronts(struct keeper *k)
{
        nsec before = now() - FRONT_GRACE * SECOND;

        for (struct front **at = &k->fronts, *f; (f = *at) != NULL;) {
                if (!f->gone || f->gone > before || f->running) {
                        at = &f->next;
                        continue;
                }
                *at = f->next;
                free_front(f);
        }
}

void keeper_front(struct keeper *k, int fd)
{
        struct front *f = mem_new(struct front);

        sweep_fronts(k);
        f->keeper = k;
        f->next = k->fronts;
        k->fronts = f;
        f->channel = channel_new(fd, from_front, f, front_gone);
        channel_survive(f->channel); /* else a front could wipe out what is counted and remembered here */
        slow_tell_all(k, f->channel);
}

/* ---- life ---- */

int keeper_start(struct keeper **out, const struct keeper_setup *setup)
{
        struct keeper *k = mem_new(struct keeper);
        int rc;

        if (sodium_init() < 0)
                die("keeper: no random numbers");
        k->settings = setup->settings;
        k->clock = setup->clock ? setup->clock : wall_clock;
        verified_init(&k->verified);
        keeper_password_init(k);
        randombytes_buf(k->ticket_key, sizeof k->ticket_key);
        rc = sasl_init(k);
        rc = rc ? rc : secrets_open(&k->secrets, setup->secrets, setup->create);
        rc = rc ? rc : directory_open(&k->directory, setup->directory, false);
        rc = rc ? rc : secrets_server_key(k->secrets, "app passwords", k->app_key);
        rc = rc ? rc : secrets_server_key(k->secrets, "salts for nobody", k->fake_key);
        rc = rc ? rc : slow_init(k);
        if (rc < 0)
                keeper_stop(&k);
        else
                *out = k;
        return rc;
}

/* No message comes any more; those that came are answered, without delay, to nobody. */
static void finish_handlers(struct keeper *k)
{
        unsigned running = 1;

        k->stopping = true;
        for (struct front *f = k->fronts; f; f = f->next)
                channel_free(&f->channel);
        wake_all(&k->slow.delayed);
        while (k->fronts && running && fiber_self()) {
                (void)fiber_sleep(now() + MSECOND); /* at first for those that have not even begun */
                running = 0;
                for (struct front *f = k->fronts; f; f = f->next)
                        running += f->running;
        }
}

void keeper_stop(struct keeper **kp)
{
        struct keeper *k = *kp;

        if (!k)
                return;
        *kp = NULL;
        finish_handlers(k);
        if (k->secrets)
                keeper_note_uses(k);
        for (struct front *f = k->fronts, *next; f; f = next) {
                next = f->next;
                free_front(f);
        }
        keeper_key_drop(k);
        slow_free(k);
        verified_free(&k->verified);
        directory_close(&k->directory);
        secrets_close(&k->secrets);
        if (k->gsasl)
                gsasl_done(k->gsasl);
        mem_free(k->uses);
        sodium_memzero(k, sizeof *k);
        mem_free(k);
}

void keeper_settings(struct keeper *k, const struct settings *settings)
{
        k->settings = settings;
        directory_separators(k->directory, str_of(settings->subaddress_separator));
}

void keeper_directory_changed(struct keeper *k)
{
        directory_changed(k->directory);
}

void keeper_rotate_ticket_key(struct keeper *k)
{
        randombytes_buf(k->ticket_key, sizeof k->ticket_key);
        for (struct front *f = k->fronts; f; f = f->next)
                if (!f->gone)
                        (void)channel_tell(f->channel, TELL_TICKET_KEY, str_from(k->ticket_key, TICKET_KEY),
                                           -1);
}

unsigned long keeper_hash_runs(const struct keeper *k)
{
        return k->hash_runs;
}

unsigned keeper_exchanges(const struct keeper *k)
{
        unsigned n = 0;

        for (const struct front *f = k->fronts; f; f = f->next)
                n += f->exchanges.count;
        return n;
}
