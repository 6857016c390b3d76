/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "addon.h"

#include "channel.h"
#include "command.h"
#include "process.h"
#include "readable.h"
#include "shared_port.h"
#include "watch.h"
#include "wire/tsgi_wire.h"

namespace tsgi {

/* All 256 places: 1..127 in the table's case, with bit 7 the same in lower case. */
static Napi::Array TokenNames(Napi::Env env)
{
    Napi::Array names = Napi::Array::New(env, 256);
    for (uint32_t token = 0; token < 256; token++) {
        size_t length = 0;
        const char *name = tsgi_token_name(static_cast<uint8_t>(token), &length);
        names.Set(token, name == nullptr ? Napi::String::New(env, "")
                                         : Napi::String::New(env, name, length));
    }
    return names;
}

Addon::Addon(Napi::Env env, Napi::Object exports) : loop_(Loop::Create(env))
{
    if (!loop_) {
        return; /* an exception is pending */
    }
    exports.Set("wireMajor", Napi::Number::New(env, TSGI_WIRE_MAJOR));
    exports.Set("wireMinor", Napi::Number::New(env, TSGI_WIRE_MINOR));
    exports.Set("tokenNames", TokenNames(env));
    exports.Set("Channel", Channel::Define(env));
    exports.Set("Watch", Watch::Define(env));
    exports.Set("receiveCommands", CommandReceiver::Define(env));
    exports.Set("watchReadable", ReadableWatcher::Define(env));
    exports.Set("bindShared", Napi::Function::New(env, BindShared, "bindShared"));
    DefineProcess(env, exports);
}

NODE_API_ADDON(Addon)

} // namespace tsgi
