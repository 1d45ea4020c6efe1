// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/conflist_text.h"

#include <algorithm>

namespace sluice::agent {
namespace {

using cni::Json;

// How the elements of an array are set off from each other.
struct Style {
  std::string space = {};     // in front of each element
  std::string line_end = {};  // empty: all on one line
  std::string indent = {};    // of an element that starts a line
  std::string step = {};      // of the members in it
};

Style style_of(std::string_view text, Span array, const std::vector<Span>& elements) {
  // White space without end is no style to go by.
  constexpr std::size_t longest = 64;
  const Span gap{array.begin + 1, elements.front().begin};
  Style style{.space = std::string(at(text, gap))};
  if (style.space.size() > longest) style.space = " ";
  const std::size_t line = style.space.rfind('\n');
  if (line == std::string::npos) return style;
  style.line_end = style.space.find("\r\n") == std::string::npos ? "\n" : "\r\n";
  style.indent = style.space.substr(line + 1);
  style.step = style.indent.find('\t') == std::string::npos ? "  " : "\t";
  return style;
}

// "type" first, as people write it.
std::string entry_text(const Json& entry, const Style& style) {
  Json rest = entry;
  const std::string type = entry.at("type").dump();
  rest.erase("type");
  const bool lines = !style.line_end.empty();
  const std::string separator =
      lines ? "," + style.line_end + style.indent + style.step : std::string(", ");
  std::string text = lines ? "{" + style.line_end + style.indent + style.step : std::string("{");
  text += "\"type\": " + type;
  for (const auto& [key, value] : rest.items()) {
    text += separator + Json(key).dump() + ": ";
    if (!lines) {
      text += value.dump();
      continue;
    }
    // A line break in printed JSON is always white space.
    const bool tabs = style.step == "\t";
    for (const char c : value.dump(tabs ? 1 : 2, tabs ? '\t' : ' ')) {
      if (c == '\n') {
        text += style.line_end + style.indent + style.step;
      } else {
        text += c;
      }
    }
  }
  return text + (lines ? style.line_end + style.indent + "}" : std::string("}"));
}

struct Splice {
  Span span;
  std::string text;
};

// What goes with each element that is taken out: the comma in front of it, or the one behind it if
// nothing is left in front.
void add_removals(const std::vector<Span>& elements, const std::vector<std::size_t>& out,
                  std::vector<Splice>& splices) {
  std::size_t leading = 0;
  while (leading < out.size() && out[leading] == leading) ++leading;
  if (leading > 0) {
    splices.push_back({.span = {elements.front().begin, elements.at(leading).begin}, .text = {}});
  }
  for (std::size_t i = leading; i < out.size(); ++i) {
    const std::size_t index = out[i];
    splices.push_back({.span = {elements.at(index - 1).end, elements.at(index).end}, .text = {}});
  }
}

}  // namespace

std::string changed_text(std::string_view text, Span array, const std::vector<Span>& elements,
                         const ListChange& change) {
  const Style style = style_of(text, array, elements);
  std::vector<Splice> splices;
  add_removals(elements, change.out, splices);
  if (change.put) {
    const std::string entry = entry_text(*change.put, style);
    if (change.at < elements.size()) {
      splices.push_back({.span = elements.at(change.at), .text = entry});
    } else {
      const std::size_t end = elements.back().end;
      splices.push_back({.span = {end, end}, .text = "," + style.space + entry});
    }
  }
  std::sort(splices.begin(), splices.end(), [](const Splice& a, const Splice& b) {
    return a.span.begin != b.span.begin ? a.span.begin < b.span.begin : a.span.end < b.span.end;
  });
  std::string result;
  std::size_t from = 0;
  for (const Splice& splice : splices) {
    result += at(text, {from, splice.span.begin});
    result += splice.text;
    from = splice.span.end;
  }
  return result.append(text.substr(from));
}

std::string list_text(std::string_view version, std::string_view name, std::string_view plugin,
                      const Json& entry) {
  const Style style{.space = "\n    ", .line_end = "\n", .indent = "    ", .step = "  "};
  std::string text = "{\n";
  if (!version.empty()) text.append("  \"cniVersion\": ").append(version).append(",\n");
  text.append("  \"name\": ").append(name).append(",\n  \"plugins\": [\n    ");
  text.append(plugin).append(",\n    ").append(entry_text(entry, style));
  return text + "\n  ]\n}\n";
}

}  // namespace sluice::agent
