// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/pod_cache.h"

#include <catch2/catch.hpp>

namespace sluice::agent {
namespace {

PodRecord pod(const std::string& name, const std::string& uid, const std::string& object = "{}") {
  return {.name_space = "demo", .name = name, .uid = uid, .object = object};
}

}  // namespace

TEST_CASE("the cache tells of pods that are new or other than before") {
  PodCache cache;
  std::vector<std::string> told;
  cache.on_change([&](const PodRecord& changed) { told.push_back(changed.name + changed.object); });
  cache.put(pod("a", "1"));
  cache.put(pod("a", "1"));
  cache.put(pod("a", "1", "[]"));
  CHECK(told == std::vector<std::string>{"a{}", "a[]"});
}

TEST_CASE("a list takes out what is not in it") {
  PodCache cache;
  cache.put(pod("a", "1"));
  cache.put(pod("b", "2"));
  cache.replace({pod("b", "2"), pod("c", "3")});
  CHECK(cache.size() == 2);
  CHECK_FALSE(cache.find("demo", "a"));
  CHECK(cache.find("demo", "c")->uid == "3");
}

TEST_CASE("the deletion of a former pod does not take its successor out") {
  PodCache cache;
  cache.put(pod("web-0", "new"));
  cache.erase("demo", "web-0", "old");
  CHECK(cache.find("demo", "web-0"));
  cache.erase("demo", "web-0", "new");
  CHECK_FALSE(cache.find("demo", "web-0"));
}

TEST_CASE("what was asked for beside the watch is older than what the watch told") {
  PodCache cache;
  cache.put(pod("web-0", "new", "watched"));
  CHECK(cache.add(pod("web-0", "new", "asked")).object == "watched");
  // The answer is given all the same, only not kept.
  CHECK(cache.add(pod("web-0", "old", "asked")).object == "asked");
  CHECK(cache.find("demo", "web-0")->uid == "new");
  cache.erase("demo", "web-0", "new");
  CHECK(cache.add(pod("web-0", "new", "asked")).object == "asked");
  CHECK_FALSE(cache.find("demo", "web-0"));
  cache.add(pod("web-1", "1"));
  CHECK(cache.find("demo", "web-1"));
}

TEST_CASE("a sandbox is a pod's by its UID, by its mirror's, or when the runtime tells none") {
  PodRecord record = pod("a", "1");
  CHECK(record.is("1"));
  CHECK(record.is(""));
  CHECK_FALSE(record.is("2"));
  record.mirror_uid = "2";
  CHECK(record.is("2"));
}

}  // namespace sluice::agent
