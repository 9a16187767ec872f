// A real S3 server for tests: versitygw over a temporary directory, on a free port of 127.0.0.1, with one bucket. Any
// test that links bh_test_s3 may use it. `./dev setup` builds the server (tools/dev/go_tools.txt).
//
//   auto s3 = TestS3::start().value();
//   auto store = blob::make_s3_store(s3.options(), cores).value();
//
// Start it on a thread that lives as long as the server: it dies with its thread (process/child_process.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "platform/blob/stores.h"
#include "platform/process/child_process.h"
#include "platform/process/file.h"

namespace bulkhead::blob {

class TestS3 {
 public:
  // Returns when the server answers. kNotFound: versitygw is not there.
  static Result<TestS3> start();
  TestS3(TestS3&&) noexcept = default;

  S3Options options() const;
  void stop() { server_.reset(); }
  // On the same port, with the same objects.
  Status restart();
  // The bucket's directory: objects are plain files here.
  std::string bucket_path() const { return directory_.path() + "/data/" + std::string(kBucket); }

 private:
  static constexpr std::string_view kBucket = "blobs";
  TestS3(process::TemporaryDirectory directory, std::string program, std::uint16_t port)
      : directory_(std::move(directory)), program_(std::move(program)), port_(port) {}

  process::TemporaryDirectory directory_;
  std::string program_;
  std::uint16_t port_;
  std::optional<process::ChildProcess> server_;
};

}  // namespace bulkhead::blob
