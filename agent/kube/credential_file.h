// SPDX-License-Identifier: GPL-2.0-or-later
// A mounted token or certificate that the kubelet replaces while we run.
#pragma once

#include <sys/stat.h>

#include <string>

namespace sluice::agent {

class CredentialFile {
 public:
  // `what` names it in errors ("the service account's token"); its text never is in one.
  CredentialFile(std::string path, std::string what);

  // Reads the file if it is another than last time (device, inode, size, mtime, ctime; symbolic
  // links followed, as the kubelet's are) or if `again`. Whether the text is another one. Throws
  // Error if there is none, it is empty or has more than 1 MiB; the former text then stays.
  bool refresh(bool again = false);

  // Without white space at its end; empty before the first refresh().
  const std::string& text() const { return text_; }

 private:
  std::string path_;
  std::string what_;
  std::string text_ = {};
  struct stat seen_ = {};
};

}  // namespace sluice::agent
