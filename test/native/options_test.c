/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * The pure parts of the module's configuration: options of TSGIDaemonProcess, which URLs an alias
 * takes, which sections apply to it, and which request targets are sent on as they came.
 */
#include "../../apache/tsgi_options.c"
#include "../../apache/tsgi_resolve.c"
#include "../../apache/tsgi_section.c"
#include "../../apache/tsgi_target.c"

#include "apr_general.h"
#include "apr_pools.h"

#include "tap.h"

static apr_pool_t *pool;

module tsgi_module; /* only its address is asked for */

/* What httpd has of these, as far as the tests need it. */
char *ap_server_root_relative(apr_pool_t *p, const char *path)
{
    return path[0] == '/' ? apr_pstrdup(p, path) : apr_pstrcat(p, "/root/", path, NULL);
}

char *ap_getword_conf(apr_pool_t *p, const char **line)
{
    const char *start = *line + strspn(*line, " \t");
    char quote = *start == '"' || *start == '\'' ? *start : '\0';
    const char *end;
    if (quote != '\0') {
        start++;
        end = start + strcspn(start, (char[]){quote, '\0'});
        *line = *end != '\0' ? end + 1 : end;
    }
    else {
        end = start + strcspn(start, " \t");
        *line = end;
    }
    *line += strspn(*line, " \t");
    return apr_pstrmemdup(p, start, (apr_size_t)(end - start));
}

/* ---- options ------------------------------------------------------------------------ */

static tsgi_options_t options;

static const char *parse(const char *line)
{
    tsgi_options_init(pool, tsgi_group_options, &options);
    return tsgi_options_parse(pool, tsgi_group_options, line, &options);
}

static int says(const char *line, const char *sentence)
{
    const char *error = parse(line);
    if (error == NULL || strstr(error, sentence) == NULL) {
        printf("# %s: %s\n", line, error != NULL ? error : "(no error)");
        return 0;
    }
    return 1;
}

static void defaults(void)
{
    CHECK(parse("") == NULL);
    CHECK(options.processes == 1 && options.concurrency == 1000);
    CHECK(options.umask == 022 && options.cpu_priority == 0);
    CHECK(options.no_new_privileges == 1 && options.start == TSGI_START_BOOT);
    CHECK(options.queue_timeout == 45000 && options.shutdown_timeout == 5000);
    CHECK(options.limit_files == TSGI_UNSET && options.user == NULL);
    CHECK(options.env->nelts == 0 && options.node_args->nelts == 0);
    CHECK(strcmp(options.lang, "C.UTF-8") == 0);
    CHECK(options.ready == TSGI_READY_LISTEN);
    CHECK(strcmp(options.listen, "first") == 0);
    CHECK(options.maximum_requests == TSGI_UNSET && options.jitter == 10);
    CHECK(options.memory_limit == TSGI_UNSET);
    CHECK(options.reload == TSGI_RELOAD_ROLLING && options.watch->nelts == 0);
}

static void fallbacks_are_valid(void)
{
    for (const tsgi_option_row_t *row = tsgi_group_options; row->name != NULL; row++) {
        char *line = apr_psprintf(pool, "%s=%s", row->name, row->fallback);
        CHECK(row->fallback == NULL || parse(line) == NULL);
        CHECK(row->help != NULL && row->help[0] != '\0');
        CHECK(row->min <= row->max);
        CHECK((row->type == TSGI_OPTION_ENUM) == (row->choices != NULL));
    }
}

static void numbers(void)
{
    CHECK(says("processes=0", "processes=0: expected a number from 1 to "));
    CHECK(parse("processes=1") == NULL && options.processes == 1);
    CHECK(says("processes=100000", "expected a number"));
    CHECK(says("processes=99999999999999999999", "expected a number"));
    CHECK(says("processes=-1", "expected a number"));
    CHECK(says("processes=+1", "expected a number"));
    CHECK(says("processes= 1", "expected a number"));
    CHECK(says("processes=", "expected a number"));
    CHECK(says("processes=1x", "expected a number"));
    CHECK(parse("cpu-priority=-20") == NULL && options.cpu_priority == -20);
    CHECK(says("cpu-priority=-21", "expected a number from -20 to 19"));
    CHECK(says("cpu-priority=20", "expected a number from -20 to 19"));
    CHECK(parse("umask=0077") == NULL && options.umask == 077);
    CHECK(parse("umask=777") == NULL && options.umask == 0777);
    CHECK(says("umask=1000", "expected an octal number from 00 to 0777"));
    CHECK(says("umask=8", "expected an octal number"));
}

static void durations_of_all_units(void)
{
    CHECK(parse("queue-timeout=7") == NULL && options.queue_timeout == 7000);
    CHECK(parse("queue-timeout=7s") == NULL && options.queue_timeout == 7000);
    CHECK(parse("queue-timeout=250ms") == NULL && options.queue_timeout == 250);
    CHECK(parse("queue-timeout=2m") == NULL && options.queue_timeout == 120000);
    CHECK(parse("queue-timeout=24h") == NULL && options.queue_timeout == 86400000);
    CHECK(says("queue-timeout=25h", "expected a duration from 1ms to 24h"));
    CHECK(says("queue-timeout=9223372036854775807h", "expected a duration"));
    CHECK(says("queue-timeout=0", "expected a duration"));
    CHECK(says("queue-timeout=1d", "expected a duration"));
    CHECK(parse("graceful-timeout=0") == NULL && options.graceful_timeout == 0);
    CHECK(options.eviction_timeout == TSGI_UNSET);
    CHECK(options.deadlock_timeout == 60000);
    CHECK(parse("deadlock-timeout=0") == NULL && options.deadlock_timeout == 0);
    CHECK(parse("deadlock-timeout=1000ms") == NULL && options.deadlock_timeout == 1000);
    CHECK(says("deadlock-timeout=999ms", "expected 0, or a duration from 1s to 24h"));
}

static void sizes_of_all_units(void)
{
    apr_int64_t value = 0;
    static const tsgi_option_row_t row = {"size",
                                          TSGI_OPTION_SIZE,
                                          0,
                                          1 << 10,
                                          APR_INT64_C(1) << 40,
                                          NULL,
                                          NULL,
                                          NULL,
                                          NULL,
                                          NULL};
    CHECK(parse_number(&row, "64K", &value) && value == 65536);
    CHECK(parse_number(&row, "1024", &value) && value == 1024);
    CHECK(!parse_number(&row, "1023", &value));
    CHECK(parse_number(&row, "3g", &value) && value == APR_INT64_C(3) << 30);
    CHECK(parse_number(&row, "1024G", &value) && value == APR_INT64_C(1) << 40);
    CHECK(!parse_number(&row, "1025G", &value));
    CHECK(!parse_number(&row, "9223372036854775807K", &value));
    CHECK(!parse_number(&row, "1KB", &value));
    CHECK(strstr(expected(pool, &row), "from 1K to 1024G") != NULL);
}

static void words(void)
{
    CHECK(parse("no-new-privileges=Off") == NULL && options.no_new_privileges == 0);
    CHECK(says("no-new-privileges=yes", "expected on or off"));
    CHECK(parse("start=on-demand") == NULL && options.start == TSGI_START_ON_DEMAND);
    CHECK(says("start=on", "expected boot or on-demand"));
    CHECK(says("start=", "expected boot or on-demand"));
    CHECK(parse("home=apps") == NULL && strcmp(options.home, "/root/apps") == 0);
    CHECK(says("home=", "expected a path"));
    CHECK(says("node=bin/node", "expected an absolute path"));
    CHECK(parse("user=#33 group=www") == NULL && strcmp(options.user, "#33") == 0);
    CHECK(says("user=\"a b\"", "expected a name"));
    CHECK(parse("supplementary-groups=\"\"") == NULL &&
          options.supplementary_groups[0] == '\0');
    CHECK(parse("inspect=127.0.0.1:9229") == NULL && parse("inspect=9229") == NULL);
    CHECK(says("inspect=65536", "expected a port"));
    CHECK(says("inspect=:9229", "expected a port"));
}

static void lists(void)
{
    CHECK(parse("env=A=1 env=\"B=two words\" 'env=C=it is'") == NULL);
    CHECK(options.env->nelts == 3);
    CHECK(strcmp(APR_ARRAY_IDX(options.env, 1, const char *), "B=two words") == 0);
    CHECK(strcmp(APR_ARRAY_IDX(options.env, 2, const char *), "C=it is") == 0);
    CHECK(says("env=1A=b", "expected NAME=value"));
    CHECK(says("env=A", "expected NAME=value"));
    CHECK(says("env=A=\"b c\"", "a value with blanks is quoted"));
    CHECK(parse("node-args=\"--import x\" node-args=--inspect") == NULL);
    CHECK(options.node_args->nelts == 3);
    CHECK(parse("watch=\"lib/**/*.js a?.txt\" watch=/srv/x..y") == NULL);
    CHECK(options.watch->nelts == 3);
    CHECK(says("watch=../lib/*.js", "patterns without .."));
    CHECK(says("watch=lib/..", "patterns without .."));
    CHECK(says("watch=lib/{a,b}.js", "patterns of *, ** and ?"));
    CHECK(says("node-args=app.js", "beginning with -"));
    CHECK(says("node-args=\"--inspect --eval=1\"", "not --eval"));
}

static void mistakes_in_names(void)
{
    CHECK(says("procesess=2", "did you mean processes=?"));
    CHECK(says("thread=2", "did you mean threads=?"));
    CHECK(says("nonsense=2", "there are processes, concurrency"));
    CHECK(says("processes", "expected option=value"));
    CHECK(says("=2", "expected option=value"));
    CHECK(says("processes=1 processes=2", "given twice"));
    CHECK(says("threads=1 concurrency=2", "two names of one option"));
    char *name = apr_pcalloc(pool, 5002);
    memset(name, 'x', 5000);
    name[5000] = '=';
    CHECK(says(name, "there is no such option"));
}

static void group_names(void)
{
    CHECK(tsgi_options_check_group_name("www.example.org:8080") == NULL);
    CHECK(tsgi_options_check_group_name("") != NULL);
    CHECK(tsgi_options_check_group_name("-x") != NULL);
    CHECK(tsgi_options_check_group_name("a b") != NULL);
    CHECK(tsgi_options_check_group_name("a\nb") != NULL);
    char name[66];
    memset(name, 'a', sizeof(name));
    name[64] = '\0';
    CHECK(tsgi_options_check_group_name(name) == NULL);
    name[64] = 'a';
    name[65] = '\0';
    CHECK(tsgi_options_check_group_name(name) != NULL);
}

/* ---- aliases and sections ----------------------------------------------------------- */

static void url_paths(void)
{
    CHECK(tsgi_resolve_match("/app", "/app") == 4);
    CHECK(tsgi_resolve_match("/app/x", "/app") == 4);
    CHECK(tsgi_resolve_match("/appx", "/app") == -1);
    CHECK(tsgi_resolve_match("/ap", "/app") == -1);
    CHECK(tsgi_resolve_match("/", "/") == 0);
    CHECK(tsgi_resolve_match("/x", "/") == 0);
    CHECK(tsgi_resolve_match("//app///x", "/app") == 5);
    CHECK(tsgi_resolve_match("/app", "/app/") == -1);
    CHECK(tsgi_resolve_match("/app/", "/app/") == 4);
    CHECK(tsgi_resolve_match("/app//x", "/app/") == 4);
    CHECK(tsgi_resolve_match("/a/b", "/a//b") == 4);
}

static void paths_below(void)
{
    CHECK(tsgi_resolve_below("/srv/a/x.js", "/srv/a/"));
    CHECK(tsgi_resolve_below("/srv/a/x.js", "/srv/a"));
    CHECK(tsgi_resolve_below("/srv/a/x.js", "/"));
    CHECK(!tsgi_resolve_below("/srv/ab/x.js", "/srv/a"));
    CHECK(!tsgi_resolve_below("/srv/a", "/srv/a/"));
}

static tsgi_scope_t location(const char *path, const char *url)
{
    tsgi_override_t override = {"g", TSGI_SECTION_LOCATION, path};
    tsgi_alias_t alias = {.url = url, .script = "/srv/a/index.js"};
    return tsgi_section_scope(&override, &alias);
}

static void locations(void)
{
    CHECK(location("/", "/app") == TSGI_SCOPE_ALL);
    CHECK(location("/app", "/app") == TSGI_SCOPE_ALL);
    CHECK(location("/app", "/app/sub") == TSGI_SCOPE_ALL);
    CHECK(location("/app/", "/app") == TSGI_SCOPE_SOME);
    CHECK(location("/app/", "/app/") == TSGI_SCOPE_ALL);
    CHECK(location("/app/", "/app/sub") == TSGI_SCOPE_ALL);
    CHECK(location("/app/sub", "/app") == TSGI_SCOPE_SOME);
    CHECK(location("/app", "/") == TSGI_SCOPE_SOME);
    CHECK(location("/application", "/app") == TSGI_SCOPE_NEVER);
    CHECK(location("/other", "/app") == TSGI_SCOPE_NEVER);
}

static void directories(void)
{
    tsgi_override_t override = {"g", TSGI_SECTION_DIRECTORY, "/srv/a/"};
    tsgi_alias_t exact = {.url = "/x", .script = "/srv/a/index.js"};
    tsgi_alias_t other = {.url = "/x", .script = "/srv/ab/index.js"};
    tsgi_alias_t pattern = {
        .url = "/x", .script = "/srv/$1/i.js", .script_root = "/srv/"};
    CHECK(tsgi_section_scope(&override, &exact) == TSGI_SCOPE_ALL);
    CHECK(tsgi_section_scope(&override, &other) == TSGI_SCOPE_NEVER);
    CHECK(tsgi_section_scope(&override, &pattern) == TSGI_SCOPE_SOME);
    override.path = "/";
    CHECK(tsgi_section_scope(&override, &pattern) == TSGI_SCOPE_ALL);
}

static void values_of_sections(void)
{
    tsgi_alias_t alias = {.url = "/app", .script = "/srv/a/index.js"};
    tsgi_override_t some = {"b", TSGI_SECTION_LOCATION, "/app/b"};
    tsgi_override_t never = {"c", TSGI_SECTION_LOCATION, "/c"};
    tsgi_override_t all = {"d", TSGI_SECTION_DIRECTORY, "/srv/a/"};
    apr_array_header_t *overrides = apr_array_make(pool, 4, sizeof(tsgi_override_t *));
    APR_ARRAY_PUSH(overrides, tsgi_override_t *) = &some;
    APR_ARRAY_PUSH(overrides, tsgi_override_t *) = &never;
    apr_array_header_t *values = tsgi_section_values(pool, "a", overrides, &alias);
    CHECK(strcmp(apr_array_pstrcat(pool, values, ','), "a,b") == 0);
    APR_ARRAY_PUSH(overrides, tsgi_override_t *) = &all;
    values = tsgi_section_values(pool, "a", overrides, &alias);
    CHECK(strcmp(apr_array_pstrcat(pool, values, ','), "b,d") == 0);
    values =
        tsgi_section_values(pool, NULL, apr_array_make(pool, 1, sizeof(void *)), &alias);
    CHECK(values->nelts == 1 && APR_ARRAY_IDX(values, 0, const char *) == NULL);
}

/* ---- targets ------------------------------------------------------------------------ */

/* @return bytes of raw that are the mount point; −1: raw is not what became uri */
static int mount_of(const char *raw, const char *uri, int mount)
{
    apr_uint32_t length = 99;
    return tsgi_target_compare(raw, uri, mount, &length) ? (int)length : -1;
}

static void targets(void)
{
    CHECK(mount_of("/app/x?q", "/app/x", 4) == 4);
    CHECK(mount_of("/app", "/app", 4) == 4);
    CHECK(mount_of("/x", "/x", 0) == 0);
    CHECK(mount_of("/%61pp/x", "/app/x", 4) == 6);
    CHECK(mount_of("//app//x", "/app/x", 4) == 5);
    CHECK(mount_of("//app//x", "//app//x", 5) == 5);
    CHECK(mount_of("/a%20b", "/a b", 4) == 6);
    CHECK(mount_of("/a/x%2Fy", "/a/x/y", 2) == 2);
    CHECK(mount_of("/a/x%2fy", "/a/x%2fy", 2) == 2);
    CHECK(mount_of("/a/%2Fy", "/a/y", 2) == 2);
    CHECK(mount_of("/a%zz", "/a%zz", 2) == 2);
    CHECK(mount_of("/a%", "/a%", 2) == 2);
    CHECK(mount_of("/a%4", "/a%4", 2) == 2);
    CHECK(mount_of("/a/../b", "/b", 2) == -1);
    CHECK(mount_of("/a/./b", "/a/b", 2) == -1);
    CHECK(mount_of("/a", "/b", 2) == -1);
    CHECK(mount_of("/a", "/ab", 2) == -1);
    CHECK(mount_of("/ab", "/a", 2) == -1);
    CHECK(mount_of("/a%00b", "/a", 2) == -1);
    CHECK(mount_of("/a#b", "/a", 2) == -1);
}

static void queries(void)
{
    CHECK(tsgi_target_same_query("/a", NULL) && !tsgi_target_same_query("/a", ""));
    CHECK(tsgi_target_same_query("/a?", "") && !tsgi_target_same_query("/a?", NULL));
    CHECK(tsgi_target_same_query("/a?b?c", "b?c") &&
          !tsgi_target_same_query("/a?b", "c"));
    CHECK(strcmp(tsgi_target_origin("http://h:1/a?b"), "/a?b") == 0);
    CHECK(strcmp(tsgi_target_origin("http://h?b"), "?b") == 0);
    CHECK(strcmp(tsgi_target_origin("http://h"), "") == 0);
    CHECK(strcmp(tsgi_target_origin("/a://b"), "/a://b") == 0);
}

static const tap_test_t tests[] = {
    {"options have the defaults of the table", defaults},
    {"every default of the table can be written as an option", fallbacks_are_valid},
    {"numbers are taken within their range and refused outside", numbers},
    {"durations are read in ms, s, m, h and plain seconds", durations_of_all_units},
    {"sizes are read in K, M, G and plain bytes", sizes_of_all_units},
    {"flags, choices, names and paths are checked", words},
    {"lists take one value for each occurrence, quoted or not", lists},
    {"an unknown option is answered with the nearest known one", mistakes_in_names},
    {"names of groups have 1 to 64 plain characters", group_names},
    {"an alias takes its URL-path and what is below, whole segments only", url_paths},
    {"a path is below a directory only after a slash", paths_below},
    {"a <Location> holds all, some or none of an alias's URLs", locations},
    {"a <Directory> holds a script or does not", directories},
    {"sections that hold all requests replace the server's setting", values_of_sections},
    {"a raw target is kept if only decoding and merging changed it", targets},
    {"queries and absolute targets are taken apart", queries},
};

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    int status = tap_run(tests, sizeof(tests) / sizeof(tests[0]));
    apr_pool_destroy(pool);
    apr_terminate();
    return status;
}
