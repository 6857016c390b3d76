/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "output.h"

#include <cstdlib>
#include <cstring>

#include "wire/tsgi_wire.h"

namespace tsgi {

/* First allocation; holds most answers whole. */
static constexpr size_t kSmallest = size_t{4} * 1024;
/* An empty buffer over this size is given back: connections idle for long. */
static constexpr size_t kKept = size_t{64} * 1024;

Output::~Output()
{
    free(data_);
}

uint8_t *Output::Reserve(size_t n)
{
    if (n <= capacity_ - end_) {
        return data_ + end_;
    }
    const size_t used = size();
    if (n > SIZE_MAX / 4 - used) {
        return nullptr;
    }
    if (used + n <= capacity_ && begin_ >= capacity_ / 2) {
        memmove(data_, data_ + begin_, used);
    }
    else {
        size_t capacity = capacity_ < kSmallest ? kSmallest : capacity_;
        while (capacity < used + n) {
            capacity *= 2;
        }
        uint8_t *data = static_cast<uint8_t *>(malloc(capacity));
        if (data == nullptr) {
            return nullptr;
        }
        if (used > 0) {
            memcpy(data, data_ + begin_, used);
        }
        free(data_);
        data_ = data;
        capacity_ = capacity;
    }
    begin_ = 0;
    end_ = used;
    return data_ + end_;
}

bool Output::Append(const void *bytes, size_t n)
{
    if (n == 0) {
        return true; /* an empty buffer may have no memory at all */
    }
    uint8_t *p = Reserve(n);
    if (p == nullptr) {
        return false;
    }
    memcpy(p, bytes, n);
    Commit(n);
    return true;
}

bool Output::AppendFrame(uint8_t type, uint8_t flags, const void *payload, size_t n)
{
    uint8_t *p = Reserve(TSGI_FRAME_HEADER + n);
    if (p == nullptr) {
        return false;
    }
    tsgi_frame_encode(p, type, flags, static_cast<uint32_t>(n));
    if (n > 0) {
        memcpy(p + TSGI_FRAME_HEADER, payload, n);
    }
    Commit(TSGI_FRAME_HEADER + n);
    return true;
}

void Output::Consume(size_t n)
{
    begin_ += n;
    if (begin_ == end_) {
        begin_ = end_ = 0;
        if (capacity_ > kKept) {
            Clear();
        }
    }
}

void Output::Clear()
{
    free(data_);
    data_ = nullptr;
    capacity_ = begin_ = end_ = 0;
}

} // namespace tsgi
