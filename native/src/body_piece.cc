/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "body_piece.h"

namespace tsgi {

bool BodyPiece::Open(napi_env env, size_t size)
{
    napi_value buffer = nullptr;
    void *bytes = nullptr;
    Drop();
    /* Its memory is V8's, but not on the heap that moves: it stays where it is. */
    if (napi_create_buffer(env, size, &bytes, &buffer) != napi_ok ||
        napi_create_reference(env, buffer, 1, &held_) != napi_ok) {
        held_ = nullptr;
        return false;
    }
    env_ = env;
    bytes_ = static_cast<uint8_t *>(bytes);
    size_ = size;
    return true;
}

napi_value BodyPiece::Take()
{
    napi_value buffer = nullptr;
    if (napi_get_reference_value(env_, held_, &buffer) != napi_ok) {
        buffer = nullptr;
    }
    Drop();
    return buffer;
}

void BodyPiece::Drop()
{
    if (held_ != nullptr) {
        (void)napi_delete_reference(env_, held_);
    }
    held_ = nullptr;
    bytes_ = nullptr;
    size_ = filled_ = 0;
}

} // namespace tsgi
