/* load-signin: POP3 or (--imap) IMAP sign-ins, a new connection each, from --sessions threads, --letters in all, accounts in turn.
 * With --hold they stay open instead, all held until stdin ends; with --imap they have selected INBOX and wait in IDLE.
 * With --resume each thread resumes its TLS session.
 * Prints: signins= seconds= per_second= resumed= ; or "held N" and waits. */
#include "wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static struct options o;
static atomic_int next, resumed;

static void sign_in(struct wire *w, int number)
{
        char name[256];

        account_name(&o, number, name, sizeof(name));
        wire_open(w, &o);
        if (o.imap) {
                wire_expect(w, "* OK");
                wire_say(w, "a LOGIN %s %s\r\n", name, o.password);
                wire_until(w, "a OK");
                return;
        }
        wire_expect(w, "+OK");
        wire_say(w, "USER %s\r\n", name);
        wire_expect(w, "+OK");
        wire_say(w, "PASS %s\r\n", o.password);
        wire_expect(w, "+OK");
}

static void sign_out(struct wire *w)
{
        wire_say(w, o.imap ? "b LOGOUT\r\n" : "QUIT\r\n");
        wire_until(w, o.imap ? "b OK" : "+OK");
}

static void idle(struct wire *w)
{
        wire_say(w, "b SELECT INBOX\r\n");
        wire_until(w, "b OK");
        wire_say(w, "c IDLE\r\n");
        wire_until(w, "+ ");
}

static void *work(void *arg)
{
        struct wire *w = calloc(1, sizeof(*w));
        int number;

        (void)arg;
        while ((number = atomic_fetch_add(&next, 1)) < o.letters) {
                sign_in(w, number);
                sign_out(w);
                if (o.tls && o.resume) {
                        resumed += wire_resumed(w);
                        wire_keep_session(w);
                }
                wire_close(w);
        }
        free(w);
        return NULL;
}

/* The descriptor and the TLS state stay when the buffer is used again. */
static void *sign_in_some(void *arg)
{
        struct wire *w = calloc(1, sizeof(*w));
        int number;

        (void)arg;
        while ((number = atomic_fetch_add(&next, 1)) < o.letters) {
                sign_in(w, number);
                if (o.imap)
                        idle(w);
        }
        free(w);
        return NULL;
}

int main(int argc, char **argv)
{
        double began;

        options_parse(&o, argc, argv);
        pthread_t *threads = calloc((size_t)o.sessions, sizeof(*threads));

        began = now_seconds();
        for (int i = 0; i < o.sessions; i++)
                pthread_create(&threads[i], NULL, o.hold ? sign_in_some : work, NULL);
        for (int i = 0; i < o.sessions; i++)
                pthread_join(threads[i], NULL);
        if (o.hold) {
                printf("held %d\n", o.letters);
                fflush(stdout);
                getchar();
                return 0;
        }
        double seconds = now_seconds() - began;

        printf("signins=%d seconds=%.3f per_second=%.1f resumed=%d\n", o.letters, seconds,
               o.letters / seconds, resumed);
        free(threads);
        return 0;
}
