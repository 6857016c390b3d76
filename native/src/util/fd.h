/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file fd.h
 * A file descriptor that is closed when its owner goes. Any thread; no locking.
 */
#ifndef TSGI_UTIL_FD_H
#define TSGI_UTIL_FD_H

#include <unistd.h>

#include <utility>

namespace tsgi {

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd)
    {
    }
    Fd(Fd &&other) noexcept : fd_(other.Release())
    {
    }
    Fd &operator=(Fd &&other) noexcept
    {
        if (this != &other) {
            Reset(other.Release());
        }
        return *this;
    }
    Fd(const Fd &) = delete;
    Fd &operator=(const Fd &) = delete;
    ~Fd()
    {
        Reset();
    }

    /** -1 when there is none. */
    int get() const
    {
        return fd_;
    }
    explicit operator bool() const
    {
        return fd_ >= 0;
    }
    /** Gives the descriptor away; it is no longer closed here. */
    int Release()
    {
        return std::exchange(fd_, -1);
    }
    void Reset(int fd = -1)
    {
        if (fd_ >= 0) {
            /* After EINTR Linux has closed it all the same: never tried again. */
            close(fd_);
        }
        fd_ = fd;
    }

  private:
    int fd_ = -1;
};

} // namespace tsgi
#endif
