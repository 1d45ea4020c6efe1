// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/xt/vet.h"

#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "rules/rule.h"

namespace sluice::kernel::xt {
namespace {

// Of the whole process; see limit_entries().
std::atomic<unsigned> entry_limit{131072};
// What libiptc reads into memory in one piece. Our own rules take some 200 bytes each.
constexpr std::size_t bytes_per_entry = 256;
constexpr std::size_t hook_count = 5;  // NF_INET_NUMHOOKS
// -NF_DROP - 1, -NF_ACCEPT - 1, -NF_QUEUE - 1, XT_RETURN (= -NF_REPEAT - 1).
constexpr std::array<int, 4> verdicts{-1, -2, -4, -5};

// The parts of struct ipt_getinfo and ip6t_getinfo that count here; they are laid out alike.
struct Info {
  unsigned valid_hooks = 0;
  std::array<unsigned, hook_count> hook_entry{};
};

bool is_builtin_name(const std::string& name) {
  constexpr std::array<const char*, hook_count> names{"PREROUTING", "INPUT", "FORWARD", "OUTPUT",
                                                      "POSTROUTING"};
  return std::any_of(names.begin(), names.end(), [&](const char* n) { return name == n; });
}

// Walks over one table. `Entry` is ipt_entry or ip6t_entry.
template <class Entry>
class Vetting {
 public:
  Vetting(const Info& info, std::span<const std::uint8_t> bytes) : bytes_(bytes) {
    for (std::size_t hook = 0; hook < hook_count; ++hook) {
      if ((info.valid_hooks >> hook & 1U) == 0) continue;
      distinct_ = hooks_.insert(info.hook_entry.at(hook)).second && distinct_;
    }
  }

  bool passes() {
    if (!distinct_) return false;
    std::size_t offset = 0;
    while (offset < bytes_.size()) {
      const std::size_t next = vet_entry(offset);
      if (next <= offset) return false;
      offset = next;
    }
    return ended_ && hooks_seen_ == hooks_.size() && jumps_land();
  }

 private:
  template <class T>
  bool read(std::size_t offset, T& value) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof value) return false;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return true;
  }

  // Returns where the next entry begins, 0 if this one is malformed.
  std::size_t vet_entry(std::size_t offset) {
    Entry entry{};
    xt_entry_target target{};
    if (!read(offset, entry) || entry.target_offset < sizeof entry ||
        !read(offset + entry.target_offset, target)) {
      return 0;
    }
    const std::size_t next = offset + entry.next_offset;
    const std::size_t target_end = offset + entry.target_offset + target.u.target_size;
    const char* name = target.u.user.name;
    const bool fits = target.u.target_size >= sizeof target && target_end <= next &&
                      next <= bytes_.size() && memchr(name, 0, sizeof target.u.user.name) &&
                      matches_fit(offset + sizeof entry, offset + entry.target_offset);
    if (!fits || ended_) return 0;
    const std::size_t payload = offset + entry.target_offset + sizeof target;
    const bool is_error = std::strcmp(name, XT_ERROR_TARGET) == 0;
    const bool is_hook = hooks_.contains(static_cast<unsigned>(offset));
    bool good = false;
    if (is_error) {
      good = !is_hook && chain_is_whole() && vet_head(payload, target_end, next);
    } else {
      if (is_hook)
        good = start_builtin();
      else
        good = in_chain_;
      good = good && vet_rule(target, payload, next);
    }
    return good ? next : 0;
  }

  bool matches_fit(std::size_t offset, std::size_t end) const {
    while (offset < end) {
      xt_entry_match match{};
      if (!read(offset, match) || match.u.match_size < sizeof match ||
          match.u.match_size > end - offset) {
        return false;
      }
      offset += match.u.match_size;
    }
    return offset == end;
  }

  // A chain needs a rule at its end that holds its policy: libiptc takes the last one for it.
  bool chain_is_whole() const { return !in_chain_ || last_is_final_; }

  bool start_builtin() {
    if (!chain_is_whole()) return false;
    ++hooks_seen_;
    in_chain_ = true;
    last_is_final_ = false;
    return true;
  }

  // An ERROR entry: the end of the table, or the head of a user-defined chain.
  bool vet_head(std::size_t payload, std::size_t target_end, std::size_t next) {
    if (next == bytes_.size()) return ended_ = true;
    std::array<char, XT_FUNCTION_MAXNAMELEN> name{};
    if (target_end - payload < name.size() || !read(payload, name) ||
        memchr(name.data(), 0, name.size()) == nullptr) {
      return false;
    }
    landings_.insert(next);
    in_chain_ = true;
    last_is_final_ = false;
    return !is_builtin_name(name.data()) && names_.insert(name.data()).second;
  }

  bool vet_rule(const xt_entry_target& target, std::size_t payload, std::size_t next) {
    // The table's last entry is its ERROR entry.
    if (next == bytes_.size()) return false;
    last_is_final_ = false;
    if (target.u.user.name[0] != '\0') return true;
    int verdict = 0;
    if (target.u.target_size != XT_ALIGN(sizeof(xt_standard_target)) || !read(payload, verdict)) {
      return false;
    }
    if (verdict < 0) {
      last_is_final_ = true;
      return std::find(verdicts.begin(), verdicts.end(), verdict) != verdicts.end();
    }
    const auto landing = static_cast<std::size_t>(verdict);
    if (landing != next) jumps_.push_back(landing);
    return true;
  }

  bool jumps_land() const {
    return std::all_of(jumps_.begin(), jumps_.end(),
                       [&](std::size_t landing) { return landings_.contains(landing); });
  }

  std::span<const std::uint8_t> bytes_;
  std::set<unsigned> hooks_;
  bool distinct_ = true;
  std::size_t hooks_seen_ = 0;
  bool in_chain_ = false;
  bool last_is_final_ = false;
  bool ended_ = false;
  std::set<std::string> names_;
  std::set<std::size_t> landings_;  // first rules of user-defined chains
  std::vector<std::size_t> jumps_;
};

// Of the table that libiptc asked about last: it reads the entries right after.
thread_local Info last_info;

template <class GetInfo>
bool remember_info(const void* value) {
  GetInfo info{};
  std::memcpy(&info, value, sizeof info);
  last_info.valid_hooks = info.valid_hooks;
  std::copy(std::begin(info.hook_entry), std::end(info.hook_entry), last_info.hook_entry.begin());
  return info.num_entries <= entry_limit && info.size / bytes_per_entry <= entry_limit;
}

template <class GetEntries, class Entry>
bool vet_entries(const void* value) {
  const auto* bytes = static_cast<const std::uint8_t*>(value);
  decltype(GetEntries::size) size = 0;
  std::memcpy(&size, bytes + offsetof(GetEntries, size), sizeof size);
  return Vetting<Entry>(last_info, {bytes + sizeof(GetEntries), size}).passes();
}

bool vet(int level, int option, const void* value) {
  const bool ipv4 = level == IPPROTO_IP;
  if (option == IPT_SO_GET_INFO) {
    const bool fits = ipv4 ? remember_info<ipt_getinfo>(value) : remember_info<ip6t_getinfo>(value);
    if (!fits) errno = E2BIG;
    return fits;
  }
  const bool good = ipv4 ? vet_entries<ipt_get_entries, ipt_entry>(value)
                         : vet_entries<ip6t_get_entries, ip6t_entry>(value);
  if (!good) errno = EUCLEAN;
  return good;
}

}  // namespace

void limit_entries(unsigned entries) {
  entry_limit = entries;
}

}  // namespace sluice::kernel::xt

extern "C" int sluice_vetted_getsockopt(int fd, int level, int option, void* value,
                                        socklen_t* size) {
  const int result = getsockopt(fd, level, option, value, size);
  // IP6T_SO_GET_* have the same numbers.
  const bool reads_table = option == IPT_SO_GET_INFO || option == IPT_SO_GET_ENTRIES;
  if (result != 0 || !reads_table) return result;
  return sluice::kernel::xt::vet(level, option, value) ? 0 : -1;
}
