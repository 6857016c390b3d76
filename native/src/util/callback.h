/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file callback.h
 * A JavaScript function that is called from the event loop. JavaScript thread only.
 */
#ifndef TSGI_UTIL_CALLBACK_H
#define TSGI_UTIL_CALLBACK_H

#include <napi.h>

#include <vector>

namespace tsgi {

/**
 * Calls within a callback scope that is open. A throw goes where every uncaught error goes
 * ('uncaughtException', or the end of the process).
 */
inline void CallInScope(napi_env env, napi_value self, napi_value function,
                        const std::vector<napi_value> &args)
{
    napi_value result = nullptr;
    if (napi_call_function(env, self, function, args.size(), args.data(), &result) ==
        napi_ok) {
        return;
    }
    napi_value error = nullptr;
    bool is_pending = false;
    if (napi_is_exception_pending(env, &is_pending) == napi_ok && is_pending &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok) {
        napi_fatal_exception(env, error);
    }
}

class Callback {
  public:
    Callback(Napi::Function function, const char *name)
        : env_(function.Env()), function_(Napi::Persistent(function)),
          context_(env_, name)
    {
    }
    Callback(const Callback &) = delete;
    Callback &operator=(const Callback &) = delete;

    /**
     * @param make gives the arguments, within the scopes. Ticks and microtasks have run
     *        when this returns; whatever owns this callback may be gone by then.
     */
    template <typename Make>
    void Call(Make make)
    {
        napi_env env = env_;
        napi_handle_scope handles = nullptr;
        napi_callback_scope callback = nullptr;
        if (napi_open_handle_scope(env, &handles) != napi_ok) {
            return; /* the environment ends */
        }
        napi_value self = nullptr;
        if (napi_create_object(env, &self) == napi_ok &&
            napi_open_callback_scope(env, self, context_, &callback) == napi_ok) {
            CallInScope(env, env_.Undefined(), function_.Value(), make(env_));
            napi_close_callback_scope(env, callback);
        }
        napi_close_handle_scope(env, handles);
    }

  private:
    Napi::Env env_;
    Napi::FunctionReference function_;
    Napi::AsyncContext context_;
};

/** @return a function that returns `new constructor(...arguments)`. */
inline Napi::Function FactoryOf(Napi::Function constructor, const char *name)
{
    auto *reference = new Napi::FunctionReference(Napi::Persistent(constructor));
    Napi::Function factory = Napi::Function::New(
        constructor.Env(),
        [reference](const Napi::CallbackInfo &info) -> Napi::Value {
            return reference->New({info[0], info[1]});
        },
        name);
    factory.AddFinalizer([](Napi::Env, Napi::FunctionReference *data) { delete data; },
                         reference);
    return factory;
}

} // namespace tsgi
#endif
