# A room is a folder = a target = a namespace. Sources, unit tests, benchmarks and fuzz targets stand side by side and
# are told apart by their names, so a room's CMakeLists.txt is one call:
#   bh_room(base LINKS OpenSSL::Crypto PkgConfig::SODIUM Boost::json)
# makes the library bh_base of *.cpp, the test program bh_base_test of *_test.cpp (one ctest entry), a benchmark
# program for each x_bench.cpp (bench_x) and, with BH_FUZZ, a fuzz program for each x_fuzz.cpp (fuzz_x, whose seeds are in
# test/fuzz/x/).
# DEPENDS names other rooms (checked against the layers by tools/check_layers.py from the includes).
function(bh_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LINKS;TEST_LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(tests ${sources})
  set(benches ${sources})
  set(fuzzers ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz)\\.cpp$")
  if(NOT sources)
    return()
  endif()

  add_library(bh_${name} STATIC ${sources})
  target_include_directories(bh_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(bh_${name} PUBLIC bh_options bh_precompiled ${ROOM_LINKS})
  target_precompile_headers(bh_${name} REUSE_FROM bh_precompiled)
  foreach(room ${ROOM_DEPENDS})
    target_link_libraries(bh_${name} PUBLIC bh_${room})
  endforeach()

  # Migrations: SQL files compiled in, see platform/sql/migrations.h.
  file(GLOB migrations CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/migrations/*.sql)
  if(migrations)
    set(generated ${CMAKE_CURRENT_BINARY_DIR}/${name}_migrations.cpp)
    add_custom_command(OUTPUT ${generated}
      COMMAND ${CMAKE_COMMAND} -DROOM=${name} -DOUT=${generated} "-DFILES=${migrations}"
              -P ${CMAKE_SOURCE_DIR}/cmake/EmbedMigrations.cmake
      DEPENDS ${migrations} ${CMAKE_SOURCE_DIR}/cmake/EmbedMigrations.cmake VERBATIM)
    target_sources(bh_${name} PRIVATE ${generated})
  endif()

  if(tests AND NOT BH_FUZZ)
    add_executable(bh_${name}_test ${tests})
    target_link_libraries(bh_${name}_test PRIVATE bh_${name} GTest::gmock GTest::gtest_main ${ROOM_TEST_LINKS})
    target_precompile_headers(bh_${name}_test REUSE_FROM bh_precompiled)
    add_test(NAME ${name} COMMAND bh_${name}_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT 600)
  endif()
  foreach(bench ${benches})
    get_filename_component(stem ${bench} NAME_WE)
    string(REGEX REPLACE "_bench$" "" stem ${stem})
    add_executable(bench_${stem} EXCLUDE_FROM_ALL ${bench})
    target_link_libraries(bench_${stem} PRIVATE bh_${name} benchmark::benchmark)
  endforeach()
  if(BH_FUZZ)
    foreach(fuzzer ${fuzzers})
      get_filename_component(stem ${fuzzer} NAME_WE)
      string(REGEX REPLACE "_fuzz$" "" stem ${stem})
      add_executable(fuzz_${stem} ${fuzzer})
      target_link_libraries(fuzz_${stem} PRIVATE bh_${name})
      target_link_options(fuzz_${stem} PRIVATE -fsanitize=fuzzer)
    endforeach()
  endif()
endfunction()
