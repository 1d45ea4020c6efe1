// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/istio_iptables/options.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <string_view>

#include "cmd/sluice/istio_iptables/files.h"
#include "cmd/sluice/istio_iptables/flags.h"
#include "rules/error.h"
#include "rules/layout.h"

namespace sluice::cmd::istio_iptables {
namespace {

constexpr std::uint32_t default_proxy_uid = 1337;

// Istio's, but the excluded ports are those of the command line and no others.
const Layout& bare_layout() {
  static const Layout layout = [] {
    Layout bare = *find_layout("istio");
    bare.leading_inbound_exclusions.clear();
    bare.default_inbound_exclusions.clear();
    bare.appended_inbound_exclusions.clear();
    bare.default_outbound_exclusions.clear();
    return bare;
  }();
  return layout;
}

void set(Options& options, const Flag& flag, std::string_view value, const std::string& name) {
  try {
    flag.set(options, value);
  } catch (const Error& error) {
    throw Error(name + ": " + error.what());
  }
}

void read_environment(Options& options) {
  for (const Flag& flag : flags()) {
    for (const std::string& variable : variables_of(flag)) {
      const char* value = std::getenv(variable.c_str());
      // A manifest may set a switch to nothing, which says nothing; a list to nothing is empty.
      const bool unset = value == nullptr || (flag.type == FlagType::boolean && *value == '\0');
      if (!unset) set(options, flag, value, variable);
    }
  }
}

// The command line as the Go package pflag reads it, which CLI11 differs from: there an empty value
// behind '=' takes the next argument's place and "-p=1" is the value "=1".
class CommandLine {
 public:
  CommandLine(const std::vector<std::string>& arguments, Options& options)
      : arguments_(arguments), options_(options) {}

  void read() {
    while (next_ < arguments_.size()) {
      const std::string_view argument = arguments_[next_++];
      const bool positional_only = argument == "--" && next_ < arguments_.size();
      if (argument.size() < 2 || argument[0] != '-' || positional_only) {
        throw Error("unexpected argument " +
                    quote(positional_only ? std::string_view(arguments_[next_]) : argument));
      }
      if (argument == "--") return;
      if (argument[1] == '-') {
        read_long(argument.substr(2));
      } else {
        read_letters(argument);
      }
    }
  }

 private:
  void read_long(std::string_view text) {
    const std::size_t equals = text.find('=');
    const Flag* flag = find_flag(text.substr(0, equals));
    if (flag == nullptr) throw Error("unknown flag " + quote("--" + std::string(text)));
    const std::string name = "--" + std::string(flag->name);
    if (equals != std::string_view::npos)
      return set(options_, *flag, text.substr(equals + 1), name);
    set(options_, *flag, flag->type == FlagType::boolean ? "true" : next_value(name), name);
  }

  // "-np15001" is "-n -p 15001".
  void read_letters(std::string_view argument) {
    for (std::string_view rest = argument.substr(1); !rest.empty();) {
      const Flag* flag = find_flag(rest.front());
      if (flag == nullptr) {
        throw Error("unknown flag " + quote("-" + std::string(1, rest.front())) + " in " +
                    quote(argument));
      }
      rest.remove_prefix(1);
      const std::string name = "--" + std::string(flag->name);
      if (rest.size() > 1 && rest.front() == '=') {
        return set(options_, *flag, rest.substr(1), name);
      }
      if (flag->type != FlagType::boolean) {
        return set(options_, *flag, rest.empty() ? next_value(name) : rest, name);
      }
      set(options_, *flag, "true", name);
    }
  }

  std::string_view next_value(const std::string& name) {
    if (next_ == arguments_.size()) throw Error(name + ": a value is required");
    return arguments_[next_++];
  }

  const std::vector<std::string>& arguments_;
  Options& options_;
  std::size_t next_ = 0;
};

void complete_users(Options& options) {
  RedirectConfig& config = options.config;
  if (options.proxy_uids.empty()) {
    options.proxy_uids = {uid_of(options.envoy_user).value_or(default_proxy_uid)};
  }
  if (options.proxy_gids.empty()) options.proxy_gids = options.proxy_uids;
  config.proxy_uids = options.proxy_uids;
  config.proxy_gids = options.proxy_gids;
}

void complete_dns(Options& options) {
  RedirectConfig& config = options.config;
  if (!options.redirect_dns) return;
  if (options.capture_all_dns || options.cni_mode) {
    config.dns_capture = DnsCapture::all;
    return;
  }
  config.dns_capture = DnsCapture::resolvers;
  try {
    config.resolvers = configured_resolvers();
  } catch (const Error& error) {
    throw Error(error.code(), std::string("--redirect-dns: ") + error.what());
  }
  if (config.resolvers.empty()) {
    throw Error("--redirect-dns: /etc/resolv.conf names no server; --capture-all-dns needs none");
  }
}

}  // namespace

Options::Options() {
  config.layout = &bare_layout();
  config.include_inbound_ports = {.all = false};
  config.include_outbound_cidrs = {.all = false};
  config.exclude_inbound_ports.emplace();
  config.exclude_outbound_ports.emplace();
}

Options read_options(const std::vector<std::string>& arguments) {
  Options options;
  read_environment(options);
  CommandLine(arguments, options).read();
  return options;
}

void complete(Options& options) {
  complete_users(options);
  complete_dns(options);
}

std::string usage() {
  std::string text =
      "Redirects a pod's traffic as Istio's istio-iptables does.\n"
      "Usage: sluice istio-iptables [flags]\n";
  for (const Flag& flag : flags()) {
    std::string names;
    if (flag.letter != '\0') names = std::string("-") + flag.letter + ", ";
    if (!flag.name.empty()) names += "--" + std::string(flag.name);
    for (const std::string& variable : variables_of(flag)) {
      names += (names.empty() ? "$" : ", $") + variable;
    }
    text += "  " + names + "\n      " + flag.help + "\n";
  }
  return text;
}

}  // namespace sluice::cmd::istio_iptables
