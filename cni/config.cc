// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "cni/settings.h"
#include "rules/consistency.h"
#include "rules/error.h"
#include "rules/parse.h"
#include "rules/parse_backend.h"

namespace sluice::cni {
namespace {

constexpr std::array<std::pair<std::string_view, LogLevel>, 6> log_levels{
    {{"none", LogLevel::none},
     {"fatal", LogLevel::error},
     {"error", LogLevel::error},
     {"warn", LogLevel::warn},
     {"info", LogLevel::info},
     {"debug", LogLevel::debug}}};

// Keys that are not ours but stand in the same object.
constexpr std::array<std::string_view, 36> foreign_keys{
    "cniVersion", "name", "type", "args", "ipMasq", "ipam", "dns", "capabilities", "runtimeConfig",
    "prevResult", "cni.dev/valid-attachments", "cni.dev/attachments", "kubernetes",
    // istio-cni's own configuration, taken over as it is
    "cni_agent_run_dir", "ambient_enabled", "enablement_selectors", "pod_namespace",
    "native_nftables", "enable_ambient_detection_retry", "log_level", "kubeconfig",
    // ours, read below
    "namespaces", "excludeNamespaces", "exclude_namespaces", "redirect", "onMissingAnnotations",
    "logLevel", "plugin_log_level", "backend", "nftTable", "disableCheck", "agentSocket",
    "agentAbsent", "agentTimeoutMs", "agentDaemonSet", "deadlineMs"};

// A short form of any value for a message.
std::string shown(const Json& value) {
  return value.is_string() ? quote(value.get_ref<const std::string&>()) : quote(to_line(value));
}

std::string text_of(const Json& value) {
  if (!value.is_string()) throw Error(shown(value) + " is not a string");
  return value.get<std::string>();
}

// A whole number, also where it is spelled 15001.0.
std::string number_of(const Json& value) {
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::trunc(number) == number && std::fabs(number) < 1e15) {
      return std::to_string(static_cast<std::int64_t>(number));
    }
  }
  if (!value.is_number_integer()) throw Error(shown(value) + " is not a whole number");
  return to_line(value);
}

std::string ids_of(const Json& value) {
  if (!value.is_array()) return number_of(value);
  std::string list;
  for (const Json& id : value) list += (list.empty() ? "" : ",") + number_of(id);
  return list;
}

// The text that the setting's parser takes.
std::string text_of(const Json& value, SettingType type) {
  switch (type) {
    case SettingType::boolean:
      if (!value.is_boolean()) throw Error(shown(value) + " is not true or false");
      return value.get<bool>() ? "true" : "false";
    case SettingType::port:
      return number_of(value);
    case SettingType::number:
      return value.is_string() ? value.get<std::string>() : number_of(value);
    case SettingType::ids:
      return ids_of(value);
    case SettingType::text:
      break;
  }
  return text_of(value);
}

std::string socket_of(const Json& value) {
  std::string path = text_of(value);
  if (path.empty() || path[0] != '/') throw Error(quote(path) + " is not an absolute path");
  if (path.size() > socket_path_limit) {
    throw Error(quote(path) + " is longer than " + std::to_string(socket_path_limit) + " bytes");
  }
  if (path.find('\0') != std::string::npos) throw Error(quote(path) + " has a NUL byte");
  return path;
}

std::chrono::milliseconds timeout_of(const Json& value) {
  const std::uint64_t number = parse_decimal(number_of(value), 10'000, "milliseconds");
  if (number == 0) throw Error("0 is no time to wait");
  return std::chrono::milliseconds(number);
}

std::chrono::milliseconds deadline_of(const Json& value) {
  const std::uint64_t number = parse_decimal(number_of(value), 120'000, "milliseconds");
  if (number < 1'000) throw Error(std::to_string(number) + " is less than 1000 milliseconds");
  return std::chrono::milliseconds(number);
}

// As in a path of the Kubernetes API: what else a name may not hold matters to nobody here.
PluginConfig::DaemonSet daemon_set_of(const Json& value) {
  const std::string text = text_of(value);
  const std::size_t slash = text.find('/');
  const bool is_pair = slash != std::string::npos && slash > 0 && slash + 1 < text.size();
  if (!is_pair ||
      text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-./") != std::string::npos ||
      text.find('/', slash + 1) != std::string::npos) {
    throw Error(quote(text) + " is not NAMESPACE/NAME");
  }
  return {.name_space = text.substr(0, slash), .name = text.substr(slash + 1)};
}

class Reader {
 public:
  explicit Reader(const Json& network) : network_(network) {}

  PluginConfig read() && {
    for (const Setting& setting : settings()) {
      read_key(setting.key, [&](const Json& value) {
        setting.set(config_.defaults, text_of(value, setting.type));
      });
    }
    read_switches();
    read_agent();
    const auto names = [&](const Json& value) { config_.exclude_namespaces = strings_of(value); };
    read_key("exclude_namespaces", names);
    read_key("excludeNamespaces", names);
    const auto level = [&](const Json& value) { config_.log_level = log_level_of(value); };
    read_key("plugin_log_level", level);
    read_key("logLevel", level);
    read_key("namespaces", [&](const Json& value) { read_namespaces(value); });
    find_contradictions();
    find_unknown_keys();
    return std::move(config_);
  }

 private:
  template <class Read>
  void read_key(const std::string& key, Read read) {
    const Json* value = find_member(network_, key);
    if (value == nullptr) return;
    try {
      if (value->is_null()) throw Error("null is not a value");
      read(*value);
    } catch (const Error& error) {
      config_.problems.push_back("key \"" + key + "\": " + error.what());
    }
  }

  void read_switches() {
    read_key("redirect", [&](const Json& value) {
      config_.redirect_all = is_second(value, "injected", "all");
    });
    read_key("onMissingAnnotations", [&](const Json& value) {
      config_.pass_missing_annotations = is_second(value, "fail", "pass");
    });
    read_key("backend", [&](const Json& value) {
      config_.backend.choice = parse_backend_choice(text_of(value));
    });
    read_key("nftTable", [&](const Json& value) {
      config_.backend.nft_table = parse_nft_table(text_of(value));
    });
    read_key("deadlineMs", [&](const Json& value) { config_.deadline = deadline_of(value); });
  }

  void read_agent() {
    read_key("agentSocket", [&](const Json& value) { config_.agent_socket = socket_of(value); });
    read_key("agentAbsent", [&](const Json& value) {
      const bool by_annotations = is_second(value, "wait", "annotations");
      config_.agent_absent = by_annotations ? AgentAbsent::annotations : AgentAbsent::wait;
    });
    read_key("agentTimeoutMs",
             [&](const Json& value) { config_.agent_timeout = timeout_of(value); });
    read_key("agentDaemonSet",
             [&](const Json& value) { config_.agent_daemon_set = daemon_set_of(value); });
  }

  static bool is_second(const Json& value, const std::string& first, const std::string& second) {
    const std::string text = text_of(value);
    if (text != first && text != second) {
      throw Error(quote(text) + " is not " + first + " or " + second);
    }
    return text == second;
  }

  static std::vector<std::string> strings_of(const Json& value) {
    if (!value.is_array()) throw Error(shown(value) + " is not an array of strings");
    std::vector<std::string> all;
    for (const Json& element : value) all.push_back(text_of(element));
    return all;
  }

  static LogLevel log_level_of(const Json& value) {
    const std::string text = text_of(value);
    for (const auto& [name, level] : log_levels) {
      if (text == name) return level;
    }
    throw Error(quote(text) + " is not none, error, warn, info or debug");
  }

  void read_namespaces(const Json& value) {
    if (!value.is_object()) throw Error(shown(value) + " is not an object");
    for (auto entry = value.begin(); entry != value.end(); ++entry) {
      PluginConfig::ProxyIds ids;
      const std::string where = "namespace " + quote(entry.key()) + ": ";
      if (!entry->is_object()) throw Error(where + shown(*entry) + " is not an object");
      try {
        if (const Json* uid = find_member(*entry, "proxyUid"))
          ids.uids = parse_ids(ids_of(*uid), "UID");
        if (const Json* gid = find_member(*entry, "proxyGid"))
          ids.gids = parse_ids(ids_of(*gid), "GID");
      } catch (const Error& error) {
        throw Error(where + error.what());
      }
      config_.namespaces[entry.key()] = std::move(ids);
    }
  }

  // Which resolvers there are is known for each pod alone.
  void find_contradictions() {
    if (!config_.problems.empty()) return;
    RedirectConfig config = config_.defaults;
    if (config.dns_capture == DnsCapture::resolvers) config.dns_capture = DnsCapture::all;
    try {
      refuse_contradictions(config);
    } catch (const Error& error) {
      config_.problems.emplace_back(error.what());
    }
  }

  void find_unknown_keys() {
    for (auto member = network_.begin(); member != network_.end(); ++member) {
      const std::string& key = member.key();
      const auto same = [&](std::string_view known) { return equal_ignoring_case(key, known); };
      const bool known = std::any_of(foreign_keys.begin(), foreign_keys.end(), same) ||
                         std::any_of(settings().begin(), settings().end(),
                                     [&](const Setting& setting) { return same(setting.key); });
      if (!known) config_.unknown_keys.push_back(key);
    }
  }

  const Json& network_;
  PluginConfig config_;
};

}  // namespace

const char* to_string(LogLevel level) {
  constexpr std::array<const char*, 5> names{"none", "error", "warn", "info", "debug"};
  return names.at(static_cast<std::size_t>(level));
}

PluginConfig read_plugin_config(const Json& network) {
  return Reader(network).read();
}

}  // namespace sluice::cni
