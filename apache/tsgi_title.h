/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_title.h
 * What ps(1) shows of a process that was forked from httpd without exec.
 */
#ifndef TSGI_TITLE_H
#define TSGI_TITLE_H

/**
 * Overwrites the command line of this process, and its name. Best effort: without /proc only the
 * name is set. Only in a process that never uses httpd's argv again.
 */
void tsgi_title_set(const char *title);

#endif
