/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Most answers and most heads fit; larger ones grow their buffer until the connection
 * is idle again. */
#define IN_SIZE (16 * 1024)
#define OUT_SIZE (8 * 1024)
/* Of the buffer for what comes, where it is only frames of a tunnel. */
#define TRIMMED_SIZE (2 * 1024)

static int socket_connect(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = strlen(path);
    if (length >= sizeof(address.sun_path)) {
        return ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, length);
    int rc;
    do {
        rc = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

/*
 * It holds as much of a body as it can be made to, which is twice wmem_max, not wmem_default: half as many
 * waits for a worker that is slower than the client. Best effort.
 */
static void socket_widen(int fd)
{
    const int most = INT_MAX / 2;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &most, sizeof(most));
}

int tsgi_connection_dial(const char *path, int type, int *error)
{
    const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *error = fd < 0 ? errno : socket_connect(fd, path);
    if (*error != 0 && fd >= 0) {
        close(fd);
    }
    return *error == 0 ? fd : -1;
}

tsgi_connection_t *tsgi_connection_open(const char *path, int *error)
{
    tsgi_connection_t *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    connection->fd = tsgi_connection_dial(path, SOCK_STREAM, error);
    if (*error == 0) {
        socket_widen(connection->fd);
        connection->in = malloc(IN_SIZE);
        connection->out = malloc(OUT_SIZE);
        *error = connection->in != NULL && connection->out != NULL ? 0 : ENOMEM;
    }
    if (*error != 0) {
        tsgi_connection_close(connection);
        return NULL;
    }
    connection->in_size = IN_SIZE;
    connection->out_size = OUT_SIZE;
    return connection;
}

void tsgi_connection_close(tsgi_connection_t *connection)
{
    if (connection == NULL) {
        return;
    }
    if (connection->fd >= 0) {
        close(connection->fd);
    }
    free(connection->in);
    free(connection->out);
    free(connection);
}

/* ---- receiving ---------------------------------------------------------------------- */

/* Moves what is buffered to the front and makes the buffer at least `size` bytes
 * large. */
static int buffer_make_room(tsgi_connection_t *connection, size_t size)
{
    const size_t buffered = tsgi_connection_buffered(connection);
    if (connection->in_at > 0) {
        memmove(connection->in, connection->in + connection->in_at, buffered);
        connection->in_at = 0;
        connection->in_end = buffered;
    }
    if (size > connection->in_size) {
        uint8_t *larger = realloc(connection->in, size);
        if (larger == NULL) {
            return 0;
        }
        connection->in = larger;
        connection->in_size = size;
    }
    return 1;
}

/*
 * A recv() that waits would be one system call less and dearer: the worker's reading of the request
 * frees room for the sender, for which Linux wakes whoever sleeps in a call on the socket, and poll()
 * only if it asked for that (docs/performance.md, "Where a request's time goes").
 * @return 1; 0 when TSGI_FIRST_WAIT_MS are over; or −errno
 */
static int wait_readable(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    int rc;
    do {
        rc = poll(&readable, 1, TSGI_FIRST_WAIT_MS);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : rc;
}

long tsgi_connection_fill(tsgi_connection_t *connection, int wait)
{
    if (connection->in_at == connection->in_end) {
        connection->in_at = connection->in_end = 0;
    }
    if (connection->in_end == connection->in_size &&
        !buffer_make_room(connection, connection->in_size)) {
        return -ENOMEM;
    }
    if (connection->in_end == connection->in_size) {
        return -ENOBUFS; /* nobody consumes; tsgi_connection_frame() grows the buffer */
    }
    if (wait) {
        const int rc = wait_readable(connection->fd);
        if (rc <= 0) {
            return rc == 0 ? -EAGAIN : rc;
        }
    }
    ssize_t n;
    do {
        n = recv(connection->fd, connection->in + connection->in_end,
                 connection->in_size - connection->in_end, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    connection->in_end += (size_t)n;
    return (long)n;
}

long tsgi_connection_read(tsgi_connection_t *connection, char *data, size_t size)
{
    struct iovec parts[2] = {{data, size}, {connection->in, connection->in_size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;
    do {
        n = recvmsg(connection->fd, &message, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    connection->in_at = 0;
    connection->in_end = (size_t)n > size ? (size_t)n - size : 0;
    return (long)((size_t)n - connection->in_end);
}

int tsgi_connection_frame(tsgi_connection_t *connection, tsgi_frame_t *frame,
                          const uint8_t **payload)
{
    const uint8_t *p = connection->in + connection->in_at;
    const size_t buffered = tsgi_connection_buffered(connection);
    *payload = NULL;
    const int rc = tsgi_frame_decode(p, buffered, TSGI_FROM_WORKER, frame);
    if (rc <= 0 || frame->type == TSGI_T_DATA) {
        return rc;
    }
    const size_t whole = TSGI_FRAME_HEADER + (size_t)frame->length;
    if (buffered < whole) {
        /* The codec has checked length against the type's limit: at most 256 KiB. */
        if (connection->in_size - connection->in_at < whole &&
            !buffer_make_room(connection, whole)) {
            return TSGI_E_SPACE;
        }
        return 0;
    }
    *payload = p + TSGI_FRAME_HEADER;
    return 1;
}

void tsgi_connection_consume(tsgi_connection_t *connection, size_t n)
{
    connection->in_at += n;
    if (connection->in_at >= connection->in_end) {
        connection->in_at = connection->in_end = 0;
    }
}

void tsgi_connection_trim(tsgi_connection_t *connection)
{
    free(connection->out);
    connection->out = NULL;
    connection->out_size = 0;
    if (connection->in_size <= TRIMMED_SIZE ||
        tsgi_connection_buffered(connection) > TRIMMED_SIZE) {
        return;
    }
    (void)buffer_make_room(connection, 0); /* to the front */
    uint8_t *smaller = realloc(connection->in, TRIMMED_SIZE);
    if (smaller != NULL) {
        connection->in = smaller;
        connection->in_size = TRIMMED_SIZE;
    }
}

/* ---- sending ------------------------------------------------------------------------ */

int tsgi_connection_reserve(tsgi_connection_t *connection, size_t size)
{
    if (size <= connection->out_size) {
        return 1;
    }
    uint8_t *larger = realloc(connection->out, size);
    if (larger == NULL) {
        return 0;
    }
    connection->out = larger;
    connection->out_size = size;
    return 1;
}

static void parts_advance(struct iovec *parts, int nparts, size_t n)
{
    for (int i = 0; i < nparts && n > 0; i++) {
        const size_t step = n < parts[i].iov_len ? n : parts[i].iov_len;
        if (step > 0) {
            parts[i].iov_base = (char *)parts[i].iov_base + step;
            parts[i].iov_len -= step;
            n -= step;
        }
    }
}

/* Never waits. @return bytes written, by which the parts have moved on, or −errno. */
static long send_message(tsgi_connection_t *connection, struct msghdr *message)
{
    ssize_t n;
    do {
        n = sendmsg(connection->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    parts_advance(message->msg_iov, (int)message->msg_iovlen, (size_t)n);
    return (long)n;
}

long tsgi_connection_send(tsgi_connection_t *connection, struct iovec *parts, int nparts)
{
    while (nparts > 0 && parts->iov_len == 0) {
        parts++;
        nparts--;
    }
    while (nparts > 0 && parts[nparts - 1].iov_len == 0) {
        nparts--;
    }
    if (nparts == 0) {
        return 0;
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)nparts};
    return send_message(connection, &message);
}

long tsgi_connection_pass(tsgi_connection_t *connection, struct iovec *parts, int nparts,
                          int fd)
{
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = (size_t)nparts,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};

    memset(&control, 0, sizeof(control));
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
    return send_message(connection, &message);
}

long tsgi_connection_splice(tsgi_connection_t *connection, int pipe_end, size_t n)
{
    ssize_t sent;
    do {
        sent = splice(pipe_end, NULL, connection->fd, NULL, n, SPLICE_F_NONBLOCK);
    } while (sent < 0 && errno == EINTR);
    return sent > 0 ? (long)sent : sent == 0 ? -EPIPE : -errno;
}

/* ---- greeting ----------------------------------------------------------------------- */

static tsgi_greeting_t check_hello(tsgi_connection_t *connection, const uint8_t *payload,
                                   size_t n, const unsigned char *generation,
                                   const char **why)
{
    tsgi_hello_t hello;
    const int rc = tsgi_hello_decode(payload, n, &hello);
    if (rc != 0) {
        *why = tsgi_wire_strerror(rc);
        return TSGI_GREETING_WRONG;
    }
    if (!tsgi_version_accepted(hello.major, hello.minor)) {
        *why = "HELLO of a version of the wire that this module does not speak";
        return TSGI_GREETING_WRONG;
    }
    if (memcmp(hello.generation, generation, TSGI_GENERATION_SIZE) != 0) {
        *why = "HELLO of another generation of the group";
        return TSGI_GREETING_WRONG;
    }
    connection->pid = hello.pid;
    connection->minor = hello.minor;
    connection->is_greeted = 1;
    return TSGI_GREETING_HELLO;
}

tsgi_greeting_t tsgi_connection_greet(tsgi_connection_t *connection,
                                      const unsigned char *generation,
                                      tsgi_unavailable_t *unavailable, const char **why)
{
    tsgi_frame_t frame;
    const uint8_t *payload;
    tsgi_greeting_t greeting;

    const long n = tsgi_connection_fill(connection, 0);
    if (n <= 0 && n != -EAGAIN) {
        return TSGI_GREETING_CLOSED;
    }
    int rc = tsgi_connection_frame(connection, &frame, &payload);
    if (rc == 0) {
        return TSGI_GREETING_NONE;
    }
    if (rc < 0) {
        *why = tsgi_wire_strerror(rc);
        return TSGI_GREETING_WRONG;
    }
    switch (frame.type) {
    case TSGI_T_HELLO:
        greeting = check_hello(connection, payload, frame.length, generation, why);
        break;
    case TSGI_T_UNAVAILABLE:
        rc = tsgi_unavailable_decode(payload, frame.length, unavailable);
        *why = tsgi_wire_strerror(rc);
        return rc == 0 ? TSGI_GREETING_UNAVAILABLE : TSGI_GREETING_WRONG;
    default:
        *why = "the first frame is neither HELLO nor UNAVAILABLE";
        return TSGI_GREETING_WRONG;
    }
    tsgi_connection_consume(connection, TSGI_FRAME_HEADER + (size_t)frame.length);
    if (greeting == TSGI_GREETING_HELLO && tsgi_connection_buffered(connection) > 0) {
        return TSGI_GREETING_CLOSED; /* GOAWAY, or what nobody has asked for */
    }
    return greeting;
}
