# Two interface targets that carry the flags: tsgi_warnings (how strict the compiler is)
# and tsgi_hardening (what the produced code does against attacks). Every target links both.
include(CheckCCompilerFlag)

# Hooks of httpd fix the signatures of many functions, and module records leave their tail
# implicit: hence the two exceptions.
add_library(tsgi_warnings INTERFACE)
target_compile_options(tsgi_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wformat=2 -Wimplicit-fallthrough -Wpointer-arith -Wundef
  -Wno-unused-parameter -Wno-missing-field-initializers
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
if(TSGI_WERROR)
  target_compile_options(tsgi_warnings INTERFACE -Werror)
endif()

add_library(tsgi_hardening INTERFACE)
target_compile_options(tsgi_hardening INTERFACE
  -fstack-protector-strong -fno-strict-overflow -Werror=format-security)
target_link_options(tsgi_hardening INTERFACE
  -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)

foreach(flag -fstack-clash-protection -fcf-protection)
  string(MAKE_C_IDENTIFIER "TSGI_HAS${flag}" has)
  check_c_compiler_flag(${flag} ${has})
  if(${has})
    target_compile_options(tsgi_hardening INTERFACE ${flag})
  endif()
endforeach()

if(TSGI_SANITIZE)
  # _FORTIFY_SOURCE and the sanitizers both replace the same functions of libc: only one
  # of them can see an error.
  target_compile_options(tsgi_hardening INTERFACE
    -fsanitize=${TSGI_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1)
  target_link_options(tsgi_hardening INTERFACE -fsanitize=${TSGI_SANITIZE})
elseif(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_GREATER_EQUAL 12)
  target_compile_options(tsgi_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
else()
  target_compile_options(tsgi_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
