/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "watch_thread.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>

namespace tsgi {

static constexpr size_t kLongestLine = size_t{1024} * 1024;
static constexpr size_t kStack = size_t{256} * 1024;

static int64_t NowMs()
{
    struct timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

WatchThread::WatchThread(napi_env env, int fd, pid_t apache, Limits limits, Sink *sink)
    : fd_(fd), limits_(limits), sink_(sink), deadlock_(env, this)
{
    if (apache > 0) {
        /* The descriptor has FD_CLOEXEC by itself. */
        apache_.Reset(static_cast<int>(syscall(SYS_pidfd_open, apache, 0)));
    }
}

WatchThread::~WatchThread()
{
    Stop();
}

int WatchThread::Start(const char **syscall)
{
    *syscall = "eventfd";
    wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_) {
        return errno;
    }
    *syscall = "pthread_create";
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0) {
        return error;
    }
    (void)pthread_attr_setstacksize(&attributes, kStack);
    /* The thread inherits the mask: no signal of the process is ever handled on it. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread_, &attributes, &WatchThread::Main, this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    running_ = error == 0;
    return error;
}

void WatchThread::Stop()
{
    if (running_) {
        running_ = false;
        stop_ = true;
        Wake();
        pthread_join(thread_, nullptr);
    }
}

void WatchThread::HardKill(int ms)
{
    deadline_ms_ = ms == 0 ? 0 : NowMs() + ms;
    Wake();
}

void WatchThread::Guard(int ms)
{
    deadlock_.Begin(ms);
    Wake();
}

void WatchThread::Answer(bool is_debugged)
{
    deadlock_.Answer(is_debugged);
}

void WatchThread::Ask()
{
    sink_->OnAsk();
}

/*
 * Lines of the loop's thread go the same way. One of this length is taken whole or not at
 * all, so that neither gets into the middle of the other.
 */
bool WatchThread::Send(const std::string &line)
{
    const ssize_t n = send(fd_, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return n >= 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK);
}

void WatchThread::Wake()
{
    const uint64_t one = 1;
    ssize_t n;
    do {
        n = write(wake_.get(), &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
    /* EAGAIN: it is so often awake already that the counter is full. */
}

void *WatchThread::Main(void *self)
{
    static_cast<WatchThread *>(self)->Run();
    return nullptr;
}

void WatchThread::Run()
{
    bool readable = false;
    while (Wait(deadlock_.Tick(NowMs()), &readable)) {
        if (readable) {
            Read();
        }
    }
}

/* Until something comes or a deadline passes. @return false to end the thread. */
bool WatchThread::Wait(int64_t until, bool *readable)
{
    const bool listens = ended_ && !abandoned_;
    struct pollfd fds[3] = {{ended_ ? -1 : fd_, POLLIN | POLLRDHUP, 0},
                            {wake_.get(), POLLIN, 0},
                            {listens ? apache_.get() : -1, POLLIN, 0}};
    int timeout = -1;
    const int64_t kill_at = deadline_ms_;
    const int64_t deadline = kill_at == 0 ? until : std::min(until, kill_at);
    if (deadline != INT64_MAX) {
        timeout = static_cast<int>(
            std::min<int64_t>(std::max<int64_t>(deadline - NowMs(), 0), INT_MAX));
    }
    const int n = poll(fds, 3, timeout);
    if (stop_) {
        return false;
    }
    const int64_t now_valid = deadline_ms_;
    if (now_valid != 0 && NowMs() >= now_valid) {
        KillGroup();
    }
    if (n > 0 && fds[1].revents != 0) {
        uint64_t count;
        (void)!read(wake_.get(), &count, sizeof(count));
    }
    if (n > 0 && fds[2].revents != 0) {
        Abandon();
    }
    *readable = n > 0 && fds[0].revents != 0;
    return true;
}

void WatchThread::Read()
{
    char bytes[16 * 1024];
    ssize_t n = recv(fd_, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && errno == ENOTSOCK) {
        n = read(fd_, bytes, sizeof(bytes)); /* a pipe; poll said that it can be read */
    }
    if (n > 0) {
        TakeLines(bytes, static_cast<size_t>(n));
    }
    else if (n == 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)) {
        End();
    }
}

void WatchThread::TakeLines(const char *bytes, size_t n)
{
    while (n > 0) {
        const char *newline = static_cast<const char *>(memchr(bytes, '\n', n));
        const size_t piece =
            newline == nullptr ? n : static_cast<size_t>(newline - bytes);
        if (!skipping_) {
            line_.append(bytes, piece);
            skipping_ = line_.size() > kLongestLine;
        }
        if (newline == nullptr) {
            return;
        }
        if (!skipping_) {
            sink_->OnLine(std::move(line_));
        }
        line_.clear();
        skipping_ = false;
        bytes += piece + 1;
        n -= piece + 1;
    }
}

void WatchThread::End()
{
    ended_ = true;
    struct pollfd apache = {apache_.get(), POLLIN, 0};
    if (!apache_ || poll(&apache, 1, 0) != 0) {
        Abandon();
        return;
    }
    KillWithin(limits_.orphan_ms);
    sink_->OnEnd();
}

void WatchThread::Abandon()
{
    abandoned_ = true;
    KillWithin(limits_.abandon_ms);
    sink_->OnApacheEnd();
}

/* An earlier deadline stays. */
void WatchThread::KillWithin(int ms)
{
    const int64_t latest = NowMs() + ms;
    int64_t deadline = deadline_ms_;
    while ((deadline == 0 || deadline > latest) &&
           !deadline_ms_.compare_exchange_weak(deadline, latest)) {
    }
}

/* Everything that the app has started goes with it, if the group is its own. */
void WatchThread::KillGroup()
{
    const pid_t group = getpgrp();
    if (group == getpid()) {
        kill(-group, SIGKILL);
    }
    _exit(128 + SIGKILL);
}

} // namespace tsgi
