// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/raw_table.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "rules/kernel/fd.h"
#include "rules/rule.h"

namespace sluice::kernel {
namespace {

constexpr unsigned first_hook = 1;  // NF_INET_LOCAL_IN, then FORWARD and LOCAL_OUT

struct Ipv4 {
  using Entry = ipt_entry;
  using Replace = ipt_replace;
  using Info = ipt_getinfo;
  using Entries = ipt_get_entries;
  static constexpr int domain = AF_INET;
  static constexpr int level = IPPROTO_IP;
};
struct Ipv6 {
  using Entry = ip6t_entry;
  using Replace = ip6t_replace;
  using Info = ip6t_getinfo;
  using Entries = ip6t_get_entries;
  static constexpr int domain = AF_INET6;
  static constexpr int level = IPPROTO_IPV6;
};

template <class Entry>
std::size_t size_of(const RawEntry& entry) {
  const bool error = std::holds_alternative<RawError>(entry);
  return sizeof(Entry) + XT_ALIGN(error ? sizeof(xt_error_target) : sizeof(xt_standard_target));
}

template <class Entry>
std::vector<std::size_t> offsets_of(const std::vector<RawEntry>& entries) {
  std::vector<std::size_t> offsets{0};
  for (const RawEntry& entry : entries) offsets.push_back(offsets.back() + size_of<Entry>(entry));
  return offsets;
}

template <class Entry>
void store(const RawEntry& raw, const std::vector<std::size_t>& offsets, std::uint8_t* bytes) {
  Entry entry{};
  entry.target_offset = sizeof entry;
  entry.next_offset = static_cast<std::uint16_t>(size_of<Entry>(raw));
  std::memcpy(bytes, &entry, sizeof entry);
  const auto size = static_cast<std::uint16_t>(entry.next_offset - entry.target_offset);
  if (const auto* error = std::get_if<RawError>(&raw)) {
    xt_error_target target{};
    target.target.u.user.target_size = size;
    std::strncpy(target.target.u.user.name, XT_ERROR_TARGET, sizeof target.target.u.user.name - 1);
    error->name.copy(target.errorname, sizeof target.errorname);
    std::memcpy(bytes + sizeof entry, &target, sizeof target);
    return;
  }
  xt_standard_target target{};
  target.target.u.user.target_size = size;
  const auto* jump = std::get_if<RawJump>(&raw);
  target.verdict =
      jump != nullptr ? static_cast<int>(offsets.at(jump->to)) : std::get<RawVerdict>(raw).verdict;
  std::memcpy(bytes + sizeof entry, &target, sizeof target);
}

template <class Api>
int write(const RawFilter& filter) {
  using Entry = typename Api::Entry;
  const Fd socket(::socket(Api::domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  typename Api::Info info{};
  std::strncpy(info.name, "filter", sizeof info.name - 1);
  socklen_t size = sizeof info;
  if (getsockopt(socket.get(), Api::level, IPT_SO_GET_INFO, &info, &size) != 0) return errno;

  const std::vector<std::size_t> offsets = offsets_of<Entry>(filter.entries);
  std::vector<xt_counters> counters(info.num_entries);
  typename Api::Replace replace{};
  std::strncpy(replace.name, "filter", sizeof replace.name - 1);
  replace.valid_hooks = info.valid_hooks;
  replace.num_entries = static_cast<unsigned>(filter.entries.size());
  replace.size = static_cast<unsigned>(offsets.back());
  replace.num_counters = info.num_entries;
  replace.counters = counters.data();
  for (std::size_t i = 0; i < filter.first.size(); ++i) {
    replace.hook_entry[first_hook + i] = static_cast<unsigned>(offsets.at(filter.first.at(i)));
    replace.underflow[first_hook + i] = static_cast<unsigned>(offsets.at(filter.policy.at(i)));
  }
  std::vector<std::uint8_t> bytes(sizeof replace + offsets.back());
  std::memcpy(bytes.data(), &replace, sizeof replace);
  for (std::size_t i = 0; i < filter.entries.size(); ++i) {
    store<Entry>(filter.entries[i], offsets, bytes.data() + sizeof replace + offsets[i]);
  }
  return setsockopt(socket.get(), Api::level, IPT_SO_SET_REPLACE, bytes.data(),
                    static_cast<socklen_t>(bytes.size())) == 0
             ? 0
             : errno;
}

// Both structures begin with the table's name.
template <class Header>
void store_name(Header& header, Table table) {
  std::strncpy(header.name, to_string(table), sizeof header.name - 1);
}

template <class Api>
std::vector<std::uint8_t> read(Table table) {
  using Entry = typename Api::Entry;
  const Fd socket(::socket(Api::domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  typename Api::Info info{};
  store_name(info, table);
  socklen_t size = sizeof info;
  if (getsockopt(socket.get(), Api::level, IPT_SO_GET_INFO, &info, &size) != 0) return {};

  typename Api::Entries header{};
  store_name(header, table);
  header.size = info.size;
  std::vector<std::uint8_t> bytes(sizeof header + info.size);
  std::memcpy(bytes.data(), &header, sizeof header);
  size = static_cast<socklen_t>(bytes.size());
  if (getsockopt(socket.get(), Api::level, IPT_SO_GET_ENTRIES, bytes.data(), &size) != 0) return {};
  bytes.erase(bytes.begin(), bytes.begin() + sizeof header);
  for (std::size_t at = 0; at + sizeof(Entry) <= bytes.size();) {
    Entry entry{};
    std::memcpy(&entry, bytes.data() + at, sizeof entry);
    entry.counters = {};
    std::memcpy(bytes.data() + at, &entry, sizeof entry);
    if (entry.next_offset == 0) break;
    at += entry.next_offset;
  }
  return bytes;
}

}  // namespace

std::vector<std::uint8_t> raw_entries(Family family, Table table) {
  return family == Family::ipv4 ? read<Ipv4>(table) : read<Ipv6>(table);
}

int write_filter(Family family, const RawFilter& filter) {
  return family == Family::ipv4 ? write<Ipv4>(filter) : write<Ipv6>(filter);
}

}  // namespace sluice::kernel
