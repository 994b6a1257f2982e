# The fuzz targets: each tests/fuzz/fuzz_NAME.c has LLVMFuzzerTestOneInput and becomes an executable of the
# preset fuzz (clang). Elsewhere nothing is built.
if(KHIEN_FUZZ)
	add_custom_target(fuzzers)
	file(GLOB fuzz_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
	foreach(source ${fuzz_sources})
		get_filename_component(name ${source} NAME_WE)
		add_executable(${name} ${source})
		target_link_libraries(${name} PRIVATE khien_flags engine api)
		target_link_options(${name} PRIVATE -fsanitize=fuzzer)
		target_compile_definitions(${name} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
		add_dependencies(fuzzers ${name})
	endforeach()
endif()
