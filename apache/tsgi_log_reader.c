/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_log_reader.h"
#include "tsgi_identity.h"
#include "tsgi_process.h"
#include "tsgi_spawn.h"
#include "tsgi_supervisor.h"
#include "tsgi_syslog.h"
#include "tsgi_title.h"

#include "apr_portable.h"
#include "apr_strings.h"
#include "unixd.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Packets of one pipe before it is the others' turn. */
#define PACKETS_AT_ONCE 32
/* How long after SIGTERM, in ms: for what is in the pipes, and for workers that outlive httpd. */
#define EMPTY_TIME 1000
#define ORPHAN_TIME 4000
/* If a log cannot be written (a piped logger that is stuck), SIGALRM ends the process. */
#define STUCK_SECONDS 8

/* One pipe, and the line that is being put together from its records. */
typedef struct {
    const char *group;
    server_rec *server;
    char pid[24];
    const char *source;
    int level;
    apr_size_t length; /* of line; 0 = nothing pending */
    char *line;        /* TSGI_LOG_LINE bytes */
} pipe_t;

typedef struct {
    int n;
    pipe_t *pipes;
    struct pollfd *polled; /* fd −1: its writers have gone */
} reader_t;

static volatile sig_atomic_t told_to_end;

static void on_term(int number)
{
    told_to_end = number;
    alarm(STUCK_SECONDS);
}

/* ---- records ------------------------------------------------------------------------------ */

static apr_size_t digits(const char *text, apr_size_t length)
{
    apr_size_t n = 0;
    while (n < length && n < 10 && text[n] >= '0' && text[n] <= '9') {
        n++;
    }
    return n;
}

/* What each source is logged as; host lines carry their own level. */
static const char *source_find(const char *text, apr_size_t length, int *level)
{
    static const struct {
        const char *name;
        int level;
    } sources[] = {{"out", APLOG_NOTICE}, {"err", APLOG_WARNING}, {"host", -1}};
    for (apr_size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (strlen(sources[i].name) == length &&
            memcmp(sources[i].name, text, length) == 0) {
            if (sources[i].level >= 0) {
                *level = sources[i].level;
            }
            return sources[i].name;
        }
    }
    return NULL;
}

void tsgi_log_parse(const char *line, apr_size_t length, tsgi_log_record_t *record)
{
    const char *end = line + length;
    const char *source_end;
    apr_size_t n;

    record->level = APLOG_ERR;
    record->pid = "";
    record->pid_length = 0;
    record->source = "raw";
    record->text = line;
    record->length = length;
    record->continued = 0;

    if (length < 4 || line[0] < '0' || line[0] > '7' || line[1] != ' ') {
        return;
    }
    n = digits(line + 2, length - 2);
    if (n == 0 || (apr_size_t)(end - line) < 2 + n + 1 || line[2 + n] != ' ') {
        return;
    }
    source_end = memchr(line + 3 + n, ' ', (apr_size_t)(end - (line + 3 + n)));
    if (source_end != NULL) {
        int level = line[0] - '0';
        const char *source =
            source_find(line + 3 + n, (apr_size_t)(source_end - (line + 3 + n)), &level);
        if (source != NULL) {
            /* An app is no emergency of the server: syslog would tell every terminal. */
            record->level = level < APLOG_CRIT ? APLOG_CRIT : level;
            record->pid = line + 2;
            record->pid_length = (int)n;
            record->source = source;
            record->text = source_end + 1;
            record->length = (apr_size_t)(end - record->text);
            if (record->length > 0 && end[-1] == '\\') {
                record->length--;
                record->continued = 1;
            }
        }
    }
}

/* Control characters are escaped by ap_log_error() itself; only NUL would end the line for it. */
static void line_write(pipe_t *from)
{
    for (apr_size_t i = 0; i < from->length; i++) {
        if (from->line[i] == '\0') {
            from->line[i] = '?';
        }
    }
    ap_log_error(APLOG_MARK, from->level, 0, from->server, "[%s%s%s %s] %.*s",
                 from->group, from->pid[0] == '\0' ? "" : " ", from->pid, from->source,
                 (int)from->length, from->line);
    from->length = 0;
}

static void record_take(pipe_t *from, const tsgi_log_record_t *record)
{
    apr_size_t room;
    if (from->length > 0 &&
        (record->source != from->source || record->pid_length != (int)strlen(from->pid) ||
         memcmp(record->pid, from->pid, (apr_size_t)record->pid_length) != 0)) {
        line_write(from); /* Somebody else's: the rest of the pending line comes apart. */
    }
    if (from->length == 0) {
        apr_cpystrn(from->pid, record->pid, (apr_size_t)record->pid_length + 1);
        from->source = record->source;
        from->level = record->level;
    }
    room = TSGI_LOG_LINE - from->length;
    if (record->length > 0) {
        apr_size_t n = record->length < room ? record->length : room;
        memcpy(from->line + from->length, record->text, n);
        from->length += n;
    }
    if (!record->continued && from->length > 0) {
        line_write(from);
    }
}

static void packet_take(pipe_t *from, const char *packet, apr_size_t length)
{
    const char *end = packet + length;
    while (packet < end) {
        const char *stop = memchr(packet, '\n', (apr_size_t)(end - packet));
        tsgi_log_record_t record;
        if (stop == NULL) {
            stop = end;
        }
        if (stop > packet) {
            tsgi_log_parse(packet, (apr_size_t)(stop - packet), &record);
            record_take(from, &record);
        }
        packet = stop + 1;
    }
}

/* ---- reading ------------------------------------------------------------------------------- */

/* @return 1 if there may be more at once. */
static int pipe_read(pipe_t *from, struct pollfd *polled)
{
    char packet[TSGI_LOG_PACKET];
    for (int i = 0; i < PACKETS_AT_ONCE; i++) {
        ssize_t n = read(polled->fd, packet, sizeof(packet));
        if (n > 0) {
            packet_take(from, packet, (apr_size_t)n);
        }
        else if (n == 0) {
            close(polled->fd);
            polled->fd = -1; /* poll(2) leaves it out. */
            return 0;
        }
        else if (errno != EINTR) {
            return 0;
        }
    }
    return 1;
}

static int all_closed(const reader_t *reader)
{
    for (int i = 0; i < reader->n; i++) {
        if (reader->polled[i].fd >= 0) {
            return 0;
        }
    }
    return 1;
}

/* One turn: waits at most timeout (NULL = until something comes). @return 1 if something was read. */
static int turn(reader_t *reader, const struct timespec *timeout)
{
    sigset_t open_mask;
    int ready;
    sigemptyset(&open_mask);
    ready = ppoll(reader->polled, (nfds_t)reader->n, timeout, &open_mask);
    if (ready <= 0) {
        return 0;
    }
    for (int i = 0; i < reader->n; i++) {
        if (reader->polled[i].fd >= 0 && reader->polled[i].revents != 0) {
            (void)pipe_read(&reader->pipes[i], &reader->polled[i]);
        }
    }
    return 1;
}

/* After SIGTERM. httpd's parent holds the pipes open, so empty means nothing there to read. */
static void finish(reader_t *reader, pid_t parent)
{
    static const struct timespec at_once = {0, 0};
    static const struct timespec soon = {0, 50000000};
    apr_time_t begun = tsgi_clock_now();
    for (;;) {
        int orphan = getppid() != parent;
        apr_time_t limit = apr_time_from_msec(orphan ? ORPHAN_TIME : EMPTY_TIME);
        int some = turn(reader, orphan ? &soon : &at_once);
        if (tsgi_clock_now() - begun > limit || (!orphan && !some) ||
            (orphan && all_closed(reader))) {
            break;
        }
    }
    for (int i = 0; i < reader->n; i++) {
        if (reader->pipes[i].length > 0) {
            line_write(&reader->pipes[i]);
        }
    }
}

/* ---- becoming `tsgi: log` -------------------------------------------------------------------- */

static int is_kept(const reader_t *reader, server_rec *main_server, int fd)
{
    int type = 0;
    int domain = 0;
    socklen_t size = sizeof(int);
    if (fd <= STDERR_FILENO) {
        return 1;
    }
    for (int i = 0; i < reader->n; i++) {
        if (reader->polled[i].fd == fd) {
            return 1;
        }
    }
    for (server_rec *s = main_server; s != NULL; s = s->next) {
        apr_os_file_t log_fd;
        if (s->error_log != NULL &&
            apr_os_file_get(&log_fd, s->error_log) == APR_SUCCESS && log_fd == fd) {
            return 1;
        }
    }
    /* The sockets of syslog(3) and of the journal: libc and log providers keep their numbers. */
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
           domain == AF_UNIX && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
           type == SOCK_DGRAM;
}

/*
 * Everything that this process has no use for: httpd's listeners, other logs, and the pipes' write
 * ends (only without them does EOF tell that all writers have gone). A list of what is open first,
 * since the directory is itself one of them.
 */
static void close_others(const reader_t *reader, server_rec *s, apr_pool_t *p)
{
    apr_array_header_t *open_fds = apr_array_make(p, 64, sizeof(int));
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    if (directory == NULL) {
        for (int fd = 0; fd < 4096; fd++) {
            APR_ARRAY_PUSH(open_fds, int) = fd;
        }
    }
    else {
        while ((entry = readdir(directory)) != NULL) {
            if (entry->d_name[0] != '.') {
                APR_ARRAY_PUSH(open_fds, int) = (int)strtol(entry->d_name, NULL, 10);
            }
        }
        closedir(directory);
    }
    for (int i = 0; i < open_fds->nelts; i++) {
        int fd = APR_ARRAY_IDX(open_fds, i, int);
        if (!is_kept(reader, s, fd)) {
            close(fd);
        }
    }
}

/* Root has no business with what apps write. @return 0, or −1 after a message. */
static int drop_privileges(server_rec *s, pid_t parent)
{
    tsgi_identity_t identity = {.uid = ap_unixd_config.user_id,
                                .gid = ap_unixd_config.group_id};
    int step;
    if (geteuid() != 0 || identity.uid == 0) {
        return 0; /* An Apache built to run as root, with User root. */
    }
    step = tsgi_identity_assume(&identity);
    if (step != TSGI_IDENTITY_OK) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, s,
                     TSGI_LOGNO(0072) "the log process cannot become Apache's User (uid "
                                      "%ld, gid %ld): %s; set "
                                      "User and Group to an ordinary account",
                     (long)identity.uid, (long)identity.gid, tsgi_identity_step(step));
        return -1;
    }
    return tsgi_spawn_die_with_parent(SIGTERM, parent);
}

static void pipes_collect(reader_t *reader, const tsgi_process_t *process, apr_pool_t *p)
{
    int n = 0;
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        n++;
    }
    reader->pipes = apr_pcalloc(p, sizeof(pipe_t) * (apr_size_t)(n + 1));
    reader->polled = apr_pcalloc(p, sizeof(struct pollfd) * (apr_size_t)(n + 1));
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        pipe_t *pipe = &reader->pipes[reader->n];
        if (g->supervisor == NULL || g->supervisor->log_read < 0) {
            continue;
        }
        pipe->group = g->group;
        pipe->server = g->server;
        pipe->line = apr_palloc(p, TSGI_LOG_LINE);
        reader->polled[reader->n].fd = g->supervisor->log_read;
        reader->polled[reader->n].events = POLLIN;
        reader->n++;
    }
}

static void signals_prepare(void)
{
    struct sigaction action = {.sa_handler = on_term};
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &term, NULL); /* ppoll() lets it in. */
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGUSR1, &action, NULL);
}

void tsgi_log_reader_main(tsgi_process_t *process, server_rec *s, pid_t parent)
{
    reader_t reader = {0};
    apr_pool_t *p;

    signals_prepare();
    apr_pool_create(&p, NULL);
    pipes_collect(&reader, process, p);
    close_others(&reader, s, p);
    tsgi_syslog_keep(s, p);
    tsgi_title_set("tsgi: log");
    if (drop_privileges(s, parent) != 0) {
        _exit(1);
    }
    while (!told_to_end) {
        (void)turn(&reader, NULL);
    }
    finish(&reader, parent);
    _exit(0);
}
