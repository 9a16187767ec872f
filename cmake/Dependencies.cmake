# Every third-party library, found once and given a short target name (bh::…).
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(OpenSSL 3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(CURL REQUIRED)
find_package(LibArchive REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(date REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(TOMLPP REQUIRED IMPORTED_TARGET tomlplusplus)

add_library(bh_options INTERFACE)
target_compile_options(bh_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
  -Wold-style-cast -Woverloaded-virtual -Wimplicit-fallthrough -Werror -fno-omit-frame-pointer)
target_compile_definitions(bh_options INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION
  BOOST_ASIO_DISABLE_BOOST_COROUTINE BOOST_BEAST_USE_STD_STRING_VIEW SPDLOG_FMT_EXTERNAL)
target_link_options(bh_options INTERFACE -fuse-ld=lld-19 -Wl,--gc-sections -pie)
target_compile_options(bh_options INTERFACE -ffunction-sections -fdata-sections -fPIE)
if(BH_SANITIZE)
  target_compile_options(bh_options INTERFACE -fsanitize=${BH_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(bh_options INTERFACE -fsanitize=${BH_SANITIZE})
  # UBSan's vptr check makes a pipe to find out whether an address can be read. The runner's system call filter refuses
  # pipes, and the check then takes every object for a wrong one; the filter that is tested stays the one that ships.
  target_compile_options(bh_options INTERFACE -fno-sanitize=vptr)
endif()
if(BH_FUZZ)
  target_compile_options(bh_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Guests on Wasmtime and JSON Schema: one Rust archive behind native/include/bulkhead_native.h.
if(NOT BH_NATIVE_DIR)
  message(FATAL_ERROR "BH_NATIVE_DIR is not set; build with ./dev build, which builds native/ first")
endif()
if(BH_SANITIZE MATCHES thread)
  # TSan does not see how code without its instrumentation synchronizes, and can leave it out only as a library of its
  # own (tools/dev/tsan.supp).
  set(native ${CMAKE_BINARY_DIR}/libbulkhead_native.so)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -fuse-ld=lld-19 -shared -Wl,-soname,libbulkhead_native.so -o ${native}
    -Wl,--whole-archive ${BH_NATIVE_DIR}/lib/libbulkhead_native.a -Wl,--no-whole-archive -lpthread -ldl -lm -lgcc_s
    COMMAND_ERROR_IS_FATAL ANY)
  add_library(bh_native SHARED IMPORTED)
  set_target_properties(bh_native PROPERTIES IMPORTED_LOCATION ${native} IMPORTED_SONAME libbulkhead_native.so)
else()
  add_library(bh_native STATIC IMPORTED)
  set_target_properties(bh_native PROPERTIES IMPORTED_LOCATION ${BH_NATIVE_DIR}/lib/libbulkhead_native.a)
endif()
target_include_directories(bh_native SYSTEM INTERFACE ${CMAKE_SOURCE_DIR}/native/include)
target_link_libraries(bh_native INTERFACE Threads::Threads dl m)
