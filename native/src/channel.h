/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file channel.h
 * `Channel` of src/native.ts: what JavaScript sees of a Server. Methods check what they are
 * given and turn it into calls of Server and Connection; RunTurn() is the one place from
 * which JavaScript is called.
 *
 * The JavaScript object holds this, and this holds the Server. While it is open it keeps
 * itself alive: nobody else may hold a running channel. All on the environment's thread.
 */
#ifndef TSGI_CHANNEL_H
#define TSGI_CHANNEL_H

#include <napi.h>

#include <memory>
#include <vector>

#include "event_batch.h"
#include "exit_flush.h"
#include "server.h"
#include "util/loop.h"

namespace tsgi {

class Channel : public Napi::ObjectWrap<Channel>,
                private Closable,
                private ExitFlushable,
                private Server::Turn {
  public:
    /** @return the class, for the addon's exports. */
    static Napi::Function Define(Napi::Env env);

    explicit Channel(const Napi::CallbackInfo &info);
    Channel(const Channel &) = delete;
    Channel &operator=(const Channel &) = delete;
    ~Channel() override;

  private:
    /* Methods and properties of the JavaScript object. */
    Napi::Value JsEvents(const Napi::CallbackInfo &info);
    Napi::Value JsPayloads(const Napi::CallbackInfo &info);
    Napi::Value JsProgress(const Napi::CallbackInfo &info);
    Napi::Value JsInHand(const Napi::CallbackInfo &info);
    void JsStart(const Napi::CallbackInfo &info);
    Napi::Value JsStarted(const Napi::CallbackInfo &info);
    void JsSendContinue(const Napi::CallbackInfo &info);
    void JsInform(const Napi::CallbackInfo &info);
    Napi::Value JsRespond(const Napi::CallbackInfo &info);
    Napi::Value JsWrite(const Napi::CallbackInfo &info);
    void JsEnd(const Napi::CallbackInfo &info);
    void JsAbort(const Napi::CallbackInfo &info);
    void JsRefuse(const Napi::CallbackInfo &info);
    Napi::Value JsRequestSocket(const Napi::CallbackInfo &info);
    void JsHangUp(const Napi::CallbackInfo &info);
    void JsLog(const Napi::CallbackInfo &info);
    void JsPause(const Napi::CallbackInfo &info);
    void JsResume(const Napi::CallbackInfo &info);
    void JsDrain(const Napi::CallbackInfo &info);
    void JsFlush(const Napi::CallbackInfo &info);
    void JsClose(const Napi::CallbackInfo &info);
    void JsRef(const Napi::CallbackInfo &info);
    void JsUnref(const Napi::CallbackInfo &info);

    void EnvironmentEnds() override;
    void FlushAtExit(int timeout_ms) override;
    void RunTurn() override;

    Connection *Find(napi_value id) const;
    bool ReadText(napi_value text, std::vector<char> *out);
    bool ReadHead(const Napi::CallbackInfo &info, size_t headers_at, bool has_reason,
                  tsgi_response_t *head);
    void AppendBody(Connection *connection, napi_value body, bool latin1, bool fin);
    void AppendString(Connection *connection, napi_value body, bool latin1, bool fin);
    void CallOnEvents();
    void CallOnLog();
    void Call(const Napi::FunctionReference &function,
              std::initializer_list<napi_value> args);
    void Close();

    std::shared_ptr<Loop> loop_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<EventBatch> batch_;
    std::unique_ptr<Napi::AsyncContext> context_;
    Napi::FunctionReference on_events_;
    Napi::FunctionReference on_log_;
    /* Reused by every call: a call allocates nothing when they have grown. */
    std::vector<char> text_, reason_;
    std::vector<tsgi_field_t> fields_;
};

} // namespace tsgi
#endif
