/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file command.h
 * `receiveCommands()` of src/native.ts: packets with file descriptors from a
 * SOCK_SEQPACKET socket. The socket stays the caller's and must be open until close().
 * Until then, or until the end of the stream, the receiver keeps itself and the loop
 * alive. Descriptors that were received belong to the JavaScript that gets them; those of
 * a packet that is in error are closed here. JavaScript thread only.
 */
#ifndef TSGI_COMMAND_H
#define TSGI_COMMAND_H

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "util/callback.h"
#include "util/fd.h"
#include "util/loop.h"

namespace tsgi {

/** Largest packet, and most descriptors in one. */
constexpr size_t kMaxCommand = size_t{64} * 1024;
constexpr size_t kMaxCommandFds = 253; /* SCM_MAX_FD of the kernel */

class CommandReceiver : public Napi::ObjectWrap<CommandReceiver>, private Closable {
  public:
    /** @return the function receiveCommands(fd, onMessage). */
    static Napi::Function Define(Napi::Env env);

    explicit CommandReceiver(const Napi::CallbackInfo &info);
    CommandReceiver(const CommandReceiver &) = delete;
    CommandReceiver &operator=(const CommandReceiver &) = delete;
    ~CommandReceiver() override;

  private:
    struct Packet {
        std::vector<Fd> fds;
        size_t size = 0;
        const char *problem = nullptr;
    };
    void JsClose(const Napi::CallbackInfo &info);
    void EnvironmentEnds() override;
    static void OnPoll(uv_poll_t *handle, int status, int events);
    bool ReceiveOne();
    void DeliverPacket(Packet *packet);
    void DeliverError(int error);
    void DeliverEnd();
    void Close();

    std::shared_ptr<Loop> loop_;
    /** Shared: it must outlive the call in which this object is closed. */
    std::shared_ptr<Callback> on_message_;
    UvPoll poll_;
    int fd_ = -1;
    std::vector<uint8_t> buffer_;
};

} // namespace tsgi
#endif
