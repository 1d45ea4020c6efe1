// SPDX-License-Identifier: GPL-2.0-or-later
// Every setting of a redirection under its three names: annotation, key of the network
// configuration, flag of the command line. One table, one parser each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rules/redirect.h"

namespace sluice::cni {

// How the network configuration spells a value.
enum class SettingType : std::uint8_t {
  text,     // string
  boolean,  // true or false
  port,     // number
  number,   // number, or string for one in hexadecimal
  ids,      // number, or array of numbers
};

struct Setting {
  const char* annotation;  // "" if a pod cannot set it
  const char* key;
  const char* flag;
  std::string help;
  SettingType type;
  // Throws Error naming the offending part of `text`.
  void (*set)(RedirectConfig& config, std::string_view text);
  // Counts, and is parsed, only where `annotation` is absent.
  const char* former_annotation = "";
};

const std::vector<Setting>& settings();

// A pod's annotations, by key. Only those that Sluice knows need be there.
using Annotations = std::map<std::string, std::string>;

// nullptr: it is not there.
const std::string* find_annotation(const Annotations& annotations, const char* key);

// Sets what the annotations say. Throws Error with Code::invalid_config that names the annotation
// and its value; `config` may then be half set.
void apply_annotations(RedirectConfig& config, const Annotations& annotations);

}  // namespace sluice::cni
