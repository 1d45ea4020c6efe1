// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/error.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace sluice {
namespace {

struct TextLimit {
  std::size_t characters = std::string::npos;
  std::size_t bytes = std::string::npos;  // as they are shown: "\\x00" has four
};

// Three of them, one in the other, fit into a message: a value, the item in it, the part of that.
constexpr TextLimit quoted_limit{.characters = 100, .bytes = 200};

// The length of the well-formed UTF-8 sequence at the start of `text`, 0 if there is none
// (The Unicode Standard, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  if (lead >= 0xc2 && lead <= 0xdf) length = 2;
  if (lead >= 0xe0 && lead <= 0xef) length = 3;
  if (lead >= 0xf0 && lead <= 0xf4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool outside = (lead == 0xed && byte(1) > 0x9f) || (lead == 0xf4 && byte(1) > 0x8f);
  return overlong || outside ? 0 : length;
}

std::string escaped_byte(char c) {
  constexpr std::array<char, 17> digits{"0123456789abcdef"};
  const auto value = static_cast<std::uint8_t>(c);
  return {'\\', 'x', digits.at(value >> 4U), digits.at(value & 0xfU)};
}

// U+0080 to U+009F and U+2028/U+2029 end a line for some readers.
bool is_line_breaking(std::string_view sequence) {
  if (sequence.size() == 2)
    return sequence[0] == '\xc2' && static_cast<std::uint8_t>(sequence[1]) < 0xa0;
  return sequence == "\xe2\x80\xa8" || sequence == "\xe2\x80\xa9";
}

// A character as it is shown: one that would not print as bytes, one in `special` behind a
// backslash.
std::string shown(std::string_view sequence, bool well_formed, std::string_view special) {
  const auto lead = static_cast<std::uint8_t>(sequence[0]);
  std::string out;
  if (!well_formed || lead < 0x20 || lead == 0x7f || is_line_breaking(sequence)) {
    for (const char c : sequence) out += escaped_byte(c);
    return out;
  }
  if (special.find(sequence) != std::string_view::npos) out += '\\';
  return out += sequence;
}

// As much of `text` as the limit allows, "..." for the rest.
std::string escaped(std::string_view text, TextLimit limit, std::string_view special) {
  std::string out;
  for (std::size_t count = 0; !text.empty(); ++count) {
    const std::size_t length = utf8_length(text);
    const std::string_view sequence = text.substr(0, length == 0 ? 1 : length);
    const std::string next = shown(sequence, length != 0, special);
    if (count == limit.characters || next.size() > limit.bytes - out.size()) return out + "...";
    out += next;
    text.remove_prefix(sequence.size());
  }
  return out;
}

}  // namespace

Error::Error(int errnum, std::string_view doing)
    : std::runtime_error(std::string(doing) + ": " + std::generic_category().message(errnum)),
      code_(errnum, std::generic_category()) {}

Error::Error(std::error_code code, const std::string& sentence, std::string details)
    : std::runtime_error(sentence), code_(code), details_(std::move(details)) {}

Error::Error(const std::string& sentence)
    : Error(std::make_error_code(std::errc::invalid_argument), sentence) {}

Error unsupported(const std::string& sentence) {
  return {std::make_error_code(std::errc::not_supported), sentence};
}

std::string printable(std::string_view text) {
  return escaped(text, {}, "");
}

std::string quote(std::string_view text) {
  return '"' + escaped(text, quoted_limit, "\"\\") + '"';
}

}  // namespace sluice
