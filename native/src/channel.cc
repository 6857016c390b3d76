/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Life of a channel and the turn. The methods of one exchange are in channel_methods.cc. */
#include "channel.h"

#include "addon.h"
#include "channel_options.h"
#include "util/errno_error.h"

namespace tsgi {

Napi::Function Channel::Define(Napi::Env env)
{
    return DefineClass(env, "Channel",
                       {
                           InstanceAccessor<&Channel::JsEvents>("events"),
                           InstanceAccessor<&Channel::JsPayloads>("payloads"),
                           InstanceAccessor<&Channel::JsProgress>("progress"),
                           InstanceAccessor<&Channel::JsInHand>("inHand"),
                           InstanceMethod<&Channel::JsStart>("start"),
                           InstanceMethod<&Channel::JsStarted>("started"),
                           InstanceMethod<&Channel::JsSendContinue>("sendContinue"),
                           InstanceMethod<&Channel::JsInform>("inform"),
                           InstanceMethod<&Channel::JsRespond>("respond"),
                           InstanceMethod<&Channel::JsWrite>("write"),
                           InstanceMethod<&Channel::JsEnd>("end"),
                           InstanceMethod<&Channel::JsAbort>("abort"),
                           InstanceMethod<&Channel::JsRefuse>("refuse"),
                           InstanceMethod<&Channel::JsRequestSocket>("requestSocket"),
                           InstanceMethod<&Channel::JsHangUp>("hangUp"),
                           InstanceMethod<&Channel::JsLog>("log"),
                           InstanceMethod<&Channel::JsPause>("pause"),
                           InstanceMethod<&Channel::JsResume>("resume"),
                           InstanceMethod<&Channel::JsDrain>("drain"),
                           InstanceMethod<&Channel::JsFlush>("flush"),
                           InstanceMethod<&Channel::JsClose>("close"),
                           InstanceMethod<&Channel::JsRef>("ref"),
                           InstanceMethod<&Channel::JsUnref>("unref"),
                       });
}

Channel::Channel(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Channel>(info)
{
    const Napi::Env env = info.Env();
    if (!info[0].IsObject() || !info[0].As<Napi::Object>().Get("onEvents").IsFunction()) {
        ThrowTypeError(env, "ERR_INVALID_ARG_TYPE",
                       "Channel: expected an object with a function onEvents");
        return;
    }
    const Napi::Object options = info[0].As<Napi::Object>();
    ServerOptions server_options;
    if (!ReadChannelOptions(options, &server_options)) {
        return;
    }
    loop_ = Addon::Of(env)->loop();
    batch_ = std::make_unique<EventBatch>(env);
    context_ = std::make_unique<Napi::AsyncContext>(env, "TSGICHANNEL");
    on_events_ = Napi::Persistent(options.Get("onEvents").As<Napi::Function>());
    if (options.Get("onLog").IsFunction()) {
        on_log_ = Napi::Persistent(options.Get("onLog").As<Napi::Function>());
    }
    server_ = std::make_unique<Server>(loop_, std::move(server_options),
                                       static_cast<Server::Turn *>(this));
    const int error = server_->Open();
    if (error < 0) {
        server_->Close();
        ThrowErrno(env, -error, "uv_check_init");
        return;
    }
    loop_->Add(this);
    AddExitFlush(this);
    Ref();
}

Channel::~Channel()
{
    if (server_) {
        server_->Close();
    }
    if (loop_) {
        loop_->Remove(this);
    }
    RemoveExitFlush(this);
}

void Channel::Close()
{
    if (server_->closed()) {
        return;
    }
    server_->Close();
    loop_->Remove(this);
    RemoveExitFlush(this);
    Unref();
}

void Channel::EnvironmentEnds()
{
    server_->FlushBlocking(kExitFlushMs);
    Close();
}

void Channel::FlushAtExit(int timeout_ms)
{
    server_->EnterExit();
    for (const int32_t id : batch_->RequestsNotReached()) {
        Connection *connection = server_->Find(id);
        if (connection != nullptr) {
            (void)connection->Refuse();
        }
    }
    server_->FlushBlocking(timeout_ms);
}

/* ---- the turn --------------------------------------------------------------------- */

/*
 * As napi_make_callback() does it, but with the reading inside of the scope as well: what is
 * read becomes JavaScript values at once. When the scope closes, ticks and microtasks run;
 * only then all output leaves.
 */
void Channel::RunTurn()
{
    napi_env env = Env();
    napi_handle_scope handles = nullptr;
    napi_callback_scope callback = nullptr;
    if (napi_open_handle_scope(env, &handles) != napi_ok) {
        return;
    }
    /* Keeps this object alive, even if it is closed and dropped by what is called now. */
    const Napi::Value self = Value();
    if (!self.IsEmpty() &&
        napi_open_callback_scope(env, self, *context_, &callback) == napi_ok) {
        batch_->Begin();
        server_->Collect(batch_.get());
        CallOnEvents();
        CallOnLog();
        napi_close_callback_scope(env, callback);
        server_->FlushDirty();
        server_->BuryGone();
    }
    napi_close_handle_scope(env, handles);
}

void Channel::CallOnEvents()
{
    if (batch_->count() == 0) {
        return;
    }
    if (batch_->Publish()) {
        napi_value count = nullptr;
        napi_create_uint32(Env(), batch_->count(), &count);
        Call(on_events_, {count});
    }
    batch_->End();
}

void Channel::CallOnLog()
{
    for (const LogLine &line : server_->TakeLog()) {
        if (!on_log_.IsEmpty()) {
            Call(on_log_, {Napi::Number::New(Env(), line.code),
                           Napi::String::New(Env(), line.text)});
        }
    }
}

/* A throw goes where every uncaught error goes; it does not stop the turn. */
void Channel::Call(const Napi::FunctionReference &function,
                   std::initializer_list<napi_value> args)
{
    napi_env env = Env();
    napi_value result = nullptr;
    if (napi_call_function(env, Value(), function.Value(), args.size(), args.begin(),
                           &result) == napi_ok) {
        return;
    }
    napi_value error = nullptr;
    bool is_pending = false;
    if (napi_is_exception_pending(env, &is_pending) == napi_ok && is_pending &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok) {
        napi_fatal_exception(env, error);
    }
}

/* ---- methods of the channel as a whole ---------------------------------------------- */

Napi::Value Channel::JsEvents(const Napi::CallbackInfo &)
{
    return batch_->events();
}

Napi::Value Channel::JsPayloads(const Napi::CallbackInfo &)
{
    return batch_->payloads();
}

Napi::Value Channel::JsProgress(const Napi::CallbackInfo &)
{
    return batch_->progress();
}

Napi::Value Channel::JsInHand(const Napi::CallbackInfo &info)
{
    return Napi::Number::New(info.Env(), server_->in_hand());
}

void Channel::JsStart(const Napi::CallbackInfo &info)
{
    const int error = server_->Listen();
    if (error < 0) {
        ThrowErrno(info.Env(), -error, "uv_poll_start");
    }
}

void Channel::JsDrain(const Napi::CallbackInfo &)
{
    server_->Drain();
}

void Channel::JsFlush(const Napi::CallbackInfo &info)
{
    int32_t timeout_ms = 0;
    if (napi_get_value_int32(info.Env(), info[0], &timeout_ms) != napi_ok) {
        ThrowTypeError(info.Env(), "ERR_INVALID_ARG_TYPE",
                       "flush: expected a number of milliseconds");
        return;
    }
    server_->FlushBlocking(timeout_ms);
}

void Channel::JsClose(const Napi::CallbackInfo &)
{
    Close();
}

void Channel::JsRef(const Napi::CallbackInfo &)
{
    server_->SetRef(true);
}

void Channel::JsUnref(const Napi::CallbackInfo &)
{
    server_->SetRef(false);
}

} // namespace tsgi
