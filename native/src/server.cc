/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace tsgi {

/* What one read() brings at most, but for large bodies. */
static constexpr size_t kReadBuffer = size_t{64} * 1024;
/* Connections accepted in a row before others get their turn. */
static constexpr int kAcceptAtOnce = 64;
static constexpr uint64_t kBackOffMs = 100;
/* A lack of descriptors is logged again after so long. */
static constexpr uint64_t kComplainMs = uint64_t{10} * 1000;
/* Connections that have not shown the secret: so many, and no more of the descriptors, can
 * be taken up by a process that may connect but is not Apache. */
static constexpr size_t kMostGreeting = 512;
/* Without descriptors, who has not shown the secret for so long gives his up. */
static constexpr uint64_t kGreetingGraceMs = 100;
/* Without descriptors, so many connections that are not in use are closed at once. */
static constexpr size_t kDismissedAtOnce = 8;
static constexpr unsigned kLogLinesPerSecond = 10;

static uint64_t NowMs()
{
    struct timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000 +
           static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

Server::Server(std::shared_ptr<Loop> loop, ServerOptions options, Turn *turn)
    : loop_(std::move(loop)), options_(std::move(options)), turn_(turn),
      exchanges_(options_.concurrency), read_buffer_(kReadBuffer)
{
    tsgi_hello_t hello = {};
    hello.major = TSGI_WIRE_MAJOR;
    hello.minor = TSGI_WIRE_MINOR;
    hello.pid = static_cast<uint32_t>(getpid());
    memcpy(hello.generation, options_.generation, sizeof(hello.generation));
    tsgi_hello_encode(hello_, &hello);
}

Server::~Server()
{
    Close();
}

int Server::Open()
{
    uv_loop_t *uv = loop_->uv();
    int error = prepare_.Open(
        loop_, this, [uv](uv_prepare_t *handle) { return uv_prepare_init(uv, handle); });
    if (error == 0) {
        error = check_.Open(
            loop_, this, [uv](uv_check_t *handle) { return uv_check_init(uv, handle); });
    }
    if (error == 0) {
        error = wake_.Open(
            loop_, this, [uv](uv_timer_t *handle) { return uv_timer_init(uv, handle); });
    }
    if (error == 0) {
        error = back_off_.Open(
            loop_, this, [uv](uv_timer_t *handle) { return uv_timer_init(uv, handle); });
    }
    if (error == 0) {
        error = greetings_.Open(
            loop_, this, [uv](uv_timer_t *handle) { return uv_timer_init(uv, handle); });
    }
    if (error < 0) {
        return error;
    }
    uv_prepare_start(prepare_.get(), &Server::OnPrepare);
    uv_check_start(check_.get(), &Server::OnCheck);
    /* The check handle alone decides whether the loop stays alive: see SetRef(). */
    prepare_.SetRef(false);
    wake_.SetRef(false);
    back_off_.SetRef(false);
    greetings_.SetRef(false);
    return 0;
}

int Server::Listen()
{
    if (closed_ || draining_ || listening_) {
        return 0;
    }
    if (!listener_) {
        const int error = listener_.Open(loop_, this, [this](uv_poll_t *handle) {
            return uv_poll_init(loop_->uv(), handle, options_.listener.get());
        });
        if (error < 0) {
            return error;
        }
        listener_.SetRef(false);
    }
    const int error = uv_poll_start(listener_.get(), UV_READABLE, &Server::OnListener);
    listening_ = error == 0;
    return error;
}

void Server::SetRef(bool ref)
{
    ref_ = ref;
    check_.SetRef(ref);
}

void Server::Drain()
{
    if (closed_ || draining_) {
        return;
    }
    draining_ = true;
    listening_ = false;
    listener_.Close();
    options_.listener.Reset();
    for (const auto &connection : connections_) {
        connection->GoAway();
    }
}

void Server::Close()
{
    if (closed_) {
        return;
    }
    closed_ = true;
    listening_ = false;
    listener_.Close();
    prepare_.Close();
    check_.Close();
    wake_.Close();
    back_off_.Close();
    greetings_.Close();
    options_.listener.Reset();
    for (const auto &connection : connections_) {
        connection->Close();
    }
    later_.clear();
    ready_.clear();
    dirty_.clear();
    BuryGone();
}

/* ---- accept ----------------------------------------------------------------------- */

void Server::OnListener(uv_poll_t *handle, int status, int)
{
    Server *self = UvPoll::OwnerOf<Server>(handle);
    if (status < 0) {
        self->BackOff(-status);
        return;
    }
    self->Accept();
}

void Server::Accept()
{
    for (int i = 0; i < kAcceptAtOnce && listening_; i++) {
        if (!AcceptOne()) {
            break;
        }
    }
}

/* @return false when there is nothing more to accept now. */
bool Server::AcceptOne()
{
    Fd fd(
        accept4(options_.listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
        switch (errno) {
        case EINTR:
        case ECONNABORTED:
            return true;
        case EAGAIN:
#if EWOULDBLOCK != EAGAIN
        case EWOULDBLOCK:
#endif
            return false; /* taken by another worker that listens on the same socket */
        default:
            BackOff(errno);
            return false;
        }
    }
    if (!IsWelcome(fd.get())) {
        return true;
    }
    MakeRoomToGreet();
    auto connection = std::make_unique<Connection>(this, std::move(fd));
    Connection *raw = connection.get();
    raw->serial = accepted_++;
    raw->accepted_at = uv_now(loop_->uv());
    if (greeting_++ == 0) {
        WatchGreetings();
    }
    raw->place = connections_.size();
    connections_.push_back(std::move(connection));
    const int error = raw->Start(hello_);
    if (error != 0 && error != EPIPE && error != ECONNRESET) {
        Log(kLogResources,
            std::string("a connection could not be watched: ") + strerror(error));
    }
    return true;
}

void Server::MakeRoomToGreet()
{
    if (greeting_ < kMostGreeting) {
        return;
    }
    Connection *oldest = nullptr;
    for (const auto &connection : connections_) {
        if (connection->state() == Connection::State::Greeting &&
            (oldest == nullptr || connection->serial < oldest->serial)) {
            oldest = connection.get();
        }
    }
    if (oldest != nullptr) {
        Log(kLogResources, "more than " + std::to_string(kMostGreeting) +
                               " connections without AUTH; the oldest is closed");
        Dismiss(oldest);
    }
}

/* Closes a connection on which nothing is in hand. Apache gives up no request for it. */
void Server::Dismiss(Connection *connection)
{
    connection->GoAway();
    connection->Flush();
    connection->Close();
}

void Server::WatchGreetings()
{
    constexpr uint64_t second = 1000;
    uv_timer_start(greetings_.get(), &Server::OnGreetings,
                   std::min(options_.greeting_ms, second), 0);
}

/* Who connects and says nothing does not hold a descriptor for ever. */
void Server::OnGreetings(uv_timer_t *handle)
{
    Server *self = UvTimer::OwnerOf<Server>(handle);
    const uint64_t now = uv_now(self->loop_->uv());
    size_t dismissed = 0;
    for (const auto &connection : self->connections_) {
        if (connection->state() == Connection::State::Greeting &&
            now - connection->accepted_at >= self->options_.greeting_ms) {
            self->Dismiss(connection.get());
            dismissed++;
        }
    }
    if (dismissed > 0) {
        self->Log(kLogSilence, std::to_string(dismissed) + " without AUTH after " +
                                   std::to_string(self->options_.greeting_ms / 1000) +
                                   " s");
    }
    if (self->greeting_ > 0) {
        self->WatchGreetings();
    }
}

/*
 * Out of descriptors, with connections in the backlog: who has not shown the secret makes room,
 * or else the connections that Apache has not used for the longest time. It opens others when
 * it needs them; until then they would keep its other children out.
 */
void Server::DismissUnused()
{
    const uint64_t now = uv_now(loop_->uv());
    std::vector<Connection *> silent, idle;
    for (const auto &connection : connections_) {
        if (!connection->IsUnused()) {
            continue;
        }
        if (connection->state() == Connection::State::Idle) {
            idle.push_back(connection.get());
        }
        else if (now - connection->accepted_at >= kGreetingGraceMs) {
            silent.push_back(connection.get());
        }
    }
    if (silent.empty()) {
        std::sort(idle.begin(), idle.end(),
                  [](Connection *a, Connection *b) { return a->last_use < b->last_use; });
        idle.resize(std::min(idle.size(), kDismissedAtOnce));
        silent = std::move(idle);
    }
    for (Connection *connection : silent) {
        Dismiss(connection);
    }
}

/* Whether the process at the other end runs as root or as the user it has to. */
bool Server::IsWelcome(int fd)
{
    if (options_.peer_uid < 0) {
        return true;
    }
    struct ucred peer = {};
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        Log(kLogPeer,
            std::string("a connection without credentials: ") + strerror(errno));
        return false;
    }
    if (peer.uid == 0 || static_cast<int64_t>(peer.uid) == options_.peer_uid) {
        return true;
    }
    Log(kLogPeer, "expected a connection of uid " + std::to_string(options_.peer_uid) +
                      " or root, uid " + std::to_string(peer.uid) + " came (pid " +
                      std::to_string(peer.pid) + ")");
    return false;
}

/* Out of descriptors or memory: the backlog keeps the connections until there are some. */
void Server::BackOff(int error)
{
    /* It may stay so for hours, and accept is tried ten times a second. */
    const uint64_t now = NowMs();
    if (complained_at_ == 0 || now - complained_at_ >= kComplainMs) {
        complained_at_ = now;
        Log(kLogResources, std::string("accept: ") + strerror(error) +
                               "; connections wait; raise the limit of open files");
    }
    listening_ = false;
    if (error == EMFILE || error == ENFILE) {
        DismissUnused();
    }
    uv_poll_stop(listener_.get());
    uv_timer_start(back_off_.get(), &Server::OnBackOff, kBackOffMs, 0);
}

void Server::OnBackOff(uv_timer_t *handle)
{
    Server *self = UvTimer::OwnerOf<Server>(handle);
    if (self->Listen() < 0) {
        uv_timer_start(self->back_off_.get(), &Server::OnBackOff, kBackOffMs, 0);
    }
}

/* ---- the turn --------------------------------------------------------------------- */

bool Server::SomethingToDo() const
{
    return !ready_.empty() || !later_.empty() || !log_.empty() ||
           (!held_back_.empty() && (!full() || draining_));
}

void Server::OnPrepare(uv_prepare_t *handle)
{
    Server *self = UvPrepare::OwnerOf<Server>(handle);
    self->FlushDirty();
    self->BuryGone();
    if (self->SomethingToDo()) {
        /* Poll must not block; what came by then goes into the same batch. */
        uv_timer_start(
            self->wake_.get(), [](uv_timer_t *) {}, 0, 0);
    }
}

void Server::OnCheck(uv_check_t *handle)
{
    Server *self = UvCheck::OwnerOf<Server>(handle);
    if (self->SomethingToDo()) {
        self->turn_->RunTurn();
    }
}

void Server::Collect(EventBatch *batch)
{
    /* First what is over, so that its place is free before the next one comes. */
    for (const PlainEvent &event : later_) {
        batch->AddPlain(event.kind, event.id);
    }
    later_.clear();
    ReadHeldBack(batch);
    for (Connection *connection : ready_) {
        connection->is_ready = false;
        const Connection::State state = connection->state();
        const bool is_between =
            state == Connection::State::Idle || state == Connection::State::Greeting;
        if (is_between && full() && !draining_ && !connection->is_within_frame()) {
            connection->is_held_back = true;
            held_back_.push_back(connection);
            connection->UpdatePoll();
            continue;
        }
        connection->Read(batch);
    }
    ready_.clear();
    /* Reading may have closed some: their ends belong to this batch, behind what was read. */
    for (const PlainEvent &event : later_) {
        batch->AddPlain(event.kind, event.id);
    }
    later_.clear();
}

/* There is room again: the heads that waited longest come first. When draining they are
 * read to be refused, so that Apache need not wait for a worker that goes. */
void Server::ReadHeldBack(EventBatch *batch)
{
    while (!held_back_.empty() && (!full() || draining_)) {
        Connection *connection = held_back_.front();
        held_back_.pop_front();
        connection->is_held_back = false;
        connection->Read(batch);
    }
}

void Server::FlushDirty()
{
    /* Flushing makes no connection dirty; an index, since the list might grow all the same. */
    for (size_t i = 0; i < dirty_.size(); i++) {
        Connection *connection = dirty_[i];
        connection->is_dirty = false;
        if (!connection->is_blocked()) {
            connection->Flush();
        }
    }
    dirty_.clear();
}

void Server::FlushBlocking(int timeout_ms)
{
    const uint64_t deadline = NowMs() + static_cast<uint64_t>(std::max(timeout_ms, 0));
    for (;;) {
        std::vector<struct pollfd> waiting;
        for (const auto &connection : connections_) {
            if (connection->has_output()) {
                connection->Flush();
            }
            if (connection->has_output()) {
                waiting.push_back({connection->fd(), POLLOUT, 0});
            }
        }
        const uint64_t now = NowMs();
        if (waiting.empty() || now >= deadline) {
            return;
        }
        if (poll(waiting.data(), waiting.size(), static_cast<int>(deadline - now)) < 0 &&
            errno != EINTR) {
            return;
        }
    }
}

void Server::BuryGone()
{
    if (gone_.empty() || !ready_.empty() || !dirty_.empty()) {
        return;
    }
    for (Connection *connection : gone_) {
        const size_t place = connection->place;
        if (place + 1 != connections_.size()) {
            std::swap(connections_[place], connections_.back());
            connections_[place]->place = place;
        }
        connections_.pop_back();
    }
    gone_.clear();
}

/* ---- for Connection --------------------------------------------------------------- */

void Server::MarkReady(Connection *connection)
{
    if (!connection->is_ready) {
        connection->is_ready = true;
        ready_.push_back(connection);
    }
}

void Server::MarkDirty(Connection *connection)
{
    if (!connection->is_dirty) {
        connection->is_dirty = true;
        dirty_.push_back(connection);
    }
}

void Server::Later(EventKind kind, int32_t id)
{
    later_.push_back({kind, id});
}

void Server::Gone(Connection *connection)
{
    if (connection->is_held_back) {
        connection->is_held_back = false;
        held_back_.erase(std::find(held_back_.begin(), held_back_.end(), connection));
    }
    gone_.push_back(connection);
}

void Server::Log(uint16_t code, const std::string &text)
{
    const uint64_t second = NowMs() / 1000;
    if (second != log_second_) {
        log_second_ = second;
        log_count_ = 0;
    }
    if (log_count_ >= kLogLinesPerSecond) {
        log_dropped_++;
        return;
    }
    log_count_++;
    std::string line = text;
    if (log_dropped_ > 0) {
        line += " (before this, " + std::to_string(log_dropped_) + " lines were dropped)";
        log_dropped_ = 0;
    }
    log_.push_back({code, std::move(line)});
}

std::vector<LogLine> Server::TakeLog()
{
    return std::exchange(log_, {});
}

} // namespace tsgi
