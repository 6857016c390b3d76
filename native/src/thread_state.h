/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file thread_state.h
 * What the system can tell of a thread of this process that does not answer. Any thread.
 */
#ifndef TSGI_THREAD_STATE_H
#define TSGI_THREAD_STATE_H

#include <sys/types.h>

#include <string>

namespace tsgi {

/**
 * @return for instance `state S, waits in futex_do_wait, system call 202 (futex)`: as much of
 *         it as can be read; ASCII without quotes and backslashes, at most 200 characters.
 */
std::string ThreadState(pid_t tid);

} // namespace tsgi
#endif
