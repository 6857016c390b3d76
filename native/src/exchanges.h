/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file exchanges.h
 * The exchanges in hand, by the id that JavaScript knows them by. An id is a place in a
 * table and a number that grows with each use of the place: an id that is over is
 * recognised. Places are reused in turn, so an id comes back after a hundred million
 * exchanges at the earliest.
 *
 * Tunnels are exchanges that no limit of requests in hand counts: there are places for
 * kMostTunnels of them besides. Such a place comes into use only when a tunnel needs one, so
 * that the places of ordinary requests stay few and warm. Loop thread only.
 */
#ifndef TSGI_EXCHANGES_H
#define TSGI_EXCHANGES_H

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tsgi {

class Connection;

class Exchanges {
  public:
    static constexpr uint32_t kMost = 65536;
    static constexpr uint32_t kMostTunnels = 8192;

    /** @param limit 1..kMost: most exchanges in hand. */
    explicit Exchanges(uint32_t limit) : limit_(limit)
    {
        while ((1u << bits_) < limit + kMostTunnels) {
            bits_++;
        }
        free_.resize(size_t{1} << bits_);
        AddPlaces(std::max(limit, kFewest));
    }

    uint32_t in_hand() const
    {
        return in_hand_;
    }
    /** No further request fits in: `limit` are in hand, tunnels not counted. */
    bool full() const
    {
        return in_hand_ - tunnels_ >= limit_ || free_count_ == 0;
    }
    /** Only if not full(). @return the id, > 0. */
    int32_t Begin(Connection *connection)
    {
        const uint32_t place = free_[next_free_];
        next_free_ = (next_free_ + 1) % free_.size();
        free_count_--;
        Place &p = places_[place];
        p.sequence = (p.sequence + 1) & (INT32_MAX >> bits_);
        if (p.sequence == 0) {
            p.sequence = 1; /* ids are never 0 */
        }
        p.connection = connection;
        p.is_tunnel = false;
        in_hand_++;
        return static_cast<int32_t>((p.sequence << bits_) | place);
    }
    /** @return null if that exchange is over. */
    Connection *Find(int32_t id) const
    {
        const uint32_t value = static_cast<uint32_t>(id);
        const uint32_t place = value & ((1u << bits_) - 1);
        return id > 0 && place < places_.size() &&
                       places_[place].sequence == value >> bits_
                   ? places_[place].connection
                   : nullptr;
    }
    /** It has become a tunnel. Only for an id that Find() finds, once. */
    void Detach(int32_t id)
    {
        places_[PlaceOf(id)].is_tunnel = true;
        tunnels_++;
        if (in_hand_ - tunnels_ + free_count_ < limit_) {
            AddPlaces(1);
        }
    }
    /** Only for an id that Find() finds. */
    void End(int32_t id)
    {
        const uint32_t place = PlaceOf(id);
        places_[place].connection = nullptr;
        in_hand_--;
        tunnels_ -= places_[place].is_tunnel ? 1 : 0;
        PutFree(place);
    }

  private:
    /** Places in use at least, so that ids do not come back soon. */
    static constexpr uint32_t kFewest = 1024;

    struct Place {
        Connection *connection = nullptr;
        uint32_t sequence = 0;
        bool is_tunnel = false;
    };

    uint32_t PlaceOf(int32_t id) const
    {
        return static_cast<uint32_t>(id) & ((1u << bits_) - 1);
    }
    void PutFree(uint32_t place)
    {
        free_[(next_free_ + free_count_) % free_.size()] = place;
        free_count_++;
    }
    void AddPlaces(uint32_t count)
    {
        for (uint32_t i = 0; i < count && places_.size() < free_.size(); i++) {
            places_.emplace_back();
            PutFree(static_cast<uint32_t>(places_.size() - 1));
        }
    }

    uint32_t limit_;
    uint32_t bits_ = 0;
    uint32_t in_hand_ = 0, tunnels_ = 0;
    std::vector<Place> places_;
    /** A ring: from next_free_ on the free places, in the order in which they came free. */
    std::vector<uint32_t> free_;
    size_t next_free_ = 0, free_count_ = 0;
};

} // namespace tsgi
#endif
