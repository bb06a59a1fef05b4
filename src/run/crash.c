#include "run/inside.h"
#include "run/stack.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* An overflown stack has no room for a handler's frame, so handlers run on a stack of their own. They say where it
 * happened, put back what stood before (the default action, a sanitizer's handler) and return: the same instruction
 * faults again and dies the ordinary way, with its core. Only write(2), sigaction(2) and raise are called. */

static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
#define SIGNALS (sizeof signals / sizeof signals[0])

static struct sigaction before[SIGNALS];
static stack_t stack_before;
static _Alignas(64) char handler_stack[64 * 1024];
static _Thread_local bool fibers_thread;

static void say(const char *s)
{
        if (write(STDERR_FILENO, s, strlen(s)) < 0)
                return;
}

static void crashed(int signo, siginfo_t *info, void *context)
{
        struct fiber *f = fibers_thread ? fiber_self() : NULL;
        bool fault = (signo == SIGSEGV || signo == SIGBUS) && info->si_code > 0;
        size_t i;

        (void)context;
        log_last_words();
        say(f && fault && stack_guards(f->low, info->si_addr) ? "stack overflow in fiber "
                                                              : "crash in fiber ");
        say(f ? f->name : "(none)");
        if (f && f->note[0]) {
                say(" note=");
                say(f->note);
        }
        say("\n");
        for (i = 0; i < SIGNALS; i++)
                if (signals[i] == signo)
                        sigaction(signo, &before[i], NULL);
        if (info->si_code <= 0) /* sent by somebody: nothing would raise it again */
                raise(signo);
}

void crash_init(void)
{
        struct sigaction action = { .sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_ONSTACK };
        stack_t own = { .ss_sp = handler_stack, .ss_size = sizeof handler_stack };
        size_t i;

        fibers_thread = true;
        sigemptyset(&action.sa_mask);
        sigaltstack(&own, &stack_before);
        for (i = 0; i < SIGNALS; i++)
                sigaction(signals[i], &action, &before[i]);
}

void crash_finish(void)
{
        size_t i;

        for (i = 0; i < SIGNALS; i++)
                sigaction(signals[i], &before[i], NULL);
        sigaltstack(&stack_before, NULL);
}
