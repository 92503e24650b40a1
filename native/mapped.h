/* A way out where a mapped file shrinks under the reader.
 *
 * Touching a page behind the new end of a mapped file raises SIGBUS, which ends the process. Kernels read mapped files, so
 * they run under a guard: the signal, on a thread that is inside a guard, leaves the kernel with HM_SHRUNK, which becomes a
 * Python exception. What runs under it must not lock and must not own memory: it is left without a trace. Elsewhere the
 * signal goes where it went before. Windows refuses to shorten a file that is mapped. */
#ifndef HASHMATCH_MAPPED_H
#define HASHMATCH_MAPPED_H

enum { HM_SHRUNK = -4 };

#ifdef _WIN32
static int hm_guarded(int (*work)(void *), void *context) { return work(context); }
static void hm_guard_install(void) {}
#else
#include <setjmp.h>
#include <signal.h>

static _Thread_local struct {
    volatile sig_atomic_t active;
    sigjmp_buf back;
} hm_guard;

static struct sigaction hm_guard_before;

static void hm_guard_signal(int number, siginfo_t *info, void *context) {
    if (hm_guard.active) {
        hm_guard.active = 0;
        siglongjmp(hm_guard.back, 1);
    }
    if (hm_guard_before.sa_flags & SA_SIGINFO) {
        hm_guard_before.sa_sigaction(number, info, context);
    } else if (hm_guard_before.sa_handler == SIG_IGN && info->si_code <= 0) {
        return; /* sent by a process, which may be ignored; a fault may not */
    } else if (hm_guard_before.sa_handler == SIG_DFL || hm_guard_before.sa_handler == SIG_IGN) {
        signal(number, SIG_DFL); /* the instruction is tried again, and this time ends the process */
        if (info->si_code <= 0) raise(number);
    } else {
        hm_guard_before.sa_handler(number);
    }
}

/* SA_NODEFER, as the handler is left by a jump: the signal must not stay blocked. */
static void hm_guard_install(void) {
    struct sigaction action, now;
    if (sigaction(SIGBUS, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == hm_guard_signal) return;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = hm_guard_signal;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &hm_guard_before);
}

static int hm_guarded(int (*work)(void *), void *context) {
    if (sigsetjmp(hm_guard.back, 0)) return HM_SHRUNK;
    hm_guard.active = 1;
    int status = work(context);
    hm_guard.active = 0;
    return status;
}
#endif
#endif
