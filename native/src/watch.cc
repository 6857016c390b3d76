/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "watch.h"

#include "addon.h"
#include "util/callback.h"
#include "util/errno_error.h"

namespace tsgi {

/* A day, and a margin. */
static constexpr int32_t kLongestMs = 25 * 60 * 60 * 1000;

Napi::Function Watch::Define(Napi::Env env)
{
    return DefineClass(env, "Watch",
                       {
                           InstanceMethod<&Watch::JsHardKill>("hardKill"),
                           InstanceMethod<&Watch::JsGuard>("guard"),
                           InstanceMethod<&Watch::JsClose>("close"),
                       });
}

static bool ReadMs(const Napi::Value &value, int32_t *out)
{
    if (value.IsNumber() && napi_get_value_int32(value.Env(), value, out) == napi_ok &&
        *out >= 0 && *out <= kLongestMs) {
        return true;
    }
    ThrowTypeError(value.Env(), "ERR_INVALID_ARG_VALUE",
                   "Watch: milliseconds are expected to be an integer from 0 to " +
                       std::to_string(kLongestMs));
    return false;
}

Watch::Watch(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Watch>(info)
{
    const Napi::Env env = info.Env();
    const Napi::Object options =
        info[0].IsObject() ? info[0].As<Napi::Object>() : Napi::Object::New(env);
    const Napi::Value on_line = options.Get("onLine"), on_eof = options.Get("onEof");
    const Napi::Value on_apache_end = options.Get("onApacheEnd");
    const Napi::Value fd = options.Get("fd"), apache = options.Get("apache");
    if (!fd.IsNumber() || !apache.IsNumber() || !on_line.IsFunction() ||
        !on_eof.IsFunction() || !on_apache_end.IsFunction()) {
        ThrowTypeError(
            env, "ERR_INVALID_ARG_TYPE",
            "Watch: expected {fd, apache, orphanKillMs, abandonKillMs, onLine, "
            "onEof, onApacheEnd}");
        return;
    }
    WatchThread::Limits limits;
    if (!ReadMs(options.Get("orphanKillMs"), &limits.orphan_ms) ||
        !ReadMs(options.Get("abandonKillMs"), &limits.abandon_ms)) {
        return;
    }
    on_line_ = Napi::Persistent(on_line.As<Napi::Function>());
    on_eof_ = Napi::Persistent(on_eof.As<Napi::Function>());
    on_apache_end_ = Napi::Persistent(on_apache_end.As<Napi::Function>());
    loop_ = Addon::Of(env)->loop();
    link_ = new Link(this);
    if (!MakeFunction(env)) {
        return;
    }
    link_->thread_ = std::make_unique<WatchThread>(
        env, fd.As<Napi::Number>().Int32Value(), apache.As<Napi::Number>().Int32Value(),
        limits, link_);
    loop_->Add(this);
    Ref();
    const char *syscall;
    const int error = link_->thread_->Start(&syscall);
    if (error != 0) {
        Close();
        ThrowErrno(env, error, syscall);
    }
}

/* On failure link_ is gone and an exception pending. */
bool Watch::MakeFunction(Napi::Env env)
{
    napi_threadsafe_function function = nullptr;
    const napi_status status = napi_create_threadsafe_function(
        env, nullptr, Napi::Object::New(env), Napi::String::New(env, "TSGIWATCH"), 0, 1,
        link_, &Watch::OnFinalize, link_, &Watch::OnMessage, &function);
    if (status != napi_ok) {
        delete link_;
        link_ = nullptr;
        Napi::Error::New(env, "Watch: no thread-safe function could be made")
            .ThrowAsJavaScriptException();
        return false;
    }
    (void)napi_unref_threadsafe_function(env, function);
    link_->function_ = function;
    return true;
}

Watch::~Watch()
{
    Close();
}

void Watch::Close()
{
    if (link_ == nullptr) {
        return;
    }
    Link *link = link_;
    link_ = nullptr;
    link->owner_ = nullptr;
    if (link->thread_) {
        link->thread_->Stop();
    }
    loop_->Remove(this);
    Unref();
    if (link->function_ != nullptr) {
        /* Its finalizer deletes the link. */
        (void)napi_release_threadsafe_function(link->function_, napi_tsfn_abort);
    }
}

void Watch::EnvironmentEnds()
{
    Close();
}

void Watch::JsHardKill(const Napi::CallbackInfo &info)
{
    int32_t ms;
    if (ReadMs(info[0], &ms) && link_ != nullptr) {
        link_->thread_->HardKill(ms);
    }
}

void Watch::JsGuard(const Napi::CallbackInfo &info)
{
    int32_t ms;
    if (!ReadMs(info[0], &ms)) {
        return;
    }
    if (!info[1].IsFunction() || ms == 0 || !is_debugged_.IsEmpty()) {
        ThrowTypeError(info.Env(), "ERR_INVALID_ARG_VALUE",
                       "Watch: guard() expects a time and a function, once");
        return;
    }
    if (link_ != nullptr) {
        is_debugged_ = Napi::Persistent(info[1].As<Napi::Function>());
        link_->thread_->Guard(ms);
    }
}

void Watch::JsClose(const Napi::CallbackInfo &)
{
    Close();
}

/* ---- from the thread to the loop ----------------------------------------------------- */

void Watch::Link::OnLine(std::string line)
{
    Post({Message::Kind::kLine, std::move(line)});
}

void Watch::Link::OnEnd()
{
    Post({Message::Kind::kEnd, {}});
}

void Watch::Link::OnApacheEnd()
{
    Post({Message::Kind::kApacheEnd, {}});
}

void Watch::Link::OnAsk()
{
    Post({Message::Kind::kAsk, {}});
}

void Watch::Link::Post(Message message)
{
    auto *data = new Message(std::move(message));
    if (napi_call_threadsafe_function(function_, data, napi_tsfn_nonblocking) !=
        napi_ok) {
        delete data; /* the environment ends */
    }
}

void Watch::OnMessage(napi_env env, napi_value, void *context, void *data)
{
    const std::unique_ptr<Message> message(static_cast<Message *>(data));
    Link *link = static_cast<Link *>(context);
    if (env == nullptr || link->owner_ == nullptr) {
        return; /* closed meanwhile */
    }
    Watch *self = link->owner_;
    switch (message->kind) {
    case Message::Kind::kLine: {
        const Napi::String line = Napi::String::New(env, message->line);
        CallInScope(env, self->Value(), self->on_line_.Value(), {line});
        break;
    }
    case Message::Kind::kEnd:
        CallInScope(env, self->Value(), self->on_eof_.Value(), {});
        break;
    case Message::Kind::kApacheEnd:
        CallInScope(env, self->Value(), self->on_apache_end_.Value(), {});
        break;
    case Message::Kind::kAsk:
        self->AnswerNow(env);
        break;
    }
}

void Watch::AnswerNow(Napi::Env env)
{
    const Napi::Value answer = is_debugged_.Call({});
    if (env.IsExceptionPending()) {
        (void)env.GetAndClearPendingException(); /* it is ours, and throws nothing */
    }
    if (link_ != nullptr) {
        link_->thread_->Answer(!answer.IsEmpty() && answer.IsBoolean() &&
                               answer.As<Napi::Boolean>());
    }
}

void Watch::OnFinalize(napi_env, void *data, void *)
{
    std::unique_ptr<Link> link(static_cast<Link *>(data));
    link->function_ = nullptr;
    if (link->thread_) {
        link->thread_->Stop();
    }
    if (link->owner_ != nullptr) {
        link->owner_->Close();
    }
}

} // namespace tsgi
