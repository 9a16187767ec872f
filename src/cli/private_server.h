// A platform of one's own for the time of a command: `bulkhead serve` on a temporary data folder and a free port, with
// an administrator's token that nobody else knows. Ended and removed with the object.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "platform/process/child_process.h"
#include "platform/process/file.h"

namespace bulkhead::cli {

class PrivateServer {
 public:
  // kUnavailable with the end of its log when it does not become ready.
  static Result<PrivateServer> start();

  const std::string& url() const { return url_; }
  const std::string& admin_token() const { return admin_token_; }

 private:
  PrivateServer(process::TemporaryDirectory folder, process::ChildProcess child, std::string url, std::string token)
      : folder_(std::move(folder)), child_(std::move(child)), url_(std::move(url)), admin_token_(std::move(token)) {}
  process::TemporaryDirectory folder_;
  process::ChildProcess child_;  // destroyed before the folder
  std::string url_;
  std::string admin_token_;
};

}  // namespace bulkhead::cli
