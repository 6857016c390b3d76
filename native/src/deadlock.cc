/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "deadlock.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "thread_state.h"

namespace tsgi {

static constexpr int64_t kLongestPeriod = 5000;
/* How long JavaScript may take to come to a point where it can be interrupted. */
static constexpr int64_t kInterruptMs = 1000;
static constexpr int64_t kLookMs = 20;
static constexpr int64_t kSendAgainMs = 100;

Deadlock::Deadlock(napi_env env, Outlet *outlet)
    : outlet_(outlet), tid_(static_cast<pid_t>(syscall(SYS_gettid))), probe_(env)
{
}

void Deadlock::Begin(int timeout_ms)
{
    timeout_ms_ = timeout_ms;
}

void Deadlock::Answer(bool is_debugged)
{
    is_debugged_ = is_debugged;
    answered_++;
}

bool Deadlock::IsAnswered() const
{
    return answered_ == asked_;
}

int64_t Deadlock::Tick(int64_t now)
{
    if (timeout_ms_ == 0) {
        return INT64_MAX;
    }
    if (state_ == State::kOff) {
        state_ = State::kWatching;
        beat_at_ = now;
    }
    else {
        asked_at_ += std::max<int64_t>(now - expected_at_, 0);
    }
    if (now >= beat_at_) {
        beat_at_ = now + std::min<int64_t>(timeout_ms_ / 4, kLongestPeriod);
        /* One that cannot be sent is not missed: the supervisor does not read. */
        (void)outlet_->Send("{\"type\":\"beat\"}\n");
        if (state_ == State::kWatching && IsAnswered()) {
            asked_++;
            asked_at_ = now;
            outlet_->Ask();
        }
    }
    switch (state_) {
    case State::kWatching:
        Watch(now);
        break;
    case State::kInterrupting:
        Interrupt(now);
        break;
    case State::kReporting:
        Report();
        break;
    case State::kOff:
    case State::kReported:
        break;
    }
    expected_at_ = Due(now);
    return expected_at_;
}

void Deadlock::Watch(int64_t now)
{
    if (IsAnswered() || is_debugged_ || now - asked_at_ < timeout_ms_) {
        return;
    }
    interrupted_at_ = now;
    state_ = State::kInterrupting;
    if (!probe_.Request()) {
        report_ = "\"native\":\"this Node.js does not tell its stack; " +
                  ThreadState(tid_) + '"';
        state_ = State::kReporting;
        Report();
    }
}

void Deadlock::Interrupt(int64_t now)
{
    std::string stack;
    if (IsAnswered()) {
        probe_.Cancel();
        state_ = State::kWatching; /* it came back at the last moment */
        return;
    }
    if (probe_.Take(&stack)) {
        report_ = "\"stack\":\"" + stack + '"';
    }
    else if (now - interrupted_at_ < kInterruptMs) {
        return;
    }
    else {
        probe_.Cancel();
        report_ = "\"native\":\"" + ThreadState(tid_) + '"';
    }
    state_ = State::kReporting;
    Report();
}

void Deadlock::Report()
{
    if (outlet_->Send("{\"type\":\"blocked\"," + report_ + "}\n")) {
        state_ = State::kReported;
    }
}

int64_t Deadlock::Due(int64_t now) const
{
    switch (state_) {
    case State::kWatching:
        return IsAnswered() || is_debugged_
                   ? beat_at_
                   : std::min(beat_at_, std::max(asked_at_ + timeout_ms_, now));
    case State::kInterrupting:
        return std::min(beat_at_, now + kLookMs);
    case State::kReporting:
        return std::min(beat_at_, now + kSendAgainMs);
    default:
        return beat_at_;
    }
}

} // namespace tsgi
