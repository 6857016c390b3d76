/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "thread_state.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "util/fd.h"

namespace tsgi {

static constexpr size_t kLongestWord = 60;

/* Those in which a thread usually is when it waits for long. */
static const struct {
    long number;
    const char *name;
} kCalls[] = {
    {SYS_futex, "futex"},
    {SYS_read, "read"},
    {SYS_write, "write"},
    {SYS_pread64, "pread64"},
    {SYS_pwrite64, "pwrite64"},
    {SYS_readv, "readv"},
    {SYS_writev, "writev"},
    {SYS_openat, "openat"},
    {SYS_fsync, "fsync"},
    {SYS_fdatasync, "fdatasync"},
    {SYS_flock, "flock"},
    {SYS_fcntl, "fcntl"},
    {SYS_connect, "connect"},
    {SYS_recvfrom, "recvfrom"},
    {SYS_recvmsg, "recvmsg"},
    {SYS_sendto, "sendto"},
    {SYS_sendmsg, "sendmsg"},
    {SYS_accept4, "accept4"},
    {SYS_ppoll, "ppoll"},
    {SYS_epoll_pwait, "epoll_pwait"},
#ifdef SYS_poll
    {SYS_poll, "poll"},
    {SYS_epoll_wait, "epoll_wait"},
#endif
    {SYS_clock_nanosleep, "clock_nanosleep"},
    {SYS_nanosleep, "nanosleep"},
    {SYS_wait4, "wait4"},
    {SYS_waitid, "waitid"},
};

/* @return the beginning of /proc/self/task/<tid>/<name>, or nothing. */
static std::string ReadTask(pid_t tid, const char *name)
{
    const std::string path = "/proc/self/task/" + std::to_string(tid) + '/' + name;
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char bytes[256];
    const ssize_t n = fd ? read(fd.get(), bytes, sizeof(bytes)) : -1;
    return std::string(bytes, n > 0 ? static_cast<size_t>(n) : 0);
}

/* What may stand in a message as it is. */
static std::string FirstWord(const std::string &text)
{
    const size_t end = text.find_first_not_of(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    return text.substr(0, end == std::string::npos ? kLongestWord
                                                   : std::min(end, kLongestWord));
}

static std::string CallText(const std::string &word)
{
    char *end = nullptr;
    const long number = strtol(word.c_str(), &end, 10);
    if (word.empty() || *end != '\0' || number < 0) {
        return "";
    }
    for (const auto &call : kCalls) {
        if (call.number == number) {
            return ", system call " + word + " (" + call.name + ')';
        }
    }
    return ", system call " + word;
}

std::string ThreadState(pid_t tid)
{
    const std::string stat = ReadTask(tid, "stat");
    const size_t name_end = stat.rfind(") ");
    std::string text =
        "state " + (name_end == std::string::npos ? std::string("unknown")
                                                  : FirstWord(stat.substr(name_end + 2)));
    const std::string where = FirstWord(ReadTask(tid, "wchan"));
    if (!where.empty() && where != "0") {
        text += ", waits in " + where;
    }
    return text + CallText(FirstWord(ReadTask(tid, "syscall")));
}

} // namespace tsgi
