// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/proxy_config.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <vector>

#include "cni/json.h"
#include "cni/proxy_env.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

using YAML::Mark;

// Tags that the library gives to what has none: "?" for plain scalars and collections, "!" for
// quoted scalars.
constexpr const char* untagged = "?";
constexpr const char* untagged_quoted = "!";

[[noreturn]] void refuse(const Mark& mark, const std::string& sentence) {
  throw Error("line " + std::to_string(mark.line + 1) + ": " + sentence);
}

class ProxyConfigReader final : public YAML::EventHandler {
 public:
  ProxyConfig config() && { return std::move(config_); }

  void OnDocumentStart(const Mark& mark) override {
    if (++documents_ > 1) refuse(mark, "there is a second document");
  }
  void OnDocumentEnd() override {}

  void OnNull(const Mark& mark, YAML::anchor_t anchor) override {
    refuse_properties(mark, anchor, untagged, false);
    if (at_key()) refuse(mark, "a key is missing");
    end_value();
  }

  void OnAlias(const Mark& mark, YAML::anchor_t /*anchor*/) override {
    refuse(mark, "aliases are not accepted");
  }

  void OnScalar(const Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_properties(mark, anchor, tag, true);
    if (levels_.empty()) refuse(mark, "it is not a map");
    if (at_key()) return begin_entry(mark, value, tag == untagged);
    take(mark, value);
    end_value();
  }

  void OnSequenceStart(const Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    begin_collection(mark, tag, anchor, {.is_map = false});
  }
  void OnSequenceEnd() override { end_collection(); }

  void OnMapStart(const Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    begin_collection(mark, tag, anchor, {.is_map = true});
  }
  void OnMapEnd() override { end_collection(); }

  void OnAnchor(const Mark& mark, const std::string& /*name*/) override {
    refuse(mark, "anchors are not accepted");
  }

 private:
  enum class Part { skipped, root, metadata };

  struct Level {
    bool is_map = false;
    Part part = Part::skipped;
    bool in_entry = false;  // of a map: its key has been read, its value not yet
    std::string key = {};
    std::set<std::string> keys = {};
  };

  static void refuse_properties(const Mark& mark, YAML::anchor_t anchor, const std::string& tag,
                                bool scalar) {
    if (anchor != YAML::NullAnchor) refuse(mark, "anchors are not accepted");
    if (tag == untagged || (scalar && tag == untagged_quoted)) return;
    refuse(mark, "tag " + quote(tag) + " is not accepted");
  }

  bool at_key() const {
    return !levels_.empty() && levels_.back().is_map && !levels_.back().in_entry;
  }

  void begin_entry(const Mark& mark, const std::string& key, bool plain) {
    if (plain && key == "<<") refuse(mark, "merge keys are not accepted");
    Level& level = levels_.back();
    level.key = level.part == Part::root ? field(key) : key;
    level.in_entry = true;
    if (!level.keys.insert(level.key).second) {
      refuse(mark, "key " + quote(key) + " stands twice in one map");
    }
  }

  // ProxyConfig's JSON takes the names of the proto, too.
  static std::string field(const std::string& key) {
    if (key == "interception_mode") return "interceptionMode";
    if (key == "proxy_metadata") return "proxyMetadata";
    return key;
  }

  void begin_collection(const Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                        Level level) {
    refuse_properties(mark, anchor, tag, false);
    if (levels_.size() >= proxy_config_depth_limit) {
      refuse(mark,
             "it is nested deeper than " + std::to_string(proxy_config_depth_limit) + " levels");
    }
    if (at_key()) refuse(mark, "a key is not a scalar");
    level.part = part_of(mark, level.is_map);
    levels_.push_back(std::move(level));
  }

  Part part_of(const Mark& mark, bool is_map) const {
    if (levels_.empty()) {
      if (!is_map) refuse(mark, "it is not a map");
      return Part::root;
    }
    const Level& parent = levels_.back();
    if (parent.part == Part::root && parent.key == "proxyMetadata") {
      if (!is_map) refuse(mark, "proxyMetadata is not a map");
      return Part::metadata;
    }
    const bool read = (parent.part == Part::root && parent.key == "interceptionMode") ||
                      (parent.part == Part::metadata && is_proxy_variable(parent.key));
    if (read) refuse(mark, parent.key + " is not a scalar");
    return Part::skipped;
  }

  void end_collection() {
    levels_.pop_back();
    end_value();
  }

  void end_value() {
    if (!levels_.empty()) levels_.back().in_entry = false;
  }

  void take(const Mark& mark, const std::string& value) {
    const Level& level = levels_.back();
    if (level.part == Part::root) {
      if (level.key == "proxyMetadata") refuse(mark, "proxyMetadata is not a map");
      if (level.key == "interceptionMode") config_.interception_mode = value;
    }
    if (level.part == Part::metadata && is_proxy_variable(level.key)) {
      config_.metadata[level.key] = value;
    }
  }

  ProxyConfig config_;
  std::vector<Level> levels_;
  int documents_ = 0;
};

// The library guesses the encoding, and would take a NUL or a mark for that of UTF-16.
void refuse_odd_bytes(std::string_view text) {
  const auto odd = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') ||
           c == 0x7f;
  };
  if (std::any_of(text.begin(), text.end(), odd)) throw Error("it has control characters");
  if (text.substr(0, 3) == "\xef\xbb\xbf") throw Error("it has a byte order mark");
  try {
    (void)Json(text).dump();
  } catch (const Json::exception&) {
    throw Error("it is not valid UTF-8");
  }
}

}  // namespace

ProxyConfig parse_proxy_config(std::string_view text) {
  if (text.size() > proxy_config_size_limit) {
    throw Error("it is longer than " + std::to_string(proxy_config_size_limit) + " bytes");
  }
  refuse_odd_bytes(text);
  std::istringstream stream{std::string(text)};
  ProxyConfigReader reader;
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(reader)) {
    }
  } catch (const YAML::Exception& error) {
    // The library's sentence may quote what it read.
    throw Error("line " + std::to_string(error.mark.line + 1) +
                ": it is not valid YAML: " + quote(error.msg));
  }
  return std::move(reader).config();
}

}  // namespace sluice::cni
