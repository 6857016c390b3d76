/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file readable.h
 * `watchReadable()` of src/native.ts: tells, again and again, that a descriptor can be read.
 * The descriptor stays the caller's, and must be open until close(). While it is started
 * the watcher keeps itself and the loop alive. JavaScript thread only.
 */
#ifndef TSGI_READABLE_H
#define TSGI_READABLE_H

#include <napi.h>

#include <memory>

#include "util/callback.h"
#include "util/loop.h"

namespace tsgi {

class ReadableWatcher : public Napi::ObjectWrap<ReadableWatcher>, private Closable {
  public:
    /** @return the function watchReadable(fd, onReadable). */
    static Napi::Function Define(Napi::Env env);

    explicit ReadableWatcher(const Napi::CallbackInfo &info);
    ReadableWatcher(const ReadableWatcher &) = delete;
    ReadableWatcher &operator=(const ReadableWatcher &) = delete;
    ~ReadableWatcher() override;

  private:
    void JsStart(const Napi::CallbackInfo &info);
    void JsStop(const Napi::CallbackInfo &info);
    void JsClose(const Napi::CallbackInfo &info);
    void EnvironmentEnds() override;
    static void OnPoll(uv_poll_t *handle, int status, int events);
    void Stop();

    std::shared_ptr<Loop> loop_;
    std::unique_ptr<Callback> on_readable_;
    UvPoll poll_;
    bool started_ = false;
};

} // namespace tsgi
#endif
