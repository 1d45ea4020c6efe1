// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/code.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/thrown.h"

namespace sluice::cni {
namespace {

TEST_CASE("code: an error's own code wins", "[code]") {
  for (const Code code :
       {Code::incompatible_version, Code::invalid_environment, Code::io_failure,
        Code::decoding_failure, Code::invalid_config, Code::try_again_later, Code::internal,
        Code::netns_failure, Code::kernel_unsupported, Code::permission, Code::drift}) {
    CHECK(code_of(Error(code, "x")) == code);
  }
}

TEST_CASE("code: an errno stands for a code", "[code]") {
  const std::vector<std::pair<int, Code>> cases{{EAGAIN, Code::try_again_later},
                                                {EOPNOTSUPP, Code::kernel_unsupported},
                                                {ENOTSUP, Code::kernel_unsupported},
                                                {EPERM, Code::permission},
                                                {EACCES, Code::permission},
                                                {EINVAL, Code::internal},
                                                {ENOENT, Code::internal},
                                                {ENOMEM, Code::internal},
                                                {7, Code::internal}};  // E2BIG, not invalid_config
  for (const auto& [errnum, code] : cases) {
    CAPTURE(errnum);
    CHECK(code_of(Error(errnum, "x")) == code);
  }
  CHECK(code_of(Error("a sentence")) == Code::internal);
}

TEST_CASE("code: the numbers are those of the specification", "[code]") {
  CHECK(make_error_code(Code::incompatible_version).value() == 1);
  CHECK(make_error_code(Code::invalid_environment).value() == 4);
  CHECK(make_error_code(Code::io_failure).value() == 5);
  CHECK(make_error_code(Code::decoding_failure).value() == 6);
  CHECK(make_error_code(Code::invalid_config).value() == 7);
  CHECK(make_error_code(Code::try_again_later).value() == 11);
  CHECK(make_error_code(Code::drift).value() == 105);
  CHECK(code_category().name() == std::string("cni"));
  CHECK(make_error_code(Code::drift) != std::error_code(105, std::generic_category()));
}

}  // namespace
}  // namespace sluice::cni
