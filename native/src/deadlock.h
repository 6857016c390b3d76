/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file deadlock.h
 * Whether the event loop still turns. The watch thread asks it, again and again, for an
 * answer that only a loop gives which gets to its events: one that waits for some, in
 * whatever phase, answers at once; one that runs the same callback for ever does not. When
 * the answer is due for too long, the stack of what runs is taken and told to the
 * supervisor, which decides. The same beat tells the supervisor that this thread runs.
 *
 *   off ──Begin()──▶ watching ──no answer in time──▶ interrupting ──stack, or 1 s──▶ reporting
 *                       ▲                                │                              │ sent
 *                       └────────────an answer───────────┘                           reported
 *
 * Time in which the watch thread itself did not get to run does not count: the process was
 * stopped, or the machine.
 *
 * Begin() and Answer() are for the loop's thread, everything else is the watch thread's.
 */
#ifndef TSGI_DEADLOCK_H
#define TSGI_DEADLOCK_H

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "stack_probe.h"

namespace tsgi {

class Deadlock {
  public:
    /** What it does to the outside; called by the watch thread. */
    class Outlet {
      public:
        virtual ~Outlet() = default;
        /** The loop is to call Answer(), soon. */
        virtual void Ask() = 0;
        /** A line for the supervisor, its end included. @return false to be called again. */
        virtual bool Send(const std::string &line) = 0;
    };

    /** In the loop's thread. outlet outlives it. */
    Deadlock(napi_env env, Outlet *outlet);
    Deadlock(const Deadlock &) = delete;
    Deadlock &operator=(const Deadlock &) = delete;

    /** From now on. Once, timeout_ms > 0; the watch thread has to be woken. */
    void Begin(int timeout_ms);
    /** is_debugged: the loop may stop as long as it likes until the next answer. */
    void Answer(bool is_debugged);

    /** Does what is due. @return when to be called again, INT64_MAX: never. */
    int64_t Tick(int64_t now);

  private:
    enum class State { kOff, kWatching, kInterrupting, kReporting, kReported };

    bool IsAnswered() const;
    void Watch(int64_t now);
    void Interrupt(int64_t now);
    void Report();
    int64_t Due(int64_t now) const;

    Outlet *const outlet_;
    const pid_t tid_; /**< of the loop's thread */
    StackProbe probe_;
    std::atomic<int> timeout_ms_{0};
    std::atomic<bool> is_debugged_{false};
    std::atomic<uint32_t> answered_{0}; /**< questions */
    /* The watch thread's own. Times of the monotonic clock, in ms. */
    State state_ = State::kOff;
    uint32_t asked_ = 0;      /**< questions; at most one is open */
    int64_t asked_at_ = 0;    /**< time that does not count has been added */
    int64_t beat_at_ = 0;     /**< the next one */
    int64_t expected_at_ = 0; /**< Tick() was to be called by then */
    int64_t interrupted_at_ = 0;
    std::string report_;
};

} // namespace tsgi
#endif
