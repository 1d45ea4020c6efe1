// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/input.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>

#include "cmd/sluice/manifest.h"
#include "cmd/stdio.h"
#include "cni/config.h"
#include "cni/environment.h"
#include "cni/pod_object.h"
#include "cni/request.h"
#include "cni/result.h"
#include "rules/consistency.h"
#include "rules/error.h"
#include "rules/kernel/fd.h"

namespace sluice::cmd {
namespace {

constexpr std::size_t input_limit = std::size_t{64} * 1024 * 1024;

std::string read_file(const std::string& path) {
  if (path == "-") return read_all(STDIN_FILENO, input_limit, "stdin");
  const kernel::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw Error(errno, "open " + quote(path));
  return read_all(fd.get(), input_limit, quote(path));
}

Input from_manifest(const std::string& path, const cni::Override& flags) {
  const cni::PodObject object = cni::read_pod_object(parse_manifest(read_file(path)));
  return {.decision = cni::decide({}, object.pod, flags),
          .subject = "pod " + quote(object.pod.name_space + "/" + object.pod.name),
          .addresses = object.addresses,
          .addresses_known = !object.addresses.empty()};
}

Input from_cni_stdin(const cni::Override& flags) {
  const cni::Request request = cni::read_request(cni::Command::add, read_file("-"));
  const char* args = std::getenv("CNI_ARGS");
  cni::Pod pod = cni::read_pod(cni::parse_args(args == nullptr ? "" : args), request.config);
  // Without the runtime's environment the pod has no name; it is one of Kubernetes all the same.
  if (pod.name.empty()) pod.name = "pod";
  if (pod.name_space.empty()) pod.name_space = "default";
  const cni::PluginConfig config = cni::read_plugin_config(request.config);
  const char* ifname = std::getenv("CNI_IFNAME");
  Input input{.decision = cni::decide(config, pod, flags),
              .subject = "pod " + quote(pod.name_space + "/" + pod.name),
              .addresses = {}};
  input.addresses =
      cni::addresses_of(cni::previous_result(request), ifname == nullptr ? "eth0" : ifname);
  input.addresses_known = !input.addresses.empty();
  return input;
}

void apply_flags(const InputOptions& options, RedirectConfig& config) {
  for (std::size_t i = 0; i < cni::settings().size(); ++i) {
    const std::optional<std::string>& given = options.settings.at(i);
    if (!given) continue;
    const cni::Setting& setting = cni::settings()[i];
    try {
      setting.set(config, *given);
    } catch (const Error& error) {
      throw Error(std::string(setting.flag) + ": " + error.what());
    }
  }
}

}  // namespace

void add_input_options(CLI::App& app, InputOptions& options) {
  auto* manifest =
      app.add_option("-f,--filename", options.manifest, "a Pod manifest, YAML or JSON; - is stdin");
  app.add_flag("--cni-stdin", options.cni_stdin,
               "stdin is what a runtime sends to the plugin (with CNI_ARGS and CNI_IFNAME in the "
               "environment, if set)")
      ->excludes(manifest);
  options.settings.resize(cni::settings().size());
  for (std::size_t i = 0; i < cni::settings().size(); ++i) {
    const cni::Setting& setting = cni::settings()[i];
    const auto store = [&options, i](const std::string& text) { options.settings[i] = text; };
    if (setting.type == cni::SettingType::boolean) {
      // With a value it is checked as everywhere: CLI11's own flags take any number for true.
      const auto switch_on = [store](const std::string& text) {
        store(text.empty() ? "true" : text);
      };
      app.add_option_function<std::string>(setting.flag, switch_on, setting.help)
          ->expected(0, 1)
          ->type_name("[true|false]");
    } else {
      app.add_option_function<std::string>(setting.flag, store, setting.help)->expected(1);
    }
  }
}

Input read_input(const InputOptions& options) {
  const auto flags = [&](RedirectConfig& config) { apply_flags(options, config); };
  if (!options.manifest.empty()) return from_manifest(options.manifest, flags);
  if (options.cni_stdin) return from_cni_stdin(flags);
  Input input{.decision = {.redirect = true, .reason = "flags", .config = {}},
              .subject = "the pod",
              .addresses = {}};
  flags(input.decision.config);
  refuse_contradictions(input.decision.config);
  return input;
}

}  // namespace sluice::cmd
