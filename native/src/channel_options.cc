/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "channel_options.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cmath>
#include <cstring>

#include "util/errno_error.h"

namespace tsgi {

static bool ReadInteger(Napi::Object options, const char *name, int64_t low, int64_t high,
                        int64_t *out)
{
    const Napi::Value value = options.Get(name);
    if (value.IsNumber()) {
        const double number = value.As<Napi::Number>().DoubleValue();
        if (number == std::floor(number) && number >= static_cast<double>(low) &&
            number <= static_cast<double>(high)) {
            *out = static_cast<int64_t>(number);
            return true;
        }
    }
    ThrowTypeError(options.Env(), "ERR_INVALID_ARG_VALUE",
                   std::string("Channel: options.") + name +
                       " is expected to be an integer from " + std::to_string(low) +
                       " to " + std::to_string(high));
    return false;
}

static bool ReadBytes(Napi::Object options, const char *name, size_t size, uint8_t *out)
{
    const Napi::Value value = options.Get(name);
    if (value.IsTypedArray() &&
        value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
        const Napi::Uint8Array bytes = value.As<Napi::Uint8Array>();
        if (bytes.ByteLength() == size) {
            memcpy(out, bytes.Data(), size);
            return true;
        }
    }
    ThrowTypeError(options.Env(), "ERR_INVALID_ARG_VALUE",
                   std::string("Channel: options.") + name +
                       " is expected to be a Uint8Array of " + std::to_string(size) +
                       " bytes");
    return false;
}

/* Non-blocking and close-on-exec, if it is a socket that listens. */
static bool PrepareListener(Napi::Env env, int fd)
{
    int listens = 0;
    socklen_t size = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) {
        ThrowErrno(env, errno, "getsockopt");
        return false;
    }
    if (listens == 0) {
        ThrowTypeError(env, "ERR_INVALID_ARG_VALUE",
                       "Channel: options.fd is expected to be a listening socket");
        return false;
    }
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        ThrowErrno(env, errno, "fcntl");
        return false;
    }
    return true;
}

bool ReadChannelOptions(Napi::Object options, ServerOptions *out)
{
    int64_t fd, concurrency;
    int64_t greeting_ms = static_cast<int64_t>(out->greeting_ms);
    if (!ReadInteger(options, "fd", 0, INT32_MAX, &fd) ||
        !ReadBytes(options, "generation", sizeof(out->generation), out->generation) ||
        !ReadBytes(options, "secret", sizeof(out->secret), out->secret) ||
        !ReadInteger(options, "concurrency", 1, Exchanges::kMost, &concurrency) ||
        !ReadInteger(options, "peerUid", -1, UINT32_MAX, &out->peer_uid) ||
        (options.Has("greetingTimeoutMs") &&
         !ReadInteger(options, "greetingTimeoutMs", 1, INT32_MAX, &greeting_ms)) ||
        !PrepareListener(options.Env(), static_cast<int>(fd))) {
        return false;
    }
    out->greeting_ms = static_cast<uint64_t>(greeting_ms);
    out->concurrency = static_cast<uint32_t>(concurrency);
    out->listener.Reset(static_cast<int>(fd));
    return true;
}

} // namespace tsgi
