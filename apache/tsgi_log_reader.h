/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_log_reader.h
 * What the process `tsgi: log` does: reads the groups' pipes, writes the virtual hosts' error logs.
 */
#ifndef TSGI_LOG_READER_H
#define TSGI_LOG_READER_H

#include "httpd.h"
#include "apr_pools.h"

struct tsgi_process_t;

/**
 * The life of `tsgi: log`, in the child that tsgi_spawn_role() made: becomes Apache's User, closes all
 * descriptors but the pipes and the logs, reads until SIGTERM. After SIGTERM it empties the pipes; if
 * httpd itself has gone it waits for the last words of the workers, 4 s at most.
 */
void tsgi_log_reader_main(struct tsgi_process_t *process, server_rec *s, pid_t parent)
    __attribute__((noreturn));

/** A record as it stands in a packet: `<level> <pid> <source> <text>`, without its line feed. */
typedef struct {
    int level;       /**< APLOG_*: by the source, for "host" as given, CRIT at most */
    const char *pid; /**< digits */
    int pid_length;
    const char *source; /**< "out", "err", "host"; "raw" if the line has not this form */
    const char *text;
    apr_size_t length;
    int continued; /**< the next record of this pid and source goes on with the line */
} tsgi_log_record_t;

/** Takes a line apart; every line gives a record. Pointers go into `line`, or are static. */
void tsgi_log_parse(const char *line, apr_size_t length, tsgi_log_record_t *record);

#endif
