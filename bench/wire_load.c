/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file wire_load.c
 * A load generator on a unix socket: asks a worker in frames, as Apache does, or an HTTP server in
 * text, with the same headers. Each connection has one request under way at a time.
 *
 *   wire_load (wire SECRET SCRIPT | http) SOCKET CONNECTIONS MILLISECONDS [HEADER …]
 *
 * A header is "Name: value". Prints one JSON object, or says on stderr what went wrong and ends with
 * status 1. One thread; all it asks is GET /hello.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tsgi_wire.h"

#define URI "/hello"
#define HOST "localhost"
#define MAX_CONNECTIONS 1024
#define MAX_HEADERS 64
#define INPUT_SIZE 16384
/** Without an answer for so long the run has failed. */
#define PATIENCE_NS 5000000000LL

/** Durations are counted in buckets 1/32 wide of their power of two, in ns. */
#define STEPS 32
#define BUCKETS (64 * STEPS)

typedef struct {
    int fd;
    bool greeted; /**< HELLO has come; HTTP greets nobody */
    int64_t since;
    size_t have; /**< bytes of input */
    uint8_t input[INPUT_SIZE];
} conn_t;

typedef struct {
    bool is_http;
    uint8_t *request; /**< of every request */
    size_t length;
    uint8_t *first; /**< of the first one on a connection: AUTH stands before it */
    size_t first_length;
    int64_t end;
    uint64_t answers;
    uint64_t buckets[BUCKETS];
    conn_t *conns;
    size_t nconns;
} run_t;

static _Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("wire_load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        die("clock_gettime: %s", strerror(errno));
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static unsigned bucket_of(uint64_t ns)
{
    if (ns < STEPS)
        return (unsigned)ns;
    const unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    const unsigned step = (unsigned)(ns >> (power - 5)) & (STEPS - 1);
    return power * STEPS + step;
}

/** The duration in the middle of a bucket. */
static double bucket_ns(unsigned bucket)
{
    if (bucket < STEPS)
        return bucket;
    const unsigned power = bucket / STEPS;
    const double width = (double)(1ULL << power) / STEPS;
    return (double)(1ULL << power) + (bucket % STEPS + 0.5) * width;
}

static double quantile_us(const run_t *run, double q)
{
    uint64_t left = (uint64_t)((double)run->answers * q);
    for (unsigned i = 0; i < BUCKETS; i++) {
        if (run->buckets[i] > left)
            return bucket_ns(i) / 1000;
        left -= run->buckets[i];
    }
    return 0;
}

/* ---- what is asked ---------------------------------------------------------------- */

static tsgi_str_t str(const char *text)
{
    const tsgi_str_t s = {text, (uint32_t)strlen(text)};
    return s;
}

static size_t parse_headers(char **texts, int n, tsgi_field_t *out)
{
    if (n >= MAX_HEADERS)
        die("expected fewer than %d headers", MAX_HEADERS);
    memset(out, 0, sizeof *out * (size_t)(n + 1));
    out[0].name = str("Host");
    out[0].value = str(HOST);
    for (int i = 0; i < n; i++) {
        const char *colon = strstr(texts[i], ": ");
        if (!colon)
            die("expected a header \"Name: value\", got \"%s\"", texts[i]);
        out[i + 1].name.data = texts[i];
        out[i + 1].name.len = (uint32_t)(colon - texts[i]);
        out[i + 1].value = str(colon + 2);
    }
    return (size_t)n + 1;
}

static void make_http(run_t *run, const tsgi_field_t *headers, size_t n)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, &run->length);
    if (!out)
        die("out of memory");
    fputs("GET " URI " HTTP/1.1\r\n", out);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%.*s: %.*s\r\n", (int)headers[i].name.len, headers[i].name.data,
                (int)headers[i].value.len, headers[i].value.data);
    }
    fputs("\r\n", out);
    if (fclose(out) != 0)
        die("out of memory");
    run->request = run->first = (uint8_t *)text;
    run->first_length = run->length;
}

static void parse_secret(const char *hex, uint8_t *out)
{
    if (strlen(hex) != (size_t)2 * TSGI_SECRET_SIZE)
        die("expected a secret of 64 hex digits");
    for (size_t i = 0; i < TSGI_SECRET_SIZE; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            die("expected a secret of 64 hex digits");
        out[i] = (uint8_t)byte;
    }
}

static void make_wire(run_t *run, const char *secret, const char *script,
                      const tsgi_field_t *headers, size_t n)
{
    tsgi_request_t request = {
        .content_length = -1, .server_port = 80, .remote_port = 50001};
    request.local_port = 80;
    request.http_major = request.http_minor = 1;
    const char *texts[TSGI_S_COUNT] = {
        "GET",       URI,      "HTTP/1.1", "http",
        script,      "",       URI,        "",
        HOST,        "Apache", "/srv/www", "127.0.0.1",
        "127.0.0.1", "",       "",         "ZGhlIHNhbXBsZSBub25j",
    };
    for (size_t i = 0; i < TSGI_S_COUNT; i++)
        request.s[i] = str(texts[i]);
    const size_t size = tsgi_request_size(&request, headers, n, NULL, 0);
    const size_t before = TSGI_FRAME_HEADER + TSGI_AUTH_SIZE;
    uint8_t *bytes = malloc(before + size);
    if (!bytes || size == 0)
        die("the request cannot be made");
    tsgi_auth_t auth = {.major = TSGI_WIRE_MAJOR, .minor = TSGI_WIRE_MINOR};
    parse_secret(secret, auth.secret);
    tsgi_auth_encode(bytes, &auth);
    const long written =
        tsgi_request_encode(bytes + before, size, &request, headers, n, NULL, 0);
    if (written < 0)
        die("the request cannot be encoded: %s", tsgi_wire_strerror((int)written));
    run->first = bytes;
    run->first_length = before + (size_t)written;
    run->request = bytes + before;
    run->length = (size_t)written;
}

/* ---- what comes ------------------------------------------------------------------- */

/** Takes the chunks behind a head. @return the bytes of both, 0 if they are not all there. */
static size_t take_chunks(const conn_t *conn, size_t at)
{
    for (;;) {
        const uint8_t *line = conn->input + at;
        const uint8_t *end = memmem(line, conn->have - at, "\r\n", 2);
        if (!end)
            return 0;
        const unsigned long size = strtoul((const char *)line, NULL, 16);
        if (size > INPUT_SIZE)
            die("expected an answer of less than %d bytes", INPUT_SIZE);
        at = (size_t)(end - conn->input) + 2 + size + 2;
        if (conn->have < at)
            return 0;
        if (size == 0)
            return at;
    }
}

/** Takes one whole HTTP answer off the input. @return its bytes, 0 if there is none yet. */
static size_t take_http(conn_t *conn)
{
    static const char OK[] = "HTTP/1.1 200 ";
    const uint8_t *end = memmem(conn->input, conn->have, "\r\n\r\n", 4);
    if (!end)
        return 0;
    const size_t head = (size_t)(end - conn->input) + 4;
    if (strncmp((const char *)conn->input, OK, sizeof OK - 1) != 0) {
        die("expected status 200, got %.30s", (const char *)conn->input);
    }
    char text[INPUT_SIZE];
    memcpy(text, conn->input, head);
    text[head - 1] = '\0';
    if (strcasestr(text, "\ntransfer-encoding: chunked"))
        return take_chunks(conn, head);
    const char *field = strcasestr(text, "\ncontent-length:");
    if (!field)
        die("expected an answer with a length or in chunks, got %s", text);
    const size_t whole = head + strtoul(field + 16, NULL, 10);
    if (whole > INPUT_SIZE)
        die("expected an answer of less than %d bytes", INPUT_SIZE);
    return conn->have < whole ? 0 : whole;
}

static void check_response(const uint8_t *payload, size_t n)
{
    tsgi_response_t response;
    tsgi_fields_t fields;
    const int error =
        tsgi_response_decode(TSGI_T_RESPONSE, payload, n, &response, &fields);
    if (error < 0)
        die("the worker's RESPONSE is wrong: %s", tsgi_wire_strerror(error));
    if (response.status != 200)
        die("expected status 200, got %u", response.status);
}

static void check_hello(const uint8_t *payload, size_t n)
{
    tsgi_hello_t hello;
    const int error = tsgi_hello_decode(payload, n, &hello);
    if (error < 0)
        die("the worker's HELLO is wrong: %s", tsgi_wire_strerror(error));
    if (!tsgi_version_accepted(hello.major, hello.minor)) {
        die("the worker speaks version %u.%u of the wire", hello.major, hello.minor);
    }
}

/** Takes one frame off the input. @return its bytes, 0 if there is none yet. */
static size_t take_frame(conn_t *conn, size_t at, tsgi_frame_t *frame)
{
    const uint8_t *p = conn->input + at;
    const size_t have = conn->have - at;
    const int decoded = tsgi_frame_decode(p, have, TSGI_FROM_WORKER, frame);
    if (decoded < 0)
        die("the worker's frame is wrong: %s", tsgi_wire_strerror(decoded));
    if (decoded == 0)
        return 0;
    const size_t whole = TSGI_FRAME_HEADER + (size_t)frame->length;
    if (whole > INPUT_SIZE)
        die("expected an answer of less than %d bytes", INPUT_SIZE);
    if (have < whole)
        return 0;
    const uint8_t *payload = p + TSGI_FRAME_HEADER;
    if (frame->type == TSGI_T_RESPONSE)
        check_response(payload, frame->length);
    else if (frame->type == TSGI_T_HELLO)
        check_hello(payload, frame->length);
    else if (frame->type != TSGI_T_DATA && frame->type != TSGI_T_END) {
        die("expected an answer, got a frame of type 0x%02x: %.*s", frame->type,
            (int)(frame->length > 4 ? frame->length - 4 : 0), (const char *)payload + 4);
    }
    return whole;
}

/** Takes HELLO, or all frames of an answer. @return their bytes, 0 if they are not all there. */
static size_t take_wire(conn_t *conn)
{
    size_t at = 0;
    for (;;) {
        tsgi_frame_t frame;
        const size_t taken = take_frame(conn, at, &frame);
        if (taken == 0)
            return 0;
        at += taken;
        if (!conn->greeted || frame.type == TSGI_T_END || (frame.flags & TSGI_F_FIN))
            return at;
    }
}

/* ---- connections ------------------------------------------------------------------ */

/** The request is far smaller than a socket's buffer, so it leaves whole or not at all. */
static void ask(conn_t *conn, const uint8_t *bytes, size_t length)
{
    conn->since = now_ns();
    const ssize_t sent = send(conn->fd, bytes, length, MSG_NOSIGNAL);
    if (sent != (ssize_t)length) {
        die("a request could not be sent: %s", sent < 0 ? strerror(errno) : "not whole");
    }
}

static void answered(run_t *run, conn_t *conn, int64_t now)
{
    if (!conn->greeted) {
        conn->greeted = true;
        ask(conn, run->first, run->first_length);
        return;
    }
    run->answers++;
    run->buckets[bucket_of((uint64_t)(now - conn->since))]++;
    if (now < run->end)
        ask(conn, run->request, run->length);
}

static void receive(run_t *run, conn_t *conn)
{
    const ssize_t n =
        recv(conn->fd, conn->input + conn->have, INPUT_SIZE - conn->have, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the connection ended: %s", n < 0 ? strerror(errno) : "end of file");
    conn->have += (size_t)n;
    const size_t taken = run->is_http ? take_http(conn) : take_wire(conn);
    if (taken == 0)
        return;
    if (taken != conn->have)
        die("bytes came that nobody asked for");
    conn->have = 0;
    answered(run, conn, now_ns());
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        die("the path is too long: %s", path);
    memcpy(address.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        die("%s: %s", path, strerror(errno));
    }
    return fd;
}

static void connect_all(run_t *run, int poll, const char *path)
{
    for (size_t i = 0; i < run->nconns; i++) {
        conn_t *conn = &run->conns[i];
        conn->fd = connect_to(path);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
            die("epoll_ctl: %s", strerror(errno));
        }
        conn->greeted = run->is_http;
        if (run->is_http)
            ask(conn, run->first, run->first_length);
    }
}

/** Asks until the time is over. What is under way then is not waited for. */
static void work(run_t *run, int poll)
{
    struct epoll_event events[MAX_CONNECTIONS];
    int64_t last = now_ns();
    while (now_ns() < run->end) {
        const int n = epoll_wait(poll, events, MAX_CONNECTIONS, 100);
        if (n < 0 && errno != EINTR)
            die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++)
            receive(run, events[i].data.ptr);
        const int64_t now = now_ns();
        if (n > 0)
            last = now;
        if (now - last > PATIENCE_NS)
            die("no answer came for 5 s");
    }
}

static unsigned long number(const char *text, unsigned long most)
{
    char *end;
    const unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 1 || value > most) {
        die("expected a number from 1 to %lu, got \"%s\"", most, text);
    }
    return value;
}

int main(int argc, char **argv)
{
    static run_t run;
    const bool is_wire = argc > 1 && strcmp(argv[1], "wire") == 0;
    run.is_http = argc > 1 && strcmp(argv[1], "http") == 0;
    const int at = is_wire ? 4 : 2;
    if ((!is_wire && !run.is_http) || argc < at + 3) {
        die("usage: wire_load (wire SECRET SCRIPT | http) SOCKET CONNECTIONS "
            "MILLISECONDS "
            "[HEADER …]");
    }
    tsgi_field_t headers[MAX_HEADERS];
    const size_t n = parse_headers(argv + at + 3, argc - at - 3, headers);
    if (is_wire)
        make_wire(&run, argv[2], argv[3], headers, n);
    else
        make_http(&run, headers, n);

    run.nconns = number(argv[at + 1], MAX_CONNECTIONS);
    const int64_t ns = (int64_t)number(argv[at + 2], 600000) * 1000000;
    run.conns = calloc(run.nconns, sizeof *run.conns);
    const int poll = epoll_create1(EPOLL_CLOEXEC);
    if (!run.conns || poll < 0)
        die("no memory or descriptors");
    const int64_t began = now_ns();
    run.end = began + ns;
    connect_all(&run, poll, argv[at]);
    work(&run, poll);
    const double seconds = (double)(now_ns() - began) / 1e9;
    printf("{\"requests\":%" PRIu64
           ",\"perSecond\":%.1f,\"p50Us\":%.1f,\"p99Us\":%.1f}\n",
           run.answers, (double)run.answers / seconds, quantile_us(&run, 0.5),
           quantile_us(&run, 0.99));
    return 0;
}
