# What an installation holds: the program, its schema, and the shipped packs, policy and tables. Configuration and keys are
# the operator's. KHIEN_SQL_DIR is where the program looks for its schema; a packager sets it to the installed place.
if(TARGET khien)
	include(GNUInstallDirs)
	install(TARGETS khien RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
	install(DIRECTORY ${CMAKE_SOURCE_DIR}/sql ${CMAKE_SOURCE_DIR}/etc/ DESTINATION ${CMAKE_INSTALL_DATADIR}/khien)
	install(DIRECTORY ${CMAKE_BINARY_DIR}/console DESTINATION ${CMAKE_INSTALL_DATADIR}/khien OPTIONAL PATTERN built EXCLUDE)
	install(DIRECTORY ${CMAKE_SOURCE_DIR}/deploy/redis ${CMAKE_SOURCE_DIR}/deploy/kamailio ${CMAKE_SOURCE_DIR}/deploy/kannel
		DESTINATION ${CMAKE_INSTALL_DATADIR}/khien/deploy USE_SOURCE_PERMISSIONS)
endif()
