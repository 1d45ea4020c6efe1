// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/environment.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "cni/code.h"
#include "rules/error.h"
#include "rules/parse.h"

namespace sluice::cni {
namespace {

constexpr std::array<std::pair<std::string_view, Command>, 6> commands{
    {{"ADD", Command::add},
     {"DEL", Command::del},
     {"CHECK", Command::check},
     {"GC", Command::gc},
     {"STATUS", Command::status},
     {"VERSION", Command::version}}};
constexpr std::size_t ifname_limit = 15;  // IFNAMSIZ - 1

[[noreturn]] void refuse_variable(const std::string& sentence) {
  throw Error(Code::invalid_environment, sentence);
}

// An empty variable counts as unset.
std::string value_of(const GetEnv& get_env, const char* name) {
  const char* value = get_env(name);
  return value == nullptr ? "" : value;
}

Command parse_command(const std::string& text) {
  for (const auto& [name, command] : commands) {
    if (text == name) return command;
  }
  refuse_variable("unknown CNI_COMMAND: " + quote(text));
}

// The Unicode White_Space characters beyond ASCII, in UTF-8; the reference implementation refuses
// an interface name that holds one.
bool has_unicode_space(std::string_view text) {
  constexpr std::array<std::string_view, 19> spaces{
      "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
      "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
      "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
      "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
  return std::any_of(spaces.begin(), spaces.end(), [&](std::string_view space) {
    return text.find(space) != std::string_view::npos;
  });
}

void validate_ifname(const std::string& name) {
  const bool odd = name.find_first_of("/: \t\n\v\f\r") != std::string::npos;
  if (name.size() > ifname_limit) {
    refuse_variable("CNI_IFNAME " + quote(name) + " is longer than 15 bytes");
  }
  if (name == "." || name == ".." || odd || has_unicode_space(name)) {
    refuse_variable("CNI_IFNAME " + quote(name) + " is not an interface name");
  }
}

struct Requirement {
  const char* name;
  bool required;
  const std::string& value;
};

// The requirements stand in the order in which the reference implementation names them.
void check_required(std::initializer_list<Requirement> requirements) {
  std::string missing;
  for (const Requirement& requirement : requirements) {
    if (!requirement.required || !requirement.value.empty()) continue;
    missing += (missing.empty() ? "" : ",") + std::string(requirement.name);
  }
  if (!missing.empty()) refuse_variable("required env variables [" + missing + "] missing");
}

bool is_true(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text == "1" || text == "true";
}

}  // namespace

const char* to_string(Command command) {
  for (const auto& [name, known] : commands) {
    if (known == command) return name.data();
  }
  return "";
}

std::map<std::string, std::string> parse_args(std::string_view text) {
  std::map<std::string, std::string> args;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    args.insert_or_assign(std::string(pair.substr(0, equals)),
                          std::string(pair.substr(equals + 1)));
  }
  return args;
}

bool is_valid_id(std::string_view id) {
  return !id.empty() && is_alphanumeric(id[0]) && std::all_of(id.begin(), id.end(), [](char c) {
    return is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
  });
}

std::optional<Environment> read_environment(const GetEnv& get_env) {
  const std::string command = value_of(get_env, "CNI_COMMAND");
  if (command.empty()) return std::nullopt;
  Environment environment{.command = parse_command(command)};
  const bool of_container = environment.command == Command::add ||
                            environment.command == Command::del ||
                            environment.command == Command::check;
  const bool needs_netns = of_container && environment.command != Command::del;
  const std::string path = value_of(get_env, "CNI_PATH");
  environment.container_id = value_of(get_env, "CNI_CONTAINERID");
  environment.netns = value_of(get_env, "CNI_NETNS");
  environment.ifname = value_of(get_env, "CNI_IFNAME");
  // As in the reference implementation, an ill-formed ID comes before what is missing behind it.
  if (of_container && !environment.container_id.empty() && !is_valid_id(environment.container_id)) {
    refuse_variable("CNI_CONTAINERID " + quote(environment.container_id) +
                    " has characters that are not allowed");
  }
  check_required({{"CNI_CONTAINERID", of_container, environment.container_id},
                  {"CNI_NETNS", needs_netns, environment.netns},
                  {"CNI_IFNAME", of_container, environment.ifname},
                  {"CNI_PATH", environment.command == Command::gc, path}});
  if (of_container) validate_ifname(environment.ifname);
  environment.args = parse_args(value_of(get_env, "CNI_ARGS"));
  environment.netns_override = is_true(value_of(get_env, "CNI_NETNS_OVERRIDE"));
  return environment;
}

}  // namespace sluice::cni
