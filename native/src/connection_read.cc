/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Reading: bytes -> frames -> states and events. Every byte is the peer's, so each length
 * is checked against the limits of its frame type before memory is taken for it. */
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "connection.h"
#include "fields.h"
#include "server.h"

namespace tsgi {

/* Of a BODY frame so much has to be missing for a Buffer of its own; less is copied. */
static constexpr size_t kLargeBody = size_t{16} * 1024;
/* Most bytes of a body that are handed over at once when the app has shown that it takes what comes. */
static constexpr size_t kEagerPiece = size_t{256} * 1024;

void Connection::Read(EventBatch *batch)
{
    if (state_ == State::Closed || state_ == State::Closing) {
        return;
    }
    std::vector<uint8_t> &buffer = server_->read_buffer();
    const bool is_piece = OpenPiece(batch);
    ssize_t n;
    do {
        n = is_piece ? ReceiveBody(buffer.data())
                     : Receive(buffer.data(), MostToRead(buffer.size()));
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        const size_t got = static_cast<size_t>(n);
        const size_t used = is_piece ? FillPiece(got, batch) : 0;
        Decode(buffer.data(), got - used, batch);
    }
    else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
        Close();
    }
    UpdatePoll(); /* after an error libuv has stopped polling */
}

/* Whether what comes next of a body is worth a Buffer of its own: most of a large one is. */
bool Connection::OpenPiece(EventBatch *batch)
{
    if (state_ != State::Receiving || !TakesBody()) {
        piece_.Drop();
        return false;
    }
    if (piece_.is_open()) {
        return true;
    }
    return body_left_ >= kLargeBody &&
           piece_.Open(batch->env(), std::min<size_t>(body_left_, piece_limit_));
}

/* In the middle of a frame of a body no more than to the payload of the next one, so that this can have a
 * Buffer of its own. */
size_t Connection::MostToRead(size_t size) const
{
    return state_ == State::Receiving && body_left_ > 0
               ? std::min<size_t>(size, body_left_ + TSGI_FRAME_HEADER)
               : size;
}

/*
 * Receives into piece_, and behind the end of the frame no more than the next one's header, so that its
 * payload can be received like this as well.
 */
ssize_t Connection::ReceiveBody(uint8_t *behind)
{
    struct iovec parts[2] = {{piece_.end(), piece_.room()}, {behind, TSGI_FRAME_HEADER}};
    struct msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = piece_.room() == body_left_ ? 2 : 1;
    return recvmsg(fd_.get(), &message, MSG_DONTWAIT);
}

/* Of n bytes received so; a piece that is full goes to the app. @return how many are in it. */
size_t Connection::FillPiece(size_t n, EventBatch *batch)
{
    const size_t used = std::min(n, piece_.room());
    piece_.Commit(used);
    body_left_ -= static_cast<uint32_t>(used);
    if (piece_.is_full()) {
        const size_t size = piece_.size();
        batch->AddBody(id_, piece_.Take(), size);
        if (size == piece_limit_) {
            piece_limit_ = kEagerPiece; /* counts when the app comes for more */
        }
    }
    return used;
}

/* Descriptors that nobody asked for are closed by the kernel: there is no room for them. */
ssize_t Connection::Receive(uint8_t *buffer, size_t size)
{
    return state_ == State::Awaiting ? ReceiveSocket(buffer, size)
                                     : recv(fd_.get(), buffer, size, MSG_DONTWAIT);
}

ssize_t Connection::ReceiveSocket(uint8_t *buffer, size_t size)
{
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {};
    struct iovec data = {buffer, size};
    struct msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof(control.bytes);
    const ssize_t n = recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n <= 0) {
        return n;
    }
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    if (rights != nullptr && rights->cmsg_level == SOL_SOCKET &&
        rights->cmsg_type == SCM_RIGHTS) {
        KeepOnly(CMSG_DATA(rights), (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0) {
        passed_.Reset();
        server_->Log(kLogResources, "the descriptor of a client could not be received");
    }
    return n;
}

/* Takes the descriptor if it is the only one that has come; else all are closed. */
void Connection::KeepOnly(const uint8_t *descriptors, size_t count)
{
    const bool is_first = !passed_;
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, descriptors + i * sizeof(int), sizeof(fd));
        passed_.Reset(fd);
    }
    if (count != 1 || !is_first) {
        passed_.Reset();
    }
}

void Connection::Decode(const uint8_t *p, size_t n, EventBatch *batch)
{
    while (n > 0 && state_ != State::Closed && state_ != State::Closing) {
        size_t used;
        if (body_left_ > 0) {
            used = std::min<size_t>(n, body_left_);
            body_left_ -= static_cast<uint32_t>(used);
            TakeBody(p, used, batch);
        }
        else if (!partial_.empty()) {
            used = DecodePartial(p, n, batch);
        }
        else {
            used = DecodeWhole(p, n, batch);
        }
        p += used;
        n -= used;
    }
}

/* The frame begins in p. @return bytes used up; a rest that is no whole frame is kept. */
size_t Connection::DecodeWhole(const uint8_t *p, size_t n, EventBatch *batch)
{
    tsgi_frame_t frame = {};
    const int decoded = tsgi_frame_decode(p, n, TSGI_FROM_APACHE, &frame);
    if (decoded < 0) {
        Violate(tsgi_wire_strerror(decoded));
        return n;
    }
    if (decoded == 0) {
        partial_.assign(p, p + n);
        return n;
    }
    if (!Admit(frame)) {
        return n;
    }
    if (frame.type == TSGI_T_BODY) {
        body_left_ = frame.length;
        return TSGI_FRAME_HEADER;
    }
    const size_t total = TSGI_FRAME_HEADER + static_cast<size_t>(frame.length);
    if (n < total) {
        partial_.reserve(total);
        partial_.assign(p, p + n);
        return n;
    }
    Handle(frame, p + TSGI_FRAME_HEADER, batch);
    return total;
}

/* The frame has begun in partial_. @return bytes of p used up. */
size_t Connection::DecodePartial(const uint8_t *p, size_t n, EventBatch *batch)
{
    if (partial_.size() < TSGI_FRAME_HEADER) {
        const size_t used = std::min(n, TSGI_FRAME_HEADER - partial_.size());
        partial_.insert(partial_.end(), p, p + used);
        if (partial_.size() < TSGI_FRAME_HEADER) {
            return used;
        }
        /* The header is whole: go on as if the frame began there. What is not whole is
         * kept again. */
        const std::vector<uint8_t> header = std::move(partial_);
        partial_.clear();
        (void)DecodeWhole(header.data(), header.size(), batch);
        return used;
    }
    tsgi_frame_t frame = {};
    (void)tsgi_frame_decode(partial_.data(), partial_.size(), TSGI_FROM_APACHE, &frame);
    const size_t total = TSGI_FRAME_HEADER + static_cast<size_t>(frame.length);
    const size_t used = std::min(n, total - partial_.size());
    partial_.insert(partial_.end(), p, p + used);
    if (partial_.size() == total) {
        const std::vector<uint8_t> whole = std::move(partial_);
        partial_.clear();
        Handle(frame, whole.data() + TSGI_FRAME_HEADER, batch);
    }
    return used;
}

/* Whether a frame of this type may come now: before its payload is waited for. */
bool Connection::Admit(const tsgi_frame_t &frame)
{
    bool is_legal = false;
    switch (state_) {
    case State::Greeting:
        is_legal = frame.type == TSGI_T_AUTH;
        break;
    case State::Idle:
        is_legal = frame.type == TSGI_T_REQUEST;
        break;
    case State::Receiving:
    case State::Discarding:
        is_legal = frame.type == TSGI_T_BODY || frame.type == TSGI_T_BODY_END;
        break;
    case State::Awaiting:
        is_legal = frame.type == TSGI_T_SOCKET;
        break;
    case State::Received:
    case State::Closing:
    case State::Closed:
        break;
    }
    if (!is_legal) {
        Violate(state_ == State::Greeting ? "a frame before AUTH"
                                          : "a frame that may not come at this point");
    }
    return is_legal;
}

void Connection::Handle(const tsgi_frame_t &frame, const uint8_t *payload,
                        EventBatch *batch)
{
    switch (frame.type) {
    case TSGI_T_AUTH:
        HandleAuth(frame, payload);
        break;
    case TSGI_T_REQUEST:
        HandleRequest(frame, payload, batch);
        break;
    case TSGI_T_SOCKET:
        HandleSocket(frame, payload, batch);
        break;
    default: /* BODY_END: nothing else passes Admit() */
        HandleBodyEnd(frame, payload, batch);
        break;
    }
}

void Connection::HandleAuth(const tsgi_frame_t &frame, const uint8_t *payload)
{
    tsgi_auth_t auth;
    const int error = tsgi_auth_decode(payload, frame.length, &auth);
    if (error != 0) {
        Violate(tsgi_wire_strerror(error));
        return;
    }
    if (!tsgi_version_accepted(auth.major, auth.minor)) {
        server_->Log(kLogVersion, "expected version " + std::to_string(TSGI_WIRE_MAJOR) +
                                      "." + std::to_string(TSGI_WIRE_MINOR) +
                                      ", the peer speaks " + std::to_string(auth.major) +
                                      "." + std::to_string(auth.minor));
        Close();
        return;
    }
    if (!tsgi_secret_equal(auth.secret, server_->options().secret)) {
        server_->Log(kLogSecret, "the secret of the process group did not match");
        Close();
        return;
    }
    state_ = State::Idle;
    server_->LeftGreeting();
}

void Connection::HandleRequest(const tsgi_frame_t &frame, const uint8_t *payload,
                               EventBatch *batch)
{
    tsgi_request_t request;
    tsgi_fields_t headers, vars;
    const int error =
        tsgi_request_decode(payload, frame.length, &request, &headers, &vars);
    if (error != 0) {
        Violate(tsgi_wire_strerror(error));
        return;
    }
    const bool has_body = (request.flags & TSGI_R_BODY) != 0;
    if (has_body == ((frame.flags & TSGI_F_FIN) != 0)) {
        Violate("FIN of a request contradicts its flags");
        return;
    }
    state_ = has_body ? State::Receiving : State::Received;
    if (server_->draining() || server_->full()) {
        /* Heads are left unread when all is in hand; but this one was read before that was
         * so, or behind the rest of a body. */
        state_ = has_body ? State::Discarding : State::Idle;
        AppendEmpty(TSGI_T_REFUSED);
        return;
    }
    id_ = server_->exchanges().Begin(this);
    expects_ = (request.flags & TSGI_R_EXPECT) != 0;
    upgrade_ = (request.flags & TSGI_R_PASS) != 0      ? Upgrade::Offered
               : (request.flags & TSGI_R_UPGRADE) != 0 ? Upgrade::Asked
                                                       : Upgrade::None;
    batch->AddRequest(id_, payload, frame.length, request, headers, vars);
}

/* Whether it is a connected stream socket, which is all that an app can be given. */
static bool IsClientSocket(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
           type == SOCK_STREAM &&
           (getpeername(fd, reinterpret_cast<struct sockaddr *>(&peer), &length) == 0 ||
            errno == ENOTCONN); /* the client has gone again */
}

void Connection::HandleSocket(const tsgi_frame_t &frame, const uint8_t *payload,
                              EventBatch *batch)
{
    if (!passed_ || !IsClientSocket(passed_.get())) {
        Violate("SOCKET without the one descriptor of a client");
        return;
    }
    state_ = State::Received;
    upgrade_ = Upgrade::Passed;
    batch->AddSocket(id_, passed_.Release(), payload, frame.length);
}

/* Bytes that come in are for the app: also when it has ended its half of a tunnel. */
bool Connection::TakesBody() const
{
    return answer_ != Answer::Ended || upgrade_ == Upgrade::Tunnel;
}

void Connection::TakeBody(const uint8_t *p, size_t n, EventBatch *batch)
{
    if (state_ == State::Receiving && TakesBody()) {
        batch->AddBody(id_, p, n);
    }
}

void Connection::HandleBodyEnd(const tsgi_frame_t &frame, const uint8_t *payload,
                               EventBatch *batch)
{
    tsgi_fields_t trailers;
    const int error = tsgi_trailers_decode(payload, frame.length, &trailers);
    if (error != 0) {
        Violate(tsgi_wire_strerror(error));
        return;
    }
    if (state_ == State::Discarding) {
        state_ = State::Idle;
        return;
    }
    state_ = State::Received;
    if (TakesBody()) {
        batch->AddBodyEnd(id_, JoinFields(trailers));
    }
    if (answer_ == Answer::Ended && output_.empty()) {
        AfterWrite(); /* a tunnel whose other half has ended before */
    }
}

void Connection::Violate(const char *what)
{
    server_->Log(kLogViolation, what);
    Close();
}

} // namespace tsgi
