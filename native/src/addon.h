/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file addon.h
 * What one Node environment has of this addon: its loop. Made when the addon is loaded,
 * once for the main thread and once for each worker thread; gone with the environment.
 */
#ifndef TSGI_ADDON_H
#define TSGI_ADDON_H

#include <napi.h>

#include <memory>

#include "util/loop.h"

namespace tsgi {

class Addon : public Napi::Addon<Addon> {
  public:
    Addon(Napi::Env env, Napi::Object exports);
    Addon(const Addon &) = delete;
    Addon &operator=(const Addon &) = delete;

    static Addon *Of(Napi::Env env)
    {
        return env.GetInstanceData<Addon>();
    }
    const std::shared_ptr<Loop> &loop() const
    {
        return loop_;
    }

  private:
    std::shared_ptr<Loop> loop_;
};

} // namespace tsgi
#endif
