/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_inquest.h
 * How did this worker die? An Apache child asks its supervisor, for the log line of a request that
 * has lost its worker.
 *
 * The question goes to the generation's inquest socket (SOCK_SEQPACKET): one packet there, one back
 * (docs/architecture.md). The answer is words of a process that runs as the app's user: it is bounded,
 * goes into a log line, where httpd escapes it, and nowhere else. Apache children only, any thread.
 */
#ifndef TSGI_INQUEST_H
#define TSGI_INQUEST_H

#include "tsgi_generation.h"

#include <pthread.h>

/** Most bytes of an answer. */
#define TSGI_INQUEST_ANSWER_MAX 512
/** How long the answer is waited for. */
#define TSGI_INQUEST_WAIT_MS 300

/** NONE: nothing is known. ASKING: a thread asks about pid. ANSWERED: words hold until expires. */
typedef enum {
    TSGI_VERDICT_NONE,
    TSGI_VERDICT_ASKING,
    TSGI_VERDICT_ANSWERED
} tsgi_verdict_state_t;

/**
 * The last answer about a worker of one slot. A worker that dies takes many requests with it at once:
 * one of their threads asks, the others wait for what it hears. Part of a tsgi_pool_t.
 */
typedef struct {
    pthread_mutex_t lock; /**< held for a few instructions only */
    pthread_cond_t answered;
    tsgi_verdict_state_t state;
    uint32_t pid;
    apr_int64_t expires; /**< ms of the monotonic clock */
    char words[TSGI_INQUEST_ANSWER_MAX + 1];
} tsgi_verdict_t;

/** Makes an empty one. It lives until the process ends. @return 0, or an errno. */
int tsgi_verdict_init(tsgi_verdict_t *verdict);

/**
 * Waits for the answer, TSGI_INQUEST_WAIT_MS at most, with no lock held.
 * @return how the worker died, or why that is not known: words for a log line, from p
 */
const char *tsgi_inquest_hold(apr_pool_t *p, const tsgi_slots_t *slots, int slot,
                              uint32_t pid);

#endif
