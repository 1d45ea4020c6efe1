// SPDX-License-Identifier: GPL-2.0-or-later
// The structures of matches and targets as anybody may have written them: what the model cannot
// hold exactly is opaque, and nothing is read beyond its end.
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <variant>
#include <vector>

#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_NFLOG.h>
#include <linux/netfilter/xt_TPROXY.h>
#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_multiport.h>

#include "rules/error.h"
#include "rules/kernel/xt/codec.h"
#include "tests/kernel/seed.h"

namespace sluice::kernel::xt {
namespace {

const std::array<Family, 2> families{Family::ipv4, Family::ipv6};
const Multiport some_ports{.destinations = {{53, 53}, {80, 90}}};
const Conntrack some_states{.states = Conntrack::invalid};

std::vector<Payload> all_matches() {
  return {encode(Tcp{}),  encode(Udp{}),      encode(Owner{}),     encode(some_ports),
          encode(Mark{}), encode(Connmark{}), encode(some_states), encode(Limit{.period = 1})};
}

std::vector<Payload> all_targets(Family family) {
  return {encode(Redirect{1}, family),
          encode(RejectWithTcpReset{}, family),
          encode(RejectWithPortUnreachable{family}, family),
          encode(SetMark{}, family),
          encode(SaveMark{}, family),
          encode(RestoreMark{}, family),
          encode(Tproxy{.address = {.family = family, .bytes = {}}}, family),
          encode(CtZone{}, family),
          encode(Nflog{}, family)};
}

bool is_opaque(const Match& match) {
  return std::holds_alternative<Opaque>(match);
}

bool is_opaque(const Target& target) {
  return std::holds_alternative<Opaque>(target);
}

// A payload as another program may have written it.
Payload with(Payload payload, std::uint8_t revision, std::size_t size) {
  payload.revision = revision;
  payload.bytes.resize(size);
  return payload;
}

// `payload` after `change` of the structure in it.
template <class Info, class Change>
Payload changed(Payload payload, Change change) {
  Info info{};
  REQUIRE(payload.bytes.size() == sizeof info);
  std::memcpy(&info, payload.bytes.data(), sizeof info);
  change(info);
  std::memcpy(payload.bytes.data(), &info, sizeof info);
  return payload;
}

// `decode` gives an Opaque for every revision but one and for everything that is too short.
template <class Decode>
void check_revision_and_size(const Payload& payload, Decode decode) {
  INFO(payload.name << ' ' << unsigned{payload.revision});
  const std::size_t size = payload.bytes.size();
  CHECK_FALSE(is_opaque(decode(payload)));
  CHECK(decode(with(payload, payload.revision, size + 6)) == decode(payload));
  for (std::size_t shorter = 0; shorter < size; ++shorter) {
    CHECK(is_opaque(decode(with(payload, payload.revision, shorter))));
  }
  for (unsigned revision = 0; revision < 256; ++revision) {
    const auto other = static_cast<std::uint8_t>(revision);
    if (other != payload.revision) CHECK(is_opaque(decode(with(payload, other, size))));
  }
}

TEST_CASE("unknown revisions and short payloads become opaque and are not read beyond their end") {
  for (const Payload& payload : all_matches()) check_revision_and_size(payload, decode_match);
  for (const Family family : families) {
    for (const Payload& payload : all_targets(family)) {
      check_revision_and_size(
          payload, [&](const Payload& changed) { return decode_target(changed, family); });
    }
  }
}

TEST_CASE("a match and a target of one name are not taken for each other") {
  for (Payload payload : all_matches()) {
    std::transform(payload.name.begin(), payload.name.end(), payload.name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    CHECK(is_opaque(decode_match(payload)));
  }
  for (const Payload& payload : all_targets(Family::ipv4)) CHECK(is_opaque(decode_match(payload)));
  for (const Payload& payload : all_matches()) {
    CHECK(is_opaque(decode_target(payload, Family::ipv4)));
  }
}

// Bytes 0, 1 and 0xff at random places of a structure, sometimes all of it.
void disturb(Random& random, std::vector<std::uint8_t>& bytes) {
  const std::size_t changes = one_in(random, 8) ? bytes.size() : pick<std::size_t>(random, 0, 4);
  for (std::size_t i = 0; i < changes; ++i) {
    const std::array<std::uint8_t, 4> values{0, 1, 0xff, pick<std::uint8_t>(random, 0, 255)};
    bytes.at(pick<std::size_t>(random, 0, bytes.size() - 1)) = pick_of(random, values);
  }
}

TEST_CASE("whatever bytes stand in a structure, it is opaque or can be written as it was read") {
  INFO("SLUICE_SEED=" << test_seed());
  Random random(test_seed());
  std::size_t known = 0;
  for (int round = 0; round < 3000; ++round) {
    for (Payload payload : all_matches()) {
      disturb(random, payload.bytes);
      const Match match = decode_match(payload);
      if (is_opaque(match)) continue;
      ++known;
      CHECK(decode_match(encode_match(match)) == match);
    }
    for (const Family family : families) {
      for (Payload payload : all_targets(family)) {
        disturb(random, payload.bytes);
        const Target target = decode_target(payload, family);
        if (is_opaque(target)) continue;
        ++known;
        CHECK(decode_target(encode_target(target, family), family) == target);
      }
    }
  }
  CHECK(known > 1000);
}

TEST_CASE("multiport: other kinds, impossible counts and ranges without an end are opaque") {
  const auto decoded = [](auto change) {
    return decode_match(changed<xt_multiport_v1>(encode(some_ports), change));
  };
  const auto nothing = [](xt_multiport_v1&) {};
  CHECK(decoded(nothing) == Match(some_ports));
  for (const unsigned flags : {0U, 2U, 3U, 255U}) {
    CHECK(is_opaque(decoded([&](auto& i) { i.flags = static_cast<std::uint8_t>(flags); })));
  }
  for (const unsigned count : {0U, 16U, 255U}) {
    CHECK(is_opaque(decoded([&](auto& i) { i.count = static_cast<std::uint8_t>(count); })));
  }
  // The range's end is not counted.
  CHECK(is_opaque(decoded([](auto& i) { i.count = 2; })));
  CHECK(is_opaque(decoded([](auto& i) { i.ports[2] = 79; })));
  CHECK(is_opaque(decoded([](auto& i) { i.ports[2] = 80; })));
  CHECK(is_opaque(decoded([](auto& i) {
    i.count = 15;
    i.pflags[14] = 1;
  })));
  // Any flag begins a range, any inversion inverts, what is not counted does not count.
  CHECK(decoded([](auto& i) {
          i.pflags[1] = 2;
          i.pflags[3] = 1;
          i.ports[3] = 9;
        }) == Match(some_ports));
  Multiport negated = some_ports;
  negated.negated = true;
  CHECK(decoded([](auto& i) { i.invert = 7; }) == Match(negated));
}

TEST_CASE("multiport: what does not fit cannot be written") {
  const auto ports = [](std::vector<PortRange> list) { return Multiport{.destinations = list}; };
  CHECK_THROWS_AS(encode(ports({})), Error);
  CHECK_THROWS_AS(encode(ports({{2, 1}})), Error);
  CHECK_THROWS_AS(encode(ports(std::vector<PortRange>(16, {1, 1}))), Error);
  CHECK_THROWS_AS(encode(ports(std::vector<PortRange>(8, {1, 2}))), Error);
  CHECK_NOTHROW(encode(ports(std::vector<PortRange>(15, {1, 1}))));
  std::vector<PortRange> fits(7, {1, 2});
  fits.push_back({3, 3});
  CHECK(decode_match(encode(ports(fits))) == Match(ports(fits)));
}

TEST_CASE("conntrack: anything but states and the direction is opaque") {
  const auto decoded = [](auto change) {
    return decode_match(changed<xt_conntrack_mtinfo3>(encode(some_states), change));
  };
  for (unsigned bit = 0; bit < 16; ++bit) {
    INFO("bit " << bit);
    const auto flag = static_cast<std::uint16_t>(1U << bit);
    const bool is_state = bit == 0 || bit == 1 || bit == 2 || bit == 3 || bit == 8;
    CHECK(is_opaque(decoded([&](auto& i) { i.state_mask = flag; })) != is_state);
    if (flag == XT_CONNTRACK_STATE || flag == XT_CONNTRACK_DIRECTION) continue;
    CHECK(is_opaque(decoded([&](auto& i) { i.match_flags |= flag; })));
    CHECK(is_opaque(decoded([&](auto& i) { i.match_flags = flag; })));
    CHECK(is_opaque(decoded([&](auto& i) { i.invert_flags = flag; })));
  }
  CHECK(is_opaque(decoded([](auto& i) { i.state_mask = 0; })));
  CHECK(is_opaque(decoded([](auto& i) { i.match_flags = 0; })));
  CHECK(is_opaque(decoded([](auto& i) { i.invert_flags = XT_CONNTRACK_DIRECTION; })));
  CHECK_THROWS_AS(encode(Conntrack{}), Error);
  CHECK_THROWS_AS(encode(Conntrack{.states = 64}), Error);
  CHECK_THROWS_AS(encode(Conntrack{.states = Conntrack::invalid | 128}), Error);
}

TEST_CASE("limit: what the kernel keeps for itself does not count") {
  const Limit limit{.period = 1000, .burst = 20};
  const Payload payload = changed<xt_rateinfo>(encode(limit), [](auto& info) {
    info.prev = 1;
    info.credit = 2;
    info.credit_cap = 3;
    info.cost = 4;
  });
  CHECK(decode_match(payload) == Match(limit));
}

TEST_CASE("CONNMARK: other modes, masks and shifts are opaque") {
  const auto decoded = [](auto change) {
    return decode_target(changed<xt_connmark_tginfo2>(encode(SaveMark{}, Family::ipv4), change),
                         Family::ipv4);
  };
  CHECK(decoded([](auto& i) { i.mode = XT_CONNMARK_RESTORE; }) == Target(RestoreMark{}));
  // Only the mode that sets a mark reads it; no shift has no direction.
  CHECK(decoded([](auto& i) { i.ctmark = 9; }) == Target(SaveMark{}));
  CHECK(decoded([](auto& i) { i.shift_dir = D_SHIFT_RIGHT; }) == Target(SaveMark{}));
  CHECK(is_opaque(decoded([](auto& i) { i.mode = XT_CONNMARK_SET; })));
  CHECK(is_opaque(decoded([](auto& i) { i.mode = 3; })));
  CHECK(is_opaque(decoded([](auto& i) { i.ctmask = 0x7fffffff; })));
  CHECK(is_opaque(decoded([](auto& i) { i.nfmask = 0xfffffffe; })));
  CHECK(is_opaque(decoded([](auto& i) { i.shift_bits = 1; })));
}

TEST_CASE("CT: the kernel's pointer is neither read nor written, other options are opaque") {
  const CtZone zone{513};
  const Payload payload = encode(zone, Family::ipv4);
  CHECK(std::all_of(payload.bytes.begin() + offsetof(xt_ct_target_info_v1, ct), payload.bytes.end(),
                    [](std::uint8_t byte) { return byte == 0; }));
  const auto decoded = [&](auto change) {
    return decode_target(changed<xt_ct_target_info_v1>(payload, change), Family::ipv4);
  };
  CHECK(decoded([&](auto& i) { std::memset(&i.ct, 0xff, sizeof i.ct); }) == Target(zone));
  for (unsigned bit = 0; bit < 16; ++bit) {
    CHECK(is_opaque(decoded([&](auto& i) { i.flags = static_cast<std::uint16_t>(1U << bit); })));
  }
  CHECK(is_opaque(decoded([](auto& i) { i.ct_events = 1; })));
  CHECK(is_opaque(decoded([](auto& i) { i.exp_events = 1; })));
  CHECK(is_opaque(decoded([](auto& i) { i.helper[0] = 'f'; })));
  CHECK(is_opaque(decoded([](auto& i) { i.timeout[0] = 'f'; })));
}

TEST_CASE("NFLOG: other options and unprintable prefixes are opaque") {
  const Nflog log{.group = 7, .prefix = "a"};
  const auto decoded = [&](auto change) {
    return decode_target(changed<xt_nflog_info>(encode(log, Family::ipv4), change), Family::ipv4);
  };
  CHECK(decoded([](auto& i) { i.pad = 1; }) == Target(log));
  CHECK(decoded([](auto& i) { i.prefix[2] = 'b'; }) == Target(log));
  CHECK(is_opaque(decoded([](auto& i) { i.len = 1; })));
  CHECK(is_opaque(decoded([](auto& i) { i.threshold = 1; })));
  CHECK(is_opaque(decoded([](auto& i) { i.flags = XT_NFLOG_F_COPY_LEN; })));
  // Without its NUL; the kernel refuses it.
  CHECK(is_opaque(decoded([](auto& i) { std::memset(i.prefix, 'x', sizeof i.prefix); })));
  for (const char control : {'\n', '\r', '\t', '\x1b', '\x7f'}) {
    CHECK(is_opaque(decoded([&](auto& i) { i.prefix[0] = control; })));
    CHECK_THROWS_AS(encode(Nflog{.prefix = std::string("a") + control}, Family::ipv4), Error);
  }
  CHECK_THROWS_AS(encode(Nflog{.prefix = std::string(64, 'x')}, Family::ipv4), Error);
  CHECK_THROWS_AS(encode(Nflog{.prefix = std::string(1, '\0')}, Family::ipv4), Error);
  CHECK_NOTHROW(encode(Nflog{.prefix = std::string(63, 'x')}, Family::ipv4));
}

TEST_CASE("TPROXY: the port is in network order, the address of the rule's family") {
  for (const Family family : families) {
    const bool ipv4 = family == Family::ipv4;
    const Tproxy target{.address = parse_address(ipv4 ? "1.2.3.4" : "fd00::1:2"),
                        .port = 15001,
                        .mark = 0x539,
                        .mask = 0xfff};
    const Payload payload = encode(target, family);
    xt_tproxy_target_info_v1 info{};
    REQUIRE(payload.bytes.size() == sizeof info);
    std::memcpy(&info, payload.bytes.data(), sizeof info);
    CHECK(info.lport == htons(15001));
    CHECK(info.mark_value == 0x539);
    CHECK(info.mark_mask == 0xfff);
    CHECK(decode_target(payload, family) == Target(target));
    const Family other = ipv4 ? Family::ipv6 : Family::ipv4;
    CHECK_THROWS_AS(encode(target, other), Error);
    CHECK_THROWS_AS(encode(RejectWithPortUnreachable{other}, family), Error);
  }
}

TEST_CASE("REJECT with any other message is opaque") {
  for (const Family family : families) {
    Payload payload = encode(RejectWithTcpReset{}, family);
    int known = 0;
    for (unsigned with = 0; with < 32; ++with) {
      payload.bytes.at(0) = static_cast<std::uint8_t>(with);
      known += is_opaque(decode_target(payload, family)) ? 0 : 1;
    }
    CHECK(known == 2);
  }
}

}  // namespace
}  // namespace sluice::kernel::xt
