/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "readable.h"

#include "addon.h"
#include "util/errno_error.h"

namespace tsgi {

Napi::Function ReadableWatcher::Define(Napi::Env env)
{
    return FactoryOf(DefineClass(env, "ReadableWatcher",
                                 {
                                     InstanceMethod<&ReadableWatcher::JsStart>("start"),
                                     InstanceMethod<&ReadableWatcher::JsStop>("stop"),
                                     InstanceMethod<&ReadableWatcher::JsClose>("close"),
                                 }),
                     "watchReadable");
}

ReadableWatcher::ReadableWatcher(const Napi::CallbackInfo &info)
    : Napi::ObjectWrap<ReadableWatcher>(info)
{
    const Napi::Env env = info.Env();
    if (!info[0].IsNumber() || !info[1].IsFunction()) {
        ThrowTypeError(env, "ERR_INVALID_ARG_TYPE",
                       "watchReadable: expected a descriptor and a function");
        return;
    }
    const int fd = info[0].As<Napi::Number>().Int32Value();
    loop_ = Addon::Of(env)->loop();
    const int error = poll_.Open(loop_, this, [this, fd](uv_poll_t *handle) {
        return uv_poll_init(loop_->uv(), handle, fd);
    });
    if (error < 0) {
        ThrowErrno(env, -error, "uv_poll_init");
        return;
    }
    on_readable_ =
        std::make_unique<Callback>(info[1].As<Napi::Function>(), "TSGIREADABLE");
    loop_->Add(this);
}

ReadableWatcher::~ReadableWatcher()
{
    if (loop_) {
        loop_->Remove(this);
    }
}

void ReadableWatcher::JsStart(const Napi::CallbackInfo &info)
{
    if (!poll_ || started_) {
        return;
    }
    const int error = uv_poll_start(poll_.get(), UV_READABLE, &ReadableWatcher::OnPoll);
    if (error < 0) {
        ThrowErrno(info.Env(), -error, "uv_poll_start");
        return;
    }
    started_ = true;
    Ref();
}

void ReadableWatcher::Stop()
{
    if (started_) {
        started_ = false;
        uv_poll_stop(poll_.get());
        Unref();
    }
}

void ReadableWatcher::JsStop(const Napi::CallbackInfo &)
{
    Stop();
}

void ReadableWatcher::JsClose(const Napi::CallbackInfo &)
{
    Stop();
    poll_.Close();
}

void ReadableWatcher::EnvironmentEnds()
{
    Stop();
    poll_.Close();
}

void ReadableWatcher::OnPoll(uv_poll_t *handle, int status, int)
{
    ReadableWatcher *self = UvPoll::OwnerOf<ReadableWatcher>(handle);
    if (status < 0) {
        /* libuv has stopped it; the caller finds out what is wrong when it reads. */
        self->Stop();
    }
    self->on_readable_->Call([](Napi::Env) { return std::vector<napi_value>(); });
}

} // namespace tsgi
