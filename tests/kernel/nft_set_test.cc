// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of intervals as nf_tables' elements and back, without the kernel.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/kernel/nft/set.h"
#include "tests/kernel/seed.h"

namespace sluice::kernel::nft {
namespace {

using ModelSet = sluice::nft::Set;

ModelSet address_set(const std::vector<std::string>& cidrs) {
  ModelSet set{.name = "s"};
  for (const std::string& cidr : cidrs) set.cidrs.push_back(parse_cidr(cidr));
  set.family = set.cidrs.front().address.family;
  return set;
}

TEST_CASE("sets come back in any order of their elements") {
  INFO("SLUICE_SEED=" << test_seed());
  Random random(test_seed() + 6);
  const std::vector<ModelSet> sets{
      {.name = "p", .ports = {{0, 0}, {80, 80}, {443, 445}, {65535, 65535}}},
      {.name = "all", .ports = {{0, 65535}}},
      {.name = "empty"},
      address_set({"0.0.0.0/1", "192.168.1.1/32", "255.255.255.255/32"}),
      address_set({"::/128", "fd00::/8", "ff00::/8"}),
      address_set({"0.0.0.0/0"}),
      address_set({"::/0"}),
  };
  for (const ModelSet& set : sets) {
    SetObject object = encode_set(set);
    CHECK(decode_set(object) == set);
    // nft's own beginning.
    if (set.ports.empty() || set.ports.front().first != 0) {
      object.elements.push_back({.key = Bytes(object.key_length), .end = true});
    }
    std::shuffle(object.elements.begin(), object.elements.end(), random);
    const bool begins_with_zero = object.elements.size() > 1 && set.ports.empty() &&
                                  set.cidrs.front().address.bytes == IpAddress().bytes;
    if (!begins_with_zero) CHECK(decode_set(object) == set);
  }
}

TEST_CASE("a set with an interval that is not one prefix is none of ours") {
  SetObject object = encode_set(address_set({"10.0.0.0/8", "192.168.0.0/16"}));
  CHECK(decode_set(object));
  const std::vector<std::vector<ElementObject>> intervals{
      {{.key = {10, 0, 0, 1}}, {.key = {10, 0, 0, 7}, .end = true}},
      {{.key = {10, 0, 0, 0}}, {.key = {10, 0, 0, 3}, .end = true}},
      {{.key = {10, 0, 0, 1}}, {.key = {10, 0, 0, 4}, .end = true}},
      {{.key = {10, 0, 0, 2}}, {.key = {10, 0, 0, 6}, .end = true}},
      {{.key = {0, 0, 0, 1}}},
  };
  for (const std::vector<ElementObject>& interval : intervals) {
    object.elements = interval;
    CHECK_FALSE(decode_set(object));
  }
  // Two that touch are written as two.
  object.elements = {{.key = {10, 0, 0, 2}},
                     {.key = {10, 0, 0, 4}, .end = true},
                     {.key = {10, 0, 0, 4}},
                     {.key = {10, 0, 0, 5}, .end = true}};
  CHECK(decode_set(object)->cidrs == address_set({"10.0.0.2/31", "10.0.0.4/32"}).cidrs);
}

TEST_CASE("sets that the model has no place for are none") {
  const SetObject good = encode_set({.name = "p", .ports = {{80, 80}}});
  const auto refused = [&](auto change) {
    SetObject changed = good;
    change(changed);
    return !decode_set(changed);
  };
  CHECK(decode_set(good));
  CHECK(refused([](SetObject& set) { set.flags |= NFT_SET_TIMEOUT; }));
  CHECK(refused([](SetObject& set) { set.flags = 0; }));
  CHECK(refused([](SetObject& set) { set.special = true; }));
  CHECK(refused([](SetObject& set) { set.key_type = 7; }));
  CHECK(refused([](SetObject& set) { set.key_length = 4; }));
  CHECK(refused([](SetObject& set) { set.elements[0].key.push_back(0); }));
  CHECK(refused([](SetObject& set) { set.elements.push_back(set.elements[0]); }));
}

}  // namespace
}  // namespace sluice::kernel::nft
