// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice-agent/install_options.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <string>

#include "agent/install/conflist.h"
#include "cmd/stdio.h"
#include "cni/json.h"
#include "rules/error.h"
#include "rules/kernel/fd.h"

namespace sluice::cmd {
namespace {

cni::Json read_entry(const std::string& path) {
  constexpr std::size_t limit = std::size_t{1024} * 1024;
  const std::string what = "entry " + quote(path);
  try {
    const kernel::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw Error(errno, "open " + what);
    return agent::wanted_entry(cni::parse_json(read_all(fd.get(), limit, what), what));
  } catch (const Error& error) {
    throw CLI::ValidationError("--entry", error.what());
  }
}

}  // namespace

void add_directory_options(CLI::App& app, agent::InstallConfig& config) {
  app.add_option("--bin-dir", config.bin_dir, "the host's directory of CNI plugins")
      ->envname("SLUICE_BIN_DIR")
      ->capture_default_str();
  app.add_option("--conf-dir", config.conf_dir, "the host's directory of network configurations")
      ->envname("SLUICE_CONF_DIR")
      ->capture_default_str();
}

void add_install_options(CLI::App& app, agent::InstallConfig& config) {
  add_directory_options(app, config);
  app.add_option("--plugin", config.plugin_source, "the plugin to copy")
      ->envname("SLUICE_PLUGIN")
      ->capture_default_str();
  app.add_option("--conf-file", config.conf_file,
                 "a name in --conf-dir (default: the file that the runtime reads)")
      ->envname("SLUICE_CONF_FILE");
  app.add_option_function<std::string>(
         "--entry", [&config](const std::string& path) { config.entry = read_entry(path); },
         "a JSON file: our member of plugins; its type may be left out")
      ->envname("SLUICE_ENTRY");
  app.add_flag("--migrate", config.migrate,
               "replace an entry of istio-cni instead of waiting for it to go")
      ->envname("SLUICE_MIGRATE");
}

}  // namespace sluice::cmd
