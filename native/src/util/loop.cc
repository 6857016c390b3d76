/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "loop.h"

namespace tsgi {

std::shared_ptr<Loop> Loop::Create(Napi::Env env)
{
    std::shared_ptr<Loop> loop(new Loop());
    if (napi_get_uv_event_loop(env, &loop->uv_) != napi_ok ||
        napi_add_async_cleanup_hook(env, &Loop::CleanUp, loop.get(), &loop->hook_) !=
            napi_ok) {
        Napi::Error::New(env, "TSGI: this environment has no event loop")
            .ThrowAsJavaScriptException();
        return nullptr;
    }
    loop->self_ = loop;
    return loop;
}

void Loop::Add(Closable *closable)
{
    closables_.push_back(closable);
}

void Loop::Remove(Closable *closable)
{
    closables_.erase(std::remove(closables_.begin(), closables_.end(), closable),
                     closables_.end());
}

void Loop::HandleOpened()
{
    open_++;
}

void Loop::HandleClosed()
{
    open_--;
    FinishIfDone();
}

void Loop::CleanUp(napi_async_cleanup_hook_handle, void *data)
{
    Loop *loop = static_cast<Loop *>(data);
    loop->ending_ = true;
    /* Each removes itself from the list while it closes. */
    while (!loop->closables_.empty()) {
        Closable *last = loop->closables_.back();
        loop->closables_.pop_back();
        last->EnvironmentEnds();
    }
    loop->FinishIfDone();
}

void Loop::FinishIfDone()
{
    if (ending_ && open_ == 0 && hook_ != nullptr) {
        napi_remove_async_cleanup_hook(hook_);
        hook_ = nullptr;
        self_.reset(); /* may be the last reference: nothing after this */
    }
}

} // namespace tsgi
