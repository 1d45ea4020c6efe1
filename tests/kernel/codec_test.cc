// SPDX-License-Identifier: GPL-2.0-or-later
// Rules as bytes and back, without the kernel.
#include "rules/kernel/xt/codec.h"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <variant>
#include <vector>

#include "rules/error.h"
#include "rules/kernel/xt/entry.h"
#include "rules/text.h"
#include "tests/kernel/random_rule.h"
#include "tests/kernel/seed.h"

namespace sluice::kernel::xt {
namespace {

bool is_standard(const Target& target) {
  return std::holds_alternative<Accept>(target) || std::holds_alternative<Drop>(target) ||
         std::holds_alternative<Return>(target) || std::holds_alternative<Jump>(target);
}

// Does what libiptc does between writing and reading: it takes a verdict or chain out of the
// target's name, and says it when asked.
template <class Entry>
Rule through_bytes(const Rule& rule, Family family) {
  EntryBuffer buffer = encode_rule(rule, family);
  auto* bytes = reinterpret_cast<std::uint8_t*>(buffer.data());
  auto* entry = reinterpret_cast<Entry*>(buffer.data());
  CHECK(entry->next_offset == buffer.size() * sizeof(std::uint64_t));
  CHECK(entry->target_offset % alignof(std::uint64_t) == 0);
  REQUIRE(entry->target_offset + sizeof(xt_entry_target) <= entry->next_offset);
  xt_entry_target target{};
  std::memcpy(&target, bytes + entry->target_offset, sizeof target);
  CHECK(entry->target_offset + target.u.target_size == entry->next_offset);
  const std::string verdict = target.u.user.name;
  if (is_standard(rule.target)) {
    target.u.user.name[0] = '\0';
    std::memcpy(bytes + entry->target_offset, &target, sizeof target);
  }
  return decode_rule(*entry, verdict);
}

Rule through_bytes(const Rule& rule, Family family) {
  return family == Family::ipv4 ? through_bytes<ipt_entry>(rule, family)
                                : through_bytes<ip6t_entry>(rule, family);
}

void check_kept(const Rule& rule, Family family) {
  INFO(to_string(family) << ' ' << to_string("CHAIN", rule));
  CHECK(through_bytes(rule, family) == rule);
}

void check_kept(const Rule& rule) {
  check_kept(rule, Family::ipv4);
  check_kept(rule, Family::ipv6);
}

const std::array<bool, 2> both{false, true};

TEST_CASE("random rules survive encoding and decoding") {
  INFO("SLUICE_SEED=" << test_seed());
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    for (const Table table : {Table::raw, Table::mangle, Table::nat, Table::filter}) {
      RandomRules rules(family, test_seed());
      for (int i = 0; i < 2000; ++i) check_kept(rules.next(table), family);
    }
  }
}

TEST_CASE("every target survives") {
  for (const Target& target : std::vector<Target>{
           Accept{}, Drop{}, Return{}, Jump{"ISTIO_OUTPUT"}, Jump{std::string(28, 'x')},
           Jump{.chain = "ISTIO_OUTPUT", .go_to = true}, Redirect{1}, Redirect{65535},
           Redirect{15001}, Redirect{256}, RejectWithTcpReset{}, SetMark{.value = 1, .mask = 3},
           SaveMark{}, RestoreMark{}, CtZone{256}, Nflog{.group = 256, .prefix = "a b"}}) {
    check_kept({.protocol = Protocol::tcp, .target = target});
  }
}

TEST_CASE("every port edge survives, negated or not") {
  for (const PortRange ports : {PortRange{1, 1}, PortRange{65535, 65535}, PortRange{1, 65535},
                                PortRange{0, 0}, PortRange{0, 65534}, PortRange{256, 511}}) {
    for (const bool negated : both) {
      const PortMatch match{.ports = ports, .negated = negated};
      check_kept({.protocol = Protocol::tcp, .matches = {Tcp{.source = match}}});
      check_kept({.protocol = Protocol::tcp, .matches = {Tcp{.destination = match}}});
      check_kept({.protocol = Protocol::udp, .matches = {Udp{.source = match}}});
      check_kept({.protocol = Protocol::udp, .matches = {Udp{.destination = match}}});
    }
  }
  // Matches nothing, so it cannot be left out as the full range that is not negated can.
  const PortMatch none{.ports = {0, 65535}, .negated = true};
  check_kept({.protocol = Protocol::tcp, .matches = {Tcp{.destination = none}}});
}

TEST_CASE("TCP flags survive") {
  for (unsigned mask = 1; mask < 256; ++mask) {
    for (const bool negated : both) {
      const TcpFlags flags{.mask = static_cast<std::uint8_t>(mask),
                           .compare = static_cast<std::uint8_t>(mask & 0x55U),
                           .negated = negated};
      check_kept({.protocol = Protocol::tcp, .matches = {Tcp{.flags = flags}}});
    }
  }
}

TEST_CASE("owners survive, each of them negated or not, alone or together") {
  std::vector<std::optional<OwnerRange>> choices{std::nullopt};
  for (const bool negated : both) {
    choices.emplace_back(OwnerRange{.first = 0, .last = 0, .negated = negated});
    choices.emplace_back(OwnerRange{.first = 1337, .last = 1338, .negated = negated});
    choices.emplace_back(OwnerRange{.first = 0, .last = 4294967295U, .negated = negated});
  }
  for (const auto& uid : choices) {
    for (const auto& gid : choices) check_kept({.matches = {Owner{.uid = uid, .gid = gid}}});
  }
}

TEST_CASE("every prefix length survives, negated or not, as source and as destination") {
  for (const char* text : {"255.170.85.204", "ffff:aaaa:5555:cccc:1234:5678:9abc:def0"}) {
    const IpAddress address = parse_address(text);
    for (unsigned length = 0; length <= address_bits(address.family); ++length) {
      for (const bool negated : both) {
        const AddressMatch match{.cidr = make_cidr(address, static_cast<std::uint8_t>(length)),
                                 .negated = negated};
        // The kernel has no other form for "every address" than no address.
        if (length == 0 && !negated) {
          CHECK(through_bytes({.source = match}, address.family) == Rule{});
          continue;
        }
        check_kept({.source = match}, address.family);
        check_kept({.destination = match}, address.family);
      }
    }
  }
}

TEST_CASE("interfaces survive, names of 15 bytes and prefixes too") {
  for (const char* name :
       {"a", "lo", "eth0", "abcdefghijklmno", "abcdefghijklmn+", "eth+", "a+b", "++", "+", "a+"}) {
    for (const bool negated : both) {
      const Interface interface { .name = name, .negated = negated };
      check_kept({.in = interface});
      check_kept({.out = interface});
      check_kept({.in = interface, .out = Interface{.name = "other", .negated = !negated}});
    }
  }
}

TEST_CASE("an interface's mask is iptables': the NUL counts for a name, the plus does not") {
  const auto mask_of = [](const std::string& name) {
    const EntryBuffer buffer = encode_rule({.in = Interface{.name = name}}, Family::ipv4);
    const auto* entry = reinterpret_cast<const ipt_entry*>(buffer.data());
    return std::string(entry->ip.iniface) + " " +
           std::to_string(std::count(std::begin(entry->ip.iniface_mask),
                                     std::end(entry->ip.iniface_mask), 0xff));
  };
  CHECK(mask_of("eth0") == "eth0 5");
  CHECK(mask_of("eth+") == "eth+ 3");
  CHECK(mask_of("abcdefghijklmno") == "abcdefghijklmno 16");
}

TEST_CASE("all of a rule at once survives") {
  check_kept({.source = AddressMatch{.cidr = parse_cidr("127.0.0.6/32")},
              .destination = AddressMatch{.cidr = parse_cidr("127.0.0.1/32"), .negated = true},
              .in = Interface{.name = "eth0", .negated = true},
              .out = Interface{.name = "lo"},
              .protocol = Protocol::tcp,
              .matches = {Tcp{.destination = PortMatch{.ports = {15008, 15008}, .negated = true}},
                          Owner{.uid = OwnerRange{.first = 1337, .last = 1337}},
                          Owner{.gid = OwnerRange{.first = 1, .last = 2, .negated = true}}},
              .target = Jump{"ISTIO_IN_REDIRECT"}},
             Family::ipv4);
}

TEST_CASE("what cannot be written is refused") {
  const Opaque opaque{"-m comment --comment x"};
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    CHECK_THROWS_AS(encode_rule({.matches = {opaque}}, family), Error);
    CHECK_THROWS_AS(encode_rule({.matches = {Owner{}, opaque}}, family), Error);
    CHECK_THROWS_AS(encode_rule({.target = opaque}, family), Error);
    CHECK_THROWS_AS(encode_rule({.target = Opaque{}}, family), Error);
    for (const char* name : {"", "abcdefghijklmnop", "abcdefghijklmno+"}) {
      CHECK_THROWS_AS(encode_rule({.in = Interface{.name = name}}, family), Error);
      CHECK_THROWS_AS(encode_rule({.out = Interface{.name = name}}, family), Error);
    }
    const bool ipv4 = family == Family::ipv4;
    const AddressMatch other{.cidr = parse_cidr(ipv4 ? "fd00::/8" : "10.0.0.0/8")};
    CHECK_THROWS_AS(encode_rule({.source = other}, family), Error);
    CHECK_THROWS_AS(encode_rule({.destination = other}, family), Error);
  }
  const std::vector<Match> too_many(3000, Owner{});
  CHECK_THROWS_AS(encode_rule({.matches = too_many}, Family::ipv4), Error);
  CHECK_THROWS_WITH(encode_match(opaque), Catch::Contains("comment"));
}

TEST_CASE("a redirection to several ranges is not taken for one to a port") {
  Payload payload = encode(Redirect{80}, Family::ipv4);
  payload.bytes.at(0) = 2;  // rangesize; kernels refuse it today
  CHECK(std::holds_alternative<Opaque>(decode_target(payload, Family::ipv4)));
}

}  // namespace
}  // namespace sluice::kernel::xt
