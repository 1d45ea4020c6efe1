// SPDX-License-Identifier: GPL-2.0-or-later
#include <exception>
#include <string_view>

#include "agent/install/conf_dir.h"
#include "agent/install/conf_file.h"
#include "agent/install/conflist.h"
#include "agent/install/directory.h"
#include "agent/install/installer.h"
#include "agent/install/temp_file.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

// What somebody has set aside comes back one day: Cilium names other installers' files so.
bool is_set_aside(std::string_view name) {
  constexpr std::string_view ending = ".cilium_bak";
  return name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending;
}

// What keeps the entry in the file, or empty if there is none in it any more.
std::string take_out(const Directory& dir, const std::string& file, UninstallStatus& status) {
  constexpr int most_attempts = 5;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    const ConfRead read = read_conf(dir, file);
    if (!read.file) return read.blocked ? read.why + " and was not looked into" : std::string();
    const Edit edit = take_entry(read.file->text);
    if (edit.outcome == EditOutcome::unchanged) return {};
    if (edit.outcome == EditOutcome::changed) {
      if (!replace_conf(dir, *read.file, edit.text)) continue;
      status.files.push_back(dir.path_of(file));
      return {};
    }
    const bool named = read.file->text.find(plugin_type) != std::string::npos;
    return named ? edit.why + ", and it names " + plugin_type : std::string();
  }
  return "is being written by somebody else";
}

void take_out_of_all(const Directory& dir, UninstallStatus& status) {
  for (const std::string& name : dir.names()) {
    if (!is_conf_name(name) && !is_set_aside(name)) continue;
    const ConfChoice choice = follow(dir, name);
    // Nothing of ours was ever written through a symlink out of the directory, or into what is no
    // file.
    if (choice.file.empty()) continue;
    const std::string left = take_out(dir, choice.file, status);
    if (left.empty()) continue;
    status.outcome = UninstallOutcome::blocked;
    if (status.why.empty()) status.why = quote(dir.path_of(choice.file)) + " " + left;
  }
}

}  // namespace

UninstallStatus uninstall(const InstallConfig& config) {
  UninstallStatus status;
  try {
    std::string why;
    const std::optional<Directory> dir = Directory::open(config.conf_dir, why);
    if (!dir) return {.why = why};
    remove_temp_files(*dir);
    take_out_of_all(*dir, status);
    if (status.why.empty()) status.why = "no entry is left in " + quote(config.conf_dir);
  } catch (const std::exception& error) {
    status.outcome = UninstallOutcome::failed;
    status.why = error.what();
  }
  return status;
}

}  // namespace sluice::agent
