# Core wasm modules for the suites: each test/guests/NAME.c becomes <build>/guests/NAME.wasm (target bh_test_guests).
# They are built by the same clang for wasm32, freestanding, whatever the sanitizers of the preset.
# A test links bh_test_guest_files to depend on them and to know their folder as BH_TEST_GUESTS_DIR.
function(bh_test_guests)
  set(out ${CMAKE_BINARY_DIR}/guests)
  file(MAKE_DIRECTORY ${out})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  set(flags --target=wasm32 -std=c17 -O2 -mbulk-memory -ffreestanding -nostdlib -Wall -Wextra -Werror
    -Wno-int-to-pointer-cast -I${CMAKE_SOURCE_DIR}/sdk/c
    -Wl,--no-entry -Wl,--stack-first -Wl,-z,stack-size=8192 -Wl,--strip-all)
  set(modules "")
  foreach(source ${sources})
    get_filename_component(stem ${source} NAME_WE)
    file(STRINGS ${source} extra REGEX "^// guest-flags: ")
    string(REPLACE "// guest-flags: " "" extra "${extra}")
    separate_arguments(extra UNIX_COMMAND "${extra}")
    add_custom_command(OUTPUT ${out}/${stem}.wasm
      COMMAND ${CMAKE_C_COMPILER} ${flags} ${extra} -MD -MF ${out}/${stem}.d -o ${out}/${stem}.wasm ${source}
      DEPENDS ${source} DEPFILE ${out}/${stem}.d COMMENT "guest ${stem}" VERBATIM)
    list(APPEND modules ${out}/${stem}.wasm)
  endforeach()
  add_custom_target(bh_test_guests ALL DEPENDS ${modules})
  add_library(bh_test_guest_files INTERFACE)
  target_compile_definitions(bh_test_guest_files INTERFACE BH_TEST_GUESTS_DIR="${out}")
  add_dependencies(bh_test_guest_files bh_test_guests)
endfunction()
