// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/json_text.h"

#include "cni/json.h"

namespace sluice::agent {
namespace {

constexpr std::string_view white_space = " \t\r\n";

std::size_t skip_space(std::string_view text, std::size_t from) {
  const std::size_t found = text.find_first_not_of(white_space, from);
  return found == std::string_view::npos ? text.size() : found;
}

// Behind the closing quote of the string that opens at `from`.
std::size_t string_end(std::string_view text, std::size_t from) {
  std::size_t i = from + 1;
  while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2U : 1U;
  return i + 1;
}

// Behind the bracket that closes the one at `from`. Counts instead of recursing.
std::size_t bracket_end(std::string_view text, std::size_t from) {
  std::size_t depth = 0;
  for (std::size_t i = from; i < text.size();) {
    const char c = text[i];
    if (c == '"') {
      i = string_end(text, i);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return i + 1;
    ++i;
  }
  return text.size();
}

Span value_span(std::string_view text, std::size_t from) {
  const std::size_t begin = skip_space(text, from);
  if (begin == text.size()) return {begin, begin};
  if (text[begin] == '"') return {begin, string_end(text, begin)};
  if (text[begin] == '{' || text[begin] == '[') return {begin, bracket_end(text, begin)};
  const std::size_t end = text.find_first_of(" \t\r\n,]}", begin);
  return {begin, end == std::string_view::npos ? text.size() : end};
}

bool starts_with(std::string_view text, Span span, char bracket) {
  return span.begin < span.end && span.end <= text.size() && text[span.begin] == bracket;
}

}  // namespace

Span root_span(std::string_view text) {
  return value_span(text, 0);
}

std::vector<MemberSpan> member_spans(std::string_view text, Span object) {
  std::vector<MemberSpan> members;
  if (!starts_with(text, object, '{')) return members;
  std::size_t i = skip_space(text, object.begin + 1);
  while (i < object.end && text[i] == '"') {
    const Span key{i, string_end(text, i)};
    const std::size_t colon = skip_space(text, key.end);
    const Span value = value_span(text, colon + 1);
    members.push_back({.key = cni::Json::parse(at(text, key)).get<std::string>(), .value = value});
    i = skip_space(text, value.end);
    if (i < object.end && text[i] == ',') i = skip_space(text, i + 1);
  }
  return members;
}

std::vector<Span> element_spans(std::string_view text, Span array) {
  std::vector<Span> elements;
  if (!starts_with(text, array, '[')) return elements;
  std::size_t i = skip_space(text, array.begin + 1);
  while (i < array.end && text[i] != ']') {
    elements.push_back(value_span(text, i));
    i = skip_space(text, elements.back().end);
    if (i < array.end && text[i] == ',') i = skip_space(text, i + 1);
  }
  return elements;
}

}  // namespace sluice::agent
