/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "command.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "addon.h"
#include "util/errno_error.h"

namespace tsgi {

/* Packets in a row before the rest of the loop gets its turn. */
static constexpr int kAtOnce = 16;

Napi::Function CommandReceiver::Define(Napi::Env env)
{
    return FactoryOf(DefineClass(env, "CommandReceiver",
                                 {InstanceMethod<&CommandReceiver::JsClose>("close")}),
                     "receiveCommands");
}

CommandReceiver::CommandReceiver(const Napi::CallbackInfo &info)
    : Napi::ObjectWrap<CommandReceiver>(info)
{
    const Napi::Env env = info.Env();
    if (!info[0].IsNumber() || !info[1].IsFunction()) {
        ThrowTypeError(env, "ERR_INVALID_ARG_TYPE",
                       "receiveCommands: expected a descriptor and a function");
        return;
    }
    fd_ = info[0].As<Napi::Number>().Int32Value();
    loop_ = Addon::Of(env)->loop();
    buffer_.resize(kMaxCommand);
    int error = poll_.Open(loop_, this, [this](uv_poll_t *handle) {
        return uv_poll_init(loop_->uv(), handle, fd_);
    });
    if (error == 0) {
        error = uv_poll_start(poll_.get(), UV_READABLE, &CommandReceiver::OnPoll);
    }
    if (error < 0) {
        poll_.Close();
        ThrowErrno(env, -error, "uv_poll_init");
        return;
    }
    on_message_ = std::make_shared<Callback>(info[1].As<Napi::Function>(), "TSGICOMMAND");
    loop_->Add(this);
    Ref();
}

CommandReceiver::~CommandReceiver()
{
    if (loop_) {
        loop_->Remove(this);
    }
}

void CommandReceiver::Close()
{
    if (poll_) {
        poll_.Close();
        loop_->Remove(this);
        Unref();
    }
}

void CommandReceiver::JsClose(const Napi::CallbackInfo &)
{
    Close();
}

void CommandReceiver::EnvironmentEnds()
{
    Close();
}

void CommandReceiver::OnPoll(uv_poll_t *handle, int status, int)
{
    CommandReceiver *self = UvPoll::OwnerOf<CommandReceiver>(handle);
    const Napi::HandleScope scope(self->Env());
    /* Keeps it alive, however it is closed meanwhile. */
    [[maybe_unused]] const Napi::Value keep = self->Value();
    if (status < 0) {
        self->DeliverError(-status);
        return;
    }
    for (int i = 0; i < kAtOnce && self->poll_ && self->ReceiveOne(); i++) {
    }
}

/* Takes the descriptors out of the control data. */
static std::vector<Fd> TakeFds(struct msghdr *message)
{
    std::vector<Fd> fds;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != nullptr;
         c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
            c->cmsg_len < CMSG_LEN(0)) {
            continue;
        }
        const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            fds.emplace_back(fd);
        }
    }
    return fds;
}

/* @return false when there is nothing more to receive now. */
bool CommandReceiver::ReceiveOne()
{
    /* A union: the control data must be aligned as its header is. */
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * kMaxCommandFds)];
    } control;
    struct iovec iov = {buffer_.data(), buffer_.size()};
    struct msghdr message = {};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof(control.bytes);
    const ssize_t n = recvmsg(fd_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) {
        if (errno == EINTR) {
            return true;
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            DeliverError(errno);
        }
        return false;
    }
    Packet packet;
    packet.fds = TakeFds(&message);
    packet.size = static_cast<size_t>(n);
    if ((message.msg_flags & MSG_TRUNC) != 0) {
        packet.problem = "a packet is larger than 65536 bytes";
    }
    else if ((message.msg_flags & MSG_CTRUNC) != 0) {
        packet.problem =
            "descriptors of a packet were lost: more than 253, or too many open files";
    }
    else if (n == 0) {
        DeliverEnd();
        return false;
    }
    DeliverPacket(&packet);
    return true;
}

void CommandReceiver::DeliverPacket(Packet *packet)
{
    const std::shared_ptr<Callback> callback = on_message_;
    callback->Call([this, packet](Napi::Env env) -> std::vector<napi_value> {
        Napi::Array fds = Napi::Array::New(env);
        if (packet->problem != nullptr) {
            /* Its descriptors are closed with the packet. */
            Napi::Error error = Napi::Error::New(env, packet->problem);
            error.Set("code", Napi::String::New(env, "ERR_TSGI_COMMAND"));
            return {env.Null(), fds, error.Value()};
        }
        for (Fd &fd : packet->fds) {
            fds.Set(fds.Length(), Napi::Number::New(env, fd.Release()));
        }
        return {Napi::Buffer<uint8_t>::Copy(env, buffer_.data(), packet->size), fds};
    });
}

void CommandReceiver::DeliverError(int error)
{
    const std::shared_ptr<Callback> callback = on_message_;
    Close();
    callback->Call([error](Napi::Env env) -> std::vector<napi_value> {
        return {env.Null(), Napi::Array::New(env),
                ErrnoError(env, error, "recvmsg").Value()};
    });
}

void CommandReceiver::DeliverEnd()
{
    const std::shared_ptr<Callback> callback = on_message_;
    Close();
    callback->Call([](Napi::Env env) -> std::vector<napi_value> {
        return {env.Null(), Napi::Array::New(env)};
    });
}

} // namespace tsgi
