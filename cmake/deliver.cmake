# tsgi_deliver(<target> <file>): puts what a target links into ${TSGI_DIST} under that name, by rename.
# The linker writes its output piece by piece; a process that a running Apache starts in that moment would
# load half a file ("file too short"), and one that has it mapped would see it change.
function(tsgi_deliver target file)
  add_custom_command(
    OUTPUT ${TSGI_DIST}/${file}
    DEPENDS ${target}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${TSGI_DIST}
    COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:${target}> ${TSGI_DIST}/.${file}.new
    COMMAND ${CMAKE_COMMAND} -E rename ${TSGI_DIST}/.${file}.new ${TSGI_DIST}/${file}
    VERBATIM)
  add_custom_target(${target}_delivered ALL DEPENDS ${TSGI_DIST}/${file})
endfunction()
