// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/code.h"

#include <string>

namespace sluice::cni {
namespace {

class Category : public std::error_category {
 public:
  const char* name() const noexcept override { return "cni"; }
  std::string message(int value) const override { return "CNI error " + std::to_string(value); }
};

}  // namespace

const std::error_category& code_category() {
  static const Category category;
  return category;
}

std::error_code make_error_code(Code code) {
  return {static_cast<int>(code), code_category()};
}

Code code_of(const Error& error) {
  const std::error_code& code = error.code();
  if (code.category() == code_category()) return static_cast<Code>(code.value());
  if (code == std::errc::resource_unavailable_try_again) return Code::try_again_later;
  if (code == std::errc::not_supported) return Code::kernel_unsupported;
  if (code == std::errc::operation_not_permitted || code == std::errc::permission_denied) {
    return Code::permission;
  }
  return Code::internal;
}

}  // namespace sluice::cni
