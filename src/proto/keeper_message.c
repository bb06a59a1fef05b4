#include "proto/keeper_message.h"
#include "base/mem.h"

/* address: u8 family (0, 4, 6) | 16 bytes */
static void put_addr(struct buf *out, struct addr a)
{
        buf_u8(out, a.family);
        buf_put(out, a.ip, sizeof a.ip);
}

static struct addr get_addr(struct unpack *u)
{
        struct addr a = { .family = unpack_u8(u) };
        struct str ip = unpack_bytes(u, sizeof a.ip);

        if (a.family != 0 && a.family != 4 && a.family != 6)
                u->bad = true;
        if (!u->bad)
                mem_copy(a.ip, sizeof a.ip, ip);
        return a;
}

/* yes or no: u8, 0 or 1 */
static bool get_bool(struct unpack *u)
{
        uint8_t v = unpack_u8(u);

        if (v > 1)
                u->bad = true;
        return v == 1;
}

/* who: u16 scope | address | u8 tls | u8 binding is an exporter's | packed binding */
static void put_who(struct buf *out, const struct signin *who)
{
        buf_u16(out, (uint16_t)who->scope);
        put_addr(out, who->peer);
        buf_u8(out, who->tls);
        buf_u8(out, who->binding_is_exporter);
        buf_packed(out, who->binding);
}

static struct signin get_who(struct unpack *u)
{
        struct signin who = { .scope = unpack_u16(u) };

        who.peer = get_addr(u);
        who.tls = get_bool(u);
        who.binding_is_exporter = get_bool(u);
        who.binding = unpack_str(u);
        return who;
}

/* ASK_PASSWORD: who | packed name | packed password */
bool ask_password_pack(const struct ask_password *m, struct buf *out)
{
        put_who(out, &m->who);
        buf_packed(out, m->name);
        buf_packed(out, m->password);
        return !out->full;
}

bool ask_password_unpack(struct ask_password *m, struct str body)
{
        struct unpack u = unpack_of(body);

        m->who = get_who(&u);
        m->name = unpack_str(&u);
        m->password = unpack_str(&u);
        return unpack_done(&u);
}

/* ASK_APOP: who | packed name | packed stamp | packed digest (32 hex digits, as the client sent them) */
bool ask_apop_pack(const struct ask_apop *m, struct buf *out)
{
        put_who(out, &m->who);
        buf_packed(out, m->name);
        buf_packed(out, m->stamp);
        buf_packed(out, m->digest);
        return !out->full;
}

bool ask_apop_unpack(struct ask_apop *m, struct str body)
{
        struct unpack u = unpack_of(body);

        m->who = get_who(&u);
        m->name = unpack_str(&u);
        m->stamp = unpack_str(&u);
        m->digest = unpack_str(&u);
        return unpack_done(&u);
}

/* ASK_SASL_START: who | packed mechanism | u8 has an initial response | packed initial response */
bool ask_sasl_start_pack(const struct ask_sasl_start *m, struct buf *out)
{
        put_who(out, &m->who);
        buf_packed(out, m->mechanism);
        buf_u8(out, m->has_initial);
        buf_packed(out, m->has_initial ? m->initial : S(""));
        return !out->full;
}

bool ask_sasl_start_unpack(struct ask_sasl_start *m, struct str body)
{
        struct unpack u = unpack_of(body);

        m->who = get_who(&u);
        m->mechanism = unpack_str(&u);
        m->has_initial = get_bool(&u);
        m->initial = unpack_str(&u);
        return unpack_done(&u) && (m->has_initial || !m->initial.n);
}

/* ASK_SASL_STEP, TELL_SASL_DROP: u32 handle | packed token */
bool ask_sasl_step_pack(const struct ask_sasl_step *m, struct buf *out)
{
        buf_u32(out, m->handle);
        buf_packed(out, m->token);
        return !out->full;
}

bool ask_sasl_step_unpack(struct ask_sasl_step *m, struct str body)
{
        struct unpack u = unpack_of(body);

        m->handle = unpack_u32(&u);
        m->token = unpack_str(&u);
        return unpack_done(&u);
}

/* answer to these: u8 enum signin_result | u32 handle | packed token | packed account */
bool signin_answer_pack(const struct signin_answer *m, struct buf *out)
{
        buf_u8(out, (uint8_t)m->result);
        buf_u32(out, m->handle);
        buf_packed(out, m->token);
        buf_packed(out, m->account);
        return !out->full;
}

bool signin_answer_unpack(struct signin_answer *m, struct str body)
{
        struct unpack u = unpack_of(body);
        uint8_t result = unpack_u8(&u);

        m->result = (enum signin_result)result;
        m->handle = unpack_u32(&u);
        m->token = unpack_str(&u);
        m->account = unpack_str(&u);
        return unpack_done(&u) && result <= SIGNIN_LATER;
}

/* ASK_SIGN: u32 algorithm | packed name of the key ("": the host's) | packed hash */
bool ask_sign_pack(const struct ask_sign *m, struct buf *out)
{
        buf_u32(out, m->algorithm);
        buf_packed(out, m->key);
        buf_packed(out, m->hash);
        return !out->full;
}

bool ask_sign_unpack(struct ask_sign *m, struct str body)
{
        struct unpack u = unpack_of(body);

        m->algorithm = unpack_u32(&u);
        m->key = unpack_str(&u);
        m->hash = unpack_str(&u);
        return unpack_done(&u);
}

/* ASK_SET_SECRET: u8 what | packed account | packed label | packed password | u16 scope | u8 with
 * ASK_SECRETS: packed account. ASK_UNBAN: packed address as text. ASK_BANS: u32 how many to pass over */
bool ask_set_secret_pack(const struct ask_set_secret *m, struct buf *out)
{
        buf_u8(out, (uint8_t)m->what);
        buf_packed(out, m->account);
        buf_packed(out, m->label);
        buf_packed(out, m->password);
        buf_u16(out, (uint16_t)m->scope);
        buf_u8(out, (uint8_t)m->with);
        return !out->full;
}

bool ask_set_secret_unpack(struct ask_set_secret *m, struct str body)
{
        struct unpack u = unpack_of(body);
        uint8_t what = unpack_u8(&u);

        m->what = (enum set_secret)what;
        m->account = unpack_str(&u);
        m->label = unpack_str(&u);
        m->password = unpack_str(&u);
        m->scope = unpack_u16(&u);
        m->with = unpack_u8(&u);
        return unpack_done(&u) && what >= SET_PASSWORD && what <= SIGN_OUT;
}

/* answer to ASK_SIGN and to the supervisor's asks: u32 error number or 0 | the rest: bytes asked for, or a sentence */
bool keeper_said_pack(const struct keeper_said *m, struct buf *out)
{
        buf_u32(out, (uint32_t)-m->rc);
        buf_puts(out, m->text);
        return !out->full;
}

bool keeper_said_unpack(struct keeper_said *m, struct str body)
{
        struct unpack u = unpack_of(body);
        uint32_t error = unpack_u32(&u);

        m->rc = -(int)(error & 0xfff);
        m->text = str_from_at(body, u.at);
        return !u.bad && error <= 0xfff;
}

/* a ban: address | u64 until | u64 times */
bool ban_entry_pack(const struct ban_entry *m, struct buf *out)
{
        put_addr(out, m->net);
        buf_u64(out, (uint64_t)m->until);
        buf_u64(out, m->times);
        return !out->full;
}

bool ban_entry_next(struct unpack *u, struct ban_entry *m)
{
        if (u->bad || u->at == u->s.n)
                return false;
        m->net = get_addr(u);
        m->until = (int64_t)unpack_u64(u);
        m->times = unpack_u64(u);
        return !u->bad;
}

/* a secret, without what it is: u8 kind | u16 scope | u64 created | u64 used | packed label */
bool secret_entry_pack(const struct secret_entry *m, struct buf *out)
{
        buf_u8(out, (uint8_t)m->kind);
        buf_u16(out, (uint16_t)m->scope);
        buf_u64(out, (uint64_t)m->created);
        buf_u64(out, (uint64_t)m->used);
        buf_packed(out, m->label);
        return !out->full;
}

bool secret_entry_next(struct unpack *u, struct secret_entry *m)
{
        if (u->bad || u->at == u->s.n)
                return false;
        m->kind = unpack_u8(u);
        m->scope = unpack_u16(u);
        m->created = (int64_t)unpack_u64(u);
        m->used = (int64_t)unpack_u64(u);
        m->label = unpack_str(u);
        return !u->bad;
}
