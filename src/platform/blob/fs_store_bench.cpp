// Small puts and gets on the file system store, against the bare system calls that they can't do without.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/blob/fs_store.h"
#include "platform/process/file.h"

namespace bulkhead::blob {
namespace {

std::string content(std::int64_t size) { return std::string(static_cast<std::size_t>(size), 'x'); }

// The baseline of put: write, fsync, rename, fsync of the directory.
void write_flush_rename(benchmark::State& state) {
  const auto directory = process::TemporaryDirectory::create("blob-bench").value();
  const process::UniqueFd at(::open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto bytes = content(state.range(0));
  int i = 0;
  for (auto _ : state) {
    const process::UniqueFd file(::openat(at.get(), "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    BH_ASSERT(process::write_all(file.get(), bytes) && ::fsync(file.get()) == 0);
    BH_ASSERT(::renameat(at.get(), "new", at.get(), std::to_string(i++).c_str()) == 0 && ::fsync(at.get()) == 0);
  }
}
BENCHMARK(write_flush_rename)->Arg(4096)->Arg(1 << 20)->Unit(benchmark::kMicrosecond);

void put_in_one_folder(benchmark::State& state) {
  const auto directory = process::TemporaryDirectory::create("blob-bench").value();
  const auto blobs = FsBlobs::open(directory.path()).value();
  const auto bytes = content(state.range(0));
  int i = 0;
  for (auto _ : state) BH_ASSERT(blobs.put("folder/" + std::to_string(i++), bytes));
}
BENCHMARK(put_in_one_folder)->Arg(4096)->Arg(1 << 20)->Unit(benchmark::kMicrosecond);

// "sha256/<hex>/bundle": a new folder for every blob, which costs one more fsync.
void put_in_new_folders(benchmark::State& state) {
  const auto directory = process::TemporaryDirectory::create("blob-bench").value();
  const auto blobs = FsBlobs::open(directory.path()).value();
  const auto bytes = content(state.range(0));
  int i = 0;
  for (auto _ : state) BH_ASSERT(blobs.put("sha256/" + std::to_string(i++) + "/bundle", bytes));
}
BENCHMARK(put_in_new_folders)->Arg(4096)->Unit(benchmark::kMicrosecond);

void read_file(benchmark::State& state) {
  const auto directory = process::TemporaryDirectory::create("blob-bench").value();
  BH_ASSERT(process::write_file_atomically(directory.path() + "/blob", content(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(process::read_file(directory.path() + "/blob", 64_MiB));
}
BENCHMARK(read_file)->Arg(4096)->Arg(1 << 20)->Unit(benchmark::kMicrosecond);

void get(benchmark::State& state) {
  const auto directory = process::TemporaryDirectory::create("blob-bench").value();
  const auto blobs = FsBlobs::open(directory.path()).value();
  BH_ASSERT(blobs.put("sha256/ab/bundle", content(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(blobs.get("sha256/ab/bundle", 64_MiB));
}
BENCHMARK(get)->Arg(4096)->Arg(1 << 20)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace bulkhead::blob

BENCHMARK_MAIN();
