# How every object of the project is compiled and linked: the OpenSSF hardening flags where the compiler
# and the machine have them, the warnings, and the sanitizers of the asan and tsan presets.
#
#   KHIEN_SANITIZE  empty, "address,undefined" or "thread"
#   khien_flags     the INTERFACE target to link with, PRIVATE

include(CheckCCompilerFlag)

set(KHIEN_SANITIZE "" CACHE STRING "sanitizers to build with: empty, address,undefined or thread")
option(KHIEN_FUZZ "build the fuzz targets; needs clang and KHIEN_SANITIZE" OFF)

# Assertions stay on in what is shipped: they are for our own bugs, and a stop is better than a wrong block.
foreach(lang C CXX)
	foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
		string(REPLACE "-DNDEBUG" "" CMAKE_${lang}_FLAGS_${type} "${CMAKE_${lang}_FLAGS_${type}}")
		string(REPLACE "-O3" "-O2" CMAKE_${lang}_FLAGS_${type} "${CMAKE_${lang}_FLAGS_${type}}")
	endforeach()
endforeach()

add_library(khien_flags INTERFACE)

# khien_flag_if_known(FLAG): adds the flag when the C compiler takes it without a warning.
function(khien_flag_if_known flag)
	string(MAKE_C_IDENTIFIER "KHIEN_HAS${flag}" var)
	set(CMAKE_REQUIRED_FLAGS "-Werror")
	check_c_compiler_flag("${flag}" ${var})
	if(${var})
		target_compile_options(khien_flags INTERFACE "${flag}")
	endif()
endfunction()

# Linux is what we run on: its own functions (pipe2, memfd_create, the GNU strerror_r) are declared.
target_compile_definitions(khien_flags INTERFACE _GNU_SOURCE)
target_compile_options(khien_flags INTERFACE
	-Wall -Wextra -Wconversion -Wshadow -Wvla -Werror
	-Wformat=2 -Werror=format-security -fno-omit-frame-pointer -fno-delete-null-pointer-checks)
# One program of static libraries exports nothing: a name of ours (yaml_free) must not stand in for a library's own.
target_compile_options(khien_flags INTERFACE -fvisibility=hidden)
khien_flag_if_known(-fstack-protector-strong)
khien_flag_if_known(-fstack-clash-protection)
khien_flag_if_known(-fstrict-flex-arrays=3)
khien_flag_if_known(-Wtrampolines)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i.86)$")
	khien_flag_if_known(-fcf-protection=full)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
	khien_flag_if_known(-mbranch-protection=standard)
endif()

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
target_link_options(khien_flags INTERFACE
	-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
	$<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie>)

if(KHIEN_SANITIZE)
	target_compile_options(khien_flags INTERFACE
		-fsanitize=${KHIEN_SANITIZE} -fno-sanitize-recover=all -U_FORTIFY_SOURCE)
	target_link_options(khien_flags INTERFACE -fsanitize=${KHIEN_SANITIZE})
	if(KHIEN_FUZZ)
		target_compile_options(khien_flags INTERFACE -fsanitize=fuzzer-no-link)
		target_link_options(khien_flags INTERFACE -fsanitize=fuzzer-no-link)
	endif()
else()
	# Fortified string functions need an optimised build; the sanitizers have checks of their own.
	# A compiler that does not know level 3 falls back to 2 by itself.
	target_compile_options(khien_flags INTERFACE
		$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
		$<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>)
endif()
