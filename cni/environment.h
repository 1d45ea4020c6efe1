// SPDX-License-Identifier: GPL-2.0-or-later
// The parameters that a runtime passes in CNI_* variables: SPEC.md "Parameters" of CNI 1.1.0.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::cni {

enum class Command { add, del, check, gc, status, version };

// As in CNI_COMMAND.
const char* to_string(Command command);

struct Environment {
  Command command = Command::version;
  std::string container_id = {};
  std::string netns = {};
  std::string ifname = {};
  std::map<std::string, std::string> args =
      {};                       // CNI_ARGS; of a key that stands twice the last value
  bool netns_override = false;  // CNI_NETNS_OVERRIDE is 1 or true
};

// The value of an environment variable, nullptr if it is unset, as getenv(3).
using GetEnv = std::function<const char*(const char* name)>;

// Nothing if CNI_COMMAND is unset or empty: somebody runs the program by hand. Throws Error with
// Code::invalid_environment that names the variables: the command is unknown, one that it needs is
// missing or empty (all missing ones are named), the container ID or interface name is ill-formed.
std::optional<Environment> read_environment(const GetEnv& get_env);

// CNI_ARGS, K=V;K2=V2. Pairs are split at the first '='; what is no pair is skipped, because a
// chained plugin must not block a pod over arguments that it does not read.
std::map<std::string, std::string> parse_args(std::string_view text);

// The name of a network and of a container: ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$.
bool is_valid_id(std::string_view id);

}  // namespace sluice::cni
