/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file loop.h
 * The event loop of one Node environment (the main thread's, or a worker thread's), and
 * the libuv handles that this addon has on it.
 *
 * An environment may end while handles are open. Node then waits for an asynchronous
 * cleanup hook, in which everything is closed; the wait ends when libuv has let go of the
 * last handle. Without it a worker thread's loop would be torn down with handles on it,
 * which aborts the process.
 *
 * Everything here belongs to the environment's thread.
 */
#ifndef TSGI_UTIL_LOOP_H
#define TSGI_UTIL_LOOP_H

#include <napi.h>
#include <uv.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

namespace tsgi {

/** Something with handles on the loop that must be closed when the environment ends. */
class Closable {
  public:
    virtual ~Closable() = default;
    /** The environment ends: close all handles now; JavaScript is not called any more. */
    virtual void EnvironmentEnds() = 0;
};

class Loop {
  public:
    /** @return null if the environment has no loop any more; an exception is pending. */
    static std::shared_ptr<Loop> Create(Napi::Env env);

    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;

    uv_loop_t *uv() const
    {
        return uv_;
    }
    void Add(Closable *closable);
    void Remove(Closable *closable);
    /** Called by UvHandle only: the environment's end waits for what is open. */
    void HandleOpened();
    void HandleClosed();

  private:
    Loop() = default;
    static void CleanUp(napi_async_cleanup_hook_handle hook, void *data);
    void FinishIfDone();

    uv_loop_t *uv_ = nullptr;
    napi_async_cleanup_hook_handle hook_ = nullptr;
    bool ending_ = false;
    size_t open_ = 0;
    std::vector<Closable *> closables_;
    /** Keeps this alive until the cleanup hook is done. */
    std::shared_ptr<Loop> self_;
};

/**
 * A libuv handle in memory of its own. The size is asked of the libuv that runs, since the
 * headers of the build may be older or newer. The destructor closes; the memory is freed
 * when libuv has let go of it. `owner` is what the callbacks find in OwnerOf().
 */
template <typename T, uv_handle_type kType>
class UvHandle {
  public:
    UvHandle() = default;
    UvHandle(const UvHandle &) = delete;
    UvHandle &operator=(const UvHandle &) = delete;
    ~UvHandle()
    {
        Close();
    }

    /**
     * @param init calls uv_*_init() with the handle it is given.
     * @return 0, or a negative error of libuv: then the handle is not open.
     */
    template <typename Init>
    int Open(const std::shared_ptr<Loop> &loop, void *owner, Init init)
    {
        void *memory = calloc(1, std::max(uv_handle_size(kType), sizeof(T)));
        if (memory == nullptr) {
            return UV_ENOMEM;
        }
        T *handle = static_cast<T *>(memory);
        const int error = init(handle);
        if (error < 0) {
            free(memory);
            return error;
        }
        loop->HandleOpened();
        loop_ = loop;
        handle_ = handle;
        uv_handle_set_data(base(), owner);
        return 0;
    }

    /** No callback of this handle runs any more. Does nothing when it is not open. */
    void Close()
    {
        if (handle_ == nullptr) {
            return;
        }
        uv_handle_set_data(base(), new std::shared_ptr<Loop>(std::move(loop_)));
        uv_close(base(), [](uv_handle_t *handle) {
            auto *loop = static_cast<std::shared_ptr<Loop> *>(uv_handle_get_data(handle));
            free(handle);
            (*loop)->HandleClosed();
            delete loop;
        });
        handle_ = nullptr;
    }

    T *get() const
    {
        return handle_;
    }
    explicit operator bool() const
    {
        return handle_ != nullptr;
    }
    /** Whether the handle keeps the loop alive. */
    void SetRef(bool ref)
    {
        if (handle_ != nullptr) {
            ref ? uv_ref(base()) : uv_unref(base());
        }
    }
    /** In a callback: the owner that Open() was given. */
    template <typename Owner>
    static Owner *OwnerOf(T *handle)
    {
        return static_cast<Owner *>(
            uv_handle_get_data(reinterpret_cast<uv_handle_t *>(handle)));
    }

  private:
    uv_handle_t *base() const
    {
        return reinterpret_cast<uv_handle_t *>(handle_);
    }

    T *handle_ = nullptr;
    std::shared_ptr<Loop> loop_;
};

using UvPoll = UvHandle<uv_poll_t, UV_POLL>;
using UvPrepare = UvHandle<uv_prepare_t, UV_PREPARE>;
using UvCheck = UvHandle<uv_check_t, UV_CHECK>;
using UvTimer = UvHandle<uv_timer_t, UV_TIMER>;

} // namespace tsgi
#endif
