#include "platform/blob/s3_xml.h"

#include <expat.h>

#include <functional>
#include <memory>

namespace bulkhead::blob {
namespace {

constexpr std::size_t kMostDepth = 16;
constexpr std::size_t kMostText = 8 * 1024;  // of one element; a key is at most 1024 bytes

struct FreeParser {
  void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};

// Calls back with the path ("/Error/Code") and text of every element without children of its own.
class Reader {
 public:
  using Leaf = std::function<void(std::string_view path, const std::string& text)>;

  explicit Reader(Leaf leaf) : leaf_(std::move(leaf)), parser_(XML_ParserCreate("UTF-8")) {
    BH_ASSERT(parser_ != nullptr);
    XML_SetUserData(parser_.get(), this);
    XML_SetElementHandler(
        parser_.get(), [](void* self, const char* name, const char** /*attributes*/) { of(self).begin(name); },
        [](void* self, const char* name) { of(self).end(name); });
    XML_SetCharacterDataHandler(parser_.get(), [](void* self, const char* text, int size) {
      of(self).add({text, static_cast<std::size_t>(size)});
    });
    // Entities can only be declared in a document type.
    XML_SetStartDoctypeDeclHandler(
        parser_.get(), [](void* self, const char* /*name*/, const char* /*system_id*/, const char* /*public_id*/,
                          int /*has_subset*/) { of(self).stop(); });
  }

  bool read(std::string_view xml) {
    constexpr std::size_t kMostBytes = 64UL * 1024 * 1024;  // expat counts in int
    if (xml.size() > kMostBytes) return false;
    return XML_Parse(parser_.get(), xml.data(), static_cast<int>(xml.size()), XML_TRUE) == XML_STATUS_OK;
  }

 private:
  static Reader& of(void* self) { return *static_cast<Reader*>(self); }
  void stop() { XML_StopParser(parser_.get(), XML_FALSE); }
  void begin(std::string_view name) {
    path_.append("/").append(name);
    text_.clear();
    is_leaf_ = true;
    if (++depth_ > kMostDepth || path_.size() > kMostText) stop();
  }
  void end(std::string_view name) {
    if (is_leaf_) leaf_(path_, text_);
    is_leaf_ = false;
    --depth_;
    path_.resize(path_.size() - name.size() - 1);
  }
  void add(std::string_view text) {
    text_.append(text);
    if (text_.size() > kMostText) stop();
  }

  Leaf leaf_;
  std::unique_ptr<XML_ParserStruct, FreeParser> parser_;
  std::string path_;
  std::string text_;
  std::size_t depth_ = 0;
  bool is_leaf_ = false;
};

}  // namespace

Result<S3Listing> parse_listing(std::string_view xml) {
  S3Listing listing;
  bool is_listing = false;
  Reader reader([&](std::string_view path, const std::string& text) {
    is_listing = is_listing || path.starts_with("/ListBucketResult/");
    if (path == "/ListBucketResult/Contents/Key") listing.keys.push_back(text);
    if (path == "/ListBucketResult/IsTruncated") listing.truncated = text == "true";
    if (path == "/ListBucketResult/NextContinuationToken") listing.next = text;
  });
  if (!reader.read(xml) || !is_listing) {
    return fail(ErrorCode::kBlobUnavailable, {}, "the answer is not a bucket listing");
  }
  if (listing.truncated && listing.next.empty()) {
    return fail(ErrorCode::kBlobUnavailable, {}, "a truncated listing has no continuation token");
  }
  return listing;
}

std::string parse_error_code(std::string_view xml) {
  std::string code;
  Reader reader([&](std::string_view path, const std::string& text) {
    if (path == "/Error/Code") code = text.substr(0, 64);
  });
  return reader.read(xml) ? code : std::string();
}

}  // namespace bulkhead::blob
