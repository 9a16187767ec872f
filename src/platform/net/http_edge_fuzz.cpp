// Feeds bytes to the edge's parser the way a connection does, once in one piece and once in small ones: what is read
// must not depend on how the network cut it, and what is accepted must be unambiguous.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "platform/net/chunk_decoder.h"
#include "platform/net/http_parser.h"

namespace bulkhead::net {
namespace {

constexpr std::size_t kHeadLimit = 512;
constexpr Bytes kBodyLimit{2048};

void check_head(const RequestHead& head, const HeadFacts& facts) {
  BH_ASSERT(head.target.starts_with('/') || (head.target == "*" && head.method == Method::kOptions));
  BH_ASSERT(head.target.find_first_of(std::string_view(" \t\r\n\0", 5)) == std::string::npos);
  BH_ASSERT(!head.method_text.empty());
  for (std::size_t i = 0; i < head.headers.size(); ++i) {
    const auto [name, value] = head.headers.at(i);
    BH_ASSERT(!name.empty());
    BH_ASSERT(name.find_first_of(std::string_view(": \t\r\n\0", 6)) == std::string_view::npos);
    BH_ASSERT(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  }
  BH_ASSERT(head.headers.count("host") <= 1);
  BH_ASSERT(!facts.http11 || head.headers.count("host") == 1);
  BH_ASSERT(head.headers.count("content-length") + head.headers.count("transfer-encoding") <= 1);
  BH_ASSERT(facts.chunked == (head.headers.count("transfer-encoding") == 1));
  BH_ASSERT(!facts.chunked || facts.http11);
}

// A connection without its socket. The transcript holds everything that a service would see.
class Edge {
 public:
  explicit Edge(std::string_view bytes, std::size_t step) : bytes_(bytes), step_(step) {}

  std::string run() {
    while (read_request()) {
    }
    return std::move(transcript_);
  }

 private:
  bool fill() {
    const std::size_t count = std::min({step_, bytes_.size(), kHeadLimit - input_.size()});
    input_ += bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    if (count == 0) transcript_ += input_.size() == kHeadLimit ? "refused" : "end";
    return count > 0;
  }

  bool refused() {
    transcript_ += "refused";
    return false;
  }

  bool read_request() {
    auto size = parser_.parse_head(input_, head_);
    while (size && !*size) {
      if (!fill()) return false;
      size = parser_.parse_head(input_, head_);
    }
    if (!size) return refused();
    BH_ASSERT(**size <= kHeadLimit);
    input_.erase(0, **size);
    check_head(head_, parser_.facts());
    transcript_ += head_.method_text + ' ' + head_.target + '\n';
    for (std::size_t i = 0; i < head_.headers.size(); ++i) {
      const auto [name, value] = head_.headers.at(i);
      transcript_.append(name).append("=").append(value).append("\n");
    }
    if (parser_.facts().content_length > kBodyLimit.value) return refused();
    return parser_.facts().chunked ? read_chunks() : read_length();
  }

  bool read_length() {
    for (std::uint64_t left = parser_.facts().content_length; left > 0;) {
      if (input_.empty() && !fill()) return false;
      const std::size_t count = std::min<std::uint64_t>(left, input_.size());
      transcript_ += input_.substr(0, count);
      input_.erase(0, count);
      left -= count;
    }
    return true;
  }

  bool read_chunks() {
    ChunkDecoder chunks(kBodyLimit);
    std::string body;  // counts only when it is whole: what comes before an error depends on the pieces
    while (true) {
      std::array<char, 100> into;
      const auto progress = chunks.decode(input_, into);
      if (!progress) return refused();
      BH_ASSERT(progress->consumed <= input_.size() && progress->produced <= into.size());
      input_.erase(0, progress->consumed);
      body.append(into.data(), progress->produced);
      BH_ASSERT(body.size() <= kBodyLimit.value);
      if (chunks.done()) {
        transcript_ += body;
        return true;
      }
      if (progress->consumed == 0 && progress->produced == 0 && !fill()) return false;
    }
  }

  std::string_view bytes_;
  std::size_t step_;
  std::string input_;
  RequestHead head_;
  RequestParser parser_{{.head = Bytes{kHeadLimit}, .target = Bytes{128}}};
  std::string transcript_;
};

}  // namespace
}  // namespace bulkhead::net

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using bulkhead::net::Edge;
  if (size == 0) return 0;
  // The first byte chooses the size of the small pieces.
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = Edge(bytes, bytes.size() + 1).run();
  const std::string pieces = Edge(bytes, 1 + data[0] % 16).run();
  BH_ASSERT(whole == pieces);
  return 0;
}
