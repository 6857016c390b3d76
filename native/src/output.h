/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file output.h
 * The bytes that wait to be written on one connection: one contiguous block, filled at its
 * end and emptied from its front. Loop thread only.
 */
#ifndef TSGI_OUTPUT_H
#define TSGI_OUTPUT_H

#include <cstddef>
#include <cstdint>

namespace tsgi {

class Output {
  public:
    Output() = default;
    Output(const Output &) = delete;
    Output &operator=(const Output &) = delete;
    ~Output();

    const uint8_t *data() const
    {
        return data_ + begin_;
    }
    size_t size() const
    {
        return end_ - begin_;
    }
    bool empty() const
    {
        return begin_ == end_;
    }

    /**
     * Room for n bytes behind the last one; they count only after Commit(). The pointer is
     * good until the next call of a method that is not const.
     * @return null when there is no memory.
     */
    uint8_t *Reserve(size_t n);
    /** @param n at most what was reserved. */
    void Commit(size_t n)
    {
        end_ += n;
    }
    /** @return false when there is no memory; then nothing was appended. */
    bool Append(const void *bytes, size_t n);
    /** A whole frame: header and payload. @return as Append(). */
    bool AppendFrame(uint8_t type, uint8_t flags, const void *payload, size_t n);
    /** The first n bytes have been written. */
    void Consume(size_t n);
    /** Drops everything and gives the memory back. */
    void Clear();

  private:
    uint8_t *data_ = nullptr;
    size_t capacity_ = 0;
    size_t begin_ = 0;
    size_t end_ = 0;
};

} // namespace tsgi
#endif
