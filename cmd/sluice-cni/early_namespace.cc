// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice-cni/early_namespace.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

#include "rules/kernel/confinement.h"
#include "rules/kernel/pod_namespace.h"

namespace sluice::cmd {
namespace {

std::string path_of(const cni::GetEnv& get_env) {
  constexpr std::array<std::string_view, 3> commands = {"ADD", "CHECK", "DEL"};
  const char* command = get_env("CNI_COMMAND");
  const char* path = get_env("CNI_NETNS");
  if (command == nullptr || path == nullptr) return {};
  const bool needs_it = std::find(commands.begin(), commands.end(), command) != commands.end();
  return needs_it ? path : std::string();
}

}  // namespace

EarlyNamespace::EarlyNamespace(const cni::GetEnv& get_env) : path_(path_of(get_env)) {
  try {
    if (!path_.empty()) opened_ = kernel::enter_pod_namespace(path_);
  } catch (...) {
    error_ = std::current_exception();
  }
  if (opened_ && std::holds_alternative<std::unique_ptr<PodNamespace>>(*opened_)) return;
  try {
    kernel::keep_capabilities(kernel::capabilities_to_enter);
  } catch (...) {
    error_ = std::current_exception();
  }
}

OpenedNamespace EarlyNamespace::open(const std::string& path) {
  if (error_) std::rethrow_exception(error_);
  if (opened_ && path == path_) return *std::exchange(opened_, std::nullopt);
  return kernel::enter_pod_namespace(path);
}

}  // namespace sluice::cmd
