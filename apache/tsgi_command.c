/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_command.h"
#include "tsgi_clock.h"
#include "tsgi_slot.h"

#include "apr_strings.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Between two tries while the socket is full, in ms. */
#define RETRY_AFTER 20
/* Room for all messages of a start, so that the parent needn't wait until node has booted. */
#define SEND_BUFFER (4 * 1024 * 1024)

void tsgi_message_begin(tsgi_message_t *message, apr_pool_t *pool, const char *verb)
{
    memset(message, 0, sizeof(*message));
    message->pool = pool;
    message->size = 512;
    message->data = apr_palloc(pool, message->size);
    tsgi_message_add(message, verb);
}

void tsgi_message_add(tsgi_message_t *message, const char *field)
{
    apr_size_t length = strlen(field) + 1;
    if (message->too_long || length > TSGI_COMMAND_MAX - message->length) {
        message->too_long = 1;
        return;
    }
    if (length > message->size - message->length) {
        apr_size_t size = message->size;
        char *data;
        while (size < message->length + length) {
            size *= 2;
        }
        data = apr_palloc(message->pool, size);
        memcpy(data, message->data, message->length);
        message->data = data;
        message->size = size;
    }
    memcpy(message->data + message->length, field, length);
    message->length += length;
}

void tsgi_message_add_pair(tsgi_message_t *message, const char *key, const char *value)
{
    if (value != NULL) {
        tsgi_message_add(message, apr_pstrcat(message->pool, key, "=", value, NULL));
    }
}

void tsgi_message_add_number(tsgi_message_t *message, const char *key, apr_int64_t value)
{
    tsgi_message_add(message,
                     apr_psprintf(message->pool, "%s=%" APR_INT64_T_FMT, key, value));
}

apr_status_t tsgi_command_open(int *parent_fd, int *child_fd)
{
    int ends[2];
    int size = SEND_BUFFER;
    int flags;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return errno;
    }
    flags = fcntl(ends[0], F_GETFL);
    if (flags < 0 || fcntl(ends[0], F_SETFL, flags | O_NONBLOCK) != 0 ||
        shutdown(ends[0], SHUT_RD) != 0) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    /* Best effort: not root, the kernel gives less (net.core.wmem_max). */
    if (setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0) {
        (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
    *parent_fd = ends[0];
    *child_fd = ends[1];
    return APR_SUCCESS;
}

/* These pass: the supervisor reads, and takes descriptors out of flight. */
static int is_passing(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS ||
           error == ETOOMANYREFS;
}

apr_status_t tsgi_command_send(int fd, const tsgi_message_t *message, const int *fds,
                               int nfds, apr_time_t deadline)
{
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof(int) * TSGI_SLOTS_MAX)];
    } control;
    struct iovec data = {.iov_base = message->data, .iov_len = message->length};
    struct msghdr header = {.msg_iov = &data, .msg_iovlen = 1};

    if (message->too_long || nfds < 0 || nfds > TSGI_SLOTS_MAX) {
        return APR_ENAMETOOLONG;
    }
    if (nfds > 0) {
        struct cmsghdr *rights;
        memset(&control, 0, sizeof(control));
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)nfds);
        rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)nfds);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * (size_t)nfds);
    }
    for (;;) {
        if (sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
            return APR_SUCCESS;
        }
        if (errno == EINTR) {
            continue;
        }
        if (!is_passing(errno)) {
            return errno;
        }
        if (tsgi_clock_now() >= deadline) {
            return APR_EAGAIN;
        }
        (void)poll(NULL, 0, RETRY_AFTER);
    }
}
