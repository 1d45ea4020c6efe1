// SPDX-License-Identifier: GPL-2.0-or-later
// The one exception type of the project, and the quoting of text that tenants wrote.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace sluice {

// Something that must end the current operation. what() is one line that names the thing
// (annotation, key, chain, path) and is fit for a Kubernetes Event; code() stays testable.
class Error : public std::runtime_error {
 public:
  // A system call or library failed with `errnum` (errno(3)) while `doing` ("open netns /x").
  // what() is "doing: strerror".
  Error(int errnum, std::string_view doing);

  // A domain code, such as cni::Code. what() is `sentence` alone; `details` is longer text that
  // a CNI error object shows behind it.
  Error(std::error_code code, const std::string& sentence, std::string details = {});

  // Input that is not acceptable: code() is EINVAL, what() is `sentence` alone.
  explicit Error(const std::string& sentence);

  const std::error_code& code() const { return code_; }
  const std::string& details() const { return details_; }

 private:
  std::error_code code_;
  std::string details_;
};

// The kernel, or a form that something is to be put into, lacks what it takes: code() is ENOTSUP,
// what() is `sentence` alone.
Error unsupported(const std::string& sentence);

// `text` with control characters and ill-formed UTF-8 shown as \xNN and nothing cut off: what a
// pod's own processes may have written into its tables, fit for one line of a log.
std::string printable(std::string_view text);

// `text` in double quotes, fit for a one-line message: as much is kept as makes 100 characters and
// 200 bytes ("..." stands for the rest), control characters and ill-formed UTF-8 are shown as \xNN,
// a quote and a backslash are escaped.
std::string quote(std::string_view text);

}  // namespace sluice
