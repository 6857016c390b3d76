/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file exit_flush.h
 * What the app has ended leaves even if the process dies in the same turn: process.exit(),
 * process.reallyExit() and uncaught errors end in exit(3), which runs a handler of ours.
 * Hooks of Node do not run then.
 *
 * exit(3) knows no environments, so the list of who is to be flushed is the process's: the
 * one writable global of this addon, guarded by a mutex. There may be several environments
 * (worker threads). Each entry is flushed only by the thread it belongs to: a worker thread
 * has ended, and flushed its own through its cleanup hook, before the main thread exits.
 */
#ifndef TSGI_EXIT_FLUSH_H
#define TSGI_EXIT_FLUSH_H

namespace tsgi {

/** Someone with output that must leave. */
class ExitFlushable {
  public:
    virtual ~ExitFlushable() = default;
    /**
     * The process ends: write what waits, blocking, for at most so long. Neither
     * JavaScript nor the loop may be touched.
     */
    virtual void FlushAtExit(int timeout_ms) = 0;
};

/** Time for all of them together. */
constexpr int kExitFlushMs = 1000;

/** From now on it is flushed if this thread ends the process. Any thread. */
void AddExitFlush(ExitFlushable *flushable);
/** Must be called, by the same thread, before it is deleted. Safe if it was not added. */
void RemoveExitFlush(ExitFlushable *flushable);

} // namespace tsgi
#endif
