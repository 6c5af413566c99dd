# Writes a C++ file that defines constants with the text of files:
#   cmake -DOUTPUT=a.cc -DHEADER=a.h -DNAMESPACE=n -DNAMES=kA,kB -DkA=FILE -DkB=FILE,FILE -P EmbedText.cmake
# Several files of a name are put one after the other.
set(text "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n\n")
string(REPLACE "," ";" names "${NAMES}")
foreach(name IN LISTS names)
  string(APPEND text "const char* const ${name} =")
  string(REPLACE "," ";" files "${${name}}")
  foreach(file IN LISTS files)
    file(READ "${file}" content)
    string(APPEND text "\n    R\"embedded(${content})embedded\"")
  endforeach()
  string(APPEND text ";\n\n")
endforeach()
string(APPEND text "}  // namespace ${NAMESPACE}\n")
file(WRITE "${OUTPUT}" "${text}")
