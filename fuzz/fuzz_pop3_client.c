/* The POP3 client against a server that says anything. What must hold: texts are printable, lists ascend, letters have an end after their begin. */
#include "client_server.h"
#include "proto/pop3/client.h"

static bool begun;

static int begin(void *context, const struct pop3_entry *e)
{
        (void)context;
        must(!begun && e->number, "a letter in a letter");
        begun = true;
        return e->size == 13 ? -EFBIG : 0;
}

static int piece(void *context, struct str bytes)
{
        (void)context;
        must(begun && bytes.n, "bytes of no letter");
        return 0;
}

static int end(void *context)
{
        (void)context;
        must(begun, "an end of no letter");
        begun = false;
        return 0;
}

static void client(void *arg)
{
        struct talk *t = arg;
        struct pop3_client_how how = { .host = "town.com", .tls = t->how & 1 ? TLS_MAY : TLS_NEVER };
        struct pop3_take take = { begin, piece, end, NULL, t->how & 2 };
        struct pop3_answer answer;
        struct pop3_client *c;
        struct pop3_entry *list;
        struct arena a;
        size_t n;
        int rc;

        begun = false;
        arena_init(&a, 64 << 20);
        rc = pop3_client_open(&c, visit(t), &how, &answer);
        must((rc == 0) == (c != NULL), "a client that failed");
        check_text(answer.text);
        if (c && pop3_client_login(c, "jill", "tumb", &answer) == 0 &&
            pop3_client_list(c, &a, &list, &n, &answer) == 0) {
                for (size_t i = 0; i < n; i++) {
                        must(list[i].number && (!i || list[i].number > list[i - 1].number),
                             "a list in disorder");
                        must(list[i].uidl.n <= 70 && !str_has_control(list[i].uidl) &&
                                 ascii_only(list[i].uidl),
                             "a unique-id that is none");
                }
                (void)!pop3_client_letters(c, list, n, &take, &answer);
                (void)!pop3_client_delete(c, list, n, &answer);
        }
        check_text(answer.text);
        check_text(answer.code);
        if (c && t->how & 4)
                (void)!pop3_client_quit(&c, &answer);
        pop3_client_drop(&c);
        t->over = true;
        arena_finish(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size)
                play(client, data, size);
        return 0;
}
