/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "shared_port.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>

#include "util/errno_error.h"
#include "util/fd.h"

namespace tsgi {

struct FreeAddresses {
    void operator()(addrinfo *list) const
    {
        freeaddrinfo(list);
    }
};

using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

/* Only numbers: nothing is looked up. @return null if it is no address. */
static Addresses Resolve(const std::string &address, int port)
{
    addrinfo hints = {};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *list = nullptr;
    if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) {
        return nullptr;
    }
    return Addresses(list);
}

static bool SetFlag(const Fd &fd, int level, int option, int value)
{
    return setsockopt(fd.get(), level, option, &value, sizeof(value)) == 0;
}

/* @return a descriptor, or an errno, negated */
static int Bind(const addrinfo &address, bool only_v6)
{
    Fd fd(socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd || !SetFlag(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
        !SetFlag(fd, SOL_SOCKET, SO_REUSEPORT, 1) ||
        (address.ai_family == AF_INET6 &&
         !SetFlag(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_v6 ? 1 : 0)) ||
        bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0) {
        return -errno;
    }
    return fd.Release();
}

Napi::Value BindShared(const Napi::CallbackInfo &info)
{
    const Napi::Env env = info.Env();
    int32_t port = 0;
    if (!info[0].IsString() || !info[1].IsNumber() || !info[2].IsBoolean() ||
        napi_get_value_int32(env, info[1], &port) != napi_ok || port < 0 ||
        port > 65535) {
        ThrowTypeError(env, "ERR_INVALID_ARG_VALUE",
                       "bindShared: expected an address, a port and a boolean");
        return env.Undefined();
    }
    const Addresses addresses = Resolve(info[0].As<Napi::String>().Utf8Value(), port);
    if (!addresses) {
        return Napi::Number::New(env, -EINVAL);
    }
    return Napi::Number::New(env, Bind(*addresses, info[2].As<Napi::Boolean>().Value()));
}

} // namespace tsgi
