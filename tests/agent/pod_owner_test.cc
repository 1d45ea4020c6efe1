// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <string>

#include "agent/kube/pod_record.h"

namespace sluice::agent {
namespace {

PodRecord owned_by(const std::string& owners) {
  return read_pod_record(parse_pod(R"({"kind":"Pod","metadata":{"name":"a","namespace":"b",)"
                                   R"("uid":"c")" +
                                   owners + "}}"));
}

}  // namespace

TEST_CASE("a pod without a controller is known as such", "[record]") {
  CHECK(owned_by("").standalone);
  CHECK(owned_by(R"(,"ownerReferences":[])").standalone);
  CHECK(owned_by(R"(,"ownerReferences":null)").standalone);
  CHECK(owned_by(R"(,"ownerReferences":[{"kind":"Lease"},{"controller":false}])").standalone);
  CHECK_FALSE(
      owned_by(R"(,"ownerReferences":[{"kind":"A"},{"kind":"Job","controller":true}])").standalone);
}

TEST_CASE("owners that cannot be read do not end a record", "[record]") {
  CHECK_FALSE(owned_by(R"(,"ownerReferences":"x")").standalone);
  CHECK(owned_by(R"(,"ownerReferences":[1,null,"x"])").standalone);
}

}  // namespace sluice::agent
