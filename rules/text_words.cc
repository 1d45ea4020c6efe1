// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_words.h"

#include <charconv>
#include <system_error>
#include <utility>

#include "rules/error.h"

namespace sluice {

Words split_words(std::string_view line) {
  Words words;
  std::string word;
  bool in_quotes = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == ' ' && !in_quotes) {
      if (!word.empty()) words.push_back(std::exchange(word, {}));
      continue;
    }
    if (c == '"') in_quotes = !in_quotes;
    word += c;
    if (c == '\\' && in_quotes && i + 1 < line.size()) word += line[++i];
  }
  if (in_quotes) throw Error("a quote is not closed");
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

std::string join(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::optional<std::string> unquoted(const std::string& word) {
  if (word.find('"') == std::string::npos) return word;
  if (word.size() < 2 || word.front() != '"' || word.back() != '"') return std::nullopt;
  std::string text;
  const std::size_t end = word.size() - 1;
  for (std::size_t i = 1; i < end; ++i) {
    if (word[i] == '"') return std::nullopt;
    if (word[i] == '\\') ++i;
    // The backslash protects the last quote: it does not close the word.
    if (i >= end) return std::nullopt;
    text += word[i];
  }
  return text;
}

std::uint32_t parse_bits(std::string_view text) {
  const bool hexadecimal = text.substr(0, 2) == "0x";
  if (!hexadecimal) return static_cast<std::uint32_t>(parse_decimal(text, 0xffffffff, "mark"));
  const std::string_view digits = text.substr(2);
  std::uint32_t value = 0;
  const auto [end, failure] = std::from_chars(digits.begin(), digits.end(), value, 16);
  if (failure != std::errc() || end != digits.end()) {
    throw Error("mark " + quote(text) + " is not a number of 32 bits");
  }
  return value;
}

Masked parse_masked(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {.value = parse_bits(text), .mask = 0xffffffff};
  return {.value = parse_bits(text.substr(0, slash)), .mask = parse_bits(text.substr(slash + 1))};
}

PortRange parse_port_words(std::string_view text) {
  const auto port = [](std::string_view part) {
    return static_cast<std::uint16_t>(parse_decimal(part, 65535, "port"));
  };
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {.first = port(text), .last = port(text)};
  return {.first = port(text.substr(0, colon)), .last = port(text.substr(colon + 1))};
}

}  // namespace sluice
