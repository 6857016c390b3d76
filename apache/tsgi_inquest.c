/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_inquest.h"
#include "tsgi_connection.h"
#include "tsgi_pool.h"

#include "apr_strings.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* An answer holds for those who lose the same worker at the same time; pids are used again. */
#define VERDICT_LIFE_MS 1000
#define QUESTION_SIZE (4 + TSGI_SECRET_SIZE)

static apr_int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: Linux has this clock */
    return (apr_int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the question ------------------------------------------------------------------- */

static void question_write(uint8_t question[QUESTION_SIZE], uint32_t pid,
                           const unsigned char *secret)
{
    for (int i = 0; i < 4; i++) {
        question[i] = (uint8_t)(pid >> (8 * i));
    }
    memcpy(question + 4, secret, TSGI_SECRET_SIZE);
}

/* @return 0 when there is something to receive, or an errno. */
static int wait_readable(int fd, apr_int64_t deadline)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    for (;;) {
        const apr_int64_t left = deadline - now_ms();
        const int rc = left > 0 ? poll(&readable, 1, (int)left) : 0;
        if (rc != 0 && !(rc < 0 && errno == EINTR)) {
            return rc > 0 ? 0 : errno;
        }
        if (left <= 0) {
            return ETIMEDOUT;
        }
    }
}

/* @return bytes of the answer, or −errno. ENODATA: none came. EBADMSG: it is no text, or too long. */
static long exchange(int fd, const uint8_t *question, char *words, apr_int64_t deadline)
{
    if (send(fd, question, QUESTION_SIZE, MSG_DONTWAIT | MSG_NOSIGNAL) != QUESTION_SIZE) {
        return -errno;
    }
    const int error = wait_readable(fd, deadline);
    if (error != 0) {
        return -error;
    }
    const ssize_t n = recv(fd, words, TSGI_INQUEST_ANSWER_MAX, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0) {
        return -errno;
    }
    if (n == 0) {
        return -ENODATA;
    }
    return n <= TSGI_INQUEST_ANSWER_MAX && memchr(words, '\0', (size_t)n) == NULL
               ? (long)n
               : -EBADMSG;
}

static const char *excuse(int error)
{
    switch (error) {
    case ETIMEDOUT:
    case ENODATA:
        return "its supervisor gave no answer";
    case EBADMSG:
        return "its supervisor gave no answer that makes sense";
    default:
        return strerror(error);
    }
}

/* Fills words, with a NUL behind them, whatever happens. */
static void ask(const tsgi_generation_t *generation, uint32_t pid, char *words,
                apr_int64_t deadline)
{
    uint8_t question[QUESTION_SIZE];
    int error = ETIMEDOUT; /* for who has used up the time waiting for another thread */
    int fd = -1;

    if (now_ms() < deadline) {
        fd = tsgi_connection_dial(generation->inquest.path, SOCK_SEQPACKET, &error);
    }
    long n = -error;
    if (fd >= 0) {
        question_write(question, pid, generation->secret);
        n = exchange(fd, question, words, deadline);
        close(fd);
    }
    if (n > 0) {
        words[n] = '\0';
    }
    else {
        apr_snprintf(words, TSGI_INQUEST_ANSWER_MAX, "how it died is not known: %s",
                     excuse((int)-n));
    }
}

/* ---- once for all victims ----------------------------------------------------------- */

int tsgi_verdict_init(tsgi_verdict_t *verdict)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error != 0) {
        return error;
    }
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0) {
        error = pthread_cond_init(&verdict->answered, &attributes);
    }
    (void)pthread_condattr_destroy(&attributes);
    if (error != 0) {
        return error;
    }
    error = pthread_mutex_init(&verdict->lock, NULL);
    if (error != 0) {
        (void)pthread_cond_destroy(&verdict->answered);
    }
    return error;
}

/* Under the lock, which is given up meanwhile: until nobody asks about pid any more. */
static void wait_for_asker(tsgi_verdict_t *verdict, uint32_t pid, apr_int64_t deadline)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline / 1000),
                                   .tv_nsec = (long)(deadline % 1000) * 1000000};
    while (verdict->state == TSGI_VERDICT_ASKING && verdict->pid == pid) {
        if (pthread_cond_timedwait(&verdict->answered, &verdict->lock, &until) != 0) {
            return;
        }
    }
}

/*
 * Looks for the answer of another thread. @return the words, or NULL: the caller asks, and, if
 * *is_teller, tells the others.
 */
static const char *hear(apr_pool_t *p, tsgi_verdict_t *verdict, uint32_t pid,
                        apr_int64_t deadline, int *is_teller)
{
    const char *words = NULL;

    pthread_mutex_lock(&verdict->lock);
    wait_for_asker(verdict, pid, deadline);
    if (verdict->state == TSGI_VERDICT_ANSWERED && verdict->pid == pid &&
        now_ms() < verdict->expires) {
        words = apr_pstrdup(p, verdict->words);
    }
    *is_teller = words == NULL && verdict->state != TSGI_VERDICT_ASKING;
    if (*is_teller) {
        verdict->state = TSGI_VERDICT_ASKING;
        verdict->pid = pid;
    }
    pthread_mutex_unlock(&verdict->lock);
    return words;
}

static void tell(tsgi_verdict_t *verdict, const char *words)
{
    pthread_mutex_lock(&verdict->lock);
    apr_cpystrn(verdict->words, words, sizeof(verdict->words));
    verdict->expires = now_ms() + VERDICT_LIFE_MS;
    verdict->state = TSGI_VERDICT_ANSWERED;
    pthread_cond_broadcast(&verdict->answered);
    pthread_mutex_unlock(&verdict->lock);
}

const char *tsgi_inquest_hold(apr_pool_t *p, const tsgi_slots_t *slots, int slot,
                              uint32_t pid)
{
    tsgi_verdict_t *verdict = tsgi_pool_verdict(slots->slots[slot].pool);
    const apr_int64_t deadline = now_ms() + TSGI_INQUEST_WAIT_MS;
    int is_teller;
    const char *known = hear(p, verdict, pid, deadline, &is_teller);

    if (known != NULL) {
        return known;
    }
    char *words = apr_palloc(p, TSGI_INQUEST_ANSWER_MAX + 1);
    ask(slots->generation, pid, words, deadline);
    if (is_teller) {
        tell(verdict, words);
    }
    return words;
}
