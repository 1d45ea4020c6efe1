// SPDX-License-Identifier: GPL-2.0-or-later
// A file that is written under a name that nobody reads and then takes its place at once.
#pragma once

#include <string>
#include <string_view>

#include "agent/install/directory.h"
#include "rules/kernel/fd.h"

namespace sluice::agent {

// Whether TempFile gives such names: ".sluice-tmp-" and 16 hexadecimal digits. No runtime reads it.
bool is_temp_name(std::string_view name);

// Removes what a killed pass left. What cannot be removed stays: the directory is read-only, and
// the write that follows says so.
void remove_temp_files(const Directory& dir);

// Mode 0600 until it is changed by descriptor. Unlinked by the destructor if it was not put in its
// place. `dir` must outlive it.
class TempFile {
 public:
  // Throws Error.
  explicit TempFile(const Directory& dir);
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  TempFile(TempFile&&) = delete;
  TempFile& operator=(TempFile&&) = delete;
  ~TempFile();

  int fd() const { return fd_.get(); }
  std::string path() const { return dir_.path_of(name_); }
  // Throws Error.
  void write(std::string_view text) const;

  // Makes its content durable, fsync(2). Throws Error.
  void sync() const;
  // No more to be written. A program that is open for writing cannot be run, execve(2) ETXTBSY.
  void close() { fd_ = kernel::Fd(); }

  // To be called after sync(): rename(2), and fsync(2) of the directory.
  // False if the temporary file is gone: another agent took it for its own. Throws Error.
  bool replace(const std::string& name);
  // As replace, but false also if `name` is there already.
  bool create(const std::string& name);

 private:
  const Directory& dir_;
  std::string name_;
  kernel::Fd fd_;
  bool placed_ = false;
};

}  // namespace sluice::agent
