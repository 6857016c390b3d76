/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * Plays the Apache parent for tests of the supervisor: makes the command socket, the log pipe and
 * the listening sockets, starts the supervisor, and passes on what the test says.
 *
 *   parent <node> <supervisor.cjs> <group name>
 *
 * Commands on stdin, one a line, fields separated by 0x1f:
 *   listen <path>             one more listening socket
 *   inquest <path>            the same, of packets
 *   question <path> <hex>     connects there, sends the bytes, waits for the answer
 *   send <field> ...          one packet on the command socket
 *   fds <count> <field> ...   the same, with the newest <count> listening sockets
 *   close                     closes the command socket, as the death of Apache does
 * On stdout: `pid <n>`, `listening <path>`, `answer <text>` (empty if none came), each record of the log pipe as `log <record>`, and at
 * the end of the supervisor `exit <how>`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_LISTENERS 64
#define SEPARATOR '\x1f'

static int listeners[MAX_LISTENERS];
static int listener_count;

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static void add_listener(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || listener_count == MAX_LISTENERS ||
        strlen(path) >= sizeof(address.sun_path)) {
        fail("socket");
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 128) != 0) {
        fail("bind");
    }
    listeners[listener_count++] = fd;
    printf("listening %s\n", path);
    fflush(stdout);
}

/** Asks as an Apache child does; the answer, or its absence, is printed. */
static void put_question(const char *path, const char *hex)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 3};
    unsigned char question[64];
    char answer[1024];
    size_t length = 0;
    ssize_t n;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
        fail("socket");
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    for (; length < sizeof(question) && hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
        const char digits[3] = {hex[0], hex[1], '\0'};
        question[length++] = (unsigned char)strtoul(digits, NULL, 16);
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        (length > 0 && send(fd, question, length, MSG_NOSIGNAL) < 0)) {
        fail("question");
    }
    n = recv(fd, answer, sizeof(answer), 0);
    printf("answer %.*s\n", n > 0 ? (int)n : 0, answer);
    fflush(stdout);
    close(fd);
}

/** Sends fields as one packet, each ended by NUL, with the newest `count` listeners. */
static void send_packet(int command, char *fields, int count)
{
    char control[CMSG_SPACE(sizeof(int) * MAX_LISTENERS)] = {0};
    struct iovec part = {fields, strlen(fields) + 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    for (char *p = fields; *p != '\0'; p++) {
        if (*p == SEPARATOR) {
            *p = '\0';
        }
    }
    if (count > 0 && count <= listener_count) {
        size_t size = sizeof(int) * (size_t)count;
        struct cmsghdr *header;

        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(size);
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(header), listeners + listener_count - count, size);
    }
    if (sendmsg(command, &message, MSG_NOSIGNAL) < 0) {
        perror("sendmsg");
    }
}

static void obey(char *line, int *command)
{
    char *rest = strchr(line, SEPARATOR);
    char *fields;

    if (rest != NULL) {
        *rest++ = '\0';
    }
    if (strcmp(line, "listen") == 0 && rest != NULL) {
        add_listener(rest, SOCK_STREAM);
    }
    else if (strcmp(line, "inquest") == 0 && rest != NULL) {
        add_listener(rest, SOCK_SEQPACKET);
    }
    else if (strcmp(line, "question") == 0 && rest != NULL &&
             (fields = strchr(rest, SEPARATOR)) != NULL) {
        *fields = '\0';
        put_question(rest, fields + 1);
    }
    else if (strcmp(line, "send") == 0 && rest != NULL) {
        send_packet(*command, rest, 0);
    }
    else if (strcmp(line, "fds") == 0 && rest != NULL) {
        int count = (int)strtol(rest, &fields, 10);

        send_packet(*command, fields + 1, count);
    }
    else if (strcmp(line, "close") == 0) {
        close(*command);
        *command = -1;
    }
}

/** Starts the supervisor as apache/ does: fd 3 the command socket, 1, 2 and 4 the log pipe. */
static pid_t start_supervisor(char **argv, int command, int log)
{
    pid_t pid = fork();

    if (pid != 0) {
        return pid;
    }
    if (setsid() < 0 || dup2(open("/dev/null", O_RDWR), 0) < 0 || dup2(log, 1) < 0 ||
        dup2(log, 2) < 0) {
        _exit(120);
    }
    /* Above the targets first, so that no dup2 closes what the next one needs. */
    command = fcntl(command, F_DUPFD, 100);
    log = fcntl(log, F_DUPFD, 100);
    if (dup2(command, 3) < 0 || dup2(log, 4) < 0) {
        _exit(121);
    }
    for (int fd = 5; fd < 256; fd++) {
        close(fd);
    }
    execv(argv[1], (char *[]){argv[1], argv[2], argv[3], NULL});
    _exit(122);
}

static void read_commands(int *command)
{
    static char buffer[128 * 1024];
    static size_t used;
    ssize_t n = read(0, buffer + used, sizeof(buffer) - used - 1);
    char *start = buffer;
    char *newline;

    if (n <= 0) {
        exit(0);
    }
    used += (size_t)n;
    buffer[used] = '\0';
    while ((newline = memchr(start, '\n', used - (size_t)(start - buffer))) != NULL) {
        *newline = '\0';
        obey(start, command);
        start = newline + 1;
    }
    used -= (size_t)(start - buffer);
    memmove(buffer, start, used);
}

static void print_records(int log)
{
    char packet[8192];
    ssize_t n = read(log, packet, sizeof(packet) - 1);

    if (n <= 0) {
        return;
    }
    packet[n] = '\0';
    for (char *line = strtok(packet, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        printf("log %s\n", line);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int commands[2], log[2], status = 0;
    pid_t pid;

    if (argc != 4 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, commands) != 0 ||
        pipe2(log, O_DIRECT | O_NONBLOCK | O_CLOEXEC) != 0) {
        fail("start");
    }
    pid = start_supervisor(argv, commands[1], log[1]);
    close(commands[1]);
    close(log[1]);
    printf("pid %d\n", (int)pid);
    fflush(stdout);
    for (;;) {
        struct pollfd fds[2] = {{.fd = 0, .events = POLLIN},
                                {.fd = log[0], .events = POLLIN}};

        if (poll(fds, 2, 50) < 0 && errno != EINTR) {
            fail("poll");
        }
        if (fds[1].revents & POLLIN) {
            print_records(log[0]);
        }
        if (fds[0].revents != 0) {
            read_commands(&commands[0]);
        }
        if (pid > 0 && waitpid(pid, &status, WNOHANG) == pid) {
            while (poll(&fds[1], 1, 0) > 0 && (fds[1].revents & POLLIN)) {
                print_records(log[0]);
            }
            printf("exit %s %d\n", WIFEXITED(status) ? "status" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
            fflush(stdout);
            pid = -1;
        }
    }
}
