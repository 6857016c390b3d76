/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file body_piece.h
 * A piece of a request body that is received straight into the Buffer that JavaScript gets:
 * nothing is copied. It may take several turns to fill, so it holds the Buffer alive.
 * JavaScript thread only, inside of a handle scope but for Drop() and the getters.
 */
#ifndef TSGI_BODY_PIECE_H
#define TSGI_BODY_PIECE_H

#include <node_api.h>

#include <cstddef>
#include <cstdint>

namespace tsgi {

class BodyPiece {
  public:
    BodyPiece() = default;
    BodyPiece(const BodyPiece &) = delete;
    BodyPiece &operator=(const BodyPiece &) = delete;
    ~BodyPiece()
    {
        Drop();
    }

    bool is_open() const
    {
        return held_ != nullptr;
    }
    bool is_full() const
    {
        return filled_ == size_;
    }
    size_t size() const
    {
        return size_;
    }
    /** Where the next bytes go, and how many fit. */
    uint8_t *end() const
    {
        return bytes_ + filled_;
    }
    size_t room() const
    {
        return size_ - filled_;
    }
    /** @return false when there is no memory: it is not open then. */
    bool Open(napi_env env, size_t size);
    /** n bytes were put at end(), at most room(). */
    void Commit(size_t n)
    {
        filled_ += n;
    }
    /** The Buffer; it is no longer held. Null if that failed. Only if full. */
    napi_value Take();
    void Drop();

  private:
    napi_env env_ = nullptr;
    napi_ref held_ = nullptr;
    uint8_t *bytes_ = nullptr;
    size_t size_ = 0, filled_ = 0;
};

} // namespace tsgi
#endif
