# The abuse team's console: bundled by esbuild from console/src with libraries that npm fetches into the build folder. Without node and npm, or when
# npm cannot fetch, the program is built all the same, / stays the status page, and the build says so.
find_program(NODE_PROGRAM NAMES node nodejs)
find_program(NPM_PROGRAM NAMES npm)
if(NODE_PROGRAM AND NPM_PROGRAM)
	file(GLOB_RECURSE console_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/console/src/*)
	add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/console/built
		COMMAND ${CMAKE_SOURCE_DIR}/console/build.sh ${CMAKE_BINARY_DIR}
		DEPENDS ${console_sources} ${CMAKE_SOURCE_DIR}/console/build.sh ${CMAKE_SOURCE_DIR}/console/build.mjs
			${CMAKE_SOURCE_DIR}/console/package.json ${CMAKE_SOURCE_DIR}/console/package-lock.json
		COMMENT "Bundling the console" VERBATIM)
	add_custom_target(console ALL DEPENDS ${CMAKE_BINARY_DIR}/console/built)
else()
	message(STATUS "console: not built, for node and npm are not here; / stays the status page")
endif()
