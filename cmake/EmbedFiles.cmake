# Files compiled into a program:
#   bh_embed_files(TARGET NAME PREFIX=FOLDER ...)
# adds to TARGET a source that defines
#   std::span<const bulkhead::EmbeddedFile> bulkhead::NAME_files();    (declare it as base/embedded_file.h says)
# with every file below each FOLDER, its path being PREFIX/path-in-FOLDER (PREFIX may be empty), in path order.
# Built folders (dist, node_modules, target) are left out.
function(bh_embed_files target name)
  set(pairs "")
  set(depends "")
  foreach(pair ${ARGN})
    string(REGEX REPLACE "^([^=]*)=(.*)$" "\\1" prefix "${pair}")
    string(REGEX REPLACE "^([^=]*)=(.*)$" "\\2" folder "${pair}")
    get_filename_component(folder ${folder} ABSOLUTE)
    file(GLOB_RECURSE files CONFIGURE_DEPENDS ${folder}/*)
    list(FILTER files EXCLUDE REGEX "/(dist|node_modules|target)/")
    foreach(file ${files})
      file(RELATIVE_PATH path ${folder} ${file})
      if(prefix)
        set(path ${prefix}/${path})
      endif()
      list(APPEND pairs "${path}=${file}")
      list(APPEND depends ${file})
    endforeach()
  endforeach()
  list(SORT pairs)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/${name}_files.cpp)
  set(listing ${CMAKE_CURRENT_BINARY_DIR}/${name}_files.list)
  file(CONFIGURE OUTPUT ${listing} CONTENT "${pairs}" @ONLY)
  add_custom_command(OUTPUT ${generated}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DLISTING=${listing} -DOUT=${generated}
            -P ${CMAKE_SOURCE_DIR}/cmake/WriteEmbeddedFiles.cmake
    DEPENDS ${depends} ${listing} ${CMAKE_SOURCE_DIR}/cmake/WriteEmbeddedFiles.cmake VERBATIM)
  target_sources(${target} PRIVATE ${generated})
endfunction()
