// SPDX-License-Identifier: GPL-2.0-or-later
// The one class that calls close(2).
#pragma once

#include <unistd.h>

#include <utility>

namespace sluice::kernel {

// Owns an open file descriptor, or none.
class Fd {
 public:
  Fd() = default;
  // Takes over `fd`; a negative value is "none", so that a failed open(2) can be passed on.
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }

 private:
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  int fd_ = -1;
};

}  // namespace sluice::kernel
