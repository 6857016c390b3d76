/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file watch_thread.h
 * A thread that reads the control socket, whatever the event loop does: a loop that is
 * blocked sees neither the end of the stream nor a signal. It hands lines over through a
 * function of its owner, and ends the process group when a deadline passes.
 *
 * Start(), Stop() and HardKill() are for the owner's thread. The two functions of the sink
 * are called by the watch thread.
 */
#ifndef TSGI_WATCH_THREAD_H
#define TSGI_WATCH_THREAD_H

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "util/fd.h"

namespace tsgi {

class WatchThread {
  public:
    /** Where lines go; called by the watch thread, must not block for long. */
    class Sink {
      public:
        virtual ~Sink() = default;
        virtual void OnLine(std::string line) = 0;
        virtual void OnEnd() = 0;
    };

    /** @param fd stays the caller's, open until Stop(). sink: likewise. */
    WatchThread(int fd, int hard_kill_ms, Sink *sink);
    WatchThread(const WatchThread &) = delete;
    WatchThread &operator=(const WatchThread &) = delete;
    ~WatchThread();

    /** @return 0 or an errno; *syscall is the call that failed. */
    int Start(const char **syscall);
    /** Disarms and joins the thread. May be called again. */
    void Stop();
    /** SIGKILL to the own process group in so many ms; 0 disarms. */
    void HardKill(int ms);

  private:
    static void *Main(void *self);
    void Run();
    bool Wait(bool *readable);
    void Read();
    void TakeLines(const char *bytes, size_t n);
    void End();
    void Wake();
    [[noreturn]] static void KillGroup();

    const int fd_;
    const int hard_kill_ms_;
    Sink *const sink_;
    Fd wake_; /**< eventfd: look at stop_ and deadline_ again */
    pthread_t thread_ = {};
    bool running_ = false;
    std::atomic<bool> stop_{false};
    std::atomic<int64_t> deadline_ms_{0}; /**< of the monotonic clock, 0 = none */
    /* The thread's own. */
    bool ended_ = false;
    bool skipping_ = false; /**< the rest of a line that is too long */
    std::string line_;
};

} // namespace tsgi
#endif
