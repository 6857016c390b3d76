/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_options.h"

#include "apr_lib.h"
#include "apr_strings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#define SECOND APR_INT64_C(1000)
#define HOUR (3600 * SECOND)
#define LONGEST_NAME 64 /* of an option, in the search for the nearest one */

/* ---- what a value must be, beyond its type ----------------------------------------- */

static const char *check_absolute(apr_pool_t *p, const char *value)
{
    return value[0] == '/' ? NULL : "an absolute path";
}

static const char *check_variable(apr_pool_t *p, const char *value)
{
    const char *c = value;
    if (apr_isalpha(*c) || *c == '_') {
        while (apr_isalnum(*c) || *c == '_') {
            c++;
        }
        if (*c == '=') {
            return NULL;
        }
    }
    return "NAME=value, the name of letters, digits and _";
}

/* @return whether the text is nothing but the number of a port */
static int is_port(const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 5 && text[digits] == '\0' && apr_atoi64(text) >= 1 &&
           apr_atoi64(text) <= 65535;
}

/* An address that no other machine reaches. */
static int is_loopback(const char *host)
{
    struct in_addr address;
    if (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
        strcmp(host, "[::1]") == 0) {
        return 1;
    }
    return inet_pton(AF_INET, host, &address) == 1 &&
           ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* "[host:]port". Whoever reaches an inspector runs what he likes, and is asked for no password. */
static const char *check_inspect(apr_pool_t *p, const char *value)
{
    const char *colon = strrchr(value, ':');
    const char *port = colon != NULL ? colon + 1 : value;
    if (!is_port(port) ||
        (colon != NULL &&
         !is_loopback(apr_pstrmemdup(p, value, (apr_size_t)(colon - value))))) {
        return "a port, or host:port with an address of this machine alone, such as 9229 "
               "or 127.0.0.1:9229";
    }
    return NULL;
}

static const char *check_listen(apr_pool_t *p, const char *value)
{
    const int good = strcmp(value, "first") == 0 ||
                     (strncmp(value, "port:", 5) == 0 && is_port(value + 5));
    return good ? NULL
                : "first, or port:N with the port that the app listens on, 1 to 65535";
}

/* These would have node do something else than run the worker. */
static const char *check_node_args(apr_pool_t *p, const char *value)
{
    static const char *const others[] = {
        "-",      "--",      "-e",    "--eval",        "-p",         "--print",   "-pe",
        "-c",     "--check", "-i",    "--interactive", "-v",         "--version", "-h",
        "--help", "--test",  "--run", "--watch",       "--build-sea"};
    const char *rest = value;
    const char *word = ap_getword_conf(p, &rest);
    if (word[0] != '\0' && word[0] != '-') {
        return "options of node, the first one beginning with -";
    }
    while (word[0] != '\0') {
        size_t length = strcspn(word, "=");
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            if (strlen(others[i]) == length && strncmp(word, others[i], length) == 0) {
                return apr_psprintf(p, "options that let node run a script, not %s",
                                    others[i]);
            }
        }
        word = ap_getword_conf(p, &rest);
    }
    return NULL;
}

/* Words of a pattern that the supervisor knows to match: *, ** and ?, no way up. */
static const char *check_watch(apr_pool_t *p, const char *value)
{
    const char *rest = value;
    const char *word = ap_getword_conf(p, &rest);
    for (; word[0] != '\0'; word = ap_getword_conf(p, &rest)) {
        size_t length = strlen(word);
        if (strpbrk(word, "[]{}\\") != NULL) {
            return "patterns of *, ** and ?, such as views/**/*.html";
        }
        if (strcmp(word, "..") == 0 || strncmp(word, "../", 3) == 0 ||
            strstr(word, "/../") != NULL ||
            (length > 2 && strcmp(word + length - 3, "/..") == 0)) {
            return "patterns without .., relative to home= or absolute";
        }
    }
    return NULL;
}

/* Durations that may be 0, for none, but not less than what can be kept. */
static const char *check_least(const char *value, apr_int64_t least_ms,
                               const char *expected)
{
    char *unit;
    const apr_int64_t number = apr_strtoi64(value, &unit, 10);
    return number > 0 && number < least_ms && strcasecmp(unit, "ms") == 0 ? expected
                                                                          : NULL;
}

static const char *check_deadlock(apr_pool_t *p, const char *value)
{
    return check_least(value, SECOND, "0, or a duration from 1s to 24h");
}

/* Shorter ones could not be kept: the worker looks a few times a second. */
static const char *check_request_timeout(apr_pool_t *p, const char *value)
{
    return check_least(value, 100, "a duration from 100ms to 24h, or 0 for none");
}

/* ---- the table ---------------------------------------------------------------------- */

#define AT(member) offsetof(tsgi_options_t, member)

/* clang-format off */
const tsgi_option_row_t tsgi_group_options[] = {
    {"processes", TSGI_OPTION_INT, AT(processes), 1, 250, "1", "workers", NULL, NULL,
     "Worker processes of each application group."},
    {"concurrency", TSGI_OPTION_INT, AT(concurrency), 1, 65535, "1000", "requests", NULL, NULL,
     "The most requests that one worker has in hand at once."},
    {"threads", TSGI_OPTION_INT, AT(concurrency), 1, 65535, "1000", "requests", NULL, NULL,
     "Another name of concurrency, for configurations written for mod_wsgi."},
    {"sticky", TSGI_OPTION_FLAG, AT(sticky), 0, 0, "off", NULL, NULL, NULL,
     "Whether a client comes back, by a cookie, to the worker that has served it."},
    {"max-upgrades", TSGI_OPTION_INT, AT(max_upgrades), 0, 1000000, "0", "connections", NULL, NULL,
     "The most connections one worker's apps take over (WebSockets). 0: 16384 at most."},
    {"upgrade-idle-timeout", TSGI_OPTION_DURATION, AT(upgrade_idle_timeout), 0, 8760 * HOUR, "0",
     NULL, NULL, NULL, "Such a connection on which no byte moves so long is closed. 0: never."},
    {"user", TSGI_OPTION_NAME, AT(user), 0, 0, NULL, NULL, NULL, NULL,
     "The user that runs the apps, a name or # and a uid. Default: Apache's User."},
    {"group", TSGI_OPTION_NAME, AT(group), 0, 0, NULL, NULL, NULL, NULL,
     "The group, a name or # and a gid. Default: the user's own."},
    {"supplementary-groups", TSGI_OPTION_STRING, AT(supplementary_groups), 0, 0, NULL, NULL, NULL,
     NULL, "Supplementary groups, separated by commas. Default: the user's own."},
    {"umask", TSGI_OPTION_OCTAL, AT(umask), 0, 0777, "022", NULL, NULL, NULL,
     "Permission bits that files made by the apps do not get."},
    {"home", TSGI_OPTION_PATH, AT(home), 0, 0, NULL, NULL, NULL, NULL,
     "The working directory of the workers. Default: the directory of the script."},
    {"node", TSGI_OPTION_STRING, AT(node), 0, 0, NULL, NULL, NULL, check_absolute,
     "The node binary. Default: TSGINode, else the first node in the PATH of Apache."},
    {"node-args", TSGI_OPTION_WORDS, AT(node_args), 0, 0, NULL, NULL, NULL, check_node_args,
     "Options of node, separated by blanks. May be given several times."},
    {"script-args", TSGI_OPTION_WORDS, AT(script_args), 0, 0, NULL, NULL, NULL, NULL,
     "Arguments of the scripts, separated by blanks. May be given several times."},
    {"env", TSGI_OPTION_LIST, AT(env), 0, 0, NULL, NULL, NULL, check_variable,
     "NAME=value: a variable in the environment of the apps. May be given several times."},
    {"env-file", TSGI_OPTION_PATH, AT(env_file), 0, 0, NULL, NULL, NULL, NULL,
     "A file of NAME=value lines for the environment, read as the group's user."},
    {"display-name", TSGI_OPTION_STRING, AT(display_name), 0, 0, NULL, NULL, NULL, NULL,
     "The title of the workers in ps; %{GROUP} stands for (tsgi:NAME)."},
    {"listen-backlog", TSGI_OPTION_INT, AT(listen_backlog), 1, 65535, "511", "connections", NULL,
     NULL, "Connections that wait for one worker while it cannot take them."},
    {"socket-user", TSGI_OPTION_NAME, AT(socket_user), 0, 0, NULL, NULL, NULL, NULL,
     "The owner of the sockets: who connects to the workers. Default: Apache's User."},
    {"lang", TSGI_OPTION_STRING, AT(lang), 0, 0, "C.UTF-8", NULL, NULL, NULL,
     "LANG in the environment."},
    {"locale", TSGI_OPTION_STRING, AT(locale), 0, 0, NULL, NULL, NULL, NULL,
     "LC_ALL in the environment."},
    {"cpu-priority", TSGI_OPTION_INT, AT(cpu_priority), -20, 19, "0", "nice value", NULL, NULL,
     "Scheduling priority: 19 gives way to all others, below 0 needs root."},
    {"no-new-privileges", TSGI_OPTION_FLAG, AT(no_new_privileges), 0, 0, "on", NULL, NULL, NULL,
     "Whether setuid programs are without effect; off for apps that call sudo or sendmail."},
    {"start", TSGI_OPTION_ENUM, AT(start), 0, 0, "boot", NULL, "boot|on-demand", NULL,
     "When workers start: with Apache, or at the first request."},
    {"script-root", TSGI_OPTION_PATH, AT(script_root), 0, 0, NULL, NULL, NULL, NULL,
     "The directory that holds every script which a pattern may name."},
    {"listen", TSGI_OPTION_NAME, AT(listen), 0, 0, "first", NULL, NULL, check_listen,
     "Which listen() of an app is served: the first, or port:N, that on this port."},
    {"ready", TSGI_OPTION_ENUM, AT(ready), 0, 0, "listen", NULL, "listen|message", NULL,
     "A worker is ready when its app listens, or when it calls process.send('ready') as well."},
    {"reload", TSGI_OPTION_ENUM, AT(reload), 0, 0, "rolling", NULL, "rolling|all", NULL,
     "At a reload, workers are replaced one after the other, or all at once."},
    {"watch", TSGI_OPTION_WORDS, AT(watch), 0, 0, NULL, NULL, NULL, check_watch,
     "Further files whose change reloads: patterns relative to home, such as lib/**/*.js."},
    {"maximum-requests", TSGI_OPTION_INT, AT(maximum_requests), 1, 2147483647, NULL, "requests",
     NULL, NULL, "A worker that took so many is replaced. Default: never."},
    {"restart-interval", TSGI_OPTION_DURATION, AT(restart_interval), SECOND, 8760 * HOUR, NULL,
     NULL, NULL, NULL, "A worker that served so long is replaced. Default: never."},
    {"jitter", TSGI_OPTION_INT, AT(jitter), 0, 100, "10", "percent", NULL, NULL,
     "By how much, at most, the two come earlier, so that workers do not all end at once."},
    {"inactivity-timeout", TSGI_OPTION_DURATION, AT(inactivity_timeout), SECOND, 8760 * HOUR,
     NULL, NULL, NULL, NULL,
     "A worker without requests so long is replaced, or with start=on-demand ends."},
    {"memory-limit", TSGI_OPTION_SIZE, AT(memory_limit), APR_INT64_C(32) << 20,
     APR_INT64_C(1) << 40, NULL, NULL, NULL, NULL,
     "A worker with more memory is replaced, one with twice as much is killed."},
    {"cpu-time-limit", TSGI_OPTION_DURATION, AT(cpu_time_limit), SECOND, 8760 * HOUR, NULL, NULL,
     NULL, NULL, "A worker that used so much processor time is replaced. Default: never."},
    {"limit-files", TSGI_OPTION_INT, AT(limit_files), 64, 1048576, NULL, "descriptors", NULL, NULL,
     "The most open files of one process. Default: inherited."},
    {"limit-processes", TSGI_OPTION_INT, AT(limit_processes), 16, 4194304, NULL, "processes", NULL,
     NULL, "The most processes and threads of the user. Default: inherited."},
    {"inspect", TSGI_OPTION_STRING, AT(inspect), 0, 0, NULL, NULL, NULL, check_inspect,
     "Opens node's inspector at this port of the loopback. For development only."},
    {"connect-timeout", TSGI_OPTION_DURATION, AT(connect_timeout), 1, 24 * HOUR, "15s", NULL, NULL,
     NULL, "How long to try while a worker's backlog is full."},
    {"queue-timeout", TSGI_OPTION_DURATION, AT(queue_timeout), 1, 24 * HOUR, "45s", NULL, NULL,
     NULL, "How long a request waits for a worker that takes it; then 503."},
    {"socket-timeout", TSGI_OPTION_DURATION, AT(socket_timeout), 1, 24 * HOUR, "60s", NULL, NULL,
     NULL, "How long no byte may come from a worker or be taken by it; then 504."},
    {"request-timeout", TSGI_OPTION_DURATION, AT(request_timeout), 0, 24 * HOUR, "60s", NULL, NULL,
     check_request_timeout, "How long an app may take until its response head; then 504. 0: no limit."},
    {"queue-size", TSGI_OPTION_INT, AT(queue_size), 0, 100000, "100", "requests", NULL, NULL,
     "Requests of an application group that wait for a worker; what is beyond gets 503."},
    {"apache-threads", TSGI_OPTION_INT, AT(apache_threads), 1, 65535, NULL, "threads", NULL, NULL,
     "Threads of Apache that the group holds at most. Default: half of MaxRequestWorkers."},
    {"startup-timeout", TSGI_OPTION_DURATION, AT(startup_timeout), SECOND / 10, 24 * HOUR, "15s",
     NULL, NULL, NULL, "How long a worker may take until it is ready; then it is killed."},
    {"deadlock-timeout", TSGI_OPTION_DURATION, AT(deadlock_timeout), 0, 24 * HOUR, "60s", NULL,
     NULL, check_deadlock, "How long a worker's event loop may be blocked; then it is killed."},
    {"graceful-timeout", TSGI_OPTION_DURATION, AT(graceful_timeout), 0, 24 * HOUR, "15s", NULL,
     NULL, NULL, "How long a worker that is recycled may finish what it has in hand."},
    {"eviction-timeout", TSGI_OPTION_DURATION, AT(eviction_timeout), 0, 24 * HOUR, NULL, NULL,
     NULL, NULL, "The same at a reload and a changed group. Default: graceful-timeout."},
    {"shutdown-timeout", TSGI_OPTION_DURATION, AT(shutdown_timeout), 0, HOUR, "5s", NULL, NULL,
     NULL, "The same when Apache stops."},
    {NULL, TSGI_OPTION_INT, 0, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

const char *tsgi_options_check_group_name(const char *name)
{
    const char *c = name;
    while (apr_isalnum(*c) || (*c != '\0' && strchr("._:@+/-", *c) != NULL)) {
        c++;
    }
    if (c == name || *c != '\0' || *name == '-' || c - name > 64) {
        return "1 to 64 letters, digits and ._:@+/-, not beginning with -";
    }
    return NULL;
}

/* ---- numbers ------------------------------------------------------------------------ */

typedef struct {
    const char *suffix;
    apr_int64_t factor;
} unit_t;

static const unit_t no_units[] = {{"", 1}, {NULL, 0}};
/* The first one that divides a value is the one it is written with in messages. */
static const unit_t durations[] = {{"h", HOUR},  {"m", 60 * SECOND}, {"s", SECOND},
                                   {"", SECOND}, {"ms", 1},          {NULL, 0}};
static const unit_t sizes[] = {{"G", APR_INT64_C(1) << 30},
                               {"M", APR_INT64_C(1) << 20},
                               {"K", APR_INT64_C(1) << 10},
                               {"", 1},
                               {NULL, 0}};

static const unit_t *units_of(const tsgi_option_row_t *row)
{
    switch (row->type) {
    case TSGI_OPTION_DURATION:
        return durations;
    case TSGI_OPTION_SIZE:
        return sizes;
    default:
        return no_units;
    }
}

static const char *format_number(apr_pool_t *p, const tsgi_option_row_t *row,
                                 apr_int64_t value)
{
    const unit_t *unit = units_of(row);
    if (row->type == TSGI_OPTION_OCTAL) {
        return apr_psprintf(p, "0%lo", (unsigned long)value);
    }
    if (value == 0) {
        return "0";
    }
    while (value % unit->factor != 0) {
        unit++;
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT "%s", value / unit->factor, unit->suffix);
}

/* Nothing but digits (after a minus, where negative numbers are allowed) and a known suffix. */
static int parse_number(const tsgi_option_row_t *row, const char *text,
                        apr_int64_t *result)
{
    int base = row->type == TSGI_OPTION_OCTAL ? 8 : 10;
    const char *digits = text[0] == '-' && row->min < 0 ? text + 1 : text;
    char *end;
    if (!apr_isdigit(*digits)) {
        return 0;
    }
    errno = 0;
    apr_int64_t value = apr_strtoi64(text, &end, base);
    if (errno != 0) {
        return 0;
    }
    const unit_t *unit = units_of(row);
    while (unit->suffix != NULL && strcasecmp(unit->suffix, end) != 0) {
        unit++;
    }
    if (unit->suffix == NULL || value > row->max / unit->factor ||
        value * unit->factor > row->max || value * unit->factor < row->min) {
        return 0;
    }
    *result = value * unit->factor;
    return 1;
}

static int parse_flag(const char *text, apr_int64_t *result)
{
    *result = strcasecmp(text, "on") == 0;
    return *result || strcasecmp(text, "off") == 0;
}

static int parse_choice(const char *choices, const char *text, apr_int64_t *result)
{
    size_t length = strlen(text);
    for (*result = 0; choices != NULL; ++*result) {
        const char *bar = strchr(choices, '|');
        size_t here = bar != NULL ? (size_t)(bar - choices) : strlen(choices);
        if (here == length && length > 0 && strncasecmp(choices, text, length) == 0) {
            return 1;
        }
        choices = bar != NULL ? bar + 1 : NULL;
    }
    return 0;
}

/* ---- one value ---------------------------------------------------------------------- */

static const char *expected(apr_pool_t *p, const tsgi_option_row_t *row)
{
    const char *low = format_number(p, row, row->min);
    const char *high = format_number(p, row, row->max);
    switch (row->type) {
    case TSGI_OPTION_INT:
        return apr_psprintf(p, "a number from %s to %s", low, high);
    case TSGI_OPTION_DURATION:
        return apr_psprintf(
            p, "a duration from %s to %s, written like 500ms, 15s, 2m or 1h", low, high);
    case TSGI_OPTION_SIZE:
        return apr_psprintf(p, "a size from %s to %s, written like 512K, 64M or 1G", low,
                            high);
    case TSGI_OPTION_OCTAL:
        return apr_psprintf(p, "an octal number from %s to %s, such as 027", low, high);
    case TSGI_OPTION_FLAG:
        return "on or off";
    case TSGI_OPTION_ENUM: {
        char *words = apr_pstrdup(p, row->choices);
        char *bar = strrchr(words, '|');
        *bar = '\0';
        return apr_pstrcat(p, words, " or ", bar + 1, NULL);
    }
    case TSGI_OPTION_NAME:
        return "a name, or # and a number";
    case TSGI_OPTION_PATH:
        return "a path";
    default:
        return "a value";
    }
}

static int is_plain(const char *text, int blanks)
{
    for (; *text != '\0'; text++) {
        if (apr_iscntrl(*text) || (!blanks && apr_isspace(*text))) {
            return 0;
        }
    }
    return 1;
}

static int set_text(apr_pool_t *p, const tsgi_option_row_t *row, const char *value,
                    const char **member)
{
    if (row->type != TSGI_OPTION_STRING && value[0] == '\0') {
        return 0;
    }
    if (!is_plain(value, row->type != TSGI_OPTION_NAME)) {
        return 0;
    }
    *member = row->type == TSGI_OPTION_PATH ? ap_server_root_relative(p, value)
                                            : apr_pstrdup(p, value);
    return *member != NULL;
}

static int add_words(apr_pool_t *p, const tsgi_option_row_t *row, const char *value,
                     apr_array_header_t *list)
{
    if (!is_plain(value, 1)) {
        return 0;
    }
    if (row->type == TSGI_OPTION_LIST) {
        APR_ARRAY_PUSH(list, const char *) = apr_pstrdup(p, value);
        return value[0] != '\0';
    }
    while (*value != '\0') {
        const char *word = ap_getword_conf(p, &value);
        if (word[0] != '\0') {
            APR_ARRAY_PUSH(list, const char *) = word;
        }
    }
    return 1;
}

static int set_member(apr_pool_t *p, const tsgi_option_row_t *row, const char *value,
                      void *base)
{
    void *member = (char *)base + row->offset;
    switch (row->type) {
    case TSGI_OPTION_INT:
    case TSGI_OPTION_DURATION:
    case TSGI_OPTION_SIZE:
    case TSGI_OPTION_OCTAL:
        return parse_number(row, value, member);
    case TSGI_OPTION_FLAG:
        return parse_flag(value, member);
    case TSGI_OPTION_ENUM:
        return parse_choice(row->choices, value, member);
    case TSGI_OPTION_LIST:
    case TSGI_OPTION_WORDS:
        return add_words(p, row, value, *(apr_array_header_t **)member);
    default:
        return set_text(p, row, value, member);
    }
}

static const char *set_option(apr_pool_t *p, const tsgi_option_row_t *row,
                              const char *value, void *base)
{
    const char *wanted = row->check != NULL ? row->check(p, value) : NULL;
    if (wanted == NULL && !set_member(p, row, value, base)) {
        wanted = expected(p, row);
    }
    return wanted == NULL
               ? NULL
               : apr_psprintf(p, "%s=%s: expected %s", row->name, value, wanted);
}

/* ---- the whole line ----------------------------------------------------------------- */

static int is_list(const tsgi_option_row_t *row)
{
    return row->type == TSGI_OPTION_LIST || row->type == TSGI_OPTION_WORDS;
}

static int is_text(const tsgi_option_row_t *row)
{
    return row->type == TSGI_OPTION_STRING || row->type == TSGI_OPTION_NAME ||
           row->type == TSGI_OPTION_PATH;
}

void tsgi_options_init(apr_pool_t *p, const tsgi_option_row_t *rows, void *base)
{
    for (const tsgi_option_row_t *row = rows; row->name != NULL; row++) {
        void *member = (char *)base + row->offset;
        if (is_list(row)) {
            *(apr_array_header_t **)member = apr_array_make(p, 2, sizeof(const char *));
        }
        else if (is_text(row)) {
            *(const char **)member = NULL;
        }
        else {
            *(apr_int64_t *)member = TSGI_UNSET;
        }
        if (row->fallback != NULL) {
            set_member(p, row, row->fallback, base);
        }
    }
}

/* How many characters must be inserted, removed or replaced to make one of the other. */
static int distance(const char *a, const char *b)
{
    int row[LONGEST_NAME + 1];
    int width = (int)strlen(b);
    for (int j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (int i = 1; a[i - 1] != '\0'; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= width; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[width];
}

static const char *unknown_option(apr_pool_t *p, const tsgi_option_row_t *rows,
                                  const char *name)
{
    const char *known = "";
    const tsgi_option_row_t *nearest = NULL;
    int least = 1 + (int)strlen(name) / 3;
    for (const tsgi_option_row_t *row = rows; row->name != NULL; row++) {
        int steps =
            strlen(name) < LONGEST_NAME ? distance(name, row->name) : LONGEST_NAME;
        if (steps <= least) {
            least = steps - 1; /* the first of equals */
            nearest = row;
        }
        known = apr_pstrcat(p, known, known[0] != '\0' ? ", " : "", row->name, NULL);
    }
    if (nearest != NULL) {
        return apr_psprintf(p, "%s: there is no such option; did you mean %s=?", name,
                            nearest->name);
    }
    return apr_psprintf(p, "%s: there is no such option; there are %s", name, known);
}

/* Takes the next `name=value` off the line; quotes may stand around the value or around both. */
static const char *next_option(apr_pool_t *p, const char **line, char **name,
                               const char **value)
{
    const char *start = *line;
    size_t length = strcspn(start, "= \t");
    if (*start == '"' || *start == '\'') {
        *name = ap_getword_conf(p, line);
        char *equals = strchr(*name, '=');
        if (equals == NULL) {
            return apr_psprintf(p, "%s: expected option=value", *name);
        }
        *equals = '\0';
        *value = equals + 1;
        return NULL;
    }
    *name = apr_pstrndup(p, start, length);
    if (start[length] != '=' || length == 0) {
        return apr_psprintf(
            p,
            "%s: expected option=value; a value with blanks is quoted, as in "
            "env=\"NAME=some words\"",
            ap_getword_conf(p, line));
    }
    *line = start + length + 1;
    *value = **line == '\0' || apr_isspace(**line) ? "" : ap_getword_conf(p, line);
    return NULL;
}

/* Two values of one option, or of two synonyms: one of them would be without effect. */
static const char *check_repeated(apr_pool_t *p, const tsgi_option_row_t *row,
                                  apr_array_header_t *seen)
{
    for (int i = 0; i < seen->nelts; i++) {
        const tsgi_option_row_t *before =
            APR_ARRAY_IDX(seen, i, const tsgi_option_row_t *);
        if (before == row) {
            return apr_psprintf(p, "%s= is given twice: expected it once", row->name);
        }
        if (before->offset == row->offset) {
            return apr_psprintf(
                p, "%s= and %s= are two names of one option: expected one of them",
                before->name, row->name);
        }
    }
    APR_ARRAY_PUSH(seen, const tsgi_option_row_t *) = row;
    return NULL;
}

const char *tsgi_options_parse(apr_pool_t *p, const tsgi_option_row_t *rows,
                               const char *line, void *base)
{
    apr_array_header_t *seen = apr_array_make(p, 8, sizeof(const tsgi_option_row_t *));
    const char *error = NULL;
    while (apr_isspace(*line)) {
        line++;
    }
    while (error == NULL && *line != '\0') {
        char *name = NULL;
        const char *value = "";
        const tsgi_option_row_t *row = rows;
        error = next_option(p, &line, &name, &value);
        if (error != NULL) {
            break;
        }
        while (row->name != NULL && strcmp(row->name, name) != 0) {
            row++;
        }
        if (row->name == NULL) {
            return unknown_option(p, rows, name);
        }
        error = is_list(row) ? NULL : check_repeated(p, row, seen);
        if (error == NULL) {
            error = set_option(p, row, value, base);
        }
        while (apr_isspace(*line)) {
            line++;
        }
    }
    return error;
}
