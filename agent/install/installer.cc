// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/installer.h"

#include <array>
#include <exception>
#include <optional>

#include "agent/install/conf_dir.h"
#include "agent/install/conf_file.h"
#include "agent/install/conflist.h"
#include "agent/install/directory.h"
#include "agent/install/plugin_binary.h"
#include "agent/install/temp_file.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

// The configuration's half of one pass.
class ConfPass {
 public:
  ConfPass(const Directory& dir, const InstallConfig& config, bool may_write)
      : dir_(dir),
        conf_file_(config.conf_file),
        kept_keys_(config.kept_keys),
        migrate_(config.migrate),
        may_write_(may_write),
        wanted_(wanted_entry(config.entry)) {}

  // Nothing if somebody else writes at the same time.
  std::optional<InstallStatus> run();

 private:
  std::optional<InstallStatus> edit_list(const ConfFile& list, const std::string& name);
  std::optional<InstallStatus> convert(const ConfFile& single, const std::string& name);
  std::optional<InstallStatus> use_list_beside(const ConfFile& single, const std::string& name,
                                               const ConfRead& list);
  bool finish_conversion(const std::string& list, const std::string& name) const;
  InstallStatus installed(const std::string& name, bool wrote) const;
  InstallStatus not_installed(const std::string& name, const Edit& edit) const;
  InstallStatus only_looked(const std::string& name, bool had_entry) const;

  const Directory& dir_;
  std::string conf_file_;
  std::vector<std::string> kept_keys_;
  bool migrate_;
  bool may_write_;
  cni::Json wanted_;
};

InstallStatus ConfPass::installed(const std::string& name, bool wrote) const {
  return {.outcome = InstallOutcome::installed,
          .why = "the entry is in " + quote(dir_.path_of(name)),
          .file = dir_.path_of(name),
          .entry = EntryState::present,
          .wrote_conf = wrote};
}

InstallStatus ConfPass::not_installed(const std::string& name, const Edit& edit) const {
  const bool refused = edit.outcome == EditOutcome::refused;
  InstallStatus status{.outcome = refused ? InstallOutcome::blocked : InstallOutcome::waiting,
                       .why = quote(dir_.path_of(name)) + " " + edit.why};
  if (refused) status.entry = edit.had_entry ? EntryState::present : EntryState::absent;
  if (edit.had_entry) status.file = dir_.path_of(name);
  return status;
}

// The caller knows why nothing may be written.
InstallStatus ConfPass::only_looked(const std::string& name, bool had_entry) const {
  return {.file = had_entry ? dir_.path_of(name) : std::string(),
          .entry = had_entry ? EntryState::present : EntryState::absent};
}

std::optional<InstallStatus> ConfPass::run() {
  const ConfChoice choice = choose_conf(dir_, conf_file_);
  if (choice.file.empty()) {
    return InstallStatus{
        .outcome = choice.blocked ? InstallOutcome::blocked : InstallOutcome::waiting,
        .why = choice.why,
        .entry = choice.name.empty() ? EntryState::absent : EntryState::unknown};
  }
  const ConfRead read = read_conf(dir_, choice.file);
  if (!read.file) {
    return InstallStatus{
        .outcome = read.blocked ? InstallOutcome::blocked : InstallOutcome::waiting,
        .why = quote(dir_.path_of(choice.name)) + " " + read.why};
  }
  return is_list_name(choice.name) ? edit_list(*read.file, choice.name)
                                   : convert(*read.file, choice.name);
}

// A pass that was killed, or the owner of the single plugin's file, left it beside the list.
bool ConfPass::finish_conversion(const std::string& list, const std::string& name) const {
  bool removed = false;
  for (const char* ending : {".conf", ".json"}) {
    const std::string single = stem_of(name) + ending;
    const ConfRead read = read_conf(dir_, single);
    if (!read.file || !made_from(list, read.file->text)) continue;
    if (!is_unchanged(dir_, *read.file)) continue;
    dir_.remove(single);
    dir_.sync();
    removed = true;
  }
  return removed;
}

std::optional<InstallStatus> ConfPass::edit_list(const ConfFile& list, const std::string& name) {
  const Edit edit = put_entry(list.text, wanted_, migrate_, kept_keys_);
  if (edit.outcome == EditOutcome::unreadable || edit.outcome == EditOutcome::refused) {
    return not_installed(name, edit);
  }
  if (!may_write_) return only_looked(name, edit.had_entry);
  if (edit.outcome == EditOutcome::changed) {
    if (!replace_conf(dir_, list, edit.text)) return std::nullopt;
  }
  // Without an entry of ours it is not a list that we made.
  const bool finished = edit.had_entry && finish_conversion(list.text, name);
  return installed(name, finished || edit.outcome == EditOutcome::changed);
}

// Where both files are there, the runtime still reads the single plugin's.
std::optional<InstallStatus> ConfPass::use_list_beside(const ConfFile& single,
                                                       const std::string& name,
                                                       const ConfRead& list) {
  const std::string list_name = stem_of(name) + ".conflist";
  if (!list.file || !made_from(list.file->text, single.text)) {
    return InstallStatus{.outcome = InstallOutcome::blocked,
                         .why = quote(dir_.path_of(list_name)) + " is in the way of " +
                                quote(dir_.path_of(name)) +
                                ", which is to become that list: remove the one that is not used",
                         .entry = EntryState::absent};
  }
  const Edit edit = put_entry(list.file->text, wanted_, migrate_, kept_keys_);
  if (edit.outcome == EditOutcome::unreadable || edit.outcome == EditOutcome::refused) {
    return not_installed(list_name, edit);
  }
  if (!may_write_) return only_looked(list_name, false);
  if (edit.outcome == EditOutcome::changed && !replace_conf(dir_, *list.file, edit.text)) {
    return std::nullopt;
  }
  if (!is_unchanged(dir_, single)) return std::nullopt;
  dir_.remove(name);
  dir_.sync();
  return installed(list_name, true);
}

std::optional<InstallStatus> ConfPass::convert(const ConfFile& single, const std::string& name) {
  const std::string list_name = stem_of(name) + ".conflist";
  const ConfRead beside = read_conf(dir_, list_name);
  if (beside.file || beside.why != nothing_there) return use_list_beside(single, name, beside);
  const Edit edit = make_list(single.text, wanted_);
  if (edit.outcome != EditOutcome::changed) return not_installed(name, edit);
  if (!may_write_) return only_looked(name, false);
  if (!create_conf(dir_, single, list_name, edit.text)) return std::nullopt;
  if (!is_unchanged(dir_, single)) {
    // It was made of what is no longer there; nobody reads it as long as the other one is first.
    dir_.remove(list_name);
    return std::nullopt;
  }
  dir_.remove(name);
  dir_.sync();
  return installed(list_name, true);
}

InstallStatus place_entry(const InstallConfig& config, bool may_write) {
  std::string why;
  const std::optional<Directory> dir = Directory::open(config.conf_dir, why);
  if (!dir) return {.why = why, .entry = EntryState::absent};
  if (may_write) remove_temp_files(*dir);
  constexpr int most_attempts = 5;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    const std::optional<InstallStatus> status = ConfPass(*dir, config, may_write).run();
    if (status) return *status;
  }
  return {.why = "somebody else keeps writing in " + quote(config.conf_dir)};
}

// As place_entry, for what a system call says no to.
InstallStatus try_to_place_entry(const InstallConfig& config, bool may_write) {
  try {
    return place_entry(config, may_write);
  } catch (const std::exception& error) {
    InstallStatus status{.outcome = InstallOutcome::failed, .why = error.what()};
    if (!may_write) return status;
    // The entry may be there all the same, only not as wanted.
    const InstallStatus seen = try_to_place_entry(config, false);
    status.entry = seen.entry;
    status.file = seen.file;
    return status;
  }
}

PluginBinary try_to_place_plugin(const InstallConfig& config) {
  try {
    return place_plugin(config.plugin_source, config.bin_dir);
  } catch (const std::exception& error) {
    return {.outcome = InstallOutcome::failed, .why = error.what()};
  }
}

}  // namespace

InstallStatus install(const InstallConfig& config) {
  const PluginBinary binary = try_to_place_plugin(config);
  const bool in_place = binary.outcome == InstallOutcome::installed;
  InstallStatus status = try_to_place_entry(config, in_place);
  status.wrote_binary = binary.wrote;
  if (!in_place) {
    status.outcome = binary.outcome;
    status.why = binary.why;
    status.binary_failed = binary.outcome == InstallOutcome::failed;
  }
  return status;
}

const char* to_string(InstallOutcome outcome) {
  constexpr std::array<const char*, 4> names{"installed", "waiting", "blocked", "failed"};
  return names.at(static_cast<std::size_t>(outcome));
}

}  // namespace sluice::agent
