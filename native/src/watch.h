/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file watch.h
 * `Watch` of src/native.ts: a WatchThread whose lines reach JavaScript through a
 * thread-safe function, which does not keep the loop alive.
 *
 * The thread must have ended before Node frees the thread-safe function, which at the end
 * of an environment happens by itself: both ways lead through Link, whichever comes first.
 */
#ifndef TSGI_WATCH_H
#define TSGI_WATCH_H

#include <napi.h>

#include <memory>

#include "util/loop.h"
#include "watch_thread.h"

namespace tsgi {

class Watch : public Napi::ObjectWrap<Watch>, private Closable {
  public:
    /** @return the class, for the addon's exports. */
    static Napi::Function Define(Napi::Env env);

    explicit Watch(const Napi::CallbackInfo &info);
    Watch(const Watch &) = delete;
    Watch &operator=(const Watch &) = delete;
    ~Watch() override;

  private:
    /** One message to JavaScript; made by the thread, freed by the loop. */
    struct Message {
        enum class Kind { kLine, kEnd, kApacheEnd, kAsk };
        Kind kind;
        std::string line;
    };
    /** Between thread and loop; owned by the thread-safe function's finalizer. */
    class Link : public WatchThread::Sink {
      public:
        explicit Link(Watch *owner) : owner_(owner)
        {
        }
        void OnLine(std::string line) override;
        void OnEnd() override;
        void OnApacheEnd() override;
        void OnAsk() override;

        Watch *owner_; /**< null when it is closed; loop thread only */
        std::unique_ptr<WatchThread> thread_;
        napi_threadsafe_function function_ = nullptr;

      private:
        void Post(Message message);
    };

    void JsHardKill(const Napi::CallbackInfo &info);
    void JsGuard(const Napi::CallbackInfo &info);
    void JsClose(const Napi::CallbackInfo &info);
    void EnvironmentEnds() override;
    bool MakeFunction(Napi::Env env);
    void AnswerNow(Napi::Env env);
    static void OnMessage(napi_env env, napi_value, void *context, void *data);
    static void OnFinalize(napi_env, void *data, void *hint);
    void Close();

    std::shared_ptr<Loop> loop_;
    Link *link_ = nullptr; /**< null before it is open and after it is closed */
    Napi::FunctionReference on_line_, on_eof_, on_apache_end_, is_debugged_;
};

} // namespace tsgi
#endif
