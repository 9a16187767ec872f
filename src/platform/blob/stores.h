// The two blob::Store implementations. Both pass one conformance suite (store_test.cpp). A store outlives the calls on
// it.
//
// What both promise beyond store.h: a key is a canonical relative path of at most 900 bytes whose names don't begin
// with a dot; a put of other content under a key that exists answers kAlreadyExists and changes nothing; `list` is
// sorted by the bytes of the key. A key that is a folder of another one ("a" and "a/b") works on some S3 servers and
// not on a disk.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "platform/async/cores.h"
#include "platform/async/thread_pool.h"
#include "platform/blob/store.h"

namespace bulkhead::blob {

// Blobs as files below `root`: "<root>/<key>", read-only, written under "<root>/.incoming" and renamed into place. A
// kill leaves at most a file in .incoming, which is removed when it is a day old. Several processes may share a root.
struct FsOptions {
  std::string root{};  // made if missing; its parents too
  std::size_t threads = 4;
  std::size_t queue = 1024;  // waiting calls; more answer kOverloaded
};
// kStorageFull, kInternal (cannot be made or written).
Result<std::unique_ptr<Store>> make_fs_store(const FsOptions& options);

// Blobs as objects of one S3 bucket, which must exist. Signed with AWS Signature Version 4; the SHA-256 of every body
// is part of the signature, so the server refuses what was damaged on the way. A single PUT carries a blob: at most 5
// GiB. Connection failures, time-outs and 408, 429, 5xx answers are retried with full-jitter back-off within the
// deadline.
struct S3Options {
  std::string endpoint{};  // "https://s3.example.com" or "http://127.0.0.1:9000"
  std::string region = "us-east-1";
  std::string bucket{};
  std::string access_key{};
  std::string secret_key{};
  enum class Addressing : std::uint8_t { kPath, kVirtualHost } addressing = Addressing::kPath;
  std::string key_prefix{};  // "bulkhead/" puts all keys below it
  std::string ca_file{};     // PEM; empty = the system's authorities
  Millis deadline{30'000};   // for one call, retries included; per 64 MiB of body another one
  std::size_t threads = 2;
  std::size_t queue = 1024;
};
// The store may be called on every core of `cores` (its connections are pooled per core) and on other event loops (then
// it works on core 0). `cores` outlives the store. kBadRequest: the options are not valid.
Result<std::unique_ptr<Store>> make_s3_store(S3Options options, Cores& cores);

}  // namespace bulkhead::blob
