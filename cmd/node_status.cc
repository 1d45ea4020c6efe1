// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/node_status.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <vector>

#include "cni/json.h"
#include "cni/object.h"
#include "rules/error.h"

namespace sluice::cmd {
namespace {

using cni::Json;
using cni::member;

constexpr std::size_t rows_limit = 10'000;
constexpr std::size_t name_width = 80;
constexpr std::size_t state_width = 24;
constexpr std::size_t why_width = 120;
constexpr std::size_t line_width = 200;

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) != 0x80;
}

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

// On one line and at most `width` characters.
std::string cell(std::string_view raw, std::size_t width) {
  // Each byte is a character or becomes several: what is behind this cannot be seen.
  std::string text = printable(raw.substr(0, width * 4 + 4));
  if (width_of(text) <= width) return text;
  std::size_t end = 0;
  for (std::size_t shown = 0; end < text.size(); ++end) {
    if (begins_character(text[end]) && ++shown > width - 3) break;
  }
  return text.substr(0, end) + "...";
}

std::string text_of(const Json& object, const char* key, std::size_t width) {
  const Json& value = member(object, key);
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) return "-";
  return cell(value.get_ref<const std::string&>(), width);
}

bool is_true(const Json& object, const char* key) {
  return member(object, key) == true;
}

using Row = std::array<std::string, 3>;

std::string aligned(const std::vector<Row>& rows, const std::string& indent) {
  std::size_t first = 0;
  std::size_t second = 0;
  for (const Row& row : rows) {
    first = std::max(first, width_of(row[0]));
    second = std::max(second, width_of(row[1]));
  }
  std::string text;
  for (const Row& row : rows) {
    text += indent + row[0] + std::string(first - width_of(row[0]) + 2, ' ') + row[1] +
            std::string(second - width_of(row[1]) + 2, ' ') + row[2] + "\n";
  }
  return text;
}

std::string parts_text(const Json& status) {
  std::vector<Row> rows;
  const Json& parts = member(status, "parts");
  if (!parts.is_object()) return "";
  for (const auto& [name, part] : parts.items()) {
    if (rows.size() == 100) break;
    rows.push_back({cell(name, state_width), is_true(part, "ready") ? "ready" : "not ready",
                    text_of(part, "why", why_width)});
  }
  return aligned(rows, "  ");
}

bool needs_somebody(const Json& pod) {
  const Json& condition = member(pod, "condition");
  return condition != "intact" && condition != "passed" && condition != "waiting";
}

std::vector<const Json*> sorted_pods(const Json& status) {
  std::vector<const Json*> pods;
  const Json& list = member(status, "pods");
  if (!list.is_array()) return pods;
  for (const Json& pod : list) {
    if (pod.is_object()) pods.push_back(&pod);
  }
  std::stable_partition(pods.begin(), pods.end(),
                        [](const Json* pod) { return needs_somebody(*pod); });
  return pods;
}

// "3: 2 intact, 1 missing"
std::string counts_text(const std::vector<const Json*>& pods) {
  std::map<std::string, std::size_t> counts;
  for (const Json* pod : pods) ++counts[text_of(*pod, "condition", state_width)];
  std::string text;
  for (const auto& [condition, count] : counts) {
    text += (text.empty() ? ": " : ", ") + std::to_string(count) + " " + condition;
  }
  return cell(std::to_string(pods.size()) + text, line_width);
}

std::string pods_text(const std::vector<const Json*>& pods) {
  if (pods.empty()) return "";
  std::vector<Row> rows{{"NAMESPACE/NAME", "STATE", "WHY"}};
  for (const Json* pod : pods) {
    if (rows.size() > rows_limit) break;
    const std::string name =
        text_of(*pod, "namespace", name_width) + "/" + text_of(*pod, "name", name_width);
    const std::string state = text_of(*pod, "condition", state_width - 10) +
                              (is_true(*pod, "repaired") ? ", repaired" : "");
    rows.push_back({cell(name, name_width), state, text_of(*pod, "why", why_width)});
  }
  std::string text = "\n" + aligned(rows, "");
  if (pods.size() > rows_limit) {
    text += "... and " + std::to_string(pods.size() - rows_limit) + " more\n";
  }
  return text;
}

}  // namespace

NodeTable node_table(std::string_view json) {
  const Json status = cni::parse_json(json, "the agent's status");
  if (!status.is_object()) throw Error("the agent's status is no JSON object");
  const std::vector<const Json*> pods = sorted_pods(status);
  NodeTable table{.ready = is_true(status, "ready")};
  const auto line = [&](const char* title, const std::string& value) {
    table.text += title + value + "\n";
  };
  line("Node:     ", text_of(status, "node", line_width));
  line("Agent:    ", text_of(status, "agentVersion", line_width));
  line("Ready:    ", table.ready ? "yes" : "no");
  table.text += parts_text(status);
  line("Entry in: ", text_of(status, "confFile", line_width));
  line("Backend:  ", text_of(status, "backend", line_width));
  line("Repair:   ", text_of(status, "repairMode", line_width));
  line("Pods:     ", counts_text(pods));
  table.text += pods_text(pods);
  return table;
}

}  // namespace sluice::cmd
