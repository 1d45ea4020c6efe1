// SPDX-License-Identifier: GPL-2.0-or-later
// Our entry in the text of a network configuration. Pure: text in, text out. Whatever is not our
// entry stays byte for byte as its owner wrote it. Shape of the files: CNI specification 1.1,
// section 1; which of them a runtime takes: libcni conf.go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cni/json.h"

namespace sluice::agent {

// Bytes of a configuration, before and after the edit.
inline constexpr std::size_t conf_size_limit = std::size_t{1024} * 1024;

enum class EditOutcome : std::uint8_t {
  unchanged,   // already as wanted
  changed,     // `text` is to be written
  unreadable,  // no runtime could load it either: its owner is not done with it, or it is broken
  refused,     // somebody has to do something first
};

struct Edit {
  EditOutcome outcome = EditOutcome::unchanged;
  std::string text = {};   // if changed, the whole of the new text
  std::string why = {};    // if unreadable or refused; follows the file's name: "has no name"
  bool had_entry = false;  // the text that was passed in has an entry of ours
};

// The member of "plugins" that is wanted: `entry` with "type". Throws Error if `entry` is neither
// an object nor null, or names another type.
cni::Json wanted_entry(const cni::Json& entry);

// Makes `asked` stand exactly once in a list: where our first entry stands, in the place of the
// first entry of istio-cni if `migrate`, else behind the last plugin. An entry that is JSON-equal
// is not touched. What of `kept_keys` it has not, it gets from the entry it replaces, where the
// plugin understands the value.
Edit put_entry(std::string_view text, const cni::Json& asked, bool migrate,
               const std::vector<std::string>& kept_keys = {});

// Takes every entry of ours out of a list. Refuses if nothing would be left in it.
Edit take_entry(std::string_view text);

// Makes a list of a configuration of one plugin: same name, same cniVersion, the plugin's text as
// it is, `wanted`. Never `unchanged`.
Edit make_list(std::string_view text, const cni::Json& wanted);

// Whether `list` is what make_list made of `single`, perhaps edited since: same name, same first
// plugin, an entry of ours. False for text that is not valid.
bool made_from(std::string_view list, std::string_view single);

}  // namespace sluice::agent
