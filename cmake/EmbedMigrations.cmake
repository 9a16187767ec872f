# Writes OUT: a C++ file that defines bulkhead::<ROOM>_migrations(), the room's SQL files in name order.
# File names: NNNN_name.sql (both engines) or NNNN_name.sqlite.sql / NNNN_name.postgres.sql (one engine).
list(SORT FILES)
set(text "// Generated from the room's migrations/*.sql.\n#include \"platform/sql/migrations.h\"\n\n")
string(APPEND text "namespace bulkhead {\n\nstd::vector<sql::Migration> ${ROOM}_migrations() {\n  return {\n")
foreach(file ${FILES})
  get_filename_component(base ${file} NAME)
  file(READ ${file} content)
  string(APPEND text "      sql::migration_file(\"${ROOM}\", \"${base}\", R\"BHSQL(${content})BHSQL\"),\n")
endforeach()
string(APPEND text "  };\n}\n\n}  // namespace bulkhead\n")
file(WRITE ${OUT} "${text}")
