/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "util/errno_error.h"
#include "util/fd.h"
#include "wire/tsgi_wire.h"

namespace tsgi {

/* Connections refused in one call: more than any backlog holds. */
static constexpr int kMostRefused = 8192;

/* Reads the argument at a position as an integer in a range, or throws. */
static bool ReadInteger(const Napi::CallbackInfo &info, size_t at, const char *what,
                        int32_t low, int32_t high, int32_t *out)
{
    if (info[at].IsNumber() &&
        napi_get_value_int32(info.Env(), info[at], out) == napi_ok && *out >= low &&
        *out <= high) {
        return true;
    }
    ThrowTypeError(info.Env(), "ERR_INVALID_ARG_VALUE",
                   std::string(what) + " is expected to be an integer from " +
                       std::to_string(low) + " to " + std::to_string(high));
    return false;
}

static void CloseOnExec(const Napi::CallbackInfo &info)
{
    int32_t fd;
    if (!ReadInteger(info, 0, "closeOnExec: fd", 0, INT32_MAX, &fd)) {
        return;
    }
    const int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
        ThrowErrno(info.Env(), errno, "fcntl");
    }
}

static void IgnoreSignal(const Napi::CallbackInfo &info)
{
    int32_t number;
    if (!ReadInteger(info, 0, "ignoreSignal: signal", 1, 64, &number)) {
        return;
    }
    struct sigaction action = {};
    action.sa_handler = SIG_IGN;
    if (sigaction(number, &action, nullptr) != 0) {
        ThrowErrno(info.Env(), errno, "sigaction");
    }
}

static Napi::Value SetParentDeathSignal(const Napi::CallbackInfo &info)
{
    int32_t signal, parent;
    if (!ReadInteger(info, 0, "setParentDeathSignal: signal", 0, 64, &signal) ||
        !ReadInteger(info, 1, "setParentDeathSignal: parent", 1, INT32_MAX, &parent)) {
        return info.Env().Undefined();
    }
    if (prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(signal), 0, 0, 0) != 0) {
        ThrowErrno(info.Env(), errno, "prctl");
        return info.Env().Undefined();
    }
    /* Asked after the call: had the parent gone before it, no signal would ever come. */
    return Napi::Boolean::New(info.Env(), getppid() == parent);
}

/* Descriptors that must never block the loop, whoever made them. @return 0 or an errno. */
static int MakeNonBlocking(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        return errno;
    }
    if ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return errno;
    }
    return 0;
}

static void FatalException(const Napi::CallbackInfo &info)
{
    (void)napi_fatal_exception(info.Env(), info[0]);
}

static Napi::Value RefuseAll(const Napi::CallbackInfo &info)
{
    int32_t listener, code, retry_after;
    if (!ReadInteger(info, 0, "refuseAll: listenFd", 0, INT32_MAX, &listener) ||
        !ReadInteger(info, 1, "refuseAll: code", 1, 9999, &code) ||
        !ReadInteger(info, 2, "refuseAll: retryAfter", 0, UINT16_MAX, &retry_after)) {
        return info.Env().Undefined();
    }
    const int error = MakeNonBlocking(listener);
    if (error != 0) {
        ThrowErrno(info.Env(), error, "fcntl");
        return info.Env().Undefined();
    }
    tsgi_unavailable_t unavailable = {};
    unavailable.code = static_cast<uint16_t>(code);
    unavailable.retry_after = static_cast<uint16_t>(retry_after);
    uint8_t frame[TSGI_FRAME_HEADER + TSGI_UNAVAILABLE_SIZE];
    tsgi_unavailable_encode(frame, &unavailable);
    int refused = 0;
    while (refused < kMostRefused) {
        const Fd fd(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (fd) {
            /* A peer that has gone does not want it any more. */
            (void)!send(fd.get(), frame, sizeof(frame), MSG_NOSIGNAL | MSG_DONTWAIT);
            refused++;
        }
        else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        }
        else if (errno != EINTR && errno != ECONNABORTED) {
            ThrowErrno(info.Env(), errno, "accept4");
            return info.Env().Undefined();
        }
    }
    return Napi::Number::New(info.Env(), refused);
}

/* @return undefined when nobody waits; an exception may be pending. */
static Napi::Value AcceptPeer(const Napi::CallbackInfo &info)
{
    const Napi::Env env = info.Env();
    int32_t listener;
    if (!ReadInteger(info, 0, "acceptPeer: listenFd", 0, INT32_MAX, &listener)) {
        return env.Undefined();
    }
    const int error = MakeNonBlocking(listener);
    if (error != 0) {
        ThrowErrno(env, error, "fcntl");
        return env.Undefined();
    }
    int accepted;
    do {
        accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (accepted < 0 && (errno == EINTR || errno == ECONNABORTED));
    Fd fd(accepted);
    if (!fd) {
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            ThrowErrno(env, errno, "accept4");
        }
        return env.Undefined();
    }
    struct ucred peer = {};
    socklen_t size = sizeof(peer);
    if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        ThrowErrno(env, errno, "getsockopt");
        return env.Undefined();
    }
    Napi::Object result = Napi::Object::New(env);
    result.Set("uid", Napi::Number::New(env, peer.uid));
    result.Set("fd", Napi::Number::New(env, fd.Release()));
    return result;
}

static Napi::Value WritePacket(const Napi::CallbackInfo &info)
{
    int32_t fd;
    void *bytes = nullptr;
    size_t n = 0;
    if (!ReadInteger(info, 0, "writePacket: fd", 0, INT32_MAX, &fd)) {
        return info.Env().Undefined();
    }
    if (!info[1].IsBuffer() ||
        napi_get_buffer_info(info.Env(), info[1], &bytes, &n) != napi_ok) {
        ThrowTypeError(info.Env(), "ERR_INVALID_ARG_TYPE",
                       "writePacket: the packet is expected to be a Uint8Array");
        return info.Env().Undefined();
    }
    const int error = MakeNonBlocking(fd);
    if (error != 0) {
        return Napi::Number::New(info.Env(), error);
    }
    ssize_t written;
    do {
        written = write(fd, bytes, n);
    } while (written < 0 && errno == EINTR);
    return Napi::Number::New(info.Env(), written < 0 ? errno : 0);
}

template <typename Function>
static void Define(Napi::Env env, Napi::Object exports, const char *name,
                   Function function)
{
    exports.Set(name, Napi::Function::New(env, function, name));
}

void DefineProcess(Napi::Env env, Napi::Object exports)
{
    Define(env, exports, "closeOnExec", CloseOnExec);
    Define(env, exports, "setParentDeathSignal", SetParentDeathSignal);
    Define(env, exports, "ignoreSignal", IgnoreSignal);
    Define(env, exports, "fatalException", FatalException);
    Define(env, exports, "refuseAll", RefuseAll);
    Define(env, exports, "acceptPeer", AcceptPeer);
    Define(env, exports, "writePacket", WritePacket);
}

} // namespace tsgi
