/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file errno_error.h
 * Failures of system calls as JavaScript errors of Node's own form: `code`, `errno`,
 * `syscall`. JavaScript thread only.
 */
#ifndef TSGI_UTIL_ERRNO_ERROR_H
#define TSGI_UTIL_ERRNO_ERROR_H

#include <napi.h>
#include <uv.h>

#include <cstring>
#include <string>

namespace tsgi {

/** @param error an errno, positive. The result is not thrown yet. */
inline Napi::Error ErrnoError(Napi::Env env, int error, const char *syscall)
{
    const std::string code = uv_err_name(-error);
    Napi::Error result =
        Napi::Error::New(env, code + ": " + strerror(error) + ", " + syscall);
    result.Set("code", Napi::String::New(env, code));
    result.Set("errno", Napi::Number::New(env, -error));
    result.Set("syscall", Napi::String::New(env, syscall));
    return result;
}

/** As ErrnoError(), pending in JavaScript when the native function returns. */
inline void ThrowErrno(Napi::Env env, int error, const char *syscall)
{
    ErrnoError(env, error, syscall).ThrowAsJavaScriptException();
}

/** A TypeError with a `code`, pending when the native function returns. */
inline void ThrowTypeError(Napi::Env env, const char *code, const std::string &message)
{
    Napi::TypeError error = Napi::TypeError::New(env, message);
    error.Set("code", Napi::String::New(env, code));
    error.ThrowAsJavaScriptException();
}

} // namespace tsgi
#endif
