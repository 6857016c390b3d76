/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_error.h"
#include "tsgi_clock.h"

#include "apr_strings.h"

#include <string.h>

#define MAX_LINES 100
#define MAX_LINE 4000

typedef struct {
    int status;
    int level;
    int retry_after; /* seconds; 0 = no such header */
    const char *text;
} failure_rule_t;

/* clang-format off */
static const failure_rule_t rules[TSGI_FAIL_COUNT] = {
    [TSGI_FAIL_QUEUE] = {
        HTTP_SERVICE_UNAVAILABLE, APLOG_ERR, 5,
        TSGI_LOGNO(0170) "no worker took the request within queue-timeout"},
    [TSGI_FAIL_UNAVAILABLE] = {
        HTTP_SERVICE_UNAVAILABLE, APLOG_ERR, 5,
        TSGI_LOGNO(0171) "no worker is running"},
    [TSGI_FAIL_CONNECT] = {
        HTTP_SERVICE_UNAVAILABLE, APLOG_ERR, 5,
        TSGI_LOGNO(0172) "no worker can be connected to"},
    [TSGI_FAIL_BACKLOG] = {
        HTTP_SERVICE_UNAVAILABLE, APLOG_ERR, 5,
        TSGI_LOGNO(0197) "the queues of all workers were full for connect-timeout"},
    [TSGI_FAIL_UNSENT] = {
        HTTP_SERVICE_UNAVAILABLE, APLOG_ERR, 2,
        TSGI_LOGNO(0173) "every worker that got the request ended or refused before it began "
                         "with it; given up"},
    [TSGI_FAIL_POISON] = {
        HTTP_BAD_GATEWAY, APLOG_ERR, 0,
        TSGI_LOGNO(0199) "the request killed 2 workers, each before it began with it; it is "
                         "sent to no third"},
    [TSGI_FAIL_BEGUN] = {
        HTTP_BAD_GATEWAY, APLOG_ERR, 0,
        TSGI_LOGNO(0174) "the worker ended before the response was complete"},
    [TSGI_FAIL_PROTOCOL] = {
        HTTP_BAD_GATEWAY, APLOG_ERR, 0,
        TSGI_LOGNO(0175) "the worker broke the rules of the wire"},
    [TSGI_FAIL_TIMEOUT] = {
        HTTP_GATEWAY_TIME_OUT, APLOG_ERR, 0,
        TSGI_LOGNO(0176) "the worker neither sent nor took a byte within socket-timeout"},
    [TSGI_FAIL_OVERDUE] = {
        HTTP_GATEWAY_TIME_OUT, APLOG_ERR, 0,
        TSGI_LOGNO(0198) "request-timeout is over, and the worker is too busy to say so: its "
                         "event loop is blocked"},
    [TSGI_FAIL_ABORT] = {
        HTTP_INTERNAL_SERVER_ERROR, APLOG_ERR, 0,
        TSGI_LOGNO(0177) "the worker could not finish the response"},
    [TSGI_FAIL_MEMORY] = {
        HTTP_SERVICE_UNAVAILABLE, APLOG_ERR, 5,
        TSGI_LOGNO(0178) "out of memory"},
    [TSGI_FAIL_HEAD_SIZE] = {
        HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, APLOG_INFO, 0,
        TSGI_LOGNO(0179) "the request head is too large: a worker takes 1 MiB and 4096 headers"},
    [TSGI_FAIL_HEAD] = {
        HTTP_BAD_REQUEST, APLOG_INFO, 0,
        TSGI_LOGNO(0180) "the request head cannot be handed to a worker"},
    [TSGI_FAIL_BODY] = {
        0, APLOG_INFO, 0,
        TSGI_LOGNO(0181) "the request body could not be read to its end"},
    [TSGI_FAIL_CLIENT] = {
        0, APLOG_INFO, 0,
        TSGI_LOGNO(0182) "the client went away before the response was complete"},
    [TSGI_FAIL_OUTPUT] = {
        0, APLOG_INFO, 0,
        TSGI_LOGNO(0183) "the response could not be passed on"},
    [TSGI_FAIL_PASS] = {
        HTTP_BAD_GATEWAY, APLOG_ERR, 0,
        TSGI_LOGNO(0220) "the client's connection could not be handed over to the worker"},
    [TSGI_FAIL_UPGRADE] = {
        0, APLOG_INFO, 0,
        TSGI_LOGNO(0221) "the worker, or the app, has left an upgraded connection"},
    [TSGI_FAIL_FILE] = {
        HTTP_INTERNAL_SERVER_ERROR, APLOG_ERR, 0,
        TSGI_LOGNO(0222) "the file of the app's X-Sendfile may not be sent"},
    [TSGI_FAIL_NO_FILE] = {
        HTTP_NOT_FOUND, APLOG_INFO, 0,
        TSGI_LOGNO(0223) "the file of the app's X-Sendfile is not there"},
    [TSGI_FAIL_LENGTH] = {
        HTTP_BAD_GATEWAY, APLOG_ERR, 0,
        TSGI_LOGNO(0184) "the response body is shorter than its Content-Length"},
    [TSGI_FAIL_FULL] = {
        HTTP_SERVICE_UNAVAILABLE, APLOG_INFO, 2,
        TSGI_LOGNO(0193) "as many requests wait for a worker as queue-size allows"},
    [TSGI_FAIL_RELAYS] = {
        HTTP_SERVICE_UNAVAILABLE, APLOG_INFO, 5,
        TSGI_LOGNO(0230) "no more upgraded connections can be relayed"},
    [TSGI_FAIL_THREADS] = {
        HTTP_SERVICE_UNAVAILABLE, APLOG_INFO, 2,
        TSGI_LOGNO(0194) "the group holds as many threads of Apache as apache-threads allows"},
};
/* clang-format on */

/*
 * Causes of an ABORT that are not a 500: a pattern led to a file that is not there or may not run; the app
 * took too long. The same rows stand in src/errors.ts (test/meta compares them).
 */
static const struct {
    apr_uint16_t code;
    int status;
} abort_statuses[] = {
    {601, HTTP_NOT_FOUND}, {602, HTTP_FORBIDDEN},        {603, HTTP_FORBIDDEN},
    {604, HTTP_FORBIDDEN}, {605, HTTP_FORBIDDEN},        {606, HTTP_FORBIDDEN},
    {628, HTTP_NOT_FOUND}, {730, HTTP_GATEWAY_TIME_OUT},
};

static int abort_status(unsigned code, int otherwise)
{
    for (size_t i = 0; i < sizeof(abort_statuses) / sizeof(abort_statuses[0]); i++) {
        if (abort_statuses[i].code == code) {
            return abort_statuses[i].status;
        }
    }
    return otherwise;
}

static const char *request_id(request_rec *r)
{
    const char *id = apr_table_get(r->notes, TSGI_NOTE_REQUEST_ID);
    return id != NULL ? id : "-";
}

/* "group blog, worker 2, pid 4711, request Zx…": what every line of a failure ends
 * with. */
static const char *describe_place(request_rec *r, const char *group,
                                  const tsgi_error_t *error)
{
    const char *worker = "", *pid = "";
    if (error->slot >= 0) {
        worker = apr_psprintf(r->pool, ", worker %d", error->slot);
    }
    if (error->pid != 0) {
        pid = apr_psprintf(r->pool, ", pid %u", error->pid);
    }
    return apr_psprintf(r->pool, "group %s%s%s, request %s", group, worker, pid,
                        request_id(r));
}

void tsgi_error_log_text(request_rec *r, int level, const char *prefix, const char *text,
                         apr_size_t length)
{
    const char *end = text + length;
    for (int i = 0; i < MAX_LINES && text < end; i++) {
        const char *eol = memchr(text, '\n', (apr_size_t)(end - text));
        const char *next = eol != NULL ? eol + 1 : end;
        apr_size_t n = (apr_size_t)((eol != NULL ? eol : end) - text);
        if (n > 0 && text[n - 1] == '\r') {
            n--;
        }
        if (n > MAX_LINE) {
            n = MAX_LINE;
        }
        /* Control characters are escaped by ap_log_rerror(). */
        ap_log_rerror(APLOG_MARK, level, 0, r, "%s%.*s", prefix, (int)n, text);
        text = next;
    }
}

/* What is known beyond the kind; "" if nothing. */
static const char *describe_detail(request_rec *r, const tsgi_error_t *error)
{
    switch (error->kind) {
    case TSGI_FAIL_ABORT:
        return "its words follow";
    case TSGI_FAIL_UNAVAILABLE:
        return apr_psprintf(r->pool, "see TSGI%04d above", error->code);
    default:
        if (error->death != NULL) {
            return error->death;
        }
        return error->detail != NULL ? error->detail : "";
    }
}

static void log_failure(request_rec *r, const char *group, const tsgi_error_t *error,
                        const failure_rule_t *rule, int is_head_sent)
{
    const char *detail = describe_detail(r, error);

    ap_log_rerror(APLOG_MARK, rule->level, error->os_error, r, "%s%s%s%s (%s)",
                  rule->text, detail[0] != '\0' ? ": " : "", detail,
                  is_head_sent && rule->status != 0 ? "; the response is cut off" : "",
                  describe_place(r, group, error));
    if (error->kind == TSGI_FAIL_ABORT) {
        tsgi_error_log_text(r, rule->level,
                            apr_psprintf(r->pool, "TSGI%04d: ", error->code), error->text,
                            error->length);
    }
}

/* Refusals come in crowds: each has its line at level info, and one of a second this one. */
static void log_refusal(request_rec *r, const char *group, tsgi_refusals_t *refusals)
{
    const apr_time_t now = tsgi_clock_now();
    apr_time_t next = __atomic_load_n(&refusals->next, __ATOMIC_RELAXED);

    if (now < next ||
        !__atomic_compare_exchange_n(&refusals->next, &next, now + apr_time_from_sec(1),
                                     0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&refusals->others, 1, __ATOMIC_RELAXED);
        return;
    }
    ap_log_rerror(
        APLOG_MARK, APLOG_ERR, 0, r,
        TSGI_LOGNO(0195) "group %s is overloaded: request %s got 503, as did %u "
                         "others of this child since the last such line; "
                         "level info tells of each",
        group, request_id(r),
        __atomic_exchange_n(&refusals->others, 0, __ATOMIC_RELAXED));
}

void tsgi_error_headers(request_rec *r, int retry_after)
{
    const char *id = request_id(r);
    if (retry_after > 0) {
        apr_table_setn(r->err_headers_out, "Retry-After", apr_itoa(r->pool, retry_after));
    }
    apr_table_setn(r->err_headers_out, "TSGI-Request-Id", id);
    apr_table_setn(
        r->notes, "error-notes",
        apr_pstrcat(r->pool, "Request id: ", ap_escape_html(r->pool, id), NULL));
    apr_table_setn(r->notes, "verbose-error-to",
                   "*"); /* nothing of the app's inside in it */
}

int tsgi_error_report(request_rec *r, const char *group, const tsgi_error_t *error,
                      int is_head_sent)
{
    const failure_rule_t *rule = &rules[error->kind];

    log_failure(r, group, error, rule, is_head_sent);
    if (error->refusals != NULL) {
        log_refusal(r, group, error->refusals);
    }
    if (error->kind == TSGI_FAIL_OUTPUT) {
        return error->status;
    }
    if (error->kind == TSGI_FAIL_CLIENT) {
        r->connection->aborted = 1;
        return OK;
    }
    if (is_head_sent) {
        return OK; /* the response has been cut where the client can see it */
    }
    int status = rule->status != 0 ? rule->status : error->status;
    if (error->kind == TSGI_FAIL_ABORT) {
        status = abort_status(error->code, status);
    }
    if (ap_is_HTTP_ERROR(status)) {
        int retry_after = rule->retry_after;
        if (retry_after > 0 && error->retry_after > 0) {
            retry_after = error->retry_after;
        }
        tsgi_error_headers(r, retry_after);
    }
    return status;
}
