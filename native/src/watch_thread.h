/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file watch_thread.h
 * A thread that reads the control socket, whatever the event loop does: a loop that is
 * blocked sees neither the end of the stream nor a signal. It hands lines over through a
 * function of its owner, ends the process group when a deadline passes, and tells the
 * supervisor when the event loop is blocked (see deadlock.h).
 *
 * The owner's thread is the loop's, and calls everything that is public here. The functions
 * of the sink are called by the watch thread.
 */
#ifndef TSGI_WATCH_THREAD_H
#define TSGI_WATCH_THREAD_H

#include <pthread.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "deadlock.h"
#include "util/fd.h"

namespace tsgi {

class WatchThread : private Deadlock::Outlet {
  public:
    /** Where lines go; called by the watch thread, must not block for long. */
    class Sink {
      public:
        virtual ~Sink() = default;
        virtual void OnLine(std::string line) = 0;
        /** The supervisor has gone; Apache, whose parent is `apache`, lives. */
        virtual void OnEnd() = 0;
        /** The supervisor has gone, and so has Apache, or nobody knows whether it lives. Once. */
        virtual void OnApacheEnd() = 0;
        /** The loop is to call Answer(). */
        virtual void OnAsk() = 0;
    };

    /** How long the process may live at most, whatever the loop does. */
    struct Limits {
        int orphan_ms;  /**< after the supervisor's end, while Apache lives */
        int abandon_ms; /**< after the end of both */
    };

    /**
     * @param fd stays the caller's, open until Stop(). sink: likewise.
     * @param apache the pid of Apache's parent; 0 if it is not known
     */
    WatchThread(napi_env env, int fd, pid_t apache, Limits limits, Sink *sink);
    WatchThread(const WatchThread &) = delete;
    WatchThread &operator=(const WatchThread &) = delete;
    ~WatchThread() override;

    /** @return 0 or an errno; *syscall is the call that failed. */
    int Start(const char **syscall);
    /** Disarms and joins the thread. May be called again. */
    void Stop();
    /** SIGKILL to the own process group in so many ms; 0 disarms. */
    void HardKill(int ms);
    /** From now on the supervisor hears when the loop is blocked for so long. Once, ms > 0. */
    void Guard(int ms);
    /** The loop has come to a question of OnAsk(). */
    void Answer(bool is_debugged);

  private:
    static void *Main(void *self);
    void Run();
    bool Wait(int64_t until, bool *readable);
    void Ask() override;
    bool Send(const std::string &line) override;
    void Read();
    void TakeLines(const char *bytes, size_t n);
    void End();
    void Abandon();
    void KillWithin(int ms);
    void Wake();
    [[noreturn]] static void KillGroup();

    const int fd_;
    const Limits limits_;
    Sink *const sink_;
    Fd apache_; /**< pidfd; none: Apache counts as gone, as where the kernel has no pidfd_open(2) */
    Fd wake_; /**< eventfd: look at stop_ and deadline_ again */
    pthread_t thread_ = {};
    bool running_ = false;
    std::atomic<bool> stop_{false};
    std::atomic<int64_t> deadline_ms_{0}; /**< of the monotonic clock, 0 = none */
    /* The thread's own. */
    bool ended_ = false;     /**< the supervisor has gone */
    bool abandoned_ = false; /**< and Apache, too */
    bool skipping_ = false;  /**< the rest of a line that is too long */
    std::string line_;
    Deadlock deadlock_; /**< its own sharing of threads */
};

} // namespace tsgi
#endif
