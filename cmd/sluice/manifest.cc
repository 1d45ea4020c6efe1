// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/manifest.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <sstream>
#include <string>

#include "rules/error.h"

namespace sluice::cmd {
namespace {

using cni::Json;

constexpr std::size_t node_limit = 200'000;

class Converter {
 public:
  Json convert(const YAML::Node& node, std::size_t depth = 0) {
    if (++count_ > node_limit || depth > cni::json_depth_limit) {
      throw Error("the manifest is too large: more than " + std::to_string(node_limit) +
                  " values or " + std::to_string(cni::json_depth_limit) + " levels");
    }
    switch (node.Type()) {
      case YAML::NodeType::Map: {
        Json object = Json::object();
        for (const auto& entry : node) {
          object[entry.first.as<std::string>()] = convert(entry.second, depth + 1);
        }
        return object;
      }
      case YAML::NodeType::Sequence: {
        Json array = Json::array();
        for (const auto& entry : node) array.push_back(convert(entry, depth + 1));
        return array;
      }
      case YAML::NodeType::Scalar:
        return scalar(node);
      case YAML::NodeType::Null:
      case YAML::NodeType::Undefined:
        break;
    }
    return nullptr;
  }

 private:
  // A quoted scalar is a string; a plain one is what Kubernetes' own YAML reader makes of it,
  // where only true, false, numbers and null are told apart.
  static Json scalar(const YAML::Node& node) {
    const std::string& text = node.Scalar();
    if (node.Tag() == "!") return text;
    if (text == "true" || text == "false") return text == "true";
    if (text == "null" || text == "~" || text.empty()) return nullptr;
    const Json number = Json::parse(text, nullptr, false);
    return number.is_number() ? number : Json(text);
  }

  std::size_t count_ = 0;
};

// LoadAll() never ends where it takes nothing in for one document after the other (",").
class DocumentCounter final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& /*mark*/) override {
    if (++count_ > 1) refuse();
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnAlias(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnScalar(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                const std::string& /*value*/) override {}
  void OnSequenceStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/,
                       YAML::anchor_t /*anchor*/, YAML::EmitterStyle::value /*style*/) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {}
  void OnMapEnd() override {}

  void require_one() const {
    if (count_ == 0) refuse();
  }

 private:
  void refuse() const {
    throw Error(std::string("the manifest holds ") +
                (count_ == 0 ? "no document" : "more than one document"));
  }

  int count_ = 0;
};

void require_one_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentCounter counter;
  while (parser.HandleNextDocument(counter)) continue;
  counter.require_one();
}

}  // namespace

Json parse_manifest(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '{') {
    return cni::parse_json(text, "the manifest");
  }
  try {
    require_one_document(text);
    return Converter().convert(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    throw Error("the manifest is not valid YAML: line " + std::to_string(error.mark.line + 1) +
                ": " + printable(error.msg));
  }
}

}  // namespace sluice::cmd
