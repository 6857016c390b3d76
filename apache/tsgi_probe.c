/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_probe.h"
#include "tsgi_clock.h"
#include "tsgi_identity.h"

#include "apr_lib.h"
#include "apr_strings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Launchers that choose among versions answer for the one that they start. */
#define ABOUT_ITSELF "`${process.version} ${process.pid} ${process.execPath}`"

/* Fds of the child; the report closes itself when node is executed. */
#define REPORT_FD 3
#define FIRST_FREE_FD 10

typedef enum {
    GOOD,
    ERROR, /* stat() or open(): detail = errno */
    NOT_REGULAR,
    NOT_DIRECTORY,
    NO_ENTRY,
    FOREIGN, /* detail = uid of the owner */
    WORLD_WRITABLE,
    NOT_ASSUMED,  /* detail = step of tsgi_identity_assume() */
    NOT_EXECUTED, /* execve() of node: detail = errno */
    NOT_PREPARED  /* any other call before that: detail = errno */
} finding_t;

/* What the child tells about an item, or (item −1) about itself. */
typedef struct {
    int item;
    finding_t finding;
    int detail;
} report_t;

/* What the child needs; made before the fork, since nothing may be allocated after it. */
typedef struct {
    const tsgi_identity_t *identity;
    const char *node;
    const apr_array_header_t *items;
    char *argv[4];
    char *envp[4];
    pid_t parent;
    int report, out, err;
} child_t;

/* ---- child side: no malloc, no log -------------------------------------------------- */

static void report(int item, finding_t finding, int detail)
{
    report_t one = {item, finding, detail};
    /* Far below PIPE_BUF, so it is written whole or, when the parent is gone, not at all. */
    if (write(REPORT_FD, &one, sizeof(one)) != (ssize_t)sizeof(one)) {
        _exit(2);
    }
}

static void close_others(void)
{
    if (syscall(SYS_close_range, REPORT_FD + 1U, ~0U, 0U) == 0) {
        return;
    }
    long open_max = sysconf(_SC_OPEN_MAX);
    for (int fd = REPORT_FD + 1; fd < (open_max < 0 ? 65536 : open_max); fd++) {
        close(fd);
    }
}

static void prepare_child(const child_t *child)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++) {
        sigaction(number, &standard, NULL); /* fails for KILL and STOP only */
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    if (dup3(child->report, REPORT_FD, O_CLOEXEC) < 0) {
        _exit(2);
    }
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(child->out, 1) < 0 ||
        dup2(child->err, 2) < 0) {
        report(-1, NOT_PREPARED, errno);
        _exit(2);
    }
    close_others();
    int step = tsgi_identity_assume(child->identity);
    if (step != TSGI_IDENTITY_OK) {
        report(-1, NOT_ASSUMED, step);
        _exit(2);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || chdir("/") != 0) {
        report(-1, NOT_PREPARED, errno);
        _exit(2);
    }
    if (getppid() != child->parent) {
        _exit(2);
    }
}

static void look_at_directory(int index, const char *path)
{
    struct stat info;
    int found = stat(path, &info) == 0;
    if (found && !S_ISDIR(info.st_mode)) {
        report(index, NOT_DIRECTORY, 0);
    }
    else if (!found || access(path, X_OK) != 0) {
        report(index, ERROR, errno);
    }
}

/* A directory stands for the package in it; which file that leads to is for node to find. */
static void look_at_package(int index, const char *path)
{
    static const char *const names[] = {"package.json", "index.js", "index.ts"};
    int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = directory < 0 ? errno : ENOENT;
    int found = 0;
    for (size_t i = 0; directory >= 0 && !found && i < sizeof(names) / sizeof(names[0]);
         i++) {
        found = faccessat(directory, names[i], R_OK, 0) == 0;
        if (!found && errno != ENOENT) {
            error = errno;
        }
    }
    if (directory >= 0) {
        close(directory);
    }
    if (!found) {
        report(index, directory >= 0 && error == ENOENT ? NO_ENTRY : ERROR, error);
    }
}

static void look_at_file(int index, const tsgi_probe_item_t *item, uid_t uid)
{
    const char *path = item->path;
    struct stat info;
    if (stat(path, &info) != 0) {
        report(index, ERROR, errno);
        return;
    }
    if (S_ISDIR(info.st_mode) && item->kind == TSGI_PROBE_SCRIPT) {
        look_at_package(index, path);
        return;
    }
    if (!S_ISREG(
            info.st_mode)) { /* before open(): to open a fifo or a device has effects */
        report(index, NOT_REGULAR, 0);
        return;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &info) != 0) {
        report(index, ERROR, errno);
    }
    else if (!S_ISREG(info.st_mode)) {
        report(index, NOT_REGULAR, 0);
    }
    else if (info.st_uid != 0 && info.st_uid != uid) {
        report(index, FOREIGN, (int)info.st_uid);
    }
    else if (info.st_mode & S_IWOTH) {
        report(index, WORLD_WRITABLE, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void run_child(const child_t *child)
{
    prepare_child(child);
    for (int i = 0; i < child->items->nelts; i++) {
        const tsgi_probe_item_t *item =
            APR_ARRAY_IDX(child->items, i, tsgi_probe_item_t *);
        if (item->kind == TSGI_PROBE_DIRECTORY) {
            look_at_directory(i, item->path);
        }
        else {
            look_at_file(i, item, child->identity->uid);
        }
    }
    if (child->node == NULL) {
        _exit(0);
    }
    execve(child->node, child->argv, child->envp);
    report(-1, NOT_EXECUTED, errno);
    _exit(2);
}

/* ---- parent side: reading ----------------------------------------------------------- */

typedef struct {
    int fd; /* −1 when all is read */
    char *data;
    apr_size_t size, length;
} stream_t;

enum { REPORTS, OUTPUT, ERRORS, STREAMS };

static void stream_close(stream_t *stream)
{
    if (stream->fd >= 0) {
        close(stream->fd);
        stream->fd = -1;
    }
}

/* More than there is room for cannot be an answer that we want: the rest is not read. */
static void stream_read(stream_t *stream)
{
    ssize_t n =
        read(stream->fd, stream->data + stream->length, stream->size - stream->length);
    if (n < 0 && errno == EINTR) {
        return;
    }
    if (n > 0) {
        stream->length += (apr_size_t)n;
    }
    if (n <= 0 || stream->length == stream->size) {
        stream_close(stream);
    }
}

static int milliseconds_until(apr_time_t deadline)
{
    apr_time_t left = deadline - tsgi_clock_now();
    return left > 0 ? (int)(left / 1000) + 1 : 0;
}

/* Until all streams have ended. @return 0 when the deadline came first */
static int read_all(stream_t *streams, apr_time_t deadline)
{
    for (;;) {
        struct pollfd fds[STREAMS];
        int open_streams = 0;
        for (int i = 0; i < STREAMS; i++) {
            fds[i] = (struct pollfd){.fd = streams[i].fd, .events = POLLIN};
            open_streams += streams[i].fd >= 0;
        }
        if (open_streams == 0) {
            return 1;
        }
        int timeout = milliseconds_until(deadline);
        if (timeout == 0) {
            return 0;
        }
        if (poll(fds, STREAMS, timeout) < 0 && errno != EINTR) {
            return 0;
        }
        for (int i = 0; i < STREAMS; i++) {
            if (fds[i].fd >= 0 && fds[i].revents != 0) {
                stream_read(&streams[i]);
            }
        }
    }
}

/* Ends all that the child has started, before its pid can be anybody else's. */
static int reap(pid_t pid, apr_time_t deadline, int *status)
{
    siginfo_t info = {.si_pid = 0};
    int ended = 0;
    while (!ended && milliseconds_until(deadline) > 0) {
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 &&
            errno != EINTR) {
            break;
        }
        ended = info.si_pid == pid;
        if (!ended) {
            apr_sleep(2000);
        }
    }
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    while (waitpid(pid, status, 0) < 0) {
        if (errno != EINTR) {
            return 0;
        }
    }
    return ended;
}

/* ---- parent side: sentences --------------------------------------------------------- */

static const char *describe_error(apr_pool_t *p, const tsgi_probe_item_t *item, int error,
                                  const tsgi_identity_t *identity)
{
    char text[128];
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return apr_psprintf(p, "there is no such %s; correct the path or put it there",
                            item->kind == TSGI_PROBE_DIRECTORY ? "directory" : "file");
    case EACCES:
        return apr_psprintf(
            p,
            "user %s may not %s it; change the owner or mode of it or of the "
            "directories above it (`namei -l %s` shows them)",
            identity->name, item->kind == TSGI_PROBE_DIRECTORY ? "enter" : "read",
            item->path);
    default:
        return apr_psprintf(p, "it cannot be opened: %s",
                            apr_strerror(error, text, sizeof(text)));
    }
}

static const char *describe(apr_pool_t *p, const tsgi_probe_item_t *item,
                            const report_t *found, const tsgi_identity_t *identity)
{
    switch (found->finding) {
    case ERROR:
        return describe_error(p, item, found->detail, identity);
    case NOT_REGULAR:
        return "expected a regular file, but it is none";
    case NOT_DIRECTORY:
        return "expected a directory, but it is none";
    case NO_ENTRY:
        return "expected a regular file, or a directory with a package.json or an "
               "index.js; "
               "it is a directory without them: name the file itself";
    case FOREIGN:
        return apr_psprintf(
            p,
            "it belongs to uid %d, who could so run code as user %s; expected root "
            "or %s to own it: change the owner, or run the group as that user",
            found->detail, identity->name, identity->name);
    case WORLD_WRITABLE:
        return "it is world-writable; expected a file that only its owner (and group) "
               "may "
               "write: chmod o-w";
    default:
        return NULL;
    }
}

static const char *describe_exec(apr_pool_t *p, const char *node, int error,
                                 const tsgi_identity_t *identity)
{
    char text[128];
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return apr_psprintf(
            p,
            "there is no %s; install Node.js %d.%d or newer, or name its binary "
            "with TSGINode or node=",
            node, TSGI_PROBE_NODE_MAJOR, TSGI_PROBE_NODE_MINOR);
    case EACCES:
        return apr_psprintf(
            p,
            "user %s may not execute %s; use a node that this user may execute, "
            "or change the mode of it or of the directories above it",
            identity->name, node);
    default:
        return apr_psprintf(p, "%s cannot be executed: %s", node,
                            apr_strerror(error, text, sizeof(text)));
    }
}

/* What node says of itself, see ABOUT_ITSELF. */
typedef struct {
    long major, minor;
    const char *version;
    pid_t pid;        /* 0 if it did not say it */
    const char *path; /* of the binary that really runs */
} answer_t;

/* "v22.3.0", and nothing behind the last number. */
static int parse_version(const char *text, answer_t *answer)
{
    long numbers[3];
    answer->version = text;
    if (*text++ != 'v') {
        return 0;
    }
    for (int i = 0; i < 3; i++) {
        char *end;
        if (!apr_isdigit(*text)) {
            return 0;
        }
        numbers[i] = strtol(text, &end, 10);
        if (i < 2 && *end != '.') {
            return 0;
        }
        text = i < 2 ? end + 1 : end;
    }
    answer->major = numbers[0];
    answer->minor = numbers[1];
    return *text == '\0';
}

/* The version, its pid and its path, separated by blanks. Old ones, and what is none, say less. */
static int parse_answer(char *text, answer_t *answer)
{
    char *last = NULL;
    const char *version = apr_strtok(text, " ", &last);
    const char *pid = apr_strtok(NULL, " ", &last);
    answer->pid = pid != NULL ? (pid_t)apr_atoi64(pid) : 0;
    answer->path = last != NULL ? last : "";
    return version != NULL && parse_version(version, answer);
}

static const char *text_of(apr_pool_t *p, const stream_t *stream)
{
    apr_size_t length = stream->length;
    while (length > 0 && apr_isspace(stream->data[length - 1])) {
        length--;
    }
    return ap_escape_logitem(p, apr_pstrmemdup(p, stream->data, length));
}

static const char *describe_silence(apr_pool_t *p, const char *node,
                                    const stream_t *streams, int status)
{
    return apr_psprintf(p,
                        "expected %s to answer with a version such as v22.12.0, "
                        "but it %s %d after \"%s%s%s\"; name the binary of Node.js with "
                        "TSGINode or node=",
                        node, WIFEXITED(status) ? "exited with status" : "died of signal",
                        WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
                        text_of(p, &streams[OUTPUT]),
                        streams[ERRORS].length > 0 ? " " : "",
                        text_of(p, &streams[ERRORS]));
}

static const char *describe_node(apr_pool_t *p, const char *node, pid_t pid,
                                 const stream_t *streams, int ended, int status)
{
    answer_t answer;
    if (!ended) {
        return apr_psprintf(p,
                            "%s did not tell its version within %d seconds; expected the "
                            "binary of Node.js",
                            node, TSGI_PROBE_SECONDS);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 ||
        !parse_answer(apr_pstrdup(p, text_of(p, &streams[OUTPUT])), &answer)) {
        return describe_silence(p, node, streams, status);
    }
    if (answer.major < TSGI_PROBE_NODE_MAJOR ||
        (answer.major == TSGI_PROBE_NODE_MAJOR && answer.minor < TSGI_PROBE_NODE_MINOR)) {
        return apr_psprintf(
            p,
            "%s is %s, but v%d.%d.0 or newer is needed; install a newer Node.js "
            "and name its binary with TSGINode or node=",
            node, answer.version, TSGI_PROBE_NODE_MAJOR, TSGI_PROBE_NODE_MINOR);
    }
    if (answer.pid != pid) {
        return apr_psprintf(
            p,
            "%s is not Node.js itself but starts it as another process, so workers "
            "could be neither watched nor stopped; name the binary%s%s with TSGINode or "
            "node=",
            node, answer.path[0] != '\0' ? " " : "", answer.path);
    }
    return NULL;
}

/* ---- the probe ---------------------------------------------------------------------- */

/* A pipe whose ends do not collide with the fds that the child arranges. */
static int make_pipe(int *fds)
{
    int low[2];
    if (pipe2(low, O_CLOEXEC) != 0) {
        return 0;
    }
    fds[0] = fcntl(low[0], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    fds[1] = fcntl(low[1], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    close(low[0]);
    close(low[1]);
    return fds[0] >= 0 && fds[1] >= 0;
}

static void close_ends(int fds[STREAMS][2], int end)
{
    for (int i = 0; i < STREAMS; i++) {
        if (fds[i][end] >= 0) {
            close(fds[i][end]);
            fds[i][end] = -1;
        }
    }
}

static void fill_child(apr_pool_t *p, child_t *child, int fds[STREAMS][2])
{
    child->argv[0] = apr_pstrdup(p, child->node != NULL ? child->node : "");
    child->argv[1] = apr_pstrdup(p, "-p");
    child->argv[2] = apr_pstrdup(p, ABOUT_ITSELF);
    child->envp[0] = apr_pstrdup(p, "PATH=/usr/local/bin:/usr/bin:/bin");
    child->envp[1] = apr_pstrcat(p, "HOME=", child->identity->home, NULL);
    child->envp[2] = apr_pstrdup(p, "LANG=C.UTF-8");
    child->parent = getpid();
    child->report = fds[REPORTS][1];
    child->out = fds[OUTPUT][1];
    child->err = fds[ERRORS][1];
}

/* @return NULL or why nothing is known, as tsgi_probe_run() */
static const char *take_reports(apr_pool_t *p, const child_t *child,
                                const stream_t *stream, const char **node_problem)
{
    char text[128];
    report_t found;
    for (apr_size_t at = 0; at + sizeof(found) <= stream->length; at += sizeof(found)) {
        memcpy(&found, stream->data + at, sizeof(found));
        if (found.item >= 0 && found.item < child->items->nelts) {
            tsgi_probe_item_t *item =
                APR_ARRAY_IDX(child->items, found.item, tsgi_probe_item_t *);
            item->problem = describe(p, item, &found, child->identity);
        }
        else if (found.finding == NOT_EXECUTED) {
            *node_problem = describe_exec(p, child->node, found.detail, child->identity);
        }
        else if (found.finding == NOT_ASSUMED) {
            return apr_psprintf(p, "a process could not become user %s: %s",
                                child->identity->name, tsgi_identity_step(found.detail));
        }
        else {
            return apr_psprintf(p, "a process could not be prepared: %s",
                                apr_strerror(found.detail, text, sizeof(text)));
        }
    }
    return NULL;
}

static const char *watch_child(apr_pool_t *p, const child_t *child, pid_t pid,
                               int fds[STREAMS][2], const char **node_problem)
{
    char output[PATH_MAX + 64], errors[257];
    int status = 0;
    apr_time_t deadline = tsgi_clock_now() + apr_time_from_sec(TSGI_PROBE_SECONDS);
    /* Each item is reported at most once, the child itself once; one more to see the end. */
    apr_size_t room = sizeof(report_t) * (apr_size_t)(child->items->nelts + 2);
    stream_t streams[STREAMS] = {
        {fds[REPORTS][0], apr_palloc(p, room), room, 0},
        {fds[OUTPUT][0], output, sizeof(output), 0},
        {fds[ERRORS][0], errors, sizeof(errors), 0},
    };
    int complete = read_all(streams, deadline);
    for (int i = 0; i < STREAMS; i++) {
        stream_close(&streams[i]);
        fds[i][0] = -1;
    }
    int ended = reap(pid, deadline, &status);
    const char *failure = take_reports(p, child, &streams[REPORTS], node_problem);
    if (failure == NULL && *node_problem == NULL && child->node != NULL) {
        *node_problem =
            describe_node(p, child->node, pid, streams, complete && ended, status);
    }
    return failure;
}

const char *tsgi_probe_run(apr_pool_t *p, const tsgi_identity_t *identity,
                           const char *node, const apr_array_header_t *items,
                           const char **node_problem)
{
    char text[128];
    const char *failure = NULL;
    int fds[STREAMS][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    child_t child = {.identity = identity, .node = node, .items = items};
    *node_problem = NULL;
    if (!make_pipe(fds[REPORTS]) || !make_pipe(fds[OUTPUT]) || !make_pipe(fds[ERRORS])) {
        failure = apr_psprintf(p, "no pipe could be made: %s",
                               apr_strerror(errno, text, sizeof(text)));
        goto cleanup;
    }
    fill_child(p, &child, fds);
    pid_t pid = fork();
    if (pid < 0) {
        failure = apr_psprintf(p, "no process could be made: %s",
                               apr_strerror(errno, text, sizeof(text)));
        goto cleanup;
    }
    if (pid == 0) {
        run_child(&child);
    }
    close_ends(fds, 1);
    failure = watch_child(p, &child, pid, fds, node_problem);

cleanup:
    close_ends(fds, 0);
    close_ends(fds, 1);
    return failure;
}
